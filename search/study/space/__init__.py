"""The space that a study searches, derived from the methods that exist.

Start at `Space`: it samples trials and resolves their parameters to candidates.
"""

from search.plugins import PRESET
from search.study.space.parameter import Parameter, parameter_named, parameters
from search.study.space.reading import read_domain
from search.study.space.space import (
    Space,
    check_complete,
    complete_space,
    distribution_of,
    read_space,
    resolve_params,
)

__all__ = [
    "PRESET",
    "Parameter",
    "Space",
    "check_complete",
    "complete_space",
    "distribution_of",
    "parameter_named",
    "parameters",
    "read_domain",
    "read_space",
    "resolve_params",
]

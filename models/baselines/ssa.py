"""Singular spectrum analysis in both directions of time: the strong classical opponent on waves."""

from typing import ClassVar

from models.baselines.fitted import FittedBaseline
from models.candidate import FittedCellName


class SSABaseline(FittedBaseline):
    """See `models.closed_form.SSA` and `FittedBaseline`: only the rank is chosen."""

    cell: ClassVar[FittedCellName] = "ssa"

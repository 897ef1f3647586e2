"""Which replicas of a candidate would be equal to one another, and need training once."""

from collections.abc import Sequence

import numpy as np

from models.candidate import Candidate
from models.closed_form.closed_form import FittedForm
from search.series import FloatArray
from search.study.task_data import View


def draws_numbers(candidate: Candidate) -> bool:
    """Whether two networks of a candidate differ on equal views: all but those of some forms."""
    return not isinstance(candidate, FittedForm) or candidate.form.is_random


def first_equals(views: Sequence[View]) -> list[int]:
    """Of each view, the number of the first one that is equal to it."""
    firsts: list[int] = []
    for number, view in enumerate(views):
        kinds = sorted(set(firsts))
        firsts.append(next((k for k in kinds if _are_equal(view, views[k])), number))
    return firsts


def _are_equal(one: View, other: View) -> bool:
    return one is other or (
        (one.pieces, one.starts, one.horizon_steps)
        == (other.pieces, other.starts, other.horizon_steps)
        and np.array_equal(one.variance, other.variance)
        and np.array_equal(one.values, other.values)
        and np.array_equal(one.truth, other.truth, equal_nan=True)
        and _are_same(one.past, other.past)
        and _are_same(one.known, other.known)
    )


def _are_same(one: FloatArray | None, other: FloatArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def distinct_views(views: Sequence[View]) -> list[View]:
    """The first of some views where all are equal, as those of a table are; else all of them."""
    return list(views) if any(first_equals(views)) else [views[0]]

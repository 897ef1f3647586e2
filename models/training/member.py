"""One network or closed form of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from models.training.trained_network import BaseCandidate

C_co = TypeVar("C_co", bound=BaseCandidate, covariant=True)
C = TypeVar("C", bound=BaseCandidate)


@dataclass(frozen=True)
class Member(Generic[C_co]):
    """A candidate to be trained or fitted once.

    series: the row of the data that it learns from. seed: it fixes the initialisation, the
    subsequences and the noise, and nothing else does.
    """

    candidate: C_co
    series: int
    seed: int


def checked_cohort(members: Sequence[Member[BaseCandidate]], kind: type[C]) -> C:
    """The first candidate of a cohort; ValueError where the members can't form one."""
    if not members:
        raise ValueError("a cohort must have at least one member, but got none")
    candidate = members[0].candidate
    if any(m.candidate.cohort_key() != candidate.cohort_key() for m in members):
        raise ValueError("members of a cohort must have equal cohort keys, but got several")
    assert isinstance(candidate, kind)
    return candidate

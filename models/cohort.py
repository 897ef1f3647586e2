"""What networks and closed forms share as candidates, and as members of a cohort."""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from models.methods import MethodSet
from models.network.architecture import Architecture
from models.network.options.channels import Channels
from models.network.options.covariates import KnownColumns, has_known_inputs, reads_past
from models.network.options.learning import Restarts
from models.network.options.transforms import PowerTransform, SeasonalDifference
from models.tensors import Tensor


class BaseCandidate(MethodSet):
    """What one trial samples: the configured methods of a network or of a closed form."""

    @cached_property
    def architecture(self) -> Architecture:
        """The methods that a free run depends on."""
        return Architecture(tuple(method for method in self if method.shapes_forecast))

    @property
    def restarts(self) -> int:
        """Initialisations tried within a replica."""
        return self[Restarts].restarts

    @property
    @abstractmethod
    def least_steps(self) -> int:
        """The fewest values that a training span must have."""

    @abstractmethod
    def description(self) -> str:
        """The candidate in a few words."""

    def family(self) -> Hashable:
        """What candidates have in common that err alike: core, hybrid, segments, units, columns."""
        is_segmented = self.values().get("segment_steps", 1) != 1
        difference = self.find(SeasonalDifference)
        season = 0 if difference is None else difference.season
        core, channels = self.architecture.core.name, self.find(Channels)
        is_hybrid = self.architecture.autoregression != "none"
        columns = self.find(KnownColumns), has_known_inputs(self), reads_past(self)
        return core, is_hybrid, is_segmented, self.find(PowerTransform), season, channels, columns

    def cohort_key(self) -> Hashable:
        """What must be equal for two candidates to train as one batched computation."""
        return self.shared_settings()


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


def checked_pieces(values: Tensor, pieces: Sequence[Sequence[int]] | None) -> list[tuple[int, ...]]:
    """The lengths of the pieces that each of `values` `[series, time, channel]` consists of.

    A piece is a stretch without a gap; nothing that is learnt may run from one piece into the next.
    pieces: by series, in the order of time; None where every series is one piece. A series that is
    shorter than the others is filled up at its end, with values that are in no piece. ValueError
    where the pieces of a series are longer than it.
    """
    series, span = values.shape[:2]
    found: list[tuple[int, ...]] = [(span,)] * series
    if pieces is not None:
        found = [tuple(own) for own in pieces]
    if len(found) != series or any(sum(own) > span or min(own) < 1 for own in found):
        raise ValueError(
            f"pieces must add up to at most {span} steps in each of {series} series, but got "
            f"{found}"
        )
    return found

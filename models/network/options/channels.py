"""Whether a forecaster of several channels reads them together, or each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.methods import AllOf, Choices, IsNot, Method, MethodSet, Selects, Stage, choice
from models.tensors import MemberBatchTimeChannel, Tensor, torch

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

MIXING, INDEPENDENT = "mixing", "independent"
# The setting of closed forms whose channels are read together, and have coefficients of their own.
TIED = "tied_channels"
# Up to so many channels the default space has both; beyond, the channels alone.
MOST_MIXED = 8


def _suited(series: SeriesProperties) -> Choices | None:
    if series.channels == 1:
        return None
    both = (MIXING, INDEPENDENT)
    return Choices(both if series.channels <= MOST_MIXED else (INDEPENDENT,))


class Channels(
    Method,
    name="channels",
    label="channel independence",
    source="Nie et al. (2023), section 3.1; Montero-Manso & Hyndman (2021)",
    rank=130,
):
    """How the channels of a series share a forecaster: all at once, or each by itself.

    "mixing" reads and writes all channels at once; a closed form that looks at one channel at a
    time has numbers of its own for each. "independent" has one set of weights for one channel, and
    each channel is a series of its own: training sees parts of any of them, a closed form pools
    their rows, and a free run runs each.
    """

    kind = "channels"
    # Last, as a space leaves it out where a closed form of all channels would be too large.
    stage = Stage.CHANNELS
    shapes_forecast = True

    channels: str = choice(
        (MIXING, INDEPENDENT),
        "Whether all channels are read and written at once, or each by itself by shared weights.",
        shared=True,
        searched=False,
        suits=_suited,
        # Those of tied channels are neither joint nor shared.
        when=AllOf(Selects("cell", "can_mix_channels"), IsNot(TIED, (True,))),
        without="all channels at once",
    )

    def phrase(self) -> str:
        return "each channel by itself" if self.channels == INDEPENDENT else ""


def are_independent(methods: MethodSet) -> bool:
    """Whether a candidate, or its architecture, runs each channel by itself."""
    return methods[Channels].channels == INDEPENDENT


def side_by_side(values: MemberBatchTimeChannel) -> MemberBatchTimeChannel:
    """Channels as further runs: `[member, batch * channel, time, 1]`, those of a run adjacent."""
    return values.transpose(2, 3).flatten(1, 2).unsqueeze(3)


def together(runs: MemberBatchTimeChannel, channels: int) -> MemberBatchTimeChannel:
    """Undo `side_by_side`."""
    by_run: Tensor = runs.squeeze(3).unflatten(1, (-1, channels))
    return by_run.transpose(2, 3)


def beside_each(exogenous: Tensor, pieces: Sequence[Sequence[int]] | None, channels: int) -> Tensor:
    """Known columns `[series, time, column]` beside channels that `end_to_end` has in a row."""
    series, steps, _ = exogenous.shape
    own = [[steps]] * series if pieces is None else pieces
    rows = []
    for each, known in zip(own, exogenous, strict=True):
        parts = known[: sum(each)], known[sum(each) :]
        rows.append(torch.cat([part.repeat(channels, 1) for part in parts]))
    return torch.stack(rows)


def end_to_end(
    values: Tensor, pieces: Sequence[Sequence[int]] | None
) -> tuple[Tensor, list[list[int]]]:
    """Channels as further stretches of a series, one after the other, and the new pieces.

    values: `[series, time, channel]`, made `[series, channel * time, 1]`. pieces: the lengths of
    the stretches without a gap that each series consists of, None where each is one. What fills up
    a series that is shorter than others goes to its end again.
    """
    series, steps, channels = values.shape
    own = [[steps]] * series if pieces is None else pieces
    rows = []
    for each, known in zip(own, values, strict=True):
        parts = known[: sum(each)], known[sum(each) :]
        rows.append(torch.cat([part.T.flatten() for part in parts]))
    return torch.stack(rows).unsqueeze(2), [[*each] * channels for each in own]

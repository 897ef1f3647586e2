"""Segments: one recurrent step reads several values at once, and writes as many.

Lin et al. (2023), "SegRNN: segment recurrent neural network for long-term time series forecasting".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.methods import (
    Ablation,
    Above,
    AllOf,
    Choices,
    Is,
    IsNot,
    Method,
    MethodSet,
    Stage,
    Whole,
    choice,
    setting,
)
from models.methods.condition import READS, RECURRENT, TRAINED
from models.methods.method import Core
from models.network.options.context import WarmedUpState
from models.tensors import Tensor, TimeMemberBatchChannel, torch

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties

# Segments of a wave whose period is hardly seen, as shares of it: long enough to average noise out,
# short enough to show its direction. Of seasons, which are seen often, the larger shares.
WAVE_SHARES = (1 / 64, 1 / 32, 1 / 16)
SEASON_SHARES = (1 / 4, 1 / 2, 1.0)
POWERS_OF_TWO = (2, 4, 8, 16)
NOISE_FREE = (1, 2, 4)
# A segment takes at most this share of the training span: of a wave, whose many segments show its
# direction, less than of seasons.
LARGEST_SHARE, LARGEST_SHARE_OF_SEASONS = 1 / 16, 1 / 4


def suited_segments(series: SeriesProperties) -> Choices:
    """Choices of `segment_steps` to try on a series: single values, and shares of the period.

    Where the series has none, powers of two. Of a series without noise a few values: there is
    nothing to average out, and what follows them is known the better the less is foretold at once.
    """
    if series.is_noise_free:
        return Choices(NOISE_FREE)
    most = series.train_steps * LARGEST_SHARE
    if series.period is None:
        steps = set(POWERS_OF_TWO)
    else:
        shares = WAVE_SHARES if series.is_wave else SEASON_SHARES
        most = most if series.is_wave else series.train_steps * LARGEST_SHARE_OF_SEASONS
        steps = {round(series.period * share) for share in shares}
    return Choices((1, *sorted(length for length in steps if 1 < length <= most)))


def segment_length(**more: Any) -> Any:
    """The setting that networks share with regressions on lagged values; see `setting`."""
    return setting(
        Whole(1, 100_000),
        Choices((1, 4, 16)),
        "Values, of all channels, that are forecast at once; a network also reads as many.",
        name="segment_steps",
        stage=Stage.CONTEXT,
        neutral=1,
        shared=True,
        searched=False,
        suits=suited_segments,
        loops=True,
        # A window of as many values, read one by one for each forecast, would cost segment^2.
        without=Ablation(
            "single values; windows of 4",
            {"segment_steps": 1, "window_steps": 4, "window_rollout_steps": 16},
            name="segments",
        ),
        **more,
    )


class Segments(
    Method,
    name="segments",
    source="Lin et al. (2023), arXiv 2308.11200",
    rank=113,
):
    """Segments: a recurrent step reads several values at once and forecasts as many.

    The loop over time is shorter by their number: gradients live longer, training is cheaper, and
    the noise of the values averages out. A network reads the whole segments that fit into its
    context, at least one; the last segment of a free run is cut where the horizon ends.

    Recurrent decoding feeds each forecast segment back. Parallel decoding makes several segments
    from one state: for each of them the cell takes one step from that state, and reads a trained
    embedding of its place instead of values. Further segments follow once those have been read.
    """

    kind = "segments"
    stage = Stage.CONTEXT
    applies = AllOf(TRAINED, READS)
    shapes_forecast = True

    segment_steps: int = segment_length(when=IsNot("state_estimate", ("least-squares",)))
    read_in: str = choice(
        ("none", "linear", "relu"),
        "The layer that a segment passes on its way to the cell: none, linear, or with ReLU.",
        shared=True,
        searched=False,
        nonlinear=("relu",),
        when=AllOf(RECURRENT, Above("segment_steps", 1)),
        without="none",
    )
    decoding: str = choice(
        ("recurrent", "parallel"),
        "How a free run goes on: segment by segment, or with several segments from one state.",
        shared=True,
        searched=False,
        when=AllOf(RECURRENT, Above("segment_steps", 1), IsNot("autonomous", (True,))),
        without="recurrent decoding",
    )
    parallel_segments: int = setting(
        Whole(1, 10_000),
        Choices((4, 16)),
        "Segments that parallel decoding makes from one state.",
        neutral=1,
        shared=True,
        searched=False,
        when=Is("decoding", ("parallel",)),
    )

    @property
    def is_parallel(self) -> bool:
        """Whether several segments are decoded from one state."""
        return self.decoding == "parallel"

    def check(self, others: MethodSet) -> None:
        if self.segment_steps == 1 and (self.read_in != "none" or self.is_parallel):
            raise ValueError(
                f"read_in and parallel decoding need segment_steps above 1, but got {others}"
            )
        core = others.find(Core)
        if core and core.reads_whole_window and (self.read_in != "none" or self.is_parallel):
            raise ValueError(
                "read_in and parallel decoding need a cell that reads segment by segment, but got "
                f"{others}"
            )
        state = others.find(WarmedUpState)
        if state is None:
            return
        if self.segment_steps > 1 and state.state_estimate == "least-squares":
            raise ValueError(
                'state_estimate "least-squares" reads value by value, so that segment_steps must '
                f"be 1, but got {others}"
            )
        if self.is_parallel and state.autonomous:
            raise ValueError(f"parallel decoding must not go with autonomous, but got {others}")

    def phrase(self) -> str:
        if self.segment_steps == 1:
            return ""
        words = [f"segments of {self.segment_steps}"]
        if self.read_in != "none":
            words.append(f"{'ReLU' if self.read_in == 'relu' else 'linear'} read-in")
        if self.is_parallel:
            words.append(f"{self.parallel_segments} decoded in parallel")
        return ", ".join(words)


def fold(values: Tensor, segment: int) -> Tensor:
    """Values `[time, ..., channel]` as segments `[time / segment, ..., segment * channel]`.

    The numbers of a segment lie value by value, oldest first. `time` is a multiple of `segment`.
    """
    if segment == 1:
        return values
    folded: Tensor = values.unflatten(0, (-1, segment)).movedim(1, -2).flatten(-2)
    return folded


def unfold(segments: Tensor, segment: int) -> Tensor:
    """The inverse of `fold`."""
    if segment == 1:
        return segments
    values: Tensor = segments.unflatten(-1, (segment, -1)).movedim(-2, 1).flatten(0, 1)
    return values


def rows_ahead(
    exogenous: TimeMemberBatchChannel, segment: int, steps: int
) -> TimeMemberBatchChannel:
    """Known columns by the position that is read beside them: those of the next segment's rows.

    exogenous: `[time, member, batch, column]` from the first position of the warm-up on; behind its
    last row, that is repeated. steps: values of all positions, whole segments.
    """
    rows = (torch.arange(steps, device=exogenous.device) + segment).clamp(max=len(exogenous) - 1)
    return fold(exogenous[rows], segment)


def padded(steps: int, segment: int) -> int:
    """Steps up to the end of the last segment that is begun."""
    return -(-steps // segment) * segment

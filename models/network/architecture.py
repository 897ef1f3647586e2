"""An architecture: those methods of a candidate that a free run depends on."""

from collections.abc import Mapping
from typing import Self

from models.methods import MethodSet, Scalar
from models.methods.method import Core
from models.methods.registry import configure
from models.network.cells.cell import Cell
from models.network.options.context import Context, WarmedUpState
from models.network.options.hybrid import MOST_LAGS, Hybrid
from models.network.options.instance_norm import InstanceNorm
from models.network.options.layer_norm import LayerNorm
from models.network.options.segments import Segments
from models.network.options.shape import Residual, Size
from models.network.options.transforms import lag_of


class Architecture(MethodSet):
    """What a forecaster is once its numbers are known: a network's shape, or a closed form.

    Settings in which members of a cohort may differ stand among a forecaster's numbers, and are not
    looked at here.
    """

    @classmethod
    def of(cls, params: Mapping[str, Scalar | None]) -> Self:
        """From the values of settings; raises SettingError and ValueError as `configure` does."""
        return cls(configure(params, lambda method: method.shapes_forecast))

    @property
    def core(self) -> Core:
        """The cell or the closed form."""
        core = self.find(Core)
        assert core is not None
        return core

    @property
    def cell(self) -> Cell:
        assert isinstance(self.core, Cell)
        return self.core

    @property
    def is_trained(self) -> bool:
        """Whether it is a network, and no closed form."""
        return self.core.is_trained

    @property
    def context_steps(self) -> int:
        """True values that are read before a free run: whole segments, at least one."""
        own = self.core.context_steps
        if own is not None:
            return own
        context = self.find(Context)
        assert context is not None
        return max(context.steps // self.segment_steps, 1) * self.segment_steps

    @property
    def shown_steps(self) -> int:
        """True values that are shown before a free run: the context, and a lag before it."""
        return self.context_steps + lag_of(self)

    @property
    def segment_steps(self) -> int:
        """Values that one step reads, and forecasts, at once."""
        return self[Segments].segment_steps

    @property
    def parallel_segments(self) -> int | None:
        """Segments that are decoded from one state; None where each is fed back."""
        segments = self[Segments]
        return segments.parallel_segments if segments.is_parallel else None

    @property
    def read_in(self) -> str:
        """The layer between a segment and the cell: "none", "linear" or "relu"."""
        return self[Segments].read_in

    @property
    def layers(self) -> int:
        return self[Size].layers

    @property
    def head_layers(self) -> int:
        """Fully connected layers before the output layer."""
        return self[Size].head_layers

    @property
    def has_state(self) -> bool:
        """Whether a state is warmed up and carried along, instead of a window read anew."""
        return self.find(WarmedUpState) is not None

    @property
    def autonomous(self) -> bool:
        """Whether a free run reads nothing after its warm-up."""
        state = self.find(WarmedUpState)
        return state is not None and state.autonomous

    @property
    def estimates_state(self) -> bool:
        """Whether the state after the warm-up is found by least squares."""
        state = self.find(WarmedUpState)
        return state is not None and state.state_estimate == "least-squares"

    @property
    def residual(self) -> bool:
        """Whether the forecast is an increment to the last value."""
        return self[Residual].residual

    @property
    def scaled_increments(self) -> bool:
        """Whether increments are in standard deviations of the training span's."""
        return self[Residual].scaled_increments

    @property
    def autoregression(self) -> str:
        """The autoregression to which the network adds the rest, one of `HYBRIDS`."""
        return self[Hybrid].hybrid

    @property
    def autoregressive_steps(self) -> int:
        """Values that this autoregression reads, whole segments; 0 without one.

        As many as there are before any forecast: a window, or what a state reads before its first
        one-step forecast in training, which is half of a warm-up and a segment.
        """
        if self.autoregression == "none":
            return 0
        segment = self.segment_steps
        known = self.context_steps // segment
        if self.has_state:
            known = known // 2 + 1
        return min(known, max(MOST_LAGS // segment, 1)) * segment

    @property
    def scales_output(self) -> bool:
        """Whether the output is in measured standard deviations: of increments, or of a rest."""
        return self.scaled_increments or self.autoregression != "none"

    @property
    def has_layer_norm(self) -> bool:
        """Whether each layer's output is normalised."""
        return self.find(LayerNorm) is not None

    @property
    def instance_level(self) -> str | None:
        """What an instance norm takes off the values, one of `LEVELS`; None without one."""
        norm = self.find(InstanceNorm)
        return None if norm is None else norm.level

"""One step of a network as a part of a graph: the very step that training and free runs take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, fx

from models.network.forecaster import Forecaster
from models.network.options.instance_norm import InstanceScale
from models.network.plan import Step
from models.network.unroll import Unroll
from models.tensors import MemberParameter
from search.export.onnx.graph import Graph
from search.export.onnx.operators import trace, translate


class Steps:
    """The steps of a population of networks that runs `batch` series side by side.

    What is read is `[count, member, batch, width]`: a segment, or all of a window at once. States
    are those of the layers, bottom first, `[member, batch, state]`. scale: mean and standard
    deviation of an instance norm, `[member, batch, channel]`, none without one.
    """

    def __init__(self, forecaster: Forecaster, weights: MemberParameter, batch: int) -> None:
        self.forecaster, self.weights, self.batch = forecaster, weights, batch
        architecture = forecaster.architecture
        self.members, self.layers = len(weights), architecture.layers
        whole = architecture.core.reads_whole_window
        self.count = architecture.context_steps // architecture.segment_steps if whole else 1

    @property
    def state_shape(self) -> tuple[int, int, int]:
        return (self.members, self.batch, self.forecaster.cell.state_units)

    def read(
        self, graph: Graph, values: str, states: Sequence[str], scale: Sequence[str]
    ) -> list[str]:
        """Take a step that forecasts nothing; return the states after it."""
        return self._add(graph, self._reading, [values, *states, *scale])

    def step(
        self, graph: Graph, values: str, states: Sequence[str], scale: Sequence[str]
    ) -> tuple[str, list[str]]:
        """Take a step; return the forecast `[member, batch, width]` and the states after it."""
        forecast, *after = self._add(graph, self._stepping, [values, *states, *scale])
        return forecast, after

    def decode(
        self,
        graph: Graph,
        values: str,
        states: Sequence[str],
        embedding: str,
        scale: Sequence[str],
    ) -> str:
        """Read values, then an embedding `[member, input]` in their place; return the forecast."""
        inputs = [embedding, values, *states, *scale]
        (forecast,) = self._add(graph, self._decoding, inputs)
        return forecast

    @cached_property
    def _reading(self) -> tuple[fx.GraphModule, list[Tensor]]:
        def read(values: Tensor, *more: Tensor) -> list[Tensor]:
            unroll = self._unroll(more)
            unroll.forward(0, self._step, values)
            return [states[1] for states in unroll.states]

        return self._traced(read)

    @cached_property
    def _stepping(self) -> tuple[fx.GraphModule, list[Tensor]]:
        def step(values: Tensor, *more: Tensor) -> list[Tensor]:
            unroll = self._unroll(more)
            unroll.forward(0, self._step, values)
            forecast = self._emitted(unroll, 0, self._step)
            return [forecast, *(states[1] for states in unroll.states)]

        return self._traced(step)

    @cached_property
    def _decoding(self) -> tuple[fx.GraphModule, list[Tensor]]:
        inputs = self.forecaster.layer_inputs[0]

        def decode(embedding: Tensor, values: Tensor, *more: Tensor) -> list[Tensor]:
            unroll = self._unroll(more, slots=2)
            unroll.embedding = embedding.unsqueeze(1)
            unroll.forward(0, self._step, values)
            decoding = Step(reads=0, reset=False, emits=1, follows=0, embeds=0)
            unroll.forward(1, decoding, values)
            return [self._emitted(unroll, 1, decoding)]

        return self._traced(decode, torch.zeros(self.members, inputs))

    @property
    def _step(self) -> Step:
        return Step(reads=0, reset=False, emits=1, count=self.count)

    def _unroll(self, more: Sequence[Tensor], slots: int = 1) -> Unroll:
        """An unroll that goes on from states, in the units of a scale."""
        states, scale = more[: self.layers], more[self.layers :]
        unroll = Unroll(self.forecaster, self.weights, slots=slots, batch=self.batch)
        unroll.begin()
        if scale:
            unroll.instance = InstanceScale(*scale)
        for own, state in zip(unroll.states, states, strict=True):
            own[0].copy_(state)
        return unroll

    def _emitted(self, unroll: Unroll, index: int, step: Step) -> Tensor:
        out = torch.empty(self.members, self.batch, self.forecaster.width)
        unroll.emit(index, step, out)
        return out

    def _traced(
        self, function: Callable[..., list[Tensor]], *first: Tensor
    ) -> tuple[fx.GraphModule, list[Tensor]]:
        """The trace of a function, with examples of its arguments."""
        beside = (self.members, self.batch)
        examples = [*first, torch.zeros(self.count, *beside, self.forecaster.width)]
        examples += [torch.zeros(self.state_shape) for _ in range(self.layers)]
        if self.forecaster.architecture.instance_level is not None:
            examples += [torch.ones(*beside, self.forecaster.channels) for _ in range(2)]
        return trace(function, examples), examples

    @staticmethod
    def _add(
        graph: Graph, traced: tuple[fx.GraphModule, list[Tensor]], inputs: Sequence[str]
    ) -> list[str]:
        return translate(*traced, graph, inputs)

"""Warm-up and free run of networks as loops of a graph, step by step as `models.network.plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from models.network.forecaster import Forecaster
from models.network.linear import EstimatedRun
from models.network.options.instance_norm import EPSILON
from models.network.parameters import AUTOREGRESSION, EMBEDDING
from models.tensors import RUN_BOUND, MemberParameter
from search.export.onnx.graph import DOUBLE, Graph
from search.export.onnx.steps import Steps


def free_run(
    graph: Graph,
    forecaster: Forecaster,
    weights: MemberParameter,
    context: str,
    batch: int,
    horizon: str,
) -> str:
    """Add a free run to a graph; return its forecasts `[member, batch, time, channel]`.

    context: `[member, batch, warm-up time, channel]` in the networks' units. horizon: steps, an
    integer `[]`. See `models.network.walk.free_run`.
    """
    architecture = forecaster.architecture
    level = architecture.instance_level
    scale = [] if level is None else _instance_scale(graph, context, level)
    if architecture.estimates_state:
        return _estimated(graph, forecaster, weights, context, batch, horizon, scale)
    walk = _Walk(
        graph, Steps(forecaster, weights, batch), scale, _folded(graph, forecaster, context)
    )
    segments = _whole_times(graph, horizon, architecture.segment_steps)
    if architecture.core.reads_whole_window:
        outputs = walk.of_whole_windows(segments)
    elif architecture.parallel_segments is not None:
        outputs = walk.in_parallel(segments, architecture.parallel_segments)
    elif architecture.has_state:
        outputs = walk.on_a_state(segments)
    else:
        outputs = walk.of_windows(segments)
    end = graph.shaped(horizon, [1])
    return graph.cut(_unfolded(graph, forecaster, outputs), 2, 0, end)


class _Walk:
    """The loops over a network's steps.

    positions: the segments of the context, `[position, member, batch, width]`. scale: see `Steps`.
    """

    def __init__(self, graph: Graph, steps: Steps, scale: Sequence[str], positions: str) -> None:
        self.graph, self.steps, self.scale, self.positions = graph, steps, scale, positions
        self.architecture = steps.forecaster.architecture
        self.read = self.architecture.context_steps // self.architecture.segment_steps
        # Positions that the autoregression of a hybrid reads, none without one.
        self.reach = self.architecture.autoregressive_steps // self.architecture.segment_steps

    def on_a_state(self, segments: str) -> str:
        """Warm a state up, then carry it along."""
        graph = self.graph
        before_last = self._warmed_up(graph, self.positions, self.read - 1, self._zeros())
        nothing = self._nothing() if self.architecture.autonomous else None

        def body(inner: Graph, _number: str, carried: list[str]) -> _Carried:
            known = carried[0]
            last = known if self.reach <= 1 else inner.cut(known, 0, -1)
            forecast, states = self.steps.step(inner, last, carried[1:], self.scale)
            kept = _bounded(inner, self._completed(inner, forecast, known))
            fed_back = inner.add("Unsqueeze", kept, inner.constant([0], np.int64))
            if self.reach > 1:
                fed_back = inner.add("Concat", inner.cut(known, 0, 1), fed_back, axis=0)
            return [nothing or fed_back, *states], [kept]

        newest = graph.cut(self.positions, 0, self.read - max(self.reach, 1))
        return graph.loop(segments, [newest, *before_last], body)[-1]

    def of_windows(self, segments: str) -> str:
        """Read a window anew, from a state of zero, for each forecast."""

        def forecast(inner: Graph, window: str) -> str:
            states = self._warmed_up(inner, window, self.read - 1, self._zeros())
            last = inner.cut(window, 0, self.read - 1)
            return self.steps.step(inner, last, states, self.scale)[0]

        return self._over_windows(segments, forecast)

    def of_whole_windows(self, segments: str) -> str:
        """Read a window as a whole in one step."""

        def forecast(inner: Graph, window: str) -> str:
            return self.steps.step(inner, window, self._zeros(), self.scale)[0]

        return self._over_windows(segments, forecast)

    def in_parallel(self, segments: str, together: int) -> str:
        """Decode several segments from one state, then read them on, or the last window."""
        graph, steps = self.graph, self.steps
        embedding = graph.constant(
            steps.forecaster.layout().views(steps.weights)[EMBEDDING].contiguous().numpy()
        )

        def body(inner: Graph, _number: str, carried: list[str]) -> _Carried:
            known, count = carried[0], _length(inner, carried[0])
            earlier = inner.add("Sub", count, inner.constant(1, np.int64))
            states = self._warmed_up(inner, known, earlier, carried[1:])
            last = inner.cut(known, 0, -1)

            def decode(innermost: Graph, number: str, _carried: list[str]) -> _Carried:
                row = innermost.add("Gather", embedding, number, axis=1)
                made = steps.decode(innermost, last, states, row, self.scale)
                return [], [_bounded(innermost, made)]

            (outputs,) = inner.loop(together, [], decode)
            if self.architecture.has_state:
                return [outputs, *steps.read(inner, last, states, self.scale)], [outputs]
            window = inner.cut(inner.add("Concat", known, outputs, axis=0), 0, -self.read)
            return [window, *self._zeros()], [outputs]

        blocks = _whole_times(graph, segments, together)
        carried = [self.positions, *self._zeros()]
        made = graph.loop(blocks, carried, body)[-1]
        return graph.shaped(made, [-1, steps.members, steps.batch, steps.forecaster.width])

    def _over_windows(self, segments: str, forecast: Callable[[Graph, str], str]) -> str:
        def body(inner: Graph, _number: str, carried: list[str]) -> _Carried:
            made = forecast(inner, carried[0])
            kept = _bounded(inner, self._completed(inner, made, carried[0]))
            newest = inner.add("Unsqueeze", kept, inner.constant([0], np.int64))
            later = inner.cut(carried[0], 0, 1)
            return [inner.add("Concat", later, newest, axis=0)], [kept]

        return self.graph.loop(segments, [self.positions], body)[-1]

    def _completed(self, graph: Graph, forecast: str, known: str) -> str:
        """A network's forecast, and the one that its autoregression makes of the last positions.

        See `models.network.autoregression`.
        """
        if self.reach == 0:
            return forecast
        steps = self.steps
        coefficients = steps.forecaster.layout().views(steps.weights)[AUTOREGRESSION]
        members, channels, lags, segment = coefficients.shape
        shape = [self.reach, members, steps.batch, segment, channels]
        read = graph.shaped(graph.cut(known, 0, -self.reach), shape)
        ordered = graph.add("Transpose", read, perm=[1, 4, 2, 0, 3])
        by_lag = graph.shaped(ordered, [members, channels, steps.batch, lags])
        product = graph.add("MatMul", by_lag, graph.constant(coefficients.contiguous().numpy()))
        own = graph.add("Transpose", product, perm=[0, 2, 3, 1])
        if self.scale:
            level = graph.add("Unsqueeze", self.scale[0], graph.constant([2], np.int64))
            own = graph.add("Sub", own, level)
        return graph.add("Add", forecast, graph.shaped(own, [members, steps.batch, -1]))

    def _warmed_up(
        self, graph: Graph, positions: str, count: int | str, states: Sequence[str]
    ) -> list[str]:
        """The states after the first positions have been read."""
        if count == 0:
            return list(states)

        def body(inner: Graph, number: str, carried: list[str]) -> _Carried:
            place = inner.add("Unsqueeze", number, inner.constant([0], np.int64))
            own = inner.add("Gather", positions, place, axis=0)
            return self.steps.read(inner, own, carried, self.scale), []

        return graph.loop(count, states, body)

    def _zeros(self) -> list[str]:
        zero = self.graph.constant(np.zeros(self.steps.state_shape, np.float32))
        return [zero] * self.steps.layers

    def _nothing(self) -> str:
        """What a network that runs on its state alone reads: zero, in its own units."""
        steps = self.steps
        shape = (1, steps.members, steps.batch, steps.forecaster.width)
        if not self.scale:
            return self.graph.constant(np.zeros(shape, np.float32))
        values = steps.forecaster.width // steps.forecaster.channels
        repeats = self.graph.constant([1, 1, values], np.int64)
        return self.graph.shaped(self.graph.add("Tile", self.scale[0], repeats), shape)


_Carried = tuple[Sequence[str], Sequence[str]]


def _estimated(
    graph: Graph,
    forecaster: Forecaster,
    weights: MemberParameter,
    context: str,
    batch: int,
    horizon: str,
    scale: Sequence[str],
) -> str:
    """The run of a linear network whose state is the one that fits the context best.

    That state is a linear function of the context, whose matrix is a constant; the run multiplies
    it by the transition matrix step by step. In double precision, as the compiled free run.
    """
    architecture, channels = forecaster.architecture, forecaster.channels
    members, warm_up = len(weights), architecture.context_steps
    views = forecaster.layout().views(weights.double())
    run = EstimatedRun.of(architecture, views)
    numbers = warm_up * channels
    # What each number of the context adds to the state with which it begins.
    unit = torch.eye(numbers, dtype=torch.float64).expand(members, -1, -1)
    state = run.states(run.rows(warm_up), unit).transpose(1, 2)
    power = torch.linalg.matrix_power(run.transition, warm_up)
    read = context
    if scale:
        mean, std = (graph.add("Unsqueeze", s, graph.constant([2], np.int64)) for s in scale)
        read = graph.add("Div", graph.add("Sub", context, mean), std)
    offset = graph.constant(run.offset.unsqueeze(1).numpy())
    deviations = graph.shaped(
        graph.add("Sub", graph.cast(read, DOUBLE), offset), [members, batch, numbers]
    )
    start = graph.add("MatMul", deviations, graph.constant((state @ power).numpy()))
    transition, readout = (
        graph.constant(m.contiguous().numpy()) for m in (run.transition, run.readout)
    )

    def body(inner: Graph, _number: str, carried: list[str]) -> _Carried:
        output = inner.add("MatMul", carried[0], readout)
        return [inner.add("MatMul", carried[0], transition)], [output]

    _, outputs = graph.loop(horizon, [start], body, DOUBLE)
    made = graph.add("Add", graph.add("Transpose", outputs, perm=[1, 2, 0, 3]), offset)
    if scale:
        mean, std = (graph.cast(own, DOUBLE) for own in (mean, std))
        made = graph.add("Add", graph.add("Mul", made, std), mean)
    return made


def _instance_scale(graph: Graph, context: str, level: str) -> list[str]:
    """Level and standard deviation of a context, `[member, batch, channel]` each."""
    time = graph.constant([2], np.int64)
    mean = graph.add("ReduceMean", context, time, keepdims=1)
    centred = graph.add("Sub", context, mean)
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), time, keepdims=1)
    std = graph.add("Sqrt", graph.add("Add", variance, graph.constant(EPSILON, np.float32)))
    taken_off = graph.cut(context, 2, -1) if level == "last" else mean
    return [graph.add("Squeeze", own, time) for own in (taken_off, std)]


def _bounded(graph: Graph, forecast: str) -> str:
    """A forecast within the bounds of free runs; what is no number is at the bound."""
    bound = graph.constant(RUN_BOUND, np.float32)
    number = graph.add("Where", graph.add("IsNaN", forecast), bound, forecast)
    return graph.add("Clip", number, graph.constant(-RUN_BOUND, np.float32), bound)


def _folded(graph: Graph, forecaster: Forecaster, context: str) -> str:
    """A context `[member, batch, time, channel]` as segments `[position, member, batch, width]`."""
    segment, channels = forecaster.architecture.segment_steps, forecaster.channels
    apart = graph.shaped(context, [0, 0, -1, segment, channels])
    ordered = graph.add("Transpose", apart, perm=[2, 0, 1, 3, 4])
    return graph.shaped(ordered, [0, 0, 0, segment * channels])


def _unfolded(graph: Graph, forecaster: Forecaster, outputs: str) -> str:
    """The inverse of `_folded`."""
    segment, channels = forecaster.architecture.segment_steps, forecaster.channels
    apart = graph.shaped(outputs, [0, 0, 0, segment, channels])
    ordered = graph.add("Transpose", apart, perm=[1, 2, 0, 3, 4])
    return graph.shaped(ordered, [0, 0, -1, channels])


def _whole_times(graph: Graph, count: str, size: int) -> str:
    """How many times a size goes into a count, rounded up."""
    if size == 1:
        return count
    rounded = graph.add("Add", count, graph.constant(size - 1, np.int64))
    return graph.add("Div", rounded, graph.constant(size, np.int64))


def _length(graph: Graph, values: str) -> str:
    """The length of the first axis, `[]`."""
    return graph.shaped(graph.add("Shape", values, start=0, end=1), [])

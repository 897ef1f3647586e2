"""One network written plainly, for autograd in float64: what the hand-written code must agree with.

Its free run, and teacher forcing over the same steps.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from models.network.architecture import Architecture
from models.tensors import CLIP_STD
from tests.models.network.cells.reference_cells import FURTHER_CELLS

Weights = dict[str, Tensor]  # one member's parameters by name, without a member axis


def read(cell: str, w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """The state of one layer after reading x `[batch, inputs]`; the output is its beginning."""
    if cell in FURTHER_CELLS:
        return FURTHER_CELLS[cell](w, x, state)
    if cell == "rnn":
        return torch.tanh(x @ w["input"] + state @ w["recurrent"] + w["bias"])
    if cell == "lru":
        eigenvalues = torch.exp(-torch.exp(w["nu"]) + 1j * torch.exp(w["theta"]))
        real, imaginary = state.chunk(2, dim=1)
        from_real, from_imaginary = (x @ w["input"]).chunk(2, dim=1)
        modes = eigenvalues * torch.complex(real, imaginary)
        modes = modes + torch.complex(from_real, from_imaginary)
        return torch.cat([modes.real, modes.imag], dim=1)
    if cell == "gru":
        of_x = (x @ w["input"] + w["input_bias"]).chunk(3, dim=1)
        of_h = (state @ w["recurrent"] + w["recurrent_bias"]).chunk(3, dim=1)
        reset, update = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
        return (1 - update) * torch.tanh(of_x[2] + reset * of_h[2]) + update * state
    hidden, memory = state.chunk(2, dim=1)
    sums = (x @ w["input"] + hidden @ w["recurrent"] + w["bias"]).chunk(4, dim=1)
    write, keep, out = (torch.sigmoid(s) for s in sums[:3])
    memory = keep * memory + write * torch.tanh(sums[3])
    return torch.cat([out * torch.tanh(memory), memory], dim=1)


class Network:
    """One network that carries its states from call to call.

    masks, state_noise: those of each call and layer, or None. tops: the top layer's output at each
    call. is_fresh: whether the states are zero and undisturbed.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Weights,
        batch: int,
        masks: Tensor | None = None,
        state_noise: Tensor | None = None,
    ) -> None:
        self.architecture, self.weights, self.batch = architecture, weights, batch
        self.masks, self.state_noise = masks, state_noise
        self.tops: list[Tensor] = []
        self.forget()

    def forget(self) -> None:
        cell = self.architecture.cell
        width = cell.units * (2 if cell.name in ("lstm", "lru", "cornn", "lem") else 1)
        layers = range(self.architecture.layers)
        self.states = [torch.zeros(self.batch, width).double() for _ in layers]
        self.is_fresh = True

    def __call__(self, value: Tensor, beside: Tensor | None = None) -> Tensor:
        """Read a segment `[batch, number]`, or a window of them, and forecast the next one.

        beside: known columns that are read beside the values.
        """
        read = value if beside is None else torch.cat([value, beside], dim=1)
        if self.architecture.read_in == "none":
            return self.step(read, value)
        x = read @ self.weights["read_in.weight"] + self.weights["read_in.bias"]
        return self.step(torch.relu(x) if self.architecture.read_in == "relu" else x, value)

    def decode(self, number: int, newest: Tensor) -> Tensor:
        """Forecast the segment `number` after the newest one that was read."""
        embedding = self.weights["decoder.embedding"][number]
        return self.step(embedding.expand(self.batch, -1), newest)

    def step(self, x: Tensor, value: Tensor) -> Tensor:
        """Read x `[batch, number]`; an increment is added to the end of the value."""
        a = self.architecture
        fixed = {k.split(".")[1]: w.detach() for k, w in self.weights.items() if "fixed." in k}
        outputs: list[Tensor] = []
        for i in range(a.layers):
            before = self.states[i]
            if self.state_noise is not None and not self.is_fresh:
                before = before + self.state_noise[len(self.tops), i]
            self.states[i] = read(a.cell.name, self.of(f"cell.{i}.") | fixed, x, before)
            width = None if a.cell.name == "lru" else a.cell.units
            outputs.append(self.states[i][:, :width])
            x = outputs[i]
            if a.has_layer_norm:
                w = self.of(f"norm.{i}.")
                x = layer_norm(x, x.shape[1:], w["gain"][0], w["bias"][0])
            x = x if self.masks is None else x * self.masks[len(self.tops), i]
        self.tops.append(outputs[-1])
        self.is_fresh = False
        for i in range(a.head_layers + 1):
            x = x @ self.weights[f"head.{i}.weight"] + self.weights[f"head.{i}.bias"]
            x = torch.tanh(x) if i < a.head_layers else x
        if a.scaled_increments or a.autoregression != "none":
            x = x * fixed["increment_std"]
        if not a.residual:
            return x
        channels = x.shape[1] // a.segment_steps
        return x + value[:, -channels:].repeat(1, a.segment_steps)

    def of(self, prefix: str) -> Weights:
        """The weights whose names begin so."""
        return {k.removeprefix(prefix): w for k, w in self.weights.items() if k.startswith(prefix)}


@dataclass
class Found:
    """Forecasts by position, and what the top layer put out for each.

    Forecasts of the warm-up's own values are among them where a state is carried.
    """

    forecasts: dict[int, Tensor]
    tops: dict[int, Tensor]


@dataclass
class Forced:
    """How much of the truth `[time, batch, channel]` a free run reads, `[segment, batch, 1]`.

    Its first `pushforward` steps are without a gradient; or all that is fed back, if `detached`.
    """

    truth: Tensor
    shares: Tensor
    pushforward: int
    detached: bool


def run_network(
    network: Network,
    context: Tensor,
    steps: int,
    output_noise: Tensor | None = None,
    feedback_noise: Tensor | None = None,
    truth: Tensor | None = None,
    forced: Forced | None = None,
    displacement: float = 0.0,
    exogenous: Tensor | None = None,
) -> Found:
    """Free run after a context `[time, batch, channel]`; with the truth, teacher forcing.

    Noise and truth `[time, batch, channel]` are over warm-up and rollout, in whole segments. The
    displacement is that of the last value read before the rollout; units are those of the context
    as it was. exogenous: known columns `[time, batch, column]` of context and rollout.
    """
    architecture, segment = network.architecture, network.architecture.segment_steps

    def folded(values: Tensor) -> list[Tensor]:
        return [torch.cat(list(part), dim=1) for part in values.split(segment)]

    found, mean, std = Found({}, {}), torch.zeros(()), torch.ones(())
    if architecture.instance_level is not None:
        taken_off = context[-1] if architecture.instance_level == "last" else context.mean(0)
        mean = taken_off.repeat(1, segment)
        std = (context.var(0, correction=0) + 1e-5).sqrt().repeat(1, segment)
    context = torch.cat([context[:-1], context[-1:] + displacement])
    known, warm_up = folded(context), len(context) // segment
    truths = None if truth is None else folded(truth)
    forced_truths = None if forced is None else folded(forced.truth)
    on_output, on_feedback = (
        None if noise is None else folded(noise) for noise in (output_noise, feedback_noise)
    )

    def ahead(positions: range) -> Tensor | None:
        """The known columns of the segments behind some positions."""
        if exogenous is None:
            return None
        rows = [s for p in positions for s in range((p + 1) * segment, (p + 2) * segment)]
        return torch.cat([exogenous[min(row, len(exogenous) - 1)] for row in rows], dim=1)

    def autoregression_of(position: int) -> Tensor:
        """What a fixed autoregression forecasts, less the level that the network's output has."""
        first = position - architecture.autoregressive_steps // segment
        if architecture.autoregression == "none" or first < 0:
            return torch.zeros(())
        # [channel, lag, step]
        coefficients = network.weights["fixed.autoregression"].detach()
        channels, lags, _ = coefficients.shape
        by_lag = torch.cat(known[first:position], dim=1).unflatten(1, (lags, channels))
        forecast = torch.einsum("blc,clv->bvc", by_lag, coefficients)
        return forecast.flatten(1) - mean

    def scaled(values: list[Tensor]) -> Tensor:
        return torch.cat([(value - mean) / std for value in values], dim=1)

    def emit(position: int, forecast: Tensor) -> None:
        forecast = forecast * std + mean + autoregression_of(position)
        forecast = forecast if on_output is None else forecast + on_output[position]
        # A single value is kept as it is, so that later ones can be differentiated by it.
        parts = [forecast] if segment == 1 else forecast.chunk(segment, dim=1)
        for number, value in enumerate(parts):
            found.forecasts[position * segment + number] = value
            found.tops[position * segment + number] = network.tops[-1]
        if position < warm_up:
            return
        fed_back = forecast.clamp(-CLIP_STD, CLIP_STD)
        if on_feedback is not None:
            fed_back = fed_back + on_feedback[position]
        if forced is not None and forced_truths is not None:
            step = position - warm_up
            if forced.detached or step < forced.pushforward:
                fed_back = fed_back.detach()
            share = forced.shares[step]
            fed_back = (1 - share) * fed_back + share * forced_truths[position]
        if architecture.autonomous:
            fed_back = torch.zeros_like(forecast) + mean  # what is read as zero
        known.append(fed_back if truths is None else truths[position])

    rollout = -(-steps // segment)
    if architecture.parallel_segments is not None:
        for done in range(0, rollout, architecture.parallel_segments):
            end, first = warm_up + done, done
            if architecture.has_state and done > 0:
                first = end - architecture.parallel_segments
            else:
                network.forget()
            for position in range(first, end):
                network(scaled([known[position]]))
            states = network.states
            for number in range(min(architecture.parallel_segments, rollout - done)):
                network.states = list(states)
                emit(end + number, network.decode(number, scaled([known[end - 1]])))
            network.states = list(states)
        return found
    for position in range(1, warm_up + rollout):
        first = max(position - warm_up, 0)
        window = known[first:position]
        if architecture.has_state:
            if forced is not None and position == warm_up + forced.pushforward > warm_up:
                network.states = [state.detach() for state in network.states]
            emit(position, network(scaled(window[-1:]), ahead(range(position - 1, position))))
        elif position >= warm_up:
            network.forget()
            count = len(window) if architecture.cell.name == "mlp" else 1
            reads = [
                network(scaled(window[i : i + count]), ahead(range(first + i, first + i + count)))
                for i in range(0, len(window), count)
            ]
            emit(position, reads[-1])
    return found

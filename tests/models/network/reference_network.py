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

    def __call__(self, value: Tensor) -> Tensor:
        """Read a value `[batch, channel]`, or a window of them, and forecast the next one."""
        a, x = self.architecture, value
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
        if a.scaled_increments:
            x = x * fixed["increment_std"]
        return x + value[:, -x.shape[1] :] if a.residual else x

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
    """How much of the truth `[time, batch, channel]` a free run reads, `[rollout, batch, 1]`.

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
) -> Found:
    """Free run after a context `[time, batch, channel]`; with the truth, teacher forcing.

    Noise and truth `[time, batch, channel]` are over warm-up and rollout. The displacement is that
    of the last value read before the rollout; units are those of the context as it was.
    """
    architecture, warm_up = network.architecture, len(context)
    known, found = list(context), Found({}, {})
    mean, std = torch.zeros(()), torch.ones(())
    if architecture.has_instance_norm:
        mean, std = context.mean(0), (context.var(0, correction=0) + 1e-5).sqrt()
    known[-1] = known[-1] + displacement

    def scaled(values: list[Tensor]) -> Tensor:
        return torch.cat([(value - mean) / std for value in values], dim=1)

    def emit(position: int, forecast: Tensor) -> None:
        forecast = forecast * std + mean
        forecast = forecast if output_noise is None else forecast + output_noise[position]
        found.forecasts[position], found.tops[position] = forecast, network.tops[-1]
        if position < warm_up:
            return
        fed_back = forecast.clamp(-CLIP_STD, CLIP_STD)
        if feedback_noise is not None:
            fed_back = fed_back + feedback_noise[position]
        if forced is not None:
            step = position - warm_up
            if forced.detached or step < forced.pushforward:
                fed_back = fed_back.detach()
            share = forced.shares[step]
            fed_back = (1 - share) * fed_back + share * forced.truth[position]
        if architecture.autonomous:
            fed_back = torch.zeros_like(forecast) + mean  # what is read as zero
        known.append(fed_back if truth is None else truth[position])

    for position in range(1, warm_up + steps):
        window = known[max(position - warm_up, 0) : position]
        if architecture.has_state:
            if forced is not None and position == warm_up + forced.pushforward > warm_up:
                network.states = [state.detach() for state in network.states]
            emit(position, network(scaled(window[-1:])))
        elif position >= warm_up:
            network.forget()
            reads = [window] if architecture.cell.name == "mlp" else [[x] for x in window]
            emit(position, [network(scaled(values)) for values in reads][-1])
    return found

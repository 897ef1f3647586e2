"""One step of each further cell, written as its paper has it, for autograd in float64.

Column vectors of the papers are rows here, so their matrices stand transposed on the right.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Weights = dict[str, Tensor]  # one member's parameters and knobs by name, without a member axis


def cornn(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """Rusch & Mishra (2021), eq. 3, solved for z_n where the damping is taken at n."""
    y, z = state.chunk(2, dim=1)
    dt, gamma, epsilon = w["cornn_step"], w["cornn_stiffness"], w["cornn_damping"]
    w_y, w_z = w["recurrent"].chunk(2)
    force = torch.tanh(y @ w_y + z @ w_z + x @ w["input"] + w["bias"])
    z = (z + dt * force - dt * gamma * y) / (1 + dt * epsilon)
    return torch.cat([y + dt * z, z], dim=1)


def lem(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """Rusch et al. (2022), eq. 3."""
    y, z = state.chunk(2, dim=1)
    from_x = (x @ w["input"] + w["bias"]).chunk(4, dim=1)
    from_y = (y @ w["recurrent"]).chunk(3, dim=1)
    dt_z = w["lem_step"] * torch.sigmoid(from_y[0] + from_x[0])
    dt_y = w["lem_step"] * torch.sigmoid(from_y[1] + from_x[1])
    z = (1 - dt_z) * z + dt_z * torch.tanh(from_y[2] + from_x[2])
    y = (1 - dt_y) * y + dt_y * torch.tanh(z @ w["memory"] + from_x[3])
    return torch.cat([y, z], dim=1)


def antisymmetric(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """Chang et al. (2019), with diffusion and without gates."""
    weight = w["recurrent"]
    matrix = weight - weight.T - w["antisymmetric_diffusion"] * torch.eye(len(weight))
    return state + w["antisymmetric_step"] * torch.tanh(state @ matrix + x @ w["input"] + w["bias"])


def orthogonal(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """Mhammedi et al. (2017), with the modReLU of Helfrich et al. (2018)."""
    for u in w["vectors"]:
        state = state - 2 * torch.outer(state @ u, u) / (u @ u)
    total = state + x @ w["input"]
    return torch.sign(total) * torch.relu(total.abs() + w["threshold"])


def shplrnn(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """Hess et al. (2023), with the input's term C s_t."""
    hidden = torch.relu(state @ w["expand"] + w["expand_bias"])
    return state * w["diagonal"] + hidden @ w["contract"] + w["bias"] + x @ w["input"]


def mlp(w: Weights, x: Tensor, state: Tensor) -> Tensor:
    """A fully connected layer; the state leads to nothing."""
    return torch.tanh(x @ w["input"] + w["bias"]) + 0 * state


FURTHER_CELLS: dict[str, Callable[[Weights, Tensor, Tensor], Tensor]] = {
    "cornn": cornn,
    "lem": lem,
    "antisymmetric": antisymmetric,
    "orthogonal": orthogonal,
    "shplrnn": shplrnn,
    "mlp": mlp,
}

"""The gradient of a cohort's objective where states are estimated by least squares, by a kernel."""

import numpy as np
import torch

from models.network.forecaster import Forecaster
from models.network.kernels.estimated_layout import EstimatedLayout
from models.network.kernels.estimated_members import run
from models.network.kernels.given import BACKWARD, ERRORS, FORWARD, Given, array, nothing
from models.tensors import MemberParameter
from models.training.batches import Batches, Chance
from models.training.fused_gradient import of_all_steps, with_chance
from models.training.objective import Objective


class EstimatedGradient:
    """What `LinearGradient` computes, on the CPU, for architectures of `has_estimate_kernel`.

    One member after the other, so that its numbers depend on nothing but its own, and in double
    precision. Losses beside squared errors are taken by torch, for all members at once.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        weights: MemberParameter,
        grads: MemberParameter,
        batches: Batches,
        objective: Objective,
    ) -> None:
        self.batches, self.objective = batches, objective
        shape, starts = batches.subsequences.shape, batches.subsequences.starts
        noises = zip(("input", "feedback", "output", "label"), batches.noises, strict=True)
        used = {f"has_{n}_noise": int(d.is_used) for n, d in noises if n != "feedback"}
        self.layout = EstimatedLayout.of(
            forecaster,
            batch=starts.shape[2],
            warm_up=shape.warm_up,
            steps=shape.steps,
            true_steps=shape.steps,
            one_step_from=shape.one_step_from,
            **used,
        )
        members, batch = len(weights), starts.shape[2]
        member = np.arange(members, dtype=np.int64)
        self.fixed = nothing()._replace(
            weights=weights.numpy(),
            grads=grads.numpy(),
            series=array(batches.values.flatten(1), 2),
            sources=np.repeat(member[:, np.newaxis], batch, axis=1),
            **of_all_steps(batches, objective),
            displaced=np.zeros(1, dtype=np.float32),
        )
        self.memory = np.zeros((members if objective.loss_weights else 1, self.layout.size))

    def add(self, chance: Chance, step: int) -> None:
        """Put the gradient of optimiser step `step` in the place of the last one."""
        objective = self.objective
        given = with_chance(self.fixed, chance)
        if not objective.loss_weights:
            self._run(FORWARD + ERRORS + BACKWARD, step, given)
            return
        targets = self.batches.batch(step, chance).targets
        # Zero before the first step that is put out, where errors have no weight.
        outputs = torch.zeros_like(targets.transpose(0, 1), memory_format=torch.contiguous_format)
        self._run(FORWARD, step, given._replace(outputs=outputs.numpy()))
        # As in `FusedGradient`, the kernel takes squared errors for all members.
        beside = objective.gradient_beside_errors(
            outputs.transpose(0, 1).unsqueeze(2), targets, step
        )
        d_outputs = array(beside.squeeze(2).transpose(0, 1), 4)
        self._run(ERRORS + BACKWARD, step, given._replace(d_outputs=d_outputs))

    def _run(self, tasks: int, step: int, given: Given) -> None:
        run(tasks, step, self.memory, self.layout.record, given)

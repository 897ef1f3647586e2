"""The gradient of a cohort's objective by compiled kernels, one member after the other."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.network.forecaster import Forecaster
from models.network.kernels.given import BACKWARD, ERRORS, FORWARD, Given, array, nothing
from models.network.kernels.layout import Layout
from models.network.kernels.members import run
from models.tensors import CLIP_STD, MemberParameter
from models.training.batches import Batches, Chance
from models.training.losses.growth import DISPLACEMENT
from models.training.objective import Objective
from models.training.subsequence import training_plan
from models.training.trained_network import TrainedNetwork


class FusedGradient:
    """What `UnrolledGradient` computes, on the CPU, for architectures that kernels cover.

    A member's numbers depend on nothing but its own. Where its squared errors are all that is
    minimised, it goes forwards and back while its memory is in the processor's caches; further
    losses are taken by torch between the two, for all members at once.

    masks, state_noise, stream_state: as `UnrolledGradient` has them.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        candidate: TrainedNetwork,
        weights: MemberParameter,
        grads: MemberParameter,
        batches: Batches,
        objective: Objective,
        masks: Tensor | None,
        state_noise: Tensor | None,
        stream_state: Tensor | None,
    ) -> None:
        self.batches, self.objective = batches, objective
        self.batch, self.branches = candidate.optimiser.batch_size, candidate.branches
        forcing, is_displaced = batches.forcing, candidate.free_branches > 1
        self.is_split = bool(objective.loss_weights) or is_displaced
        self.is_matched = objective.is_over_rollout and bool(objective.match.any())
        steps = training_plan(candidate)
        self.layout = Layout.of(
            forecaster,
            steps,
            keeps=1,
            batch=self.batch,
            branches=self.branches,
            own=candidate.free_branches * self.batch,
            is_over_rollout=int(objective.is_over_rollout),
            has_masks=int(masks is not None),
            has_state_noise=int(state_noise is not None),
            has_shares=int(any(forcing.schedules)),
            has_match=int(self.is_matched),
            has_stream=int(stream_state is not None),
            **_lengths(batches),
        )
        member = np.arange(len(weights), dtype=np.int64)
        displaced = [DISPLACEMENT if is_displaced and b == 1 else 0.0 for b in range(self.branches)]
        self.fixed = nothing()._replace(
            weights=weights.numpy(),
            grads=grads.numpy(),
            series=array(batches.values.flatten(1), 2),
            sources=np.repeat(member[:, np.newaxis], self.batch, axis=1),
            exogenous=array(batches.exogenous, 3),
            masks=array(masks, 5),
            state_noise=array(state_noise, 5),
            **of_all_steps(batches, objective),
            passes=array(forcing.passes().transpose(0, 1), 4),
            cuts=array(self._cuts(len(steps), candidate), 4),
            stream=array(stream_state, 4),
            displaced=np.array(displaced, dtype=np.float32),
            bound=np.array([CLIP_STD], dtype=np.float32),
        )
        rows = len(weights) if self.is_split else 1
        self.memory = np.zeros((rows, self.layout.size), dtype=np.float32)

    def add(self, chance: Chance, step: int) -> None:
        """Put the gradient of optimiser step `step` in the place of the last one."""
        objective = self.objective
        given = with_chance(self.fixed, chance)
        match = objective.match_weights(step) if self.is_matched else None
        if match is not None:
            given = given._replace(match=array(match.squeeze(4).transpose(0, 1), 4))
        if not self.is_split:
            self._run(FORWARD + ERRORS + BACKWARD, step, given)
            return
        targets = self.batches.batch(step, chance).targets
        times, members, _, channels = targets.shape
        outputs = torch.empty(members, times, self.branches * self.batch, channels)
        given = given._replace(outputs=outputs.numpy())
        self._run(FORWARD, step, given)
        by_branch = outputs.transpose(0, 1).unflatten(2, (self.branches, self.batch))
        # Squared errors are taken by the kernel, also beside other losses: a member's numbers must
        # not depend on what others are trained with.
        beside = objective.gradient_beside_errors(by_branch, targets, step)
        d_outputs = array(beside.flatten(2, 3).transpose(0, 1), 4)
        self._run(ERRORS + BACKWARD, step, given._replace(d_outputs=d_outputs))

    def _run(self, tasks: int, step: int, given: Given) -> None:
        own = self.layout
        run(tasks, step, self.memory, own.unroll, own.matrices, own.steps, own.runs, given)

    def _cuts(self, steps: int, candidate: TrainedNetwork) -> Tensor:
        """Zero where the gradient of a state ends: before the last value forecast without one."""
        pushforward = self.batches.forcing.pushforward.tolist()
        cuts = torch.ones(len(pushforward), steps, 1, 1)
        # A window's state is made anew for each forecast, and its gradient ends there anyway.
        if candidate.architecture.has_state:
            warm_up = int(self.layout.unroll["warm_up"][0])
            for member, pushed in enumerate(pushforward):
                if pushed > 0:
                    cuts[member, warm_up - 1 + pushed] = 0.0
        return cuts


def of_all_steps(batches: Batches, objective: Objective) -> dict[str, Any]:
    """What kernels are given of all steps of the optimiser at once."""
    drawn = batches.subsequences
    factors = batches.factors.factors if batches.factors.is_used else torch.ones(drawn.starts.shape)
    terms = torch.stack([objective.pushforward, objective.teacher_share], dim=1)
    return {
        "starts": drawn.starts.contiguous().numpy(),
        "backwards": drawn.backwards.contiguous().numpy(),
        "fresh": drawn.fresh.contiguous().numpy(),
        "factors": array(factors, 3),
        "horizons": array(objective.horizons, 2),
        "terms": array(terms, 2),
    }


def with_chance(given: Given, chance: Chance) -> Given:
    """The same with the noise of an optimiser step."""
    return given._replace(
        input_noise=array(chance.input_noise, 4),
        label_noise=array(chance.label_noise, 4),
        feedback_noise=array(chance.feedback_noise, 4),
        output_noise=array(chance.output_noise, 4),
        shares=array(None if chance.forced is None else chance.forced.transpose(0, 1), 4),
    )


def _lengths(batches: Batches) -> dict[str, int]:
    """What a layout takes from the subsequences and their noises."""
    shape = batches.subsequences.shape
    noises = ("input", "feedback", "output", "label")
    return {
        "warm_up": shape.warm_up // shape.segment,
        "positions": shape.whole_steps // shape.segment,
        "true_steps": shape.steps,
        "known_steps": shape.steps,
        "one_step_from": shape.one_step_from,
        **{f"has_{n}_noise": int(d.is_used) for n, d in zip(noises, batches.noises, strict=True)},
    }

"""AdamW for a population: every member has its own rate, decay, clipping and schedule."""

from collections.abc import Sequence
from math import isfinite

from models.methods import Ablation, Method, MethodSet, Stage, choice, setting
from models.methods.condition import TRAINED
from models.methods.values import STEPS, Choices, FloatRange, Real, Whole
from models.tensors import MemberParameter, PerMember, Tensor, torch

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
# Added to the norm of a gradient where it is clipped, as torch does.
NORM_EPSILON = 1e-6


class Optimiser(
    Method, name="optimiser", label="AdamW", source="Loshchilov & Hutter (2019)", rank=300
):
    """AdamW with gradient clipping; number of steps; batch size."""

    kind = "optimiser"
    stage = Stage.OPTIMISER
    applies = TRAINED
    is_always_there = True

    learning_rate: float = setting(
        Real(1e-9, 100), FloatRange(2e-3, 5e-2, log=True), "The learning rate."
    )
    weight_decay: float = setting(
        Real(0, 100),
        FloatRange(1e-5, 3e-1, log=True),
        "The weight decay: a step shrinks a weight by learning rate times this.",
        neutral=0.0,
        without="none",
    )
    clip_norm: float = setting(
        Real(1e-9, 1e9),
        Choices((1.0,)),
        "The norm to which a larger gradient is scaled down.",
        without=Ablation("none", {"clip_norm": 1e9}, name="clipping"),
    )
    schedule: str = choice(
        ("constant", "cosine"),
        "Whether the learning rate stays, or falls to zero along half a cosine.",
        default=Choices(("cosine",)),
        without="a constant learning rate",
    )
    training_steps: int = setting(
        STEPS, Choices((300, 600)), "Steps of the optimiser.", shared=True
    )
    batch_size: int = setting(
        Whole(1, 4096),
        Choices((8, 16)),
        "Subsequences of the training span in each step of the optimiser.",
        shared=True,
    )


class AdamW(PerMember):
    """Kingma & Ba (2015) with decoupled weight decay (Loshchilov & Hutter 2019, alg. 2).

    Everything is done in place: fresh memory would cost more than the arithmetic.

    Where `trained` (shaped like the weights) is zero a weight keeps its value, and one elsewhere.
    The gradient of each member is clipped to its own norm first. A member whose gradient is not
    finite keeps its weights and moments for that step: a diverged network must not stop its
    cohort, and has a finite, bad score.

    In single precision on the CPU compiled code takes the step, in one pass.
    """

    by_member = (
        "rates",
        "decay",
        "clip_norm",
        "trained",
        "first_moment",
        "second_moment",
    )

    def __init__(
        self, candidates: Sequence[MethodSet], weights: MemberParameter, trained: MemberParameter
    ) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=weights.dtype, device=weights.device).unsqueeze(1)

        own = [candidate[Optimiser] for candidate in candidates]
        steps = own[0].training_steps
        # A zero-based cosine: the first step has the full rate, the step after the last none.
        angles = torch.tensor([torch.pi * step / steps for step in range(steps)])
        cosine = (0.5 * (1.0 + torch.cos(angles))).to(weights)
        is_cosine = torch.tensor([o.schedule == "cosine" for o in own], device=weights.device)
        shares = torch.where(is_cosine.unsqueeze(1), cosine, torch.ones_like(cosine))
        # Of each step, `[member, step]`.
        self.rates = column([o.learning_rate for o in own]) * shares
        self.clip_norm = column([o.clip_norm for o in own])
        self.trained = trained.contiguous()
        self.decay = column([o.weight_decay for o in own]) * self.trained
        self.first_moment = torch.zeros_like(weights)
        self.second_moment = torch.zeros_like(weights)
        self.steps_done = 0

    def step(self, weights: MemberParameter, grads: MemberParameter) -> None:
        """One update of the weights in place; `grads` `[member, parameter]` may be overwritten.

        Raises IndexError after the last step, ValueError where weights and gradients differ in
        shape from those of the beginning.
        """
        if self.steps_done >= self.rates.shape[1]:
            raise IndexError(f"there are {self.rates.shape[1]} steps of the optimiser")
        if not weights.shape == grads.shape == self.first_moment.shape:
            raise ValueError(
                f"weights and gradients must have the shape {list(self.first_moment.shape)}, but "
                f"got {list(weights.shape)} and {list(grads.shape)}"
            )
        if weights.device.type == "cpu" and weights.dtype == torch.float32:
            self._step_compiled(weights, grads)
            return
        rate = self.rates[:, self.steps_done].unsqueeze(1)
        self.steps_done += 1
        grads.mul_(self.trained)
        norm = torch.linalg.vector_norm(grads, dim=1, keepdim=True)
        # Hardly ever is one not finite, and to copy none of them takes a tenth of the time.
        diverged: Tensor | None = None
        if not isfinite(norm.sum().item()):
            diverged = torch.nonzero(~torch.isfinite(norm[:, 0])).squeeze(1)
        updated = (weights, self.first_moment, self.second_moment)
        before = [] if diverged is None else [values[diverged] for values in updated]
        grads.mul_(torch.clamp(self.clip_norm / (norm + NORM_EPSILON), max=1.0))

        self.first_moment.lerp_(grads, 1.0 - BETA1)
        self.second_moment.mul_(BETA2).addcmul_(grads, grads, value=1.0 - BETA2)
        bias1 = 1.0 - BETA1**self.steps_done
        bias2 = 1.0 - BETA2**self.steps_done
        scale = torch.div(self.second_moment, bias2, out=grads).sqrt_().add_(EPSILON)
        direction = torch.div(self.first_moment, scale, out=grads)
        weights.mul_(1.0 - rate * self.decay)
        weights.addcmul_(direction, rate / bias1, value=-1.0)
        if diverged is not None:
            for values, kept in zip(updated, before, strict=True):
                values[diverged] = kept

    def _step_compiled(self, weights: MemberParameter, grads: MemberParameter) -> None:
        """The same in compiled code, for single precision on the CPU."""
        # Machine code is looked for when it is needed first.
        from models.training.fused_adamw import constants, run

        numbers = (weights, grads, self.trained, self.decay, self.first_moment, self.second_moment)
        each = (self.rates, self.clip_norm)
        step = self.steps_done
        run(step, *(values.numpy() for values in (*numbers, *each)), constants(step))
        self.steps_done += 1

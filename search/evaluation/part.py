"""A part of a cohort: networks that are equally far in training, whose restarts race."""

import math
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import compress

import torch

from models.closed_form.fitting import Fitting
from models.training.trainer import Trainer

# Restarts race: at these shares of training, the worse half of those still running is stopped, so
# that eight cost about as much as two and a half.
RACE_FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
# Training losses are noted at these shares of training, and wherever they are known anyway. A look
# costs about 0.6 of an optimiser step, so the first one a quarter of a percent of all.
NOTED_FRACTIONS = (1 / 32, *RACE_FRACTIONS)


@dataclass(frozen=True)
class Run:
    """Which network a member of the cohort is."""

    candidate: int
    replica: int
    restart: int


class Part:
    """Networks that train together.

    runs: which they are, in the order of the members of `training`. loss_curves: of each
    (candidate, replica), the least training loss by the steps done, which is noted here.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        training: Trainer | Fitting,
        loss_curves: Mapping[tuple[int, int], MutableMapping[int, float]],
    ) -> None:
        self.runs, self.training, self.loss_curves = list(runs), training, loss_curves
        steps = training.total_steps
        self.race_steps = {max(1, round(share * steps)) for share in RACE_FRACTIONS}
        self.noted_steps = {max(1, round(share * steps)) for share in NOTED_FRACTIONS}

    def advance(self, rung_steps: Sequence[int], *, are_scored: bool) -> Iterator[int]:
        """Train on; yield after each step.

        are_scored: whether the losses at rungs are asked for when scores are made there.
        """
        noted = self.noted_steps.difference if are_scored else self.noted_steps.union
        noted_steps = noted(rung_steps)
        for step in self.training:
            if step in self.race_steps and self._has_restarts():
                self._race()
            elif step in noted_steps:
                self.losses()
            yield step

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with the networks at these positions only; at least one."""
        if len(kept) < len(self.runs):
            self.runs = [self.runs[i] for i in kept]
            self.training.keep(kept)

    def split(self, replicas: int) -> "Part | None":
        """Part with the networks of all replicas but so many, the first ones; None for none."""
        rows = [i for i, run in enumerate(self.runs) if run.replica >= replicas]
        if not rows:
            return None
        assert isinstance(self.training, Trainer)
        runs = [self.runs[i] for i in rows]
        others = Part(runs, self.training.part(rows), self.loss_curves)
        self.keep([i for i, run in enumerate(self.runs) if run.replica < replicas])
        return others

    def join(self, other: "Part") -> None:
        """Go on with the networks of another part as well, which has come as far."""
        assert isinstance(self.training, Trainer)
        assert isinstance(other.training, Trainer)
        self.training.join(other.training)
        self.runs += other.runs

    def losses(self) -> list[float]:
        """The training loss of every member; what is no number is worse than any.

        The least of each candidate and replica is noted.
        """
        losses: list[float] = torch.nan_to_num(self.training.loss(), nan=torch.inf).tolist()
        # What is fitted has its loss from its only step, at which other members may be yet.
        is_known, step = [True] * len(losses), self.training.steps_done
        if isinstance(self.training, Fitting):
            is_known, step = self.training.fitted, self.training.total_steps
        for run, loss in compress(zip(self.runs, losses, strict=True), is_known):
            curve = self.loss_curves[run.candidate, run.replica]
            curve[step] = min(loss, curve.get(step, math.inf))
        return losses

    def choose(self, replicas: int) -> tuple[dict[tuple[int, int], int], list[float]]:
        """The member kept of each (candidate, replica), and the training loss of every member.

        replicas: how many of them count, the first ones.
        """
        losses = self.losses()
        chosen: dict[tuple[int, int], int] = {}
        for i, run in enumerate(self.runs):
            if run.replica >= replicas:
                continue
            best = chosen.get((run.candidate, run.replica))
            if best is None or losses[i] < losses[best]:
                chosen[run.candidate, run.replica] = i
        return chosen, losses

    def _has_restarts(self) -> bool:
        return len({(run.candidate, run.replica) for run in self.runs}) < len(self.runs)

    def _race(self) -> None:
        """Stop the worse half of each replica's restarts, by training loss."""
        restarts: dict[tuple[int, int], list[int]] = {}
        for i, run in enumerate(self.runs):
            restarts.setdefault((run.candidate, run.replica), []).append(i)
        losses = self.losses()
        kept: list[int] = []
        for rivals in restarts.values():
            # Ties go to the restart with the lower number.
            best = sorted(rivals, key=lambda i: (losses[i], self.runs[i].restart))
            kept += best[: (len(best) + 1) // 2]
        self.keep(sorted(kept))

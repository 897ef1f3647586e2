"""Candidates trained as one cohort on their replicas, scored at rungs."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from models.candidate import Candidate, free_run, learner_of, member_bytes
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.network.options.covariates import (
    has_known_inputs,
    has_regression,
    reads_known,
    reads_past,
)
from models.network.options.transforms import has_power, lag_of
from models.tensors import in_company
from models.units import Units, units_key
from models.version_1 import seed_key
from search.evaluation.results import CandidateResult, ReplicaResult, replica_result
from search.evaluation.twins import draws_numbers, first_equals
from search.series import FloatArray, Purpose
from search.study.task_data import View

# Restarts race: at these shares of training, the worse half of those still running is stopped, so
# that eight cost about as much as two and a half.
RACE_FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
# Training losses are noted at these shares of training, and wherever they are known anyway. A look
# costs about 0.6 of an optimiser step, so the first one a quarter of a percent of all.
NOTED_FRACTIONS = (1 / 32, *RACE_FRACTIONS)


class Rung(NamedTuple):
    """What is known of the running candidates at one point of training.

    rung: 1, 2, ...; is_last: at the end of training; results by the candidate's position.
    """

    rung: int
    is_last: bool
    results: dict[int, CandidateResult]


@dataclass(frozen=True)
class _Run:
    """Which network a member of the cohort is."""

    candidate: int
    replica: int
    restart: int


class Cohort:
    """Trains (or fits) candidates of one cohort key, each on all views, scored at rungs.

    Iterating yields None after each optimiser step and a `Rung` where one is due; in between,
    candidates may be dropped by their position. Replica r of every candidate sees `views[r]`. All
    views have equally many start points and steps of the horizon.

    What is fitted in closed form has one step. Where it draws no random numbers, it is fitted once
    to views that are equal, and their replicas are equal, too. Where replicas leave out blocks,
    each of them tells as much of a candidate as another: it is fitted replica by replica, and the
    shares of training at which a rung is due are shares of its replicas. Elsewhere it reports at
    the last rung alone.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        views: Sequence[View],
        *,
        study_seed: int,
        purpose: Purpose,
        rung_fractions: Sequence[float] = (1.0,),
        device: str = "cpu",
    ) -> None:
        self.candidates = list(candidates)
        self.views = list(views)
        # Candidates see a replica's training span in their own units, of which there are few kinds.
        kinds = {units_key(candidate): candidate for candidate in self.candidates}
        self.kinds = {key: place for place, key in enumerate(kinds)}
        self.reads_past = reads_past(self.candidates[0])
        # A piece that is no longer than what differences take off it has nothing left to read.
        trained = [_with_longer(view, lag_of(self.candidates[0])) for view in self.views]
        own = [(_units_of(kind, view), view) for kind in kinds.values() for view in trained]
        self.units = Units.joined([units for units, _ in own])
        pieces = [_pieces_read(units, view, self.reads_past) for units, view in own]
        lengths = [[len(piece) for piece in span if len(piece)] for span in pieces]
        self.twins = first_equals(self.views)
        self.runs = [
            _Run(c, replica, restart)
            for c, candidate in enumerate(self.candidates)
            for replica in sorted(set(self._fitted_replicas(candidate)))
            for restart in range(candidate.restarts)
        ]
        self.is_fitted = isinstance(self.candidates[0], FittedForm)
        self.is_by_replica = self.is_fitted and self.views[0].averaging == "geometric mean"
        if self.is_by_replica:
            self.runs.sort(key=lambda run: run.replica)
        self.rung_replicas = [max(1, round(share * len(self.views))) for share in rung_fractions]
        # Of each (candidate, replica) that is scored for good.
        self.scored: dict[tuple[int, int], ReplicaResult] = {}
        members = [
            Member(
                self.candidates[run.candidate],
                self._series(run),
                initialisation_seed(
                    study_seed, purpose, self.candidates[run.candidate], run.replica, run.restart
                ),
            )
            for run in self.runs
        ]
        values = _filled_up([np.concatenate(span) for span in pieces])
        if device == "cpu":
            self._check_memory(values.shape[-1])
        targets = self.views[0].values.shape[1]
        exogenous = None
        if has_known_inputs(self.candidates[0]):
            spans = [_inputs_read(units, view) for units, view in own]
            exogenous = torch.from_numpy(_filled_up(spans))
        self.training = learner_of(
            members, torch.from_numpy(values), device, lengths, targets, exogenous
        )
        steps = self.training.total_steps
        self.rung_steps = [max(1, round(fraction * steps)) for fraction in rung_fractions]
        self.race_steps = {max(1, round(share * steps)) for share in RACE_FRACTIONS}
        self.noted_steps = {max(1, round(share * steps)) for share in NOTED_FRACTIONS}
        # Of each (candidate, replica), the least training loss by the steps done.
        self.loss_curves: dict[tuple[int, int], dict[int, float]] = {
            (run.candidate, run.replica): {} for run in self.runs
        }
        self.seconds = [0.0] * len(self.candidates)

    def _check_memory(self, channels: int) -> None:
        """Raise MemoryError, before anything is made, for what can't fit into this machine."""
        needed = sum(member_bytes(self.candidates[run.candidate], channels) for run in self.runs)
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > there:
            raise MemoryError(
                f"the training must fit into the memory of this machine, {there / 2**30:.1f} GiB, "
                f"but {len(self.runs)} networks need about {needed / 2**30:.3g} GiB; take smaller "
                "ones, shorter rollouts or batches, or fewer replicas"
            )

    def __iter__(self) -> Iterator[Rung | None]:
        clock = perf_counter()
        for step in self.training:
            if step in self.race_steps and self._has_restarts():
                self._race()
            elif step in self.noted_steps and step not in self.rung_steps:
                self._losses()
            clock = self._charge(clock)
            yield None
            clock = perf_counter()
            due = self._due(step)
            if due is not None:
                rung, replicas = due
                results = self._score(replicas)
                self._charge(clock)
                yield Rung(rung, step == self.rung_steps[-1], results)
            clock = perf_counter()

    def _due(self, step: int) -> tuple[int, int] | None:
        """The rung that is due after a step, and how many replicas it scores; None for none."""
        if step in self.rung_steps:
            return sum(due <= step for due in self.rung_steps), len(self.views)
        if not self.is_by_replica:
            return None
        assert isinstance(self.training, Fitting)
        fitted = zip(self.runs, self.training.fitted, strict=True)
        done = min((run.replica for run, is_done in fitted if not is_done), default=0)
        known = max((replica for _, replica in self.scored), default=-1) + 1
        rung, before = (sum(due <= n for due in self.rung_replicas) for n in (done, known))
        return (rung, done) if rung > before else None

    def drop(self, candidates: Sequence[int]) -> None:
        """Stop training the candidates at these positions; at least one must go on."""
        gone = set(candidates)
        kept = [i for i, run in enumerate(self.runs) if run.candidate not in gone]
        self._keep(kept)

    def checkpoint(self, candidate: int = 0) -> Checkpoint:
        """The network of each replica of a candidate, the restart with the least training loss."""
        chosen, _ = self._choose(len(self.views))
        replicas = self._fitted_replicas(self.candidates[candidate])
        rows = [chosen[candidate, replica] for replica in replicas]
        units = self.units.rows([self._series(self.runs[i]) for i in rows])
        architecture = self.candidates[candidate].architecture
        known_shift, known_scale = (
            None if own is None else torch.tensor(own)
            for own in (units.known_shift, units.known_scale)
        )
        return Checkpoint(
            architecture=architecture,
            channels=self.views[0].values.shape[1],
            weights=self.training.scored_weights[rows].cpu(),
            shift=torch.tensor(units.shift),
            scale=torch.tensor(units.scale),
            power=torch.tensor(units.power) if has_power(architecture) else None,
            effects=units.effects if has_regression(architecture) else None,
            past=units.shift.shape[1] - self.views[0].values.shape[1],
            known_shift=known_shift,
            known_scale=known_scale,
        )

    def _fitted_replicas(self, candidate: Candidate) -> list[int]:
        """Of each replica, the one whose network it has: its own, but for equal fits."""
        return [*range(len(self.views))] if draws_numbers(candidate) else self.twins

    def _series(self, run: _Run) -> int:
        """The row of the units, and of the training data in them, that a network sees."""
        kind = self.kinds[units_key(self.candidates[run.candidate])]
        return kind * len(self.views) + run.replica

    def _has_restarts(self) -> bool:
        return len({(run.candidate, run.replica) for run in self.runs}) < len(self.runs)

    def _race(self) -> None:
        """Stop the worse half of each replica's restarts, by training loss."""
        restarts: dict[tuple[int, int], list[int]] = {}
        for i, run in enumerate(self.runs):
            restarts.setdefault((run.candidate, run.replica), []).append(i)
        losses = self._losses()
        kept: list[int] = []
        for rivals in restarts.values():
            # Ties go to the restart with the lower number.
            best = sorted(rivals, key=lambda i: (losses[i], self.runs[i].restart))
            kept += best[: (len(best) + 1) // 2]
        self._keep(sorted(kept))

    def _keep(self, kept: Sequence[int]) -> None:
        if len(kept) < len(self.runs):
            self.runs = [self.runs[i] for i in kept]
            self.training.keep(kept)

    def _losses(self) -> list[float]:
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

    def _charge(self, since: float) -> float:
        """Share the time since a moment among the running candidates, by their networks."""
        now = perf_counter()
        for run in self.runs:
            self.seconds[run.candidate] += (now - since) / len(self.runs)
        return now

    def _choose(self, replicas: int) -> tuple[dict[tuple[int, int], int], list[float]]:
        """The member kept of each (candidate, replica), and the training loss of every member.

        replicas: how many of them are done, the first ones.
        """
        losses = self._losses()
        chosen: dict[tuple[int, int], int] = {}
        for i, run in enumerate(self.runs):
            if run.replica >= replicas:
                continue
            best = chosen.get((run.candidate, run.replica))
            if best is None or losses[i] < losses[best]:
                chosen[run.candidate, run.replica] = i
        return chosen, losses

    def _score(self, replicas_done: int) -> dict[int, CandidateResult]:
        chosen, losses = self._choose(replicas_done)
        new = {key: i for key, i in chosen.items() if key not in self.scored}
        forecasts = self._forecast(list(new.values()))
        found = {
            key: self._replica(self.runs[i], losses[i], forecasts[i]) for key, i in new.items()
        }
        if self.is_by_replica:
            self.scored |= found
            found = {key: self.scored[key] for key in chosen}
        return {
            candidate: CandidateResult(
                replicas=tuple(
                    found[candidate, fitted].as_replica(replica)
                    for replica, fitted in enumerate(
                        self._fitted_replicas(self.candidates[candidate])[:replicas_done]
                    )
                ),
                scored_against=self.views[0].scored_against,
                averaging=self.views[0].averaging,
                parameters=self.training.parameter_count,
                seconds=self.seconds[candidate],
            )
            for candidate in sorted({candidate for candidate, _ in chosen})
        }

    def _forecast(self, members: Sequence[int]) -> dict[int, FloatArray]:
        """The free runs `[start, time, channel]` of some members, in the series' units."""
        # A free run of a closed form is a loop over members, which know nothing of each other.
        rows = list(members) if self.is_fitted else in_company(members)
        units = self.units.rows([self._series(self.runs[i]) for i in rows])
        shown = self.training.warm_up + units.lag
        views = [self.views[self.runs[i].replica] for i in rows]
        contexts = np.stack([v.contexts(shown, with_past=self.reads_past) for v in views])
        before = known = None
        if units.reads_known:
            known = np.stack([v.known_rows(shown, v.horizon_steps) for v in views])
            before = known[:, :, :shown]
        exogenous = units.exogenous(known)
        forecast = free_run(
            self.training.forecaster,
            self.training.scored_weights[rows],
            torch.from_numpy(units.read(contexts, before)),
            self.views[0].horizon_steps,
            exogenous=None if exogenous is None else torch.from_numpy(exogenous),
        )
        values = units.written(forecast.cpu().double().numpy(), contexts, known)
        targets = self.views[0].values.shape[1]
        return {i: values[row, ..., :targets] for row, i in enumerate(members)}

    def _replica(self, run: _Run, training_loss: float, forecast: FloatArray) -> ReplicaResult:
        return replica_result(
            run.replica,
            self.views[run.replica],
            forecast,
            restart=run.restart,
            training_loss=training_loss,
            loss_curve=self.loss_curves[run.candidate, run.replica],
        )


def _with_longer(view: View, steps: int) -> View:
    """The view with those of its pieces that have more than so many steps."""
    longer = tuple(piece for piece in view.pieces if len(piece) > steps)
    return view if longer == view.pieces else replace(view, pieces=longer)


def _units_of(kind: Candidate, view: View) -> Units:
    """The units of a kind of candidate on the training span of a view."""
    pieces = view.stretches(with_past=reads_past(kind))
    past = pieces[0].shape[1] - view.values.shape[1]
    known = view.known_stretches if reads_known(kind) else None
    return Units.of(kind, pieces, known, season=view.season_steps, past=past)


def _pieces_read(units: Units, view: View, with_past: bool) -> list[FloatArray]:
    """The stretches `[time, channel]` of a training span as a candidate reads them."""
    pieces = view.stretches(with_past=with_past)
    rows: Sequence[FloatArray | None] = [None] * len(pieces)
    if units.effects is not None:
        rows = [known[np.newaxis, np.newaxis] for known in view.known_stretches]
    return [
        units.read(piece[np.newaxis, np.newaxis], known)[0, 0]
        for piece, known in zip(pieces, rows, strict=True)
    ]


def _inputs_read(units: Units, view: View) -> FloatArray:
    """The known columns `[time, column]` of a training span as inputs, of the same rows."""
    of_pieces = [units.exogenous(own[np.newaxis, np.newaxis]) for own in view.known_stretches]
    return np.concatenate([own[0, 0] for own in of_pieces if own is not None])


def _filled_up(spans: Sequence[FloatArray]) -> FloatArray:
    """Spans `[time, channel]` as one array, shorter ones filled up with their last values."""
    longest = max(map(len, spans))
    return np.stack([np.pad(own, ((0, longest - len(own)), (0, 0)), "edge") for own in spans])


def initialisation_seed(
    study_seed: int, purpose: Purpose, candidate: Candidate, replica: int, restart: int
) -> int:
    """A 63-bit seed for the initialisation, the subsequences and the noise of one network.

    Neither trial numbers nor workers nor times enter it, so a candidate that is run again, by
    whomever, is the same network. Neutral settings are left out, so that a candidate keeps its seed
    when later versions have settings that it does not use.
    """
    key = [study_seed, purpose, seed_key(candidate, candidate.restarts), replica, restart]
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

"""Candidates trained as one cohort on their replicas, scored at rungs."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from models.candidate import Candidate, free_run, learner_of, member_bytes
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.effects import rows_before
from models.network.options.covariates import (
    has_known_inputs,
    has_regression,
    lags_of_known,
    reads_known,
    reads_past,
)
from models.network.options.transforms import has_power, lag_of
from models.tensors import in_company
from models.training.trainer import Trainer
from models.units import Units, units_key
from models.version_1 import seed_key
from search.evaluation.part import Part, Run
from search.evaluation.results import CandidateResult, ReplicaResult, replica_result
from search.evaluation.twins import draws_numbers, first_equals
from search.series import FloatArray, Purpose
from search.study.task_data import View


class Rung(NamedTuple):
    """What is known of the running candidates at one point of training.

    rung: 1, 2, ...; is_last: at the end of training; results by the candidate's position.
    """

    rung: int
    is_last: bool
    results: dict[int, CandidateResult]


class Cohort:
    """Trains (or fits) candidates of one cohort key, each on all views, scored at rungs.

    Iterating yields None after each optimiser step and a `Rung` where one is due; in between,
    candidates may be dropped by their position. Replica r of every candidate sees `views[r]`. All
    views have equally many start points and steps of the horizon.

    rung_replicas: how many replicas a score at each rung is of, the first ones; they never become
    fewer, and are all at the last rung. None for all at each. Where company makes networks no
    cheaper, the others are trained once their candidate has passed the rung before, up to where it
    stands; elsewhere from the start. Their numbers are the same.

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
        rung_replicas: Sequence[int] | None = None,
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
        runs = [
            Run(c, replica, restart)
            for c, candidate in enumerate(self.candidates)
            for replica in sorted(set(self._fitted_replicas(candidate)))
            for restart in range(candidate.restarts)
        ]
        self.is_fitted = isinstance(self.candidates[0], FittedForm)
        self.is_by_replica = self.is_fitted and self.views[0].leaves_block_out
        if self.is_by_replica:
            runs.sort(key=lambda run: run.replica)
        self.fitted_replicas = [max(1, round(share * len(self.views))) for share in rung_fractions]
        self.rung_replicas = list(rung_replicas or [len(self.views)] * len(rung_fractions))
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
            for run in runs
        ]
        values = _filled_up([np.concatenate(span) for span in pieces])
        if device == "cpu":
            self._check_memory(runs, *values.shape[1:])
        targets = self.views[0].values.shape[1]
        exogenous = None
        if has_known_inputs(self.candidates[0]):
            spans = [_inputs_read(units, view) for units, view in own]
            exogenous = torch.from_numpy(_filled_up(spans))
        training = learner_of(
            members, torch.from_numpy(values), device, lengths, targets, exogenous
        )
        steps = training.total_steps
        self.rung_steps = [max(1, round(fraction * steps)) for fraction in rung_fractions]
        # Of each (candidate, replica), the least training loss by the steps done.
        self.loss_curves: dict[tuple[int, int], dict[int, float]] = {
            (run.candidate, run.replica): {} for run in runs
        }
        # All that trains; replicas that are not wanted yet, as they are before training; and those
        # that catch up.
        self.awake = Part(runs, training, self.loss_curves)
        self.asleep: Part | None = None
        self.waking: Part | None = None
        # A final training has no rungs, so all its replicas train from the start.
        if self.rung_replicas and isinstance(training, Trainer) and training.is_apart:
            self.asleep = self.awake.split(self.rung_replicas[0])
        self.seconds = [0.0] * len(self.candidates)

    def _check_memory(self, runs: Sequence[Run], rows: int, channels: int) -> None:
        """Raise MemoryError, before anything is made, for what can't fit into this machine."""
        columns = self.views[0].known
        known = 0 if columns is None else columns.shape[1]
        needed = sum(
            member_bytes(self.candidates[run.candidate], channels, rows, known) for run in runs
        )
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > there:
            raise MemoryError(
                f"the training must fit into the memory of this machine, {there / 2**30:.1f} GiB, "
                f"but {len(runs)} networks need about {needed / 2**30:.3g} GiB; take smaller "
                "ones, shorter rollouts or batches, or fewer replicas"
            )

    def __iter__(self) -> Iterator[Rung | None]:
        for step in self._advance(self.awake):
            yield None
            due = self._due(step)
            if due is None:
                continue
            rung, replicas = due
            # Before a rung on whose step earlier ones fall as well, nobody has been woken for it.
            yield from self._wake(replicas, step)
            clock = perf_counter()
            results = self._score(replicas)
            self._charge(self.awake, clock)
            is_last = step == self.rung_steps[-1]
            yield Rung(rung, is_last, results)
            if not is_last:
                yield from self._wake(self.rung_replicas[rung], step)

    def _advance(self, part: Part) -> Iterator[int]:
        """Train a part on and yield after each step, its time charged to its candidates."""
        clock = perf_counter()
        for step in part.advance(self.rung_steps, are_scored=part is self.awake):
            self._charge(part, clock)
            yield step
            clock = perf_counter()

    def _wake(self, replicas: int, until: int) -> Iterator[None]:
        """Train replicas that have waited, up to so many, as far as the others have come."""
        if self.asleep is None or all(run.replica >= replicas for run in self.asleep.runs):
            return
        self.waking, self.asleep = self.asleep, self.asleep.split(replicas)
        for step in self._advance(self.waking):
            yield None
            if step == until:
                break
        self.awake.join(self.waking)
        self.waking = None

    def _due(self, step: int) -> tuple[int, int] | None:
        """The rung that is due after a step, and how many replicas it scores; None for none."""
        if step in self.rung_steps:
            rung = sum(due <= step for due in self.rung_steps)
            return rung, self.rung_replicas[rung - 1]
        if not self.is_by_replica:
            return None
        assert isinstance(self.training, Fitting)
        fitted = zip(self.runs, self.training.fitted, strict=True)
        done = min((run.replica for run, is_done in fitted if not is_done), default=0)
        known = max((replica for _, replica in self.scored), default=-1) + 1
        rung, before = (sum(due <= n for due in self.fitted_replicas) for n in (done, known))
        return (rung, done) if rung > before else None

    def drop(self, candidates: Sequence[int]) -> None:
        """Stop training the candidates at these positions; at least one must go on."""
        gone = set(candidates)
        for part in filter(None, (self.awake, self.waking, self.asleep)):
            part.keep([i for i, run in enumerate(part.runs) if run.candidate not in gone])

    @property
    def runs(self) -> list[Run]:
        """Which networks train, as far as others have come."""
        return self.awake.runs

    @property
    def training(self) -> Trainer | Fitting:
        """The training of `runs`."""
        return self.awake.training

    def checkpoint(self, candidate: int = 0) -> Checkpoint:
        """The network of each replica of a candidate, the restart with the least training loss."""
        chosen, _ = self.awake.choose(len(self.views))
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

    def _series(self, run: Run) -> int:
        """The row of the units, and of the training data in them, that a network sees."""
        kind = self.kinds[units_key(self.candidates[run.candidate])]
        return kind * len(self.views) + run.replica

    def _charge(self, part: Part, since: float) -> None:
        """Share the time since a moment among the candidates of a part, by their networks."""
        now = perf_counter()
        for run in part.runs:
            self.seconds[run.candidate] += (now - since) / len(part.runs)

    def _score(self, replicas_done: int) -> dict[int, CandidateResult]:
        chosen, losses = self.awake.choose(replicas_done)
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
            read = shown + units.known_before
            known = np.stack([v.known_rows(read, v.horizon_steps) for v in views])
            before = known[:, :, :read]
        exogenous = units.exogenous(known, shown + self.views[0].horizon_steps)
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

    def _replica(self, run: Run, training_loss: float, forecast: FloatArray) -> ReplicaResult:
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
    known, season = None, view.season_steps
    if reads_known(kind):
        known = view.known_stretches(rows_before(lags_of_known(kind), season))
    groups = view.known_groups
    return Units.of(kind, pieces, known, season=season, past=past, groups=groups)


def _pieces_read(units: Units, view: View, with_past: bool) -> list[FloatArray]:
    """The stretches `[time, channel]` of a training span as a candidate reads them."""
    pieces = view.stretches(with_past=with_past)
    rows: Sequence[FloatArray | None] = [None] * len(pieces)
    if units.effects is not None:
        known_rows = view.known_stretches(units.known_before)
        rows = [known[np.newaxis, np.newaxis] for known in known_rows]
    return [
        units.read(piece[np.newaxis, np.newaxis], known)[0, 0]
        for piece, known in zip(pieces, rows, strict=True)
    ]


def _inputs_read(units: Units, view: View) -> FloatArray:
    """The known columns `[time, column]` of a training span as inputs, of the same rows."""
    of_pieces = [
        units.exogenous(own[np.newaxis, np.newaxis], len(own)) for own in view.known_stretches()
    ]
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

"""Studies whose results are invented: stored as workers store them, without any training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import RandomSampler

from models import checkpoint
from models.candidate import Candidate
from models.diagnostics.scores import score
from models.network.forecaster import Forecaster
from search.evaluation import (
    CandidateResult,
    ReplicaResult,
    baseline_candidates,
    baseline_record,
    baseline_results,
)
from search.export import Claim, Export
from search.plotting.artifacts import trial_artifacts
from search.records import Example, Origin, this_machine, this_versions
from search.running.finishing import failed_trial, finished_trial
from search.running.training import final_record
from search.series import Purpose, Table
from search.storage.records import Proposal, Report
from search.storage.studies import Storage
from search.storage.study_store import StudyStore
from search.study.definition import StudyDefinition
from search.study.space import Space
from search.study.task_data import TaskData, View

SINE: Mapping[str, Any] = {
    "name": "waves",
    "seed": 3,
    "series": {"source": "sine", "angular_frequency": 0.1},
    "task": {"train_steps": 120, "horizon_steps": 40, "test_horizon_steps": 80},
    "search": {"replicas": 2, "final_replicas": 3, "test_draws": 4},
    "space": {
        "cell": ["rnn", "lru"],
        "hidden_units": 4,
        "modes": 2,
        "layers": 1,
        "warm_up_steps": 20,
        "window_steps": 4,
        "rollout_steps": 8,
    },
}
YEARS: Mapping[str, Any] = {
    **SINE,
    "name": "years",
    "series": {"source": "table", "path": "years.csv", "time": "year", "columns": ["spots"]},
    "task": {"train_steps": 60, "horizon_steps": 20, "test_horizon_steps": 10},
}


def years_table(rows: int = 100) -> Table:
    """Yearly values from 1900 on."""
    years = range(1900, 1900 + rows)
    values = np.array([[50 + 40 * np.sin(year / 1.75)] for year in years])
    return Table("year", tuple(map(str, years)), ("spots",), values)


def invented_result(views: list[View], error: float, seed: int) -> CandidateResult:
    """What a candidate might have scored: forecasts are the truth with some noise.

    error: standard deviation of that noise, in standard deviations of the series.
    """
    replicas = []
    for index, view in enumerate(views):
        start, std = view.starts[0], np.sqrt(view.variance)
        truth = view.truth[start : start + view.horizon_steps]
        noise = np.random.default_rng((seed, index)).standard_normal(truth.shape)
        forecast = truth + error * std * noise
        training = view.values[: view.train_steps]
        scores = score(
            forecast[None], truth[None], view.variance, training.mean(axis=0), training.std(axis=0)
        )
        example = Example(index, start, view.values[:start, 0], truth[:, 0], forecast[:, 0])
        verdict = "tracks" if scores.nmse < 0.1 else "off"
        replicas.append(
            ReplicaResult(index, 0, 0.05, {12: 0.2, 400: 0.05}, scores, verdict, example)
        )
    return CandidateResult(tuple(replicas), views[0].scored_against, parameters=99, seconds=1.5)


def some_weights(candidate: Candidate, members: int) -> bytes:
    """A checkpoint of networks as they were initialised."""
    forecaster = Forecaster(candidate.architecture)
    rows = [
        forecaster.initialise(torch.Generator().manual_seed(member)) for member in range(members)
    ]
    scaling = torch.arange(1, members + 1).double()[:, None]
    return checkpoint.save(
        checkpoint.Checkpoint(
            architecture=candidate.architecture,
            channels=1,
            weights=torch.stack(rows),
            shift=scaling - 1,
            scale=scaling,
        )
    )


def made_up_export(raw: Mapping[str, Any], table: Table | None) -> Export:
    """An export that comes from no study."""
    definition = StudyDefinition.model_validate(raw)
    params = Space(definition.space).suggest(
        optuna.create_study(sampler=RandomSampler(seed=2)).ask()
    )
    candidate = definition.full_space().resolve(params)
    return Export(
        study=definition.name,
        subject="trial",
        trial=7,
        candidate=candidate,
        params=params,
        definition=definition,
        claim=Claim("final", 0.2, (0.1, 0.2, 0.3), "signal", 40, "tracks"),
        test=None,
        table=table,
        weights=some_weights(candidate, 3),
        weights_purpose="final",
        versions=this_versions(),
        machine=this_machine(),
    )


@dataclass
class Invented:
    """A study in a storage; `scores` are of its complete trials by their numbers."""

    store: StudyStore
    definition: StudyDefinition
    data: TaskData
    scores: dict[int, float]

    @property
    def space(self) -> Space:
        return Space(self.definition.space)

    def views(self, purpose: Purpose, number: int) -> list[View]:
        return [self.data.view(purpose, index) for index in range(number)]

    def candidate(self, number: int) -> Candidate:
        params = self.store.trial(number).params
        return Space(self.definition.space).resolve(params)

    def add_final(
        self,
        purpose: Purpose,
        errors: Mapping[int, float],
        *,
        weights: bool = True,
        level_shares: Mapping[int, float] | None = None,
        level_is_new: bool = True,
    ) -> None:
        """Finish a final or test job for each trial number; its networks err by `errors`.

        level_shares, level_is_new: see `FinalRecord`. The baselines stand in its record, where
        earlier versions had them.
        """
        search = self.definition.search
        is_test = purpose == "test" and self.definition.series.is_generated
        views = self.views(purpose, search.test_draws if is_test else search.final_replicas)
        ids = {self.store.trial(number)._trial_id: number for number in errors}
        self.store.plan_final_jobs(purpose, sorted(ids))
        worker = self.store.register_worker(host="here", pid=2, machine={})
        found = baseline_results(baseline_candidates(self.data), views)
        while (job := self.store.claim_final_job(worker)) is not None:
            assert job.trial_id is not None
            number = ids[job.trial_id]
            result = invented_result(views, errors[number], seed=100 + number)
            kept = some_weights(self.candidate(number), len(views)) if weights else None
            replica = result.record.example.replica
            beside = {name: baseline_record(own, replica) for name, own in found.items()}
            levels: Any = {
                "level_share": (level_shares or {}).get(number),
                "level_is_new": level_is_new,
            }
            text = final_record(result, baselines=beside, **levels).to_json()
            self.store.finish_final_job(worker, job.job_id, text, kept)
        self.store.leave(worker)


def make_study(
    storage: Storage,
    *trials: tuple[str, float],
    raw: Mapping[str, Any] = SINE,
    table: Table | None = None,
    **changes: Any,
) -> Invented:
    """Make a study with trials: (state, error of its forecasts) in the order of their numbers."""
    definition = StudyDefinition.model_validate({**raw, **changes})
    store = storage.create_study(
        definition.name,
        definition=definition.model_dump_json(),
        definition_hash=definition.identity_hash,
        data=None if table is None else table.to_bytes(),
    )
    study = Invented(store, definition, TaskData(definition, table), {})
    _add_trials(study, trials)
    return study


def _add_trials(study: Invented, trials: tuple[tuple[str, float], ...]) -> None:
    store, space = study.store, Space(study.definition.space)
    sampling = optuna.create_study(sampler=RandomSampler(seed=1))
    sampled = [space.suggest(sampling.ask()) for _ in trials]
    worker = store.register_worker(host="here", pid=1, machine={})
    claimed = store.claim_new(
        worker, [Proposal(params, space.distributions(params), "a") for params in sampled]
    )
    views = study.views("search", study.definition.search.replicas)
    origin = Origin(worker=worker, host="here", machine=this_machine())
    finished = []
    for trial, (state, error) in zip(claimed, trials, strict=True):
        result = invented_result(views, error, seed=trial.number)
        if state == "complete":
            study.scores[trial.number] = result.score
            pictures = trial_artifacts(result, f"trial {trial.number}")
            finished.append(
                finished_trial(trial.trial_id, "complete", result, origin, len(trials), pictures)
            )
        elif state == "pruned":
            store.report(worker, [Report(trial.trial_id, 1, result.score)])
            finished.append(finished_trial(trial.trial_id, "pruned", result, origin, len(trials)))
        elif state == "failed":
            finished.append(failed_trial(trial.trial_id, "it broke", origin))
    store.finish(worker, finished)
    if all(state != "running" for state, _ in trials):
        store.leave(worker)

"""A study of presets that is run to its last job, and the section of a report on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from search.analysis.study_results import StudyResults
from search.plotting.artifacts import trial_artifacts
from search.records import Record
from search.report.page import Section, write_report
from search.running.final import CompleteTrial
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.studies import Storage
from search.storage.study_store import StudyReader, StudyStore
from search.student.findings import ComponentEffect, StudyFindings, study_findings
from search.student.jobs import DIAGNOSIS, REPLAY, Diagnosis, ExplainingJobs, Replay, Without
from search.student.section import report_sections
from search.student.sentences import what_the_cells_need, what_the_winner_needs
from search.study.definition import StudyDefinition
from search.study.space import PRESET
from search.study.space.ablation import without_each
from search.study.task_data import TaskData

if TYPE_CHECKING:
    from tests.search.invented import Invented

Found = TypeVar("Found", bound=Record)
PRESETS = {"baseline": 3, "residual": 2, "running-on-state": 4, "rnn-symmetric": 1}


def run(
    storage: Storage, name: str, noise_std: float, presets: dict[str, int] = PRESETS
) -> StudyResults:
    """A study of presets, from its first trial to the last job that explains it."""
    definition = StudyDefinition.model_validate(
        {
            "name": name,
            "series": {"source": "sine", "angular_frequency": 0.1, "noise_std": noise_std},
            "task": {"train_steps": 420, "horizon_steps": 30, "test_horizon_steps": 40},
            "presets": presets,
            "search": {
                "replicas": 2,
                "rungs": 1,
                "pruner": "none",
                "sampler": "random",
                "finalists": 2,
                "final_replicas": 3,
                "test_draws": 2,
            },
            "space": {
                "hidden_units": 4,
                "modes": [1, 2],
                "warm_up_steps": 20,
                "rollout_steps": 8,
                "training_steps": 10,
                "restarts": 1,
            },
        }
    )
    store = storage.create_study(
        name,
        definition=definition.model_dump_json(),
        definition_hash=definition.identity_hash,
        quota_trials=presets,
    )
    store.set_budget(trials=sum(presets.values()), minutes=None, quota_trials=presets)
    work(store, definition)
    return StudyResults.read(storage.study(name))


def work(store: StudyStore, definition: StudyDefinition) -> None:
    worker = Worker(store, definition, TaskData(definition, None), trial_artifacts, lambda: False)
    worker.further_jobs = ExplainingJobs()
    worker.run()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    path = tmp_path_factory.mktemp("attempts") / "freerun.db"
    with open_storage(f"sqlite:///{path}", create=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def noisy(storage: Storage) -> StudyResults:
    return run(storage, "noisy", 0.2)


@pytest.fixture(scope="module")
def clean(storage: Storage, noisy: StudyResults) -> StudyResults:
    # After the other one, whichever test asks first: what is drawn follows the worker's number.
    return run(storage, "clean", 0.0, {"baseline": 3, "running-on-state": 2})


@pytest.fixture(scope="module")
def found(noisy: StudyResults) -> StudyFindings:
    findings = study_findings(noisy)
    assert findings is not None
    return findings


@pytest.fixture(scope="module")
def section(noisy: StudyResults, clean: StudyResults) -> Section:
    (made,) = report_sections([clean, noisy])
    return made


def done(study: StudyReader, purpose: str, kind: type[Found]) -> list[Found]:
    """The results of the jobs of a purpose."""
    jobs = [job for job in study.final_jobs() if job.purpose == purpose]
    return [kind.from_json(job.result or "") for job in jobs]


def test_every_preset_is_diagnosed_and_the_baseline_replayed(noisy: StudyResults) -> None:
    jobs = noisy.study.final_jobs()
    assert {job.state for job in jobs} == {"done"}
    each_component = ("without ", "ablation ")
    assert sum(job.purpose == "final" for job in jobs if job.trial_id is not None) == 2
    best: dict[str, int] = {}
    for trial in noisy.complete:  # the best first
        best.setdefault(str(trial.preset), trial.trial_id)
    trained = min(
        (trial for trial in noisy.complete if trial.preset == "baseline"),
        key=lambda trial: trial.record.training_loss or math.inf,
    )
    others = [job for job in jobs if job.purpose not in ("final", "test")]
    assert {
        (job.purpose, job.trial_id) for job in others if not job.purpose.startswith(each_component)
    } == {
        *((DIAGNOSIS, trial_id) for trial_id in (*best.values(), trained.trial_id)),
        (REPLAY, trained.trial_id),
    }


def test_the_best_trained_baseline_says_why_one_step_looks_good(clean: StudyResults) -> None:
    baselines = [trial for trial in clean.complete if trial.preset == "baseline"]
    trained = min(baselines, key=lambda trial: trial.record.training_loss or math.inf)
    assert trained.trial_id != baselines[0].trial_id  # not the one with the best free run
    (job,) = (
        job
        for job in clean.study.final_jobs()
        if job.purpose == DIAGNOSIS and job.trial_id == trained.trial_id
    )
    found = study_findings(clean)
    assert found is not None
    assert found.trained is not None
    assert found.trained.to_json() == Diagnosis.from_json(job.result or "").to_json()


def test_each_component_of_the_best_finalist_is_left_out(noisy: StudyResults) -> None:
    assert noisy.best_trial is not None
    params = noisy.trial_of(noisy.best_trial).params
    components = without_each(noisy.definition.full_space(), params)
    assert components
    for name in components:
        (without,) = done(noisy.study, f"without {name}", Without)
        # On the draws of the winner's final, so that they are compared pair by pair.
        assert len(without.replica_scores) == noisy.definition.search.final_replicas


def test_components_of_the_reports_cells_are_left_out(
    noisy: StudyResults, found: StudyFindings
) -> None:
    attempt = found.attempt("rnn-symmetric")
    assert attempt is not None
    params = next(t for t in noisy.trials if t.number == attempt.best_trial).params
    taken_out = without_each(noisy.definition.full_space(), params)
    assert {"segments", "sign augmentation", "both ways"} <= set(taken_out)
    assert {effect.component for effect in attempt.effects} == set(taken_out)
    for effect in attempt.effects:
        assert effect.pairs == 8  # the draws of a diagnosis
    said = " ".join(what_the_cells_need(found))
    assert "rnn-symmetric (best" in said
    assert all(not other.effects for other in found.attempts if other is not attempt)


def test_a_diagnosis_runs_networks_on_draws_that_they_have_not_seen(noisy: StudyResults) -> None:
    for diagnosis in done(noisy.study, DIAGNOSIS, Diagnosis):
        assert len(diagnosis.persistence) == noisy.definition.task.horizon_steps
        assert diagnosis.worker is not None
        transfer = diagnosis.transfer
        assert transfer is not None
        assert (transfer.draws, transfer.networks) == (200, 8)
        assert len(transfer.by_network) == 8
        assert transfer.horizon_steps == noisy.definition.task.test_horizon_steps


def test_a_replay_has_the_series_of_phase_0(noisy: StudyResults) -> None:
    (replay,) = done(noisy.study, REPLAY, Replay)
    assert len(replay.values) == len(replay.truth) == 450
    assert replay.truth[0] == pytest.approx(math.sin(0.1))
    assert len(replay.one_step) == 450 - replay.first_forecast


def test_a_second_worker_plans_nothing_twice(storage: Storage, noisy: StudyResults) -> None:
    before = noisy.study.final_jobs()
    work(storage.study("noisy"), noisy.definition)
    assert noisy.study.final_jobs() == before


def test_trials_are_counted_by_preset(found: StudyFindings, noisy: StudyResults) -> None:
    assert {a.name: len(a.scores) for a in found.attempts} == PRESETS
    for attempt in found.attempts:
        assert attempt.scores == tuple(sorted(attempt.scores))
        assert sum(attempt.verdicts.values()) == len(attempt.scores)
        best = next(t for t in noisy.trials if t.number == attempt.best_trial)
        assert best.value == attempt.scores[0]
        assert {example.verdict for example in attempt.examples} == set(attempt.verdicts)


def test_each_context_has_its_limit(found: StudyFindings) -> None:
    limits = {a.name: found.limit_at(a.context_steps) for a in found.attempts}
    state = limits["running-on-state"]  # the space leaves one choice for its context
    assert state is not None
    assert state.samples == 20
    window = limits["baseline"]
    assert window is not None
    assert window.samples == 4
    assert limits["residual"] == window


def test_networks_are_compared_on_draws_they_were_not_trained_on(found: StudyFindings) -> None:
    for attempt in found.attempts:
        assert attempt.transfer is not None
        assert attempt.transfer.draws >= 100
        feeds_back = attempt.name != "running-on-state"
        assert (attempt.one_step is not None) == feeds_back
        assert (attempt.sensitivity is not None) == feeds_back


def test_effects_are_ratios_within_their_intervals(found: StudyFindings) -> None:
    assert found.effects
    assert all(e.low <= e.ratio <= e.high for e in found.effects)
    assert [e.ratio for e in found.effects] == sorted(
        (e.ratio for e in found.effects), reverse=True
    )
    said = " ".join(what_the_winner_needs(found.effects))
    for effect in found.effects:
        assert effect.component in said


def test_what_goes_along_with_a_component_is_said(found: StudyFindings) -> None:
    assert any(effect.along for effect in found.effects)
    chosen = [
        ComponentEffect(
            "context", "windows of 4", ("autonomous", "state estimate"), 1234.0, 2.0, 2e4, 16
        ),
        ComponentEffect("schedule", "a constant learning rate", (), 1.5, 1.1, 2.0, 16),
    ]
    said = " ".join(what_the_winner_needs(chosen))
    assert (
        "context (instead: windows of 4; with it go autonomous, state estimate) 1,234 times, "
        "2 to 20,000" in said
    )
    assert "schedule (instead: a constant learning rate) 1.5 times" in said


def test_the_noisy_study_leads_and_the_clean_one_is_compared(section: Section) -> None:
    questions = [block.heading for block in section.blocks]
    assert questions[0] == "Did any of the attempts work?"
    assert "And without noise?" in questions
    assert re.match(r"\d+ of 5 attempts", section.headline)
    for study in ("noisy", "clean"):
        assert f"<div>{study}</div>" in section.blocks[0].html
    keys = [plot.key for plot in section.plots]
    assert len(set(keys)) == len(keys)
    assert {"limit", "sensitivity", "components"} <= set(keys)


def test_every_figure_has_words(section: Section) -> None:
    for plot in section.plots:
        assert plot.alternative
        assert plot.caption
        assert plot.figure["data"]


def test_the_report_of_several_studies_has_the_section_once(
    storage: Storage, section: Section, tmp_path: Path
) -> None:
    write_report(storage, ["noisy", "clean"], tmp_path / "report.html", report_sections)
    page = (tmp_path / "report.html").read_text()
    assert page.count('id="attempts"') == 1
    assert section.headline in unescape(page)
    for attempt in PRESETS:
        assert attempt in page


def test_without_a_study_of_presets_there_is_no_section(finished: Invented) -> None:
    assert report_sections([StudyResults.read(finished.store)]) == []


def test_a_trial_of_another_program_is_never_explained(noisy: StudyResults) -> None:
    definition = noisy.definition
    own = [CompleteTrial(trial.trial_id, trial.params, 0.5) for trial in noisy.complete]
    best = noisy.best_trial
    assert best is not None
    assert isinstance(best.subject, int)
    foreign = [CompleteTrial(-1, {PRESET: name, "rate": 0.1}, 0.5) for name in PRESETS]

    def losses(ids: Sequence[int]) -> dict[int, float]:
        return dict.fromkeys(ids, 0.5)

    expected = list(ExplainingJobs().plan(definition, own, best.subject, losses))
    found = list(ExplainingJobs().plan(definition, [*foreign, *own], best.subject, losses))
    assert found == expected

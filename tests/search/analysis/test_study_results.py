from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from search.analysis.study_results import StudyResults, outcomes, winner_of
from search.analysis.trials import Trial
from search.contest import baseline_of, baseline_subject, ensemble_members, ensemble_subject
from search.records import TrialRecord
from search.running.training import final_record
from tests.search.invented import YEARS, invented_result, years_table

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented


def test_the_winner_has_the_least_geometric_mean_not_the_least_score_of_the_search(
    finished: Invented,
) -> None:
    winner = winner_of(finished.store)
    assert winner is not None
    assert winner.trial is not None
    assert winner.trial.number == 4
    assert winner.trial.params == finished.store.trial(4).params
    finals = outcomes(finished.store.final_jobs(), "final")
    means = [outcome.found.geometric_mean for outcome in finals]
    assert means == sorted(means)
    best = finished.store.best_trial()
    assert best is not None
    assert best.number == 2


def test_a_winner_has_its_test_and_the_baselines_on_the_same_draws(finished: Invented) -> None:
    winner = winner_of(finished.store)
    assert winner is not None
    test = winner.tested
    assert test is not None
    assert (winner.final.found.horizon_steps, test.horizon_steps) == (40, 80)
    assert len(test.replica_scores) == 4
    for baseline in test.baselines.values():
        assert len(baseline.draw_scores) == 4
        assert baseline.forecast is not None
        assert baseline.forecast.shape == test.example.truth.shape


def test_of_equal_finals_the_lower_trial_number_wins(invent: Invent) -> None:
    study = invent(("complete", 0.5), ("complete", 0.1), ("complete", 0.2))
    study.add_final("final", {1: 0.0, 2: 0.0})  # no error at all: both score 0
    winner = winner_of(study.store)
    assert winner is not None
    assert winner.trial is not None
    assert (winner.final.found.score, winner.trial.number, winner.test) == (0.0, 1, None)


def test_without_a_final_nobody_has_won(invent: Invent) -> None:
    study = invent(("complete", 0.5))
    assert winner_of(study.store) is None
    study.store.plan_final_jobs("final", [study.store.trial(0)._trial_id])
    assert winner_of(study.store) is None


def test_nobody_has_won_a_table_before_its_ensemble_is_done(invent: Invent) -> None:
    study = invent(("complete", 0.3), ("complete", 0.5), raw=YEARS, table=years_table())
    study.add_final("final", {0: 0.3, 1: 0.31})
    assert winner_of(study.store) is None
    finals = outcomes(study.store.final_jobs(), "final")
    members = ensemble_members({own.subject: own.found for own in finals})
    study.store.plan_final_jobs("final", [ensemble_subject(members)])
    assert winner_of(study.store) is None
    worker = study.store.register_worker(host="here", pid=2, machine={})
    job = study.store.claim_final_job(worker)
    assert job is not None
    study.store.fail_final_job(worker, job.job_id, "no memory")
    winner = winner_of(study.store)
    assert winner is not None
    assert winner.subject == finals[0].subject


def test_a_table_that_was_tested_without_an_ensemble_keeps_its_winner(
    finished_table: Invented,
) -> None:
    winner = winner_of(finished_table.store)
    assert winner is not None
    assert winner.tested is not None


def test_trials_are_read_as_far_as_a_report_needs_them(invent: Invent) -> None:
    states = ("pruned", "complete", "failed", "running", "complete", "pruned")
    study = invent(*[(state, 0.3) for state in states])
    results = StudyResults.read(study.store)
    for trial, frozen in zip(results.trials, study.store.frozen_trials(), strict=True):
        whole = Trial.of(frozen)
        kept = {name: getattr(whole.record, name) for name in ("verdict", "worker", "message")}
        if trial.state in ("pruned", "failed"):
            whole = replace(whole, record=TrialRecord(**kept))
        assert trial == whole
    assert [trial.number for trial in results.complete] == [1, 4]
    # However often, and whatever else was read before.
    assert StudyResults.read(study.store).trials == results.trials


def add_baselines(
    study: Invented, finals: Mapping[str, tuple[float, float]], *, level_is_new: bool = True
) -> None:
    """Finish finals of baselines: of each, the error of its forecasts, and its level share."""
    store, views = study.store, study.views("final", study.definition.search.final_replicas)
    store.plan_final_jobs("final", [baseline_subject(name) for name in finals])
    worker = store.register_worker(host="here", pid=3, machine={})
    while (job := store.claim_final_job(worker)) is not None:
        error, share = finals[baseline_of(job.subject) or ""]
        found = invented_result(views, error, seed=0)
        levels: dict[str, Any] = {"level_share": share, "level_is_new": level_is_new}
        record = final_record(found, **levels).model_copy(update={"unit_errors": ()})
        store.finish_final_job(worker, job.job_id, record.to_json(), None)


def test_nothing_is_compared_with_what_took_no_part(invent: Invent) -> None:
    study = invent(("complete", 0.3))
    study.add_final("final", {0: 0.3}, level_shares={0: 1.0})
    add_baselines(study, {"mean": (0.4, 0.0), "persistence": (0.6, 1.0)})
    winner = winner_of(study.store)
    assert winner is not None
    assert winner.standing.opponent_final == "persistence"
    assert winner.standing.left_out == 1


def test_on_blocks_the_winner_is_compared_with_what_could_not_win(invent: Invent) -> None:
    """Whoever reads that it beats every baseline need not ask which ones are meant."""
    study = invent(("complete", 0.3))
    study.add_final("final", {0: 0.3}, level_shares={0: 1.0}, level_is_new=False)
    add_baselines(study, {"mean": (0.33, 0.0), "persistence": (0.6, 1.0)}, level_is_new=False)
    winner = winner_of(study.store)
    assert winner is not None
    assert winner.trial is not None
    assert winner.standing.opponent_final == "mean"
    assert winner.standing.left_out == 1
    assert not winner.standing.level_is_new


def test_what_an_earlier_version_chose_is_compared_with_all(invent: Invent) -> None:
    study = invent(("complete", 0.3))
    study.add_final("final", {0: 0.3}, level_shares={0: 0.2})
    add_baselines(study, {"mean": (0.4, 0.0), "persistence": (0.6, 1.0)})
    study.add_final("test", {0: 0.3})
    winner = winner_of(study.store)
    assert winner is not None
    assert winner.trial is not None
    assert winner.standing.opponent_final == "mean"
    assert winner.standing.left_out == 0

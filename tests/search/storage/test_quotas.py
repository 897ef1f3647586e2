"""Quotas are exact with any number of workers, over kills and resumes, for trials of any state."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from search.storage.records import FinishedTrial, Proposal, Quota
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from tests.search.storage.conftest import Propose, Start, Swarm


def of(quota: str, proposals: list[Proposal]) -> list[Proposal]:
    return [replace(proposal, quota=quota) for proposal in proposals]


def used(study: StudyStore) -> dict[str, int]:
    return {name: quota.used for name, quota in study.budget().quotas.items()}


def test_a_study_without_quotas_has_none(study: StudyStore) -> None:
    assert study.budget().quotas == {}
    study.set_budget(trials=3, minutes=None)
    assert study.budget().quotas == {}
    assert not study.budget().exhausted


def test_quotas_are_there_from_the_start(storage: Storage) -> None:
    study = storage.create_study(
        "with", definition="{}", definition_hash="abc", quota_trials={"b": 2, "a": 1}
    )
    assert study.budget().quotas == {"a": Quota(1, 0), "b": Quota(2, 0)}


def test_proposals_beyond_a_quota_are_skipped(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=5, minutes=None, quota_trials={"a": 2, "b": 3})
    mixed = [*of("a", propose(3)), *of("b", propose(2)), *of("a", propose(1))]
    claimed = study.claim_new(worker, mixed)
    assert [trial.params for trial in claimed] == [mixed[i].params for i in (0, 1, 3, 4)]
    assert study.claim_new(worker, of("a", propose(3))) == []
    assert not study.budget().exhausted
    assert len(study.claim_new(worker, of("b", propose(3)))) == 1
    assert used(study) == {"a": 2, "b": 3}
    assert study.budget().exhausted


def test_the_budget_holds_within_the_quotas(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=3, minutes=None, quota_trials={"a": 2, "b": 3})
    claimed = study.claim_new(worker, [*of("a", propose(2)), *of("b", propose(3))])
    assert len(claimed) == 3
    assert used(study) == {"a": 2, "b": 1}
    assert study.budget().exhausted


def test_a_trial_of_any_state_counts_towards_its_quota(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 3})
    first, second, _ = study.claim_new(worker, of("a", propose(3)))
    study.report(worker, [(first.trial_id, 1, 0.5)])
    study.finish(worker, [FinishedTrial(first.trial_id, "pruned")])
    study.finish(worker, [FinishedTrial(second.trial_id, "failed")])
    study.leave(worker)
    other = study.register_worker(host="here", pid=2, machine={})
    assert study.claim_new(other, of("a", propose(1))) == []
    assert len(study.claim_waiting(other, 8)) == 1
    assert used(study) == {"a": 3}


def test_a_raised_quota_allows_the_difference_and_keeps_what_is_used(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 2, "b": 1})
    study.claim_new(worker, of("a", propose(2)))
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 3})
    assert study.budget().quotas == {"a": Quota(3, 2), "b": Quota(1, 0)}
    assert len(study.claim_new(worker, of("a", propose(9)))) == 1
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 1})
    assert study.budget().quotas["a"].left == 0
    assert study.claim_new(worker, of("a", propose(1))) == []


def test_studies_do_not_share_quotas(storage: Storage, worker: int, study: StudyStore) -> None:
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 1})
    other = storage.create_study(
        "other", definition="{}", definition_hash="abc", quota_trials={"a": 5}
    )
    other_worker = other.register_worker(host="here", pid=2, machine={})
    other.claim_new(other_worker, [Proposal({}, {}, "k", quota="a")] * 2)
    assert study.budget().quotas == {"a": Quota(1, 0)}
    assert other.budget().quotas == {"a": Quota(5, 2)}


def test_a_quota_that_the_study_does_not_have_is_refused(
    study: StudyStore, worker: int, propose: Propose
) -> None:
    study.set_budget(trials=None, minutes=None, quota_trials={"a": 1})
    with pytest.raises(ValueError, match="must be one of a, but is 'b'"):
        study.claim_new(worker, [*of("a", propose(1)), *of("b", propose(1))])
    assert study.counts().total == 0
    assert used(study) == {"a": 0}


def test_quotas_are_exact_with_several_processes(
    study: StudyStore, database_url: str, swarm: Swarm, propose: Propose
) -> None:
    quotas = {"a": 17, "b": 2, "c": 10}
    study.set_budget(trials=29, minutes=None, quota_trials=quotas)
    numbers = swarm(4, "claim_quotas", database_url)
    assert sorted(number for of_process in numbers for number in of_process) == list(range(29))
    assert Counter(row.params["of"] for row in study.frozen_trials()) == quotas
    assert used(study) == quotas
    assert study.counts().failed == 10  # numbers 0, 3, ... 27
    # A resume finds nothing more to do; a raised quota, exactly the difference.
    worker = study.register_worker(host="here", pid=1, machine={})
    proposals = [p for name in quotas for p in of(name, propose(9))]
    assert study.claim_new(worker, proposals) == []
    study.set_budget(trials=31, minutes=None, quota_trials={"b": 4})
    assert len(study.claim_new(worker, proposals)) == 2
    assert used(study) == {**quotas, "b": 4}


def test_what_a_killed_process_held_stays_within_its_quota(
    study: StudyStore, database_url: str, start: Start, propose: Propose
) -> None:
    study.set_budget(trials=9, minutes=None, quota_trials={"a": 5, "b": 2, "c": 2})
    process = start(1, "hold", database_url)
    assert process.stdout is not None
    dead, *held = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert used(study) == {"a": 2, "b": 0, "c": 0}
    assert study.lose_worker(dead).given_back == tuple(held)
    worker = study.register_worker(host="here", pid=1, machine={})
    proposals = [p for name in "abc" for p in of(name, propose(9))]
    again = [*study.claim_waiting(worker, 8), *study.claim_waiting(worker, 8)]
    assert [trial.trial_id for trial in again] == held
    assert len(study.claim_new(worker, proposals)) == 7
    assert used(study) == {"a": 5, "b": 2, "c": 2}
    assert study.counts().total == 9

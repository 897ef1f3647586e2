"""What is said of a study that runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from search.analysis.status import StudyStatus, status_lines
from search.storage.records import FinishedTrial
from search.storage.studies import Storage

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented


def test_a_running_study_shows_rate_workers_leases_and_failures(invent: Invent) -> None:
    study = invent(("complete", 0.1), ("pruned", 0.9), ("failed", 0.0), ("running", 0.0))
    found = StudyStatus(study.store, "sqlite:///freerun.db").summary()
    assert found["trials"] == {
        "complete": 1,
        "pruned": 1,
        "failed": 1,
        "running": 1,
        "waiting": 0,
    }
    assert 0 < found["trials_per_minute"] <= 180
    assert found["leases"] == {"trials": 1, "final_jobs": 0, "seconds": 60.0}
    assert found["failures"] == [{"message": "it broke", "trials": 1}]
    assert found["winner"] is None
    (worker,) = found["workers"]
    assert worker["trials"] == 1
    text = "\n".join(status_lines(found))
    for words in (
        "trials/min",
        "best      trial 0",
        "last heartbeat",
        "1 trial: it broke",
        "leases",
    ):
        assert words in text


def test_only_what_is_new_is_read_and_counted_once(invent: Invent) -> None:
    study = invent(("complete", 0.1), ("running", 0.0))
    status = StudyStatus(study.store, "")
    first = status.summary()["verdicts"]
    assert sum(first.values()) == 1
    assert status.summary()["verdicts"] == first
    (worker,) = study.store.workers()
    message = {"message": "out of\nmemory " + "x" * 300}
    told = FinishedTrial(worker.trial_ids[0], "failed", user_attributes=message)
    study.store.finish(worker.worker_id, [told])
    found = status.summary()
    assert found["verdicts"] == first
    (line,) = (line for line in status_lines(found) if line.startswith("  failed"))
    assert "out of memory xxx" in line
    assert len(line) < 160


def test_a_finished_study_shows_its_final_and_no_worker(
    finished: Invented, finished_storage: Storage
) -> None:
    found = StudyStatus(finished.store, finished_storage.shown_url).summary()
    assert found["final"] == {"done": 3}
    assert found["workers"] == []
    assert found["leases"]["trials"] == 0
    assert (found["winner"]["name"], found["winner"]["purpose"]) == ("trial 4", "test")
    text = "\n".join(status_lines(found))
    assert "final     3 done" in text
    assert "winner    trial 4, NMSE 0.06" in text


def test_it_needs_no_torch() -> None:
    import subprocess

    code = "import sys, search.analysis.status; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

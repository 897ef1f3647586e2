"""Real processes that use one storage at once: `swarm.py NUMBER TASK URL`, one JSON line for each.

They are forked from this script after its imports, before anything is opened, and let go together.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from tempfile import TemporaryDirectory

from optuna.distributions import CategoricalDistribution, FloatDistribution

from search.storage.opening import open_storage, upgrade_storage
from search.storage.records import FinishedTrial, Proposal
from search.storage.studies import StudyExistsError

QUOTAS = ("a", "b", "c")


def start_anew(url: str) -> list[int]:
    """Open the storage, make or find the study, begin to work; return the ids of study and worker.

    As the first of many workers does, or thinks it does.
    """
    with open_storage(url, create=True) as storage:
        try:
            study = storage.create_study("sine", definition="{}", definition_hash="abc")
        except StudyExistsError:
            study = storage.study("sine")
        worker = study.register_worker(host="here", pid=os.getpid(), machine={})
        study.beat(worker)
        return [study.study_id, worker]


def upgrade(url: str) -> list[int]:
    """Upgrade the storage; return the versions before and after, and the number of steps."""
    done = upgrade_storage(url)
    return [done.from_version, done.to_version, len(done.steps)]


def claim_until_spent(url: str) -> list[int]:
    """Claim, report and finish trials until the budget is used up; return their numbers."""
    numbers = []
    with open_storage(url, create=False) as storage:
        study = storage.study("sine")
        worker = study.register_worker(host="here", pid=os.getpid(), machine={})
        one = Proposal({"x": 0.5}, {"x": FloatDistribution(0, 1)}, cohort_key="a")
        while claimed := study.claim_waiting(worker, 3) or study.claim_new(worker, [one] * 3):
            numbers += [trial.number for trial in claimed]
            assert not study.report(worker, [(trial.trial_id, 1, 0.5) for trial in claimed])
            ends = [FinishedTrial(trial.trial_id, "complete", 0.5) for trial in claimed]
            assert not study.finish(worker, ends)
        study.leave(worker)
    return numbers


def claim_quotas(url: str) -> list[int]:
    """Claim trials of the quota of which most is left, until all are used up; fail every third.

    Return their numbers.
    """
    numbers = []
    with open_storage(url, create=False) as storage:
        study = storage.study("sine")
        worker = study.register_worker(host="here", pid=os.getpid(), machine={})
        while not (budget := study.budget()).exhausted:
            name = max(budget.quotas, key=lambda name: budget.quotas[name].left)
            distributions = {"x": FloatDistribution(0, 1), "of": CategoricalDistribution(QUOTAS)}
            one = Proposal({"x": 0.5, "of": name}, distributions, cohort_key=name, quota=name)
            claimed = study.claim_new(worker, [one] * 3)
            numbers += [trial.number for trial in claimed]
            ends = [
                FinishedTrial(trial.trial_id, "complete", 0.5)
                if trial.number % 3
                else FinishedTrial(trial.trial_id, "failed")
                for trial in claimed
            ]
            assert not study.finish(worker, ends)
        study.leave(worker)
    return numbers


def hold_until_killed(url: str) -> list[int]:
    """Claim two trials, of the first quota if there are any, report one, say so, and hang."""
    storage = open_storage(url, create=False)
    study = storage.study("sine")
    worker = study.register_worker(host="here", pid=os.getpid(), machine={})
    quota = next(iter(study.budget().quotas), None)
    one = Proposal({"x": 0.5}, {"x": FloatDistribution(0, 1)}, cohort_key="a", quota=quota)
    claimed = study.claim_new(worker, [one] * 2)
    study.report(worker, [(claimed[0].trial_id, 1, 0.5)])
    held = [worker, *(trial.trial_id for trial in claimed)]
    os.write(1, (json.dumps(held) + "\n").encode())
    sys.stdin.read()
    return []


TASKS: dict[str, Callable[[str], list[int]]] = {
    "start": start_anew,
    "upgrade": upgrade,
    "claim": claim_until_spent,
    "claim_quotas": claim_quotas,
    "hold": hold_until_killed,
}


def main(number: int, task: str, url: str) -> int:
    # What costs each process a second the first time it is done: done once here, and inherited.
    with TemporaryDirectory() as folder:
        start_anew(f"sqlite:///{folder}/warm-up.db")
    gc.freeze()
    read_end, write_end = os.pipe()
    children = []
    for _ in range(number):
        child = os.fork()
        if child == 0:
            os.close(write_end)
            os.read(read_end, 1)
            # One write, so that lines of several processes don't mix.
            os.write(1, (json.dumps(TASKS[task](url)) + "\n").encode())
            # At once: freeing what was imported would copy all of it for each process.
            os._exit(0)
        children.append(child)
    # Closing the pipe lets all of them go at the same moment.
    os.close(write_end)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    if sys.argv[2] == "hold":
        hold_until_killed(sys.argv[3])
    else:
        sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))

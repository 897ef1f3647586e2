"""A worker in a process of its own that is killed by SIGKILL in the midst of its first cohort, or
of its first job in the final.

Forked from a process that has imported everything, which takes longer than the work.
"""

import os
import signal
from itertools import count
from multiprocessing import get_context

from search.running.worker import Worker
from search.storage.opening import open_storage
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData

STEPS = 2


def work_and_die(url: str, name: str, *, in_final: bool = False) -> int:
    """Claim trials of a study, train them for some optimiser steps, and die; return the pid.

    in_final: whether it dies in the final, after the whole search.
    """
    forks = get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    process = forks.Process(target=_work, args=(url, name, in_final))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert process.pid is not None
    return process.pid


def _work(url: str, name: str, in_final: bool) -> None:
    with open_storage(url, create=False) as storage:
        store = storage.study(name)
        definition = StudyDefinition.model_validate_json(store.definition)
        steps = count()

        def die_in_the_midst() -> bool:
            running = [job for job in store.final_jobs() if job.state == "running"]
            if (running if in_final else store.held_trials()) and next(steps) == STEPS:
                os.kill(os.getpid(), signal.SIGKILL)
            return False

        Worker(
            store,
            definition,
            TaskData(definition, None),
            make_artifacts=lambda _result, _name: (),
            stop_requested=die_in_the_midst,
        ).run()

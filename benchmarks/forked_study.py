"""A study in a temporary folder, run by forked workers of freerun."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.crew import fork
from search.cli.resuming import create_or_resume
from search.running.worker import Worker
from search.storage.opening import open_storage
from search.storage.study_store import StudyStore
from search.study.study_file import StudyFile
from search.study.task_data import TaskData


@dataclass(frozen=True)
class Forked:
    """A study that runs. wait: until its workers have ended; RuntimeError where one failed."""

    store: StudyStore
    wait: Callable[[], None]


@contextmanager
def forked_study(
    file: StudyFile,
    data: TaskData,
    *,
    kind: type[Worker],
    workers: int | None,
    minutes: float,
    trials: int | None = None,
) -> Iterator[Forked]:
    """A study whose workers have just been started; it is gone when the block ends.

    data: what the workers see. workers: how many, None for one per CPU. trials: None for as many
    as the file says.
    """
    name = file.definition.name
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'freerun.db'}"
        with open_storage(url, create=True) as storage:
            store, _ = create_or_resume(storage, name, file)
            store.set_budget(trials=trials, minutes=minutes)

        def work() -> None:
            torch.set_num_threads(1)
            with open_storage(url, create=False) as storage:
                kind(
                    storage.study(name),
                    file.definition,
                    data,
                    make_artifacts=lambda _result, _name: (),
                    stop_requested=lambda: False,
                ).run()

        gc.freeze()
        children = [fork(work) for _ in range(workers or os.cpu_count() or 1)]

        def wait() -> None:
            codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
            if any(codes):
                raise RuntimeError(f"workers must end with 0, but ended with {codes}")

        with open_storage(url, create=False) as storage:
            yield Forked(storage.study(name), wait)

"""Workers as local processes: started, watched, replaced when they die, stopped."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import IO

from search.errors import FreerunError
from search.running.worker_process import ask_to_end, ended, last_words, start_worker
from search.storage import Budget, Counts, StudyStore

# Between two looks into the storage: each takes the time of a few optimiser steps.
REPORT_SECONDS = 2.0


class WorkersDied(FreerunError):
    """Workers died again and again; what they wrote last is in the message."""


@dataclass(frozen=True)
class Progress:
    """How far a study is; `in_final` once no trial is left to run."""

    counts: Counts
    budget: Budget
    best: float | None
    in_final: bool
    finals_done: int
    finals: int


def progress(store: StudyStore) -> Progress:
    """How far a study is now."""
    counts, budget, best = store.counts(), store.budget(), store.best_trial()
    jobs = store.final_jobs()
    return Progress(
        counts=counts,
        budget=budget,
        best=None if best is None else best.value,
        in_final=bool(jobs) and not counts.running,
        finals_done=sum(job.state in ("done", "failed") for job in jobs),
        finals=len(jobs),
    )


POLL_SECONDS = 0.5
# How many worker deaths are put up with, per worker, before the fleet gives up.
DEATHS_PER_WORKER = 3


@dataclass
class Fleet:
    """Local worker processes on one study, each on one thread."""

    store: StudyStore
    storage_url: str
    workers: int
    device: str = "cpu"
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    deaths: int = 0

    def run(self, report: Callable[[Progress], None], stop_requested: Callable[[], bool]) -> bool:
        """Run until all workers have ended; report progress on the way.

        Returns whether it was stopped. Raises WorkersDied where workers keep dying.
        """
        with tempfile.TemporaryFile() as errors:
            self.processes = [self._start(errors) for _ in range(self.workers)]
            try:
                reported = -REPORT_SECONDS
                while self.processes and not stop_requested():
                    if monotonic() - reported >= REPORT_SECONDS:
                        report(progress(self.store))
                        reported = monotonic()
                    sleep(POLL_SECONDS)
                    self._reap(errors)
            finally:
                was_stopped = bool(self.processes)
                self._stop()
        report(progress(self.store))
        return was_stopped

    def _start(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        return start_worker(self.store.name, self.storage_url, self.device, errors)

    def _reap(self, errors: IO[bytes]) -> None:
        """Take note of workers that ended; replace those that died."""
        for process in [p for p in self.processes if p.poll() is not None]:
            self.processes.remove(process)
            if process.returncode == 0:
                continue
            self.deaths += 1
            self._give_back(process.pid)
            if self.deaths > DEATHS_PER_WORKER * self.workers:
                raise WorkersDied(
                    f"{self.deaths} workers of study {self.store.name!r} died, the last with exit "
                    f"code {process.returncode}; what is finished is kept.\n{last_words(errors)}"
                )
            self.processes.append(self._start(errors))

    def _give_back(self, pid: int) -> None:
        host = os.uname().nodename
        for worker in self.store.workers():
            if worker.alive and worker.pid == pid and worker.host == host:
                self.store.lose_worker(worker.worker_id)

    def _stop(self) -> None:
        for process in self.processes:
            ask_to_end(process)
        for process in self.processes:
            if not ended(process):
                self._give_back(process.pid)


def default_workers() -> int:
    """One worker for each CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parent_is_gone(parent: int | None) -> bool:
    """Whether the process that started this one has died; never for None."""
    return parent is not None and os.getppid() != parent

"""Workers as processes: started, watched, replaced when they die, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from search.errors import FreerunError
from search.storage.records import Budget, Counts

if TYPE_CHECKING:
    from search.storage.study_store import StudyStore

START = Path(__file__).parents[1] / "start.py"
# Between two looks into the storage: each takes the time of a few optimiser steps.
REPORT_SECONDS = 2.0
POLL_SECONDS = 0.5
# How long a worker may take to give back what it runs before it is killed.
STOP_SECONDS = 30.0
# How many worker deaths are put up with, per worker, before the fleet gives up.
DEATHS_PER_WORKER = 3


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


class Ended(NamedTuple):
    """A worker's exit code, and the end of what it wrote to standard error."""

    code: int
    words: str


@dataclass
class Fleet:
    """Workers on one study, each on one thread: here processes of this machine."""

    store: StudyStore
    storage_url: str
    workers: int
    device: str = "cpu"
    running: list[Any] = field(default_factory=list, init=False)
    deaths: int = field(default=0, init=False)

    def run(self, report: Callable[[Progress], None], stop_requested: Callable[[], bool]) -> bool:
        """Run until all workers have ended; report progress on the way.

        Returns whether it was stopped. Raises WorkersDied where workers keep dying.
        """
        with tempfile.TemporaryFile() as self.errors:
            return self._run(report, stop_requested)

    def _run(self, report: Callable[[Progress], None], stop_requested: Callable[[], bool]) -> bool:
        try:
            self.running += [self._start() for _ in range(self.workers)]
            reported = -REPORT_SECONDS
            while self.running and not stop_requested():
                if monotonic() - reported >= REPORT_SECONDS:
                    report(progress(self.store))
                    reported = monotonic()
                for ended in self._look():
                    if ended.code != 0:
                        self._count_death(ended)
                        self.running.append(self._start())
        finally:
            was_stopped = bool(self.running)
            self._stop()
        report(progress(self.store))
        return was_stopped

    def _count_death(self, ended: Ended) -> None:
        self.deaths += 1
        if self.deaths > DEATHS_PER_WORKER * self.workers:
            raise WorkersDied(
                f"{self.deaths} workers of study {self.store.name!r} died, the last with exit "
                f"code {ended.code}; what is finished is kept.\n{ended.words}"
            )

    def _start(self) -> Any:
        return start_worker(self.store.name, self.storage_url, self.device, self.errors)

    def _look(self) -> list[Ended]:
        """Wait a moment, and take the workers that ended from those that run."""
        sleep(POLL_SECONDS)
        gone = [process for process in self.running if process.poll() is not None]
        for process in gone:
            self.running.remove(process)
            if process.returncode != 0:
                self._give_back(process.pid)
        return [Ended(process.returncode, last_words(self.errors)) for process in gone]

    def _give_back(self, pid: int) -> None:
        host = os.uname().nodename
        for worker in self.store.workers():
            if worker.alive and worker.pid == pid and worker.host == host:
                self.store.lose_worker(worker.worker_id)

    def _stop(self) -> None:
        for process in self.running:
            ask_to_end(process)
        for process in self.running:
            if not has_ended(process):
                self._give_back(process.pid)


def start_worker(
    study: str, storage_url: str, device: str, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start `freerun work` on one thread; it ends by itself if this process dies.

    The storage's URL reaches it by the environment, since a command line is visible to all users
    of the machine. errors: where its standard error goes.
    """
    environment = {
        **os.environ,
        "FREERUN_STORAGE": storage_url,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    # As a file, without its folder on the path: nothing in the working folder may take the place of
    # our modules, or of those that we import.
    command = [sys.executable, "-P", str(START), "work", study, "--quiet"]
    return subprocess.Popen(
        [*command, "--device", device, "--parent", str(os.getpid())],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        # Ctrl-C reaches the whole foreground group; a fleet tells its workers itself.
        start_new_session=True,
    )


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Let a worker give back what it runs, and end."""
    process.send_signal(signal.SIGTERM)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a worker that was asked; False if it had to be killed."""
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def last_words(errors: IO[bytes], lines: int = 15) -> str:
    """The end of what was written to standard error."""
    errors.seek(0)
    return "\n".join(errors.read().decode(errors="replace").splitlines()[-lines:])


def default_workers(device: str = "cpu") -> int:
    """One worker for each CPU that this process may use; on another device, one that feeds it."""
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parent_is_gone(parent: int | None) -> bool:
    """Whether the process that started this one has died; never for None."""
    return parent is not None and os.getppid() != parent

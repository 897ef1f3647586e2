"""A study under every fault at once, at random moments, from a seed; and what is left of it.

Two `freerun run` and further workers share the study. SIGKILL ends workers every few seconds, and a
run now and then: in the search, in the final, while it writes report and export. The database
stands still for a minute, its disk is full, its clock is set back, and a server crashes. A run has
too few file descriptors, and `freerun stop` comes in the search and in the final. Needs root, for a
small disk in memory. Example:

    python benchmarks/faulty_soak.py --database postgres --trials 1000 --seed 1
"""

import argparse
import json
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import NamedTuple

from benchmarks import faults
from benchmarks.audit import begin_audit
from benchmarks.command import count, end_with_messages, seconds
from benchmarks.crew import fork
from benchmarks.left_over import LeftOver, left_over
from benchmarks.postgres import Postgres, running_postgres
from search.cli.options import stop_flag
from search.cli.working import worker_of
from search.export.folder import read_export
from search.storage.opening import open_storage
from search.storage.study_store import StudyStore

STUDY_FILE = Path(__file__).parents[1] / "studies" / "smoke.toml"
STUDY = "smoke"
REPORT, EXPORT = "undisturbed/report.html", "undisturbed/export"
POLL_SECONDS = 0.5
DISK_MEBIBYTES = {"sqlite": 64, "postgres": 400}
# How often each fault comes while the search goes on, and in the final.
SEARCH = {
    "kill a run": 3,
    "stop": 1,
    "few descriptors": 1,
    "set the clock back": 2,
    "stand still": 1,
    "fill the disk": 2,
    "crash": 2,
}
FINAL = {"kill a worker": 2, "kill a run": 1, "stop": 1, "set the clock back": 1}
KILLS_WHILE_WRITING = 3
DAMAGED_COPIES = 60


@dataclass(frozen=True)
class Plan:
    """trials: of the study. workers: beside those of the two runs. every: seconds between two
    kills of a worker, on average; still: for which the database answers nobody; full: for which
    its disk is."""

    trials: int
    workers: int
    every: float
    still: float
    full: float
    seed: int


class Progress(NamedTuple):
    """How far the study is. is_over: nothing is left to be done. is_stopped: by `freerun stop`."""

    used: int
    jobs_done: int
    in_final: bool
    is_over: bool
    is_stopped: bool


@dataclass
class Happened:
    """What was done, and how processes ended. killed_while_writing: runs; half_written: of these,
    how many left a report or an export that is not whole. damaged: copies of a SQLite file; of
    these refused with the remedy, and changed all the same."""

    faults: Counter[str] = field(default_factory=Counter)
    run_ends: Counter[int] = field(default_factory=Counter)
    worker_ends: Counter[int] = field(default_factory=Counter)
    killed_while_writing: int = 0
    half_written: int = 0
    damaged: int = 0
    refused: int = 0
    changed: int = 0


class Soak:
    """One study, those who work on it, and what happens to them."""

    def __init__(
        self, url: str, folder: Path, log: Path, plan: Plan, server: Postgres | None
    ) -> None:
        self.url, self.folder, self.log = url, folder, log
        self.plan, self.server = plan, server
        self.chance = random.Random(plan.seed)
        self.happened = Happened()
        self.runs: set[int] = set()
        self.workers: set[int] = set()
        self.next_kill = 0.0
        self._wait_with_kills()
        # Whether a worker ended because nothing was left, since the last stop.
        self.ended_well = False
        self.of_search = sorted(
            (self.chance.uniform(0.05, 0.95), name)
            for name, times in SEARCH.items()
            for _ in range(times)
            if name != "crash" or server is not None
        )
        self.of_final = sorted(
            (self.chance.randrange(1, 9), name)
            for name, times in FINAL.items()
            for _ in range(times)
        )

    @contextmanager
    def study(self) -> Iterator[StudyStore]:
        with open_storage(self.url, create=False) as storage:
            yield storage.study(STUDY)

    def run(self) -> None:
        """Work on the study until it is over, whatever happens."""
        self._end_of(self._start_run("--workers", "0"))
        with open_storage(self.url, create=False) as storage, storage.engine.begin() as connection:
            begin_audit(connection)
        while not (progress := self._progress()).is_over:
            self._reap()
            self._fill(progress)
            sleep(POLL_SECONDS)
            if fault := self._due(progress):
                sys.stderr.write(f"{progress.used} trials, {progress.jobs_done} jobs: {fault}\n")
                self.happened.faults[fault] += 1
                self._do(fault)
            elif not progress.in_final and monotonic() > self.next_kill:
                self._do("kill a worker")
                self.happened.faults["kill a worker"] += 1
        for pid in (*self.runs, *self.workers):
            self._end_of(pid)

    def write_results(self) -> None:
        """Let runs be killed while they write report and export into one folder, and the next one
        write them. In "undisturbed" is what commands of their own write of the same study."""
        pid, left = self._writing("first")
        self._end_of(pid)
        writing = monotonic() - left
        for _ in range(KILLS_WHILE_WRITING):
            pid, left = self._writing("results")
            kill_at = left + self.chance.uniform(0.0, writing)
            while (has_ended := os.waitpid(pid, os.WNOHANG)[0]) == 0 and monotonic() < kill_at:
                sleep(POLL_SECONDS / 50)
            if not has_ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                self.happened.killed_while_writing += 1
            self.happened.half_written += not _is_whole(self.folder / "results")
        self._end_of(self._start_run("-o", "results", "--workers", "1"))
        for arguments in (["report", STUDY, "-o", REPORT], ["export", STUDY, "-o", EXPORT]):
            self._end_of(faults.start_freerun(arguments, self.folder, self.url, self.log))

    def _writing(self, output: str) -> tuple[int, float]:
        """Start a run of the study that is over; return its process id and the moment when its
        worker has ended, so that it begins to write."""
        with self.study() as store:
            known = len(store.workers())
        pid = self._start_run("-o", output, "--workers", "1")
        while not self._has_left(known):
            sleep(POLL_SECONDS / 5)
        return pid, monotonic()

    def _has_left(self, known: int) -> bool:
        with self.study() as store:
            return any(worker.left for worker in store.workers()[known:])

    def _progress(self) -> Progress:
        with self.study() as store:
            budget, jobs, open_trials = store.budget(), store.final_jobs(), store.open_trials()
        done = sum(job.state in ("done", "failed") for job in jobs)
        is_searched = budget.exhausted and not (open_trials.held or open_trials.waiting)
        # Between two stages all jobs of the first are done, but no worker ends well.
        is_over = is_searched and 0 < len(jobs) == done and self.ended_well
        in_final = bool(jobs) and is_searched
        return Progress(budget.used_trials, done, in_final, is_over, budget.stop_requested)

    def _due(self, progress: Progress) -> str | None:
        if progress.in_final:
            if self.of_final and progress.jobs_done >= self.of_final[0][0]:
                return self.of_final.pop(0)[1]
        elif self.of_search and progress.used >= self.of_search[0][0] * self.plan.trials:
            return self.of_search.pop(0)[1]
        return None

    def _do(self, fault: str) -> None:
        plan = self.plan
        actions: Mapping[str, Callable[[], object]] = {
            "kill a worker": lambda: self._kill(self.workers),
            "kill a run": lambda: self._kill(self.runs),
            "stop": self._stop,
            "few descriptors": self._run_with_few_descriptors,
            "set the clock back": lambda: faults.set_clock_back(self.url),
            "stand still": lambda: faults.stand_still(self.url, plan.still, self.server),
            "fill the disk": lambda: faults.fill_disk(self.folder, plan.full, self.server),
            "crash": self._crash,
        }
        actions[fault]()

    def _kill(self, processes: set[int]) -> None:
        if processes:
            victim = self.chance.choice(sorted(processes))
            os.kill(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            processes.remove(victim)
        self._wait_with_kills()

    def _wait_with_kills(self) -> None:
        # At even times, a kill could come whenever a dead worker's trial has just been taken again.
        self.next_kill = monotonic() + self.chance.uniform(0.5, 1.5) * self.plan.every

    def _stop(self) -> None:
        self._end_of(faults.start_freerun(["stop", STUDY], self.folder, self.url, self.log))
        # Whoever ends now was stopped; who is started next withdraws the stop.
        self.ended_well = False

    def _crash(self) -> None:
        assert self.server is not None
        self.server.stop("immediate")
        self.server.start()

    def _run_with_few_descriptors(self) -> None:
        few = faults.FEW_DESCRIPTORS
        arguments = ["run", STUDY, "--workers", "1", "-o", "few"]
        self.runs.add(faults.start_freerun(arguments, self.folder, self.url, self.log, few))

    def _start_run(self, *options: str) -> int:
        trials = str(self.plan.trials)
        arguments = ["run", str(STUDY_FILE), "--trials", trials, *options]
        return faults.start_freerun(arguments, self.folder, self.url, self.log)

    def _fill(self, progress: Progress) -> None:
        while len(self.runs) < 2:
            self.runs.add(self._start_run("--workers", "1", "-o", "results"))
        # They would end at once.
        while not progress.is_stopped and len(self.workers) < self.plan.workers:
            self.workers.add(fork(self._work))

    def _work(self) -> None:
        """What `freerun work` does."""
        faults.say_to(self.log)
        with (
            stop_flag() as stopped,
            open_storage(self.url, create=False, stop_requested=stopped) as storage,
        ):
            worker_of(storage.study(STUDY), stopped, "cpu").run()

    def _reap(self) -> None:
        for pids in (self.runs, self.workers):
            for pid in list(pids):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    self._ended(pid, os.waitstatus_to_exitcode(status))

    def _end_of(self, pid: int) -> None:
        """Wait for the end of a process."""
        self._ended(pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    def _ended(self, pid: int, code: int) -> None:
        is_worker = pid in self.workers
        (self.happened.worker_ends if is_worker else self.happened.run_ends)[code] += 1
        self.runs.discard(pid)
        self.workers.discard(pid)
        self.ended_well = self.ended_well or (code == 0 and is_worker)


def _is_whole(folder: Path) -> bool:
    """Whether report and export are whole or not there."""
    report, export = folder / "report.html", folder / "export"
    if export.exists():
        read_export(export)
    return not report.exists() or report.read_text().rstrip().endswith("</html>")


def _errors(log: Path) -> Iterator[str]:
    """What was said to have gone wrong, without what differs from time to time."""
    for line in log.read_text(errors="replace").splitlines():
        if "freerun: error" in line or "freerun: failed" in line or "Error:" in line:
            yield re.sub(r"[0-9]+", "N", line)[:200]


def soak(plan: Plan, database: str) -> tuple[Happened, LeftOver, float]:
    """Run a study under all faults on a new database; return what happened, what is left of the
    study, and the seconds that it took."""
    began = monotonic()
    with ExitStack() as stack:
        disk = stack.enter_context(faults.small_disk(DISK_MEBIBYTES[database]))
        server = None
        if database == "postgres":
            # Small segments of its log, which have to fit on the disk.
            server = stack.enter_context(running_postgres(disk, max_wal_size="'64MB'"))
        url = f"sqlite:///{disk / 'freerun.db'}" if server is None else server.url
        # Elsewhere: what is said on a full disk is lost.
        log = Path(stack.enter_context(TemporaryDirectory())) / "log"
        soaked = Soak(url, disk, log, plan, server)
        try:
            soaked.run()
            soaked.write_results()
            sys.stderr.write(f"{Counter(_errors(log))}\n")
            found = left_over(url, STUDY, disk / "results", disk / "undisturbed", plan.seed)
        finally:
            for pid in (*soaked.runs, *soaked.workers):
                os.kill(pid, signal.SIGKILL)
        if server is None:
            happened = soaked.happened
            happened.damaged = DAMAGED_COPIES
            happened.refused, happened.changed = faults.damage_copies(
                disk / "freerun.db", DAMAGED_COPIES, soaked.chance
            )
    return soaked.happened, found, monotonic() - began


def main() -> None:
    """Soak as the command line says; print one JSON object, and end with 1 if it is not sound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--trials", type=count, default=1000)
    parser.add_argument("--workers", type=count, default=3, help="beside those of two runs")
    parser.add_argument("--every", type=seconds, default=20.0, help="seconds between two kills")
    parser.add_argument("--still", type=seconds, default=60.0, help="seconds without an answer")
    parser.add_argument("--full", type=seconds, default=5.0, help="seconds of a full disk")
    parser.add_argument("--seed", type=count, default=1)
    options = vars(parser.parse_args())
    database = options.pop("database")
    plan = Plan(**options)
    happened, found, spent = soak(plan, database)
    is_sound = found.is_sound(plan.trials) and happened.half_written == happened.changed == 0
    told = {"database": database, **asdict(plan), **vars(happened), **asdict(found)}
    print(json.dumps({**told, "seconds": round(spent, 1), "is_sound": is_sound}, indent=2))
    if not is_sound:
        sys.exit(1)


if __name__ == "__main__":
    with end_with_messages():
        main()

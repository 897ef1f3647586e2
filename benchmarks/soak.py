"""A study that workers are killed under: SIGKILL every few seconds, and the server crashes twice.

Real workers run a study of short trials. Triggers in the database write down what happens, whoever
does it, and are what is judged in the end: that each trial was finished, and none begun again
afterwards; when what the dead held waited again, and whether a free worker let it wait. Example:

    python benchmarks/soak.py --database postgres --trials 500 --workers 8
"""

import argparse
import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time

from benchmarks.audit import Audit, Delay, begin_audit, read_audit
from benchmarks.command import count, end_with_messages, seconds
from benchmarks.crew import fork
from benchmarks.postgres import Postgres, running_postgres
from search.cli.options import stop_flag
from search.cli.resuming import create_or_resume
from search.running.worker import BEAT_SECONDS, Worker
from search.storage.opening import LEASE_SECONDS, open_storage
from search.storage.study_store import StudyStore
from search.study.definition import RECORDED, StudyDefinition
from search.study.study_file import StudyFile, read_study_file
from search.study.task_data import TaskData

STUDY_FILE = Path(__file__).parents[1] / "studies" / "smoke.toml"
POLL_SECONDS = 0.5
# What a busy machine may add to each promise.
MARGIN_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What is done to the workers. lease, every: seconds; restarts: crashes of the server;
    training_steps: of each trial."""

    trials: int
    workers: int
    lease: float
    every: float
    restarts: int
    training_steps: int


@dataclass(frozen=True)
class Findings:
    """What the audit says, with what was done. Seconds are counted from a kill.

    begun_after_end: changes of a trial that was finished. lost: trials that were running when their
    worker was killed; failed: those whose workers were killed three times. given_back_seconds,
    resumed_seconds: the longest time until such a trial waited, and until it ran again, for which a
    worker had to be free; ignored_seconds: the longest time for which a living worker held nothing
    while such a trial waited. outage_seconds: the longest time for which the server was away.
    """

    trials: int
    finished: int
    failed: int
    running: int
    waiting: int
    begun_after_end: int
    finals_done: int
    finals: int
    kills: int
    restarts: int
    lost: int
    given_back_seconds: float | None
    resumed_seconds: float | None
    ignored_seconds: float
    lease_seconds: float
    beat_seconds: float
    outage_seconds: float
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Whether nothing was lost, done twice or left behind."""
        all_told = self.finished == self.trials and self.running == self.waiting == 0
        return all_told and self.begun_after_end == 0 and self.finals_done == self.finals > 0

    @property
    def is_prompt(self) -> bool:
        """Whether what the dead held waited within a lease and a heartbeat, and nobody let it wait.

        Plus a second, because the machine has more to do than it can; the time in which there was
        no server to be asked; and a lease, where nobody could beat for half of one.
        """
        slack = MARGIN_SECONDS + self.outage_seconds
        is_cut_off = self.outage_seconds + self.beat_seconds > self.lease_seconds / 2
        leases = self.lease_seconds * (2 if is_cut_off and self.restarts else 1)
        within_lease = leases + self.beat_seconds + slack
        return (self.given_back_seconds or 0.0) <= within_lease and self.ignored_seconds <= slack


class Crew:
    """The living workers, and the deaths of others."""

    def __init__(self, url: str, definition: StudyDefinition, plan: Plan) -> None:
        self.url, self.definition, self.plan = url, definition, plan
        self.living: set[int] = set()
        self.killed_at: dict[int, float] = {}

    def fill(self) -> None:
        """Start workers up to their number."""
        while len(self.living) < self.plan.workers:
            self.living.add(fork(self._work))

    def reap(self) -> int:
        """Forget those that ended; return how many ended because nothing was left to do."""
        done = 0
        for pid in list(self.living):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.living.remove(pid)
                done += os.waitstatus_to_exitcode(status) == 0
        return done

    def kill(self, pid: int) -> None:
        """As a machine that dies."""
        os.kill(pid, signal.SIGKILL)
        self.killed_at[pid] = time()
        os.waitpid(pid, 0)
        self.living.remove(pid)

    def _work(self) -> None:
        """What `freerun work` does, with the plan's lease."""
        plan = self.plan
        with (
            stop_flag() as stopped,
            open_storage(
                self.url, create=False, lease_seconds=plan.lease, stop_requested=stopped
            ) as storage,
        ):
            Worker(
                storage.study(self.definition.name),
                self.definition,
                TaskData(self.definition, None),
                make_artifacts=lambda _result, _name: (),
                stop_requested=stopped,
            ).run()


def soak(url: str, plan: Plan, server: Postgres | None) -> Findings:
    """Run the study to its end on a new database while workers are killed and the server crashes.

    server: of the database, to be crashed; None for SQLite.
    """
    definition = _definition(plan)
    with open_storage(url, create=True) as storage:
        store, _ = create_or_resume(storage, definition.name, StudyFile(definition, None))
        store.set_budget(trials=plan.trials, minutes=None)
        with storage.engine.begin() as connection:
            begin_audit(connection)
    crew, chance = Crew(url, definition, plan), random.Random(0)
    began, killed, finished = monotonic(), monotonic(), False
    outages: list[float] = []
    crew.fill()
    held: dict[int, tuple[int, ...]] = {}
    while crew.living:
        sleep(POLL_SECONDS)
        finished = crew.reap() > 0 or finished
        if not finished:
            crew.fill()
        with open_storage(url, create=False, lease_seconds=plan.lease) as storage:
            store = storage.study(definition.name)
            budget = store.budget()
            # As long as there are new trials; those of the last dead are run in peace.
            if budget.trials_left and monotonic() - killed > plan.every:
                working = [w for w in store.workers() if w.trial_ids and w.pid in crew.living]
                if working:
                    killed = monotonic()
                    victim = chance.choice(working).pid
                    crew.kill(victim)
                    (dead,) = (w for w in store.workers() if w.pid == victim and not w.left)
                    held[victim] = dead.trial_ids
        crashes_at = plan.trials * (len(outages) + 1) / (plan.restarts + 1)
        is_due = len(outages) < plan.restarts and budget.used_trials >= crashes_at
        if server is not None and is_due:
            crashed = monotonic()
            server.stop("immediate")
            server.start()
            outages.append(monotonic() - crashed)
    with open_storage(url, create=False, lease_seconds=plan.lease) as storage:
        store = storage.study(definition.name)
        store.sweep()
        with storage.engine.begin() as connection:
            audit = read_audit(connection, crew.killed_at)
        delays = [audit.delay(i, crew.killed_at[pid]) for pid, ids in held.items() for i in ids]
        return _findings(store, plan, audit, delays, len(held), outages, monotonic() - began)


def _definition(plan: Plan) -> StudyDefinition:
    plain = read_study_file(STUDY_FILE).definition.model_dump(mode="json", exclude={*RECORDED})
    plain["search"] |= {"trials": plan.trials, "minutes": None}
    plain["space"] |= {"training_steps": plan.training_steps}
    return StudyDefinition.model_validate(plain)


def _findings(
    store: StudyStore,
    plan: Plan,
    audit: Audit,
    delays: Sequence[Delay],
    kills: int,
    outages: Sequence[float],
    elapsed: float,
) -> Findings:
    given_back = [delay.given_back for delay in delays if delay.given_back is not None]
    resumed = [delay.resumed for delay in delays if delay.resumed is not None]
    counts, jobs = store.counts(), store.final_jobs()
    return Findings(
        trials=plan.trials,
        finished=counts.complete + counts.pruned + counts.failed,
        failed=counts.failed,
        running=counts.running,
        waiting=counts.waiting,
        begun_after_end=audit.begun_after_end,
        finals_done=sum(job.state == "done" for job in jobs),
        finals=len(jobs),
        kills=kills,
        restarts=len(outages),
        lost=len(delays),
        given_back_seconds=round(max(given_back), 2) if given_back else None,
        resumed_seconds=round(max(resumed), 2) if resumed else None,
        ignored_seconds=round(max((delay.ignored for delay in delays), default=0.0), 2),
        lease_seconds=plan.lease,
        beat_seconds=BEAT_SECONDS,
        outage_seconds=round(max(outages, default=0.0), 2),
        seconds=round(elapsed, 1),
    )


def main() -> None:
    """Soak as the command line says; print one JSON object, and end with 1 if it is not sound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    parser.add_argument("--trials", type=count, default=500)
    parser.add_argument("--workers", type=count, help="else 8 on PostgreSQL, 4 on SQLite")
    parser.add_argument("--lease", type=seconds, default=LEASE_SECONDS, help="seconds")
    parser.add_argument("--every", type=seconds, default=3.0, help="seconds between two kills")
    parser.add_argument("--restarts", type=count, default=2, help="crashes of the server")
    parser.add_argument(
        "--training-steps", type=count, default=12, help="of a trial; many, and all are busy"
    )
    options = parser.parse_args()
    workers = options.workers or (8 if options.database == "postgres" else 4)
    plan = Plan(
        options.trials,
        workers,
        options.lease,
        options.every,
        options.restarts,
        options.training_steps,
    )
    if options.database == "postgres":
        with running_postgres() as server:
            findings = soak(server.url, plan, server)
    else:
        with TemporaryDirectory() as folder:
            findings = soak(f"sqlite:///{folder}/freerun.db", plan, None)
    judged = {"is_sound": findings.is_sound, "is_prompt": findings.is_prompt}
    print(json.dumps({**asdict(findings), **judged}, indent=2))
    if not findings.is_sound:
        sys.exit(1)


if __name__ == "__main__":
    with end_with_messages():
        main()

"""One study twice, by two processes on SQLite: with Optuna and torch.nn alone, and with freerun.

    python benchmarks/against_plain.py --minutes 5 --picture docs/pictures/against-plain.png

Both draw their candidates from the space of benchmarks/against_plain.toml, train each on the same
replicas with the same restarts, optimiser steps and rungs, prune by successive halving, and score
the same free runs (benchmarks/plain_study.py). Each half has so many minutes, its start included.
In freerun's half replicas follow from rung to rung (`first_replicas`); in the other all train from
the start, as one would write it, or follow as well with --follow.
Run it twice where no machine code of freerun's kernels is on disk yet: the first run compiles it.
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep

import optuna
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.ordinary_study import ROOT
from benchmarks.plain_study import checked, create, network_steps, work
from search.errors import FreerunError, UsageError
from search.files import write_file
from search.study.study_file import StudyFile, read_study_file

STUDY = Path(__file__).with_name("against_plain.toml")
WORKERS = 2
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Between two looks whether a half is over.
LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Half:
    """What one way reached.

    minutes: that it had. steps: of the optimiser, of all networks of finished trials. core_seconds:
    processor time of all processes. finished: when each trial had finished, in minutes from the
    start; best: (minutes, score) wherever a complete trial was better than all before.
    """

    name: str
    minutes: float
    steps: int
    core_seconds: float
    finished: tuple[float, ...]
    best: tuple[tuple[float, float], ...]

    @property
    def trials_per_hour(self) -> float:
        return 60 * len(self.finished) / self.minutes

    @property
    def trials_per_core_hour(self) -> float:
        """Of processor time, which other programs on the machine take little from."""
        return 3600 * len(self.finished) / self.core_seconds

    @property
    def steps_per_core_second(self) -> float:
        return self.steps / self.core_seconds

    def best_by(self, minutes: float) -> float | None:
        """The best score of the trials that were complete by then; None for none."""
        return min((score for at, score in self.best if at <= minutes), default=None)


@dataclass(frozen=True)
class Until:
    """When a half ends: after so many minutes, or once so many trials have finished (0: never)."""

    minutes: float
    trials: int = 0

    def wait(self, storage: str, is_running: Callable[[], bool]) -> None:
        """Rest until then. Raises FreerunError where the processes end before."""
        ends = monotonic() + 60 * self.minutes
        while (left := ends - monotonic()) > 0.0:
            if not is_running():
                raise FreerunError("all processes of a half must run to its end, but some ended")
            if self.trials and _finished_trials(storage) >= self.trials:
                return
            sleep(min(LOOK_SECONDS, left))


def run_plain(
    file: StudyFile, path: Path, storage: str, until: Until, *, follows: bool = False
) -> None:
    """Two processes that each run one trial after the other, until their time is over.

    follows: whether replicas follow from rung to rung.
    """
    context = multiprocessing.get_context("spawn")
    create(storage, file.definition.name)
    workers = [
        context.Process(target=_work_plain, args=(str(path), storage, seed, follows))
        for seed in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    try:
        until.wait(storage, lambda: all(worker.is_alive() for worker in workers))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _work_plain(path: str, storage: str, seed: int, follows: bool) -> None:
    work(read_study_file(Path(path)), storage, seed, follows=follows)


def run_freerun(path: Path, storage: str, until: Until) -> None:
    """`freerun run` with two workers, stopped by Ctrl-C when its time is over."""
    command = [sys.executable, "-P", "-m", "search", "run", str(path), "--workers", str(WORKERS)]
    process = subprocess.Popen(
        [*command, "--storage", storage],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until.wait(storage, lambda: process.poll() is None)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _finished_trials(storage: str) -> int:
    query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"
    path = storage.removeprefix("sqlite:///")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # not created yet
        return 0


def measure(
    name: str,
    file: StudyFile,
    storage: str,
    until: Until,
    run: Callable[[], None],
    *,
    follows: bool,
) -> Half:
    """Run one way, and read its trials as Optuna has them; follows: see `half_of`."""
    with _core_seconds() as spent:
        began, clock = datetime.now(), monotonic()
        run()
        minutes = min(until.minutes, (monotonic() - clock) / 60)
    study = optuna.load_study(study_name=file.definition.name, storage=storage)
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    return half_of(name, file, trials, began, minutes, spent[0], follows=follows)


def half_of(
    name: str,
    file: StudyFile,
    trials: Sequence[FrozenTrial],
    began: datetime,
    minutes: float,
    core_seconds: float,
    *,
    follows: bool,
) -> Half:
    """What a half reached by the trials that finished in its time.

    follows: whether its replicas follow from rung to rung; else all train from the start.
    """
    search, space = file.definition.search, file.definition.full_space()
    counts = search.rung_replicas if follows else (search.replicas,) * search.rungs
    reached = tuple(zip(search.rung_fractions, counts, strict=True))
    last = began + timedelta(minutes=minutes)
    steps = 0
    finished: list[float] = []
    best: list[tuple[float, float]] = []
    done = [t for t in trials if t.datetime_complete is not None and t.datetime_complete <= last]
    for trial in sorted(done, key=lambda t: t.datetime_complete or last):
        assert trial.datetime_complete is not None
        at = (trial.datetime_complete - began).total_seconds() / 60
        finished.append(at)
        share, replicas = reached[len(trial.intermediate_values) - 1]
        candidate = checked(space.resolve(trial.params))
        steps += network_steps(candidate, replicas, share)
        score = trial.value if trial.state == TrialState.COMPLETE else None
        if score is not None and (not best or score < best[-1][1]):
            best.append((at, score))
    return Half(name, minutes, steps, core_seconds, tuple(finished), tuple(best))


@contextmanager
def _core_seconds() -> Iterator[list[float]]:
    """Processor time of the processes that are started and end within the block."""
    spent: list[float] = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield spent
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def report(plain: Half, own: Half) -> str:
    """Both halves side by side, and the ratio."""
    lines = [f"{'':28} {plain.name:>14} {own.name:>14} {'ratio':>7}"]

    def line(what: str, before: float, now: float) -> str:
        ratio = f"{now / before:7.1f}" if before else ""
        return f"{what:28} {before:14,.1f} {now:14,.1f} {ratio}".rstrip()

    lines.append(line("finished trials", len(plain.finished), len(own.finished)))
    lines.append(line("trials per hour", plain.trials_per_hour, own.trials_per_hour))
    by_core = plain.trials_per_core_hour, own.trials_per_core_hour
    lines.append(line("trials per core hour", *by_core))
    rates = plain.steps_per_core_second, own.steps_per_core_second
    lines.append(line("optimiser steps per core s", *rates))
    lines += ["", "best score by minute"]
    for minute in _minutes(max(plain.minutes, own.minutes)):
        scores = (half.best_by(minute) for half in (plain, own))
        shown = ("-" if score is None else f"{score:.4g}" for score in scores)
        lines.append(f"{minute:28g} " + " ".join(f"{text:>14}" for text in shown))
    return "\n".join(lines)


def picture(plain: Half, own: Half) -> bytes:
    """Finished trials and the best score over time, of both, as a PNG."""
    figure = Figure(figsize=(9.0, 3.6), dpi=120, layout="constrained")
    trials, scores = figure.subplots(1, 2)
    for half, colour in ((plain, "#8a8a8a"), (own, "#1f5fa8")):
        at, done = [0.0, *half.finished], range(len(half.finished) + 1)
        trials.step([*at, half.minutes], [*done, len(half.finished)], where="post", color=colour)
        trials.text(half.minutes, max(done[-1], 1), f" {half.name}: {done[-1]:,}", color=colour)
        if half.best:
            found, reached = zip(*half.best, strict=True)
            at, best = [*found, half.minutes], [*reached, reached[-1]]
            scores.step(at, best, where="post", color=colour, label=half.name)
    trials.set(title="finished trials", xlabel="minutes", yscale="symlog", ylim=(0.0, None))
    scores.set(title="best score (NMSE of the free run)", xlabel="minutes")
    if plain.best or own.best:
        scores.set_yscale("log")
        scores.legend(frameon=False)
    longest = max(plain.minutes, own.minutes)
    for axes in (trials, scores):
        axes.set_xlim(0.0, longest * (1.35 if axes is trials else 1.0))
        axes.spines[["top", "right"]].set_visible(False)
    content = BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(content, format="png")
    return content.getvalue()


def _minutes(total: float) -> list[float]:
    """A few moments up to the end: an eighth, a quarter, a half and the whole of the time."""
    return [total * share for share in (0.125, 0.25, 0.5, 1.0)]


def plain_of(half: Half) -> Mapping[str, object]:
    """A half as JSON has it."""
    rates = {"trials_per_hour": half.trials_per_hour, "steps": half.steps}
    return {
        "name": half.name,
        "trials": len(half.finished),
        **rates,
        "trials_per_core_hour": half.trials_per_core_hour,
        "steps_per_core_second": half.steps_per_core_second,
        "core_seconds": half.core_seconds,
        "best": [{"minute": at, "score": score} for at, score in half.best],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both halves, print what they reached, and draw it where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=seconds, default=5.0, help="for each half")
    parser.add_argument(
        "--trials", type=count, default=0, help="end a half before, once so many have finished"
    )
    parser.add_argument("--study", type=Path, default=STUDY, help="a study file")
    parser.add_argument(
        "--follow", action="store_true", help="in the plain half, too, replicas follow"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE.png")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(arguments)
    path = options.study.resolve()
    file = read_study_file(path)
    if file.definition.presets:
        raise UsageError("the study must be one without [presets]; name another study file")
    until, halves = Until(options.minutes, options.trials), []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("torch.nn", "freerun"):
            storage = f"sqlite:///{folder}/{name}.db"
            follows = options.follow or name == "freerun"
            if name == "freerun":
                run = partial(run_freerun, path, storage, until)
            else:
                run = partial(run_plain, file, path, storage, until, follows=follows)
            halves.append(measure(name, file, storage, until, run, follows=follows))
    if options.picture is not None:
        write_file(options.picture, picture(*halves))
    if options.json:
        print(json.dumps({"minutes": options.minutes, "halves": [*map(plain_of, halves)]}))
    else:
        print(report(*halves))


if __name__ == "__main__":
    with end_with_messages():
        main()

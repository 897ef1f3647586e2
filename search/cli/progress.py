"""Progress of a running study on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from search.running.fleet import Progress as StudyProgress

# Without a terminal, a line now and then instead of a bar that redraws itself.
LINE_SECONDS = 15.0


@contextmanager
def shown_progress(name: str) -> Iterator[Callable[[StudyProgress], None]]:
    """Show a study's progress while the block runs; yields what to call with news."""
    console = Console(file=sys.stderr)
    if console.is_terminal:
        with _bar(name, console) as show:
            yield show
    else:
        yield _Lines(name)


class _Lines:
    def __init__(self, name: str) -> None:
        self.name = name
        self.last = -LINE_SECONDS
        self.shown = ""
        self.rate = _Rate()

    def __call__(self, progress: StudyProgress) -> None:
        rate, left = self.rate(progress)
        is_over = progress.finals > 0 and progress.finals == progress.finals_done
        if monotonic() - self.last < LINE_SECONDS and not is_over:
            return
        line = f"{self.name}: {_summary(progress)}, {rate}, {left}"
        if line != self.shown:
            typer.echo(line, err=True)
            self.shown, self.last = line, monotonic()


@contextmanager
def _bar(name: str, console: Console) -> Iterator[Callable[[StudyProgress], None]]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(),
        console=console,
        transient=False,
    ) as bar:
        task: TaskID = bar.add_task(name, total=None, news="starting workers")
        rate_of = _Rate()

        def show(progress: StudyProgress) -> None:
            rate, left = rate_of(progress)
            share = (
                progress.finals_done / progress.finals if progress.in_final else _share(progress)
            )
            news = f"{_summary(progress)} | {rate} | {left}"
            bar.update(task, completed=share, total=1.0, news=news)

        yield show


class _Rate:
    """Trials per minute since the display began, and the time that is left at this rate."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.first: int | None = None

    def __call__(self, progress: StudyProgress) -> tuple[str, str]:
        counts = progress.counts
        done = counts.complete + counts.pruned + counts.failed
        self.first = done if self.first is None else self.first
        minutes = max(monotonic() - self.began, 1e-3) / 60
        per_minute = (done - self.first) / minutes
        lefts = []
        if progress.budget.seconds_left is not None:
            lefts.append(progress.budget.seconds_left)
        if progress.budget.trials is not None and per_minute > 0:
            lefts.append(max(0, progress.budget.trials - done) / per_minute * 60)
        if progress.in_final:
            left = "final"
        elif not lefts:
            left = "time left unknown"
        else:
            left = f"{_clock(min(lefts))} left"
        return f"{per_minute:.0f} trials/min", left


def _share(progress: StudyProgress) -> float:
    """How much of the budget is spent, by trials or by time; in the final, of its jobs."""
    if progress.in_final:
        return progress.finals_done / progress.finals
    budget, counts = progress.budget, progress.counts
    done = counts.complete + counts.pruned + counts.failed
    shares = [0.0]
    if budget.trials:
        shares.append(done / budget.trials)
    if budget.minutes:
        shares.append(budget.spent_seconds / (60 * budget.minutes))
    return min(1.0, max(shares))


def _summary(progress: StudyProgress) -> str:
    counts, budget = progress.counts, progress.budget
    done = counts.complete + counts.pruned + counts.failed
    of = f"/{budget.trials}" if budget.trials is not None else ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    best = "none yet" if progress.best is None else f"{progress.best:.4g}"
    text = (
        f"{done}{of} trials ({counts.pruned} pruned{failed}), {counts.running} running, best {best}"
    )
    if progress.in_final:
        text += f", final {progress.finals_done}/{progress.finals}"
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

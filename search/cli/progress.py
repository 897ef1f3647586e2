"""Progress of a running study on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from search.running.fleet import Progress as StudyProgress

# Without a terminal, a line now and then instead of a bar that redraws itself.
LINE_SECONDS = 15.0


@contextmanager
def shown_progress(name: str) -> Iterator[Callable[[StudyProgress], None]]:
    """Show a study's progress while the block runs; yields what to call with news."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield _Lines(name)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[news]}"),
        TimeElapsedColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(name, total=None, news="starting workers")
        news_of = News()

        def show(progress: StudyProgress) -> None:
            news = " | ".join(news_of(progress))
            bar.update(task, completed=share(progress), total=1.0, news=news)

        yield show


class _Lines:
    def __init__(self, name: str) -> None:
        self.name = name
        self.last = -LINE_SECONDS
        self.shown = ""
        self.news_of = News()

    def __call__(self, progress: StudyProgress) -> None:
        summary, *more = self.news_of(progress)
        is_over = progress.finals > 0 and progress.finals == progress.finals_done
        # Once it is over, only the rate changes, from one look to the next.
        if summary != self.shown and (is_over or monotonic() - self.last >= LINE_SECONDS):
            typer.echo(f"{self.name}: {', '.join([summary, *more])}", err=True)
            self.shown, self.last = summary, monotonic()


class News:
    """A summary, trials per minute since the display began, and the time left at this rate."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.first: int | None = None

    def __call__(self, progress: StudyProgress) -> tuple[str, str, str]:
        done, budget = _done(progress), progress.budget
        self.first = done if self.first is None else self.first
        per_second = (done - self.first) / max(monotonic() - self.began, 1e-3)
        lefts = [] if budget.seconds_left is None else [budget.seconds_left]
        if budget.trials is not None and per_second > 0:
            lefts.append(max(0, budget.trials - done) / per_second)
        left = f"{_clock(min(lefts))} left" if lefts else "time left unknown"
        rate = f"{per_second * 60:.0f} trials/min"
        return _summary(progress, done), rate, "final" if progress.in_final else left


def _done(progress: StudyProgress) -> int:
    return progress.counts.complete + progress.counts.pruned + progress.counts.failed


def share(progress: StudyProgress) -> float:
    """How much of the budget is spent, by trials or by time; in the final, of its jobs."""
    if progress.in_final:
        return progress.finals_done / progress.finals
    budget = progress.budget
    shares = [0.0]
    if budget.trials:
        shares.append(_done(progress) / budget.trials)
    if budget.minutes:
        shares.append(budget.spent_seconds / (60 * budget.minutes))
    return min(1.0, max(shares))


def _summary(progress: StudyProgress, done: int) -> str:
    counts, budget = progress.counts, progress.budget
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

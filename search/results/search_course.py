"""The search itself: how fast it went, what was pruned, who worked, what broke."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from search.results.figures import draw_rate, rate_rows
from search.results.plots import Plot, plain_figure
from search.results.study_results import StudyResults

_MOST_MESSAGES = 10


@dataclass(frozen=True)
class Rung:
    """How many trials reported at a rung, and how many were pruned there."""

    rung: int
    reported: int
    pruned: int


@dataclass(frozen=True)
class Crew:
    """Workers of one host and one type of machine. trials: that they told."""

    host: str
    machine: str
    workers: int
    alive: int
    trials: int


@dataclass(frozen=True)
class Failure:
    """Why trials failed; the same message is counted."""

    message: str
    trials: int


@dataclass(frozen=True)
class Course:
    """The section on the search."""

    rate: Plot | None
    rungs: Sequence[Rung]
    crews: Sequence[Crew]
    failures: Sequence[Failure]
    other_failures: int


def course_of(results: StudyResults) -> Course:
    """Return how the search went."""
    messages = Counter(
        str(trial.user_attributes.get("message", "no message"))
        for trial in results.trials
        if trial.state == "failed"
    )
    shown = messages.most_common(_MOST_MESSAGES)
    return Course(
        rate=_rate(results),
        rungs=_rungs(results),
        crews=_crews(results),
        failures=[Failure(message, count) for message, count in shown],
        other_failures=messages.total() - sum(count for _, count in shown),
    )


def _rate(results: StudyResults) -> Plot | None:
    rows = rate_rows(results.trials)
    if rows is None:
        return None
    finished = results.counts.complete + results.counts.pruned
    span = rows.span_minutes
    return Plot(
        key="rate",
        title="Trials a minute",
        caption=(
            "Trials that ended, in stretches of equal length from the start of the first trial to "
            "the end of the last. Stretches in which none ended are empty."
        ),
        alternative=f"{finished:,} complete and pruned trials in {span:.2g} minutes, "
        f"{finished / span:.1f} a minute in the mean.",
        figure=plain_figure(draw_rate(rows)),
    )


def _rungs(results: StudyResults) -> list[Rung]:
    reported: Counter[int] = Counter()
    pruned: Counter[int] = Counter()
    for trial in results.trials:
        reported.update(trial.intermediate_values.keys())
        if trial.state == "pruned" and trial.intermediate_values:
            pruned[max(trial.intermediate_values)] += 1
    return [Rung(rung, reported[rung], pruned[rung]) for rung in sorted(reported)]


def _crews(results: StudyResults) -> list[Crew]:
    told = Counter(trial.worker_id for trial in results.trials if trial.completed is not None)
    found: dict[tuple[str, str], list[tuple[bool, int]]] = {}
    for worker in results.workers:
        machine = worker.machine
        kind = ", ".join(
            str(machine[key])
            for key in ("architecture", "cpu_capability", "device")
            if key in machine
        )
        if "torch" in machine:
            kind += f", torch {machine['torch']}"
        found.setdefault((worker.host, kind), []).append((worker.alive, told[worker.worker_id]))
    return [
        Crew(
            host, kind, len(members), sum(alive for alive, _ in members), sum(n for _, n in members)
        )
        for (host, kind), members in found.items()
    ]

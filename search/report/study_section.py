"""What the report says about one study, ready to be laid out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from search.analysis.course import Crew, Failures, Rung, crews_of, failures_of, rungs_of
from search.analysis.groups import ParameterEffect, effects
from search.analysis.importances import FEWEST_TRIALS, importances
from search.analysis.score_table import (
    Entrant,
    ScoreGroup,
    score_group,
    search_baselines,
    span,
)
from search.analysis.study_results import StudyResults
from search.analysis.trials import Trial
from search.analysis.winner import Outcome
from search.analysis.wording import Command, commands, counted, scale_of
from search.records import BaselineRecord
from search.report.answer import Answer, search_answer, winner_answer
from search.report.figures import (
    VerdictRow,
    error_plot,
    history_plot,
    importances_plot,
    rate_plot,
    rollout_plot,
    verdict_rows,
)
from search.report.parts import Picture, Plot

_SHOWN_TRIALS = 10
# The values of so many parameters are shown at once, the others on demand.
_OPEN_EFFECTS = 6


@dataclass(frozen=True)
class StudyReport:
    """The report on one study, in the order in which it is shown.

    effects: parameters by their values, the most important first; more_effects: the rest, on
    demand. importances_note: why there are no importances, "" where there are. facts, provenance:
    names and values.
    """

    name: str
    answer: Answer
    rollout: Plot | Picture | None
    scale: str
    groups: Sequence[ScoreGroup]
    errors: Plot | None
    importances: Plot | None
    importances_note: str
    effects: Sequence[ParameterEffect]
    more_effects: Sequence[ParameterEffect]
    verdicts: Sequence[VerdictRow]
    history: Plot | None
    rate: Plot | None
    rungs: Sequence[Rung]
    crews: Sequence[Crew]
    failures: Failures
    facts: Sequence[tuple[str, str]]
    commands: Sequence[Command]
    provenance: Sequence[tuple[str, str]]
    definition: str

    @property
    def plots(self) -> list[Plot]:
        """The figures that plotly draws."""
        shown = (self.rollout, self.errors, self.importances, self.history, self.rate)
        return [plot for plot in shown if isinstance(plot, Plot)]


def study_report(results: StudyResults, storage_url: str) -> StudyReport:
    """Say what a study found; storage_url: without its password."""
    baselines = search_baselines(results.definition, results.table) if results.complete else {}
    found = importances(results.trials, results.definition)
    names = [row.parameter for row in found] or list(results.definition.full_space().domains)
    shown = effects(results.trials, results.definition, names)
    return StudyReport(
        name=results.study.name,
        answer=_answer(results, baselines),
        rollout=rollout_plot(results),
        scale=scale_of(results.definition.task.score_against),
        groups=_groups(results, baselines),
        errors=error_plot(results, baselines),
        importances=importances_plot(found),
        importances_note=""
        if found
        else f"Importances need {counted(FEWEST_TRIALS, 'complete trial')}; the study has "
        f"{results.counts.complete:,}.",
        effects=shown[:_OPEN_EFFECTS],
        more_effects=shown[_OPEN_EFFECTS:],
        verdicts=verdict_rows(results),
        history=history_plot(results),
        rate=rate_plot(results),
        rungs=rungs_of(results.trials),
        crews=crews_of(results.trials, results.workers),
        failures=failures_of(results.trials),
        facts=_facts(results),
        commands=commands(results.study.name, storage_url),
        provenance=_provenance(results),
        definition=json.dumps(results.definition.model_dump(mode="json"), indent=2),
    )


def _answer(results: StudyResults, baselines: Mapping[str, BaselineRecord]) -> Answer:
    if results.winner is None:
        best = next(iter(results.complete), None)
        candidate = None if best is None else results.candidate(best)
        return search_answer(best, candidate, results.counts, results.definition, baselines)
    candidate = results.candidate(results.winner.trial)
    return winner_answer(results.winner, candidate, len(results.finals), results.definition)


def _groups(results: StudyResults, baselines: Mapping[str, BaselineRecord]) -> list[ScoreGroup]:
    groups = [_final_group(results, "Test of the winner", results.tests)] if results.tests else []
    if results.finals:
        groups.append(_final_group(results, "Final", results.finals))
    best = results.complete[:_SHOWN_TRIALS]
    if best:
        complete = counted(results.counts.complete, "complete trial")
        entrants = [
            _entrant(results, t, t.score, t.record.replica_scores or (), t.record.verdict)
            for t in best
        ]
        note = span(results.definition, "search", results.definition.search.replicas)
        title = f"Search: the best {len(best)} of {complete}"
        groups.append(score_group(title, note, entrants, baselines))
    return groups


def _final_group(results: StudyResults, title: str, done: Sequence[Outcome]) -> ScoreGroup:
    entrants = [
        _entrant(
            results,
            results.trial(outcome.trial_id),
            outcome.found.score,
            outcome.found.replica_scores,
            outcome.found.verdict,
        )
        for outcome in done
    ]
    first = done[0]
    note = span(results.definition, first.purpose, len(first.found.replica_scores))
    return score_group(title, note, entrants, first.found.baselines)


def _entrant(
    results: StudyResults,
    trial: Trial,
    score: float,
    scores: tuple[float, ...],
    verdict: str | None,
) -> Entrant:
    is_winner = results.winner is not None and results.winner.trial.trial_id == trial.trial_id
    return Entrant(trial, results.candidate(trial), score, scores, verdict, is_winner)


def _facts(results: StudyResults) -> list[tuple[str, str]]:
    counts, budget, search = results.counts, results.budget, results.definition.search
    limit = "no limit" if budget.trials is None else f"of {budget.trials:,}"
    minutes = "" if budget.minutes is None else f" of {budget.minutes:g}"
    created = datetime.fromtimestamp(results.study.created, UTC)
    states = ("complete", "pruned", "failed", "running", "waiting")
    return [
        ("Trials", f"{counts.total:,} ({limit})"),
        *((state.capitalize(), f"{getattr(counts, state):,}") for state in states),
        ("Running time", f"{budget.spent_seconds / 60:.1f}{minutes} minutes"),
        ("Workers so far", f"{len(results.workers):,}"),
        ("Sampler, pruner", f"{search.sampler}, {search.pruner}"),
        ("Series", _series(results)),
        ("Created", f"{created:%Y-%m-%d %H:%M} UTC"),
    ]


def _provenance(results: StudyResults) -> list[tuple[str, str]]:
    """What a score that is claimed here depends on."""
    study = results.study
    keys = ("freerun", "torch", "python", "architecture", "cpu_capability", "device")
    found = {
        key: sorted({str(worker.machine.get(key, "?")) for worker in results.workers})
        for key in keys
    }
    data = [("Rows of the table, SHA-256", study.data_hash)] if study.data_hash else []
    return [
        ("Seed", str(results.definition.seed)),
        ("Definition, SHA-256", study.definition_hash),
        *data,
        *((key.replace("_", " ").capitalize(), ", ".join(kinds)) for key, kinds in found.items()),
    ]


def _series(results: StudyResults) -> str:
    table = results.table
    if table is None:
        values = results.definition.series.model_dump(mode="json")
        return ", ".join(f"{name} {value}" for name, value in values.items())
    return (
        f"table of {counted(table.rows, 'row')}, {table.time_column} {table.times[0]} to "
        f"{table.times[-1]}, column {', '.join(table.columns)}"
    )

"""The report: one HTML file about one or several studies that needs nothing else."""

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from plotly.offline import get_plotlyjs

import search
from search.analysis.channel_table import ChannelTable, channel_table
from search.analysis.course import Crew, Failures, Rung, crews_of, failures_of, rungs_of
from search.analysis.groups import ParameterEffect, effects
from search.analysis.importances import FEWEST_TRIALS, importances
from search.analysis.score_table import Row, ScoreGroup, score_group, search_baselines, span
from search.analysis.study_results import Outcome, StudyResults, baselines_of
from search.analysis.trials import Trial
from search.analysis.wording import (
    UNITS_RULE,
    commands,
    counted,
    errors_rule,
    scale_of,
    score_rule,
    shown_channels,
    shown_minutes,
    shown_properties,
    shown_score,
    shown_scores,
    winner_rule,
)
from search.contest import baseline_of, is_baseline
from search.files import template, write_file
from search.outputs import REPORT, check_output
from search.plotting.drawing import COLOURS
from search.records import BaselineRecord, FinalRecord, TrialRecord
from search.report import figures
from search.report.answer import Answer, study_answer
from search.report.figures import Picture, Plot, VerdictRow
from search.storage.studies import Storage
from search.study.task_data import season_steps

_SHOWN_TRIALS = 10


@dataclass(frozen=True)
class Block:
    """A heading, then sentences, then HTML that is trusted (a table perhaps), then figures."""

    heading: str
    sentences: Sequence[str]
    plots: Sequence[Plot] = ()
    html: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page above the studies.

    anchor: its HTML id, which no other section has. style: CSS of its own.
    """

    anchor: str
    title: str
    headline: str
    blocks: Sequence[Block]
    style: str = ""

    @property
    def plots(self) -> list[Plot]:
        """The figures that plotly draws."""
        return [plot for block in self.blocks for plot in block.plots]


# Given the studies of a report, returns the sections to show above them.
SectionMaker = Callable[[Sequence[StudyResults]], Sequence[Section]]


@dataclass(frozen=True)
class StudyReport:
    """The report on one study, in the order in which it is shown.

    panels, channels: None for a study of one channel. effects: parameters by their values, the most
    important first. importances_note: why there are no importances, "" where there are. facts,
    provenance: names and values. commands: with what each does.
    """

    name: str
    answer: Answer
    rollout: Plot | Picture | None
    panels: Plot | None
    channels: ChannelTable | None
    score_rule: str
    winner_rule: str
    scale: str
    groups: Sequence[ScoreGroup]
    errors: Plot | None
    importances: Plot | None
    importances_note: str
    effects: Sequence[ParameterEffect]
    verdicts: Sequence[VerdictRow]
    history: Plot | None
    rate: Plot | None
    rungs: Sequence[Rung]
    crews: Sequence[Crew]
    failures: Failures
    facts: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    provenance: Sequence[tuple[str, str]]
    definition: str

    @property
    def plots(self) -> list[Plot]:
        """The figures that plotly draws."""
        shown = (self.rollout, self.panels, self.errors, self.importances, self.history, self.rate)
        return [plot for plot in shown if isinstance(plot, Plot)]


def write_report(
    storage: Storage,
    names: Sequence[str],
    path: Path,
    make_sections: SectionMaker = lambda _studies: (),
) -> None:
    """Write one self-contained HTML file about the named studies, all or nothing.

    The page makes no request to any host. What it draws is bounded, however many trials there are.
    make_sections: returns sections to show above the studies.

    Raises UnknownStudyError for a name that the storage does not hold; UsageError where the file
    can't be written, and where anything but an older report is there.
    """
    check_output(path, REPORT)
    studies = [StudyResults.read(storage.study(name)) for name in names]
    reports = [study_report(results, storage.shown_url) for results in studies]
    write_file(path, _html(reports, make_sections(studies)).encode())


def study_report(results: StudyResults, storage_url: str) -> StudyReport:
    """Say what a study found; storage_url: without its password."""
    baselines = search_baselines(results.definition, results.table) if results.complete else {}
    found = importances(results.trials, results.definition)
    names = [row.parameter for row in found] or list(results.definition.full_space().domains)
    return StudyReport(
        name=results.study.name,
        answer=study_answer(results, baselines),
        rollout=figures.rollout_plot(results),
        panels=figures.panels_plot(results),
        channels=channel_table(results, baselines),
        score_rule=score_rule(results.definition.task),
        winner_rule=winner_rule(has_draws=results.definition.series.is_generated),
        scale=f"{_scale(results)} {errors_rule(season_steps(results.definition))}",
        groups=_groups(results, baselines),
        errors=figures.error_plot(results, baselines),
        importances=figures.importances_plot(found),
        importances_note=""
        if found
        else f"Importances need {counted(FEWEST_TRIALS, 'complete trial')}; the study has "
        f"{results.counts.complete:,}.",
        effects=effects(results.trials, results.definition, names),
        verdicts=figures.verdict_rows(results),
        history=figures.history_plot(results),
        rate=figures.rate_plot(results),
        rungs=rungs_of(results.trials),
        crews=crews_of(results.trials, results.workers),
        failures=failures_of(results.trials),
        facts=_facts(results),
        commands=commands(results.study.name, storage_url),
        provenance=_provenance(results),
        definition=json.dumps(results.definition.model_dump(mode="json"), indent=2),
    )


def _scale(results: StudyResults) -> str:
    scale = scale_of(results.definition.task.score_against)
    if results.table is None or len(results.table.columns) == 1:
        return scale
    said = f"{scale} Each channel has a variance of its own, and NMSE is the mean over channels."
    return said if results.table.has_one_unit else f"{said} {UNITS_RULE}"


def _groups(results: StudyResults, baselines: Mapping[str, BaselineRecord]) -> list[ScoreGroup]:
    groups = [_final_group(results, "Test of the winner", results.tests)] if results.tests else []
    if results.finals:
        groups.append(_final_group(results, "Final", results.finals))
    best = results.complete[:_SHOWN_TRIALS]
    if best:
        complete = counted(results.counts.complete, "complete trial")
        rows = [_row(results, trial, trial.score, trial.record) for trial in best]
        note = span(results.definition, "search", results.definition.search.replicas)
        title = f"Search: the best {len(best)} of {complete}"
        groups.append(score_group(title, note, rows, baselines))
    return groups


def _final_group(results: StudyResults, title: str, done: Sequence[Outcome]) -> ScoreGroup:
    rows = [_outcome_row(results, of) for of in done if not is_baseline(of.subject)]
    first = next((of for of in done if not is_baseline(of.subject)), done[0])
    note = span(results.definition, first.purpose, len(first.found.replica_scores))
    won = None if results.winner is None else baseline_of(results.winner.subject)
    return score_group(title, note, rows, baselines_of(done), winning_baseline=won)


def _outcome_row(results: StudyResults, of: Outcome) -> Row:
    if isinstance(of.subject, int):
        return _row(results, results.trial(of.subject), of.found.score, of.found)
    return Row(
        results.name_of(of.subject),
        "candidate",
        of.found.score,
        of.found.replica_scores,
        described=results.candidate_of(of).description(),
        verdict=of.found.verdict,
        errors=of.found.errors,
        is_winner=results.winner is not None and results.winner.subject == of.subject,
    )


def _row(
    results: StudyResults, trial: Trial, score: float, found: TrialRecord | FinalRecord
) -> Row:
    return Row(
        f"trial {trial.number}",
        "candidate",
        score,
        found.replica_scores or (),
        described=results.described(trial),
        verdict=found.verdict,
        errors=found.errors,
        params=trial.params,
        is_winner=results.winner is not None and results.winner.subject == trial.trial_id,
    )


def _facts(results: StudyResults) -> list[tuple[str, str]]:
    counts, budget, search = results.counts, results.budget, results.definition.search
    limit = "no limit" if budget.trials is None else f"of {budget.trials:,}"
    created = datetime.fromtimestamp(results.study.created, UTC)
    states = ("complete", "pruned", "failed", "running", "waiting")
    return [
        ("Trials", f"{counts.total:,} ({limit})"),
        *((state.capitalize(), f"{getattr(counts, state):,}") for state in states),
        ("Running time", shown_minutes(budget.spent_seconds / 60, budget.minutes)),
        ("Workers so far", f"{len(results.workers):,}"),
        ("Sampler, pruner", f"{search.sampler}, {search.pruner}"),
        ("Series", _series(results)),
        *_properties(results),
        ("Created", f"{created:%Y-%m-%d %H:%M} UTC"),
    ]


def _properties(results: StudyResults) -> list[tuple[str, str]]:
    found = results.definition.properties
    return [] if found is None else shown_properties(found)


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
        return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
    return (
        f"table of {counted(table.rows, 'row')}, {table.time_column} {table.times[0]} to "
        f"{table.times[-1]}, {shown_channels(table)}"
    )


def _html(reports: Sequence[StudyReport], sections: Sequence[Section]) -> str:
    has_plots = any(report.plots for report in reports) or any(s.plots for s in sections)
    return template("search.report", "page.html").render(
        reports=reports,
        sections=sections,
        colours=COLOURS,
        version=search.__version__,
        plotly_script=_plotly_script() if has_plots else None,
        shown_score=shown_score,
        shown_scores=shown_scores,
    )


@cache
def _plotly_script() -> str:
    """plotly.js, gzipped, as base64 text: 2 MB instead of 5. The browser inflates it."""
    script = get_plotlyjs().encode()
    return base64.b64encode(gzip.compress(script, compresslevel=6, mtime=0)).decode()

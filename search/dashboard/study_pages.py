"""The requests that the page of a freerun study repeats, answered from memory and in few bytes.

optuna-dashboard reads, serialises and sends some kilobytes for each trial, at every request: a
minute and 85 MB for 10,000 trials, after which the browser draws a line of intermediate values for
each trial. This layer keeps trials as JSON. For a study with many trials it reports that there are
no intermediate values; one of its figures summarises them.
"""

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from optuna.study._frozen import FrozenStudy

# The envelope around the trials is optuna-dashboard's own.
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from optuna_dashboard._note import get_note_from_system_attrs
from optuna_dashboard._serializer import serialize_study_detail

from search.analysis.groups import grouped
from search.analysis.importances import FEWEST_TRIALS, importances
from search.analysis.status import winner_line, winner_summary
from search.analysis.trials import Trial, best_first, verdict_counts
from search.dashboard import layers
from search.dashboard.layers import App, Body, Environ, Start
from search.dashboard.study_trials import StudyTrials
from search.errors import UnknownStudyError
from search.plotting.charts import Figure, on_either_page
from search.plotting.study import limits_chart, presets_chart, reports_chart, verdicts_chart
from search.storage.studies import Storage
from search.storage.study_store import StudyReader
from search.study.definition import StudyDefinition
from search.study.space import distribution_of
from search.study.study_file import read_stored_definition

# Up to so many trials, the page draws a line of intermediate values for each of them.
MOST_LINES = 300
# Among the attributes of the study that the page lists.
WINNER = "winner"
# In larger studies, one figure draws the reports of the best trials.
_MOST_REPORTS = 40

_STUDY = re.compile(r"/api/studies/(\d+)")
_IMPORTANCES = re.compile(r"/api/studies/(\d+)/param_importances")
_NOTE_KEY = re.compile(r"dashboard:(\d+):note_ver")


class StudyPages:
    """Answers for the studies that freerun made; everything else is the application's."""

    def __init__(self, app: App, storage: Storage) -> None:
        self._app = app
        self._storage = storage
        self._lock = Lock()
        self._known: dict[int, _Pages] = {}

    def __call__(self, environ: Environ, start: Start) -> Body:
        if layers.method(environ) in ("GET", "HEAD"):
            if found := _STUDY.fullmatch(layers.path(environ)):
                return self._study(environ, start, int(found[1]))
            if found := _IMPORTANCES.fullmatch(layers.path(environ)):
                return self._importances(environ, start, int(found[1]))
        return self._app(environ, start)

    def trials_of(self, study_id: int) -> int | None:
        """Return how many trials a study has; None for a study that freerun did not make."""
        pages = self._pages(study_id)
        if pages is None:
            return None
        with pages.trials.fresh() as trials:
            return len(trials.rows)

    def parameters_of(self, study_id: int) -> int | None:
        """Return how many parameters a study samples; None for one that freerun did not make."""
        pages = self._pages(study_id)
        return None if pages is None else len(pages.definition.space)

    def warm_up(self) -> None:
        """Read all studies, so that the first visitor need not wait for it."""
        for study in self._storage.optuna.get_all_studies():
            self.trials_of(study._study_id)

    def _study(self, environ: Environ, start: Start, study_id: int) -> Body:
        pages, studies = self._pages(study_id), self._storage.optuna.get_all_studies()
        frozen = next((study for study in studies if study._study_id == study_id), None)
        after = parse_qs(environ.get("QUERY_STRING", "")).get("after", ["0"])[0]
        if pages is None or frozen is None or not after.isdecimal():
            return self._app(environ, start)
        content, headers = pages.detail(frozen, int(after), compress=layers.takes_gzip(environ))
        return layers.answer(start, HTTPStatus.OK, content, "application/json", headers)

    def _importances(self, environ: Environ, start: Start, study_id: int) -> Body:
        pages = self._pages(study_id)
        found = None if pages is None else pages.importances()
        if found is None:
            return self._app(environ, start)
        content = json.dumps({"param_importances": [found]}).encode()
        return layers.answer(start, HTTPStatus.OK, content, "application/json")

    def _pages(self, study_id: int) -> "_Pages | None":
        with suppress(KeyError, UnknownStudyError):
            study = self._storage.study(self._storage.optuna.get_study_name_from_id(study_id))
            with self._lock:
                known = self._known.get(study_id)
                # SQLite gives the id of a deleted study to the next one.
                if known is None or known.created != study.created:
                    known = self._known[study_id] = _Pages(study)
                return known
        return None


class _Pages:
    """The answers about one study, kept as long as they are true."""

    def __init__(self, study: StudyReader) -> None:
        self._study = study
        self.created = study.created
        self.definition = read_stored_definition(study.definition)
        self.trials = StudyTrials(study, self.definition.full_space())
        self._figures: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._importances: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._winner: tuple[Mapping[int, str], str | None] = ({}, None)
        self._whole: tuple[tuple[int, bytes], bytes] = ((-1, b""), b"")

    def detail(
        self, study: FrozenStudy, after: int, *, compress: bool
    ) -> tuple[bytes, list[tuple[str, str]]]:
        """The study with its trials from a number on, and the headers that go with it."""
        with self.trials.fresh() as trials:
            notes = _notes(study.system_attrs)
            envelope = self._envelope(study, trials, notes)
            kind, key = [("Content-Encoding", "gzip")], (trials.version, envelope)
            if compress and after == 0 and self._whole[0] == key:
                return self._whole[1], kind
            texts = trials.texts(range(after, len(trials.rows)), notes)
            content = b'{"trials":[' + texts + b"]," + envelope
            if not compress:
                return content, []
            packed = gzip.compress(content, layers.GZIP_LEVEL, mtime=0)
            if after == 0:
                self._whole = key, packed
            return packed, kind

    def importances(self) -> list[dict[str, Any]] | None:
        """As the page takes them; None where the trials are too few for ours."""
        with self.trials.fresh() as trials:
            if trials.complete < FEWEST_TRIALS:
                return None
            if self._importances[0] != trials.complete:
                domains = self.definition.full_space().domains
                found = [
                    {
                        "name": row.parameter,
                        "importance": row.share,
                        "distribution": type(distribution_of(domains[row.parameter])).__name__,
                    }
                    for row in importances(trials.with_params(), self.definition)
                ]
                self._importances = trials.complete, found
            return self._importances[1]

    def _envelope(
        self, study: FrozenStudy, trials: StudyTrials, notes: Mapping[int, Mapping[str, Any]]
    ) -> bytes:
        """All but the trials: the rest of a JSON object, without its opening brace."""
        is_small = len(trials.rows) <= MOST_LINES
        plain = serialize_study_detail(
            study,
            [],
            [],
            sorted(trials.common.items()),
            sorted(trials.distributions.items()),
            list(trials.attributes.items()),
            trials.has_reports and is_small,
            get_plotly_graph_objects(study.system_attrs),
            [],
        )
        del plain["trials"], plain["best_trials"]
        if self._figures[0] != trials.version:
            figures = study_figures(
                self.definition, trials.rows, trials.contexts, has_lines=not is_small
            )
            self._figures = trials.version, figures
        plain["plotly_graph_objects"] += self._figures[1]
        if (winner := self._shown_winner()) is not None:
            plain["user_attrs"].append({"key": WINNER, "value": winner})
        best = [trial.number for trial in best_first(trials.rows.values())[:1]]
        head = b'"best_trials":[' + trials.texts(best, notes) + b"],"
        return head + json.dumps(plain, separators=(",", ":")).encode()[1:]

    def _shown_winner(self) -> str | None:
        """Who won the final, which need not be a trial; None before it is done."""
        states = self._study.final_states()
        if self._winner[0] != states:
            found = winner_summary(self._study)
            self._winner = states, None if found is None else winner_line(found)
        return self._winner[1]


def _notes(attributes: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """The notes on trials that a study's system attributes hold, by trial id."""
    ids = [int(found[1]) for key in attributes if (found := _NOTE_KEY.fullmatch(key))]
    return {trial_id: get_note_from_system_attrs(attributes, trial_id) for trial_id in ids}


def study_figures(
    definition: StudyDefinition,
    trials: Mapping[int, Trial],
    contexts: Mapping[int, int | None],
    *,
    has_lines: bool,
) -> list[dict[str, Any]]:
    """Return what the study can show: {"id", "graph_object"} each, the latter JSON text.

    Figures are made when the page asks and never stored: a stored one would be out of date as soon
    as a worker finished the next trial. They travel with every poll, so each is a few kilobytes.

    trials, contexts: by number; contexts: how many values a trial reads, where that is known.
    has_lines: whether to draw the reports of the best trials, which the page itself draws for small
    studies.
    """
    rows = [trials[number] for number in sorted(trials)]
    against = definition.task.score_against
    verdicts, presets = verdict_counts(rows), grouped(rows, lambda trial: trial.preset)
    best = [row for row in best_first(rows) if row.reports][:_MOST_REPORTS] if has_lines else []
    shown: list[tuple[str, str, Figure]] = []
    if verdicts:
        shown.append(("verdicts", "What free runs do (verdicts)", verdicts_chart(verdicts)))
    if any(group.complete for group in presets):
        shown.append(("presets", "Score by preset", presets_chart(presets, against)))
    if (limits := _limits(rows, contexts)) is not None:
        shown.append(("limit", "Score against the attainable limit", limits))
    if best:
        reports = reports_chart([row.reports for row in best], against)
        shown.append(("reports", f"Reports of the best {len(best)} trials", reports))
    return [
        {
            "id": f"freerun-{name}",
            "graph_object": json.dumps(on_either_page(figure, title), separators=(",", ":")),
        }
        for name, title, figure in shown
    ]


def _limits(rows: Sequence[Trial], contexts: Mapping[int, int | None]) -> Figure | None:
    limits = {
        contexts[row.number]: row.record.limit
        for row in rows
        if row.record.limit is not None and row.number in contexts
    }
    groups = [g for g in grouped(rows, lambda row: contexts.get(row.number)) if g.complete]
    if not limits or not groups:
        return None
    return limits_chart([(group, limits.get(int(group.key))) for group in groups])

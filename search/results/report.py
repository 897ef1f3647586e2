"""The report: one HTML file about one or several studies that needs nothing else."""

import base64
import gzip
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from plotly.offline import get_plotlyjs

import search
from search.results.attempts import AttemptsSection, attempts_section
from search.results.figures import COLOURS
from search.results.study_report import StudyReport, study_report
from search.results.study_results import StudyResults
from search.results.templates import environment
from search.results.wording import shown_score, shown_scores
from search.results.writing import write_file
from search.storage import Storage


def write_report(storage: Storage, names: Sequence[str], path: Path) -> None:
    """Write one self-contained HTML file about the named studies, all or nothing.

    It makes no request to any host, and bounds what it draws, however many trials there are.

    Raises UnknownStudyError for a name that the storage does not hold; UsageError where the file
    can't be written.
    """
    studies = [StudyResults.read(storage.study(name)) for name in names]
    reports = [study_report(results, storage.shown_url) for results in studies]
    write_file(path, _html(reports, attempts_section(studies)).encode())


def _html(reports: Sequence[StudyReport], attempts: AttemptsSection | None) -> str:
    return (
        environment()
        .get_template("report.html")
        .render(
            reports=reports,
            attempts=attempts,
            colours=COLOURS,
            version=search.__version__,
            plotly_script=_plotly_script() if _has_plots(reports, attempts) else None,
            shown_score=shown_score,
            shown_scores=shown_scores,
        )
    )


def _has_plots(reports: Sequence[StudyReport], attempts: AttemptsSection | None) -> bool:
    return any(report.plots for report in reports) or bool(attempts and attempts.plots)


@cache
def _plotly_script() -> str:
    """plotly.js, gzipped, as base64 text: 2 MB instead of 5, which the browser inflates itself."""
    script = get_plotlyjs().encode()
    return base64.b64encode(gzip.compress(script, compresslevel=6, mtime=0)).decode()

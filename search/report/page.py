"""The report: one HTML file about one or several studies that needs nothing else."""

import base64
import gzip
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from plotly.offline import get_plotlyjs

import search
from search.analysis.study_results import StudyResults
from search.analysis.wording import shown_score, shown_scores
from search.files import template, write_file
from search.plotting.palette import COLOURS
from search.report.parts import Section, SectionMaker
from search.report.study_section import StudyReport, study_report
from search.storage.studies import Storage


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
    can't be written.
    """
    studies = [StudyResults.read(storage.study(name)) for name in names]
    reports = [study_report(results, storage.shown_url) for results in studies]
    write_file(path, _html(reports, make_sections(studies)).encode())


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

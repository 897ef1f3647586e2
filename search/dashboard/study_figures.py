"""Small figures of a whole study, made from the trials in memory, beside the dashboard's own.

They are made when the page asks and never stored: a stored figure would be out of date as soon as a
worker finished the next trial. They travel with every poll, so each is a few kilobytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from search.analysis.groups import grouped
from search.analysis.trials import Trial, best_first, verdict_counts
from search.plotting.charts import Figure, on_either_page
from search.plotting.study import limits_chart, presets_chart, reports_chart, verdicts_chart
from search.study.definition import StudyDefinition

# How many trials have a line in the figure of reports.
_MOST_LINES = 40


def study_figures(
    definition: StudyDefinition,
    trials: Mapping[int, Trial],
    contexts: Mapping[int, int | None],
    *,
    has_lines: bool,
) -> list[dict[str, Any]]:
    """Return what the study can show: {"id", "graph_object"} each, the latter JSON text.

    trials, contexts: by number; contexts: how many values each trial reads. has_lines: whether to
    draw the reports of the best trials, which the page itself draws for small studies.
    """
    rows = [trials[number] for number in sorted(trials)]
    against = definition.task.score_against
    verdicts, presets = verdict_counts(rows), grouped(rows, lambda trial: trial.preset)
    best = [row for row in best_first(rows) if row.reports][:_MOST_LINES] if has_lines else []
    figures: dict[str, tuple[str, Figure | None]] = {
        "verdicts": (
            "What free runs do (verdicts)",
            verdicts_chart(verdicts) if verdicts else None,
        ),
        "presets": (
            "Score by preset",
            presets_chart(presets, against) if any(group.complete for group in presets) else None,
        ),
        "limit": ("Score against the attainable limit", _limits(rows, contexts)),
        "reports": (
            f"Reports of the best {len(best)} trials",
            reports_chart([row.reports for row in best], against) if best else None,
        ),
    }
    return [
        {
            "id": f"freerun-{name}",
            "graph_object": json.dumps(on_either_page(figure, title), separators=(",", ":")),
        }
        for name, (title, figure) in figures.items()
        if figure is not None
    ]


def _limits(rows: Sequence[Trial], contexts: Mapping[int, int | None]) -> Figure | None:
    limits = {
        contexts[row.number]: row.record.limit for row in rows if row.record.limit is not None
    }
    groups = [g for g in grouped(rows, lambda row: contexts[row.number]) if g.complete]
    if not limits or not groups:
        return None
    return limits_chart([(group, limits.get(int(group.key))) for group in groups])

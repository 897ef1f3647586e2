"""What matters: which parameters decide, and what each of their values does."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.methods import counted
from search.results.effects import Effect, effects
from search.results.figures import draw_importances
from search.results.importances import FEWEST_TRIALS, Importance, importances
from search.results.plots import Plot, plain_figure
from search.results.study_results import StudyResults

# So many parameters' values are shown at once, the others on demand.
_OPEN = 6


@dataclass(frozen=True)
class Matters:
    """The section on what matters. note: why there are no importances, "" where there are."""

    importances: Plot | None
    note: str
    first: Sequence[Effect]
    others: Sequence[Effect]


def what_matters(results: StudyResults) -> Matters | None:
    """Return the section; None before any trial is complete or pruned."""
    rows = importances(results.trials, results.definition)
    names = [row.parameter for row in rows] or list(results.definition.full_space().domains)
    found = effects(results.trials, results.definition, names)
    if not found:
        return None
    return Matters(
        importances=_plot(rows) if rows else None,
        note=""
        if rows
        else f"Importances need {counted(FEWEST_TRIALS, 'complete trial')}; the study has "
        f"{results.counts.complete:,}.",
        first=found[:_OPEN],
        others=found[_OPEN:],
    )


def _plot(rows: Sequence[Importance]) -> Plot:
    words = ", ".join(f"{row.parameter} {100 * row.share:.0f} %" for row in rows[:5])
    return Plot(
        key="importances",
        title="Importance of each parameter",
        caption=(
            "Each parameter's part in reaching the best tenth of the complete trials, by "
            "conditional PED-ANOVA; the parts sum to 100 %. It says where the good trials lie, "
            "not that a parameter alone makes them good."
        ),
        alternative=f"The most important parameters are {words}.",
        figure=plain_figure(draw_importances(rows)),
    )

"""An export whose networks were trained again: its intervals, and a cheap update of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from models.ensemble import save_any
from search.errors import UsageError
from search.evaluation.held_out import HeldOutRuns
from search.export.content import Claim, Export
from search.export.forecast import check_table
from search.export.intervals import Intervals
from search.export.trust import training_values
from search.records import this_machine, this_versions
from search.running.retraining import Retrained
from search.running.updating import Updated, update_on
from search.series import Table
from search.study.task_data import season_steps

# Errors of a series whose values vary by so many times more or less are those of another series.
MOST_RATIO = 2.0


def retrained_intervals(
    export: Export, held_out: HeldOutRuns | None, table: Table | None, *, is_same: bool
) -> Intervals | None:
    """The intervals of an export whose networks were trained again, on a table or a draw.

    is_same: on the data of the study, so that the test and the choice of the winner still count.
    held_out: the free runs of the new networks over what they did not learn from; None where they
    learnt from all rows. Then the intervals stay what they were, but for a table that varies by
    more than MOST_RATIO times as much, or less than that, as what the export learnt from.
    """
    own = export.intervals
    if held_out is not None:
        test, widening = (own.test, own.widening) if own and is_same else (None, 1.0)
        return Intervals(held_out.thinned(), test, widening)
    assert table is not None  # all of a generated series is never learnt from
    before = training_values(export)
    if own is None or before.shape[1] != len(table.columns):
        return None
    ratio = table.values.std(axis=0) / before.std(axis=0)
    is_alike = (ratio <= MOST_RATIO) & (ratio >= 1.0 / MOST_RATIO)
    return own if is_alike.all() else None


def retrained(export: Export, again: Retrained, table: Table | None, claim: Claim | None) -> Export:
    """The export after a training anew: its weights, its intervals and what it still claims.

    table: what it was trained on, None for draws of a generated series. claim: what it claims of
    its score, None where it was trained on other data than the study's; then what the study found
    in its test says nothing of it.
    """
    # A claim is of the search or the final; only they are made for a candidate.
    purpose: Literal["search", "final", "all"] = "all"
    if claim is not None:
        purpose = "search" if claim.purpose == "search" else "final"
    return replace(
        export,
        claim=claim,
        test=None if claim is None else export.test,
        table=table,
        weights=save_any(again.checkpoint),
        weights_purpose=purpose,
        versions=this_versions(export.definition.plugins),
        machine=this_machine(),
        intervals=retrained_intervals(export, again.held_out, table, is_same=claim is not None),
    )


def updated(
    export: Export,
    table: Table,
    *,
    device: str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> tuple[Export, Updated]:
    """Update an export's networks on all rows of a table, see `search.running.updating`.

    Its intervals stay those of the networks before. Raises UsageError for an export without
    networks, SeriesError for a table that does not fit them.
    """
    checkpoint = export.checkpoint
    if checkpoint is None:
        raise UsageError(
            f"the export of {export.named} holds no networks to update; `freerun retrain` trains "
            "them"
        )
    check_table(checkpoint, table, export.table)
    made = update_on(
        export.candidate,
        checkpoint,
        table,
        export.study_seed,
        season_steps=season_steps(export.definition),
        device=device,
        tick=tick,
    )
    return replace(export, weights=save_any(made.checkpoint), weights_purpose="all"), made

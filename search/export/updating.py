"""An export whose networks also know the rows that a table has by now; the folder stays as it is."""

from collections.abc import Callable
from dataclasses import replace

from models.ensemble import save_any
from search.errors import UsageError
from search.export.content import Export
from search.export.forecast import check_table
from search.running.updating import Updated, update_on
from search.series import Table


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
        export.candidate, checkpoint, table, export.study_seed, device=device, tick=tick
    )
    return replace(export, weights=save_any(made.checkpoint), weights_purpose="all"), made

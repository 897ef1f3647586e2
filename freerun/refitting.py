"""Training an exported configuration on all rows of a table, anew or from its weights on."""

from models.tensors import one_thread
from search.errors import UsageError
from search.export import Export
from search.export.updating import retrained, updated
from search.running.retraining import retrain_on
from search.series import Table
from search.study.task_data import season_steps


def refit(export: Export, table: Table | None) -> Export:
    """Return an export whose networks are trained on all rows of a table.

    table: None where the export has none and the user gave none.
    """
    definition = export.definition
    if table is None:
        raise UsageError(
            "the forecaster of a generated series has no rows of its own to be trained on, but no "
            "series is given; give one"
        )
    with one_thread():
        again = retrain_on(
            export.candidate,
            table,
            0,
            export.study_seed,
            definition.search.final_replicas,
            season_steps=season_steps(definition),
        )
    return retrained(export, again, table, claim=None)


def update(export: Export, table: Table) -> Export:
    """Return an export whose networks are updated on all rows of a table."""
    with one_thread():
        return updated(export, table)[0]

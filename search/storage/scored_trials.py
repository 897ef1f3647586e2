"""What finished trials scored, without what they were: read fast, however many there are."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select

from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    STATE_NAMES,
    VALUES,
    read_intermediate_value,
    read_value,
)
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.records import ScoredTrial
from search.storage.tables import TRIALS


@dataclass(frozen=True, slots=True)
class Seen:
    """The trials a reader knows: all up to the id `highest`, finished but for `unfinished`."""

    highest: int = -1
    unfinished: frozenset[int] = frozenset()


def load_scored(
    connection: Connection, study_id: int, seen: Seen
) -> tuple[list[ScoredTrial], Seen]:
    """Return what the trials scored that finished since `seen`, in the order of their numbers, and
    what is seen now."""
    # Ids are given under a lock on the study, so none below the highest comes in later.
    new_or_unfinished = (OPTUNA_TRIALS.c.study_id == study_id) & (
        (OPTUNA_TRIALS.c.trial_id > seen.highest) | OPTUNA_TRIALS.c.trial_id.in_(seen.unfinished)
    )
    looked_at = (
        select(OPTUNA_TRIALS.c.trial_id, OPTUNA_TRIALS.c.state, TRIALS.c.cohort_key)
        .outerjoin(TRIALS, TRIALS.c.trial_id == OPTUNA_TRIALS.c.trial_id)
        .where(new_or_unfinished)
        .order_by(OPTUNA_TRIALS.c.number)
    )
    rows = connection.execute(looked_at).all()
    finished = [row for row in rows if row.state.is_finished()]
    values = _values(connection, new_or_unfinished)
    reports = _reports(connection, new_or_unfinished)
    scored = [
        ScoredTrial(
            trial_id=row.trial_id,
            state=STATE_NAMES[row.state],
            value=values.get(row.trial_id),
            reports=reports[row.trial_id],
            cohort_key=row.cohort_key,
        )
        for row in finished
    ]
    ids = {row.trial_id for row in rows}
    unfinished = ids.difference(row.trial_id for row in finished)
    return scored, Seen(max([seen.highest, *ids]), frozenset(unfinished))


def _values(connection: Connection, wanted: ColumnElement[bool]) -> dict[int, float]:
    of_trials = select(VALUES).join(OPTUNA_TRIALS).where(wanted)
    return {row.trial_id: read_value(row) for row in connection.execute(of_trials)}


def _reports(
    connection: Connection, wanted: ColumnElement[bool]
) -> defaultdict[int, dict[int, float]]:
    table = INTERMEDIATE_VALUES
    reports: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for row in connection.execute(select(table).join(OPTUNA_TRIALS).where(wanted)):
        reports[row.trial_id][row.step] = read_intermediate_value(row)
    return reports

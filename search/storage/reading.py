"""What is read of a study's trials: counts, scores of those that finished, the best one."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, Select, func, select

from search.storage.database import StudyTransaction
from search.storage.optuna_tables import (
    INTERMEDIATE_VALUES,
    NAMES_BY_TEXT,
    STATE_NAMES,
    USER_ATTRIBUTES,
    VALUES,
    as_text,
    is_finite_value,
    load_trials,
    outlined_report,
    outlined_value,
)
from search.storage.optuna_tables import TRIALS as OPTUNA_TRIALS
from search.storage.outlines import Outline, Wanted, load_outlines
from search.storage.records import Counts, ScoredTrial, Tally, TrialStateName
from search.storage.tables import STUDIES, TRIALS


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader has read: all trials up to the id `highest`, except the `unfinished` ones."""

    highest: int = -1
    unfinished: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class News:
    """What `news` found: trials that finished, as a whole or as outlines; all unfinished ones.

    seen: what a reader has read then. is_last: whether nothing more is new.
    """

    finished: Sequence[FrozenTrial]
    outlines: Sequence[Outline]
    unfinished: Sequence[FrozenTrial]
    seen: Seen
    is_last: bool


def data(study: StudyTransaction) -> bytes | None:
    """Return the data that was stored at creation."""
    wanted = select(STUDIES.c.data).where(STUDIES.c.study_id == study.study_id)
    content: bytes | None = study.connection.execute(wanted).scalar_one()
    return content


def counts(study: StudyTransaction) -> Counts:
    """Return how many trials are in each state."""
    return counts_by_study(study.connection, study.study_id)[study.study_id]


def counts_by_study(
    connection: Connection, study_id: int | None = None
) -> defaultdict[int, Counts]:
    """Return how many trials are in each state by study id, of one study or of all."""
    states = select(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state, func.count())
    if study_id is not None:
        states = states.where(OPTUNA_TRIALS.c.study_id == study_id)
    grouped = states.group_by(OPTUNA_TRIALS.c.study_id, OPTUNA_TRIALS.c.state)
    by_study: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for of_study, state, count in connection.execute(grouped):
        by_study[of_study][STATE_NAMES[state]] = count
    return defaultdict(Counts, {study: Counts(**states) for study, states in by_study.items()})


def own_trials(study: StudyTransaction) -> frozenset[int]:
    """Return the ids of the trials that freerun began, rather than another program."""
    ours = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == study.study_id)
    return frozenset(study.connection.execute(ours).scalars())


def best_trial(study: StudyTransaction) -> FrozenTrial | None:
    """Return the first complete trial of the least value, None where none is complete."""
    complete = complete_values(OPTUNA_TRIALS.c.trial_id)
    return _first(study, complete.order_by(VALUES.c.value, OPTUNA_TRIALS.c.trial_id))


def numbered(study: StudyTransaction, number: int) -> FrozenTrial | None:
    """Return the trial of a number, None where there is none."""
    return _first(study, select(OPTUNA_TRIALS.c.trial_id).where(OPTUNA_TRIALS.c.number == number))


def news(
    study: StudyTransaction,
    seen: Seen,
    at_most: int,
    wanted: Wanted,
    is_whole: Callable[[int, TrialStateName], bool],
) -> News:
    """Return the first trials that finished since `seen`, and the unfinished ones among all seen.

    at_most: how many are new. is_whole: whether a finished trial is wanted whole, by its number
    and state; wanted: what is read of others. A trial that ends between the two reads is finished
    among the unfinished ones, and is returned once more by the next call.
    """
    states = select(OPTUNA_TRIALS.c.trial_id, OPTUNA_TRIALS.c.number, OPTUNA_TRIALS.c.state)
    limit = at_most + len(seen.unfinished)
    first = states.where(_new_or_unfinished(study, seen)).order_by(OPTUNA_TRIALS.c.trial_id)
    rows = study.connection.execute(first.limit(limit)).all()
    unfinished = [row.trial_id for row in rows if not row.state.is_finished()]
    now = _seen_now(seen, (row.trial_id for row in rows), unfinished)
    whole: list[int] = []
    outlined: list[int] = []
    for row in rows:
        if row.trial_id not in now.unfinished:
            is_asked = is_whole(row.number, STATE_NAMES[row.state])
            (whole if is_asked else outlined).append(row.trial_id)
    return News(
        finished=load_trials(study, whole),
        outlines=load_outlines(study, outlined, wanted),
        unfinished=load_trials(study, sorted(now.unfinished)),
        seen=now,
        is_last=len(rows) < limit,
    )


def tally(
    study: StudyTransaction,
    seen: Seen,
    attributes: Mapping[str, TrialStateName | None],
    ended_since: datetime,
) -> tuple[Tally, Seen]:
    """Count the trials that finished since `seen`, by their attributes; and what is seen now.

    attributes: names with the state of the trials that are counted by them, None for any state.
    ended_since: UTC without a zone. The database counts, so this is fast for any number of trials.
    """
    of_study = OPTUNA_TRIALS.c.study_id == study.study_id
    open_states = [state for state in TrialState if not state.is_finished()]
    highest = study.connection.scalar(select(func.max(OPTUNA_TRIALS.c.trial_id)).where(of_study))
    # Before what finished: a trial that ends meanwhile is counted by the next call.
    ids = select(OPTUNA_TRIALS.c.trial_id).where(of_study, OPTUNA_TRIALS.c.state.in_(open_states))
    now = Seen(
        seen.highest if highest is None else highest,
        frozenset(study.connection.execute(ids).scalars()),
    )
    ended = (
        _new_or_unfinished(study, seen)
        & (OPTUNA_TRIALS.c.trial_id <= now.highest)
        & OPTUNA_TRIALS.c.trial_id.not_in(now.unfinished)
    )
    state = OPTUNA_TRIALS.c.state
    by_state = select(state, func.count(), func.min(OPTUNA_TRIALS.c.datetime_start)).where(ended)
    states = study.connection.execute(by_state.group_by(state)).all()
    lately = select(OPTUNA_TRIALS.c.datetime_complete).where(
        ended, OPTUNA_TRIALS.c.datetime_complete > ended_since
    )
    counted = Tally(
        failed=sum(count for of, count, _ in states if of == TrialState.FAIL),
        attributes={
            name: found
            for name, of in attributes.items()
            if (found := _by_value(study, ended, name, of))
        },
        ends=list(study.connection.execute(lately).scalars()),
        first_start=min((first for _, _, first in states if first is not None), default=None),
    )
    return counted, now


def _by_value(
    study: StudyTransaction, ended: ColumnElement[bool], name: str, state: TrialStateName | None
) -> Counter[tuple[TrialStateName, str]]:
    """Count trials by state and by the JSON text of an attribute, where they have it."""
    own = (USER_ATTRIBUTES.c.trial_id == OPTUNA_TRIALS.c.trial_id) & (USER_ATTRIBUTES.c.key == name)
    kinds = (OPTUNA_TRIALS.c.state, USER_ATTRIBUTES.c.value_json)
    by_value = select(*kinds, func.count()).join(USER_ATTRIBUTES, own).where(ended)
    if state is not None:
        of = next(optuna for optuna, known in STATE_NAMES.items() if known == state)
        by_value = by_value.where(OPTUNA_TRIALS.c.state == of)
    rows = study.connection.execute(by_value.group_by(*kinds))
    return Counter({(STATE_NAMES[of], text): count for of, text, count in rows})


def scores(study: StudyTransaction, seen: Seen) -> tuple[list[ScoredTrial], Seen]:
    """Return the trials that finished since `seen`, by number, and what is seen now.

    Parameters and attributes are not read, so this is fast for thousands of trials.
    """
    wanted = _new_or_unfinished(study, seen)
    columns = (OPTUNA_TRIALS.c.trial_id, as_text(OPTUNA_TRIALS.c.state), TRIALS.c.cohort_key)
    trials = (
        select(*columns)
        .outerjoin(TRIALS, TRIALS.c.trial_id == OPTUNA_TRIALS.c.trial_id)
        .where(wanted)
        .order_by(OPTUNA_TRIALS.c.number)
    )
    rows = study.connection.execute(trials).all()
    of_values = select(VALUES.c.trial_id, VALUES.c.value, as_text(VALUES.c.value_type))
    values = {
        trial_id: outlined_value(value, kind)
        for trial_id, value, kind in study.connection.execute(
            of_values.join(OPTUNA_TRIALS).where(wanted)
        ).all()
    }
    reports: defaultdict[int, dict[int, float]] = defaultdict(dict)
    table = INTERMEDIATE_VALUES.c
    kind = as_text(table.intermediate_value_type)
    of_reports = select(table.trial_id, table.step, table.intermediate_value, kind)
    of_reports = of_reports.join(OPTUNA_TRIALS).where(wanted)
    for trial_id, step, value, of in study.connection.execute(of_reports).all():
        reports[trial_id][step] = outlined_report(value, of)
    states = {trial_id: NAMES_BY_TEXT[text] for trial_id, text, _ in rows}
    unfinished = {own for own, state in states.items() if state in ("running", "waiting")}
    scored = [
        ScoredTrial(
            trial_id=trial_id,
            state=states[trial_id],
            value=values.get(trial_id),
            reports=reports.get(trial_id, {}),
            cohort_key=cohort_key,
        )
        for trial_id, _, cohort_key in rows
        if trial_id not in unfinished
    ]
    return scored, _seen_now(seen, states, unfinished)


def complete_values(*columns: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
    """Select columns of all complete trials that have a finite value, but for those of other
    programs: what their values mean is not known."""
    values = VALUES.c.trial_id == OPTUNA_TRIALS.c.trial_id
    ours = TRIALS.c.trial_id == OPTUNA_TRIALS.c.trial_id
    is_complete = OPTUNA_TRIALS.c.state == TrialState.COMPLETE
    return (
        select(*columns)
        .join(VALUES, values)
        .join(TRIALS, ours)
        .where(is_complete, is_finite_value())
    )


def _first(study: StudyTransaction, ids: Select[*tuple[Any, ...]]) -> FrozenTrial | None:
    first = ids.where(OPTUNA_TRIALS.c.study_id == study.study_id).limit(1)
    wanted = list(study.connection.execute(first).scalars())
    return next(iter(load_trials(study, wanted)), None)


def _new_or_unfinished(study: StudyTransaction, seen: Seen) -> ColumnElement[bool]:
    # Ids are given under a lock on the study, so no id below the highest appears later.
    return (OPTUNA_TRIALS.c.study_id == study.study_id) & (
        (OPTUNA_TRIALS.c.trial_id > seen.highest) | OPTUNA_TRIALS.c.trial_id.in_(seen.unfinished)
    )


def _seen_now(seen: Seen, trial_ids: Iterable[int], unfinished: Iterable[int]) -> Seen:
    return Seen(max([seen.highest, *trial_ids]), frozenset(unfinished))

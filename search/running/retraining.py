"""Training an exported candidate again: on the same data, or on a table of the user's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.candidate import Candidate
from models.checkpoint import Checkpoint
from models.ensemble import Ensemble, EnsembleCheckpoint
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from search.errors import SeriesError, UsageError
from search.evaluation import CandidateResult, Cohort
from search.evaluation.held_out import HeldOutRuns, held_out_runs
from search.running.training import train_any
from search.series import Purpose, Table
from search.series.filling import without_foresight
from search.study.definition import StudyDefinition
from search.study.masking import known_rows, without_masked
from search.study.task_data import TaskData, View, rows_in, training_variance


@dataclass(frozen=True, eq=False)
class Retrained:
    """Networks trained again; no result where no row was held out to score them on.

    held_out: their free runs over what was held out, for intervals.
    """

    checkpoint: AnyCheckpoint
    result: CandidateResult | None
    held_out: HeldOutRuns | None = None


def retrain_same(
    candidate: AnyCandidate,
    definition: StudyDefinition,
    table: Table | None,
    purpose: Purpose,
    replicas: int,
    *,
    device: str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Retrained:
    """Repeat the training behind a score: same data, seeds and protocol."""
    data = TaskData(definition, table)
    views = [data.view(purpose, replica) for replica in range(replicas)]
    trained = train_any(
        candidate,
        views,
        definition.seed,
        purpose,
        device,
        tick,
        is_held_out=purpose == "final",
    )
    return Retrained(*trained, held_out_runs(trained[0], views))


def retrain_on(
    candidate: AnyCandidate,
    table: Table,
    hold_out: int,
    study_seed: int,
    replicas: int,
    *,
    season_steps: int = 1,
    device: str = "cpu",
    tick: Callable[[], None] = lambda: None,
) -> Retrained:
    """Train on all rows of a table but the last `hold_out`, and score those if there are any.

    season_steps: see `View`; a regression on known columns compares rows by it, too.

    Of a table with masked values, rows that have some are not trained on, and these values not
    scored.

    Raises SeriesError for a table that is too short for the candidate, or whose masked values leave
    too little; UsageError for a hold_out below 0 or one that leaves too few rows.
    """
    if hold_out < 0:
        raise UsageError(f"--hold-out must be at least 0, but got {hold_out}")
    train_steps = table.rows - hold_out
    needed = candidate.least_steps
    if train_steps < needed:
        remedy = (
            "give a longer table" if hold_out == 0 else "hold out fewer, or give a longer table"
        )
        raise SeriesError(
            f"this candidate needs at least {needed} training rows, but "
            f"{table.rows} rows less {hold_out} held out are {train_steps}; {remedy}"
        )
    pieces = _pieces(candidate, table, train_steps)
    if hold_out and np.isnan(table.observed[train_steps:]).all(axis=0).any():
        raise SeriesError(
            f"the {hold_out} rows that are held out must have a value of each column to score, but "
            "of one all are masked; hold out more, or fill in the gaps of the file"
        )
    # No row that is trained on or read was filled in by those that are held out.
    starts = (train_steps,) if hold_out else ()
    seen, channels = without_foresight(table.all_values, table.filled, starts), len(table.columns)
    values = seen[:, :channels]
    view = View(
        values=values,
        truth=table.observed,
        pieces=pieces,
        starts=(train_steps,),
        horizon_steps=hold_out,
        variance=training_variance(rows_in(values, pieces), table.columns),
        scored_against="observations",
        season_steps=season_steps,
        names=table.columns,
        has_one_unit=table.has_one_unit,
        filled=table.filled,
        known=table.known,
        past=None if table.past is None else seen[:, channels:],
        known_groups=table.known_groups,
    )
    views = [view] * replicas
    if hold_out:
        trained = train_any(candidate, views, study_seed, "final", device, tick)
        return Retrained(*trained, held_out_runs(trained[0], views))
    if isinstance(candidate, Ensemble):
        members = [_on_all(own, views, study_seed, device, tick) for own in candidate.members]
        return Retrained(EnsembleCheckpoint(tuple(members), candidate.weights), None)
    return Retrained(_on_all(candidate, views, study_seed, device, tick), None)


def _pieces(candidate: AnyCandidate, table: Table, train_steps: int) -> tuple[range, ...]:
    """The rows that are trained on, without masked ones; SeriesError where none is long enough."""
    pieces: tuple[range, ...] = (range(train_steps),)
    if table.is_masked:
        pieces = without_masked(pieces, known_rows(table))
        check_gapless(candidate, pieces)
    return pieces


def check_gapless(candidate: AnyCandidate, pieces: Sequence[range]) -> None:
    """Raise SeriesError where no piece is as long as a candidate's training needs."""
    longest = max(map(len, pieces), default=0)
    if longest < candidate.least_steps:
        raise SeriesError(
            f"this candidate needs at least {candidate.least_steps} training rows without a gap, "
            f'but missing = "mask" leaves at most {longest}; give a table with shorter gaps, or '
            "with the gaps filled in"
        )


def _on_all(
    candidate: Candidate,
    views: Sequence[View],
    study_seed: int,
    device: str,
    tick: Callable[[], None],
) -> Checkpoint:
    """Train on views that hold nothing to score."""
    cohort = Cohort(
        [candidate],
        views,
        study_seed=study_seed,
        purpose="final",
        rung_fractions=(),
        device=device,
    )
    for _ in cohort:
        tick()
    return cohort.checkpoint()


def reproduces(claimed: tuple[float, ...], result: CandidateResult) -> bool:
    """Whether every replica's score is the claimed one, bit for bit."""
    return np.array_equal(np.array(claimed), np.array(result.replica_scores))

"""A search for one forecaster of several columns, with shared weights: no study file asks for it.

The rows of all columns before a test make one view: the columns follow each other as a single
channel, the training rows of each are a piece, and free runs start in the validation rows of each.
freerun's workers search on that view as on any other.
"""

from dataclasses import dataclass
from time import monotonic

from pydantic import ValidationError

from benchmarks.forked_study import forked_study
from benchmarks.ordinary_study import MOST_TRIALS
from models.candidate import Candidate
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.diagnostics.properties import properties_of
from search.analysis.study_results import StudyResults
from search.errors import FreerunError, UsageError
from search.evaluation import Cohort
from search.running.worker import Worker
from search.series import FloatArray, Purpose, Table
from search.study.cuts import spread_starts
from search.study.definition import StudyDefinition
from search.study.study_file import StudyFile, problems
from search.study.task_data import TaskData, View

START_POINTS = 24
# A replica is a whole training on all columns, whose score has many free runs; the final has two.
REPLICAS, FINAL_REPLICAS, FINALISTS = 1, 2, 4


class SharedColumns(TaskData):
    """Columns `[time, column]`, standardised, as pieces of one channel.

    known: the rows before the test. The first train_steps of the definition train, the next
    validation_steps validate. Every purpose and index has the same view; there is no test.
    """

    def __init__(self, definition: StudyDefinition, known: FloatArray) -> None:
        self.known = known
        super().__init__(definition, as_table(known))

    def view(self, purpose: Purpose, index: int) -> View:
        task, (rows, columns) = self._definition.task, self.known.shape
        values = self.known.T.reshape(-1, 1)
        firsts = range(0, columns * rows, rows)
        starts = [
            spread_starts(f + task.train_steps, f + rows, task.horizon_steps, task.start_points)
            for f in firsts
        ]
        return View(
            values=values,
            truth=values.copy(),
            pieces=tuple(range(first, first + task.train_steps) for first in firsts),
            starts=tuple(start for own in starts for start in own),
            horizon_steps=task.horizon_steps,
            variance=1.0,
            scored_against="observations",
        )


@dataclass(frozen=True)
class Found:
    """The winner of a search's final. score: its NMSE on validation; seconds: of the study."""

    candidate: Candidate
    score: float
    seconds: float


def as_table(known: FloatArray) -> Table:
    """The columns one after the other, as a study keeps them."""
    values = known.T.reshape(-1, 1)
    return Table("row", tuple(map(str, range(len(values)))), ("value",), values)


def definition_of(
    known: FloatArray, spans: tuple[int, int], horizon_steps: int, period: int, space: object
) -> StudyDefinition:
    """Return the study of a horizon; spans: rows of training and of validation.

    space: the content of [space]. Raises UsageError where that can't be searched.
    """
    train_steps, validation_steps = spans
    raw = {
        "name": f"horizon-{horizon_steps}",
        "series": {
            "source": "table",
            "path": "columns.csv",
            "time": "row",
            "columns": ["value"],
            "period": period,
        },
        "task": {
            "train_steps": train_steps,
            "horizon_steps": horizon_steps,
            "validation_steps": validation_steps,
            "start_points": min(START_POINTS, validation_steps - horizon_steps + 1),
        },
        "search": {
            "replicas": REPLICAS,
            "final_replicas": FINAL_REPLICAS,
            "finalists": FINALISTS,
        },
        "space": space,
    }
    training = [column[:, None] for column in known[:train_steps].T]
    try:
        return StudyDefinition.of_file(raw, properties_of(training, (float(period),)))
    except ValidationError as error:
        raise UsageError("\n".join(problems(error))) from None


def search(
    definition: StudyDefinition, known: FloatArray, minutes: float, workers: int | None
) -> Found:
    """Search by so many processes, None for one per CPU; FreerunError where nothing is found."""
    began = monotonic()
    file = StudyFile(definition, as_table(known))
    data = SharedColumns(definition, known)
    with forked_study(
        file, data, kind=Worker, workers=workers, minutes=minutes, trials=MOST_TRIALS
    ) as study:
        study.wait()
        results = StudyResults.read(study.store)
        best = results.best_trial
    if best is None:
        raise FreerunError("no trial completed, so there is no winner; give it more --minutes")
    candidate = results.candidate(results.trial_of(best))
    return Found(candidate, best.found.score, monotonic() - began)


def trained(candidate: Candidate, definition: StudyDefinition, known: FloatArray) -> Checkpoint:
    """Train a candidate on the training rows, more than once if its trainings differ."""
    is_same = isinstance(candidate, FittedForm) and not candidate.form.is_random
    view = SharedColumns(definition, known).view("final", 0)
    # Without a rung nothing is scored.
    cohort = Cohort(
        [candidate],
        [view] * (1 if is_same else FINAL_REPLICAS),
        study_seed=definition.seed,
        purpose="final",
        rung_fractions=(),
    )
    for _ in cohort:
        pass
    return cohort.checkpoint()

"""The spans of a study on a table that says the task alone: training, validation and test."""

from search.errors import UsageError

REPLICAS, MOST_FINAL_REPLICAS, MOST_START_POINTS = 4, 8, 4
VALIDATION_SHARE, MOST_VALIDATION_HORIZONS = 3, 4
# A horizon that nobody named is at most such a share of the rows where it is of whole periods, else
# such a share.
PERIODS_SHARE, SHARE = 6, 10


def default_horizon(rows: int, periods: tuple[float, ...]) -> int:
    """Two periods, or one, where so many are a sixth of the rows at most; else a tenth of the rows.

    periods: in steps; of several the longest one that fits.
    """
    for times in (2, 1):
        steps = [round(times * period) for period in periods]
        fitting = [own for own in steps if own <= rows / PERIODS_SHARE]
        if fitting:
            return max(fitting)
    return max(1, rows // SHARE)


def spans(rows: int, period: int, horizon_steps: int) -> tuple[dict[str, object], dict[str, int]]:
    """Return the [task] and [search] of a study file on so many rows.

    - The test is the last horizon_steps rows.
    - Validation is a third of the rows, at most four horizons, and at least a horizon and a few
      rows.
    - Training is what is left: as many rows as the horizon has at least, and as two periods have.
    - `validation = "expanding"`: 4 replicas in the search, 8 in the final, or as many as there are
      different starts in the validation span, each with up to 4 free runs if there are that many.

    period: in steps, 1 for none. Raises UsageError where too few rows are left for training.
    """
    least = horizon_steps + REPLICAS - 1
    share = rows // VALIDATION_SHARE
    validation = max(min(share, MOST_VALIDATION_HORIZONS * horizon_steps), least)
    training = rows - horizon_steps - validation
    if training < (needed := max(2 * period, horizon_steps, 2)):
        reason = {
            2 * period: "two periods",
            2: "the fewest that can be trained on",
            horizon_steps: "as many as the horizon has",
        }
        left = training if training > 0 else "none"
        raise UsageError(
            f"a series must leave at least {needed} rows for training, {reason[needed]}, but "
            f"{rows} rows less {horizon_steps} for the test and {validation} for validation leave "
            f"{left}; give more rows or a shorter horizon"
        )
    starts = validation - horizon_steps + 1
    final_replicas = min(MOST_FINAL_REPLICAS, starts)
    task: dict[str, object] = {
        "train_steps": training,
        "horizon_steps": horizon_steps,
        "validation_steps": validation,
        "start_points": min(MOST_START_POINTS, starts // final_replicas),
        "validation": "expanding",
    }
    return task, {"replicas": REPLICAS, "final_replicas": final_replicas}

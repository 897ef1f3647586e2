"""Free runs over rows that a forecaster has not learnt from: what prediction intervals stand on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.checkpoint import Checkpoint
from models.diagnostics.reach import held
from models.ensemble import combined, without_runaways
from models.ensemble.ensemble_checkpoint import AnyCheckpoint
from search.evaluation.ensembles import (
    error_products,
    folds_of,
    member_runs,
    run_on,
    stacked_weights,
)
from search.evaluation.twins import first_equals
from search.series import FloatArray
from search.study.task_data import View

# Free runs in all: more of them overlap so far that they tell next to nothing new.
MOST_RUNS = 64
# Numbers that are kept of them: of many channels or long horizons first every so many steps are
# left out, down to LEAST_STEPS, then runs.
MOST_NUMBERS, LEAST_STEPS = 2**17, 32


@dataclass(frozen=True, eq=False)
class HeldOutRuns:
    """Free runs and what was observed, `[run, step, channel]`, in the units of the series.

    observed: NaN where the rows end that a forecaster has not learnt from. steps: `[step]`, which
    steps of the horizon they are, from 1 on. places: `[run]`, where each starts: runs share rows
    whose places are less than a horizon apart, and runs of different draws share none. Masked
    values are NaN, too, but some value of each run is known.
    """

    forecast: FloatArray
    observed: FloatArray
    steps: NDArray[np.int64]
    places: NDArray[np.int64]

    def thinned(self) -> "HeldOutRuns":
        """As many of them, evenly spread, as are kept."""
        runs, steps, channels = self.forecast.shape
        fewer = max(min(steps, LEAST_STEPS), MOST_NUMBERS // (runs * channels))
        at = np.unique(np.linspace(0, steps - 1, min(steps, fewer)).round().astype(np.int64))
        most = min(runs, max(2, MOST_NUMBERS // (len(at) * channels)))
        of = np.unique(np.linspace(0, runs - 1, most).round().astype(np.int64))
        is_known = ~np.isnan(self.observed[np.ix_(of, at)])
        if not is_known.any(axis=(0, 1)).all():  # of what is masked nearly everywhere, all steps
            return self
        of = of[is_known.any(axis=(1, 2))]
        cut = np.ix_(of, at, np.arange(channels))
        return HeldOutRuns(self.forecast[cut], self.observed[cut], self.steps[at], self.places[of])


def held_out_runs(checkpoint: AnyCheckpoint, views: Sequence[View]) -> HeldOutRuns:
    """Let trained networks run freely over the rows that their views hold out, from many starts.

    views: one for each network, as it was trained on. Replicas of equal views run as one, the
    median of their free runs, as a forecast does. Where the views' own starts are few, there are
    others between and behind them, whose runs are cut short. Weights of an ensemble are fitted
    without the stretch of rows that is forecast, as in its score.
    """
    count = len(set(first_equals(views)))
    has_draws = views[0].averaging == "median" and count > 1
    shown = views if has_draws else [_with_starts(view, MOST_RUNS // count) for view in views]
    return _runs(checkpoint, shown, views, _stretches(checkpoint, views))


def runs_of_test(checkpoint: AnyCheckpoint, views: Sequence[View]) -> HeldOutRuns:
    """Run the networks of a test freely over it, from the views' own starts alone."""
    return _runs(checkpoint, views, views, None)


def _runs(
    checkpoint: AnyCheckpoint,
    shown: Sequence[View],
    views: Sequence[View],
    stretches: "_Stretches | None",
) -> HeldOutRuns:
    """The free runs from the starts of the views that are shown; views: as they are trained on."""
    firsts = first_equals(views)
    kinds = sorted(set(firsts))
    has_draws = views[0].averaging == "median" and len(kinds) > 1
    forecast, observed, places = [], [], []
    for number, kind in enumerate(kinds):
        equal = [own for own, first in enumerate(firsts) if first == kind]
        runs = [_run(checkpoint, own, shown[kind], stretches) for own in equal]
        forecast.append(np.median(runs, axis=0))
        observed.append(_observed(shown[kind]))
        # Draws share nothing, wherever their runs start.
        apart = number * 2 * len(views[0].values) if has_draws else 0
        places.append(apart + np.array(shown[kind].starts, dtype=np.int64))
    steps = np.arange(1, views[0].horizon_steps + 1, dtype=np.int64)
    return HeldOutRuns(
        np.concatenate(forecast), np.concatenate(observed), steps, np.concatenate(places)
    )


@dataclass(frozen=True, eq=False)
class _Stretches:
    """Weights `[stretch, member]`, and the stretch of each row from the first on, `[row]`."""

    weights: FloatArray
    first: int
    stretch: NDArray[np.int64]

    def of_rows(self, rows: NDArray[np.int64]) -> FloatArray:
        """The weights `[..., member]` of some rows; those beyond the last have its weights."""
        place = np.clip(rows - self.first, 0, len(self.stretch) - 1)
        return np.asarray(self.weights[self.stretch[place]])


def _stretches(checkpoint: AnyCheckpoint, views: Sequence[View]) -> _Stretches | None:
    """The held-out weights of a weighted ensemble; None for all else."""
    if isinstance(checkpoint, Checkpoint) or checkpoint.weights is None:
        return None
    runs = member_runs(checkpoint.members, views)
    folds = folds_of(views)
    parts = np.unique(folds)
    if len(parts) < 2:
        return _Stretches(np.array([checkpoint.weights]), 0, np.zeros(1, dtype=np.int64))
    products = error_products(runs, views, folds)
    weights = [stacked_weights(np.delete(products, part, axis=0)) for part in range(len(parts))]
    starts = np.array([view.starts for view in views])
    rows = starts[:, :, np.newaxis] + np.arange(views[0].horizon_steps)
    stretch = np.zeros(int(rows.max() - rows.min()) + 1, dtype=np.int64)
    stretch[rows.ravel() - rows.min()] = np.searchsorted(parts, folds.ravel())
    return _Stretches(np.stack(weights), int(rows.min()), stretch)


def _run(
    checkpoint: AnyCheckpoint, number: int, view: View, stretches: _Stretches | None
) -> FloatArray:
    """The free runs `[start, step, channel]` of one replica, with finite errors."""
    if isinstance(checkpoint, Checkpoint):
        network = checkpoint.member(min(number, len(checkpoint.weights) - 1))
        run = run_on(network, [view])[0]
        mean = view.training.mean(axis=0)
        truth = np.where(np.isnan(observed := _observed(view)), mean, observed)
        return held(run, truth, mean, view.training.std(axis=0))
    runs = [_run(member, number, view, None) for member in checkpoint.members]
    runs = without_runaways(runs, view.contexts(checkpoint.shown_steps))
    if stretches is None:
        return combined(runs, checkpoint.weights)
    rows = np.array(view.starts)[:, np.newaxis] + np.arange(view.horizon_steps)
    weighted: FloatArray = np.einsum("mstc,stm->stc", np.stack(runs), stretches.of_rows(rows))
    return weighted


def _with_starts(view: View, most_runs: int) -> View:
    """A view with up to so many starts, evenly spaced over what it holds out.

    None of them reads what was filled in by rows that it forecasts.
    """
    first, end = view.starts[0], _held_out_end(view)
    count = min(most_runs, end - first)
    if count <= len(view.starts):
        return view
    spread = np.linspace(first, end - 1, count + 1)[:-1].round().astype(int)
    starts = tuple(sorted({*view.starts, *spread.tolist()}))
    if view.has_masks:
        seen = _observed(replace(view, starts=starts))
        starts = tuple(
            start for start, own in zip(starts, seen, strict=True) if not np.isnan(own).all()
        )
    return view.starting_at(starts)


def _held_out_end(view: View) -> int:
    """The row behind the last one that is held out from the first start on."""
    later = [piece.start for piece in view.pieces if piece.start >= view.starts[0]]
    return min([*later, len(view.values)])


def _observed(view: View) -> FloatArray:
    """What was observed in each free run `[start, step, channel]`, NaN where that ends.

    Values of a table that were filled in count as they do in scores: not as a free run reads them,
    but as the truth has them, which is NaN where they are masked.
    """
    end, steps = _held_out_end(view), view.horizon_steps
    values = view.values if view.scored_against == "signal" else view.truth
    seen = np.full((len(view.starts), steps, view.values.shape[1]), np.nan)
    for own, start in zip(seen, view.starts, strict=True):
        rows = values[start : min(start + steps, end)]
        own[: len(rows)] = rows
    return seen

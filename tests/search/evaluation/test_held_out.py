"""Free runs over held-out rows: from which starts, of which networks, and what was observed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.candidate import candidate_of
from models.diagnostics.scores import Averaging
from search.evaluation import run_networks
from search.evaluation.held_out import MOST_NUMBERS, HeldOutRuns, held_out_runs, runs_of_test
from search.export.intervals import Intervals
from search.running.training import train
from search.series.filling import Run
from search.study.task_data import View

FORM = candidate_of({"cell": "ar", "ar_order": 4, "ridge": 1e-4})
ROWS, TRAINED, HORIZON = 120, 80, 20


def view(
    starts: tuple[int, ...], train_steps: int = TRAINED, averaging: Averaging = "median"
) -> View:
    noise = np.random.default_rng(0).standard_normal((ROWS, 1)) / 10
    values = np.sin(np.arange(ROWS) / 4).reshape(ROWS, 1) + noise
    return View(
        values=values,
        truth=values,
        pieces=(range(train_steps),),
        starts=starts,
        horizon_steps=HORIZON,
        variance=float(values.var()),
        scored_against="observations",
        averaging=averaging,
    )


def runs_of(views: list[View]) -> HeldOutRuns:
    networks, _ = train(FORM, views, 0, "final", "cpu", lambda: None)
    return held_out_runs(networks, views)


def test_one_start_is_joined_by_others_whose_runs_end_with_the_rows() -> None:
    own = view((TRAINED,))
    found = runs_of([own, own])
    assert 32 <= len(found.places) <= 64
    assert found.places[0] == TRAINED
    assert found.places[-1] < ROWS
    np.testing.assert_array_equal(found.steps, np.arange(1, HORIZON + 1))
    for start, seen in zip(found.places, found.observed, strict=True):
        known = own.values[start : start + HORIZON]
        np.testing.assert_array_equal(seen[: len(known)], known)
        assert np.isnan(seen[len(known) :]).all()


def test_no_run_reads_what_was_filled_in_by_what_it_forecasts() -> None:
    """Whatever comes behind a gap, a run from within it or right behind it is the same."""
    gap, networks = slice(95, 103), train(FORM, [view((TRAINED,))], 0, "final", "cpu", lambda: None)
    forecasts = {}
    for height in (0.0, 40.0):
        own = view((TRAINED,))
        values = own.values.copy()
        values[gap.stop :] += height
        before, behind = values[gap.start - 1, 0], values[gap.stop, 0]
        values[gap, 0] = np.linspace(before, behind, gap.stop - gap.start + 2)[1:-1]
        runs = (Run(0, gap.start, gap.stop, seen=gap.stop + 1),)
        shown = replace(own, values=values, truth=values, filled=runs)
        found = held_out_runs(networks[0], [shown])
        within = (found.places > gap.start) & (found.places <= gap.stop)
        assert within.sum() > 3
        forecasts[height] = found.forecast[within]
        # Compared with what stands in the table, and not with what a run from the gap reads of it.
        for start, observed in zip(found.places, found.observed, strict=True):
            known = values[start : start + HORIZON]
            np.testing.assert_array_equal(observed[: len(known)], known)
        assert Intervals(found, None).coverage(80).validation > 0
    np.testing.assert_array_equal(forecasts[0.0], forecasts[40.0])


def test_a_run_is_the_free_run_of_the_network_from_there() -> None:
    own = view((TRAINED,))
    networks, _ = train(FORM, [own], 0, "final", "cpu", lambda: None)
    found = held_out_runs(networks, [own])
    start = int(found.places[5])
    context = own.values[start - networks.shown_steps : start]
    run = run_networks(networks, context[np.newaxis, np.newaxis], HORIZON)[0, 0]
    np.testing.assert_allclose(found.forecast[5], run, rtol=1e-12)


def test_cuts_of_their_own_run_each_and_draws_share_no_rows() -> None:
    cuts = [view((70, 74), 70, "mean"), view((80, 84), 80, "mean")]
    assert {70, 74, 80, 84} <= set(runs_of(cuts).places.tolist())
    draws = runs_of([view((70,), 70), view((80,), 80)])
    assert len(draws.places) == 2
    assert draws.places[1] - draws.places[0] > ROWS
    test = runs_of_test(train(FORM, cuts[:1], 0, "test", "cpu", lambda: None)[0], cuts[:1])
    assert test.places.tolist() == [70, 74]


@pytest.mark.parametrize(("runs", "steps", "channels"), [(64, 400, 1), (64, 300, 300), (9, 5, 2)])
def test_what_is_kept_is_bounded(runs: int, steps: int, channels: int) -> None:
    values = np.zeros((runs, steps, channels))
    whole = HeldOutRuns(values, values, np.arange(1, steps + 1), np.arange(runs))
    kept = whole.thinned()
    assert kept.forecast.size <= max(MOST_NUMBERS, 2 * 32 * channels)
    assert kept.forecast.shape == kept.observed.shape
    assert (kept.steps[0], kept.steps[-1]) == (1, steps)
    if values.size <= MOST_NUMBERS:
        assert kept.forecast.shape == values.shape

"""What the choice of the best of several forecasters is worth is estimated about right."""

import numpy as np
import pytest

from models.diagnostics.selection import MOST_WIDENING, selection_widening


def test_one_forecaster_was_not_chosen_and_one_unit_shows_nothing() -> None:
    errors = np.random.default_rng(0).random((1, 8))
    assert selection_widening(errors, 0) == 1.0
    assert selection_widening(np.array([[1.0], [2.0]]), 0) == 1.0


def test_the_clearly_best_is_not_widened() -> None:
    errors = np.random.default_rng(1).uniform(0.9, 1.1, (6, 16))
    errors[3] *= 0.1
    assert selection_widening(errors, 3) == 1.0


@pytest.mark.parametrize("forecasters", [5, 50])
def test_of_equals_the_best_is_widened_by_about_what_it_is_flattered(forecasters: int) -> None:
    random, found, true = np.random.default_rng(2), [], []
    for _ in range(200):
        errors = random.chisquare(1, (forecasters, 16))
        chosen = int(errors.mean(axis=1).argmin())
        found.append(np.log(selection_widening(errors, chosen)))
        # What it does on new units, where all have the same mean error of 1.
        true.append(-np.log(errors[chosen].mean()) / 2)
    assert np.mean(found) > 0.0
    assert np.mean(found) == pytest.approx(np.mean(true), rel=0.6)


def test_a_forecaster_that_diverges_in_one_half_widens_by_no_more_than_the_most() -> None:
    errors = np.array([[1.0, 1.0, 1.0, 1.0], [0.1, 0.1, 1e9, 1e9]])
    assert selection_widening(errors, 0) == MOST_WIDENING

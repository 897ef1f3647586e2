"""A cheap update: closed forms are fitted to all rows, networks move a little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.candidate import Candidate, candidate_of
from models.checkpoint import Checkpoint
from models.ensemble import Ensemble, EnsembleCheckpoint
from models.methods import Scalar
from models.network.forecaster import Forecaster
from models.network.parameters import AUTOREGRESSION, INCREMENT_STD
from search.errors import SeriesError
from search.running.retraining import retrain_on
from search.running.updating import MOST_STEPS, update_on
from search.series import Table
from search.series.filling import Run, fill

NETWORK: Mapping[str, Scalar] = {
    **{"cell": "gru", "layers": 1, "head_layers": 0, "hidden_units": 4, "context": "state"},
    **{"warm_up_steps": 8, "rollout_steps": 4, "teacher_weight": 0.5, "curriculum_fraction": 0.0},
    **{"input_noise_std": 0.0, "feedback_noise_std": 0.0, "learning_rate": 1e-2},
    **{"weight_decay": 0.0, "clip_norm": 1.0, "schedule": "cosine", "training_steps": 60},
    **{"batch_size": 4, "restarts": 1},
}
FORM = candidate_of({"cell": "ar", "ar_order": 10, "ridge": 1e-4})


def table(rows: int) -> Table:
    noise = np.random.default_rng(0).standard_normal(rows) / 20
    values = np.sin(np.arange(rows) / 3) + noise
    return Table("t", tuple(map(str, range(rows))), ("x",), values.reshape(rows, 1))


def trained(candidate: Candidate, rows: int, networks: int = 2) -> Checkpoint:
    found = retrain_on(candidate, table(rows), 0, 1, networks).checkpoint
    assert isinstance(found, Checkpoint)
    return found


def test_a_closed_form_is_what_a_fit_to_all_rows_gives() -> None:
    found = update_on(FORM, trained(FORM, 80), table(120), 1)
    assert isinstance(found.checkpoint, Checkpoint)
    torch.testing.assert_close(found.checkpoint.weights, trained(FORM, 120, 1).weights)
    assert str(found) == "1 fitted again in closed form"


def test_rows_that_are_held_out_lead_to_nothing_that_is_trained_on() -> None:
    """A gap at the end of the training rows was filled in by the rows behind it."""
    found = []
    for height in (0.0, 40.0):
        own = table(120)
        values = own.values.copy()
        values[100:] += height
        values[92:100, 0] = np.linspace(values[91, 0], values[100, 0], 10)[1:-1]
        filled = replace(own, values=values, filled=(Run(0, 92, 100, seen=101),))
        again = retrain_on(FORM, filled, 24, 1, 1).checkpoint
        assert isinstance(again, Checkpoint)
        found.append(again)
    assert torch.equal(found[0].weights, found[1].weights)
    assert torch.equal(found[0].shift, found[1].shift)


def test_a_network_moves_a_little_and_keeps_its_units() -> None:
    candidate = candidate_of(NETWORK)
    before = trained(candidate, 80)
    found = update_on(candidate, before, table(120), 1)
    after = found.checkpoint
    assert isinstance(after, Checkpoint)
    assert found.steps == 12 <= MOST_STEPS
    assert "12 steps at 0.1 of the learning rate" in str(found)
    torch.testing.assert_close(after.scale, before.scale)
    moved = (after.weights - before.weights).abs()
    assert 0.0 < float(moved.max()) <= 2 * found.steps * 1e-3
    again = update_on(candidate, before, table(120), 1).checkpoint
    assert isinstance(again, Checkpoint)
    torch.testing.assert_close(again.weights, after.weights, rtol=0, atol=0)


def test_a_hybrid_keeps_the_autoregression_that_its_network_adds_to() -> None:
    candidate = candidate_of({**NETWORK, "hybrid": "ar"})
    before = trained(candidate, 80)
    after = update_on(candidate, before, table(120), 1).checkpoint
    assert isinstance(after, Checkpoint)
    layout = Forecaster(candidate.architecture).layout()
    old, new = layout.views(before.weights), layout.views(after.weights)
    assert old[AUTOREGRESSION].abs().min() > 0.0
    assert [name for name in new if torch.equal(old[name], new[name])] == [
        INCREMENT_STD,
        AUTOREGRESSION,
    ]


def test_each_member_of_an_ensemble_is_updated() -> None:
    candidate = candidate_of(NETWORK)
    whole = Ensemble((candidate, FORM), ("one", "two"), (0.25, 0.75))
    before = EnsembleCheckpoint((trained(candidate, 80), trained(FORM, 80)), whole.weights)
    found = update_on(whole, before, table(120), 1)
    assert isinstance(found.checkpoint, EnsembleCheckpoint)
    assert found.checkpoint.weights == whole.weights
    assert (found.refitted, found.trained_on) == (1, 1)
    torch.testing.assert_close(found.checkpoint.members[1].weights, trained(FORM, 120, 1).weights)


@pytest.mark.parametrize("candidate", [FORM, candidate_of(NETWORK)])
def test_too_few_rows_are_refused(candidate: Candidate) -> None:
    with pytest.raises(SeriesError, match="at least"):
        update_on(candidate, trained(candidate, 80), table(candidate.least_steps - 1), 1)


def gappy(rows: int, gaps: list[int]) -> Table:
    """A table of which some values are masked."""
    values = table(rows).values.copy()
    values[gaps] = np.nan
    found = fill(values, ("x",), "mask", None)
    return replace(table(rows), values=found.values, filled=found.runs, is_masked=True)


@pytest.mark.parametrize("candidate", [FORM, candidate_of(NETWORK)], ids=["ar", "gru"])
def test_masked_rows_are_left_out_of_a_training_anew_and_of_an_update(candidate: Candidate) -> None:
    masked = gappy(120, [30, 31, 70, 110])
    spoilt = masked.values.copy()
    spoilt[[30, 31, 70, 110]] = 1e6
    other = replace(masked, values=spoilt)
    again, behind = (retrain_on(candidate, own, 0, 1, 1).checkpoint for own in (masked, other))
    assert isinstance(again, Checkpoint)
    assert isinstance(behind, Checkpoint)
    assert torch.equal(again.weights, behind.weights)
    updates = [update_on(candidate, again, own, 1).checkpoint for own in (masked, other)]
    assert isinstance(updates[0], Checkpoint)
    assert isinstance(updates[1], Checkpoint)
    assert torch.equal(updates[0].weights, updates[1].weights)
    scored = retrain_on(FORM, masked, 20, 1, 1).result
    assert scored is not None
    assert np.isnan(scored.replicas[0].example.truth).nonzero()[0].tolist() == [10]


def test_masked_values_that_leave_too_little_are_told() -> None:
    with pytest.raises(
        SeriesError, match=r"at least 20 .* without a gap, but .* at most 15; give a table with"
    ):
        retrain_on(FORM, gappy(120, list(range(14, 115, 15))), 0, 1, 1)
    values = np.hstack([table(121).values, table(121).values])
    values[117:120, 0], values[120, 1] = np.nan, np.nan
    found = fill(values, ("x", "y"), "mask", None)
    times = tuple(map(str, found.kept))
    both = Table("t", times, ("x", "y"), found.values, filled=found.runs, is_masked=True)
    with pytest.raises(SeriesError, match="the 3 rows that are held out must have a value"):
        retrain_on(FORM, both, 3, 1, 1)

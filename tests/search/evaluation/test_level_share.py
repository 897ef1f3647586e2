"""How much of a shift of level free runs go along with."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint import Checkpoint
from search.evaluation.level_share import level_share
from search.study.task_data import View, training_variance
from tests.search.evaluation.one_view import trained_on
from tests.search.evaluation.test_channels import NETWORK

AR = {"cell": "ar", "ar_order": 24, "regularisation": "given", "ridge": 1e-3, "offset": False}


def share_of(candidate: dict[str, Any], scale: float = 100.0) -> float:
    return level_share(*trained(candidate, scale))


def trained(candidate: dict[str, Any], scale: float = 100.0) -> tuple[Checkpoint, View]:
    """Networks trained on two channels, the second one in a unit so many times smaller."""
    time = np.arange(400.0)
    wave = np.sin(2 * np.pi * time / 12) + 0.3 * np.random.default_rng(0).standard_normal(400)
    values = np.stack([wave, scale * wave[::-1] + 7.0], axis=1)
    cohort, _ = trained_on(candidate, values, 300)
    view = View(
        values=values,
        truth=values.copy(),
        pieces=(range(300),),
        starts=(300, 340),
        horizon_steps=60,
        variance=training_variance(values[:300]),
        scored_against="observations",
    )
    return cohort.checkpoint(), view


@pytest.mark.parametrize(
    ("candidate", "share"),
    [
        ({**AR, "context_level": "mean"}, 1.0),
        ({"cell": "seasonal-naive", "season_steps": 12}, 1.0),
        ({"cell": "mean"}, 0.0),
    ],
)
def test_a_shift_is_followed_as_far_as_a_form_knows_no_level(
    candidate: dict[str, Any], share: float
) -> None:
    assert share_of(candidate) == pytest.approx(share, abs=1e-9)


def test_an_autoregression_goes_back_to_its_level() -> None:
    assert share_of(AR) < 0.5


def test_a_network_with_an_instance_norm_follows_a_shift() -> None:
    gru = {**NETWORK, "cell": "gru"}
    assert share_of({**gru, "instance_norm": True}) == pytest.approx(1.0, abs=1e-3)
    assert share_of(gru) < 0.9


def test_units_of_channels_do_not_matter() -> None:
    gru = {**NETWORK, "cell": "gru", "residual": True}
    shares = [share_of(gru, scale) for scale in (1.0, 1e4)]
    assert 0.1 < shares[0] < 0.9
    assert shares[1] == pytest.approx(shares[0], abs=1e-3)


def test_what_leaves_all_bounds_follows_nothing() -> None:
    networks, view = trained(AR)
    lost = replace(networks, weights=torch.full_like(networks.weights, torch.nan))
    assert level_share(lost, view) == 0.0

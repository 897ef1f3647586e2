"""Where the modes of a linear recurrent unit begin, and its transition."""

import pytest
import torch
from torch import Generator

from models.network.cells.lru import (
    DECAY_RANGE,
    LRU,
    PHASE_RANGE,
    UNDAMPED,
    phases_of_spectrum,
    rotation,
)

MANY = LRU.of({"modes": 500})


def test_initial_modes_lie_in_their_ranges() -> None:
    modes = MANY.initialise(1, Generator().manual_seed(0))
    for name, (low, high) in {"nu": DECAY_RANGE, "theta": PHASE_RANGE}.items():
        values = torch.exp(modes[name])
        assert low <= values.min() < 1.1 * low
        assert 0.9 * high < values.max() <= high
        middle = (low * high) ** 0.5
        assert 0.4 < (values < middle).float().mean() < 0.6


def test_initial_modes_keep_the_variance_of_their_input() -> None:
    modes = MANY.initialise(1, Generator().manual_seed(0))
    weights, modulus = modes["input"], torch.exp(-torch.exp(modes["nu"]))
    # White noise of variance 1 gives each complex mode a stationary variance of 1.
    variance = (weights[:, :500] ** 2 + weights[:, 500:] ** 2) / (1 - modulus**2)
    assert variance.mean() == pytest.approx(1.0, rel=0.15)


def test_phases_of_a_spectrum_lie_where_the_power_is() -> None:
    steps, frequencies = torch.arange(400.0), (0.1, 0.7)
    wave = torch.stack([torch.sin(w * steps) for w in frequencies], dim=1)
    phases = torch.exp(phases_of_spectrum(wave, 300, Generator().manual_seed(0)))
    assert phases.shape == (1, 300)
    nearest = torch.stack([(phases - w).abs() for w in frequencies]).min(0)
    near = nearest.values < 2 * torch.pi / 400  # the main lobe of the record
    assert near.float().mean() > 0.85
    assert 0.35 < (nearest.indices[near] == 0).float().mean() < 0.65


def test_phases_of_a_spectrum_begin_at_half_a_cycle() -> None:
    flat = torch.ones(100, 1)
    phases = torch.exp(phases_of_spectrum(flat, 50, Generator().manual_seed(0)))
    assert torch.pi / 100 == pytest.approx(float(phases.min()))
    constant = torch.zeros(100, 1)
    assert torch.isfinite(phases_of_spectrum(constant, 5, Generator().manual_seed(0))).all()


def test_settings_change_the_initial_modes_and_freeze_undamped_ones() -> None:
    """Phases are those of the spectrum in the bottom layer alone: it reads the series."""
    series = torch.sin(0.3 * torch.arange(200.0)).unsqueeze(1)
    cell = LRU.of({"modes": 4, "damping": False, "initial_phases": "spectrum"})
    assert cell.frozen() == {"nu"}
    assert LRU.of({"modes": 4}).frozen() == frozenset()
    for layer, follows_spectrum in ((0, True), (1, False)):
        initial = cell.initialise(1, Generator().manual_seed(0))
        named = {name: value.clone().unsqueeze(0) for name, value in initial.items()}
        cell.adjust(named, layer, series, Generator().manual_seed(1))
        assert (named["nu"] == UNDAMPED).all()
        assert torch.equal(named["theta"][0], initial["theta"]) != follows_spectrum
        assert torch.equal(named["input"][0], initial["input"])


def test_the_transition_turns_and_shrinks_by_the_eigenvalues() -> None:
    cell = LRU.of({"modes": 3})
    initial = cell.initialise(1, Generator().manual_seed(0))
    parameters = {name: value.unsqueeze(0) for name, value in initial.items()}
    matrix = cell.transition(parameters)[0]
    expected = torch.exp(-torch.exp(initial["nu"][0]) + 1j * torch.exp(initial["theta"][0]))
    state = torch.randn(2, 6, generator=Generator().manual_seed(1))
    turned = torch.complex(state[:, :3], state[:, 3:]) * expected
    torch.testing.assert_close(state @ matrix, torch.cat([turned.real, turned.imag], dim=1))
    quarter = rotation(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))[0]
    assert quarter.tolist() == [[0.0, 1.0], [-1.0, 0.0]]

"""Every closed form: short spans, hostile settings, checkpoints and cohorts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as load_tensors

from models import checkpoint
from models.candidate import forecaster_of, free_run, member_bytes
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from tests.models.closed_form.test_fitting import SERIES, SHAPES, SPAN, fitted_form, values


@pytest.mark.parametrize("cell", SHAPES)
def test_the_shortest_span_is_fitted(make_candidate: Callable[..., FittedForm], cell: str) -> None:
    for context_steps in (1, 2, 3):
        units = context_steps if cell == "nvar" else 5
        candidate = fitted_form(
            make_candidate, cell, context_steps=context_steps, units=units, delay_stride=1
        )
        fitting = Fitting([Member(candidate, 0, 0)], values()[:, : candidate.least_steps])
        assert list(fitting) == [0, 1]
        assert np.isfinite(fitting.loss().item())


@settings(deadline=None, max_examples=25)
@given(
    cell=st.sampled_from(sorted(SHAPES)),
    chosen=st.fixed_dictionaries(
        {
            "spectral_radius": st.sampled_from([0.0, 1.0, 100.0]),
            "input_scaling": st.sampled_from([0.0, 100.0]),
            "bias_scaling": st.sampled_from([0.0, 100.0]),
            "leak_rate": st.sampled_from([0.0, 1e-9, 1.0]),
            "ridge": st.sampled_from([0.0, 1e6]),
            "kernel_length": st.sampled_from([1e-3, 1e3]),
            "kernel_whitening": st.sampled_from([0.0, 1.0]),
            "kernel_linear_weight": st.sampled_from([0.0, 1e6]),
            "ssa_rank": st.sampled_from([1, 4096]),
            "neighbours": st.sampled_from([1, 1000]),
            "regularisation": st.sampled_from(["given", "held-out"]),
            "offset": st.booleans(),
            "residual": st.booleans(),
        }
    ),
    is_constant=st.booleans(),
)
def test_hostile_settings_end_in_finite_losses_and_in_free_runs_of_numbers(
    make_candidate: Callable[..., FittedForm], cell: str, chosen: dict[str, Any], is_constant: bool
) -> None:
    candidate = fitted_form(make_candidate, cell, **chosen)
    given_values = torch.zeros(1, SPAN, 1).double() if is_constant else values()
    fitting = Fitting([Member(candidate, 0, 0)], given_values)
    _ = list(fitting)
    context = 10 * values()[:1, None, : fitting.warm_up]
    run = free_run(fitting.forecaster, fitting.scored_weights, context, 50)
    assert np.isfinite(fitting.loss().item())
    assert not torch.isnan(run).any()


@pytest.mark.parametrize("cell", SHAPES)
def test_a_checkpoint_keeps_every_bit(make_candidate: Callable[..., FittedForm], cell: str) -> None:
    candidate = fitted_form(make_candidate, cell)
    fitting = Fitting([Member(candidate, s, seed=s) for s in range(SERIES)], values())
    _ = list(fitting)
    saved = Checkpoint(
        candidate.architecture, 1, fitting.scored_weights, torch.zeros(3, 1), torch.ones(3, 1)
    )
    content = checkpoint.save(saved)
    loaded = checkpoint.load(content)
    assert loaded.weights.dtype == torch.float64
    context = values()[:, None, -fitting.warm_up :]
    runs = [
        free_run(forecaster_of(c.architecture, c.channels), c.weights, context, 20)
        for c in (saved, loaded)
    ]
    assert torch.equal(*runs)
    stored = load_tensors(content)
    assert stored["parameter.coefficients"].dtype == torch.float64
    assert 8 * loaded.weights.shape[1] == member_bytes(candidate)


@pytest.mark.parametrize(
    ("cell", "fields"),
    [
        ("esn", ("units", "context_steps", "fan_in", "residual")),
        ("nvar", ("units", "delay_stride", "degree", "residual")),
        ("ar", ("context_steps", "residual")),
        ("ssa", ("context_steps",)),
        ("kernel-ridge", ("kernel_delays", "kernel_stride", "kernel_components", "segment_steps")),
        ("smoothing", ("season_steps", "smoothing_steps")),
        ("seasonal-profile", ("season_steps", "profile_seasons", "level_steps")),
        ("decomposition", ("season_steps", "decomposed_seasons", "remainder_order")),
        ("harmonics", ("season_steps", "second_season_steps", "harmonic_steps", "harmonic_count")),
        ("nearest-neighbours", ("neighbour_window", "neighbour_steps")),
        ("theta", ("season_steps", "decomposed_seasons")),
        ("direct-ridge", ("direct_window", "direct_steps")),
        ("periodic-ridge", ("periodic_steps", "seasons_read", "seasons_ahead")),
        ("nested-ridge", ("periodic_steps", "seasons_read", "seasons_ahead")),
    ],
)
def test_the_level_does_not_split_cohorts_but_the_shape_does(
    make_candidate: Callable[..., FittedForm], cell: str, fields: tuple[str, ...]
) -> None:
    candidate = fitted_form(make_candidate, cell)
    levels = fitted_form(make_candidate, cell, ridge=0.5, ssa_rank=3, regularisation="held-out")
    assert levels.cohort_key() == candidate.cohort_key()
    for name in fields:
        changed = fitted_form(make_candidate, cell, **{name: True if name == "residual" else 7})
        assert changed.cohort_key() != candidate.cohort_key(), name

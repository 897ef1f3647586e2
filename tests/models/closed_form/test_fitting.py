"""Fitting a cohort: what is held out, what is shared, and that company changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.candidate import free_run
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member

SERIES, SPAN = 3, 60
SHAPES: dict[str, dict[str, Any]] = {
    "esn": {"units": 12, "fan_in": 3, "context_steps": 8},
    "nvar": {"units": 3, "delay_stride": 2, "context_steps": 5, "degree": 2},
    "ar": {"context_steps": 9},
    "ssa": {"context_steps": 11},
    "kernel-ridge": {"kernel_points": 40},
    "smoothing": {"season_steps": 4, "smoothing_steps": 18, "trend": "damped"},
    "seasonal-profile": {"season_steps": 4, "profile_seasons": 3, "profile_drift": True},
    "decomposition": {"season_steps": 4, "decomposed_seasons": 2, "segment_steps": 3},
    "harmonics": {"season_steps": 5, "harmonic_steps": 12, "harmonic_trend": True},
    "theta": {"season_steps": 4, "decomposed_seasons": 3},
    "direct-ridge": {"direct_window": 9, "direct_steps": 4, "context_level": "mean"},
    "periodic-ridge": {"seasons_read": 3, "season_means": True, "seasons_fading": 1.0},
    "nested-ridge": {"seasons_read": 3, "season_means": True, "remainder_ridge": 0.1},
    "nearest-neighbours": {"neighbour_window": 5, "neighbour_steps": 3},
}
# All but those that know their training error without a second fit.
FITTED_ONCE = ("kernel-ridge", "direct-ridge", "periodic-ridge", "nested-ridge")
HELD_OUT = [cell for cell in SHAPES if cell not in FITTED_ONCE]


def values(channels: int = 1) -> Tensor:
    return torch.randn(
        SERIES, SPAN, channels, generator=Generator().manual_seed(4), dtype=torch.float64
    )


def fitted_form(make_candidate: Callable[..., FittedForm], cell: str, **chosen: Any) -> FittedForm:
    fixed = {"ridge": 1e-3, "ssa_rank": 2, "bias_scaling": 0.2, "leak_rate": 0.6}
    return make_candidate(cell=cell, context="state", **SHAPES[cell] | fixed | chosen)


def numbers(
    members: list[Member[FittedForm]],
    wanted: Member[FittedForm],
    kept: list[int] | None = None,
    channels: int = 1,
) -> dict[str, Tensor]:
    """What the fit leaves of one member; some members may be dropped after the first one's."""
    fitting, order = Fitting(members, values(channels)), list(members)
    for done in fitting:
        if not done and kept is not None:
            fitting.keep(kept)
            order, kept = [order[i] for i in kept], None
    row = order.index(wanted)
    context = values(channels)[:1, None, : fitting.warm_up].expand(len(order), 3, -1, -1)
    run = free_run(fitting.forecaster, fitting.scored_weights, context, 7)
    return {
        "weights": fitting.scored_weights[row],
        "loss": fitting.loss()[row],
        "free run": run[row],
    }


def check_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


strategies = st.fixed_dictionaries(
    {
        "ridge": st.sampled_from([0.0, 1e-6, 0.1]),
        "ssa_rank": st.sampled_from([1, 3]),
        "neighbours": st.sampled_from([1, 4]),
        "regularisation": st.sampled_from(["given", "held-out"]),
        "offset": st.booleans(),
        "time_reversal": st.booleans(),
        "spectral_radius": st.sampled_from([0.5, 1.2]),
        "input_scaling": st.sampled_from([0.3, 1.0]),
        "bias_scaling": st.sampled_from([0.0, 0.2]),
        "leak_rate": st.sampled_from([0.3, 1.0]),
        "kernel_length": st.sampled_from([0.5, 2.0]),
        "kernel_whitening": st.sampled_from([0.0, 1.0]),
        "kernel_linear_weight": st.sampled_from([0.0, 10.0]),
        "kernel_odd": st.booleans(),
        "direct_ridge": st.sampled_from([0.01, 0.3]),
        "direct_fading": st.sampled_from([0.0, 6.0]),
        "seasons_fading": st.sampled_from([0.0, 1.0]),
        "remainder_ridge": st.sampled_from([0.1, 1.0]),
        "channel_tie": st.sampled_from([0.2, 2.0]),
    }
)
# Few, so that members with equal ones meet: all that may be shared is shared.
rows = st.tuples(strategies, st.integers(0, SERIES - 1), st.integers(0, 1))


@settings(deadline=None, max_examples=25)
@given(
    cell=st.sampled_from(sorted(SHAPES)),
    residual=st.booleans(),
    tied_channels=st.booleans(),
    channels=st.sampled_from([1, 2]),
    chosen=st.lists(rows, min_size=3, max_size=6),
    data=st.data(),
)
def test_company_order_and_dropped_members_change_nothing(
    make_candidate: Callable[..., FittedForm],
    cell: str,
    residual: bool,
    tied_channels: bool,
    channels: int,
    chosen: list[tuple[dict[str, Any], int, int]],
    data: st.DataObject,
) -> None:
    shared = {"residual": residual, "tied_channels": tied_channels}
    members = [
        Member(fitted_form(make_candidate, cell, **shared, **own), series, seed)
        for own, series, seed in chosen
    ]
    wanted = data.draw(st.sampled_from(members), label="wanted")
    alone = numbers([wanted], wanted, channels=channels)
    shuffled = data.draw(st.permutations(members), label="order")
    check_equal(numbers(shuffled, wanted, channels=channels), alone)
    kept = [i for i in range(len(members)) if i % 2 == 0 or shuffled[i] is wanted]
    check_equal(numbers(shuffled, wanted, kept, channels), alone)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


WIDE: dict[str, dict[str, Any]] = {
    "esn": {"units": 220, "fan_in": 10, "context_steps": 20},
    "nvar": {"units": 19, "delay_stride": 1, "context_steps": 19, "degree": 2},
    "ar": {"context_steps": 210},
    "ssa": {"context_steps": 210},
    "kernel-ridge": {"kernel_points": 400},
}


@pytest.mark.parametrize("cell", WIDE)
def test_threads_change_nothing(make_candidate: Callable[..., FittedForm], cell: str) -> None:
    """With matrices above the sizes at which two threads share the work of a factorisation."""
    candidate = fitted_form(make_candidate, cell, **WIDE[cell])
    long = torch.randn(1, 500, 1, generator=Generator().manual_seed(0), dtype=torch.float64)

    def fitted() -> dict[str, Tensor]:
        fitting = Fitting([Member(candidate, 0, 0)], long)
        assert fitting.forecaster.features >= 200
        assert list(fitting) == [0, 1]
        context = long[:, None, : fitting.warm_up].expand(-1, 3, -1, -1)
        run = free_run(fitting.forecaster, fitting.scored_weights, context, 7)
        return {"weights": fitting.scored_weights, "loss": fitting.loss(), "free run": run}

    alone = fitted()
    with threads(2):
        check_equal(fitted(), alone)
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("cell", HELD_OUT)
def test_the_loss_is_the_free_run_over_the_last_quarter(
    make_candidate: Callable[..., FittedForm], cell: str
) -> None:
    candidate = fitted_form(make_candidate, cell)
    member = Member(candidate, 1, seed=5)
    fitting = Fitting([member], values())
    assert fitting.loss().tolist() == [np.inf]
    assert list(fitting) == [0, 1]

    series = values()[1].numpy()
    part = series[:45]
    form = candidate.form
    drawn = form.fix(1, Generator().manual_seed(5))
    fixed = form.measure([part], candidate, drawn)
    of_part = form.factorise([part], candidate, fixed).at(form.given_level)
    context = part[None, -form.context_steps :]
    run = np.clip(form.run(fixed, of_part[None], context, 15)[0], -10, 10)
    assert fitting.loss().item() == np.mean((run - series[45:]) ** 2)

    fixed = form.measure([series], candidate, drawn)
    of_whole = form.factorise([series], candidate, fixed).at(form.given_level)
    named = fitting.forecaster.layout().views(fitting.scored_weights)
    np.testing.assert_array_equal(named["coefficients"][0], of_whole)
    assert fitting.parameter_count == of_whole.size


@pytest.mark.parametrize("cell", HELD_OUT)
def test_the_held_out_span_chooses_the_level_of_the_least_loss(
    make_candidate: Callable[..., FittedForm], cell: str
) -> None:
    levels = fitted_form(make_candidate, cell).form.levels
    counted = {"ssa": "ssa_rank", "nearest-neighbours": "neighbours"}
    given_ones = [
        fitted_form(make_candidate, cell, **{counted.get(cell, "ridge"): level})
        for level in (map(int, levels) if cell in counted else levels)
    ]
    chosen = fitted_form(make_candidate, cell, regularisation="held-out")
    fitting = Fitting([Member(c, 0, seed=1) for c in [*given_ones, chosen]], values())
    *_, done = fitting
    assert done == 1
    losses = fitting.loss().tolist()
    assert losses[-1] == pytest.approx(min(losses[:-1]), rel=1e-9)
    best = losses.index(min(losses[:-1]))
    torch.testing.assert_close(fitting.scored_weights[-1], fitting.scored_weights[best])


def test_the_loss_of_kernel_ridge_is_its_training_error_or_what_chose_its_level(
    make_candidate: Callable[..., FittedForm],
) -> None:
    series = values()[1].numpy()
    for ridge in (1e-6, 1e-2):
        # With room for all windows: of a thinned span, those that are left are fitted.
        candidate = fitted_form(make_candidate, "kernel-ridge", ridge=ridge, kernel_points=SPAN)
        fitting = Fitting([Member(candidate, 1, seed=0)], values())
        list(fitting)
        form = candidate.form
        starts = range(form.context_steps, SPAN)
        contexts = np.stack([series[start - form.context_steps : start] for start in starts])
        run = fitting.forecaster.free_run(
            fitting.scored_weights, torch.from_numpy(contexts)[None], 1
        )
        errors = (run[0, :, 0].numpy() - series[form.context_steps :]) ** 2
        assert fitting.loss().item() == pytest.approx(errors.mean(), rel=1e-6)

    chosen = fitted_form(make_candidate, "kernel-ridge", regularisation="held-out")
    fitting = Fitting([Member(chosen, 1, seed=0)], values())
    list(fitting)
    part, rest = series[:45], series[45:]
    losses = []
    for level in chosen.form.levels:
        fixed = chosen.form.measure([part], chosen, {})
        of_part = chosen.form.factorise([part], chosen, fixed).at(level)
        context = part[None, -chosen.form.context_steps :]
        run = np.clip(chosen.form.run(fixed, of_part[None], context, len(rest))[0], -10, 10)
        losses.append(np.mean((run - rest) ** 2))
    assert fitting.loss().item() == pytest.approx(min(losses))


def test_levels_of_one_series_share_a_factorisation(
    make_candidate: Callable[..., FittedForm],
) -> None:
    """A part of the work ends with each factorisation: two series times two directions."""
    members = [
        Member(fitted_form(make_candidate, "ar", ridge=ridge, time_reversal=reversal), series, 0)
        for ridge in (1e-6, 1e-3, 1.0)
        for series in (0, 1)
        for reversal in (False, True)
    ]
    assert list(Fitting(members, values())) == [0] * 4 + [1]
    drawn = [
        Member(fitted_form(make_candidate, "esn", ridge=ridge), 0, seed)
        for ridge in (1e-6, 1.0)
        for seed in range(3)
    ]
    assert list(Fitting(drawn, values())) == [0] * 3 + [1]


@pytest.mark.parametrize("name", ["spectral_radius", "input_scaling", "bias_scaling", "leak_rate"])
def test_reservoirs_of_one_seed_are_each_their_own(
    make_candidate: Callable[..., FittedForm], name: str
) -> None:
    members = [
        Member(fitted_form(make_candidate, "esn", **{name: value}), 0, seed=1)
        for value in (1.0, 0.5)
    ]
    assert list(Fitting(members, values())) == [0, 0, 1]
    for member in members:
        check_equal(numbers(members, member), numbers([member], member))


def test_dropped_members_are_not_fitted(make_candidate: Callable[..., FittedForm]) -> None:
    members = [Member(fitted_form(make_candidate, "ar"), series, 0) for series in range(3)]
    fitting = Fitting(members, values())
    steps = iter(fitting)
    assert next(steps) == 0
    fitting.keep([0])
    assert list(steps) == [1]
    assert fitting.scored_weights.shape[0] == 1


def test_a_reservoir_is_drawn_from_the_members_seed(
    make_candidate: Callable[..., FittedForm],
) -> None:
    candidate = fitted_form(make_candidate, "esn")
    fitting = Fitting([Member(candidate, 0, seed) for seed in (0, 1, 0)], values())
    _ = list(fitting)
    first, second, again = fitting.scored_weights
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_impossible_cohorts_are_refused(make_candidate: Callable[..., FittedForm]) -> None:
    candidate = fitted_form(make_candidate, "ar")
    other = fitted_form(make_candidate, "ar", context_steps=10)
    with pytest.raises(ValueError, match="at least one member"):
        Fitting([], values())
    with pytest.raises(ValueError, match="equal cohort keys"):
        Fitting([Member(candidate, 0, 0), Member(other, 0, 0)], values())
    with pytest.raises(ValueError, match="at least 18 steps, twice the context, but got 17"):
        Fitting([Member(candidate, 0, 0)], values()[:, :17])
    with pytest.raises(ValueError, match="at least one member must be kept"):
        Fitting([Member(candidate, 0, 0)], values()).keep([])

"""Direct regressions against regressions on windows that are made, and what they recover."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from numpy.typing import NDArray
from optuna.samplers import RandomSampler

from models.candidate import candidate_of
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.methods import Choices, Domain, largest
from models.methods.series_properties import SeriesProperties
from search.study.space import Space, complete_space, read_space
from search.study.space.ablation import without_each
from tests.models.closed_form.forms.free_runs import check_company, coefficients_of, continued, walk

FloatArray = NDArray[np.float64]

DIRECT = {"cell": "direct-ridge", "direct_window": 12, "direct_steps": 5}
PERIODIC = {"cell": "periodic-ridge", "periodic_steps": 4, "seasons_read": 3, "seasons_ahead": 2}
NESTED = {**PERIODIC, "cell": "nested-ridge", "season_means": True, "remainder_ridge": 0.2}


def fitted_form(settings: dict[str, Any], **more: Any) -> FittedForm:
    candidate = candidate_of({"direct_ridge": 0.05, **settings, **more})
    assert isinstance(candidate, FittedForm)
    return candidate


def windows(series: FloatArray, known: int, ahead: int, level: str) -> tuple[FloatArray, ...]:
    """Windows `[row, time, channel]` and what follows them, less the level of each window."""
    starts = range(known, len(series) - ahead + 1)
    x = np.stack([series[t - known : t] for t in starts])
    y = np.stack([series[t : t + ahead] for t in starts])
    off = {"none": 0.0 * x[:, :1], "mean": x.mean(axis=1, keepdims=True), "last": x[:, -1:]}[level]
    return x - off, y - off


def solved(x: FloatArray, y: FloatArray, penalties: FloatArray) -> FloatArray:
    """The coefficients of the least mean squared error and weighted squared coefficients."""
    damped = x.T @ x / len(x) + np.diag(0.05 * penalties)
    return np.asarray(np.linalg.solve(damped, x.T @ y / len(x)))


@pytest.mark.parametrize("level", ["none", "mean", "last"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("fading", [0.0, 3.0])
def test_a_direct_ridge_is_a_regression_of_the_whole_horizon(
    level: str, channels: int, fading: float
) -> None:
    series = walk(70, channels)
    x, y = windows(series, 12, 5, level)
    ages = np.repeat(np.arange(12)[::-1], channels)
    penalties = (1 + ages / fading) ** 2 if fading else np.ones(len(ages))
    expected = solved(x.reshape(len(x), -1), y.reshape(len(y), -1), penalties)
    candidate = fitted_form(DIRECT, context_level=level, direct_fading=fading)
    np.testing.assert_allclose(coefficients_of(candidate, series), expected, atol=1e-6)


@pytest.mark.parametrize("level", ["none", "mean", "last"])
@pytest.mark.parametrize("means", [False, True])
def test_a_periodic_ridge_is_one_regression_of_all_places(level: str, means: bool) -> None:
    series = walk(70, 2)
    x, y = windows(series, 12, 8, level)
    rows, targets = [], []
    for place in range(4):
        own = x[:, place::4].reshape(len(x), -1)
        of_seasons = x.reshape(len(x), 3, 4, 2).mean(axis=2).reshape(len(x), -1)
        rows.append(np.concatenate([own, of_seasons], axis=1) if means else own)
        targets.append(y[:, place::4].reshape(len(y), -1))
    ages = np.repeat([2, 1, 0], 2)
    penalties = np.tile(1 + ages / 2, 2 if means else 1)
    expected = solved(np.concatenate(rows), np.concatenate(targets), penalties)
    candidate = fitted_form(PERIODIC, context_level=level, season_means=means, seasons_fading=2.0)
    np.testing.assert_allclose(coefficients_of(candidate, series), expected, atol=1e-6)


@pytest.mark.parametrize("means", [False, True])
def test_a_periodic_ridge_forecasts_each_place_from_its_seasons(means: bool) -> None:
    """Beyond the seasons that it forecasts at once, from its own forecasts."""
    series = walk(60, 2)
    candidate = fitted_form(PERIODIC, context_level="last", season_means=means)
    coefficients = coefficients_of(candidate, series)
    known = series
    for _ in range(2):
        level = known[-1]
        seasons = (known[-12:] - level).reshape(3, 4, 2)
        features = seasons.transpose(1, 0, 2).reshape(4, -1)
        if means:
            of_seasons = np.tile(seasons.mean(axis=1).ravel(), (4, 1))
            features = np.concatenate([features, of_seasons], axis=1)
        ahead = (features @ coefficients).reshape(4, 2, 2).transpose(1, 0, 2).reshape(8, 2)
        known = np.concatenate([known, ahead + level])
    np.testing.assert_allclose(continued(candidate, series, 14), known[60:74], atol=1e-10)


def near(x: FloatArray, y: FloatArray, penalties: FloatArray, shared: FloatArray) -> FloatArray:
    """The coefficients of the least mean squared error and weighted differences from others."""
    tie = np.diag(0.3 * penalties)
    return np.asarray(np.linalg.solve(x.T @ x / len(x) + tie, x.T @ y / len(x) + tie @ shared))


@pytest.mark.parametrize("means", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_nested_ridge_is_one_across_seasons_and_one_of_what_it_leaves(
    means: bool, channels: int
) -> None:
    series = walk(80, channels)
    known = {"context_level": "last", "season_means": means, "seasons_fading": 2.0}
    seasonal = fitted_form(PERIODIC, **known)
    coefficients = coefficients_of(seasonal, series)[None]
    x, y = windows(series, 12, 8, "last")
    # Less its level, a window ends at 0.
    runs = [seasonal.form.run({}, coefficients, own[None], 8)[0] for own in x]
    rows, left = x.reshape(len(x), -1), (y - np.stack(runs)).reshape(len(x), -1)
    penalties = (1 + np.repeat(np.arange(12)[::-1], channels) / 6) ** 2
    damped = rows.T @ rows / len(rows) + np.diag(0.2 * penalties)
    added = np.linalg.solve(damped, rows.T @ left / len(rows))
    nested = fitted_form({**NESTED, **known}, direct_fading=6.0)
    context = x[7:8]
    expected = runs[7] + (rows[7] @ added).reshape(8, channels)
    run = nested.form.run({}, coefficients_of(nested, series)[None], context, 8)[0]
    np.testing.assert_allclose(run, expected, atol=1e-6)


def test_tied_channels_of_a_nested_ridge_add_what_is_near_to_what_all_add() -> None:
    series = walk(90, 3)
    known: dict[str, Any] = {"context_level": "last", "season_means": True}
    known |= {"tied_channels": True, "channel_tie": 0.3}
    seasonal, nested = fitted_form(PERIODIC, **known), fitted_form(NESTED, **known)
    coefficients = coefficients_of(seasonal, series)[None]
    x, y = windows(series, 12, 8, "last")
    runs = np.stack([seasonal.form.run({}, coefficients, own[None], 8)[0] for own in x])
    left, penalties = y - runs, np.ones(12)
    rows, targets = (np.concatenate(list(own.transpose(2, 0, 1))) for own in (x, left))
    damped = rows.T @ rows / len(rows) + 0.2 * np.eye(12)
    shared = np.linalg.solve(damped, rows.T @ targets / len(rows))
    added = [near(x[:, :, c], left[:, :, c], penalties, shared) for c in range(3)]
    expected = runs[7] + np.stack([x[7, :, c] @ added[c] for c in range(3)], axis=1)
    run = nested.form.run({}, coefficients_of(nested, series)[None], x[7:8], 8)[0]
    np.testing.assert_allclose(run, expected, atol=1e-6)


@pytest.mark.parametrize("tie", [{}, {"tied_channels": True, "channel_tie": 1e6}])
def test_a_strong_remainder_ridge_leaves_what_is_across_seasons(tie: dict[str, Any]) -> None:
    series = walk(90, 2)
    known = {"context_level": "mean", "season_means": True, "seasons_fading": 2.0, **tie}
    nested = fitted_form({**NESTED, **known}, remainder_ridge=1e6)
    run = continued(nested, series, 14)
    np.testing.assert_allclose(
        run, continued(fitted_form(PERIODIC, **known), series, 14), atol=1e-3
    )


@pytest.mark.parametrize("level", ["none", "mean", "last"])
def test_tied_channels_have_coefficients_near_those_of_all(level: str) -> None:
    series = walk(70, 3)
    x, y = windows(series, 12, 5, level)
    rows, targets = (np.concatenate(list(values.transpose(2, 0, 1))) for values in (x, y))
    penalties = (1 + np.arange(12)[::-1] / 6) ** 2
    shared = solved(rows, targets, penalties)
    expected = [near(x[:, :, c], y[:, :, c], penalties, shared) for c in range(3)]
    candidate = fitted_form(
        DIRECT, context_level=level, direct_fading=6.0, tied_channels=True, channel_tie=0.3
    )
    coefficients = coefficients_of(candidate, series)
    np.testing.assert_allclose(coefficients.reshape(12, 5, 3), np.stack(expected, 2), atol=1e-6)


@pytest.mark.parametrize("settings", [DIRECT, {**PERIODIC, "season_means": True}, NESTED])
@pytest.mark.parametrize("level", ["none", "last"])
def test_tied_channels_are_forecast_each_by_its_own(settings: dict[str, Any], level: str) -> None:
    """What one channel has learnt is what the form of that channel alone runs with."""
    series = walk(90, 3)
    alone = fitted_form(settings, context_level=level)
    tied = fitted_form(settings, context_level=level, tied_channels=True, channel_tie=0.3)
    coefficients = coefficients_of(tied, series)
    by_channel = coefficients.reshape(len(coefficients), -1, 3)
    context = series[None, -12:]
    run = tied.form.run({}, coefficients[None], context, 20)[0]
    for c in range(3):
        own = alone.form.run({}, by_channel[None, :, :, c], context[:, :, c : c + 1], 20)[0]
        np.testing.assert_allclose(run[:, c], own[:, 0], atol=1e-12)


@pytest.mark.parametrize("settings", [DIRECT, {**PERIODIC, "season_means": True}])
@pytest.mark.parametrize(("tie", "atol"), [(1e6, 1e-4), (0.0, 1e-6)])
def test_a_tie_goes_from_least_squares_to_shared_coefficients(
    settings: dict[str, Any], tie: float, atol: float
) -> None:
    series = walk(150, 2)
    more = {"context_level": "last", "tied_channels": True, "channel_tie": tie}
    tied = coefficients_of(fitted_form(settings, **more), series)
    by_channel = tied.reshape(len(tied), -1, 2)
    each = {"context_level": "last", "direct_ridge": 0.05 if tie else 0.0}
    pieces = [series[:, c : c + 1] for c in range(2)]
    for c in range(2):
        seen = pieces if tie else pieces[c : c + 1]
        expected = coefficients_of(fitted_form(settings, **each), *seen)
        np.testing.assert_allclose(by_channel[:, :, c], expected, atol=atol)


def held_out(candidate: FittedForm) -> FittedForm:
    """The same form as one whose error is not known without a second fit, as a plugin's may be."""
    known = candidate.form

    class HeldOut(type(known)):  # type: ignore[misc]
        def training_error(self, *_: object) -> None:
            return None

    own = HeldOut(**{field.name: getattr(known, field.name) for field in fields(known)})
    return FittedForm(tuple(own if method is known else method for method in candidate))


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
@pytest.mark.parametrize("is_tied", [False, True])
@pytest.mark.parametrize("made", [fitted_form, lambda *a, **k: held_out(fitted_form(*a, **k))])
def test_what_shares_a_factorisation_keeps_its_own_regularisation(
    settings: dict[str, Any], is_tied: bool, made: Callable[..., FittedForm]
) -> None:
    series = torch.from_numpy(walk(90, 2))[None]
    known = {"tied_channels": is_tied, "channel_tie": 0.3}
    more: dict[str, Any] = {"direct_ridge": 0.5, "direct_fading": 6.0, "seasons_fading": 2.0}
    more |= {"channel_tie": 3.0, "remainder_ridge": 1.0}
    members = [
        Member(made(settings, **own), series=0, seed=0) for own in (known, {**known, **more})
    ]
    company = Fitting(members, series)
    for _ in company:
        pass
    for place, member in enumerate(members):
        alone = Fitting([member], series)
        for _ in alone:
            pass
        assert torch.equal(company.scored_weights[place], alone.scored_weights[0])
        assert company.loss()[place] == alone.loss()[0]


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
def test_one_tied_channel_is_what_it_is_without_a_tie(settings: dict[str, Any]) -> None:
    series = walk(90)
    tied = coefficients_of(fitted_form(settings, tied_channels=True), series)
    np.testing.assert_array_equal(tied, coefficients_of(fitted_form(settings), series))


@pytest.mark.parametrize("settings", [DIRECT, {**PERIODIC, "season_means": True}, NESTED])
def test_tied_channels_cost_a_fit_of_each_and_of_all(settings: dict[str, Any]) -> None:
    """Less than channels that are read together."""
    plain = fitted_form(settings).form
    products = fitted_form(settings, tied_channels=True).form.fit_products(7, 500, 1)
    assert 7 * plain.fit_products(1, 500, 1) < products < plain.fit_products(7, 500, 1)


def test_tied_channels_share_no_coefficients() -> None:
    with pytest.raises(ValueError, match="tied_channels must be false where channels share all"):
        fitted_form(DIRECT, tied_channels=True, channels="independent")


def test_ties_are_a_choice_where_there_are_several_channels() -> None:
    def space(channels: int) -> Mapping[str, Domain]:
        series = SeriesProperties(4000, periods=(24.0,), horizon_steps=96, channels=channels)
        return complete_space({}, 4000, series)

    assert space(7)["tied_channels"] == Choices((False, True))
    assert not {"tied_channels", "channel_tie"} & set(space(1))


def test_a_trial_of_tied_channels_says_nothing_else_of_them() -> None:
    """Its channels are neither read together nor pooled, however large the window is."""
    series = SeriesProperties(8000, periods=(24.0,), horizon_steps=720, channels=7)
    wanted = {"cell": ["direct-ridge"], "tied_channels": [True], "direct_window": [720]}
    domains = complete_space(read_space(wanted), 8000, series)
    space = Space(domains, channels=7)
    params = space.suggest(optuna.create_study(sampler=RandomSampler(seed=0)).ask())
    assert "channels" not in params
    assert 0.1 <= float(params["channel_tie"]) <= 10.0
    candidate = space.resolve(params)
    assert f"tied channels {params['channel_tie']:.2g}" in candidate.description()
    assert "each channel by itself" not in candidate.description()
    plain = without_each(space, params)["tied channels"]
    assert "each channel by itself" in plain.description()


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
@pytest.mark.parametrize("level", ["none", "mean"])
@pytest.mark.parametrize("is_tied", [False, True])
def test_the_loss_is_the_error_of_forecasts_of_the_training_rows(
    settings: dict[str, Any], level: str, is_tied: bool
) -> None:
    """No part of the span is held out for it: the fit is made once."""
    series = walk(90, 2)
    candidate = fitted_form(settings, context_level=level, tied_channels=is_tied)
    fitting = Fitting([Member(candidate, 0, seed=0)], torch.from_numpy(series)[None])
    list(fitting)
    ahead = candidate.form.steps_at_once
    starts = range(12, len(series) - ahead + 1)
    contexts = torch.from_numpy(np.stack([series[start - 12 : start] for start in starts]))
    runs = fitting.forecaster.free_run(fitting.scored_weights, contexts[None], ahead)[0].numpy()
    truth = np.stack([series[start : start + ahead] for start in starts])
    assert fitting.loss().item() == pytest.approx(np.mean((runs - truth) ** 2), rel=1e-6)


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
def test_a_season_goes_on_whatever_the_level(settings: dict[str, Any]) -> None:
    t = np.arange(120)
    series = (np.sin(2 * np.pi * t / 4 + 0.3) + 1e3)[:, None]
    candidate = fitted_form(settings, context_level="mean", direct_ridge=1e-6)
    run = continued(candidate, series[:100], 20)
    np.testing.assert_allclose(run, series[100:], atol=1e-3)


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
def test_constant_values_are_continued(settings: dict[str, Any]) -> None:
    candidate = fitted_form(settings, context_level="mean")
    run = continued(candidate, np.full((40, 1), 3.0), 20)
    np.testing.assert_allclose(run, 3.0)


@pytest.mark.parametrize("settings", [DIRECT, {**PERIODIC, "season_means": True}, NESTED])
@pytest.mark.parametrize("level", ["mean", "last"])
@pytest.mark.parametrize(("channels", "is_tied"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("place", [0, 37, 79])
def test_company_changes_no_free_run(
    settings: dict[str, Any], level: str, channels: int, is_tied: bool, place: int
) -> None:
    candidate = fitted_form(settings, context_level=level, tied_channels=is_tied)
    check_company(candidate, 90, channels, place)


def test_choices_follow_the_season_and_the_horizon() -> None:
    series = SeriesProperties(4000, periods=(24.2, 168.0), horizon_steps=100)
    space = complete_space({}, 4000, series)
    assert space["direct_steps"] == Choices((100,))
    assert space["direct_window"] == Choices((168, 336, 720, 1008))
    assert space["periodic_steps"] == Choices((24,))
    assert space["seasons_ahead"] == Choices((5,))
    assert space["seasons_read"] == Choices((7, 14, 30, 42))


def test_choices_fit_into_a_short_span() -> None:
    """Half of it is read at most, and a quarter forecast at once."""
    space = complete_space({}, 100, SeriesProperties(100, periods=(12.0,), horizon_steps=36))
    lag = int(largest(space["seasonal_lag"]))
    assert largest(space["direct_window"]) <= (100 - lag) // 2
    assert largest(space["direct_steps"]) <= (100 - lag) // 4
    assert 12 * int(largest(space["seasons_read"])) <= (100 - lag) // 2
    assert 12 * int(largest(space["seasons_ahead"])) <= (100 - lag) // 4


def test_a_horizon_too_long_to_be_solved_at_once_is_forecast_in_parts() -> None:
    series = SeriesProperties(100_000, periods=(24.0,), horizon_steps=5000)
    space = complete_space({}, 100_000, series)
    assert space["direct_steps"] == Choices((1024,))
    assert space["seasons_ahead"] == Choices((43,))


def test_without_a_season_neither_is_in_the_default_space() -> None:
    cells = complete_space({}, 1000, SeriesProperties(1000, horizon_steps=50))["cell"]
    assert isinstance(cells, Choices)
    assert not {"direct-ridge", "periodic-ridge", "nested-ridge"} & set(cells.values)


@pytest.mark.parametrize("settings", [DIRECT, PERIODIC, NESTED])
def test_many_channels_are_not_read_at_once(settings: dict[str, Any]) -> None:
    """The products of a window grow with the square of the channels, unless these are tied."""
    form = fitted_form(settings).form
    assert form.fits_at_once(20)
    assert not form.fits_at_once(200)
    assert fitted_form(settings, tied_channels=True).form.fits_at_once(200)

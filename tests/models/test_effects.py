"""Effects of known columns: what is found again, and units that write what they read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.candidate import candidate_of
from models.effects import MOST_KNOTS, MOST_REACH, Effects, Groups, lags_of, rows_before
from models.regression import FEW_VALUES, MOST_LAGGED_KNOTS, effects_of
from models.units import Units

FloatArray = NDArray[np.float64]
ROWS = 1000


def bent(x: FloatArray) -> FloatArray:
    return np.maximum(15.0 - x, 0.0) * 2.0 + np.maximum(x - 22.0, 0.0) * 3.0


def series(seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """A season, correlated errors, and effects of a temperature with the same season and a flag."""
    dice = np.random.default_rng(seed)
    steps = np.arange(ROWS)
    weather = np.zeros(ROWS)
    errors = np.zeros(ROWS)
    for t in range(1, ROWS):
        weather[t] = 0.95 * weather[t - 1] + dice.normal()
        errors[t] = 0.8 * errors[t - 1] + dice.normal()
    season = np.sin(2 * np.pi * steps / 24)
    temperature = 15.0 + 6.0 * season + 3.0 * weather
    flag = (dice.random(ROWS // 20) < 0.2).repeat(20).astype(float)
    values = 20.0 * season + bent(temperature) - 10.0 * flag + errors
    return values[:, np.newaxis], np.stack([temperature, flag], axis=1)


def curve(effects: Effects, known: FloatArray) -> FloatArray:
    return effects.at(known[np.newaxis, np.newaxis])[0, 0, :, 0]


def test_a_bent_effect_is_found_under_a_season_and_correlated_errors() -> None:
    values, known = series()
    found = effects_of("curves", [values], [known], season=24)
    truth = bent(known[:, 0]) - 10.0 * known[:, 1]
    error = curve(found, known) - (truth - truth.mean())
    assert np.sqrt(np.mean(error**2)) < 0.1 * truth.std()


def test_a_line_can_not_bend() -> None:
    values, known = series()
    found = effects_of("linear", [values], [known], season=24)
    at = np.stack([np.array([0.0, 10.0, 20.0, 30.0]), np.zeros(4)], axis=1)
    steps = np.diff(curve(found, at))
    assert np.allclose(steps, steps[0])


def test_the_season_of_a_series_is_no_effect_of_a_column_that_shares_it() -> None:
    dice = np.random.default_rng(1)
    season = np.sin(2 * np.pi * np.arange(ROWS) / 24)
    column = (season + 0.3 * dice.normal(size=ROWS))[:, np.newaxis]
    values = (10.0 * season + 0.1 * dice.normal(size=ROWS))[:, np.newaxis]
    found = effects_of("linear", [values], [column], season=24)
    assert np.abs(curve(found, column)).max() < 0.1


@pytest.mark.parametrize("kind", ["linear", "curves"])
def test_stretches_with_a_gap_are_not_joined(kind: str) -> None:
    values, known = series(2)
    own = [slice(0, 400), slice(600, ROWS)]
    apart = effects_of(kind, [values[s] for s in own], [known[s] for s in own], 24)
    # A level that differs between the stretches is no effect either.
    lifted = [values[own[0]], values[own[1]] + 0.01]
    again = effects_of(kind, lifted, [known[s] for s in own], 24)
    assert np.allclose(apart.values, again.values, atol=0.2)


def test_a_curve_goes_on_straight_beyond_many_values_and_level_beyond_few() -> None:
    dice = np.random.default_rng(3)
    many, few = dice.normal(size=ROWS), dice.integers(0, 5, ROWS).astype(float)
    known = np.stack([many, few], axis=1)
    values = (3.0 * many + 2.0 * few + 0.1 * dice.normal(size=ROWS))[:, np.newaxis]
    found = effects_of("curves", [values], [known], season=1)
    at = np.stack([np.array([8.0, 9.0, 10.0]), np.zeros(3)], axis=1)
    assert np.allclose(np.diff(curve(found, at)), 3.0, atol=0.3)
    at = np.stack([np.zeros(3), np.array([4.0, 5.0, 100.0])], axis=1)
    assert np.ptp(curve(found, at)) == 0.0
    assert found.is_level.tolist() == [[False, True]]
    assert FEW_VALUES >= 5


@pytest.mark.parametrize("kind", ["linear", "curves"])
def test_beyond_two_values_an_effect_stays_level(kind: str) -> None:
    dice = np.random.default_rng(4)
    month = np.repeat([11.0, 12.0], ROWS // 2)[:, np.newaxis]
    values = (month == 12.0) + 0.1 * dice.normal(size=(ROWS, 1))
    found = effects_of(kind, [values], [month], season=24)
    at = curve(found, np.array([[1.0], [11.0], [12.0], [13.0]]))
    assert at[0] == at[1]
    assert at[2] == at[3]
    assert at[2] - at[1] == pytest.approx(1.0, abs=0.2)


def test_a_column_that_is_constant_adds_nothing_anywhere() -> None:
    values, known = series()
    flat = np.concatenate([known, np.full((ROWS, 1), 7.0)], axis=1)
    with_it = effects_of("curves", [values], [flat], 24)
    without = effects_of("curves", [values], [known], 24)
    elsewhere = np.concatenate([known, np.full((ROWS, 1), 9.0)], axis=1)
    assert np.allclose(curve(with_it, elsewhere), curve(without, known))


def test_each_channel_has_effects_of_its_own() -> None:
    values, known = series()
    both = np.concatenate([values, -values], axis=1)
    found = effects_of("curves", [both], [known], 24)
    assert np.allclose(found.values[..., 0], -found.values[..., 1])


@given(
    rows=st.integers(3, 60),
    season=st.integers(1, 70),
    columns=st.integers(1, 3),
    kinds=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["linear", "curves"]),
)
@settings(max_examples=60, deadline=None)
def test_any_short_span_has_finite_effects_with_the_mean_zero(
    rows: int, season: int, columns: int, kinds: int, seed: int, kind: str
) -> None:
    dice = np.random.default_rng(seed)
    known = dice.integers(0, kinds, (rows, columns)).astype(float)
    values = dice.normal(size=(rows, 2))
    found = effects_of(kind, [values], [known], season)
    added = found.at(known[np.newaxis, np.newaxis])[0, 0]
    assert np.isfinite(found.values).all()
    assert found.knots.shape == (1, columns, MOST_KNOTS)
    assert (np.diff(found.knots, axis=2) >= 0).all()
    assert np.allclose(added.mean(axis=0), 0.0, atol=1e-8)


@given(
    seed=st.integers(0, 2**32 - 1),
    power=st.sampled_from(["none", "log", "box-cox"]),
    lag=st.sampled_from([0, 7]),
    offset=st.booleans(),
    kind=st.sampled_from(["linear", "curves"]),
    lags=st.sampled_from(["none", "steps", "spans"]),
)
@settings(max_examples=40, deadline=None)
def test_units_write_what_they_read(
    seed: int, power: str, lag: int, offset: bool, kind: str, lags: str
) -> None:
    dice = np.random.default_rng(seed)
    known = dice.normal(size=(80, 2))
    values = np.exp(0.3 * dice.normal(size=(80, 1)) + 0.2 * known[:, :1]) + 0.5
    candidate = candidate_of(
        {
            "cell": "ar",
            "ar_order": 4,
            "known_columns": kind,
            "known_lags": lags,
            "power_transform": power,
            "seasonal_lag": lag,
            "offset": offset,
            "ridge": 1e-3,
        }
    )
    units = Units.of(candidate, [values[:60]], [known[:60]], season=7)
    whole, rows = values[np.newaxis, np.newaxis], known[np.newaxis, np.newaxis]
    read = units.read(whole, rows)
    shown = whole[:, :, :40]
    ahead = units.written(read[:, :, 40 - units.lag :], shown, rows)
    assert np.allclose(ahead, whole[:, :, 40:])
    beside = units.written_beside(read[:, :, 40 - units.lag :], shown, whole[:, :, 40:], rows)
    assert np.allclose(beside, whole[:, :, 40:])


def test_members_with_and_without_effects_stand_beside_each_other() -> None:
    values, known = series()
    with_it = candidate_of({"cell": "ar", "ar_order": 4, "ridge": 0.1, "known_columns": "curves"})
    without = candidate_of({"cell": "ar", "ar_order": 4, "ridge": 0.1})
    own = [
        Units.of(with_it, [values], [known], season=24),
        Units.of(without, [values]),
    ]
    joined = Units.joined(own)
    rows = known[np.newaxis, np.newaxis]
    read = joined.read(np.stack([values, values])[:, np.newaxis], rows)
    assert np.array_equal(read[0], own[0].read(values[np.newaxis, np.newaxis], rows)[0])
    assert np.array_equal(read[1], own[1].read(values[np.newaxis, np.newaxis])[0])


def weather(rows: int = ROWS, seed: int = 5) -> FloatArray:
    """A temperature that wanders, `[time]`."""
    dice, found = np.random.default_rng(seed), np.zeros(rows)
    for t in range(1, rows):
        found[t] = 0.8 * found[t - 1] + dice.normal()
    return 15.0 + 5.0 * found


def followed(values: FloatArray, known: FloatArray, lags: str, season: int) -> float:
    """The share of a series' variance that effects leave, behind the rows that lack lags."""
    found = effects_of("curves", [values], [known], season, lags)
    rest = values[:, 0] - curve(found, known)
    behind = rest[rows_before(lags, season) :]
    return float(behind.var() / values.var())


def test_what_comes_a_few_rows_later_is_found_by_lags() -> None:
    temperature, dice = weather(), np.random.default_rng(6)
    values = bent(np.roll(temperature, 2)) + 0.5 * np.roll(temperature, 24)
    values = (values + 0.1 * dice.normal(size=ROWS))[24:, np.newaxis]
    known = temperature[24:, np.newaxis]
    left = {lags: followed(values, known, lags, 24) for lags in ("none", "steps")}
    assert left["none"] > 0.3
    assert left["steps"] < 0.02


def test_what_comes_of_the_mean_of_many_rows_is_found_by_spans() -> None:
    temperature, dice = weather(), np.random.default_rng(7)
    mean = np.convolve(temperature, np.full(32, 1 / 32), "valid")
    values = (mean + 0.02 * dice.normal(size=len(mean)))[:, np.newaxis]
    known = temperature[31:, np.newaxis]
    left = {lags: followed(values, known, lags, 24) for lags in ("none", "steps", "spans")}
    assert min(left["none"], left["steps"]) > 0.5
    assert left["spans"] < 0.05


@given(lags=st.sampled_from(["none", "steps", "spans"]), season=st.integers(1, 10_000))
def test_lags_reach_back_without_a_gap_or_an_overlap(lags: str, season: int) -> None:
    read = lags_of(lags, season)
    rows = [row for lag, span in read for row in range(lag, lag + span)]
    assert read[0] == (0, 1)
    assert len(set(rows)) == len(rows)
    assert max(rows) == rows_before(lags, season) <= MOST_REACH
    if lags == "spans":
        assert rows == list(range(len(rows)))
        assert max(rows) >= min(2 * season, MOST_REACH - 1)


@given(
    seed=st.integers(0, 2**32 - 1),
    lags=st.sampled_from(["none", "steps", "spans"]),
    first=st.integers(70, 90),
    rows=st.integers(1, 20),
)
@settings(max_examples=30, deadline=None)
def test_an_effect_is_the_same_in_whatever_stretch_it_is_read(
    seed: int, lags: str, first: int, rows: int
) -> None:
    dice = np.random.default_rng(seed)
    known, values = dice.normal(size=(120, 2)), dice.normal(size=(120, 1))
    found = effects_of("curves", [values], [known], 24, lags)
    whole = found.at(known[np.newaxis, np.newaxis])
    stretch = known[np.newaxis, np.newaxis, first - found.rows_before : first + rows]
    assert np.array_equal(found.at(stretch, rows), whole[:, :, first : first + rows])


@pytest.mark.parametrize("lags", ["steps", "spans"])
def test_rows_without_all_their_lags_teach_nothing(lags: str) -> None:
    values, known = series(8)
    before = rows_before(lags, 24)
    other = values.copy()
    other[:before] += 1000.0
    found, again = (effects_of("curves", [own], [known], 24, lags) for own in (values, other))
    assert np.array_equal(found.values, again.values)
    # Rows before a stretch are known, so that none of its own is left out.
    cut = effects_of("curves", [values[before:]], [known], 24, lags)
    assert np.array_equal(cut.values, found.values)
    assert not np.array_equal(
        effects_of("curves", [values[before:]], [known[before:]], 24, lags).values, found.values
    )


def test_a_short_span_has_no_lags_that_it_has_no_room_for() -> None:
    dice = np.random.default_rng(9)
    known, values = dice.normal(size=(40, 1)), dice.normal(size=(40, 1))
    found = effects_of("linear", [values], [known], 24, "steps")
    assert found.rows_before == 3
    assert effects_of("linear", [values[:3]], [known[:3]], 24, "steps").rows_before == 0
    assert effects_of("linear", [values[25:]], [known], 24, "steps").rows_before == 24


@pytest.mark.parametrize("lags", ["steps", "spans"])
def test_each_stretch_has_the_rows_before_it(lags: str) -> None:
    """The first rows of the second one teach something only where those before are known."""
    values, known = series(14)
    before, other = rows_before(lags, 24), values.copy()
    other[500] += 1000.0
    for first, teaches in ((500 - before, True), (500, False)):
        found, again = (
            effects_of("curves", [own[:400], own[500:]], [known[:400], known[first:]], 24, lags)
            for own in (values, other)
        )
        assert np.array_equal(found.values, again.values) != teaches


def test_short_stretches_lose_no_more_rows_than_they_have() -> None:
    dice = np.random.default_rng(15)
    lengths = [300, *[2] * 10]
    pieces = [dice.normal(size=(rows, 1)) for rows in lengths]
    known = [dice.normal(size=(rows, 1)) for rows in lengths]
    assert effects_of("linear", pieces, known, 24, "steps").rows_before == 24


def test_curves_of_lags_have_fewer_knots() -> None:
    values, known = series(16)
    knots = effects_of("curves", [values], [known[:, :1]], 24, "steps").knots[0]
    assert [len(np.unique(own)) for own in knots] == [MOST_KNOTS, *[MOST_LAGGED_KNOTS] * 4]


@pytest.mark.parametrize("lags", ["none", "spans"])
@pytest.mark.parametrize("past", [0, 1])
def test_each_group_has_the_effects_that_it_has_alone(lags: str, past: int) -> None:
    own = [series(seed) for seed in (10, 11, 12)]
    both = [np.concatenate([values, 2.0 * values], axis=1) for values, _ in own]
    channels = np.concatenate(
        [each[:, :1] for each in both] + [each[:, 1:] for each in both], axis=1
    )
    if not past:
        channels = np.concatenate(both, axis=1)
    known = np.concatenate([columns for _, columns in own], axis=1)
    found = effects_of("curves", [channels], [known], 24, lags, Groups(3, 3 * past))
    assert found.columns == 6
    added = found.at(known[np.newaxis, np.newaxis])[0, 0]
    for group, (values, (_, columns)) in enumerate(zip(both, own, strict=True)):
        alone = effects_of("curves", [values], [columns], 24, lags)
        at = [group, 3 + group] if past else [2 * group, 2 * group + 1]
        assert np.array_equal(added[:, at], alone.at(columns[np.newaxis, np.newaxis])[0, 0])


def test_members_with_other_lags_are_what_they_are_alone() -> None:
    values, known = series(13)
    own = [effects_of("curves", [values], [known], 24, lags) for lags in ("none", "spans", "steps")]
    own.insert(1, Effects.none(1, 2, 1))
    joined = Effects.joined(own)
    rows = known[np.newaxis, np.newaxis]
    assert np.array_equal(joined.at(rows), np.concatenate([each.at(rows) for each in own]))
    for place, each in enumerate(own):
        again = joined.rows([place])
        assert (again.reads is None) == (each.reads is None)
        assert again.knots.shape == each.knots.shape
        assert np.array_equal(again.at(rows), each.at(rows))

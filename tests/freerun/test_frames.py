"""Series of NumPy, pandas and polars: a forecast comes back as the kind that was given."""

import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import freerun
from freerun.exported import ForecastWarning
from freerun.frames.labels import (
    labels_of_numbers,
    labels_of_times,
    numbers_of_labels,
    times_of_labels,
)
from freerun.study import Study
from search.series import FloatArray
from tests.freerun.conftest import PATIENT, wave

ROWS, AHEAD = 60, 3
SERIES = wave()[:ROWS]
START = datetime(2024, 1, 30)


@pytest.fixture
def forecaster(done: Study) -> freerun.ExportedForecaster:
    """The winner on the wave, whose series had no names."""
    return done.forecaster()


@pytest.fixture
def expected(forecaster: freerun.ExportedForecaster) -> FloatArray:
    """The forecast `[step]` of the plain array."""
    return forecaster.forecast(SERIES, AHEAD)


def test_arrays_and_lists(forecaster: freerun.ExportedForecaster, expected: FloatArray) -> None:
    assert expected.shape == (AHEAD,)
    column = forecaster.forecast(SERIES[:, np.newaxis], AHEAD)
    assert np.array_equal(column, expected[:, np.newaxis])
    assert np.array_equal(forecaster.forecast(SERIES.tolist(), AHEAD), expected)


def test_the_next_rows_are_close(forecaster: freerun.ExportedForecaster) -> None:
    assert np.abs(forecaster.forecast(SERIES, AHEAD) - wave()[ROWS : ROWS + AHEAD]).max() < 0.5


def test_a_polars_series(forecaster: freerun.ExportedForecaster, expected: FloatArray) -> None:
    ahead = forecaster.forecast(polars.Series("load", SERIES), AHEAD)
    assert isinstance(ahead, polars.Series)
    assert ahead.name == "load"
    assert np.array_equal(ahead.to_numpy(), expected)


POLARS_TIMES: dict[str, tuple[polars.Series, polars.Series]] = {
    "dates": (
        polars.date_range(date(2024, 1, 1), interval="1d", eager=True, end=date(2024, 2, 29)),
        polars.Series([date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)]),
    ),
    "hours": (
        polars.Series([START + timedelta(hours=row) for row in range(ROWS)]),
        polars.Series([START + timedelta(hours=row) for row in range(ROWS, ROWS + AHEAD)]),
    ),
    "zoned": (
        polars.Series([START + timedelta(hours=row) for row in range(ROWS)])
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Europe/Berlin"),
        polars.Series([START + timedelta(hours=row) for row in range(ROWS, ROWS + AHEAD)])
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone("Europe/Berlin"),
    ),
    "numbers": (polars.Series(range(5, 5 + ROWS)), polars.Series([65, 66, 67])),
}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> freerun.ExportedForecaster:
    """The winner on a frame with the columns when, which numbers the rows, and load."""
    url = f"sqlite:///{tmp_path_factory.mktemp('named') / 'freerun.db'}"
    frame = polars.DataFrame({"when": range(ROWS), "load": SERIES})
    study = Study(frame, horizon=AHEAD, search=PATIENT, space={"cell": ["ar"]}, storage=url)
    return study.run(trials=1, workers=0, progress=False).forecaster()


@pytest.mark.parametrize("kind", POLARS_TIMES)
def test_a_polars_frame(named: freerun.ExportedForecaster, kind: str) -> None:
    times, later = POLARS_TIMES[kind]
    frame = polars.DataFrame({"when": times, "other": 0.0, "load": SERIES})
    ahead = named.forecast(frame, AHEAD)
    assert isinstance(ahead, polars.DataFrame)
    assert ahead.columns == ["when", "load"]
    assert ahead["when"].to_list() == later.to_list()
    assert ahead["when"].dtype == times.dtype
    assert np.array_equal(ahead["load"].to_numpy(), named.forecast(SERIES, AHEAD))


def test_a_frame_without_a_time_has_row_numbers(named: freerun.ExportedForecaster) -> None:
    ahead = named.forecast(polars.DataFrame({"load": SERIES}), AHEAD)
    assert ahead.columns == ["load"]


def test_pandas_series_and_frames(named: freerun.ExportedForecaster) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    expected = named.forecast(SERIES, AHEAD)
    indexes: dict[str, tuple[Any, Any]] = {}
    for frequency in ("D", "h", "MS", "W", "QS"):
        index = pandas.date_range("2024-01-01", periods=ROWS + AHEAD, freq=frequency)
        indexes[frequency] = (index[:ROWS], index[ROWS:])
    zoned = pandas.date_range("2024-03-30", periods=ROWS + AHEAD, freq="h", tz="Europe/Berlin")
    indexes["zoned"] = (zoned[:ROWS], zoned[ROWS:])
    months = pandas.period_range("2020-01", periods=ROWS + AHEAD, freq="M")
    indexes["periods"] = (months[:ROWS], months[ROWS:])
    indexes["rows"] = (pandas.RangeIndex(ROWS), pandas.RangeIndex(ROWS, ROWS + AHEAD))
    years = pandas.Index(range(1900, 1900 + ROWS + AHEAD))
    indexes["years"] = (years[:ROWS], years[ROWS:])
    for kind, (index, later) in indexes.items():
        series = pandas.Series(SERIES, index, name="height")
        ahead = named.forecast(series, AHEAD)
        wanted = pandas.Series(expected, later, name="height")
        pandas.testing.assert_series_equal(ahead, wanted, check_freq=False, obj=kind)
        frame = pandas.DataFrame({"load": SERIES, "other": 0.0}, index)
        ahead = named.forecast(frame, AHEAD)
        wanted = pandas.DataFrame({"load": expected}, later)
        pandas.testing.assert_frame_equal(ahead, wanted, check_freq=False, obj=kind)


@pytest.mark.parametrize("frequency", ["D", "W", "MS", "QS", "h"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "+05:30", "UTC"])
def test_days_and_months_of_a_zone(
    named: freerun.ExportedForecaster, frequency: str, zone: str
) -> None:
    """Their steps are those of its clock, which UTC shifts by an hour twice a year."""
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    # The end of summer time lies among the rows, or among those ahead.
    begin = "2024-10-25" if frequency == "h" else "2024-09-01"
    times = pandas.date_range(begin, periods=ROWS + AHEAD, freq=frequency, tz=zone)
    series = pandas.Series(SERIES, times[:ROWS], name="height")
    expected = pandas.Series(named.forecast(SERIES, AHEAD), times[ROWS:], name="height")
    ahead = named.forecast(series, AHEAD)
    pandas.testing.assert_series_equal(ahead, expected, check_freq=False)
    frame = pandas.DataFrame({"when": times[:ROWS], "load": SERIES})
    assert list(named.forecast(frame, AHEAD)["when"]) == list(times[ROWS:])
    if zone == "+05:30":  # polars names zones
        return
    of_polars = polars.DataFrame({"when": times[:ROWS].to_pydatetime().tolist(), "load": SERIES})
    of_polars = of_polars.with_columns(polars.col("when").dt.convert_time_zone(zone))
    ahead = named.forecast(of_polars, AHEAD)
    assert ahead["when"].dtype == of_polars["when"].dtype
    assert ahead["when"].to_list() == times[ROWS:].to_pydatetime().tolist()


def test_a_missing_time_of_a_zone_is_named(named: freerun.ExportedForecaster) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    for zone in ("Europe/Berlin", "+05:30"):
        times = pandas.date_range("2024-09-01", periods=ROWS, freq="D", tz=zone)
        frame = pandas.DataFrame({"when": times, "load": SERIES})
        frame.loc[4, "when"] = pandas.NaT
        with pytest.raises(freerun.SeriesError, match=r"row 5.*the time is empty"):
            named.forecast(frame, AHEAD)


def test_a_pandas_frame_with_a_column_of_times(named: freerun.ExportedForecaster) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    times = pandas.date_range("2024-01-01", periods=ROWS + AHEAD, freq="D")
    frame = pandas.DataFrame({"day": times[:ROWS], "load": SERIES})
    ahead = named.forecast(frame, AHEAD)
    assert list(ahead.columns) == ["day", "load"]
    assert list(ahead["day"]) == list(times[ROWS:])
    missing = frame.assign(load=frame["load"].where(frame.index != 7))
    with pytest.raises(freerun.SeriesError, match=r"row 8.*'load'.*empty cell"):
        named.forecast(missing, AHEAD)
    with pytest.raises(freerun.SeriesError, match=r"one level.*reset_index"):
        named.forecast(frame.set_index(["day", "load"]), AHEAD)


def test_several_columns_come_back_by_name(url: str) -> None:
    frame = polars.DataFrame({"step": range(90), "a": wave(), "b": np.roll(wave(), 3)})
    study = Study(
        frame, horizon=3, time="step", search=PATIENT, space={"cell": ["ar"]}, storage=url
    )
    forecaster = study.run(trials=1, workers=0, progress=False).forecaster()
    assert forecaster.channels == ("a", "b")
    ahead = forecaster.forecast(frame.select("b", "a", "step"), AHEAD)
    assert ahead.columns == ["step", "a", "b"]
    assert ahead["step"].to_list() == [90, 91, 92]
    values = frame.select("a", "b").to_numpy()
    assert np.array_equal(ahead.select("a", "b").to_numpy(), forecaster.forecast(values, AHEAD))
    with pytest.raises(freerun.SeriesError, match=r"the series has no column 'b'"):
        forecaster.forecast(frame.drop("b"), AHEAD)
    with pytest.raises(freerun.SeriesError, match=r"2 value columns, .* but has 1: value"):
        forecaster.forecast(wave(), AHEAD)


@pytest.mark.filterwarnings("ignore:intervals of 95")  # so few free runs are too few for it
# A study of a second, whose intervals hold little of its test.
@pytest.mark.filterwarnings("ignore::freerun.ForecastWarning")
def test_intervals_stand_behind_each_column(named: freerun.ExportedForecaster) -> None:
    times, _ = POLARS_TIMES["hours"]
    ahead = named.forecast(polars.DataFrame({"when": times, "load": SERIES}), AHEAD, (95, 50))
    assert ahead.columns == [
        "when", "load", "load_low_50", "load_high_50", "load_low_95", "load_high_95"
    ]  # fmt: skip
    array = named.forecast(SERIES, AHEAD, levels=(50, 95))
    assert array.shape == (AHEAD, 5)
    assert np.array_equal(array, ahead.drop("when").to_numpy())
    assert np.array_equal(array[:, 0], named.forecast(SERIES, AHEAD))
    point, low_50, high_50, low_95, high_95 = array.T
    assert np.all((low_95 <= low_50) & (low_50 < point) & (point < high_50) & (high_50 <= high_95))
    assert named.forecast(SERIES[:, np.newaxis], AHEAD, levels=(50,)).shape == (AHEAD, 1, 3)
    series = named.forecast(polars.Series("own", SERIES), AHEAD, levels=(50,))
    assert series.columns == ["own", "own_low_50", "own_high_50"]
    with pytest.raises(freerun.UsageError, match="below 100 percent"):
        named.forecast(SERIES, AHEAD, levels=(100,))


def test_messages_speak_python(named: freerun.ExportedForecaster, tmp_path: Path) -> None:
    with pytest.raises(
        freerun.SeriesError, match=r"^the series has no column 'load'. It has: when$"
    ):
        named.forecast(polars.DataFrame({"when": range(ROWS)}), AHEAD)
    with pytest.raises(freerun.UsageError, match=r"^horizon must be at least 1 step, but got 0$"):
        named.forecast(SERIES, 0)
    with pytest.raises(freerun.UsageError, match=r"for that share write 90$"):
        named.forecast(SERIES, AHEAD, levels=(0.9,))
    with pytest.raises(freerun.ExportError, match=r"Study\.export wrote, but .*does not exist"):
        freerun.load(tmp_path / "nope")
    assert len(repr(named)) <= 105


def test_steps_that_no_score_knows_are_doubted(named: freerun.ExportedForecaster) -> None:
    with pytest.warns(freerun.ForecastWarning, match=r"goes 60 steps ahead, .* measured over"):
        assert len(named.forecast(SERIES, 60)) == 60


def test_an_updated_forecaster_knows_later_rows(named: freerun.ExportedForecaster) -> None:
    updated = named.updated(wave())
    assert updated.score == named.score
    assert not np.array_equal(updated.forecast(SERIES, AHEAD), named.forecast(SERIES, AHEAD))


def test_a_series_in_other_units_is_doubted_and_refused(
    forecaster: freerun.ExportedForecaster, tmp_path: Path
) -> None:
    with pytest.warns(ForecastWarning, match="standard deviations"):
        forecaster.forecast(SERIES * 4, AHEAD)
    with pytest.raises(freerun.SeriesError, match="units"):
        forecaster.forecast(SERIES * 1e6, AHEAD)


def test_a_refitted_forecaster_has_learnt_from_all_rows(
    forecaster: freerun.ExportedForecaster, tmp_path: Path
) -> None:
    refitted = forecaster.refitted()
    assert refitted.score is None
    assert refitted.test is None
    again = forecaster.refitted(wave())
    assert np.array_equal(again.forecast(SERIES, AHEAD), refitted.forecast(SERIES, AHEAD))
    # Errors of another scale say nothing of it.
    with pytest.raises(freerun.UsageError, match="interval"):
        forecaster.refitted(1000 * wave() + 5000).forecast(SERIES, AHEAD, (80,))
    refitted.save(tmp_path / "refitted")
    loaded = freerun.load(tmp_path / "refitted")
    assert np.array_equal(loaded.forecast(SERIES, AHEAD), refitted.forecast(SERIES, AHEAD))


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ("demand", "must be a NumPy array.*str"),
        ([["a", "b"]], "holds others"),
        (np.zeros((3, 2, 2)), r"\(3, 2, 2\)"),
        ([], r"\(0,\)"),
        ([1.0, float("inf"), 2.0], "row 2.*finite"),
    ],
)
def test_what_is_no_series_is_refused(
    forecaster: freerun.ExportedForecaster, series: Any, message: str
) -> None:
    with pytest.raises(freerun.SeriesError, match=message):
        forecaster.forecast(series, 2)


# From 1903 to 2096.
MICROSECONDS = st.lists(st.integers(-(2**51), 2**52), min_size=1, max_size=20)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MICROSECONDS, st.sampled_from(["D", "s", "us"]))
def test_labels_of_times_are_read_as_the_same_times(instants: list[int], unit: str) -> None:
    exact = np.array(instants).astype("datetime64[us]")
    times = exact.astype(f"datetime64[{unit}]").astype("datetime64[us]")
    assert np.array_equal(times_of_labels(labels_of_times(times)), times)


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53), max_size=20
    )
)
def test_labels_of_numbers_are_read_as_the_same_numbers(numbers: list[float]) -> None:
    array = np.array(numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(numbers_of_labels(labels_of_numbers(array)), array)

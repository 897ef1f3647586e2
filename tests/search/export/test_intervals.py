"""Intervals of exports: they come back from a folder, are checked, and go into forecasts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from search.errors import ExportError, UsageError
from search.evaluation.held_out import HeldOutRuns
from search.export import Export, read_export, write_export
from search.export.bands import Band, BandedForecast, forecast_with_bands
from search.export.intervals import STANDARD_LEVELS, Intervals
from search.export.of_study import export_of, export_study
from search.export.picture import write_picture
from search.series import Table, read_table
from search.series.tables import LongForm

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented


def some_intervals(runs: int = 30, steps: int = 8, channels: int = 1) -> Intervals:
    """Of forecasts of zero, and values with a standard deviation of 2."""
    observed = 2.0 * np.random.default_rng(0).standard_normal((runs + 1, steps, channels))
    at = np.arange(1, steps + 1)

    def made(own: np.ndarray) -> HeldOutRuns:
        return HeldOutRuns(np.zeros_like(own), own, at, steps * np.arange(len(own)))

    return Intervals(made(observed[:-1]), made(observed[-1:]), 1.25)


def table(rows: int = 100) -> Table:
    values = np.sin(np.arange(rows) / 5).reshape(rows, 1)
    return Table("year", tuple(str(1900 + row) for row in range(rows)), ("spots",), values)


def test_a_study_is_exported_with_intervals_and_what_they_held(
    finished: Invented, tmp_path: Path
) -> None:
    written = export_study(finished.store, tmp_path / "out")
    read = read_export(tmp_path / "out")
    assert written.intervals is not None
    assert read.intervals is not None
    for level in (50.0, 80.0, 95.0):
        np.testing.assert_array_equal(
            read.intervals.band(np.zeros((60, 1)), level),
            written.intervals.band(np.zeros((60, 1)), level),
        )
    assert read.coverage == written.coverage
    assert [own.level for own in read.coverage] == list(STANDARD_LEVELS)
    assert '"validation"' in (tmp_path / "out" / "manifest.json").read_text()


def test_what_took_no_part_in_the_choice_widens_nothing(invent: Invent) -> None:
    trials = [("complete", error) for error in (0.3, 0.3, 0.2)]
    shares, search = {0: 1.0, 1: 1.0, 2: 0.2}, {"replicas": 1, "final_replicas": 16}
    widening = {}
    for finalists in ((0,), (0, 1), (0, 1, 2)):
        study = invent(*trials, name=f"of-{len(finalists)}", search=search)
        errors = {number: trials[number][1] for number in finalists}
        study.add_final("final", errors, level_shares=shares)
        study.add_final("test", {0: 0.3})
        intervals = export_of(study.store).intervals
        assert intervals is not None
        widening[len(finalists)] = intervals.widening
    assert widening[1] == 1.0
    assert widening[3] == widening[2] > 1.0


def test_intervals_come_back_from_bytes_and_damage_is_told() -> None:
    own = some_intervals()
    again = Intervals.from_bytes(own.to_bytes())
    assert again.widening == own.widening == 1.25
    assert again.coverage(80) == own.coverage(80)
    with pytest.raises(ExportError, match="held-out free runs can't be read"):
        Intervals.from_bytes(own.to_bytes()[:-40])
    with pytest.raises(ExportError, match="widening must be at least 1"):
        Intervals.from_bytes(replace_widening(own, 0.5))


def replace_widening(own: Intervals, widening: float) -> bytes:
    object.__setattr__(own, "widening", widening)
    return own.to_bytes()


def test_intervals_of_other_channels_than_the_networks_are_refused(
    sine_export: Export, tmp_path: Path
) -> None:
    write_export(replace(sine_export, intervals=some_intervals(channels=2)), tmp_path / "out")
    with pytest.raises(ExportError, match=r"held-out\.safetensors must have the 1 channels.*2"):
        read_export(tmp_path / "out")


def test_a_forecast_has_a_band_for_each_level_the_narrowest_first(sine_export: Export) -> None:
    export = replace(sine_export, intervals=some_intervals())
    made = forecast_with_bands(export, table(), 20, [95, 80, 80])
    assert [band.level for band in made.bands] == [80, 95]
    narrow, wide = made.bands
    middle = made.point.values
    assert narrow.low.shape == middle.shape == (20, 1)
    assert (wide.low < narrow.low).all()
    assert (narrow.low < middle).all()
    assert (middle < narrow.high).all()
    assert (narrow.high < wide.high).all()
    # 1.28 standard deviations of 2, widened by 1.25.
    assert narrow.high[0, 0] - middle[0, 0] == pytest.approx(3.2, rel=0.25)
    assert forecast_with_bands(sine_export, table(), 20).bands == ()


def test_an_export_of_an_earlier_version_names_the_remedy(sine_export: Export) -> None:
    with pytest.raises(UsageError, match=r"earlier version.*`freerun export`.*`freerun retrain"):
        forecast_with_bands(sine_export, table(), 5, [80])


@pytest.mark.parametrize("level", [0, 100, -5, 101])
def test_a_level_out_of_range_is_refused(sine_export: Export, level: float) -> None:
    with pytest.raises(UsageError, match=f"levels must be from 1 to below 100.*{level}$"):
        forecast_with_bands(sine_export, table(), 5, [level])


def test_a_share_is_no_level(sine_export: Export) -> None:
    with pytest.raises(UsageError, match=r"percent, such as 80, but got 0\.8; .*write 80$"):
        forecast_with_bands(sine_export, table(), 5, [80, 0.8])


def test_too_few_free_runs_for_a_level_are_told(sine_export: Export) -> None:
    export, warnings = replace(sine_export, intervals=some_intervals(runs=10)), list[str]()
    forecast_with_bands(export, table(), 5, [80], warnings.append)
    assert not warnings
    forecast_with_bands(export, table(), 5, [95], warnings.append)
    assert len(warnings) == 1
    assert "95 % need at least 19 free runs" in warnings[0]
    assert "validation has 10" in warnings[0]


def test_bands_are_columns_behind_their_own_also_of_a_long_table() -> None:
    values = np.arange(8.0).reshape(4, 2)
    bands = (Band(80, values - 1, values + 1), Band(97.5, values - 2, values + 2))
    point = Table("t", ("1", "2", "3", "4"), ("a", "b"), values)
    wide = BandedForecast(point, bands).table
    ends = ("_low_80", "_high_80", "_low_97.5", "_high_97.5")
    assert wide.columns == ("a", *(f"a{e}" for e in ends), "b", *(f"b{e}" for e in ends))
    np.testing.assert_array_equal(wide.values[0], [0, -1, 1, -2, 2, 1, 0, 2, -1, 3])
    form = LongForm("id", ("a", "b"), ("value",))
    long = BandedForecast(replace(point, long=form), bands).table
    assert long.long is not None
    assert long.long.value_columns == ("value", *(f"value{e}" for e in ends))
    np.testing.assert_array_equal(long.values, wide.values)
    double = replace(point, columns=("a", "a_low_80"))
    with pytest.raises(UsageError, match="'a_low_80' is both"):
        _ = BandedForecast(double, bands).table


@pytest.mark.parametrize("name", ["forecast.png", "forecast.html", "forecast.PNG"])
def test_a_forecast_has_a_picture(sine_export: Export, tmp_path: Path, name: str) -> None:
    export = replace(sine_export, intervals=some_intervals())
    made = forecast_with_bands(export, table(), 20, [80, 95])
    write_picture(export, table(), made, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    if name == "forecast.html":
        assert b"95 %" in content
        assert b"forecast" in content
    else:
        assert content.startswith(b"\x89PNG")


def test_the_picture_of_a_long_table_says_what_was_measured(
    sine_export: Export, tmp_path: Path
) -> None:
    point = Table("t", ("4", "5"), ("Nord", "West"), np.ones((2, 2)))
    form = LongForm("store", ("Nord", "West"), ("sales",))
    made = BandedForecast(replace(point, long=form), ())
    history = replace(point, times=("2", "3"), long=form)
    write_picture(sine_export, history, made, tmp_path / "forecast.html")
    assert f"of {sine_export.study}: sales by store" in (tmp_path / "forecast.html").read_text()


def test_a_picture_of_another_kind_is_refused(sine_export: Export, tmp_path: Path) -> None:
    made = forecast_with_bands(sine_export, table(), 5)
    with pytest.raises(UsageError, match=r"ends in \.png or \.html, but got .*forecast\.svg"):
        write_picture(sine_export, table(), made, tmp_path / "forecast.svg")
    assert not list(tmp_path.iterdir())


def test_a_written_forecast_reads_back_with_its_bands(sine_export: Export, tmp_path: Path) -> None:
    from search.export.forecast import write_forecast

    export = replace(sine_export, intervals=some_intervals())
    made = forecast_with_bands(export, table(), 5, [80])
    write_forecast(made.table, tmp_path / "f.csv")
    columns = ["spots", "spots_low_80", "spots_high_80"]
    np.testing.assert_array_equal(
        read_table(tmp_path / "f.csv", "year", columns).values, made.table.values
    )


def growing(factor: float, runs: int = 40, steps: int = 8) -> Intervals:
    """Errors of a tenth of forecasts that grow by a factor from run to run, or of one size."""
    random = np.random.default_rng(0)
    level = 100.0 * factor ** np.arange(runs + 1)
    forecast = level[:, np.newaxis, np.newaxis] * np.ones((1, steps, 1))
    noise = 0.1 * random.standard_normal(forecast.shape)
    observed = forecast * np.exp(noise) if factor > 1 else forecast + 100.0 * noise
    at = np.arange(1, steps + 1)

    def made(own: slice) -> HeldOutRuns:
        places = steps * np.arange(len(forecast[own]))
        return HeldOutRuns(forecast[own], observed[own], at, places)

    return Intervals(made(slice(runs)), made(slice(runs, None)))


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_intervals_grow_with_a_level_that_their_errors_follow(factor: float) -> None:
    own = growing(factor)
    low, high = own.band(np.full((8, 1), 1e4), 80)
    if factor > 1:  # 80 % of a normal distribution lie within 1.28 standard deviations
        np.testing.assert_allclose(np.log(high / low) / 2, 0.128, atol=0.03)
        assert (low > 0).all()
    else:
        np.testing.assert_allclose(high - low, 2 * 12.8, rtol=0.2)
    held = own.coverage(80)
    assert held.validation == pytest.approx(80, abs=5)
    assert held.test == pytest.approx(80, abs=30)
    below = own.band(np.full((8, 1), -5.0), 80)  # which has no logarithm
    assert np.isfinite(below).all()
    assert (below[0] < below[1]).all()


def test_a_test_that_held_little_is_doubted(sine_export: Export) -> None:
    own = some_intervals(channels=1)
    assert own.test is not None
    assert own.doubt(80) is None
    far = replace(own, test=replace(own.test, observed=own.test.observed + 50))
    export, said = replace(sine_export, intervals=far), list[str]()
    values = np.sin(np.arange(400) / 5).reshape(400, 1)
    forecast_with_bands(
        export, Table("t", tuple(map(str, range(400))), ("x",), values), 3, (80,), said.append
    )
    assert any("held 0 % of the values of the test" in own for own in said)

"""Columns beside those that are forecast from Python and from the shell: one study, its export."""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import freerun
from search.errors import ExportError, SeriesError, UsageError
from search.export import read_export, write_export
from search.export.onnx import onnx_model
from search.export.trust import known_warnings
from tests.freerun.hours import HORIZON, export_of, hours
from tests.search.cli.conftest import freerun as shell
from tests.search.cli.conftest import refused

ROWS, AHEAD = 400, 30
BESIDE: dict[str, Any] = {
    "known": ["temperature"],
    "past": ["wind"],
    "calendar": ["hour"],
    "period": 24,
}
AR: dict[str, Any] = {"cell": ["ar"], "ar_order": [24], "known_lags": ["none"]}
SPACE = {**AR, "known_columns": ["curves"], "past_columns": [True]}
ONCE = {"replicas": 1, "finalists": 1, "final_replicas": 1}


def frame() -> polars.DataFrame:
    """Hours of a load that takes a bent effect of the temperature, of which later rows are there.

    Rows ahead have no load and no wind.
    """
    dice = np.random.default_rng(0)
    steps, weather = np.arange(ROWS + AHEAD), np.zeros(ROWS + AHEAD)
    for t in range(1, len(weather)):
        weather[t] = 0.9 * weather[t - 1] + dice.normal()
    temperature = 15.0 + 4.0 * weather
    load = 100 + 5 * np.sin(2 * np.pi * steps / 24) + 3 * np.abs(temperature - 15)
    load += 0.3 * dice.normal(size=len(load))
    columns = {"load": load, "temperature": temperature, "wind": np.roll(weather, 1)}
    return hours(columns, ROWS, unknown=("load", "wind"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table, the study's export, and parts of the table."""
    folder = tmp_path_factory.mktemp("beside")
    export_of(folder, frame(), ROWS, series=BESIDE, space=SPACE, search=ONCE)
    return folder


@pytest.fixture(scope="module")
def forecaster(folder: Path) -> freerun.ExportedForecaster:
    return freerun.load(folder / "export")


def test_the_winner_reads_what_it_is_told(forecaster: freerun.ExportedForecaster) -> None:
    assert forecaster.channels == ("load",)
    score, test = forecaster.score, forecaster.test
    assert score is not None
    assert test is not None
    assert max(score.nmse, test.nmse) < 0.1


def test_a_frame_goes_on_with_its_known_columns(forecaster: freerun.ExportedForecaster) -> None:
    ahead = forecaster.forecast(frame(), HORIZON)
    assert ahead.columns == ["time", "load"]
    assert ahead["time"].to_list() == frame()["time"][ROWS : ROWS + HORIZON].to_list()
    later = frame().tail(AHEAD).select("time", "temperature")
    again = forecaster.forecast(frame().head(ROWS), HORIZON, future=later)
    assert again.equals(ahead)
    banded = forecaster.forecast(frame(), HORIZON, (80,))
    assert banded.columns == ["time", "load", "load_low_80", "load_high_80"]
    warmer = later.with_columns(polars.col("temperature") + 3.0)
    other = forecaster.forecast(frame().head(ROWS), HORIZON, future=warmer)
    assert not np.allclose(other["load"], ahead["load"], atol=1.0)


def test_what_is_missing_is_refused_by_name(forecaster: freerun.ExportedForecaster) -> None:
    with pytest.raises(SeriesError, match=r"'temperature' .* no value at .*future=\.\.\."):
        forecaster.forecast(frame().head(ROWS), HORIZON)
    with pytest.raises(SeriesError, match="the series has no column 'wind'"):
        forecaster.forecast(frame().drop("wind"), HORIZON)
    later = frame().tail(AHEAD).select("time", "temperature")
    fahrenheit = later.with_columns(polars.col("temperature") * 100.0)
    with pytest.raises(SeriesError, match=r"'temperature', known in advance, goes from .* units"):
        forecaster.forecast(frame().head(ROWS), HORIZON, future=fahrenheit)
    far = later.with_columns(polars.col("temperature") + 60.0)
    with pytest.warns(freerun.ForecastWarning, match="its effect there is guessed"):
        forecaster.forecast(frame().head(ROWS), HORIZON, future=far)


def test_a_month_that_was_not_trained_on_is_no_other_unit(folder: Path) -> None:
    export = read_export(folder / "export")
    assert export.table is not None
    assert export.table.covariates is not None
    last = datetime(2023, 12, 31, 21)
    times = [str(last - timedelta(hours=3 * step)) for step in range(export.table.rows)]
    table = replace(
        export.table,
        times=tuple(reversed(times)),
        covariates=replace(export.table.covariates, calendar=("month",)),
    )
    known = table.known_until(HORIZON)
    assert known[[0, -1], 1].tolist() == [11, 1]
    (said,) = known_warnings(replace(export, table=table), table, known)
    assert "'month', known in advance, goes from 1 to 12" in said


def test_pandas_frames_go_on_by_their_index(forecaster: freerun.ExportedForecaster) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    plain = {name: frame()[name].to_numpy() for name in ("load", "temperature", "wind")}
    own = pandas.DataFrame(plain, pandas.DatetimeIndex(frame()["time"].to_numpy(), name="time"))
    ahead = forecaster.forecast(own, HORIZON)
    assert np.array_equal(ahead["load"], forecaster.forecast(frame(), HORIZON)["load"])
    seen, later = own.iloc[:ROWS], own[["temperature"]].iloc[ROWS:]
    assert forecaster.forecast(seen, HORIZON, future=later).equals(ahead)
    for untimed in (later.reset_index(drop=True), later["temperature"].to_numpy()):
        with pytest.raises(SeriesError, match="the future must have the times of its rows"):
            forecaster.forecast(seen, HORIZON, future=untimed)


def test_arrays_without_names_are_refused_where_columns_were_named(
    forecaster: freerun.ExportedForecaster,
) -> None:
    columns = ("load", "temperature", "wind")
    values = frame().head(ROWS).select(columns).to_numpy()
    later = frame().tail(AHEAD)["temperature"].to_numpy()
    for series in (values, values[:, 0], frame()["load"].head(ROWS)):
        with pytest.raises(SeriesError, match="give a data frame with load, temperature, wind"):
            forecaster.forecast(series, HORIZON, future=later)


@pytest.mark.filterwarnings("ignore:the study. rows are numbered")
def test_rows_of_frames_without_times_go_on_by_their_numbers() -> None:
    rows = frame().select("load", "temperature")
    model = freerun.Forecaster(
        HORIZON,
        trials=1,
        workers=0,
        space={**AR, "known_columns": ["linear"]},
        search=ONCE,
        refit=False,
        known=["temperature"],
    ).fit(rows.head(ROWS))
    later = rows.tail(AHEAD).select("temperature")
    assert model.predict(future=later).equals(model.predict(rows))


def stores() -> polars.DataFrame:
    """Sales of two stores whose prices are their own, and act on them in opposite ways."""
    dice, steps = np.random.default_rng(2), np.arange(ROWS + AHEAD)
    own = frame().select("time")
    parts = []
    for name, effect in (("north", -4.0), ("south", 3.0)):
        price = dice.integers(0, 4, len(steps)).astype(float)
        sales = 50 + 5 * np.sin(2 * np.pi * steps / 24) + effect * price
        sales += 0.2 * dice.normal(size=len(steps))
        is_row = polars.Series(steps < ROWS)
        part = own.with_columns(
            polars.lit(name).alias("store"),
            polars.Series("sales", sales),
            polars.Series("price", price),
        )
        parts.append(part.with_columns(polars.when(is_row).then("sales").alias("sales")))
    return polars.concat(parts)


def test_each_store_has_the_prices_that_are_its_own(tmp_path: Path) -> None:
    study = freerun.Study(
        stores(),
        horizon=HORIZON,
        name="stores",
        series={"known": ["price"], "id": "store", "period": 24},
        space={**AR, "known_columns": ["linear"]},
        search=ONCE,
        storage=f"sqlite:///{tmp_path / 'freerun.db'}",
    )
    study.run(trials=1, workers=0, progress=False)
    forecaster = study.export(tmp_path / "export")
    score = forecaster.score
    assert score is not None
    assert score.nmse < 0.02
    ahead = forecaster.forecast(stores(), HORIZON)
    assert ahead.columns == ["store", "time", "sales"]
    is_ahead = polars.col("sales").is_null()
    seen = stores().filter(~is_ahead)
    later = stores().filter(is_ahead).drop("sales")
    again = freerun.load(tmp_path / "export").forecast(seen, HORIZON, future=later)
    assert again.equals(ahead)
    dearer = later.with_columns(
        polars.when(polars.col("store") == "north")
        .then(polars.col("price") + 1.0)
        .otherwise("price")
        .alias("price")
    )
    moved = forecaster.forecast(seen, HORIZON, future=dearer)
    change = (moved["sales"] - ahead["sales"]).to_numpy()
    assert change[:HORIZON] == pytest.approx(-4.0, abs=0.2)
    assert np.array_equal(change[HORIZON:], np.zeros(HORIZON))
    in_pence = later.with_columns(
        polars.when(polars.col("store") == "south")
        .then(100.0 * polars.col("price"))
        .otherwise("price")
        .alias("price")
    )
    with pytest.raises(SeriesError, match=r"'price' of 'south', known in advance, .* the units"):
        forecaster.forecast(seen, HORIZON, future=in_pence)
    with pytest.raises(SeriesError, match=r"the column 'price' of 'south' .* no value at "):
        forecaster.forecast(seen, HORIZON, future=later.filter(polars.col("store") == "north"))
    for learnt in (forecaster.updated(seen), forecaster.refitted(seen)):
        assert np.isfinite(learnt.forecast(stores(), HORIZON)["sales"].to_numpy()).all()


def test_lags_reach_into_the_rows_before(tmp_path: Path) -> None:
    rows = frame().with_columns(polars.col("load") + 2.0 * polars.col("temperature").shift(2))
    rows = rows[2:]
    study = freerun.Study(
        rows,
        horizon=HORIZON,
        name="late",
        series={"known": ["temperature"], "period": 24},
        space={**AR, "known_columns": ["curves"], "known_lags": ["steps"]},
        columns=["load"],
        search=ONCE,
        storage=f"sqlite:///{tmp_path / 'freerun.db'}",
    )
    study.run(trials=1, workers=0, progress=False)
    forecaster = study.export(tmp_path / "export")
    ahead = freerun.load(tmp_path / "export").forecast(rows, HORIZON)
    # The effect of the first steps is that of rows of the table.
    at = ROWS - 3
    warm = polars.when(polars.int_range(polars.len()) == at).then(3.0).otherwise(0.0)
    other = forecaster.forecast(rows.with_columns(polars.col("temperature") + warm), HORIZON)
    change = (other["load"] - ahead["load"]).to_numpy()
    assert change[1] == pytest.approx(6.0, abs=1.0)
    for learnt in (forecaster.updated(rows), forecaster.refitted(rows)):
        assert np.isfinite(learnt.forecast(rows, HORIZON)["load"].to_numpy()).all()


def test_it_learns_new_rows(forecaster: freerun.ExportedForecaster) -> None:
    for learnt in (forecaster.updated(frame()), forecaster.refitted(frame())):
        ahead = learnt.forecast(frame(), HORIZON)["load"].to_numpy()
        assert np.isfinite(ahead).all()
        assert learnt.score is None or learnt.score == forecaster.score


def test_arrays_have_the_columns_in_the_order_of_the_export() -> None:
    values = frame().head(ROWS).select("load", "temperature").to_numpy()
    later = frame().tail(AHEAD)["temperature"].to_numpy()
    model = freerun.Forecaster(
        HORIZON,
        trials=1,
        workers=0,
        space={**AR, "known_columns": ["curves"]},
        search=ONCE,
        refit=False,
        known=["value_1"],
    ).fit(values)
    assert model.forecaster_.channels == ("value_0",)
    ahead = model.predict(future=later)
    assert ahead.shape == (HORIZON, 1)
    whole = np.concatenate([values, np.stack([np.full(AHEAD, np.nan), later], axis=1)])
    assert np.array_equal(model.predict(whole), ahead)


def test_networks_of_other_columns_are_refused(folder: Path, tmp_path: Path) -> None:
    export = read_export(folder / "export")
    assert export.table is not None
    assert export.table.covariates is not None
    covariates = replace(export.table.covariates, calendar=("hour", "weekday"))
    table = replace(export.table, covariates=covariates)
    write_export(replace(export, table=table), tmp_path / "export")
    with pytest.raises(ExportError, match="must read the 3 known and 1 past columns"):
        freerun.load(tmp_path / "export")


def test_no_onnx_model_is_written_of_it(folder: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: pip install 'freerun[onnx]'")
    # The first refusal says all that a trial has to be: what won may be no network.
    with pytest.raises(UsageError, match=r"forecasts alone, .*beside them \(.*\).*with --trial"):
        onnx_model(read_export(folder / "export"))


def test_the_shell_forecasts_the_same(
    folder: Path, forecaster: freerun.ExportedForecaster, tmp_path: Path
) -> None:
    for name in ("load.csv", "seen.csv", "later.csv"):
        shutil.copy(folder / name, tmp_path / name)
    shutil.copytree(folder / "export", tmp_path / "export")
    command = ["forecast", "export", "--horizon", HORIZON, "-o"]
    ended = shell(tmp_path, *command, "one.csv", "--series", "load.csv", "--picture", "one.png")
    assert ended.code == 0, ended.err
    later = ["--future", "later.csv"]
    assert shell(tmp_path, *command, "two.csv", "--series", "seen.csv", *later).code == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    ahead = polars.read_csv(tmp_path / "one.csv")["load"]
    assert np.allclose(ahead, forecaster.forecast(frame(), HORIZON)["load"])
    short = [*command, "three.csv", "--series", "seen.csv"]
    refused(tmp_path, short, "'temperature' is known in advance", "--future")
    again = shell(tmp_path, "retrain", "export", "-o", "again", "--json")
    assert again.json["reproduced"], again.err


def test_a_study_file_is_made_of_options(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "load.csv", tmp_path / "load.csv")
    options = ["--known", "temperature", "--past", "wind", "--calendar", "--period", 24]
    made = shell(tmp_path, "init", "load.csv", "--horizon", HORIZON, *options, "--json")
    assert made.code == 0, made.err
    assert made.json["columns"] == ["load"]
    checked = shell(tmp_path, "check", "load.toml", "--json")
    assert checked.code == 0, checked.err
    plain = json.loads(checked.out)
    assert plain["known"] == ["temperature", "hour", "weekday"]
    assert plain["past"] == ["wind"]
    shown = shell(tmp_path, "check", "load.toml").out
    assert f"known in advance, also for {AHEAD} rows ahead: temperature, hour, weekday" in shown
    (tmp_path / "load.toml").unlink()
    refused(tmp_path, ["init", "load.csv", "--known", "temprature"], "Did you mean 'temperature'")
    refused(tmp_path, ["init", "load.csv", "--no-time", "--calendar"], "--no-time", "--calendar")
    refused(
        tmp_path,
        ["run", "load.csv", "--horizon", AHEAD + 1, "--known", "temperature", "--column", "load"],
        "'temperature' is known in advance",
    )

"""Known columns as inputs of networks, from Python and from the shell: one study, its export."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import freerun
from search.errors import SeriesError, UsageError
from search.export import read_export
from search.export.onnx import onnx_model
from tests.freerun.hours import HORIZON, export_of, hours
from tests.search.cli.conftest import freerun as shell
from tests.search.cli.conftest import refused

ROWS, AHEAD = 300, 40
SPACE: dict[str, Any] = {
    **{"cell": ["gru"], "known_inputs": [True], "known_columns": ["linear"], "layers": [1]},
    **{"hidden_units": [8], "context": ["state"], "warm_up_steps": [24], "segment_steps": [1]},
    **{"rollout_steps": [24], "training_steps": [40], "learning_rate": 0.02, "batch_size": [4]},
    **{"seasonal_lag": [0], "past_columns": [True], "instance_norm": [False]},
}
ONCE = {"replicas": 1, "finalists": 1, "final_replicas": 2}


def frame() -> polars.DataFrame:
    """Hours of a load whose season a promotion triples; rows ahead have no load."""
    dice = np.random.default_rng(0)
    steps = np.arange(ROWS + AHEAD)
    promotion = np.repeat(dice.integers(0, 2, size=len(steps) // 10), 10) == 1
    load = 10 + (1 + 2 * promotion) * np.sin(2 * np.pi * steps / 24)
    load += 0.1 * dice.normal(size=len(load))
    columns = {"load": load, "promotion": promotion, "wind": np.roll(load, 3)}
    return hours(columns, ROWS, unknown=("load", "wind"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table, the study's export, and parts of the table."""
    folder = tmp_path_factory.mktemp("inputs")
    beside = {"known": ["promotion"], "past": ["wind"], "calendar": ["hour"], "period": 24}
    export_of(folder, frame(), ROWS, trial=0, series=beside, space=SPACE, search=ONCE)
    return folder


@pytest.fixture(scope="module")
def forecaster(folder: Path) -> freerun.ExportedForecaster:
    return freerun.load(folder / "export")


def test_a_forecast_reads_the_rows_that_it_is_about(
    folder: Path, forecaster: freerun.ExportedForecaster
) -> None:
    described = read_export(folder / "export").candidate.description()
    assert "known columns as inputs" in described
    ahead = forecaster.forecast(frame(), HORIZON)
    seen, later = frame().head(ROWS), frame().tail(AHEAD).select("time", "promotion")
    assert forecaster.forecast(seen, HORIZON, future=later).equals(ahead)
    turned = later.with_columns(
        polars.when(polars.int_range(AHEAD) >= 10)
        .then(~polars.col("promotion"))
        .otherwise(polars.col("promotion"))
    )
    other = forecaster.forecast(seen, HORIZON, future=turned)
    # A network that reads value by value knows a row when it forecasts it, and not before.
    assert other["load"].to_list()[:10] == ahead["load"].to_list()[:10]
    assert (other["load"].to_numpy()[10:] != ahead["load"].to_numpy()[10:]).all()
    banded = forecaster.forecast(seen, HORIZON, (80,), future=later)
    assert banded.columns == ["time", "load", "load_low_80", "load_high_80"]


def test_what_is_missing_is_refused_by_name_and_time(
    forecaster: freerun.ExportedForecaster,
) -> None:
    seen, later = frame().head(ROWS), frame().tail(AHEAD).select("time", "promotion")
    with pytest.raises(SeriesError, match=r"'promotion' .* no value at .*future=\.\.\."):
        forecaster.forecast(seen, HORIZON)
    last = frame()["time"][ROWS + 5].isoformat()
    with pytest.raises(SeriesError, match=f"'promotion' .* no value at '{last}"):
        forecaster.forecast(seen, HORIZON, future=later.head(5))


def test_it_learns_new_rows(forecaster: freerun.ExportedForecaster) -> None:
    for learnt in (forecaster.updated(frame()), forecaster.refitted(frame())):
        assert np.isfinite(learnt.forecast(frame(), HORIZON)["load"].to_numpy()).all()


def test_no_onnx_model_is_written_of_it(folder: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed: pip install 'freerun[onnx]'")
    export = read_export(folder / "export")
    with pytest.raises(UsageError, match="reads the columns that it forecasts alone"):
        onnx_model(export)


def test_the_shell_forecasts_updates_and_proves_the_same(
    folder: Path, forecaster: freerun.ExportedForecaster, tmp_path: Path
) -> None:
    for name in ("load.csv", "seen.csv", "later.csv"):
        shutil.copy(folder / name, tmp_path / name)
    shutil.copytree(folder / "export", tmp_path / "export")
    command = ["forecast", "export", "--horizon", HORIZON, "-o"]
    ended = shell(tmp_path, *command, "one.csv", "--series", "load.csv")
    assert ended.code == 0, ended.err
    later = ["--future", "later.csv"]
    assert shell(tmp_path, *command, "two.csv", "--series", "seen.csv", *later).code == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    ahead = polars.read_csv(tmp_path / "one.csv")["load"]
    assert np.allclose(ahead, forecaster.forecast(frame(), HORIZON)["load"])
    more = ["--update", "--levels", 80]
    ended = shell(tmp_path, *command, "three.csv", "--series", "load.csv", *more)
    assert ended.code == 0, ended.err
    assert "load_low_80" in polars.read_csv(tmp_path / "three.csv").columns
    short = [*command, "four.csv", "--series", "seen.csv"]
    refused(tmp_path, short, "'promotion' is known in advance", "--future")
    again = shell(tmp_path, "retrain", "export", "-o", "again", "--json")
    assert again.json["reproduced"], again.err
    described = json.loads((tmp_path / "again" / "candidate.json").read_text())
    assert described["candidate"]["settings"]["known_inputs"] is True

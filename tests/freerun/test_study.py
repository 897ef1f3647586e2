"""A study from a table, a frame, a file and a dict; what it found; and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import freerun
from freerun.arguments import texts
from freerun.study import Study
from tests.freerun.conftest import HORIZON, PATIENT, TINY, wave


def test_a_finished_study_tells_its_best(done: Study) -> None:
    best = done.best
    assert best is not None
    assert best.score.purpose == "final"
    assert best.test is not None
    assert best.test.purpose == "test"
    assert best.test.horizon_steps == HORIZON
    assert 0 < best.test.nmse < 0.2
    assert set(best.test.errors) == {"mae", "rmse", "mase"}
    assert "3 complete" in repr(done)


def test_trials_are_a_frame_and_are_optunas(done: Study) -> None:
    frame = done.trials("polars")
    assert isinstance(frame, polars.DataFrame)
    assert frame["number"].to_list() == [0, 1, 2]
    assert set(frame["state"]) == {"complete"}
    assert set(frame["params_cell"]) <= set(TINY["cell"])
    by_optuna = [trial.value for trial in done.optuna.trials]
    assert frame["score"].to_list() == by_optuna


def test_trials_are_a_frame_of_pandas(done: Study) -> None:
    pandas = pytest.importorskip("pandas", reason="the extra pandas is not installed")
    frame = done.trials()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["number"]) == [0, 1, 2]
    assert frame["score"].dtype == np.float64


def test_another_kind_of_frame_is_refused(done: Study) -> None:
    with pytest.raises(freerun.UsageError, match=r'must be "pandas" or "polars".*arrow'):
        done.trials("arrow")  # type: ignore[arg-type]


def test_the_report_and_the_export_are_written(done: Study, tmp_path: Path) -> None:
    done.report(tmp_path / "report.html")
    assert "wave" in (tmp_path / "report.html").read_text()
    exported = done.export(tmp_path / "model")
    loaded = freerun.load(tmp_path / "model")
    series = wave()
    assert np.array_equal(loaded.forecast(series, 4), exported.forecast(series, 4))
    assert loaded.score == exported.score
    best = done.best
    assert best is not None
    assert loaded.test == best.test
    assert done.export(tmp_path / "baseline", baseline="ridge-ar").name == "the baseline ridge AR"
    with pytest.raises(freerun.UnknownTrialError):
        done.export(tmp_path / "none", trial=77)


def test_a_report_and_a_model_replace_only_older_ones(done: Study, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("t,x\n1,2\n")
    for write in (done.report, done.forecaster().to_onnx):
        with pytest.raises(freerun.UsageError, match=r"mine.csv must be new or .* is another file"):
            write(mine)
    with pytest.raises(freerun.ExportError, match="is a file"):
        done.export(mine)
    assert mine.read_text() == "t,x\n1,2\n"
    for _ in range(2):
        done.report(tmp_path / "report.html")


def test_the_same_definition_goes_on_and_another_is_refused(url: str) -> None:
    first = Study(wave(), horizon=HORIZON, search=PATIENT, space=TINY, storage=url)
    first.run(trials=1, workers=0, progress=False)
    again = Study(wave(), horizon=HORIZON, search=PATIENT, space=TINY, storage=url)
    assert again.run(trials=2, workers=0, progress=False).trials("polars").height == 2
    with pytest.raises(freerun.StudyFileError, match=r"space\.cell.*name=\.\.\."):
        Study(wave(), horizon=HORIZON, search=PATIENT, space={"cell": ["ar"]}, storage=url)
    with pytest.raises(freerun.StudyFileError, match="rows of"):
        Study(wave() + 1.0, horizon=HORIZON, search=PATIENT, space=TINY, storage=url)
    assert Study(wave() + 1.0, horizon=HORIZON, name="raised", storage=url).name == "raised"


def test_a_study_goes_on_with_the_periods_that_were_found_when_it_began(url: str) -> None:
    begun = Study(wave(), horizon=HORIZON, space=TINY, series={"period": 5}, storage=url)
    again = Study(wave(), horizon=HORIZON, space=TINY, storage=url)  # finds 12
    assert again.name == begun.name
    with pytest.raises(freerun.StudyFileError, match=r"series\.period"):
        Study(wave(), horizon=HORIZON, space=TINY, series={"period": 12}, storage=url)
    with pytest.raises(freerun.StudyFileError, match="rows of"):
        Study(wave() + 1.0, horizon=HORIZON, space=TINY, storage=url)


def test_a_stored_study_is_opened_by_its_name(url: str) -> None:
    Study(wave(), horizon=HORIZON, name="stored", search=PATIENT, space=TINY, storage=url)
    study = Study.open("stored", storage=url)
    assert study.best is None
    study.run(trials=1, workers=0, progress=False)
    assert study.best is not None
    with pytest.raises(freerun.UnknownStudyError, match=r"stord.*Did you mean 'stored'"):
        Study.open("stord", storage=url)


def test_a_table_a_file_and_a_dict_are_the_same_study(tmp_path: Path, url: str) -> None:
    table = tmp_path / "a wave.csv"
    rows = "".join(f"{row},{value}\n" for row, value in enumerate(wave().tolist()))
    table.write_text(f"step,height\n{rows}")
    content = {
        "name": "own",
        "series": {"source": "table", "path": str(table), "time": "step", "columns": ["height"]},
        "task": {"train_steps": 60, "horizon_steps": HORIZON},
        "space": TINY,
    }
    file = tmp_path / "own.toml"
    file.write_text(
        f"""
        name = "own"
        [series]
        source = "table"
        path = "{table}"
        time = "step"
        columns = ["height"]
        [task]
        train_steps = 60
        horizon_steps = {HORIZON}
        [space]
        cell = ["ar", "nvar"]
        """
    )
    assert Study(content, storage=url).name == "own"
    assert Study(file, storage=url).name == "own"  # goes on: no key differs
    assert Study(str(table), horizon=HORIZON, storage=url).name == "a-wave"
    changed = Study(file, name="changed", search={"replicas": 2}, storage=url)
    assert changed.name == "changed"
    frame = polars.DataFrame({"step": range(90), "height": wave()})
    assert Study(frame, horizon=HORIZON, time="step", name="frame", storage=url).name == "frame"
    assert Study(frame, name="found", storage=url).optuna.user_attrs["task"].startswith("free runs")


def test_a_generated_series_needs_no_table(url: str) -> None:
    content = {
        "name": "sine",
        "series": {"source": "sine", "angular_frequency": 0.5},
        "task": {"train_steps": 60, "horizon_steps": 10},
        "search": {"replicas": 1, "finalists": 1, "final_replicas": 1, "test_draws": 1},
        "space": {"cell": ["ar"]},
    }
    study = Study(content, storage=url).run(trials=1, workers=0, progress=False)
    ahead = study.forecaster().forecast(np.sin(0.5 * np.arange(60)), 5)
    assert np.abs(ahead - np.sin(0.5 * np.arange(60, 65))).max() < 0.5
    with pytest.raises(freerun.UsageError, match="give one"):
        study.forecaster().refitted()


def test_what_is_wrong_is_one_message(tmp_path: Path, url: str) -> None:
    content = {"name": "own", "series": {"source": "sine"}, "task": {"train_steps": 0}}
    with pytest.raises(freerun.StudyFileError, match=r"the study: \[task\] train_steps must be"):
        Study(content, storage=url)
    with pytest.raises(freerun.UsageError, match=r"horizon must be left out.*horizon_steps"):
        Study(content, horizon=4, storage=url)
    with pytest.raises(freerun.UsageError, match="must leave at least 40 rows for training"):
        Study(wave(), horizon=40, storage=url)
    with pytest.raises(freerun.UsageError, match="horizon must be at least 1 step, but got 0"):
        Study(wave(), horizon=0, storage=url)
    frame = polars.DataFrame({"step": range(90), "height": wave()})
    with pytest.raises(freerun.SeriesError, match=r"series has no column 'stp'. Did you mean"):
        Study(frame, time="stp", storage=url)
    with pytest.raises(freerun.SeriesError, match=r"a series must be a NumPy array.*int"):
        Study(3, horizon=2, storage=url)
    holed = wave()
    holed[4] = np.nan
    with pytest.warns(freerun.SeriesWarning, match="1 of 90 values is filled in"):
        Study(holed, horizon=HORIZON, storage=url).close()
    with pytest.raises(freerun.StorageError, match="must exist"):
        Study(wave(), horizon=HORIZON, storage=f"sqlite:///{tmp_path}/none/freerun.db")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": "a"}, "horizon must be a whole number, but got 'a'; .*horizon=1"),
        ({"horizon": 2.5}, "horizon must be a whole number, but got 2.5"),
        ({"horizon": 10**5000}, "horizon must be at most .* a number of thousands of digits"),
        ({"name": 3}, "name must be a text, but got 3"),
        ({"name": "a\0b"}, "name must be UTF-8 text without null bytes"),
        ({"seed": "x"}, "seed must be a whole number, but got 'x'; .*seed=10"),
        ({"time": 0}, "time must be a text, but got 0"),
        ({"columns": 5}, "columns must be a text or a list of texts, but got 5"),
        ({"columns": ["a", 5]}, r"columns must be a text or a list of texts, but got \['a', 5\]"),
        ({"search": [1]}, r"search must be a dict with keys of \[search\] .*but got \[1\]"),
        ({"space": "gru"}, "space must be a dict .* got 'gru'; .*space={'cell': \\['gru'\\]}"),
        ({"task": {1: 2}}, "task must be a dict"),
        ({"storage": 3}, "storage must be a text, but got 3"),
    ],
)
def test_arguments_of_another_type_are_refused(
    url: str, options: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {"horizon": HORIZON, "storage": url, **options}
    with pytest.raises(freerun.UsageError, match=message):
        Study(wave(), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a/b", "../a", "n" * 300, "ö"])
def test_a_name_is_checked_before_a_file_has_it(url: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(freerun.StudyFileError, match="name must be a file name of 1 to 100"):
        Study(wave(), horizon=HORIZON, name=name, storage=url)
    mine = tmp_path / "mine.parquet"
    mine.write_text("mine")
    with pytest.raises(freerun.StudyFileError, match="name must be a file name"):
        Study(wave(), horizon=HORIZON, name=str(mine.with_suffix("")), storage=url)
    assert mine.read_text() == "mine"


def test_a_storage_may_have_a_long_url(url: str) -> None:
    token = "t" * 1200  # such as a cloud's databases take for a password
    with pytest.raises(freerun.StorageError, match=r"can't be opened"):
        Study.open("demand", storage=f"postgresql://user:{token}@127.0.0.1:1/demand")


def test_names_in_a_set_have_one_order_in_all_processes() -> None:
    assert texts("known", set("fedcba"), "price") == tuple("abcdef")
    with pytest.raises(freerun.UsageError, match="known must be a text or a list of texts"):
        texts("known", {"a", 5}, "price")


def test_what_is_asked_of_a_study_has_its_type(done: Study, url: str) -> None:
    with pytest.raises(freerun.UsageError, match="path of a series must be UTF-8 text"):
        Study("a\0b.csv", storage=url)
    with pytest.raises(freerun.UsageError, match="trial must be a whole number, but got 'best'"):
        done.forecaster(trial="best")  # type: ignore[arg-type]
    with pytest.raises(freerun.UsageError, match="path must be a path, but got 3"):
        done.report(3)  # type: ignore[arg-type]
    with pytest.raises(freerun.UsageError, match="path must be a path, but got None"):
        freerun.load(None)  # type: ignore[arg-type]
    with pytest.raises(freerun.UsageError, match="name must be a text, but got 3"):
        Study.open(3)  # type: ignore[arg-type]


def test_horizon_and_levels_of_a_forecast_have_their_types(done: Study) -> None:
    forecaster, series = done.forecaster(), wave()
    two: Any = np.int64(2)
    eighty: Any = np.float32(80)
    one = forecaster.forecast(series, two, 80)
    assert np.array_equal(one, forecaster.forecast(series, 2, levels=(80.0,)))
    assert np.array_equal(one, forecaster.forecast(series, 2, [eighty]))
    wrong: tuple[Any, ...] = (2.5, "2", None, True)
    for horizon in wrong:
        with pytest.raises(freerun.UsageError, match=r"horizon must be a whole number, but got"):
            forecaster.forecast(series, horizon)
    no_levels: tuple[Any, ...] = ("80", ["a"], {80: 1}, None, [True], object())
    for levels in no_levels:
        with pytest.raises(freerun.UsageError, match=r"levels must be percent.*levels=\(80, 95\)"):
            forecaster.forecast(series, 2, levels)
    with pytest.raises(freerun.UsageError, match="from 1 to below 100 percent"):
        forecaster.forecast(series, 2, 0.8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be at least 1, but got 0"),
        ({"minutes": float("nan")}, "minutes must be a number above 0, but got nan"),
        ({"workers": -1}, "workers must be at least 0, but got -1"),
        ({"workers": "two"}, "workers must be a whole number, but got 'two'; write for example"),
        ({"trials": 2**70}, r"trials must be at most 9223372036854775807 in size, but got 1180"),
        ({"workers": 1.5}, r"workers must be a whole number, but got 1\.5"),
        ({"trials": True}, "trials must be a whole number, but got True"),
        ({"minutes": "x"}, "minutes must be a number above 0, but got 'x'; .*minutes=2.5"),
        ({"minutes": [1]}, r"minutes must be a number above 0, but got \[1\]"),
        ({"device": 0}, "device must be a text, but got 0; write for example device='cpu'"),
    ],
)
def test_a_budget_out_of_range_is_refused(
    done: Study, options: dict[str, float], message: str
) -> None:
    with pytest.raises(freerun.UsageError, match=message):
        done.run(**options)  # type: ignore[arg-type]

"""The benchmark of real series: its rule for spans, its arithmetic, and a small study."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.ordinary_study import run_study, study_text
from benchmarks.real_series import (
    Row,
    Series,
    geometric_means,
    main,
    measure,
    read_folder,
    read_values,
    relative_rmse,
    row_of,
    said,
    seasonal_naive_rmse,
    study_sections,
    table,
)
from search.errors import StudyFileError, UsageError
from search.starter.spans import spans
from search.study.cuts import cut_of
from search.study.definition import Task
from search.study.study_file import read_study_file

ROWS, PERIOD, HORIZON = 120, 6, 12
VALUES = np.sin(2 * np.pi * np.arange(ROWS) / PERIOD) + 0.02 * np.arange(ROWS)
AR = {"cell": "ar", "ar_order": [2, 6, 12], "regularisation": "held-out", "restarts": 1}


def written(folder: Path, **changes: object) -> Series:
    """A folder with one series, "waves"; its entry in series.json, with changes."""
    lines = ["time,value", *(f"{row},{value!r}" for row, value in enumerate(VALUES.tolist()))]
    (folder / "waves.csv").write_text("\n".join(lines) + "\n")
    repeated = np.tile(VALUES[-HORIZON - PERIOD : -HORIZON], HORIZON // PERIOD)
    entry = {
        "period": PERIOD,
        "horizon_steps": HORIZON,
        "rows": ROWS,
        "seasonal_naive_rmse": float(np.sqrt(np.mean((repeated - VALUES[-HORIZON:]) ** 2))),
        "relative_rmse": {"AutoETS": 0.5, "MSTL": 2.0},
        **changes,
    }
    (folder / "series.json").write_text(json.dumps({"waves": entry}))
    return read_folder(folder)["waves"]


@given(rows=st.integers(8, 20_000), period=st.integers(1, 400), horizon=st.integers(1, 400))
def test_spans_fill_the_rows_and_leave_each_replica_a_cut(
    rows: int, period: int, horizon: int
) -> None:
    try:
        task, search = spans(rows, period, horizon)
    except UsageError:
        assume(False)
    checked = Task.model_validate({**task, "score_against": "observations"})
    assert checked.train_steps + checked.validation_steps + checked.test_steps == rows
    assert checked.train_steps >= max(2 * period, horizon)
    for replicas in search.values():
        cuts = [cut_of(checked, rows, replica, replicas, 0) for replica in range(replicas)]
        assert len({cut.starts for cut in cuts}) == replicas
        assert max(cut.end for cut in cuts) == rows - horizon


def test_spans_of_a_short_and_of_a_long_series() -> None:
    task, search = spans(144, 12, 24)
    assert (task["train_steps"], task["validation_steps"]) == (72, 48)
    assert (task["start_points"], search["final_replicas"]) == (3, 8)
    task, search = spans(8640, 24, 336)
    assert (task["validation_steps"], task["start_points"]) == (1344, 4)
    assert search == {"replicas": 4, "final_replicas": 8}


def test_a_series_without_room_for_training_is_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 200 rows for training, two periods,.*leave 57"):
        spans(100, 100, 10)


@given(nmse=st.floats(1e-6, 1e3), scale=st.floats(1e-3, 1e3))
def test_relative_rmse_does_not_depend_on_units(nmse: float, scale: float) -> None:
    series = Series(
        period=PERIOD, horizon_steps=HORIZON, rows=ROWS, seasonal_naive_rmse=1.0, relative_rmse={}
    )
    own = relative_rmse(nmse, VALUES, series)
    assert relative_rmse(nmse, scale * VALUES, series) == pytest.approx(own)
    naive = seasonal_naive_rmse(VALUES, series) ** 2 / VALUES[:-HORIZON].var()
    assert own == pytest.approx(np.sqrt(nmse / naive))


def test_a_study_is_scored_in_the_units_of_the_table(tmp_path: Path) -> None:
    series = written(tmp_path)
    sections = study_sections(tmp_path / "waves.csv", "waves", series) | {"space": AR}
    ran = run_study(tmp_path, sections, minutes=0.05, workers=1)
    row = row_of("waves", ran, read_values(tmp_path, "waves", series), series)
    test, before = VALUES[-HORIZON:], VALUES[:-HORIZON]
    of_mean = np.sqrt(np.mean((before.mean() - test) ** 2))
    assert row.baselines["mean"] == pytest.approx(of_mean / series.seasonal_naive_rmse)
    assert row.winner is not None
    assert row.winner > 0.0
    assert row.is_behind == (row.winner > 1.05 * min(row.baselines.values()))
    assert row.what.startswith("the baseline SSA: ssa, window of")
    assert row.trials > 0
    assert ran.export.is_dir()


def test_a_study_file_says_the_task_alone(tmp_path: Path) -> None:
    series = written(tmp_path)
    sections = study_sections(tmp_path / "waves.csv", "waves", series)
    (tmp_path / "study.toml").write_text(study_text(sections))
    definition = read_study_file(tmp_path / "study.toml").definition
    assert definition.series.period == (float(PERIOD),)
    assert definition.named == ("task.validation",)
    without = study_sections(tmp_path / "waves.csv", "waves", written(tmp_path, period=1))
    assert isinstance(without["series"], Mapping)
    assert "period" not in without["series"]


def test_a_refused_study_is_a_row_with_its_message(tmp_path: Path) -> None:
    series = written(tmp_path)
    # No folder can be made there: the study's name is no file name.
    (tmp_path / "no name.csv").write_bytes((tmp_path / "waves.csv").read_bytes())
    row = measure(tmp_path, "no name", series, minutes=0.05, workers=1)
    assert row.winner is None
    assert "must be a file name" in row.what
    assert "without a winner, and in no mean: no name" in said([row])
    assert "| no name |" in table([row])


def rows() -> list[Row]:
    """Two studies that found a winner, and one that was refused."""
    classical = {"AutoETS": 0.5, "MSTL": 2.0}
    return [
        Row("one", 0.5, {"mean": 1.0, "ar": 0.4}, classical, "gru", 9, 60.0),
        Row("two", 2.0, {"mean": 4.0, "ar": 1.95}, classical | {"AutoCES": 1.0}, "lstm", 9, 60.0),
        Row("three", None, {}, classical, "none: refused", 0, 0.0),
    ]


def test_means_are_geometric_and_over_what_was_found() -> None:
    means = geometric_means(rows())
    assert means["winner"] == pytest.approx(1.0)
    assert means["mean (own)"] == pytest.approx(2.0)
    assert means["best classical"] == pytest.approx(0.5)
    assert "AutoCES" not in means
    assert "behind the best own baseline: 1 of 2 (one)" in said(rows())
    shown = table(rows()).splitlines()
    assert len({line.count("|") for line in shown}) == 1
    assert shown[-1].startswith("| geometric mean | 1 |")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"rows": 121}, "must have the 121 rows"),
        ({"horizon_steps": 118}, "must have a period of 6 rows before the last 118, but has 2"),
        ({"seasonal_naive_rmse": 5.0}, "must be the seasonal_naive_rmse"),
    ],
)
def test_a_table_that_is_not_the_one_of_the_file_is_refused(
    tmp_path: Path, changes: dict[str, object], rule: str
) -> None:
    series = written(tmp_path, **changes)
    with pytest.raises(UsageError, match=rule):
        read_values(tmp_path, "waves", series)


def test_a_folder_that_is_none_of_series_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"must hold series\.json"):
        read_folder(tmp_path)
    (tmp_path / "series.json").write_text('{"waves": {"period": 0}}')
    with pytest.raises(UsageError, match=r"waves\.period: Input should be greater than"):
        read_folder(tmp_path)
    written(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path), "--only", "wave"])
    assert ended.value.code == UsageError.exit_code == StudyFileError.exit_code
    assert "--only must name series of waves, but got wave" in capsys.readouterr().err

"""The benchmark of chaos: what its studies are told, what it refuses, what it finds."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chaos import (
    BLOCKS,
    HORIZON_STEPS,
    Row,
    measure,
    smape,
    study_sections,
    summary,
    systems,
)
from benchmarks.ordinary_study import study_text
from search.errors import UsageError
from search.study.study_file import read_study_file
from search.study.task_data import TaskData

TIME = np.arange(900)
VALUES = np.sin(0.06 * TIME) + 0.3 * np.sin(0.171 * TIME) + 2.0


def test_a_study_of_a_smooth_system_searches_what_forecasts_it(tmp_path: Path) -> None:
    table = tmp_path / "waves.csv"
    rows = (f"{row},{value!r}\n" for row, value in enumerate(VALUES.tolist()))
    table.write_text("time,value\n" + "".join(rows))
    file = tmp_path / "study.toml"
    file.write_text(study_text(study_sections("waves", table, len(VALUES))))
    definition, content = read_study_file(file)
    assert definition.space["cell"].to_plain() == ["esn", "nvar", "kernel-ridge"]
    data = TaskData(definition, content)
    for cut in data.cuts("search"):
        trained = {row for piece in cut.pieces for row in piece}
        for start in cut.starts:
            assert not trained & set(range(start, start + HORIZON_STEPS))
            assert start + HORIZON_STEPS <= len(VALUES) - HORIZON_STEPS
    assert len({cut.starts for cut in data.cuts("search")}) == BLOCKS


def test_a_short_study_continues_waves() -> None:
    row = measure("waves", VALUES, budget=12.0)
    assert row.smape is not None, row.what
    assert row.smape < 5.0
    assert row.cpu_seconds > 0.0


def test_smape_is_on_the_scale_of_the_published_one() -> None:
    assert smape(np.array([1.0, -1.0]), np.array([1.0, 1.0])) == 100.0


def test_the_summary_leaves_out_what_has_no_winner() -> None:
    errors = [1.0, 4.0, 30.0, None]
    said = summary([Row(str(e), e, "what", 1, 1.0, 1.0) for e in errors])
    assert "without a winner, and in no figure: 1" in said
    assert "median sMAPE of 3 systems: 4.00, 67% of them at 5 or less" in said


def test_a_file_that_is_none_of_the_benchmark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "systems.json.gz"
    with pytest.raises(UsageError, match="must be gzipped JSON"):
        list(systems(path))
    path.write_bytes(gzip.compress(json.dumps({"Lorenz": [1.0, 2.0]}).encode()))
    with pytest.raises(
        UsageError, match=r"at least 840 finite numbers.*Lorenz has the shape \[2\]"
    ):
        list(systems(path))
    path.write_bytes(gzip.compress(json.dumps({"Lorenz": VALUES.tolist()}).encode()))
    ((name, values),) = systems(path)
    assert name == "Lorenz"
    np.testing.assert_array_equal(values, VALUES)

"""The benchmark of large studies: its bounds, its table, and a command that fails."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.hundred_thousand import Figure, copied, run, table
from search.errors import FreerunError, UsageError


def test_a_figure_beyond_a_bound_is_named_with_both() -> None:
    assert Figure("status", 9.0, 2.9).missed == []
    assert Figure("status", 1.0, 3.5).missed == ["status: 3.50 s, bound 3 s"]
    report = Figure("report", 70.0, 61.0, 400.0, 5.5)
    assert report.missed == ["report: 61.00 s, bound 60 s", "report: 5.50 MB, bound 5 MB"]
    assert Figure("dashboard, importances", 99.0, 99.0).missed == []


def test_each_figure_stands_beside_its_bounds() -> None:
    lines = table([Figure("report", 12.34, 5.678, 321.9, 2.5), Figure("list", None, 1.0)])
    assert lines.splitlines()[2:] == [
        "| report | 60 s, 5 MB | 12.3 | 5.68 | 322 | 2.50 |",
        "| list | 3 s |  | 1.00 |  |  |",
    ]


def test_a_command_is_run_with_the_storage_and_measured(tmp_path: Path) -> None:
    figure, printed = run("list", f"sqlite:///{tmp_path}/none.db", ["--version"])
    assert printed.startswith("freerun ")
    assert 0.0 < figure.processor < 60.0
    assert figure.mib is not None
    assert figure.mib > 10.0


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(FreerunError, match="status big must end with 0, not 2"):
        run("status", f"sqlite:///{tmp_path}/none.db", ["status", "big"])


def test_a_given_file_is_copied_and_a_missing_one_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection, connection:
        connection.execute("CREATE TABLE kept (number INTEGER)")
    copied(tmp_path / "one.db", tmp_path / "two.db")
    with closing(sqlite3.connect(tmp_path / "two.db")) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with pytest.raises(UsageError, match="--file must be a SQLite file"):
        copied(tmp_path / "none.db", tmp_path / "three.db")

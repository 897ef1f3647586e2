"""The benchmark of starts: its table, its times of a process, and a process that fails."""

from pathlib import Path

import pytest

from benchmarks.starting import Row, Times, command_times, table
from search.errors import FreerunError


def test_times_are_those_of_the_process(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    times = command_times(tmp_path, ["-c", busy])
    assert 0.2 <= times.processor < 2.0
    assert times.wall >= 0.2


def test_a_command_that_fails_ends_the_benchmark_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(FreerunError, match="no such thing"):
        command_times(tmp_path, ["-c", "raise SystemExit('no such thing')"])


def test_each_start_stands_beside_its_bound_and_the_import_of_torch() -> None:
    rows = [Row("import torch", None, Times(1.5, 1.0)), Row("check", 2.0, Times(0.75, 0.5))]
    _, torch, check = table(rows).splitlines()
    assert torch.split() == ["import", "torch", "1.50", "1.00", "1.00"]
    assert check.split() == ["check", "0.75", "0.50", "0.50", "2.0"]

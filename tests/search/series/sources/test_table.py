from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from search.series import TableSeries
from search.series.source import Series

SERIES: TypeAdapter[Series] = TypeAdapter(Series)
RAW = {"source": "table", "path": "t.csv", "time": "t", "columns": ["x"]}


def test_its_channels_are_the_columns() -> None:
    table = SERIES.validate_python(RAW)
    assert isinstance(table, TableSeries)
    assert table.channels == table.columns == ("x",)
    several = SERIES.validate_python(RAW | {"columns": ["x", "y"], "id": "store"})
    assert several.channels == ("x", "y")


@pytest.mark.parametrize(
    "bad",
    [
        {"columns": []},
        {"columns": ["x", "x"]},
        {"id": "x"},
        {"id": "t"},
        {"id": ""},
        {"columns": "x"},
        {"columns": ["t"]},
        {"columns": [1]},
        {"path": ""},
        {"time": 3},
        {"colums": ["x"]},
    ],
)
def test_what_names_no_column_or_several_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SERIES.validate_python(RAW | bad)


def test_a_relative_path_starts_at_the_folder(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,x\n1,2\n2,3\n")
    table = TableSeries(path="t.csv", time="t", columns=("x",))
    assert table.read(tmp_path).rows == 2
    absolute = TableSeries(path=str(tmp_path / "t.csv"), time="t", columns=("x",))
    assert absolute.read(Path("elsewhere")).rows == 2

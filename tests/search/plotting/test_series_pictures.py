"""The picture of a table on the spans of a study: what has a panel."""

import io
from pathlib import Path

import numpy as np
import polars
import pytest
from PIL import Image

from search.plotting.series_pictures import spans_png
from search.starter.starting import start
from search.starter.study_text import study_text
from search.study.study_file import read_study_file


@pytest.mark.parametrize(("rows", "panels"), [(30, 1), (62, 1), (400, 2)])
def test_the_last_rows_have_a_panel_of_their_own_in_a_long_table_alone(
    rows: int, panels: int, tmp_path: Path
) -> None:
    values = np.random.default_rng(1).normal(size=rows).cumsum()
    path = tmp_path / "walk.csv"
    polars.DataFrame({"year": np.arange(1500, 1500 + rows), "value": values}).write_csv(path)
    study = tmp_path / "walk.toml"
    study.write_text(study_text(start(path, tmp_path), "walk.toml"), encoding="utf-8")
    definition, table = read_study_file(study)
    assert table is not None
    with Image.open(io.BytesIO(spans_png(definition, table))) as picture:
        assert picture.size == (900, 115 + 235 * panels)

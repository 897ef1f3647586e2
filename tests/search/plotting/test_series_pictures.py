"""The picture of a table on the spans of a study: what has a panel."""

import io
from pathlib import Path

import numpy as np
import polars
import pytest
from PIL import Image

from search.plotting.series_pictures import spans_figure, spans_png
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


def test_the_legend_names_each_span_however_short(tmp_path: Path) -> None:
    path = tmp_path / "wave.csv"
    values = np.sin(np.arange(900) / 5) + np.random.default_rng(2).normal(size=900) / 9
    polars.DataFrame({"t": np.arange(900), "value": values}).write_csv(path)
    study = tmp_path / "wave.toml"
    text = study_text(start(path, tmp_path, horizon_steps=2), "wave.toml")
    for steps, unused in ((886, ["unused"]), (890, [])):
        lines = [
            f"train_steps = {steps}" if line.startswith("train_steps") else line
            for line in text.replace('validation = "expanding"', "").splitlines()
        ]
        study.write_text("\n".join(lines), encoding="utf-8")
        definition, table = read_study_file(study)
        assert table is not None
        assert definition.task.test_steps == 2
        legend = spans_figure(definition, table).legends[0]
        assert [text.get_text() for text in legend.get_texts()] == [
            *unused,
            *("training", "validation", "test", "starts of free runs in the search"),
        ]


def test_the_title_of_a_long_table_says_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    sold = np.random.default_rng(1).normal(size=240)
    frame = {"day": [*range(120)] * 2, "store": ["Nord"] * 120 + ["West"] * 120, "sales": sold}
    polars.DataFrame(frame).write_csv(path)
    study = tmp_path / "shops.toml"
    study.write_text(study_text(start(path, tmp_path), "shops.toml"), encoding="utf-8")
    definition, table = read_study_file(study)
    assert table is not None
    figure = spans_figure(definition, table)
    assert "shops: sales by store, 120 rows, horizon 12" in [t.get_text() for t in figure.texts]

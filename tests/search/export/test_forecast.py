from __future__ import annotations

import gzip
import re
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars
import pytest
import torch
from polars.testing import assert_frame_equal, assert_series_equal

from models import checkpoint
from models.candidate import candidate_of
from models.checkpoint import Checkpoint
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import FormForecaster
from search.errors import SeriesError, UsageError
from search.export import Export
from search.export.forecast import forecast, write_forecast
from search.export.trust import measured_steps, training_values
from search.outputs import check_output, forecast_kind
from search.series import Table, read_cells, read_table
from search.series.filling import Run
from search.series.tables import LongForm


def table(rows: int = 100, scale: float = 1.0, columns: tuple[str, ...] = ("spots",)) -> Table:
    values = scale * np.sin(np.arange(rows * len(columns)) / 5).reshape(rows, -1)
    return Table("year", tuple(str(1900 + row) for row in range(rows)), columns, values)


def with_members(export: Export, members: list[int], **changes: torch.Tensor) -> Export:
    """The export with some of its networks only."""
    whole = export.checkpoint
    assert isinstance(whole, Checkpoint)
    parts = {"weights": whole.weights, "shift": whole.shift, "scale": whole.scale} | changes
    kept = {name: part[members] for name, part in parts.items()}
    fewer = Checkpoint(
        whole.architecture, whole.channels, kept["weights"], kept["shift"], kept["scale"]
    )
    return replace(export, weights=checkpoint.save(fewer))


def context_of(export: Export) -> int:
    """How many values its candidate reads before a free run."""
    whole = export.checkpoint
    assert whole is not None
    return whole.shown_steps


def test_a_forecast_continues_the_times_and_the_columns_of_the_table(sine_export: Export) -> None:
    made = forecast(sine_export, table(), 5)
    assert made.time_column == "year"
    assert made.times == ("2000", "2001", "2002", "2003", "2004")
    assert made.columns == ("spots",)
    assert made.values.shape == (5, 1)
    assert np.isfinite(made.values).all()


def test_a_longer_forecast_begins_with_the_shorter_one(sine_export: Export) -> None:
    short, long = forecast(sine_export, table(), 3), forecast(sine_export, table(), 30)
    np.testing.assert_array_equal(long.values[:3], short.values)


def test_only_the_last_rows_of_the_table_count(sine_export: Export) -> None:
    context = context_of(sine_export)
    whole = table()
    last = Table("year", whole.times[-context:], whole.columns, whole.values[-context:])
    np.testing.assert_array_equal(
        forecast(sine_export, whole, 9).values, forecast(sine_export, last, 9).values
    )


def test_the_forecast_is_the_median_of_networks_that_run_alone(sine_export: Export) -> None:
    alone = [forecast(with_members(sine_export, [m]), table(), 20).values for m in range(3)]
    assert not np.array_equal(alone[0], alone[1])
    together = forecast(sine_export, table(), 20).values
    np.testing.assert_array_equal(together, np.median(alone, axis=0))


def test_each_network_reads_and_writes_in_the_scale_of_its_training_span(
    sine_export: Export,
) -> None:
    unit = {"shift": torch.zeros(3, 1).double(), "scale": torch.ones(3, 1).double()}
    # Powers of two scale without rounding.
    large = {"shift": torch.full((3, 1), 64.0).double(), "scale": torch.full((3, 1), 8.0).double()}
    series = table()
    scaled = Table(series.time_column, series.times, series.columns, series.values * 8 + 64)
    in_units = forecast(with_members(sine_export, [0, 1, 2], **unit), series, 10)
    in_eights = forecast(with_members(sine_export, [0, 1, 2], **large), scaled, 10)
    np.testing.assert_allclose(in_eights.values, in_units.values * 8 + 64, rtol=1e-5)


@pytest.mark.parametrize("horizon", [0, -3])
def test_a_horizon_below_one_is_refused(sine_export: Export, horizon: int) -> None:
    with pytest.raises(UsageError, match=f"horizon must be at least 1 step, but got {horizon}"):
        forecast(sine_export, table(), horizon)


def test_a_table_too_short_to_warm_up_on_is_refused(sine_export: Export) -> None:
    context = context_of(sine_export)
    forecast(sine_export, table(context), 1)
    with pytest.raises(SeriesError, match=f"at least {context} rows.*but has {context - 1}"):
        forecast(sine_export, table(context - 1), 1)


def test_another_number_of_columns_is_refused(sine_export: Export) -> None:
    with pytest.raises(SeriesError, match=r"must have 1 value column, .* but has 2: a, b"):
        forecast(sine_export, table(columns=("a", "b")), 1)


@pytest.mark.parametrize("scale", [1e4, 1e300])
def test_a_network_is_not_asked_about_values_in_other_units(
    sine_export: Export, scale: float
) -> None:
    with pytest.raises(SeriesError, match=r"trained on, values from -.* to .*check the units"):
        forecast(sine_export, table(scale=scale), 1)


def test_values_beyond_the_training_span_are_named(sine_export: Export) -> None:
    warnings: list[str] = []
    forecast(sine_export, table(), 5, warnings.append)
    assert not warnings
    forecast(sine_export, table(scale=30.0), 5, warnings.append)
    assert len(warnings) == 1
    assert "standard deviations away" in warnings[0]
    assert "from -2" in warnings[0]


def test_how_far_values_lie_is_counted_in_the_units_of_the_series(sine_export: Export) -> None:
    learnt = training_values(sine_export)
    for scale in (30.0, 1e4):
        values = table(scale=scale).values[-context_of(sine_export) :]
        away = np.abs((values - learnt.mean()) / learnt.std()).max()
        warnings: list[str] = []
        try:
            forecast(sine_export, table(scale=scale), 5, warnings.append)
        except SeriesError as error:
            warnings.append(str(error))
        (found,) = re.findall(r"lie ([0-9.,]+) standard deviations away", warnings[0])
        assert float(found.replace(",", "")) == pytest.approx(away, rel=0.01)


def test_a_context_that_is_mostly_filled_in_is_told(sine_export: Export) -> None:
    context = context_of(sine_export)
    assert context == 20
    rows = table().rows
    for first, stop, is_told in ((60, 84, False), (60, 85, True), (80, 99, True)):
        filled = replace(table(), filled=(Run(0, first, stop),), is_masked=True)
        warnings: list[str] = []
        forecast(sine_export, filled, 5, warnings.append)
        count = stop - max(first, rows - context)
        told = [f"{count} ({100 * count / context:.0f} %) are missing" in said for said in warnings]
        assert told == [True] * is_told


def test_steps_that_nothing_was_measured_over_are_said_to_be(table_export: Export) -> None:
    tested = measured_steps(table_export)
    assert table_export.claim is not None
    assert table_export.table is not None
    assert tested == table_export.claim.horizon_steps
    study = replace(table_export, claim=None, test=None)
    assert measured_steps(study) == study.definition.task.horizon_steps
    warnings: list[str] = []
    forecast(table_export, table_export.table, tested, warnings.append)
    assert not any("steps ahead" in warning for warning in warnings)
    warnings.clear()
    forecast(table_export, table_export.table, tested + 1, warnings.append)
    (warning,) = (warning for warning in warnings if "steps ahead" in warning)
    assert f"goes {tested + 1} steps ahead" in warning
    assert f"forecast at most {tested} steps" in warning


def test_a_forecast_that_runs_away_is_said_to_and_one_without_numbers_refused(
    sine_export: Export,
) -> None:
    """Weights of a forecaster that doubles its last value with each step."""
    candidate = candidate_of({"cell": "ar", "ar_order": 1, "regularisation": "held-out"})
    assert isinstance(candidate, FittedForm)
    doubling = Checkpoint(
        candidate.architecture,
        1,
        FormForecaster(candidate.form).pack({}, np.full((1, 1), 2.0))[None],
        torch.zeros(1, 1).double(),
        torch.ones(1, 1).double(),
    )
    export = replace(sine_export, candidate=candidate, weights=checkpoint.save(doubling))
    warnings: list[str] = []
    made = forecast(export, table(), 40, warnings.append).values[:, 0]
    np.testing.assert_allclose(made, table().values[-1] * 2.0 ** np.arange(1, 41))
    assert len(warnings) == 1
    assert "the free run diverges" in warnings[0]
    with pytest.raises(UsageError, match=r"at step (59|60|61) of 100: .* at most (58|59|60) steps"):
        forecast(export, table(), 100)


def test_times_are_continued_before_anything_is_computed(sine_export: Export) -> None:
    days = [str(day) for day in np.arange("9990-01-01", "9990-04-11", dtype="datetime64[D]")]
    last = Table("day", tuple(days), ("spots",), table().values)
    with pytest.raises(SeriesError, match="year 9999"):
        forecast(sine_export, last, 10**6)


def test_an_export_without_networks_asks_for_a_retraining(sine_export: Export) -> None:
    with pytest.raises(UsageError, match="freerun retrain"):
        forecast(replace(sine_export, weights=None), table(), 1)


@pytest.mark.parametrize("name", ["forecast.csv", "forecast.parquet", "forecast.PARQUET"])
def test_a_forecast_file_reads_back_as_the_table_that_continues(
    sine_export: Export, tmp_path: Path, name: str
) -> None:
    made = forecast(sine_export, table(), 12)
    write_forecast(made, tmp_path / "new" / name)
    is_parquet = (tmp_path / "new" / name).read_bytes().startswith(b"PAR1")
    assert is_parquet == (name != "forecast.csv")
    read = read_table(tmp_path / "new" / name, "year", ["spots"])
    assert read.times == made.times
    np.testing.assert_array_equal(read.values, made.values)


@pytest.mark.parametrize(
    "times",
    [
        polars.Series("t", [date(2024, 1, 1 + day) for day in range(9)]),
        polars.Series("t", [date(2024, 1, 1 + day) for day in range(9)]).cast(polars.String),
        polars.datetime_range(
            datetime(2024, 3, 30), datetime(2024, 4, 1), "6h", time_unit="ms", eager=True
        ),
        polars.datetime_range(
            datetime(2024, 3, 30),
            datetime(2024, 4, 1),
            "1h",
            time_unit="ns",
            time_zone="Europe/Berlin",
            eager=True,
        ),
        polars.Series("t", range(9), polars.Int32),
        polars.Series("t", range(9), polars.UInt64),
        polars.Series("t", [str(row) for row in range(9)]).cast(polars.Categorical),
        polars.Series("t", [1990 + row / 4 for row in range(9)]),
        polars.Series("t", [1704067200000 + 3600000 * row for row in range(9)]),
    ],
    ids=lambda times: str(times.dtype),
)
def test_times_in_parquet_have_the_type_of_the_series(tmp_path: Path, times: polars.Series) -> None:
    polars.DataFrame({"t": times, "x": np.sin(np.arange(len(times)))}).write_parquet(
        tmp_path / "series.parquet"
    )
    table = read_table(tmp_path / "series.parquet", "t", ["x"])
    # As what is stored with a study has them, too.
    for own in (table, Table.from_bytes(table.to_bytes())):
        write_forecast(own, tmp_path / "forecast.parquet")
        written = polars.read_parquet(tmp_path / "forecast.parquet")
        assert_series_equal(written["t"], times, check_names=False)
        write_forecast(own, tmp_path / "forecast.csv")
        assert ".000" not in (tmp_path / "forecast.csv").read_text()


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (["2024-01-01", "2024-01-02"], polars.Date()),
        (["31.01.2024", "01.02.2024"], polars.Date()),
        (["2024-01-01 00:00", "2024-01-02 00:00"], polars.Datetime("us")),
        (["2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"], polars.Datetime("us", "UTC")),
        (["31.01.2024 12:00", "01.02.2024 12:00"], polars.Datetime("us")),
        (["20240131", "20240201"], polars.Int64()),
        (["1704067200000000000", "1704067201000000000"], polars.Int64()),
        (["08", "09"], polars.Int64()),
        (["1990", "1991"], polars.Int64()),
        (["0.5", "1.0"], polars.Float64()),
        (["2024-01", "2024-02"], polars.String()),
        (["2024-Q1", "2024-Q2"], polars.String()),
        (["Jan 2024", "Feb 2024"], polars.String()),
    ],
)
def test_times_of_a_text_file_have_their_type_in_parquet(
    tmp_path: Path, labels: list[str], dtype: polars.DataType
) -> None:
    rows = "".join(f"{label};{row}\n" for row, label in enumerate(labels))
    (tmp_path / "series.csv").write_text(f"t;x\n{rows}")
    table = read_table(tmp_path / "series.csv", "t", ["x"])
    write_forecast(table, tmp_path / "forecast.parquet")
    assert polars.read_parquet_schema(tmp_path / "forecast.parquet")["t"] == dtype
    # A CSV has the times as they were written.
    write_forecast(table, tmp_path / "forecast.csv")
    assert list(read_cells(tmp_path / "forecast.csv").column("t").cells) == labels


def test_times_that_outgrow_their_type_stay_whole_numbers(tmp_path: Path) -> None:
    times = polars.Series("t", [125, 126, 127], polars.Int8)
    polars.DataFrame({"t": times, "x": [1.0, 2.0, 4.0]}).write_parquet(tmp_path / "series.parquet")
    table = read_table(tmp_path / "series.parquet", "t", ["x"])
    later = replace(table, times=tuple(table.continue_time(3)))
    write_forecast(later, tmp_path / "forecast.parquet")
    written = polars.read_parquet(tmp_path / "forecast.parquet")["t"]
    assert_series_equal(written, polars.Series("t", [128, 129, 130], polars.Int64))


def long_frame(ids: polars.Series) -> polars.DataFrame:
    shops = ids.gather([0, 0, 1, 1])
    return polars.DataFrame({"shop": shops, "t": [1, 2, 1, 2], "x": [1.0, 2.0, 3.0, 5.0]})


@pytest.mark.parametrize(
    "ids",
    [
        polars.Series([7, 12], dtype=polars.Int16),
        polars.Series([-(2**62) - 5, 2**62 + 1]),  # such as a hash
        polars.Series([2**63 + 5, 2**64 - 1], dtype=polars.UInt64),
        polars.Series([7.0, 12.5]),
        polars.Series(["7", "12"]),
        polars.Series(["7", "12"]).cast(polars.Categorical),
        polars.Series(["north", "south"]).cast(polars.Categorical),
        polars.Series([False, True]),
    ],
    ids=lambda ids: f"{ids.dtype} {ids[0]}",
)
def test_ids_in_parquet_have_the_type_of_the_series(tmp_path: Path, ids: polars.Series) -> None:
    frame = long_frame(ids)
    frame.write_parquet(tmp_path / "series.parquet")
    table = read_table(tmp_path / "series.parquet", "t", ["x"], "shop")
    # As what is stored with a study has them, too.
    for own in (table, Table.from_bytes(table.to_bytes())):
        write_forecast(own, tmp_path / "forecast.parquet")
        assert_frame_equal(polars.read_parquet(tmp_path / "forecast.parquet"), frame)


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [
        (["7", "12"], polars.Int64),
        (["007", "012"], polars.String),
        (["7.10", "12.50"], polars.String),
        ([str(10**19), str(10**19 + 1)], polars.String),
    ],
)
def test_ids_of_a_text_file_are_numbers_where_nothing_is_lost(
    tmp_path: Path, ids: list[str], dtype: type[polars.DataType]
) -> None:
    frame = long_frame(polars.Series(ids))
    frame.write_csv(tmp_path / "series.csv")
    table = read_table(tmp_path / "series.csv", "t", ["x"], "shop")
    write_forecast(table, tmp_path / "forecast.parquet")
    expected = frame.cast({"shop": dtype})
    assert_frame_equal(polars.read_parquet(tmp_path / "forecast.parquet"), expected)


@pytest.mark.parametrize(
    "dtype", [polars.Enum(["7", "12.50", "8"]), polars.Decimal(10, 2)], ids=["Enum", "Decimal"]
)
def test_ids_of_a_type_with_bounds_of_its_own_are_text(
    tmp_path: Path, dtype: polars.DataType
) -> None:
    frame = long_frame(polars.Series(["7", "12.50"]).cast(dtype))
    frame.write_parquet(tmp_path / "series.parquet")
    table = read_table(tmp_path / "series.parquet", "t", ["x"], "shop")
    write_forecast(table, tmp_path / "forecast.parquet")
    expected = frame.cast({"shop": polars.String})
    assert_frame_equal(polars.read_parquet(tmp_path / "forecast.parquet"), expected)


def test_a_packed_forecast_is_a_csv(tmp_path: Path) -> None:
    made = table(7)
    write_forecast(made, tmp_path / "forecast.csv.gz")
    write_forecast(made, tmp_path / "forecast.csv")
    packed = (tmp_path / "forecast.csv.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "forecast.csv").read_bytes()
    write_forecast(made, tmp_path / "forecast.csv.gz")
    assert (tmp_path / "forecast.csv.gz").read_bytes() == packed
    with pytest.raises(UsageError, match=r"must be written as CSV .*forecast.xlsx ends in another"):
        write_forecast(made, tmp_path / "forecast.xlsx")
    assert not (tmp_path / "forecast.xlsx").exists()


@pytest.mark.parametrize("name", ["forecast.csv", "forecast.parquet"])
def test_the_forecast_of_a_long_table_is_long(tmp_path: Path, name: str) -> None:
    long = LongForm("shop", ("n", "s"), ("sold", "kept"))
    made = Table("t", ("1", "2", "3"), long.channels, np.arange(12.0).reshape(3, 4), long)
    write_forecast(made, tmp_path / name)
    columns = {column.name: list(column.cells) for column in read_cells(tmp_path / name).columns}
    assert tuple(columns) == made.header
    assert columns["shop"] == ["n", "n", "n", "s", "s", "s"]
    assert columns["t"] == ["1", "2", "3"] * 2
    assert [float(cell) for cell in columns["kept"]] == [1, 5, 9, 3, 7, 11]
    check_output(tmp_path / name, forecast_kind(made.header), force=True)


def test_names_with_commas_and_quotes_are_kept(tmp_path: Path) -> None:
    made = Table("t, in s", ("1", "2"), ('the "x"',), np.array([[1.5], [2.5]]))
    write_forecast(made, tmp_path / "forecast.csv")
    read = read_table(tmp_path / "forecast.csv", "t, in s", ['the "x"'])
    np.testing.assert_array_equal(read.values, made.values)


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    made = Table("t", ("1",), ("x",), np.ones((1, 1)))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"folder can't be written"):
        write_forecast(made, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def days(rows: int, step: str) -> Table:
    """Rows of the table from 2001 on, hours or months apart."""
    every = {"hours": lambda r: f"2001-01-{1 + r // 24:02} {r % 24:02}:00"}
    every["months"] = lambda r: f"{2001 + r // 12}-{1 + r % 12:02}"
    return Table("t", tuple(map(every[step], range(rows))), ("spots",), table(rows).values)


def test_rows_of_another_step_are_refused(table_export: Export) -> None:
    months = replace(table_export, table=days(100, "months"))
    assert forecast(months, days(60, "months"), 1).times == ("2006-01",)
    with pytest.raises(SeriesError, match=r"that was trained on.* 1 hour apart.*1 month, from"):
        forecast(months, days(60, "hours"), 1)


def test_rows_whose_step_can_not_be_compared_are_warned_of(table_export: Export) -> None:
    said: list[str] = []
    forecast(replace(table_export, table=table()), days(60, "months"), 1, said.append)
    assert any("make sure that these are the same steps" in warning for warning in said)
    said.clear()
    forecast(replace(table_export, table=table()), table(60), 1, said.append)
    assert not any("steps" in warning for warning in said)

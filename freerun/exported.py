"""A forecaster that was exported, and its forecasts."""

import os
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar, overload

from freerun.arguments import levels_of, path_of, whole_number
from freerun.frames import Rows, ahead_of, read_as_table, read_rows
from freerun.scores import Score, score_of
from search.errors import SeriesError
from search.export import Export, read_export, write_export
from search.export.bands import forecast_with_bands
from search.export.reading import of_its_study
from search.names import cut
from search.series import Table, TableSeries

Given = TypeVar("Given")

# Keys of a table's [series] that tell where the columns are, and how a file writes them.
_OF_FILE = frozenset(
    {"source", "path", "time", "columns", "id", "time_format", "separator", "decimal"}
)

# Of what a forecaster is, so that it stands on one line.
_MOST_SHOWN = 70


class ForecastWarning(UserWarning):
    """A reason to doubt a forecast, such as values far outside of what was trained on."""


class ExportedForecaster:
    """A trained forecaster. It needs no database and no study; `load` and `Study.export` return it.

    A series is a NumPy array or a list `[time]` or `[time, channel]`, or a series or data frame of
    pandas or polars. Of a data frame, the columns are found by the names that the study had for
    them; the time is its column of that name, else its index. An array has the study's columns in
    their order, and is refused where the study named further ones, known in advance or only in the
    past.
    """

    def __init__(self, export: Export) -> None:
        self._export = export

    def __repr__(self) -> str:
        export = self._export
        known = f"{export.named} of the study {export.study}, {export.candidate.description()}"
        return f"<freerun.ExportedForecaster: {cut(known, _MOST_SHOWN)}>"

    @property
    def study(self) -> str:
        """The name of the study that it comes from."""
        return self._export.study

    @property
    def name(self) -> str:
        """What it is, in a sentence: "trial 3", "the ensemble" or "the baseline SSA"."""
        return self._export.named

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the series' value channels."""
        table = self._export.table
        return self._export.definition.series.channels if table is None else table.columns

    @property
    def score(self) -> Score | None:
        """The score that a retraining on the same data gives again; None after one on all rows."""
        claim = self._export.claim
        return None if claim is None else score_of(claim, claim.purpose)

    @property
    def test(self) -> Score | None:
        """The winner's score on data that no trial saw; None of what was not tested."""
        return score_of(self._export.test, "test")

    @property
    def context_steps(self) -> int:
        """How many last values of a series it reads; shorter series are refused."""
        checkpoint = self._export.checkpoint
        return 0 if checkpoint is None else checkpoint.shown_steps

    @overload
    def forecast(self, series: Given, horizon: int, *, future: Any = ...) -> Given: ...
    @overload
    def forecast(
        self, series: Any, horizon: int, levels: float | Sequence[float], *, future: Any = ...
    ) -> Any: ...

    def forecast(
        self, series: Any, horizon: int, levels: float | Sequence[float] = (), *, future: Any = None
    ) -> Any:
        """Continue a series from its last row; return the rows that come after it, of its kind.

        horizon: how many. levels: in percent, of prediction intervals, such as 80 or (80, 95). With
        them a data frame has the columns NAME_low_80 and NAME_high_80 behind each NAME, a series
        becomes such a frame, and an array has one more axis, `[..., quantity]`: the forecast, then
        low and high of each level, the narrowest first. future: the rows after the last one of the
        columns that are known in advance, of the same kind as the series, with times where that has
        times (an array has these columns alone, in the order of the study's `known`); None where
        the series itself goes on with them, without values to forecast, and where no column is
        known in advance.

        Warns with ForecastWarning where there is a reason to doubt it. Raises SeriesError for a
        series that is too short, has gaps or other columns, or whose columns known in advance end
        before the forecast does; UsageError for a horizon that is no whole number from 1 on, a
        level below 1 or from 100 on, and for a forecaster without networks or residuals.
        """
        steps = whole_number("horizon", horizon)
        wanted = levels_of(levels)
        rows = read_rows(series, self._time)
        doubts: list[str] = []
        made = forecast_with_bands(
            self._export, self._table(rows, future), steps, wanted, doubts.append
        )
        for doubt in doubts:
            warnings.warn(doubt, ForecastWarning, stacklevel=2)
        return rows.like(ahead_of(made))

    def refitted(self, series: Any = None) -> "ExportedForecaster":
        """Return the same configuration, trained on all rows of a series.

        series: of the same columns; else the rows of its study, the test span included. It claims
        no score, since no row is left to score it on. Training takes about as long as a final's
        replicas do, on one thread of this process.

        Raises SeriesError for a series that is too short; UsageError for the forecaster of a
        generated series, whose study has no rows, without one.
        """
        from freerun.refitting import refit

        table = self._export.table
        if series is not None:
            table = self._table(read_rows(series, self._time))
        return ExportedForecaster(refit(self._export, table))

    def updated(self, series: Any) -> "ExportedForecaster":
        """Return the same forecaster, which also knows the rows that a series has by now.

        Far cheaper than `refitted`: what is fitted in closed form is fitted again, and networks go
        on from their weights for a few steps. Scores and intervals stay those of before. Raises
        UsageError for a forecaster without networks, SeriesError for a series that does not fit.
        """
        from freerun.refitting import update

        return ExportedForecaster(update(self._export, self._table(read_rows(series, self._time))))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the export folder that `load` and the commands read. Raises ExportError."""
        write_export(self._export, path_of("path", path))

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the free run as an ONNX model, for programs without freerun and torch.

        Its inputs are `series`, the values `[time, channel]` (float64) up to where the forecast
        starts, and `horizon`, a number of steps (int64); its output is `forecast` `[horizon,
        channel]`. An older model that freerun wrote is replaced.

        Raises UsageError for what is no trained network (closed forms, ensembles) or reads columns
        beside the ones that it forecasts, where the package onnx is not installed, where the file
        can't be written, and for a path that holds anything else.
        """
        from search.export.onnx import onnx_model
        from search.files import write_file
        from search.outputs import ONNX_MODEL, check_output

        place = path_of("path", path)
        check_output(place, ONNX_MODEL)
        write_file(place, onnx_model(self._export))

    @property
    def _time(self) -> str:
        series = self._export.definition.series
        named = series.time if isinstance(series, TableSeries) else None
        return named or "time"

    def _table(self, rows: Rows, future: Any = None) -> Table:
        """The rows as a table of the columns that the forecaster was trained on.

        future: later rows of the columns that are known in advance, as they were given.
        """
        assert rows.time is not None  # a name was given
        series, earlier = self._export.definition.series, self._export.table
        is_table = isinstance(series, TableSeries)
        # How values are filled in, for example, but not how a file writes them.
        kept = series.model_fields_set - _OF_FILE if is_table else ()
        described: dict[str, Any] = {key: getattr(series, key) for key in kept}
        if rows.named and isinstance(series, TableSeries):
            described |= {"columns": series.columns, "id": series.id}
        else:
            beside = () if earlier is None else (*earlier.file_known_names, *earlier.past_names)
            names = (*self.channels, *beside)
            is_long = earlier is not None and earlier.long is not None
            if beside and (is_long or set(rows.value_columns) != set(names)):
                assert earlier is not None
                wanted = (*earlier.header, *beside) if is_long else names
                raise SeriesError(
                    "a series with columns beside the ones that are forecast must name them, but "
                    f"got columns without names; give a data frame with {', '.join(wanted)}"
                )
            if len(rows.value_columns) == len(names) and set(rows.value_columns) != set(names):
                rows = rows.renamed(names)
            described["columns"] = [name for name in rows.value_columns if name not in beside]
        described |= {"path": "series.parquet", "time": rows.time}
        own = TableSeries(**described)
        later = None if future is None else self._future(future, rows, own)
        # Columns of the calendar are those that were trained on.
        has_calendar = earlier is not None and earlier.covariates is not None
        with of_its_study():
            return read_as_table(rows, own, earlier if has_calendar else None, later)

    def _future(self, future: Any, rows: Rows, series: TableSeries) -> Rows:
        """Later rows of the columns that are known in advance."""
        found = read_rows(future, self._time)
        known = series.known or ()
        if not found.named and len(found.value_columns) == len(known):
            found = found.renamed(known)
        if rows.named and found.is_numbered and not (rows.is_numbered or rows.has_number_times):
            raise SeriesError(
                "the future must have the times of its rows, as the series has, but its rows are "
                f"only numbered; give a data frame with the column '{rows.time}', or in pandas "
                "with the times as its index"
            )
        if not rows.named or (rows.is_numbered and found.is_numbered):
            # Rows without times have but their numbers, which go on.
            found = found.counted_from(len(next(iter(rows.columns.values()))), rows.time)
        return found


def load(path: str | os.PathLike[str]) -> ExportedForecaster:
    """Return the forecaster of an export folder.

    path: that `Study.export` or `freerun export` wrote. Raises ExportError where it is missing,
    damaged or of a newer version.
    """
    return ExportedForecaster(read_export(path_of("path", path)))

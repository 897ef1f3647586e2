"""A series from a table: a time column and value columns of a file, of one series or of many."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.methods import SettingError, shown
from search.errors import SeriesError
from search.series.beside import Beside
from search.series.covariates import CALENDAR, CalendarColumn
from search.series.filling import Filling
from search.series.source import Source
from search.series.table_reading import Reading, read_table
from search.series.tables import Table
from search.series.time_format import EPOCH_NAMES, PatternError, TimePattern

# Not strict, since TOML has lists only; the names inside stay strict.
ColumnNames = Annotated[tuple[str, ...], Field(strict=False, examples=[["value"]])]
Calendar = Literal[True] | Annotated[tuple[CalendarColumn, ...], Field(strict=False)]


class TableSeries(Source):
    """The rows of a CSV, Parquet or Excel file, the one draw that a table has."""

    is_generated: ClassVar[bool] = False

    source: Literal["table"] = "table"
    path: str = Field(
        min_length=1, examples=["table.csv"], description="The file, relative to the study file."
    )
    time: str | None = Field(
        default=None,
        min_length=1,
        examples=["time"],
        description="The name of the time column; without one, the rows are numbered.",
    )
    columns: ColumnNames = Field(
        description="The names of the value columns, each of which is a channel."
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        examples=["store"],
        description="Of a long table the column that names the series of a row; each is a channel.",
    )
    time_format: str | None = Field(
        default=None,
        min_length=1,
        examples=["%d.%m.%Y %H:%M"],
        description="How times are written, by strptime's directives and %q for a quarter, or the "
        "unit in which they count since 1970; else found from the column.",
    )
    missing: Filling | None = Field(
        default=None,
        examples=["interpolate"],
        description="How gaps and missing values are filled in: on a straight line (interpolate), "
        "or with the season on one (seasonal); or that they are masked (mask), and count in no "
        "training and no score; else they are refused.",
    )
    duplicates: Literal["mean", "last"] | None = Field(
        default=None,
        examples=["mean"],
        description="What is taken of several rows of one time, mean or last; else they are "
        "refused.",
    )
    separator: str | None = Field(
        default=None,
        examples=[";"],
        description="The sign between the cells of a text file; else found from the file.",
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        examples=[","],
        description="The sign before decimals; else found from the columns.",
    )

    known: ColumnNames | None = Field(
        default=None,
        examples=[["temperature", "holiday"]],
        exclude_if=lambda names: names is None,
        description="Columns that are known in advance, also for the rows that are forecast; of a "
        "long table, each series has its own values of them.",
    )
    past: ColumnNames | None = Field(
        default=None,
        examples=[["wind"]],
        exclude_if=lambda names: names is None,
        description="Columns that are known only in the past, read beside those that are forecast.",
    )
    calendar: Calendar | None = Field(
        default=None,
        examples=[True],
        exclude_if=lambda names: names is None,
        description='Columns known in advance that are made of the times: "hour", "weekday", "day" '
        'and "month"; true for hour, weekday and, from a year on, month, as far as they vary.',
    )

    @field_validator("known", "past")
    @classmethod
    def _check_beside(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError(
                f"must name at least one column, and each once, but got {shown(list(names))}; "
                "leave the key out where there is none"
            )
        return names

    @field_validator("calendar", mode="before")
    @classmethod
    def _check_calendar(cls, raw: object) -> object:
        if raw is None or isinstance(raw, bool):
            return raw or None
        names = list(raw) if isinstance(raw, list | tuple) else [raw]
        for name in names:
            if name not in CALENDAR:
                raise ValueError(
                    f"must be true, or a list of {', '.join(CALENDAR)}, but got {shown(raw)}"
                )
        if not names or len(set(names)) < len(names):
            raise ValueError(f"must name at least one, and each once, but got {shown(raw)}")
        return tuple(names)

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if not columns or len(set(columns)) < len(columns):
            raise ValueError(
                f"must name at least one value column, and each once, but got "
                f'{shown(list(columns))}; write for example columns = ["value"]'
            )
        return columns

    @field_validator("time_format")
    @classmethod
    def _check_time_format(cls, name: str | None) -> str | None:
        if name is None or name in EPOCH_NAMES:
            return name
        if "%" not in name:
            raise ValueError(
                f'must be a pattern such as "%d.%m.%Y", or one of {", ".join(EPOCH_NAMES)}, but '
                f"got {shown(name)}"
            )
        try:
            TimePattern(name)
        except PatternError as error:
            raise ValueError(f"{shown(name)} {error}") from None
        return name

    @field_validator("separator")
    @classmethod
    def _check_separator(cls, sign: str | None) -> str | None:
        if sign is not None and (len(sign) != 1 or sign.isalnum() or sign in '"\r\n.+-'):
            raise ValueError(
                f"must be one sign that is in no number and no name, but got {shown(sign)}; write "
                'for example separator = ";"'
            )
        return sign

    @model_validator(mode="after")
    def _check_columns_are_apart(self) -> Self:
        if self.time in self.columns:
            raise SettingError(
                "columns",
                f'must not hold the time column, but both are "{self.time}"; '
                "name the column that is to be forecast",
            )
        if self.id is not None and self.id in (self.time, *self.columns):
            raise SettingError(
                "id",
                f"must be a column of its own, but the time or a value is {shown(self.id)}, too; "
                "name the column that tells the series apart",
            )
        self._check_columns_beside()
        if self.time is None:
            for key in ("time_format", "duplicates", "calendar"):
                if getattr(self, key) is not None:
                    raise SettingError(
                        key, "must go with a time column, but none is named; write time"
                    )
        return self

    def _check_columns_beside(self) -> None:
        taken = {self.time: "the time", self.id: "the id"}
        taken |= dict.fromkeys(self.columns, "a column to forecast")
        for key in ("known", "past"):
            for name in getattr(self, key) or ():
                if name in taken:
                    raise SettingError(
                        key,
                        f"must name columns that have no other role, but {shown(name)} is "
                        f"{taken[name]}, too; name it once",
                    )
                taken[name] = f"in {key}"

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the value columns; the channels of a long table are known by its rows."""
        return self.columns

    def read(self, folder: Path) -> Table:
        """Read the table; `folder` is where a relative path starts. Raises SeriesError."""
        return self.read_file(folder / self.path)

    def read_file(
        self, path: Path, earlier: Table | None = None, future: Path | None = None
    ) -> Table:
        """Read another table of the same columns. Raises SeriesError.

        earlier: a table of the series, as whose times these are read where they alone would not
        tell a day from a month, and whose columns of the calendar are made again. future: a file of
        later rows, of which times and known columns are read.
        """
        if future is not None and self.known is None:
            raise SeriesError(
                f"{future}: future values must be of columns that are known in advance, but the "
                "study has none in [series] known; leave the file out"
            )
        how = Reading(
            separator=self.separator,
            decimal=self.decimal,
            time_format=self.time_format,
            missing=self.missing,
            duplicates=self.duplicates,
            periods=self.period,
            like=None if earlier is None else earlier.time_format,
        )
        calendar = () if self.calendar is None else self.calendar
        made: Any = "usual" if calendar is True else calendar
        if earlier is not None and earlier.covariates is not None:
            made = earlier.covariates.calendar
        beside = Beside(self.known or (), self.past or (), made)
        return read_table(path, self.time, self.columns, self.id, how, beside, future)

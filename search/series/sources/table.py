"""A series from a table: a time column and value columns of a file, of one series or of many."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.methods import SettingError, shown
from search.series.source import Source
from search.series.tables import Table, read_table

# Not strict, since TOML has lists only; the names inside stay strict.
ColumnNames = Annotated[tuple[str, ...], Field(strict=False, examples=[["value"]])]


class TableSeries(Source):
    """The rows of a CSV or Parquet file, the one draw that a table has."""

    is_generated: ClassVar[bool] = False

    source: Literal["table"] = "table"
    path: str = Field(
        min_length=1, examples=["table.csv"], description="The file, relative to the study file."
    )
    time: str = Field(min_length=1, examples=["time"], description="The name of the time column.")
    columns: ColumnNames = Field(
        description="The names of the value columns, each of which is a channel."
    )
    id: str | None = Field(
        default=None,
        min_length=1,
        examples=["store"],
        description="Of a long table the column that names the series of a row; each is a channel.",
    )

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if not columns or len(set(columns)) < len(columns):
            raise ValueError(
                f"must name at least one value column, and each once, but got "
                f'{shown(list(columns))}; write for example columns = ["value"]'
            )
        return columns

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
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the value columns; the channels of a long table are known by its rows."""
        return self.columns

    def read(self, folder: Path) -> Table:
        """Read the table; `folder` is where a relative path starts. Raises SeriesError."""
        return self.read_file(folder / self.path)

    def read_file(self, path: Path) -> Table:
        """Read another table of the same columns. Raises SeriesError."""
        return read_table(path, self.time, self.columns, self.id)

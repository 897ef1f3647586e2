"""A series from a table: one time column and, for now, one value column of a file."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.methods import SettingError
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
    columns: ColumnNames = Field(description="The names of the value columns.")

    @field_validator("columns")
    @classmethod
    def _check_one_column(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(columns) != 1:
            named = ", ".join(f'"{name}"' for name in columns) or "none"
            raise ValueError(
                f"must name exactly one value column, but names {named}; "
                "make a study of its own for each column"
            )
        return columns

    @model_validator(mode="after")
    def _check_time_is_apart(self) -> Self:
        if self.time in self.columns:
            raise SettingError(
                "columns",
                f'must not hold the time column, but both are "{self.time}"; '
                "name the column that is to be forecast",
            )
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the value channels."""
        return self.columns

    def read(self, folder: Path) -> Table:
        """Read the table; `folder` is where a relative path starts. Raises SeriesError."""
        return read_table(folder / self.path, self.time, self.columns)

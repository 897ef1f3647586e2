"""Where series come from: one source a file, each a frozen section with its own `source` name.

A generated source draws as many steps as are asked for; a table has one draw, its rows.
"""

from typing import Annotated

from pydantic import Field

from search.series.draw import Draw, FloatArray, Purpose
from search.series.mackey_glass import MackeyGlassSeries
from search.series.sine import SineSeries
from search.series.table import TableSeries
from search.series.table_content import MAX_TABLE_BYTES, Table
from search.series.table_file import read_table

Series = Annotated[SineSeries | MackeyGlassSeries | TableSeries, Field(discriminator="source")]

__all__ = [
    "MAX_TABLE_BYTES",
    "Draw",
    "FloatArray",
    "MackeyGlassSeries",
    "Purpose",
    "Series",
    "SineSeries",
    "Table",
    "TableSeries",
    "read_table",
]

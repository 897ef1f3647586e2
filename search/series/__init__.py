"""Where series come from: generated ones and tables, each a section of a study file.

A generated source draws as many steps as are asked for; a table has one draw, its rows.
"""

from search.series.formats import Cells, read_cells
from search.series.source import (
    Draw,
    FloatArray,
    GeneratedSource,
    Purpose,
    Section,
    Source,
    known_sources,
)
from search.series.sources.mackey_glass import MackeyGlassSeries
from search.series.sources.sine import SineSeries
from search.series.sources.table import TableSeries
from search.series.table_reading import Reading, read_table
from search.series.tables import MAX_TABLE_BYTES, Table

__all__ = [
    "MAX_TABLE_BYTES",
    "Cells",
    "Draw",
    "FloatArray",
    "GeneratedSource",
    "MackeyGlassSeries",
    "Purpose",
    "Reading",
    "Section",
    "SineSeries",
    "Source",
    "Table",
    "TableSeries",
    "known_sources",
    "read_cells",
    "read_table",
]

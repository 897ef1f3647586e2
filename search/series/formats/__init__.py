"""The files that a table may be: each format turned into columns of text, one module a format."""

from search.series.formats.cells import Cells, Column
from search.series.formats.reading import read_cells

__all__ = ["Cells", "Column", "read_cells"]

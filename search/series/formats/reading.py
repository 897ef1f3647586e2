"""Which format a file has, by what it begins with, not by its name."""

from collections.abc import Collection
from pathlib import Path

from search.errors import SeriesError
from search.series.formats.cells import Cells
from search.series.formats.content import is_excel, is_parquet, is_zip, read_content
from search.series.formats.csv_text import read_text
from search.series.formats.excel import read_excel
from search.series.formats.parquet import read_parquet


def read_cells(
    path: Path, wanted: Collection[str] | None = None, separator: str | None = None
) -> Cells:
    """Return the columns of a table's file as text.

    path: CSV or other separated text, Parquet, or a workbook, each also compressed by gzip or
    Zstandard. wanted: the columns whose cells are kept, None for all. separator: of text, None to
    find it.
    Raises SeriesError, which names the file and the remedy, where it can't be read.
    """
    content = read_content(path)
    if is_parquet(content) or path.suffix.lower() == ".parquet":
        return read_parquet(path, content, wanted)
    if is_excel(content):
        return read_excel(path, content, wanted)
    if is_zip(content):
        raise SeriesError(f"{path} is a ZIP archive; unpack it, and name the table that is in it")
    return read_text(path, content, wanted, separator)

"""Workbooks of Excel and OpenDocument, by the optional package fastexcel."""

import io
import zipfile
from collections.abc import Collection
from pathlib import Path

from search.errors import SeriesError
from search.series.formats.cells import Cells, Column, check_header, named
from search.series.formats.content import MAX_CONTENT_BYTES


def read_excel(path: Path, content: bytes, wanted: Collection[str] | None) -> Cells:
    """Return the columns of the first sheet as text, its first row that is not empty as header.

    wanted: those to keep, None for all. Raises SeriesError where the package is not installed, and
    for a workbook that is damaged, too large or empty.
    """
    try:
        import fastexcel
    except ImportError:
        raise SeriesError(
            f"{path} is a workbook, for which the package fastexcel must be installed: "
            "pip install 'freerun[excel]', or save the sheet as CSV"
        ) from None
    _check_size(path, content)
    try:
        book = fastexcel.read_excel(content)
        sheets = book.sheet_names
        frame = book.load_sheet(0, header_row=None, dtypes="string").to_polars().fill_null("")
    except fastexcel.FastExcelError as error:
        first = str(error).splitlines()[0]
        raise SeriesError(f"{path} can't be read ({first}); save the sheet as CSV") from error
    rows = [list(row) for row in frame.iter_rows()]
    blank = next((i for i, row in enumerate(rows) if any(cell.strip() for cell in row)), len(rows))
    check_header(path, rows[blank] if blank < len(rows) else [])
    header = named(rows[blank]) if blank < len(rows) else []
    body = [
        (number, row)
        for number, row in enumerate(rows[blank + 1 :], blank + 2)
        if any(cell.strip() for cell in row)
    ]
    columns = [
        Column(name, [row[i] for _, row in body] if wanted is None or name in wanted else ())
        for i, name in enumerate(header)
    ]
    said = f"the first of {len(sheets)} sheets is read, '{sheets[0]}'"
    return Cells(
        path,
        columns,
        [f"row {number}" for number, _ in body],
        (said,) if len(sheets) > 1 else (),
    )


def _check_size(path: Path, content: bytes) -> None:
    """Refuse a small file that unpacks to much: the reader has no bound of its own."""
    if not content.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile as error:
        raise SeriesError(f"{path} is damaged: {error}; save it again") from error
    if unpacked > MAX_CONTENT_BYTES:
        raise SeriesError(
            f"{path} must hold at most {MAX_CONTENT_BYTES / 2**20:g} MiB when unpacked, but holds "
            f"{unpacked / 2**20:.0f}; give fewer rows, or save the sheet as CSV"
        )

"""Text with separated cells: its encoding and its separator are found from the file."""

import csv
import io
import itertools
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from models.methods.values import counted
from search.errors import SeriesError
from search.names import cut
from search.series.formats.cells import UNNAMED_INDEX, Cells, Column, check_header, named
from search.series.numbers import is_missing

SEPARATORS = (",", ";", "\t", "|")
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}

_SAMPLE_ROWS = 100
# Characters of a title that a message shows.
_TITLE = 40
# Excel reads and writes such a line before the header.
_EXCEL_SEPARATOR = re.compile(r'\ufeff?"?sep=(.)"?\r?\n')
_DATA = re.compile(r"[+-]?[0-9][0-9.,:/ TZ+-]*")


class _Row(NamedTuple):
    line: int
    cells: list[str]


def read_text(
    path: Path, content: bytes, wanted: Collection[str] | None, separator: str | None
) -> Cells:
    """Return the columns of a text file; wanted: those to keep, None for all.

    separator: None to find it. Raises SeriesError for bytes that are no text, for broken quotes and
    for a line with more or fewer cells than the header has.
    """
    text, notices = _decode(path, content)
    start = 0
    if found := _EXCEL_SEPARATOR.match(text):
        separator, start = separator or found[1], found.end()
    if separator is None:
        separator = find_separator(text[start:])
    rows = _rows(path, text[start:], separator, first_line=2 if start else 1)
    check_header(path, rows[0].cells if rows else [])
    header = named(rows[0].cells) if rows else []
    body, names = _fitted(path, header, rows[1:], separator)
    if separator != ",":
        notices.append(f"cells are separated by {SEPARATOR_NAMES.get(separator, repr(separator))}")
    kept = [i for i, name in enumerate(names) if wanted is None or name in wanted]
    columns = {i: [row.cells[i] for row in body] for i in kept}
    return Cells(
        path,
        [Column(name, columns.get(i, ())) for i, name in enumerate(names)],
        [f"line {row.line}" for row in body],
        tuple(notices),
        separator,
    )


def _decode(path: Path, content: bytes) -> tuple[str, list[str]]:
    """The text of a file, and what is to be said about its encoding."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding, said = "utf-16", ["its text is UTF-16"]
    elif content[:2].count(0) == 1 and content[:200].count(0) >= len(content[:200]) // 3:
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
        said = ["its text is UTF-16"]
    else:
        encoding, said = "utf-8-sig", []
    try:
        return _checked(path, content.decode(encoding)), said
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise SeriesError(
                f"{path} begins as UTF-16 text, but is not ({error.reason}); save it as UTF-8"
            ) from error
    # Of the bytes that no UTF-8 has, Windows-1252 leaves five without a meaning, ISO 8859-1 none.
    try:
        text, name = content.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        text, name = content.decode("latin-1"), "ISO 8859-1"
    return _checked(path, text), [
        f"its text is no UTF-8 and is read as {name}; if letters are wrong, save it as UTF-8"
    ]


def _checked(path: Path, text: str) -> str:
    if "\0" in text:
        raise SeriesError(f"{path} is no text, and no Parquet or Excel file; save it as CSV")
    return text


def find_separator(text: str) -> str:
    """Return the separator that splits the first rows of a text into equal numbers of cells.

    Of several, the one that makes most cells; a comma where none does, which is the usual one.
    """
    sample = "".join(itertools.islice(io.StringIO(text, newline=""), _SAMPLE_ROWS))
    best, most = "", (0.0, 0)
    for separator in SEPARATORS:
        counts = _counts(sample, separator)
        if not counts or counts[0] < 2:
            continue
        # Rows may have one cell more: an index without a name, or a separator at their end.
        body = counts[1:] or counts
        share = max(body.count(counts[0]), body.count(counts[0] + 1)) / len(body)
        if (share, counts[0]) > most:
            best, most = separator, (share, counts[0])
    return best or ","


def _counts(sample: str, separator: str) -> list[int]:
    """How many cells the rows of a sample have; the last row may be cut off."""
    try:
        rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=separator))
    except csv.Error:
        return []
    return [len(row) for row in rows if row]


def _rows(path: Path, text: str, separator: str, first_line: int) -> list[_Row]:
    """All rows that are not blank, with their lines.

    By the csv module, not polars: it knows the line of a row, whatever is quoted or blank before.
    """
    # A space between separator and quote would make the quote part of the cell.
    is_padded = f'{separator} "' in text
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=is_padded
    )
    above = first_line - 1
    try:
        return [
            _Row(reader.line_num + above, row)
            for row in reader
            if row and any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise SeriesError(
            f"{path}, line {reader.line_num + above}: not CSV ({error}); correct the quotes there"
        ) from error


def _fitted(
    path: Path, header: list[str], rows: list[_Row], separator: str
) -> tuple[list[_Row], list[str]]:
    """The rows with as many cells as the header.

    Where every row has one cell more, its last is empty after a separator at the end of the lines,
    or its first belongs to an index without a name, as R writes it.
    """
    is_title = len(header) == 1 and rows and not _is_data(rows[0].cells[-1])
    if rows and not is_title and all(len(row.cells) == len(header) + 1 for row in rows):
        if not any(row.cells[-1].strip() for row in rows):
            return [_Row(row.line, row.cells[:-1]) for row in rows], header
        return rows, [UNNAMED_INDEX if UNNAMED_INDEX not in header else "", *header]
    for row in rows:
        if len(row.cells) != len(header):
            raise SeriesError(_uneven(path, header, row, separator))
    return rows, header


def _is_data(cell: str) -> bool:
    return is_missing(cell) or _DATA.fullmatch(cell.strip()) is not None


def _uneven(path: Path, header: Sequence[str], row: _Row, separator: str) -> str:
    has = len(row.cells)
    advice = "correct the line"
    if len(header) == 1 and has > 1:
        advice = "begin the file with the names of its columns, and leave titles above them out"
    elif has > len(header) and separator == ",":
        advice = "correct the line; numbers with commas need quotes, or another separator"
    count = counted(len(header), "cell")
    named = f" ({cut(header[0], _TITLE)!r})" if len(header) == 1 else ""
    return (
        f"{path}, line {row.line}: every line must have {count} as the header has{named}, "
        f"but this one has {has}; {advice}"
    )

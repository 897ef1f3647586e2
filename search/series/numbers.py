"""The numbers in the cells of a table: decimal signs, thousands, and what stands for no value."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from search.series.source import FloatArray

DecimalSign = Literal[".", ","]

# What pandas reads as missing, and signs that statistics offices and old programs write.
_NO_VALUE = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "na", "NULL", "null", "None"}
    | {"none", "NaN", "nan", "NAN", "-NaN", "-nan", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"}
    | {"?", "-", "--", "–", "—", ".", "..", ":"}
)

# float() alone would also take "infinity" and "1_000".
_PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# A space or an apostrophe between thousands decides nothing about the decimal sign.
_BLANKS = " \u00a0\u2009\u202f'\u2019"
_GROUPED = {
    sign: re.compile(
        rf"[+-]?[0-9]{{1,3}}([{thousands}{_BLANKS}][0-9]{{3}})+(\{sign}[0-9]*)?"
        rf"|[+-]?([0-9]+\{sign}?[0-9]*|\{sign}[0-9]+)([eE][+-]?[0-9]+)?"
    )
    for sign, thousands in ((".", ","), (",", "."))
}
# Money, a share or a measurement. Letters stand apart before a number, or it is a name.
_MOST_WITH_UNIT = 40
_SIGNS = "$€£¥₹"
_WITH_UNIT = re.compile(
    rf"[+-]?(?P<before>[A-Z]{{0,3}}[{_SIGNS}]|[A-Za-z]{{1,4}}(?=[{_BLANKS}]))?[{_BLANKS}]?"
    rf"(?P<number>[+-]?[0-9.,]*[0-9](?:[0-9.,{_BLANKS}]*[0-9])?)[{_BLANKS}]?"
    rf"(?P<after>[{_SIGNS}%‰]|°[CFK]?|[^\W\d_]{{1,5}}[²³]?(?:/[^\W\d_]{{1,5}}[²³]?)?)?"
)
# Words for 1 and 0, which are no numbers themselves.
TRUTHS = frozenset({"true", "false", "yes", "no"})
_ONE_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


class CellError(ValueError):
    """A cell, or all of a column, breaks a rule.

    row: index of the offending row. rule: what is wrong and how to put it right.
    """

    def __init__(self, row: int, rule: str) -> None:
        super().__init__(rule)
        self.row = row
        self.rule = rule


@dataclass(frozen=True)
class Numbers:
    """The values `[row, column]` of some columns, NaN where there is none, and how they stand."""

    values: FloatArray
    notices: tuple[str, ...]


def read_numbers(
    columns: Mapping[str, Sequence[str]],
    decimal: DecimalSign | None = None,
    separator: str | None = None,
    truths: Collection[str] = (),
    own_rows: int | None = None,
) -> Numbers:
    """Read the cells of some columns, all with one decimal sign and one way to write thousands.

    columns: cells by the name of the column. decimal: the sign, None to find it from all cells.
    separator: of the file, which no bare number contains. truths: columns that might have held true
    and false instead, own_rows: how many rows are of the file itself, None for all, both for
    messages; rows behind them are later ones of another file.
    Raises CellError for the first cell that is no finite number, and where the decimal sign can't
    be told.
    """
    texts = {name: [cell.strip() for cell in cells] for name, cells in columns.items()}
    if decimal is None and separator in (None, ",") and all(map(_all_plain, texts.values())):
        decimal = "."
    sign = decimal or _found_sign(texts)
    why_sign = _WhySign(sign, decimal is not None, own_rows)
    values = [_column(name, cells, why_sign, name in truths) for name, cells in texts.items()]
    return Numbers(np.column_stack(values), tuple(_said(texts, sign)))


def is_missing(cell: str) -> bool:
    """Whether a cell stands for no value."""
    return cell.strip() in _NO_VALUE


def is_amount(cell: str) -> bool:
    """Whether a cell is a number, also one with a decimal comma, thousands or a unit."""
    if len(cell) > _MOST_WITH_UNIT:
        return False
    return any(grouped.fullmatch(cell) for grouped in _GROUPED.values()) or bool(unit_of(cell))


def unit_of(cell: str) -> str | None:
    """The unit in a cell that would be a number without it, such as "$" or "EUR"; else None."""
    found = None if len(cell) > _MOST_WITH_UNIT else _WITH_UNIT.fullmatch(cell.strip())
    if found is None or not any(own.fullmatch(found["number"]) for own in _GROUPED.values()):
        return None
    return found["before"] or found["after"]


def _all_plain(cells: Sequence[str]) -> bool:
    return all(cell in _NO_VALUE or _PLAIN.fullmatch(cell) for cell in cells)


def _fits(cell: str, sign: DecimalSign) -> bool:
    return cell in _NO_VALUE or _GROUPED[sign].fullmatch(cell) is not None


def _found_sign(texts: Mapping[str, Sequence[str]]) -> DecimalSign:
    """The one decimal sign under which most cells are numbers."""
    cells = [cell for column in texts.values() for cell in column]
    signs: tuple[DecimalSign, DecimalSign] = (".", ",")
    fitting = {sign: sum(_fits(cell, sign) for cell in cells) for sign in signs}
    if fitting["."] != fitting[","]:
        return "." if fitting["."] > fitting[","] else ","
    signed = [cell for cell in cells if "." in cell or "," in cell]
    if not signed or not all(map(_ONE_GROUP.fullmatch, signed)):
        return "."
    # Numbers with three digits behind the sign everywhere: that may be thousands or decimals.
    name, row = next(
        (name, row)
        for name, column in texts.items()
        for row, cell in enumerate(column)
        if cell == signed[0]
    )
    own: DecimalSign = "." if "." in signed[0] else ","
    other = "," if own == "." else "."
    is_alone = len(signed) == sum(cell not in _NO_VALUE for cell in cells)
    if "." in signed[0] and is_alone:
        return "."  # by far the more usual one, and equal but for the unit
    raise CellError(
        row,
        f"in the column '{name}' the sign '{own}' of '{signed[0]}' may stand before decimals or "
        f'between thousands, and no cell tells which; write decimal = "{own}" in [series] where it '
        f'stands before decimals, decimal = "{other}" where it stands between thousands',
    )


class _WhySign(NamedTuple):
    """The decimal sign, whether the user named it, and how many rows are of the file itself."""

    sign: DecimalSign
    is_named: bool
    own_rows: int | None

    def against(self, row: int) -> str:
        """Why the other sign is wrong in a row, and what would be right."""
        other = "," if self.sign == "." else "."
        if self.own_rows is not None and row >= self.own_rows:
            return (
                f"while the file of the series has the decimal sign '{self.sign}'; write later "
                "rows with that sign"
            )
        if self.is_named:
            return (
                f"while the decimal sign is named as '{self.sign}'; write all numbers with it, or "
                f'write decimal = "{other}" in [series]'
            )
        return (
            f"while other cells have the decimal sign '{self.sign}'; write all with one sign, or "
            f'write decimal = "{other}" in [series] if that is the sign'
        )


def _column(name: str, cells: Sequence[str], why_sign: _WhySign, may_be_truths: bool) -> FloatArray:
    sign = why_sign.sign
    other = "," if sign == "." else "."
    dropped = str.maketrans("", "", other + _BLANKS)
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        if cell in _NO_VALUE:
            values[row] = math.nan
            continue
        text = cell
        if not _PLAIN.fullmatch(cell) or sign == ",":
            if not _GROUPED[sign].fullmatch(cell):
                raise CellError(row, _no_number(name, cells, row, why_sign, may_be_truths))
            text = cell.translate(dropped).replace(",", ".")
        values[row] = float(text)
        if not math.isfinite(values[row]):
            raise CellError(row, _no_number(name, cells, row, why_sign, may_be_truths))
    return values


def _no_number(
    name: str, cells: Sequence[str], row: int, why_sign: _WhySign, may_be_truths: bool
) -> str:
    """What is wrong with a cell of a column, and what would be right."""
    cell = cells[row]
    must = "finite numbers, or true and false alone" if may_be_truths else "finite numbers"
    said = f"the column '{name}' must hold {must}, but has '{cell}'"
    if (unit := unit_of(cell)) is not None:
        return f"{said}; write numbers without a unit: remove '{unit}'"
    if _GROUPED["," if why_sign.sign == "." else "."].fullmatch(cell):
        return f"{said}, {why_sign.against(row)}"
    if cell.lower() in TRUTHS:
        return f"{said}; write 1 and 0"
    filled = [own for own in cells if own not in _NO_VALUE]
    if 2 * sum(map(is_amount, filled)) < len(filled):
        return (
            f"{said}; text is not read: leave the column out, or give each of its kinds a column "
            "of 1 and 0"
        )
    return (
        f"{said}; correct it, or leave it empty and say in [series] how missing values are filled"
    )


def _said(texts: Mapping[str, Sequence[str]], sign: DecimalSign) -> list[str]:
    """What is unusual about how numbers are written."""
    thousands = "." if sign == "," else ","
    cells = [cell for column in texts.values() for cell in column if cell not in _NO_VALUE]
    said = []
    if sign == "," and any("," in cell for cell in cells):
        said.append("numbers have a decimal comma")
    if any(thousands in cell for cell in cells):
        said.append(f"numbers have '{thousands}' between thousands")
    return said

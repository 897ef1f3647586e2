"""What may be replaced: never a file that is read, nor one that is no output of its kind.

Commands and functions of Python ask before they compute. `search.files` writes. What outputs are
known by stands here: the names of the files of an export, and of the ends of bands in a forecast.
"""

import csv
import gzip
import io
import itertools
import os
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from search.errors import ExportError, UsageError
from search.files import at_home

# Where the mark of a kind stands, and what a study file or the header of a table has at most.
_HEAD_BYTES = 2**16
# Of pictures and pages that freerun writes.
PNG_MARK = ("Software", "freerun")
# The files of an export; the manifest marks a folder as one.
MANIFEST, CANDIDATE, STUDY, DATA = "manifest.json", "candidate.json", "study.json", "data"
WEIGHTS, HELD_OUT, README = "weights.safetensors", "held-out.safetensors", "README.md"
# A copy of the networks for other programs, which nothing here reads.
ONNX = "model.onnx"
EXPORT_FILES = frozenset({MANIFEST, CANDIDATE, STUDY, DATA, WEIGHTS, HELD_OUT, README, ONNX})
# What `band_ends` gives.
_END = re.compile(r"_(low|high)_[0-9.e+-]+$")
# Of a time: earlier versions write it of instants of a Parquet file, and this one does not.
NO_FRACTION = re.compile(r"\.0+(?=Z|[+-][0-9:]+$|$)")
# In the heads of a report and of a page with a forecast, before the version.
REPORT_MARK = '<meta name="generator" content="freerun '
PAGE_MARK = '<meta name="generator" content="freerun-forecast '
# What pages of 0.1 and earlier have instead, the title of their figure at their end.
_OLD_PAGE_MARK = b'"text":"Forecast of '
# The last entry of the metadata of an ONNX model, which stand at its end.
ONNX_MARK = "freerun.version"
# The first field of an ONNX model, the version of its format as a number.
_ONNX_START = b"\x08"
# What `forecast_kind` and `write_forecast` know by the end of a name; anything else but these of
# other formats is written as CSV.
PARQUET, PACKED = ".parquet", ".gz"
_OTHER_FORMATS = re.compile(
    r"\.(7z|arrow|avro|bz2|docx?|feather|gif|h5|hdf5|html?|ipc|jpe?g|jsonl?|mat|md|np[yz]|ods|onnx"
    r"|orc|parq|pdf|pickle|pkl|png|pq|rar|sqlite|svg|tar|tgz|toml|tsv|xls[bmx]?|xml|xz|ya?ml|zip|zst)"
)


@dataclass(frozen=True)
class OutputKind:
    """A kind of file that is written.

    name: in messages. holds: whether a file, open at its start, is of this kind.
    needs_consent: whether a file of this kind is replaced with --force alone, since it may hold a
    user's work, or looks like a user's data.
    """

    name: str
    holds: Callable[[BinaryIO], bool]
    needs_consent: bool = False


def band_ends(levels: Iterable[float]) -> list[str]:
    """What follows the name of a column of a forecast for the ends of bands: _low_80, _high_80, ...

    levels: in percent.
    """
    return [f"_{side}_{level:g}" for level in levels for side in ("low", "high")]


def _is_report(file: BinaryIO) -> bool:
    head = file.read(_HEAD_BYTES)
    return head.lstrip()[:15].lower() == b"<!doctype html>" and REPORT_MARK.encode() in head


def _is_page(file: BinaryIO) -> bool:
    head = file.read(_HEAD_BYTES)
    if not head.startswith((b"<html>", b"<!doctype html>")):
        return False
    return PAGE_MARK.encode() in head or _OLD_PAGE_MARK in _tail(file)


def _is_onnx(file: BinaryIO) -> bool:
    return file.read(1) == _ONNX_START and ONNX_MARK.encode() in _tail(file)


def _tail(file: BinaryIO) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _HEAD_BYTES))
    return file.read()


def _is_picture(file: BinaryIO) -> bool:
    head = file.read(_HEAD_BYTES)
    return head.startswith(b"\x89PNG") and b"\0".join(map(str.encode, PNG_MARK)) in head


def _is_study_file(file: BinaryIO) -> bool:
    try:
        found = tomllib.loads(file.read(_HEAD_BYTES).decode())
    except (ValueError, RecursionError):
        return False
    return "series" in found and "task" in found


REPORT = OutputKind("report of freerun", _is_report)
PICTURE = OutputKind("picture that freerun made", _is_picture)
PAGE = OutputKind("page with a forecast that freerun made", _is_page)
ONNX_MODEL = OutputKind("model in ONNX that freerun wrote", _is_onnx)
STUDY_FILE = OutputKind("study file", _is_study_file, needs_consent=True)


def forecast_kind(columns: Sequence[str], times: Sequence[str] | None = None) -> OutputKind:
    """The kind of a forecast as CSV or Parquet.

    columns: its header, but for the ends of bands. times: of its rows in their order; a CSV with
    just these is replaced without consent. By its columns alone, nothing tells a forecast from
    measurements.
    """

    def holds(file: BinaryIO) -> bool:
        head = file.read(_HEAD_BYTES)
        if head.startswith(b"\x1f\x8b"):
            head = _unpacked(file)
        if head.startswith(b"PAR1"):
            return times is None and _without_ends(_parquet_columns(file)) == list(columns)
        try:
            lines = list(csv.reader(io.StringIO(head.decode("utf-8-sig", errors="replace"))))
        except csv.Error:
            return False
        if not lines or _without_ends(lines[0]) != list(columns):
            return False
        # The last line may be cut off.
        rows = lines[1:] if len(head) < _HEAD_BYTES else lines[1:-1]
        if times is None:
            return True
        found = [NO_FRACTION.sub("", row[0]) for row in rows if row]
        return found == [NO_FRACTION.sub("", time) for time in times[: len(rows)]]

    return OutputKind("forecast of the same columns", holds, needs_consent=times is None)


def _unpacked(file: BinaryIO) -> bytes:
    """The start of what gzip compressed; nothing where it is damaged."""
    file.seek(0)
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            return stream.read(_HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""


def _without_ends(names: Iterable[str]) -> list[str]:
    return [name for name in names if not _END.search(name)]


def _parquet_columns(file: BinaryIO) -> list[str]:
    """The names of the columns of a Parquet file; none where it is damaged."""
    # Imported here: it costs a fifth of a second that no CSV should wait for.
    import polars
    from polars.exceptions import PanicException, PolarsError

    file.seek(0)
    try:
        return list(polars.read_parquet_schema(file))
    except (PolarsError, PanicException):
        return []


def check_results(folder: Path) -> None:
    """Raise UsageError or ExportError where report and export can't be written to a folder."""
    target = at_home(folder)
    above = next(path for path in (target, *target.absolute().parents) if os.path.lexists(path))
    if not above.is_dir():
        raise UsageError(f"{folder} must be a folder, but {above} is a file; name another one")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} must be a folder that can be written, but {above} can't; name another one"
        )
    check_output(folder / "report.html", REPORT)
    check_export(folder / "export")


def check_export(folder: Path) -> None:
    """Raise ExportError for a path at which there is anything but an export or an empty folder."""
    target = at_home(folder)
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise ExportError(f"an export is a folder, but {folder} is a file; name another one")
    try:
        held = {path.name for path in target.iterdir()}
    except OSError as error:
        raise ExportError(
            f"{folder} is there and can't be read ({error.strerror}); name another folder"
        ) from error
    if held and MANIFEST not in held:
        raise ExportError(
            f"{folder} must be empty or an older export, but holds other files, such as "
            f"{min(held)}; name another folder"
        )
    if foreign := held - EXPORT_FILES:
        raise ExportError(
            f"{folder} holds an export, which would be replaced, but also {min(foreign)}; move "
            "that, or name another folder"
        )


def check_output(
    path: Path, kind: OutputKind, *, inputs: Iterable[Path] = (), force: bool = False
) -> None:
    """Raise UsageError where a file may not be written to a path.

    inputs: files and folders that the command reads, which no output replaces. force: whether the
    user agreed to replace a file of a kind that needs it. Any other file that is there stays.
    """
    check_apart(path, inputs)
    target = at_home(path)
    if not os.path.lexists(target):
        return
    if not target.is_file():
        what = "is a folder" if target.is_dir() else "is no regular file"
        raise UsageError(f"{path} must be a file to write, but {what}; name another file")
    try:
        with target.open("rb") as file:
            is_empty = not target.stat().st_size
            is_of_kind = is_empty or kind.holds(file)
    except OSError as error:
        raise UsageError(
            f"{path} is there and can't be read ({error.strerror}); name another file"
        ) from error
    if not is_of_kind:
        raise UsageError(
            f"{path} must be new or a {kind.name}, since it would be replaced, but is another "
            "file; name another one, or move that one away"
        )
    if not is_empty and kind.needs_consent and not force:
        raise UsageError(
            f"{path} is already there; name another file with -o, or replace it with --force"
        )


def check_forecast_name(path: Path) -> None:
    """Raise UsageError for a name of a forecast that ends as that of another format does.

    Readers go by the end: a workbook that is CSV text opens nowhere.
    """
    unpacked = Path(path.stem) if path.suffix.lower() == PACKED else path
    ending = unpacked.suffix.lower()
    if _OTHER_FORMATS.fullmatch(ending) or (unpacked is not path and ending == PARQUET):
        own = unpacked.stem.removesuffix(".csv")
        raise UsageError(
            f"a forecast must be written as CSV (.csv, .csv.gz) or Parquet (.parquet), but the "
            f"name {path} ends in another way; write for example {path.with_name(own + '.csv')}"
        )


def check_different(outputs: Mapping[str, Path]) -> None:
    """Raise UsageError where two outputs would take one place, or one stands below the other.

    outputs: each with the option that names it.
    """
    for (option, path), (other_option, other) in itertools.combinations(outputs.items(), 2):
        one, two = at_home(path), at_home(other)
        if _is_same(one, two) or _is_below(one, two) or _is_below(two, one):
            raise UsageError(
                f"{option} and {other_option} must name different files, neither below the other, "
                f"but got {path} and {other}; name another file with one of them"
            )


def check_apart(path: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError where a file or folder to write is one that the command reads, or in one."""
    for source in inputs:
        if _is_same(at_home(path), at_home(source)):
            raise UsageError(
                f"{path} must be another file than {source}, which is read; name another one"
            )
        if at_home(source).is_dir() and _is_below(at_home(path), at_home(source)):
            raise UsageError(f"{path} must be outside of {source}, which is read; name another one")


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also by links; a file may be yet to come."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def _is_below(path: Path, folder: Path) -> bool:
    """Whether a path, which may be yet to come, leads into a folder, also by links."""
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents

"""What a command may replace: never a file that it reads, nor one that is no output of its kind.

Commands ask before they compute. `search.files` writes.
"""

import csv
import io
import os
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.errors import UsageError

# Where the mark of a kind stands, and what a study file or the header of a table has at most.
_HEAD_BYTES = 2**16
# Of pictures and pages that freerun writes.
PNG_MARK = ("Software", "freerun")
_GENERATOR = b'<meta name="generator" content="freerun '


@dataclass(frozen=True)
class OutputKind:
    """A kind of file that a command writes.

    name: in messages. holds: whether the first bytes of a file are those of this kind.
    needs_consent: whether a file of this kind is replaced with --force alone, since it may hold a
    user's work, or looks like a user's data.
    """

    name: str
    holds: Callable[[bytes], bool]
    needs_consent: bool = False


def _is_report(head: bytes) -> bool:
    return head.lstrip()[:15].lower() == b"<!doctype html>" and _GENERATOR in head


def _is_picture(head: bytes) -> bool:
    return head.startswith(b"\x89PNG") and b"\0".join(map(str.encode, PNG_MARK)) in head


def _is_study_file(head: bytes) -> bool:
    try:
        found = tomllib.loads(head.decode())
    except (ValueError, RecursionError):
        return False
    return "series" in found and "task" in found


REPORT = OutputKind("report of freerun", _is_report)
PICTURE = OutputKind("picture that freerun made", _is_picture)
STUDY_FILE = OutputKind("study file", _is_study_file, needs_consent=True)


def forecast_kind(columns: Sequence[str], times: Sequence[str] | None = None) -> OutputKind:
    """The kind of a forecast as CSV or Parquet.

    columns: its header. times: of its rows in their order; a CSV with just these is replaced
    without consent. By its columns alone, nothing tells a forecast from measurements.
    """

    def holds(head: bytes) -> bool:
        if head.startswith(b"PAR1"):
            return times is None
        lines = list(csv.reader(io.StringIO(head.decode("utf-8-sig", errors="replace"))))
        if not lines or lines[0][: len(columns)] != list(columns):
            return False
        # The last line may be cut off.
        rows = lines[1:] if len(head) < _HEAD_BYTES else lines[1:-1]
        return times is None or [row[0] for row in rows if row] == list(times)[: len(rows)]

    return OutputKind("forecast of the same columns", holds, needs_consent=times is None)


def check_output(
    path: Path, kind: OutputKind, *, inputs: Iterable[Path] = (), force: bool = False
) -> None:
    """Raise UsageError where a file may not be written to a path.

    inputs: files and folders that the command reads, which no output replaces. force: whether the
    user agreed to replace a file of a kind that needs it. Any other file that is there stays.
    """
    check_apart(path, inputs)
    target = path.expanduser()
    if not os.path.lexists(target):
        return
    if not target.is_file():
        what = "is a folder" if target.is_dir() else "is no regular file"
        raise UsageError(f"{path} must be a file to write, but {what}; name another file")
    try:
        with target.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path} is there and can't be read ({error.strerror}); name another file"
        ) from error
    if head and not kind.holds(head):
        raise UsageError(
            f"{path} must be new or a {kind.name}, since it would be replaced, but is another "
            "file; name another one, or move that one away"
        )
    if head and kind.needs_consent and not force:
        raise UsageError(
            f"{path} is already there; name another file with -o, or replace it with --force"
        )


def check_apart(path: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError where a file or folder to write is one that the command reads."""
    for source in inputs:
        if _is_same(path.expanduser(), source.expanduser()):
            raise UsageError(
                f"{path} must be another file than {source}, which is read; name another one"
            )


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also by links; a file may be yet to come."""
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)

"""The door for files: each is read and written here, within the bounds of its kind.

What is read is a regular file of a bounded size, whatever its name leads to; what is written
appears whole or not at all. Text from templates is made here, too.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import stat
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.methods.values import nearest
from search.errors import (
    ExportError,
    SeriesError,
    StorageError,
    StudyFileError,
    UsageError,
    UserError,
)
from search.names import cut

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def template(package: str, name: str) -> Template:
    """Return a file of a package's `templates` folder; values are escaped in HTML.

    A template that uses a name which it is not given raises an error.
    """
    return _environment(package).get_template(name)


@cache
def _environment(package: str) -> Environment:
    # Imported here: most commands write no text from a template.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@dataclass(frozen=True)
class FileKind:
    """What a file is read as.

    name: in messages. most_bytes: above which it is refused. error: what is raised. remedy: what
    to do instead of naming something that is no such file.
    """

    name: str
    most_bytes: int
    error: type[UserError]
    remedy: str


STUDY_FILE = FileKind("a study file", 2**20, StudyFileError, "name the study file (TOML)")
TABLE_FILE = FileKind("a table", 256 * 2**20, SeriesError, "name a CSV, Parquet or Excel file")
LOGIN_FILE = FileKind("a login file", 2**14, UsageError, "name another one")
# Weights hold what the networks learnt; fitted forms keep their training span in them.
EXPORT_PART = FileKind("a file of an export", 512 * 2**20, ExportError, "export again")
# Only its start is ever read here: `read_head`.
BACKUP_FILE = FileKind("a backup", 2**63, StorageError, "name a file that `freerun backup` wrote")

# Far deeper than anything that freerun writes, far below what Python's parser can recurse.
MOST_NESTED = 32
_CHUNK_BYTES = 2**20
_PATH_SHOWN = 300
# Files of a folder among which one of a similar name is looked for.
_MOST_BESIDE = 2000
# By the file type of `stat`; regular files are the only ones that end, and stay as they are.
_OTHERS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_file(path: Path, kind: FileKind, *, missing: Callable[[], str] | None = None) -> bytes:
    """Return what a regular file holds; links are followed.

    missing: the message for a file that is not there, instead of the usual one.
    Raises the error of the kind, with a message that names the file, the rule and the remedy.
    """
    return _read(path, kind, _content, missing)


def read_head(path: Path, kind: FileKind, most_bytes: int) -> bytes:
    """Return the first bytes of a regular file of any size; raises as `read_file` does."""

    def head(path: Path, descriptor: int, kind: FileKind) -> bytes:
        _check_regular(path, os.fstat(descriptor), kind)
        return os.read(descriptor, most_bytes)

    return _read(path, kind, head)


def _read(
    path: Path,
    kind: FileKind,
    read: Callable[[Path, int, FileKind], bytes],
    missing: Callable[[], str] | None = None,
) -> bytes:
    try:
        # A pipe that nobody writes to would hold up an open that waits.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            return read(path, descriptor, kind)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        said = f"{shown_path(path)} must be {kind.name}, but does not exist; {kind.remedy}"
        if kind is TABLE_FILE and (like := like_named(path)):
            said += f".{like}"
        raise kind.error(said if missing is None else missing()) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise kind.error(
            f"{shown_path(path)} must be {kind.name}, but can't be read: {reason_of(error)}; "
            f"{kind.remedy}"
        ) from error


def _content(path: Path, descriptor: int, kind: FileKind) -> bytes:
    # Asked of what is open: the name may lead elsewhere by now.
    found = os.fstat(descriptor)
    _check_regular(path, found, kind)
    chunks: list[bytes] = []
    size = 0
    # Counted, too: a file may grow, and one of the kernel's says that it is empty.
    while found.st_size <= kind.most_bytes and size <= kind.most_bytes:
        chunk = os.read(descriptor, _CHUNK_BYTES)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    raise kind.error(
        f"{kind.name} must be at most {kind.most_bytes / 2**20:.3g} MiB, but {shown_path(path)} is "
        f"larger; {kind.remedy}"
    )


def _check_regular(path: Path, found: os.stat_result, kind: FileKind) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = _OTHERS.get(stat.S_IFMT(found.st_mode), "no regular file")
        raise kind.error(f"{shown_path(path)} must be {kind.name}, but is {what}; {kind.remedy}")


def like_named(path: Path) -> str:
    """Return " Did you mean 'x'?" for a file beside a missing one with a similar name, or ""."""
    try:
        beside = [own.name for own in itertools.islice(path.parent.iterdir(), _MOST_BESIDE)]
    except OSError:
        return ""
    return nearest(path.name, [cut(name) for name in beside])


def read_json(content: bytes | str) -> Any:
    """Parse JSON of a bounded depth; ValueError, with the reason, for anything else."""
    try:
        found = json.loads(content)
    except RecursionError:
        found = None
        depth = MOST_NESTED + 1
    else:
        depth = _depth(found)
    if depth > MOST_NESTED:
        raise ValueError(f"it must be nested at most {MOST_NESTED} deep, but is deeper")
    return found


def _depth(found: Any) -> int:
    """How deep JSON values are nested, up to one more than is allowed."""
    level, depth = [found], 0
    while depth <= MOST_NESTED:
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            break
        depth += 1
    return depth


def expand(compressed: bytes, most_bytes: int) -> bytes:
    """Return what zlib compressed; ValueError where it is damaged or expands to more."""
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(compressed, most_bytes + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(content) > most_bytes:
        raise ValueError(f"it must expand to at most {most_bytes / 2**20:g} MiB, but is larger")
    if not decompressor.eof:
        raise ValueError("its end is missing")
    return content


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it; makes its folder if needed.

    A link is followed, so that it stays one. Raises UsageError where that fails: then nothing new
    is left.
    """
    with _writing(path, "name another file") as target, _folder_of(target):
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if target.exists() and not target.is_file():
            raise FileExistsError(0, "it is no regular file")
        temporary = _beside(target)
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path, mode: int) -> Iterator[Path]:
    """Yield an empty file beside a path, for the block to fill; it then takes the path, synced.

    For what other libraries and programs write, of any size. mode: its rights, less the umask.
    Raises UsageError where that fails: then nothing new is left.
    """
    with _writing(path, "name another file") as target, _folder_of(target):
        temporary = _beside(target)
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            yield temporary
            _sync(temporary)
            temporary.replace(target)
            _sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_folder(path: Path, files: Mapping[str, bytes], check: Callable[[Path], None]) -> None:
    """Write a folder of files as a whole; what is there before is replaced.

    check: raises an error where what stands at a path must stay. Raises UsageError where the
    folder can't be written: then the former one is there, or none.
    """
    with _writing(path, "name another folder") as target, _folder_of(target):
        # Before anything is written, and again right before it is replaced.
        check(target)
        new, old = _beside(target), _beside(target)
        try:
            new.mkdir()
            for name, content in files.items():
                (new / name).write_bytes(content)
            while not _took_place(new, target, old, check):
                shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _took_place(new: Path, target: Path, old: Path, check: Callable[[Path], None]) -> bool:
    """Put a folder in the place of another, which becomes `old`; False where another process has
    put one there at the same moment."""
    check(target)
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        new.rename(target)
    except OSError as error:
        with suppress(OSError):  # there was none, or another process has put one there
            old.rename(target)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def make_folder(path: Path) -> None:
    """Make a folder where there is none. Raises UsageError where that fails."""
    with _writing(path, "name another folder") as target:
        target.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(path: Path, remedy: str) -> Iterator[Path]:
    """Yield where a path leads; what fails while the block writes there becomes one message."""
    try:
        target = Path(os.path.realpath(path.expanduser()))
        if not target.name:
            raise IsADirectoryError(0, "it is the root of all folders")
        yield target
    # ValueError: a null byte; RuntimeError: the home of a user that is not known.
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{shown_path(path)} can't be written: {reason_of(error)}; {remedy}"
        ) from error


@contextmanager
def _folder_of(target: Path) -> Iterator[None]:
    """Make the folder in which the block writes; take it back where the block fails."""
    made: list[Path] = []
    try:
        for folder in reversed(target.parents):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                made.append(folder)
        yield
    except BaseException:
        for folder in reversed(made):
            try:
                folder.rmdir()
            except OSError:  # another process writes there
                break
        raise


def _beside(target: Path) -> Path:
    # A name of its own, since the target's may be as long as names can be.
    return target.with_name(f".{uuid.uuid4().hex}.part")


def at_home(path: Path) -> Path:
    """A path with the home that a ~ at its beginning stands for; UsageError where there is none."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageError(
            f"a ~ at the beginning of a path must stand for the home of a user, but "
            f"{shown_path(path)} names none that is known; write the path in full"
        ) from None


def shown_path(path: Path) -> str:
    """A path as messages show it: start and end of a long one."""
    text = str(path)
    if len(text) <= _PATH_SHOWN:
        return cut(text, _PATH_SHOWN)
    return f"{cut(text[: _PATH_SHOWN // 3], _PATH_SHOWN)}...{cut(text[-_PATH_SHOWN // 2 :])}"


def reason_of(error: Exception) -> str:
    """Why the system refused, without the name that it refused."""
    reason = error.strerror if isinstance(error, OSError) else None
    return cut(reason or str(error))

"""Whether a SQLite file is whole, looked at before it is opened: a damaged one stays as it is.

SQLite itself would go on in silence after two kinds of damage: it takes an empty file for a new
database, and deletes the write-ahead log beside it; and it drops what follows the first damaged
place of that log.

The shared memory that a killed process leaves beside the log says how far the log was written. With
it a log that ends too early is told from one that a killed process wrote in part. After a power cut
the log may end earlier than that by right, and so an older shared memory is left aside.

The layouts are those of https://www.sqlite.org/walformat.html and
https://www.sqlite.org/fileformat2.html#walformat.
"""

import math
import os
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from search.errors import StorageError
from search.files import reason_of, shown_path
from search.names import cut
from search.storage.sqlite_files import connect_file, quick_check

REMEDY: Final = (
    "move it away and restore a backup (`freerun restore FILE`), or name another storage"
)
# Files up to this size are read whole at each opening, at 2 ms a MiB; larger ones on request.
CHECKED_BYTES: Final = 64 * 2**20

_LOCK_SECONDS = 10.0
_DAMAGE = ("malformed", "not a database", "encrypted")
_WAL_MAGIC = 0x377F0682  # and 1 more where checksums are of big-endian words
_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_INDEX_COPY_BYTES, _INDEX_HEAD_BYTES = 48, 136
# Frames whose checksums are computed together: 4 MiB of pages of the usual size.
_FRAMES_AT_ONCE = 1024

Words = NDArray[np.uint32]


class _Index(NamedTuple):
    """What the shared memory says of the log. frames: committed ones; copied: those that are in the
    database as well; salts: of the log's header."""

    frames: int
    copied: int
    salts: bytes


def check_undamaged(path: Path, *, whole: bool) -> None:
    """Raise StorageError for a damaged SQLite file; it and its log stay as they are, byte for byte.

    whole: read the file whole also where that takes seconds. A file that is not there is fine, and
    so is one that this process has open.
    """
    try:
        if path.exists() and not _is_open_here(path):
            _check(path, whole=whole)
    except OSError as error:
        raise StorageError(
            f"a SQLite storage must be readable, but {shown_path(Path(error.filename or path))} is "
            f"not: {reason_of(error)}. Check the rights on it, and how many files a process may "
            "have open (ulimit -n)."
        ) from error


def _check(path: Path, *, whole: bool) -> None:
    size, log = path.stat().st_size, path.with_name(path.name + "-wal")
    if size == 0:
        raise StorageError(
            f"a SQLite storage must not be an empty file, but {shown_path(path)} is: what it held "
            f"is lost. Remedy: {REMEDY}; where it never held a study, remove it, and `freerun run` "
            "makes a new one."
        )
    _check_log(path, log)
    if whole or size <= CHECKED_BYTES:
        _check_pages(path, log)


def _is_open_here(path: Path) -> bool:
    """Whether this process has a file open.

    SQLite's locks are lost where a process closes any descriptor of a file, so that its files must
    not be opened a second time by other means.
    """
    wanted = path.stat()
    try:
        names = [own.name for own in Path("/dev/fd").iterdir()]
    except OSError:  # it can't be known, so nothing is risked
        return True
    for name in names:
        try:
            found = os.fstat(int(name))
        except OSError:  # it was the descriptor of the list itself
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def _check_pages(path: Path, log: Path) -> None:
    try:
        with closing(_reader(path, log)) as connection:
            found = quick_check(connection)
    except sqlite3.DatabaseError as error:
        # Anything else is said by the opening that follows.
        if not any(words in str(error) for words in _DAMAGE):
            return
        found = str(error)
    if found != "ok":
        reason = cut(" ".join(found.split()), 200).removeprefix("*** in database main *** ")
        raise StorageError(
            f"a SQLite storage must be whole, but {shown_path(path)} is damaged, or no file of "
            f"SQLite: {reason}. Remedy: {REMEDY}."
        )


def _reader(path: Path, log: Path) -> sqlite3.Connection:
    if not (log.exists() and log.stat().st_size):
        return connect_file(path, _LOCK_SECONDS)
    # The last connection that may write would copy the log into the damaged file when it is closed.
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        timeout=_LOCK_SECONDS,
        uri=True,
        check_same_thread=False,
    )


def _check_log(path: Path, log: Path) -> None:
    shared = path.with_name(path.name + "-shm")
    index, before = _read_index(shared), _size_and_time(log)
    try:
        with log.open("rb") as file:
            header = file.read(_WAL_HEADER_BYTES)
            is_begun = len(header) == _WAL_HEADER_BYTES
            frames = 0
            # Reading it takes a second for each 100 MB.
            if index and is_begun and index.frames > index.copied:
                frames = _whole_frames(file, header, index)
    except FileNotFoundError:
        header, is_begun, frames = b"", False, 0
    if index is None:
        # Written at once: a killed process leaves it whole. Without it SQLite drops the log.
        if is_begun and not _is_log_header(header):
            raise _log_error(path, log, "is damaged")
        return
    # Another process may have begun the log anew meanwhile, or have closed the database.
    is_settled = _read_index(shared) == index and _size_and_time(log) == before
    if index.frames > max(index.copied, frames) and is_settled:
        what = "is damaged, or its end is missing" if log.exists() else "is missing"
        raise _log_error(path, log, what)


def _log_error(path: Path, log: Path, what: str) -> StorageError:
    return StorageError(
        f"the latest changes of a SQLite storage are in {shown_path(log)}, which {what}. Put it "
        f"back as it was, or restore a backup: move {shown_path(path)} away with the files that "
        f"begin with its name, then `freerun restore FILE`. To go on without these changes, remove "
        f"{shown_path(log)} and {path.name}-shm."
    )


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _read_index(shared: Path) -> _Index | None:
    """Read the shared memory; None where there is none, where it was being written, and where it
    is older than the machine's last start: what it counts may never have reached the disk."""
    try:
        with shared.open("rb") as file:
            if os.fstat(file.fileno()).st_mtime < _started():
                return None
            head = file.read(_INDEX_HEAD_BYTES)
    except FileNotFoundError:
        return None
    one, other = head[:_INDEX_COPY_BYTES], head[_INDEX_COPY_BYTES : 2 * _INDEX_COPY_BYTES]
    if len(head) < _INDEX_HEAD_BYTES or one != other or not one[12]:
        return None
    (frames,) = struct.unpack_from("=I", one, 16)
    (copied,) = struct.unpack_from("=I", head, 2 * _INDEX_COPY_BYTES)
    return _Index(frames, copied, one[32:40])


def _started() -> float:
    """When this machine was started, in seconds since 1970; minus infinity where nothing tells."""
    try:
        return time.time() - float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return -math.inf


def _is_log_header(header: bytes) -> bool:
    (magic,) = struct.unpack_from(">I", header)
    if magic & ~1 != _WAL_MAGIC:
        return False
    words = np.frombuffer(header, ">u4" if magic & 1 else "<u4", count=6)
    zeros = np.zeros((1, 2), np.uint32)
    stored = np.frombuffer(header, ">u4", count=2, offset=24)
    return bool((_checksums(words[None].astype(np.uint32), zeros)[0] == stored).all())


def _whole_frames(file: BinaryIO, header: bytes, index: _Index) -> int:
    """How many frames of a log are whole, at most those that the index counts.

    file: the log, open behind its header.
    """
    if not _is_log_header(header) or header[16:24] != index.salts:
        return 0
    magic, _, page_bytes = struct.unpack_from(">III", header)
    order = ">u4" if magic & 1 else "<u4"
    size = _FRAME_HEADER_BYTES + page_bytes
    salts = np.frombuffer(index.salts, np.uint8)
    before = np.frombuffer(header, ">u4", count=2, offset=24).astype(np.uint32)[None]
    found = 0
    while found < index.frames:
        content = file.read(min(_FRAMES_AT_ONCE, index.frames - found) * size)
        number = len(content) // size
        if number == 0:
            break
        frames = np.frombuffer(content, np.uint8, number * size).reshape(number, size)
        stored = frames[:, 16:24].copy().view(">u4").astype(np.uint32)
        # Of the first two words of a frame's header and of its page.
        summed = np.concatenate([frames[:, :8], frames[:, _FRAME_HEADER_BYTES:]], axis=1)
        words = summed.view(order).astype(np.uint32)
        starts = np.concatenate([before, stored[:-1]])
        is_whole = (_checksums(words, starts) == stored).all(axis=1)
        is_whole &= (frames[:, 8:16] == salts).all(axis=1)
        if not is_whole.all():
            return found + int(np.argmin(is_whole))
        found, before = found + number, stored[-1:]
    return found


def _checksums(words: Words, starts: Words) -> Words:
    """SQLite's checksums `[frame, 2]` of an even number of words `[frame, word]`, each continued
    from that of the frame before, `starts` `[frame, 2]`; all modulo 2**32."""
    first, second = starts[:, 0].copy(), starts[:, 1].copy()
    for place in range(0, words.shape[1], 2):
        first += words[:, place] + second
        second += words[:, place + 1] + first
    return np.stack([first, second], axis=1)

"""The bytes of a table's file, unpacked where they are compressed, up to a size."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

from search.errors import SeriesError
from search.files import TABLE_FILE, read_file

# What is kept with a study has at most 16 MiB, so that more can't become a table.
MAX_CONTENT_BYTES = TABLE_FILE.most_bytes

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PIECE = 2**20
# A block of four bytes unpacks to at most 128 KiB: 16 MiB for so many bytes.
_ZSTD_PIECE = 512


def read_content(path: Path) -> bytes:
    """Return a file's bytes, unpacked where it is gzip or Zstandard, whatever its name ends in.

    Raises SeriesError for what is no file, larger than MAX_CONTENT_BYTES before or after unpacking,
    or damaged, and where the optional package zstandard is needed and not installed.
    """
    content = read_file(path, TABLE_FILE)
    if content.startswith(_GZIP):
        pieces = _gunzip(content)
    elif content.startswith(_ZSTD):
        pieces = _unzstd(path, content)
    else:
        pieces = iter([content])
    try:
        return _joined(path, pieces)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SeriesError(f"{path} is damaged: {error}; compress it again") from error


def is_parquet(content: bytes) -> bool:
    """Whether bytes are those of a Parquet file."""
    return content.startswith(b"PAR1")


def is_excel(content: bytes) -> bool:
    """Whether bytes are a workbook: of Excel, old or new, or an OpenDocument spreadsheet."""
    if content.startswith(_OLD_EXCEL):
        return True
    return content.startswith(_ZIP) and (
        b"xl/" in content or b"application/vnd.oasis.opendocument.spreadsheet" in content[:200]
    )


def is_zip(content: bytes) -> bool:
    """Whether bytes are a ZIP archive."""
    return content.startswith(_ZIP)


def _joined(path: Path, pieces: Iterator[bytes]) -> bytes:
    joined = io.BytesIO()
    for piece in pieces:
        joined.write(piece)
        if joined.tell() > MAX_CONTENT_BYTES:
            raise SeriesError(
                f"{path} must hold at most {MAX_CONTENT_BYTES / 2**20:g} MiB when unpacked, but "
                "holds more; give fewer rows or columns"
            )
    return joined.getvalue()


def _gunzip(content: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _unzstd(path: Path, content: bytes) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise SeriesError(
            f"{path} is compressed with Zstandard, for which the package zstandard must be "
            "installed: pip install 'freerun[zstd]', or unpack the file with: unzstd FILE"
        ) from None
    try:
        while content:
            unpacker = zstandard.ZstdDecompressor().decompressobj()
            for place in range(0, len(content), _ZSTD_PIECE):
                yield unpacker.decompress(content[place : place + _ZSTD_PIECE])
                if unpacker.eof:
                    content = unpacker.unused_data + content[place + _ZSTD_PIECE :]
                    break
            else:
                raise EOFError("it ends too early")
    except zstandard.ZstdError as error:
        raise SeriesError(f"{path} is damaged: {error}; compress it again") from error

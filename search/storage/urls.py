"""Storage URLs: which are understood, where a SQLite file may lie, and how to hide passwords."""

import errno
import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from models.methods.values import nearest
from search.errors import StorageError
from search.files import reason_of, shown_path
from search.names import cut, is_text

HIDDEN = "***"
_FORMS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_POSTGRES_NAMES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE_NAMES = ("sqlite", "sqlite+pysqlite")
_MOST_CHARACTERS = 4096
_MOST_SHOWN = 300
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A file's name may hold any sign, and SQLite knows no passwords.
_FILE_URL = re.compile(r"sqlite(\+\w+)?:///")
# The user before a password; whatever else stands before the last "@" may be a part of it.
_USER = re.compile(r"[\w.+-]*(?=:)|[\w.+-]*\Z")
# As libpq and other drivers write them outside of URLs.
_ASSIGNED_SECRET = re.compile(
    r"((?:pass|pwd|secret|token)\w*\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^&;\s]+)", re.IGNORECASE
)
# Options of a server that may be given for each of several hosts.
_REPEATED = ("host", "port")


MOUNTS = Path("/proc/self/mounts")
# SQLite's locks and shared memory are not safe on these.
NETWORK_KINDS = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"),
        *("panfs", "smb", "smb2", "smb3", "smbfs"),
        *("fuse.blobfuse", "fuse.blobfuse2", "fuse.ceph", "fuse.davfs2", "fuse.gcsfuse"),
        *("fuse.glusterfs", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)


def redact(url: str) -> str:
    """Return a text without what may be a password in it: what stands before the last @, but for
    scheme and user, and the values of all options.

    Takes any text and parses none of it, so that a malformed URL can be shown.
    """
    if _FILE_URL.match(url):
        return cut(_without_values(url), _MOST_SHOWN)
    found = _SCHEME.match(url)
    scheme = found.group() if found else ""
    before, at, rest = url.removeprefix(scheme).rpartition("@")
    user = ""
    if at and scheme:
        named = _USER.match(before)
        user = named.group() if named else ""
        if user != before:
            user += f":{HIDDEN}" if before.startswith(f"{user}:") else HIDDEN
    elif at:
        user = HIDDEN
    return cut(f"{scheme}{user}{at}{_without_values(rest)}", _MOST_SHOWN)


def _without_values(text: str) -> str:
    """A text whose options, behind the first question mark, have lost their values."""
    head, mark, query = text.partition("?")
    names = [part.partition("=")[0::2] for part in query.split("&")] if mark else []
    options = "&".join(f"{name}={HIDDEN}" if value else HIDDEN for name, value in names)
    return _without_assigned(head) + mark + options


def _without_assigned(text: str) -> str:
    return _ASSIGNED_SECRET.sub(rf"\1{HIDDEN}", text)


def scrub(message: str, url: URL) -> str:
    """Return a database's `message` without the password and the options' values in `url`."""
    secrets = [url.password] if url.password else []
    for value in url.query.values():
        for text in [value] if isinstance(value, str) else value:
            # A server repeats the words of its options one by one.
            secrets += [text, *(word for word in text.split() if len(word) > 3)]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        message = message.replace(secret, HIDDEN)
    return _without_assigned(message)


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL of a storage, with the driver that freerun uses.

    Raises StorageError for a text that is no URL, another database or driver, options that the
    database does not have, and SQLite in memory, which no second process could see.
    """
    if len(url) > _MOST_CHARACTERS or not is_text(url):
        raise StorageError(
            f"a storage is a URL such as {_FORMS}, at most {_MOST_CHARACTERS:,} characters of UTF-8"
            f" text, but got {redact(url)!r}."
        )
    try:
        parsed = make_url(url)
    # ValueError: a port that is no number.
    except (ArgumentError, ValueError):
        raise StorageError(
            f"a storage is a URL such as {_FORMS}, but got {redact(url)!r}."
        ) from None
    if parsed.drivername in _POSTGRES_NAMES:
        _check_server(parsed, url)
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in _SQLITE_NAMES:
        _check_is_file(parsed, url)
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.get_backend_name() == "postgresql":
        remedy = "Write postgresql://, which uses psycopg 3."
    else:
        remedy = f"Write {_FORMS}."
    raise StorageError(
        f"a storage is SQLite or PostgreSQL, but got {cut(parsed.drivername, 40)!r}"
        f" in {redact(url)!r}. {remedy}"
    )


def _check_is_file(parsed: URL, url: str) -> None:
    is_plain = not (parsed.host or parsed.username or parsed.port or parsed.query)
    database = parsed.database or ""
    if not database or database.startswith((":memory:", "file:")) or not is_plain:
        raise StorageError(
            "a SQLite storage must name a file and nothing else, as in sqlite:///freerun.db, but "
            f"got {redact(url)!r}."
        )


def _check_server(parsed: URL, url: str) -> None:
    parts = (parsed.username, parsed.password, parsed.host, parsed.database)
    if not all(is_text(part) for part in parts if part):
        raise StorageError(f"a storage's URL must be text without null bytes: {redact(url)!r}.")
    # In the host or behind a question mark, the rest of a password would count as what it is not.
    if url.count("@") > 1:
        raise StorageError(
            f"a storage's URL must have one @, before the host, but got {redact(url)!r}. Write %40 "
            "for an @ in a user's name or a password."
        )
    from psycopg.pq import Conninfo

    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    for name, value in parsed.query.items():
        if name not in known:
            raise StorageError(
                f"the options of a PostgreSQL storage are those of libpq, but {redact(url)!r} has "
                f"{cut(name, 40)!r}.{nearest(name, known)} Leave it out."
            )
        if not isinstance(value, str) and name not in _REPEATED:
            raise StorageError(
                f"an option must be given once, but {redact(url)!r} has {name!r} twice. Leave one "
                "out."
            )


def shown(url: URL) -> str:
    """Return a parsed storage URL as it is printed, without driver, passwords and options."""
    return redact(url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False))


def check_file(url: URL, *, create: bool) -> URL:
    """Return a SQLite URL with an absolute path.

    create: whether the file may be missing. Raises StorageError for a folder, a pipe or a device, a
    missing folder or file, and a network file system.
    """
    named = Path(url.database or "")
    try:
        path = Path(os.path.realpath(named.expanduser()))
        return url.set(database=str(_checked(path, create=create)))
    # RuntimeError: the home of a user that is not known.
    except (OSError, RuntimeError) as error:
        raise StorageError(
            f"a SQLite storage must be a file, but {shown_path(named)} can't be one:"
            f" {reason_of(error)}. {_remedy(error)}"
        ) from error


def _remedy(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return "Let a process have more of them open (ulimit -n)."
    return "Name another file."


def _checked(path: Path, *, create: bool) -> Path:
    shown_as = shown_path(path)
    if path.is_dir():
        raise StorageError(f"a SQLite storage is a file, but {shown_as} is a folder.")
    if not path.parent.is_dir():
        raise StorageError(
            f"the folder of a SQLite storage must exist, but {shown_path(path.parent)} does not."
            " Create it, or name another file."
        )
    if path.exists() and not path.is_file():
        raise StorageError(
            f"a SQLite storage is a file, but {shown_as} is a pipe or a device. Name another file."
        )
    if not create and not path.exists():
        raise StorageError(
            f"there is no storage at {shown_as}. `freerun run STUDY_FILE` creates one;"
            " --storage or FREERUN_STORAGE names another."
        )
    kind = network_kind(path.parent)
    if kind is not None:
        raise StorageError(
            f"a SQLite storage must be on a local disk, but {shown_as} is on a network file system"
            f" ({kind}). Name a local file, or use a PostgreSQL storage."
        )
    return path


def network_kind(folder: Path, mounts: str | None = None) -> str | None:
    """Return the kind of the network file system that holds a folder, None for a local one.

    mounts: the lines of /proc/self/mounts, read there by default; where the system has no such
    file, every folder counts as local.
    """
    if mounts is None:
        if not MOUNTS.exists():
            return None
        mounts = MOUNTS.read_text(errors="replace")
    found, longest = None, -1
    resolved = folder.resolve()
    for line in mounts.splitlines():
        _, mounted, kind, *_ = line.split(" ")
        # Spaces in a path are written as octal numbers.
        place = Path(mounted.replace("\\040", " "))
        # Of two mounts on one path, the later hides the earlier.
        if resolved.is_relative_to(place) and len(place.parts) >= longest:
            found, longest = kind, len(place.parts)
    return found if found in NETWORK_KINDS else None

"""Storage URLs: which are understood, where a SQLite file may lie, and how to hide passwords."""

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from search.errors import StorageError

HIDDEN = "***"
_FORMS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_POSTGRES_NAMES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE_NAMES = ("sqlite", "sqlite+pysqlite")
# Greedy up to the last "@": a password that is not percent-encoded may contain any character.
_USER_AND_PASSWORD = re.compile(r"(?<=://)([^:/?#@]*):.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


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
    """Return `url` with every password replaced by ***, in its query parameters too.

    Takes any text, so that a malformed URL can be shown.
    """
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", _USER_AND_PASSWORD.sub(rf"\1:{HIDDEN}@", url))


def scrub(message: str, url: URL) -> str:
    """Return a database's `message` without the passwords in `url`."""
    secrets = [url.password] if url.password else []
    for name, value in url.query.items():
        if _SECRET_PARAMETER.search(f"?{name}="):
            secrets += [value] if isinstance(value, str) else list(value)
    for secret in filter(None, secrets):
        message = message.replace(secret, HIDDEN)
    return message


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL of a storage, with the driver that freerun uses.

    Raises StorageError for a text that is no URL, another database or driver, and SQLite in memory,
    which no second process could see.
    """
    try:
        parsed = make_url(url)
    # ValueError: a port that is no number.
    except (ArgumentError, ValueError):
        raise StorageError(
            f"a storage is a URL such as {_FORMS}, but got {redact(url)!r}."
        ) from None
    if parsed.drivername in _POSTGRES_NAMES:
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in _SQLITE_NAMES:
        if not parsed.database or parsed.database.startswith((":memory:", "file:")):
            raise StorageError(
                f"a SQLite storage must name a file, as in sqlite:///freerun.db, but got {url!r}."
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.get_backend_name() == "postgresql":
        remedy = "Write postgresql://, which uses psycopg 3."
    else:
        remedy = f"Write {_FORMS}."
    raise StorageError(
        f"a storage is SQLite or PostgreSQL, but got {parsed.drivername!r}"
        f" in {redact(url)!r}. {remedy}"
    )


def shown(url: URL) -> str:
    """Return a parsed storage URL as it is printed, without driver and passwords."""
    return redact(url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False))


def check_file(url: URL, *, create: bool) -> URL:
    """Return a SQLite URL with an absolute path.

    create: whether the file may be missing. Raises StorageError for a folder, a missing folder or
    file, and a network file system.
    """
    path = Path(url.database or "").expanduser().absolute()
    if path.is_dir():
        raise StorageError(f"a SQLite storage is a file, but {path} is a folder.")
    if not path.parent.is_dir():
        raise StorageError(
            f"the folder of a SQLite storage must exist, but {path.parent} does not."
            " Create it, or name another file."
        )
    if not create and not path.exists():
        raise StorageError(
            f"there is no storage at {path}. `freerun run STUDY_FILE` creates one;"
            " --storage or FREERUN_STORAGE names another."
        )
    kind = network_kind(path.parent)
    if kind is not None:
        raise StorageError(
            f"a SQLite storage must be on a local disk, but {path} is on a network file system"
            f" ({kind}). Name a local file, or use a PostgreSQL storage."
        )
    return url.set(database=str(path))


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

"""Storage URLs: which ones are understood, and how they are shown without their passwords."""

import re

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from search.errors import StorageError

HIDDEN = "***"
_FORMS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_POSTGRES_NAMES = ("postgresql", "postgres", "postgresql+psycopg")
_SQLITE_NAMES = ("sqlite", "sqlite+pysqlite")
# Greedy up to the last "@": a password that is not percent-encoded may hold any sign.
_USER_AND_PASSWORD = re.compile(r"(?<=://)([^:/?#@]*):.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"([?&][^=&]*(?:pass|pwd|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


def redact(url: str) -> str:
    """Return `url` with every password replaced by ***, also those in its query parameters.

    Takes any text, so that a malformed URL can be shown too.
    """
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", _USER_AND_PASSWORD.sub(rf"\1:{HIDDEN}@", url))


def scrub(message: str, url: URL) -> str:
    """Return a database's `message` without the passwords that `url` holds."""
    secrets = [url.password] if url.password else []
    for name, value in url.query.items():
        if _SECRET_PARAMETER.search(f"?{name}="):
            secrets += [value] if isinstance(value, str) else list(value)
    for secret in filter(None, secrets):
        message = message.replace(secret, HIDDEN)
    return message


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL of a storage, with the driver that freerun uses.

    Raises StorageError for a text that is no URL, another database, another driver, and SQLite in
    memory, which no second process could see.
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
    """Return a parsed storage URL as it is printed: without driver and passwords."""
    return redact(url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False))

"""What a database refuses, in one message: without passwords, and with a remedy."""

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from search.errors import StorageError
from search.names import cut
from search.storage.sqlite_damage import REMEDY
from search.storage.urls import scrub, shown

# By a part of what the database says; the first that fits.
_REMEDIES = {
    "file is not a database": f"It is damaged, or no file of SQLite: {REMEDY}.",
    "malformed": f"The file is damaged: {REMEDY}.",
    "disk is full": "Free some space on the disk, and start again.",
    "No space left": "Free some space on the server's disk, and start again.",
    "unable to open database file": "Check the path, the rights on it, and how many files a process"
    " may have open (ulimit -n).",
    "disk I/O error": "Check the disk, its free space, and the rights on the file and its folder.",
    "readonly database": "It can be read only: check the rights on the file and on its folder.",
    "read-only transaction": "It can be read only: name the server that takes changes.",
    "no schema has been selected": "Create a schema, or name one by search_path of the role.",
    "password": "Check the password in FREERUN_STORAGE or in the Postgres password file.",
    "permission denied for schema": "Grant the user the right to create tables in that schema.",
    "permission denied": "Grant the user the rights to read and change these tables.",
    "does not exist": "Check the names of database and user; createdb makes a database.",
    "no such table": "Run `freerun list` on it, which says what is missing.",
    "SSL": "Check sslmode in the URL, and what the server offers.",
    "locked": "Another process holds it; try again once that has ended.",
}
_NO_ANSWER = ("refused", "resolve", "translate", "timeout", "timed out", "closed", "not known")
_READ_ONLY = ("readonly database", "read-only transaction", "permission denied")


def is_read_only(error: DBAPIError) -> bool:
    """Whether the database would let this user read, and not change anything."""
    return any(words in str(error.orig) for words in _READ_ONLY)


def refusal(url: URL, error: BaseException, doing: str) -> StorageError:
    """The error of a database or its driver as one message.

    doing: what it refused to do, behind the storage's name: "can't be opened".
    """
    reason = reason_in(error, url)
    return StorageError(f"{shown(url)} {doing}: {cut(reason, 300)}. {_remedy(reason)}")


def reason_in(error: BaseException, url: URL) -> str:
    """The failure itself, in a line without the driver's hints and list of attempts."""
    said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    lines = [line.strip(" \t-.") for line in scrub(said, url).splitlines()]
    return next((line for line in lines if "failed: " in line), lines[0] if lines else "")


def known_remedy(reason: str) -> str | None:
    """What helps against a reason that a database gave, None for one that is not known."""
    return next((remedy for part, remedy in _REMEDIES.items() if part in reason), None)


def _remedy(reason: str) -> str:
    found = known_remedy(reason)
    if found is None and any(words in reason for words in _NO_ANSWER):
        return "Check that the server runs, and its host and port."
    return found or "Check the storage's URL, and the rights of its user."

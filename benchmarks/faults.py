"""Faults of a soak: what is done to a study's workers, to `freerun run` and to the database.

Every fault is done to real processes, files and servers, from a seed, and is over when its function
returns. What remains of it is for the study to cope with.
"""

import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect
from tempfile import mkdtemp
from time import sleep

from benchmarks.crew import fork
from benchmarks.postgres import Postgres
from search import cli
from search.errors import StorageError, UsageError
from search.storage.opening import open_storage

HOUR = 3600
# Fewer than a process with workers has open.
FEW_DESCRIPTORS = 20


@contextmanager
def small_disk(mebibytes: int, owner: int = 0) -> Iterator[Path]:
    """Mount a disk in memory, which can be filled. Raises UsageError without the right to.

    owner: the user whose it is; others may look into it.
    """
    folder = Path(mkdtemp(prefix="freerun-disk-"))
    # As root, a server runs as a user of its own.
    folder.chmod(0o755)
    size = f"size={mebibytes}m,uid={owner},mode=0755"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        folder.rmdir()
        raise UsageError("a disk that can be filled must be mounted, which takes root; become it")
    try:
        yield folder
    finally:
        # Lazily: whoever was killed last may still be about to end.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def fill(folder: Path) -> Path:
    """Use up all space of a disk; returns the file that does."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return filler


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no space on a disk for a while."""
    filler = fill(folder)
    try:
        yield
    finally:
        filler.unlink()


def fill_disk(folder: Path, held_seconds: float, server: Postgres | None) -> None:
    """Fill the database's disk for some seconds; start a server that ended for it again."""
    with filled(folder):
        sleep(held_seconds)
    if server is not None and not server.is_running():
        server.start()


def stand_still(url: str, seconds: float, server: Postgres | None) -> None:
    """Let the database answer nobody for some seconds: by SIGSTOP of all processes of a server, by
    a lock on a file."""
    if server is None:
        path = url.removeprefix("sqlite:///")
        with closing(connect(path, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            sleep(seconds)
            connection.execute("ROLLBACK")
        return
    stopped = server.processes()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    sleep(seconds)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def set_clock_back(url: str) -> None:
    """Set the database's clock back by an hour: all that is stored lies an hour later then."""
    with open_storage(url, create=False) as storage, storage.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE freerun_workers SET registered = registered + {HOUR}, "
            f"last_beat = last_beat + {HOUR}, left_at = left_at + {HOUR}"
        )
        connection.exec_driver_sql(
            f"UPDATE freerun_budgets SET counted_until = counted_until + {HOUR}, "
            f"grace_until = grace_until + {HOUR}"
        )


def say_to(log: Path) -> None:
    """Let this process write its output to the end of a file."""
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(written, 1)
    os.dup2(written, 2)


def start_freerun(
    arguments: Sequence[str], folder: Path, url: str, log: Path, descriptors: int | None = None
) -> int:
    """Start `freerun` in a folder; return its process id. What it says is added to `log`.

    descriptors: how many files it may have open, and so may each of its workers.
    """

    def work() -> None:
        say_to(log)
        os.chdir(folder)
        os.environ["FREERUN_STORAGE"] = url
        sys.argv = ["freerun", *arguments]
        if descriptors is not None:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most))
        try:
            cli.main()
        except SystemExit as ended:
            os._exit(ended.code if isinstance(ended.code, int) else 1)

    return fork(work)


def damage_copies(database: Path, number: int, chance: random.Random) -> tuple[int, int]:
    """Damage copies of a SQLite file, each in another way at a random place; return how many were
    refused with the remedy, and how many of these did not stay as they were."""
    content, refused, changed = database.read_bytes(), 0, 0
    copy = database.with_name("damaged.db")
    for _ in range(number):
        copy.write_bytes(damaged := chance.choice(_DAMAGES)(content, chance))
        try:
            open_storage(f"sqlite:///{copy}", create=False).close()
        except StorageError as error:
            refused += "freerun restore FILE" in str(error)
            changed += copy.read_bytes() != damaged
        copy.unlink()
    return refused, changed


def _cut_off(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) - 1)]


def _overwritten(content: bytes, chance: random.Random) -> bytes:
    """Two pages become noise: one of them may be free."""
    page = 4096
    first = page * chance.randrange(len(content) // page - 1)
    return content[:first] + chance.randbytes(2 * page) + content[first + 2 * page :]


def _without_header(content: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(100) + content[100:]


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut_off,
    _overwritten,
    _without_header,
)

"""`freerun backup` and `restore`: a copy of a storage, and a storage of a copy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from search.cli.options import JsonOption, StorageOption, print_result, stop_flag, storage_url
from search.cli.progress import LINE_SECONDS


def backup(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write."),
    ],
    storage: StorageOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a former backup.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a storage into one file while its workers run: all studies, trials, pictures, weights.

    The file holds the storage as it was at one moment. It is a SQLite file, or a dump of
    PostgreSQL, which pg_dump writes. Only its owner can read it.

    Example: freerun backup -o studies.backup
    """
    from search.storage.backups import back_up

    with _shown_bytes("copied") as told:
        done = back_up(storage_url(storage), output, told, force=force)
    said = f"backed up {done.storage} to {output}: {_what(done.studies, done.trials)}"
    size = f"{done.bytes / 2**20:,.1f} MiB in {done.seconds:.1f} s"
    print_result(asdict(done), as_json, f"{said}, {size}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that freerun backup wrote.")],
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a storage of a backup, in which every study goes on where it was.

    The storage must be of the kind that was backed up, and empty: a SQLite file that does not
    exist, or a new database of PostgreSQL. What workers held waits, and is run again with the same
    seeds; a worker of before is not let in. The budget stays as it was.

    Example: freerun restore studies.backup --storage sqlite:///freerun.db
    """
    from search.storage.backups import restore as restore_backup

    with _shown_bytes("restored") as told:
        done = restore_backup(file, storage_url(storage), told)
    said = f"restored {file} to {done.storage}: {_what(done.studies, done.trials)}"
    waiting = f"{done.waiting:,} of them wait to be run again, {done.seconds:.1f} s"
    print_result(asdict(done), as_json, f"{said}, {waiting}; resume a study: freerun run NAME")


def _what(studies: int, trials: int) -> str:
    from models.methods.values import counted

    plural = "study" if studies == 1 else "studies"
    return f"{studies:,} {plural}, {counted(trials, 'trial')}"


@contextmanager
def _shown_bytes(verb: str) -> Iterator[Callable[[int, int | None], None]]:
    """Say on standard error how far it is, where it takes long; yields what to call with bytes.

    Once a signal asked to stop, the call ends the process, so that what was begun is removed.
    """
    with stop_flag() as stopped:
        began = last = monotonic()

        def told(done: int, total: int | None) -> None:
            nonlocal last
            if stopped.signal is not None:
                sys.exit(128 + stopped.signal)
            if monotonic() - last >= LINE_SECONDS:
                last = monotonic()
                of = "" if total is None else f" of {total / 2**20:,.0f}"
                amount = f"{done / 2**20:,.0f}{of} MiB {verb}, " if done else ""
                typer.echo(f"{amount}{last - began:.0f} s so far", err=True)

        yield told

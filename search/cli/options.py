"""Arguments and options that several commands share, and what they stand for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.errors import UsageError

if TYPE_CHECKING:
    from search.series import Table
    from search.storage import Storage, StudyStore
    from search.study.definition import StudyDefinition

DEFAULT_STORAGE = "sqlite:///freerun.db"

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help=(
            "SQLAlchemy URL of the storage; else FREERUN_STORAGE, else sqlite:///freerun.db. "
            "A password belongs into FREERUN_STORAGE or the Postgres password file."
        ),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
DeviceOption = Annotated[str, typer.Option("--device", help="torch device to train on.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a study.")]


def storage_url(url: str | None) -> str:
    """The storage that an option or the environment names."""
    return url or os.environ.get("FREERUN_STORAGE") or DEFAULT_STORAGE


def storage_at(
    url: str | None,
    *,
    create: bool = False,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Storage:
    """Open the storage that an option or the environment names."""
    from search.storage import open_storage

    return open_storage(storage_url(url), create=create, stop_requested=stop_requested)


def stored_study(store: StudyStore) -> tuple[StudyDefinition, Table | None]:
    """The definition of a stored study, and its table."""
    from search.series import Table
    from search.study.study_file import read_stored_definition

    content = store.data()
    table = None if content is None else Table.from_bytes(content)
    return read_stored_definition(store.definition), table


def checked_device(device: str) -> str:
    """The device, if torch can use it here; raises UsageError."""
    if device == "cpu":
        return device
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--device must be one that torch can use here, but got {device!r} ({reason}); "
            "use cpu, or a torch build for that device"
        ) from error
    return device


def print_json(plain: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    json.dump(plain, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")

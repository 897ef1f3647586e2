"""What can be done with a study next, as command lines."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A command line, and what it does."""

    line: str
    purpose: str


def commands(name: str, storage_url: str) -> list[Command]:
    """What can be done next."""
    study, folder = shlex.quote(name), shlex.quote(f"{name}-export")
    hidden = ", with the password in place of ***" if "***" in storage_url else ""
    return [
        Command(f"export FREERUN_STORAGE={shlex.quote(storage_url)}", f"where it is kept{hidden}"),
        Command(f"freerun run {study}", "resumes; --trials and --minutes raise what may be spent"),
        Command("freerun dashboard", "shows every trial in the browser"),
        Command(f"freerun report {study} -o report.html", "writes the report anew"),
        Command(f"freerun export {study} -o {folder}", "exports the winner; --trial another one"),
        Command(f"freerun retrain {folder} -o retrained", "trains it again and proves its score"),
        Command(
            f"freerun forecast {folder} --series FILE.csv --horizon 100 -o forecast.csv",
            "forecasts what comes after a table's last row",
        ),
    ]

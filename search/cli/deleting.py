"""`freerun delete`: the end of a study."""

import sys
from typing import Annotated

import typer

from search.cli.options import JsonOption, NameArgument, StorageOption, print_result, storage_at
from search.errors import UsageError


def delete(
    name: NameArgument,
    storage: StorageOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without a question.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete a study from its storage: trials, results, pictures. Reports and exports stay.

    Example: freerun delete sine --yes
    """
    from models.methods.values import counted

    with storage_at(storage) as opened:
        store = opened.study(name)
        counts, jobs = store.counts(), store.final_jobs()
        trials, finals = counted(counts.total, "trial"), counted(len(jobs), "final job")
        what = f"{trials} ({counts.complete:,} complete) and {finals}"
        if not yes:
            _ask(f"Delete study '{name}' in {opened.shown_url} with {what}, for good?", as_json)
        opened.delete_study(name)
    plain = {"study": name, "deleted": True, "trials": counts.total, "final_jobs": len(jobs)}
    print_result(plain, as_json, f"deleted study '{name}' with {what}; reports and exports stay")


def _ask(question: str, as_json: bool) -> None:
    """Raise UsageError unless a person at a terminal agrees."""
    if as_json or not sys.stdin.isatty():
        raise UsageError(
            f"delete must be told --yes where nobody can be asked. {question} Add --yes to do it"
        )
    if not typer.confirm(question, err=True):
        raise UsageError("nothing was deleted")

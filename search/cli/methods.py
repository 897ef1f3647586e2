"""`freerun methods`: what a study can search, what stands beside it, and where series come from."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import JsonOption, print_json
from search.errors import UsageError

if TYPE_CHECKING:
    from models.methods import Method
    from search.series import Source

_LINE = 100
_NAME = 24


def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A method, to see its settings.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what a study file can search, plug-ins included; --json prints its JSON schema.

    Example: freerun methods gru
    """
    from models.methods import methods as all_methods
    from models.methods import nearest
    from search.series import known_sources
    from search.study.schema import study_schema
    from search.study.space import parameters

    if as_json:
        print_json(study_schema())
        return
    parameters()  # loads plug-ins
    if name is None:
        _print_all(all_methods())
        return
    chosen = [method for method in all_methods() if method.name == name]
    source = known_sources().get(name)
    if not chosen and source is None:
        hint = nearest(name, [*(method.name for method in all_methods()), *known_sources()])
        raise UsageError(f"there is no method {name!r}.{hint} `freerun methods` lists all")
    for method in chosen:
        _print_one(method)
    if source is not None:
        _print_source(source)


def _print_all(found: Iterable[type[Method]]) -> None:
    from search.series import known_sources

    by_kind: dict[str, list[type[Method]]] = {}
    for method in found:
        by_kind.setdefault(method.kind, []).append(method)
    for kind, own in by_kind.items():
        typer.echo(kind)
        for method in own:
            _print_row(method.name, method.description())
    typer.echo("source of series")
    for source_name, source in known_sources().items():
        _print_row(source_name, inspect.cleandoc(source.__doc__ or "").split("\n\n")[0])
    typer.echo("`freerun methods NAME` shows the settings of a method.")


def _print_one(method: type[Method]) -> None:
    from models.methods import shown
    from search.study.space import parameter_named

    typer.echo(f"{method.label} ({method.kind})")
    typer.echo(inspect.cleandoc(method.__doc__ or ""))
    if method.source:
        typer.echo(f"Source: {method.source}")
    for own in method.settings:
        parameter = parameter_named(own.name)
        assert parameter is not None
        neutral = "" if own.neutral is None else f" Neutral: {shown(own.neutral)}."
        searched = "Searched" if own.searched else "Searched where a study file names it,"
        default = shown(own.default.to_plain())
        where = str(parameter.when)
        sampled = f" Sampled where {where}." if where else ""
        about = f"{own.description} {searched} over {default}.{neutral}{sampled}"
        _print_row(own.name, about)


def _print_source(source: type[Source]) -> None:
    from models.methods import shown

    typer.echo(f"{source.model_fields['source'].default} (source of series)")
    typer.echo(inspect.cleandoc(source.__doc__ or ""))
    for name, field in source.model_fields.items():
        if name == "source":
            continue
        given = "Required." if field.is_required() else f"Default: {shown(field.default)}."
        _print_row(name, given)


def _print_row(name: str, text: str) -> None:
    indent = " " * (_NAME + 2)
    first = f"  {name:{_NAME}}"
    typer.echo(fill(" ".join(text.split()), _LINE, initial_indent=first, subsequent_indent=indent))

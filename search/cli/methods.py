"""`freerun methods`: what a study can search, what stands beside it, and where series come from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
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
# Keys of a JSON schema, in words.
_BOUNDS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
)


def methods(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A method or a source, to see its settings."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what a study file can search, plug-ins included, or describe one method or source.

    --json prints the JSON schema of a study file, or of the settings of NAME.

    Example: freerun methods gru
    """
    from models.methods import methods as all_methods
    from models.methods import nearest
    from search.series import known_sources
    from search.study.schema import method_schema, study_schema
    from search.study.space import parameters

    parameters()  # loads plug-ins, and refuses those that declare a setting in another way
    sources = known_sources()
    found = [method for method in all_methods() if method.is_searchable]
    chosen = [method for method in found if method.name == name]
    if name is not None and not chosen and name not in sources:
        hint = nearest(name, [*(method.name for method in found), *sources])
        raise UsageError(f"there is no method {name!r}.{hint} `freerun methods` lists all")
    if as_json:
        schema = study_schema() if name is None else method_schema(chosen, sources.get(name))
        print_json(schema)
        return
    if name is None:
        _print_all(found, sources)
        return
    for method in chosen:
        _print_one(method)
    if name in sources:
        _print_source(name, sources[name])


def _print_all(found: Sequence[type[Method]], sources: Mapping[str, type[Source]]) -> None:
    for kind in dict.fromkeys(method.kind for method in found):
        typer.echo(kind)
        for method in found:
            if method.kind == kind:
                _print_row(method.name, method.description())
    typer.echo("source of series")
    for name, source in sources.items():
        _print_row(name, _about(source).split("\n\n")[0])
    typer.echo("`freerun methods NAME` shows the settings of a method.")


def _print_one(method: type[Method]) -> None:
    from models.methods import shown
    from search.study.space import parameter_named

    typer.echo(f"{method.label} ({method.kind})")
    typer.echo(_about(method))
    if method.source:
        typer.echo(f"Source: {method.source}")
    for own in method.settings:
        parameter = parameter_named(own.name)
        assert parameter is not None
        neutral = "" if own.neutral is None else f" Neutral: {shown(own.neutral)}."
        searched = "Searched" if own.searched else "Searched where a study file names it,"
        default, where = shown(own.default.to_plain()), str(parameter.when)
        sampled = f" Sampled where {where}." if where else ""
        _print_row(own.name, f"{own.description} {searched} over {default}.{neutral}{sampled}")


def _print_source(name: str, source: type[Source]) -> None:
    from models.methods import shown

    typer.echo(f"{name} (source of series)")
    typer.echo(_about(source))
    schemas = source.model_json_schema()["properties"]
    for key, field in source.model_fields.items():
        if key != "source":
            bounds = [f"{word} {schemas[key][k]:g}" for k, word in _BOUNDS if k in schemas[key]]
            # Where there is no default, the description says what is done without the key.
            given = "" if field.default is None else f"Default: {shown(field.default)}."
            if field.is_required():
                given = "Required."
            must = f"Must be {' and '.join(bounds)}." if bounds else ""
            _print_row(key, f"{field.description or ''} {must} {given}")


def _about(described: type) -> str:
    return inspect.cleandoc(described.__doc__ or "")


def _print_row(name: str, text: str) -> None:
    indent = " " * (_NAME + 2)
    first = f"  {name:{_NAME}}"
    typer.echo(fill(" ".join(text.split()), _LINE, initial_indent=first, subsequent_indent=indent))

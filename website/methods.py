"""The reference of the methods, from what they declare."""

import inspect
from collections.abc import Sequence

from models.methods import Method, shown
from models.methods import methods as all_methods
from search.study.space import parameter_named, parameters
from website.markdown import code, page, paragraphs, plain, table


def methods_page() -> str:
    """Every method by kind, with its docstring, its source and its settings."""
    parameters()  # loads plug-ins
    found = [method for method in all_methods() if method.is_searchable]
    kinds = dict.fromkeys(method.kind for method in found)
    return page(
        "# Methods by kind",
        "What each method declares in the code; `freerun methods NAME` prints the same. "
        "[Methods](../docs/methods.md) says how to choose among them and how they compare. "
        "The sources of series are in [Study file](study-file.md).",
        *(_kind(kind, [method for method in found if method.kind == kind]) for kind in kinds),
    )


def _kind(kind: str, methods: Sequence[type[Method]]) -> str:
    return page(f"## {kind.capitalize()}", *map(_method, methods)).rstrip("\n")


def _method(method: type[Method]) -> str:
    source = f"Source: {plain(method.source)}" if method.source else ""
    return page(
        f"### {code(method.name)}: {plain(method.label)}",
        paragraphs(inspect.cleandoc(method.__doc__ or "")),
        source,
        table(("setting", "searched over", "neutral", "sampled where", ""), _settings(method)),
    ).rstrip("\n")


def _settings(method: type[Method]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for own in method.settings:
        parameter = parameter_named(own.name)
        assert parameter is not None
        domain = code(shown(own.default.to_plain()))
        searched = domain if own.searched else f"{domain} where named"
        neutral = "" if own.neutral is None else code(shown(own.neutral))
        where = plain(str(parameter.when))
        rows.append((code(own.name), searched, neutral, where, plain(own.description)))
    return rows

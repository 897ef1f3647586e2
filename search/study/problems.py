"""What is wrong with a study file, in words: key, rule, value and remedy, one line a problem."""

from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticUndefined

from models.methods import SettingError, either, nearest, shown
from search.series import known_sources
from search.study.definition import Search, StudyDefinition, Task

SECTIONS = ("series", "task", "presets", "search", "space")

# What a value must be, by the type of pydantic's error.
_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "bool_type": "true or false, without quotes",
    "tuple_type": "a list",
    "model_type": "a section of keys",
    "model_attributes_type": "a section of keys",
    "finite_number": "a finite number",
    "string_too_short": "text of at least one character",
}

# The same for bounds: the words, and the name of the bound in the error's context.
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def complaints(error: ValidationError) -> list[str]:
    """Return one line for each problem: "[search] trials must be at least 1, but got 0; ..."."""
    details = error.errors(include_url=False)
    misspelt = {_meant(detail) for detail in details if detail["type"] == "extra_forbidden"}
    return [
        _line(detail)
        for detail in details
        # These two follow from another problem, which has its own line.
        if detail["type"] != "default_factory_not_called"
        and not (detail["type"] == "missing" and tuple(_path(detail)) in misspelt)
    ]


def _source(detail: ErrorDetails) -> str | None:
    """The source of the series where the problem is inside of it; it is no key of the file."""
    is_inside = detail["loc"][:1] == ("series",) and len(detail["loc"]) > 1
    return str(detail["loc"][1]) if is_inside else None


def _path(detail: ErrorDetails) -> list[str]:
    """The keys that lead to the problem."""
    keys = [part for part in detail["loc"] if isinstance(part, str)]
    return keys[:1] + keys[2:] if _source(detail) else keys


def _meant(detail: ErrorDetails) -> tuple[str, ...]:
    """The keys that lead to what an unknown key was probably meant to be."""
    *section_path, key = _path(detail)
    known = _section([*section_path, key], _source(detail)).model_fields
    return (*section_path, *get_close_matches(key, list(known), n=1))


def _line(detail: ErrorDetails) -> str:
    path, source = _path(detail), _source(detail)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, SettingError):
        return f"{_key(path + cause.key.split('.'))} {cause.rule}"
    if not path:  # a stored definition that is no JSON at all
        return detail["msg"]
    if isinstance(cause, ValueError):
        return f"{_key(path)} {cause}"
    if detail["type"].startswith("union_tag"):
        return _source_line(detail)
    return f"{_key(path)} {_rule(detail, path, _section(path, source))}"


def _key(path: Sequence[str]) -> str:
    if len(path) == 1 and path[0] not in SECTIONS:
        return path[0]
    *section, key = path
    return f"[{'.'.join(section)}] {key}" if section else f"[{key}]"


def _rule(detail: ErrorDetails, path: Sequence[str], section: type[BaseModel]) -> str:
    kind, context, key = detail["type"], detail.get("ctx", {}), path[-1]
    if kind == "extra_forbidden":
        return _unknown_key(path, section)
    remedy = _example(section, key)
    if kind == "missing":
        return f"is missing; {remedy}"
    if kind in _KINDS:
        must = _KINDS[kind]
    elif kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        must = f"{words} {context[name]:.12g}"
    elif kind == "literal_error":
        must = context["expected"].replace("'", '"')
    else:
        return f"is wrong ({detail['msg']}), with {shown(detail['input'])}; {remedy}"
    which = f"entry {detail['loc'][-1] + 1} " if isinstance(detail["loc"][-1], int) else ""
    return f"{which}must be {must}, but got {shown(detail['input'])}; {remedy}"


def _unknown_key(path: Sequence[str], section: type[BaseModel]) -> str:
    key = path[-1]
    if hint := nearest(key, _keys(section)):
        return f"is no key that freerun knows.{hint}"
    if key in StudyDefinition.model_fields:
        return "does not belong there; move it above the first section"
    homes: list[tuple[str, type[BaseModel]]] = [("task", Task), ("search", Search)]
    homes += [("series", model) for model in known_sources().values()]
    for name, home in homes:
        if home is not section and key in home.model_fields:
            return f"does not belong there; move it below [{name}]"
    return f"is no key that freerun knows; there may be {', '.join(_keys(section))}"


def _source_line(detail: ErrorDetails) -> str:
    if detail["type"] == "union_tag_not_found":
        return f"[series] source is missing; write source = {either(known_sources())}"
    source = detail["input"]["source"]
    hint = nearest(str(source), known_sources())
    return f"[series] source must be {either(known_sources())}, but got {shown(source)}.{hint}"


def _section(path: Sequence[str], source: str | None) -> type[BaseModel]:
    if len(path) < 2:
        return StudyDefinition
    if source is not None:
        return known_sources()[source]
    return Task if path[0] == "task" else Search


def _example(section: type[BaseModel], key: str) -> str:
    """The remedy "write for example trials = 200", from the section's examples or defaults."""
    if key in SECTIONS:
        return f"write [{key}] above its keys"
    field = section.model_fields[key]
    value = field.examples[0] if field.examples else field.default
    assert value is not None
    assert value is not PydanticUndefined  # see the test on examples
    return f"write for example {key} = {shown(value)}"


def _keys(section: type[BaseModel]) -> list[str]:
    """The keys that a study file may give to a section."""
    return [key for key in section.model_fields if key != "plugins"]

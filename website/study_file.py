"""The reference of the study file, from its JSON schema."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from search.study.schema import study_schema
from website.markdown import code, page, paragraphs, plain, table

_HEADER = ("key", "value", "default", "")
_BOUNDS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
)
_KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "section",
}


def study_file_page() -> str:
    """Every section of a study file with its keys."""
    schema = study_schema()
    sections = schema["properties"]
    top = {name: own for name, own in sections.items() if name in ("name", "seed")}
    return page(
        "# Study file",
        "A study file is TOML. `freerun methods --json` prints the JSON schema that this page is "
        "made from, plug-ins included; `freerun check FILE` validates a file.",
        _keys({"properties": top, "required": schema["required"]}),
        "## [series]",
        "`source` says where the series comes from; the other keys belong to the source.",
        *(_source(own) for own in sections["series"]["oneOf"]),
        "## [task]",
        _section(sections["task"]),
        "## [search]",
        _section(sections["search"]),
        "## [presets]",
        "How many trials each named family of candidates gets; see [Presets](../docs/presets.md).",
        _keys(sections["presets"]),
        "## [space]",
        "The settings of [the methods](methods.md). One value fixes a setting, a list names "
        "choices, and `{ low = 1e-4, high = 3e-2, log = true }` is a range; `step` is allowed, "
        "too. A setting that is not named keeps its default.",
    )


def _source(schema: Mapping[str, Any]) -> str:
    name = schema["properties"]["source"]["const"]
    own = {key: value for key, value in schema["properties"].items() if key != "source"}
    keys = _keys({"properties": own, "required": schema.get("required", ())})
    return f'### source = "{name}"\n\n{paragraphs(schema.get("description", ""))}\n\n{keys}'


def _section(schema: Mapping[str, Any]) -> str:
    """A section whose description tells of its keys: `key: text`, one after the other."""
    summary, _, rest = schema.get("description", "").partition("\n\n")
    about = _told(rest, list(schema["properties"]))
    return page(paragraphs(summary), _keys(schema, about)).rstrip("\n")


def _told(text: str, keys: Sequence[str]) -> dict[str, str]:
    """What a text says of each key; keys that are told together have the same text."""
    name = "|".join(map(re.escape, keys))
    parts = re.split(rf"\b((?:(?:{name}), )*(?:{name})): ", " ".join(text.split()))
    assert not parts[0].strip(), f"this stands before the first key: {parts[0]}"
    found: dict[str, str] = {}
    for together, about in zip(parts[1::2], parts[2::2], strict=True):
        found |= dict.fromkeys(together.split(", "), about.strip())
    return found


def _keys(schema: Mapping[str, Any], about: Mapping[str, str] | None = None) -> str:
    rows = []
    for key, own in schema["properties"].items():
        default = own.get("default")
        shown = "required" if key in schema.get("required", ()) else ""
        shown = shown if default is None else code(json.dumps(default, ensure_ascii=False))
        text = (about or {}).get(key, own.get("description", ""))
        rows.append((code(key), _kind(own), shown, plain(text)))
    return table(_HEADER, rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """A value's kind and bounds, in words."""
    if "enum" in schema or "const" in schema:
        names = schema.get("enum", [schema.get("const")])
        return " or ".join(code(json.dumps(name)) for name in names)
    if options := schema.get("anyOf", schema.get("oneOf")):
        kinds = [_kind(option) for option in options if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in schema:
        return "section"
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    bounds = [f"{words} {_number(schema[key])}" for key, words in _BOUNDS if key in schema]
    return ", ".join((_KINDS.get(schema.get("type", ""), "any value"), *bounds))


def _number(value: float) -> str:
    """As a study file would have it, without a fraction of zero."""
    return repr(value).removesuffix(".0")

"""The JSON schema of a study file, for editors and other programs, derived from what exists."""

from collections.abc import Sequence
from typing import Any

from models.methods import Choices, Domain, Flag, IntRange, Method, Names, Values, Whole
from search.series import Source, known_sources
from search.study.definition import Search, StudyDefinition, Task
from search.study.presets import PRESETS, TRIALS
from search.study.space import Parameter, parameter_named, parameters


def study_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a study file, plug-ins included."""
    top = StudyDefinition.model_json_schema()["properties"]
    definitions: dict[str, Any] = {}

    def section(model: Any) -> dict[str, Any]:
        schema: dict[str, Any] = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        return schema

    series = [section(source) for source in known_sources().values()]
    for schema in series:
        schema["required"] = sorted({"source", *schema.get("required", [])})
    presets = {p.name: {**_value(TRIALS), "description": p.change} for p in PRESETS}
    sections = {
        "name": top["name"],
        "seed": top["seed"],
        "series": {"oneOf": series},
        # These have defaults that depend on other keys.
        "task": {**section(Task), "required": ["train_steps", "horizon_steps"]},
        "search": section(Search),
        "presets": _object(presets),
        "space": _object({own.name: _parameter(own) for own in parameters()}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study file of freerun",
        **_object(sections, required=["name", "series", "task"]),
        "$defs": definitions,
    }


def method_schema(chosen: Sequence[type[Method]], source: type[Source] | None) -> dict[str, Any]:
    """Return the schema of the settings of some methods, or of the keys of a source of series."""
    if source is not None:
        return source.model_json_schema()
    names = [own.name for method in chosen for own in method.settings]
    return _object({name: _parameter(own) for name in names if (own := parameter_named(name))})


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, **more, "properties": properties}


def _parameter(own: Parameter) -> dict[str, Any]:
    """One value, a list of choices, or a range, where numbers can have one."""
    value = _value(own.values)
    kinds: list[dict[str, Any]] = [value, {"type": "array", "items": value, "minItems": 1}]
    if not isinstance(own.values, Names | Flag):
        form = {"log": {"type": "boolean"}, "step": {"type": "number"}}
        kinds.append(_object({"low": value, "high": value, **form}, required=["low", "high"]))
    schema = {"description": own.description, "anyOf": kinds}
    return {**schema, "default": _default(own.default)} if own.searched else schema


def _value(values: Values) -> dict[str, Any]:
    match values:
        case Names(names):
            return {"enum": list(names)}
        case Flag():
            return {"type": "boolean"}
        case _:
            kind = "integer" if isinstance(values, Whole) else "number"
            return {"type": kind, "minimum": values.low, "maximum": values.high}


def _default(domain: Domain) -> Any:
    """The domain as a study file would name it: without what has its usual value."""
    if isinstance(domain, Choices):
        return domain.to_plain()
    usual = {"log": False, "step": 1 if isinstance(domain, IntRange) else None}
    return {key: v for key, v in domain.to_plain().items() if usual.get(key, ...) != v}

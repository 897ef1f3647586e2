"""A trial as the dashboard's page takes it, in a third of the bytes that optuna-dashboard sends.

What the page never reads is left out (the distribution of each parameter, which it takes from the
study's, and its type), and numbers have six significant digits: it shows and draws them. A test
compares the rest with what optuna-dashboard sends.
"""

import json
import math
import numbers
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

_ARTIFACTS = "artifacts:"
# As optuna-dashboard cuts attributes that are neither texts nor numbers.
_MOST_SIGNS = 1024


def trial_json(trial: FrozenTrial, study_id: int) -> bytes:
    """The JSON object of a trial without its note and its closing brace; see `with_note`."""
    plain: dict[str, Any] = {
        "trial_id": trial._trial_id,
        "study_id": study_id,
        "number": trial.number,
        "state": trial.state.name.capitalize(),
        "params": [
            {
                "name": name,
                "param_internal_value": _rounded(trial.distributions[name].to_internal_repr(value)),
                "param_external_value": _shown(value),
            }
            for name, value in trial.params.items()
        ],
        "fixed_params": [
            {"name": name, "param_external_value": _shown(value)}
            for name, value in trial.system_attrs.get("fixed_params", {}).items()
        ],
        "user_attrs": [
            {"key": key, "value": _attribute(value)} for key, value in trial.user_attrs.items()
        ],
        "artifacts": _artifacts(trial.system_attrs),
        "constraints": trial.system_attrs.get("constraints", []),
        "intermediate_values": [
            {"step": step, "value": _number(value)}
            for step, value in sorted(trial.intermediate_values.items())
        ],
    }
    if trial.values is not None:
        plain["values"] = [_number(value) for value in trial.values]
    for key in ("datetime_start", "datetime_complete"):
        moment = getattr(trial, key)
        if moment is not None:
            plain[key] = moment.isoformat(timespec="milliseconds")
    return json.dumps(plain, separators=(",", ":")).encode()[:-1]


def with_note(trial: bytes, note: Mapping[str, Any] | None) -> bytes:
    """The whole JSON object. Notes are the study's, and may be written after the trial's end."""
    return trial + (_NO_NOTE if note is None else _note(note))


def _note(note: Mapping[str, Any]) -> bytes:
    return b',"note":' + json.dumps(dict(note)).encode() + b"}"


_NO_NOTE = _note({"version": 0, "body": ""})


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) and math.isfinite(value) else value


def _number(value: float) -> float | str:
    """A number as JSON has it; what JSON has not, as the page knows it by name."""
    if math.isfinite(value):
        return float(_rounded(float(value)))
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _shown(value: Any) -> str:
    return str(_rounded(value))


def _attribute(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, numbers.Real):
        return _shown(value)
    listed = [_rounded(each) for each in value] if isinstance(value, list) else value
    return json.dumps(listed)[:_MOST_SIGNS]


def _artifacts(system_attributes: Mapping[str, Any]) -> list[Any]:
    kept = (json.loads(v) for k, v in system_attributes.items() if k.startswith(_ARTIFACTS))
    return [artifact for artifact in kept if artifact is not None]

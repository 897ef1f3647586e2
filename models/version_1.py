"""How candidates were written by version 0.1.0: an architecture, a strategy and restarts.

Exports and databases of that version are read by it, and the seeds of initialisations are still
made from it, so that a candidate is the same network in every version.
"""

from collections.abc import Mapping
from typing import Any

from models.methods import MethodSet, Scalar
from models.network.architecture import Architecture
from models.network.options.context import Context

# The fields of an architecture; all others are those of a strategy.
_ARCHITECTURE = frozenset(
    """
    cell units layers head_layers residual context context_steps autonomous state_estimate
    reflections expanded_units layer_norm instance_norm scaled_increments fan_in delay_stride
    degree
    """.split()  # noqa: SIM905 (a list of so many names is read more easily as text)
)
# The settings that were fields of a strategy.
_STRATEGY = frozenset(
    """
    rollout_steps teacher_weight curriculum_fraction input_noise_std feedback_noise_std
    output_noise_std label_noise_std learning_rate weight_decay clip_norm schedule
    training_steps batch_size time_reversal initial_phases offset damping teacher_span
    professor_weight professor_detach stateful dropout growth_penalty growth_weight forcing
    forcing_midpoint forcing_strength forcing_interval pushforward_steps data_as_demonstrator
    velocity_weight spectral_weight amplitude_weight sign_augmentation scale_augmentation_std
    state_noise_std weight_average average_fraction cornn_step cornn_stiffness cornn_damping
    lem_step antisymmetric_step antisymmetric_diffusion regularisation ridge ssa_rank
    spectral_radius input_scaling bias_scaling leak_rate
    """.split()  # noqa: SIM905 (a list of so many names is read more easily as text)
)
# Fields that had no default, and were always written, with what a closed form had there.
_ALWAYS: Mapping[str, Scalar] = {
    "units": 1,
    "layers": 1,
    "head_layers": 0,
    "residual": False,
    "context": "state",
    "rollout_steps": 1,
    "teacher_weight": 1.0,
    "curriculum_fraction": 0.0,
    "input_noise_std": 0.0,
    "feedback_noise_std": 0.0,
    "output_noise_std": 0.0,
    "label_noise_std": 0.0,
    "learning_rate": 1.0,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "schedule": "constant",
    "training_steps": 1,
    "batch_size": 1,
}
# What cells and closed forms called their sizes, and what they read, in a study file.
_UNITS = {"lru": "modes", "esn": "reservoir_units", "nvar": "nvar_delays"}
_CONTEXTS = {"ar": "ar_order", "ssa": "ssa_window"}


def settings_of(
    architecture: Mapping[str, Any], strategy: Mapping[str, Any], restarts: int
) -> dict[str, Any]:
    """The values of settings, by name, of a candidate that version 0.1.0 wrote.

    Raises KeyError where one of the fields that were always there is missing.
    """
    cell = architecture["cell"]
    is_window = architecture["context"] == "window" or cell == "mlp"
    named = {
        **{name: v for name, v in architecture.items() if name not in ("units", "context_steps")},
        **{name: v for name, v in strategy.items() if name != "rollout_steps"},
        "restarts": restarts,
        _UNITS.get(cell, "hidden_units"): architecture["units"],
    }
    context = "window_steps" if is_window else _CONTEXTS.get(cell, "warm_up_steps")
    named[context] = architecture["context_steps"]
    if "rollout_steps" in strategy:
        rollout = "window_rollout_steps" if is_window else "rollout_steps"
        named[rollout] = strategy["rollout_steps"]
    return named


def seed_key(candidate: MethodSet, restarts: int) -> dict[str, Any]:
    """What version 0.1.0 made seeds from: the candidate, without what has its default value.

    Settings that came later are written apart, where they are not neutral.
    """
    core = Architecture(tuple(m for m in candidate if m.shapes_forecast))
    fields: dict[str, Any] = dict(_ALWAYS)
    later: dict[str, Any] = {}
    for method in candidate:
        if method.selector is not None:
            fields[method.selector.name] = method.name
        for own in method.settings:
            value = getattr(method, own.field)
            name = _field_of(own.name, core.core.name)
            if name is None or (value == own.neutral and name not in _ALWAYS):
                continue
            known = name in _ARCHITECTURE or name in _STRATEGY
            (fields if known else later)[name] = value
    # As it was asked for: networks that read segments read whole ones.
    context = core.find(Context)
    fields["context_steps"] = core.context_steps if context is None else context.steps
    key: dict[str, Any] = {
        "architecture": {name: v for name, v in fields.items() if name in _ARCHITECTURE},
        "strategy": {name: v for name, v in fields.items() if name not in _ARCHITECTURE},
        "restarts": restarts,
    }
    return {**key, "later": later} if later else key


def _field_of(setting: str, cell: str) -> str | None:
    """The field that a setting was, None where it is written otherwise."""
    if setting == _UNITS.get(cell, "hidden_units"):
        return "units"
    if setting == "window_rollout_steps":
        return "rollout_steps"
    if setting in ("restarts", "window_steps", "warm_up_steps", *_CONTEXTS.values()):
        return None
    return setting

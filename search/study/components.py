"""The components of a candidate: what it has beyond a plain one, and itself without each.

Each component is some parameters and the values that they have without it. Without one, the
candidate keeps everything else, so that what is lost is what the component is worth beside the
others; a component that is only needed where another is missing shows no loss.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from models.candidate import Candidate
from search.errors import UsageError
from search.study.domain import Scalar
from search.study.parameters import PARAMETERS
from search.study.space import Space, resolve_params


@dataclass(frozen=True)
class Component:
    """name: a word or two. without: what the candidate does instead. values: of parameters."""

    name: str
    without: str
    values: Mapping[str, Scalar]


_WINDOW: Mapping[str, Scalar] = {"context": "window", "window_steps": 4}
_NAMED: tuple[Component, ...] = (
    Component("cell", "RNN cells of 16 units", {"cell": "rnn", "hidden_units": 16}),
    Component(
        "context", "windows of 4 from a state of zero", {**_WINDOW, "window_rollout_steps": 16}
    ),
    Component("autonomous", "reads its own forecasts", {"autonomous": False}),
    Component("state estimate", "state by reading the warm-up", {"state_estimate": "recurrence"}),
    Component("layers", "one recurrent layer", {"layers": 1}),
    Component("head", "a linear output", {"head_layers": 0}),
    Component("residual", "no last value added to the output", {"residual": False}),
    Component("modes", "a single mode", {"modes": 1}),
    Component("no damping", "modes that may die away", {"damping": True}),
    Component("no offset", "mean taken off, bias in the output", {"offset": True}),
    Component("phases", "first phases at random", {"initial_phases": "random"}),
    Component(
        "rollout loss",
        "one-step loss on true inputs alone",
        {"rollout_steps": 1, "window_rollout_steps": 1, "teacher_weight": 1.0},
    ),
    Component("one-step loss", "free-running loss alone", {"teacher_weight": 0.0}),
    Component("curriculum", "the whole rollout from the start", {"curriculum_fraction": 0.0}),
    Component("both ways", "segments read forwards only", {"time_reversal": False}),
    Component("input noise", "none", {"input_noise_std": 0.0}),
    Component("feedback noise", "none", {"feedback_noise_std": 0.0}),
    Component("output noise", "none", {"output_noise_std": 0.0}),
    Component("label noise", "none", {"label_noise_std": 0.0}),
    Component("weight decay", "none", {"weight_decay": 0.0}),
    Component("clipping", "none", {"clip_norm": 1e9}),
    Component("schedule", "a constant learning rate", {"schedule": "constant"}),
    Component("restarts", "one initialisation", {"restarts": 1}),
)
# How large a cell is, how it is tuned or held back, and how much there is of another component: no
# candidate is without them.
_MEASURES = {
    "reflections",
    "expanded_units",
    "cornn_step",
    "cornn_stiffness",
    "cornn_damping",
    "lem_step",
    "antisymmetric_step",
    "antisymmetric_diffusion",
    "professor_detach",
    "growth_weight",
    "forcing_midpoint",
    "forcing_strength",
    "forcing_interval",
    "average_fraction",
    "fan_in",
    "spectral_radius",
    "input_scaling",
    "leak_rate",
    "delay_stride",
    "regularisation",
    "ssa_rank",
}
_COVERED = _MEASURES | {name for component in _NAMED for name in component.values}
# Any other parameter with a neutral value is a component by itself.
COMPONENTS: tuple[Component, ...] = _NAMED + tuple(
    Component(row.name.replace("_", " "), f"{row.neutral}", {row.name: row.neutral})
    for row in PARAMETERS
    if row.neutral is not None and row.name not in _COVERED
)
BY_NAME: Mapping[str, Component] = {component.name: component for component in COMPONENTS}


def without_each(space: Space, params: Mapping[str, Scalar | None]) -> dict[str, Candidate]:
    """Return the candidate of a trial's parameters without each component that it has, by name.

    Left out are components that the candidate does not have, and those without which it would
    be none (a parameter that it then needs has no value).
    """
    whole = space.resolve(params)
    known = {k: v for k, v in {**space.fixed(params), **params}.items() if v is not None}
    # A window MLP samples no context, but another cell in its place needs one.
    known.setdefault("context", whole.architecture.context)
    found: dict[str, Candidate] = {}
    for component in COMPONENTS:
        try:
            candidate = resolve_params(_applying({**known, **component.values}))
        except UsageError:
            continue
        if candidate != whole:
            found[component.name] = candidate
    return found


def taken_along(space: Space, params: Mapping[str, Scalar | None]) -> dict[str, tuple[str, ...]]:
    """Return what else a candidate loses with each of its components, by name.

    A component rests on another where it can't be without it: windows have no state to run on, so
    without its context a candidate is without all that made its state. What is lost then is worth
    all of them together.
    """
    whole = _flat(space.resolve(params))
    without = {name: _flat(plain) for name, plain in without_each(space, params).items()}
    changes = {
        name: {field: value for field, value in plain.items() if value != whole[field]}
        for name, plain in without.items()
    }
    return {
        name: tuple(
            other
            for other, change in changes.items()
            if other != name and change.items() <= plain.items()
        )
        for name, plain in without.items()
    }


def _flat(candidate: Candidate) -> dict[str, Scalar]:
    return {
        **asdict(candidate.architecture),
        **asdict(candidate.strategy),
        "restarts": candidate.restarts,
    }


def _applying(params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The parameters whose conditions hold, given those before them."""
    kept: dict[str, Scalar] = {}
    for row in PARAMETERS:
        if row.name in params and row.applies(kept):
            kept[row.name] = params[row.name]
    return kept

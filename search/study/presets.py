"""Presets: named families of candidates, each fixing most parameters and leaving the rest open.

The [presets] section of a study says which it searches, and how many trials each gets. Most are
the attempts of the report that freerun starts from: a student's recurrent networks on a noisy sine,
whose one-step forecasts looked fine and whose free runs collapsed. Each of them is `baseline` plus
one named change; docs/presets.md says how they map to the report. The others show what works.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.methods import Choices, Domain, Scalar, SettingError, Whole, either, nearest, shown
from search.study.space import complete_space, parameter_named, parameters

# The report's noise is in the units of its series, ours in standard deviations of the training
# span: of a unit sine with noise of 0.2, that is sqrt(1/2 + 0.2²) = 0.735.
REPORT_STD = math.sqrt(0.5 + 0.2**2)


TRIALS = Whole(1, 1_000_000)


def _noise_std(in_series_units: float) -> float:
    return round(in_series_units / REPORT_STD, 4)


@dataclass(frozen=True)
class Preset:
    """A named family of candidates.

    change: what it changes in `baseline`, in words. fixed: the values of its parameters; those that
    there and apply are open, and sampled from the study's space. is_attempt: of the report.
    is_ablated: whether its best trial is trained without each of its components.
    """

    name: str
    change: str
    fixed: Mapping[str, Scalar]
    is_attempt: bool = True
    is_ablated: bool = False


BASELINE_NAME = "baseline"
# What varies in every one of the report's attempts.
VARIED = ("learning_rate", "hidden_units", "training_steps")

# The report's first network. Parameters that it does not name have their neutral value.
BASELINE: Mapping[str, Scalar] = {
    "cell": "rnn",
    "layers": 1,
    "context": "window",  # the state starts at zero for each window
    "window_steps": 4,
    "window_rollout_steps": 1,
    "weight_decay": 0.0,
    "clip_norm": 1e9,  # never reached: the report does not clip
    "schedule": "constant",
    "batch_size": 16,
    "restarts": 1,
}
# The recipe of the repository that the report followed, scaled from its batch of 64 to 600
# points: 12 chunks of 50 cover them once, so that one step of the optimiser is one epoch. Its three
# losses 1 : 1 : 1 are twice these shares.
RECURSIVE_THREE_LOSS: Mapping[str, Scalar] = {
    "cell": "lstm",
    "layers": 2,
    "context": "state",
    "warm_up_steps": 500,  # before the free run that is scored
    "rollout_steps": 50,
    "stateful": True,
    "teacher_span": "rollout",
    "teacher_weight": 0.5,
    "curriculum_fraction": 0.0,
    "professor_weight": 0.5,
    "professor_detach": "teacher",
    "dropout": 0.2,
    "weight_decay": 1e-4,
    "clip_norm": 10.0,
    "batch_size": 12,
}
# The report leaves its number open; the longest window rollout of the default space.
PREDICT_NUM = 16
MULTI_STEP: Mapping[str, Scalar] = {
    "window_rollout_steps": PREDICT_NUM,
    "teacher_weight": 0.0,
    "curriculum_fraction": 0.0,
}


# The report's networks read four inputs; here each of them is a segment, and the loss is over 16.
SEGMENT_STEPS = 20
SEGMENTS: Mapping[str, Scalar] = {
    **MULTI_STEP,
    "segment_steps": SEGMENT_STEPS,
    "window_steps": 4 * SEGMENT_STEPS,
    "window_rollout_steps": 16 * SEGMENT_STEPS,
}
SYMMETRIES: Mapping[str, Scalar] = {"time_reversal": True, "sign_augmentation": True}

# What else is not of the report is the default space beyond these, which keep it affordable.
WARMED_UP: Mapping[str, Scalar] = {"context": "state", "layers": 1, "batch_size": 8}


def _attempt(
    name: str,
    change: str,
    values: Mapping[str, Scalar] | None = None,
    opens: tuple[str, ...] = (),
    *,
    is_attempt: bool = True,
    is_ablated: bool = False,
) -> Preset:
    """`baseline` with other values of some parameters, and more of them open."""
    wanted = {**BASELINE, **(values or {})}
    fixed: dict[str, Scalar] = {}
    space: dict[str, Domain] = {}
    for row in parameters():
        if not row.when.can_hold(space):
            continue
        space[row.name] = row.default
        if row.name not in VARIED + opens:
            value = wanted.get(row.name, row.neutral)
            assert value is not None, row.name
            fixed[row.name] = value
            space[row.name] = Choices((value,))
    return Preset(name, change, fixed, is_attempt, is_ablated)


def _with_segments(cell: str) -> list[Preset]:
    """A cell of the report that reads four segments, without and with the series' symmetries."""
    label = cell.upper()
    return [
        _attempt(
            f"{cell}-segments",
            f"not of the report: multi-step by {label} cells whose four inputs are segments of "
            f"{SEGMENT_STEPS} values",
            {**SEGMENTS, "cell": cell},
            is_attempt=False,
        ),
        _attempt(
            f"{cell}-symmetric",
            f"not of the report: {cell}-segments, trained upside down and backwards in time, too",
            {**SEGMENTS, **SYMMETRIES, "cell": cell},
            is_attempt=False,
            is_ablated=True,
        ),
    ]


PRESETS: tuple[Preset, ...] = (
    _attempt(BASELINE_NAME, "an RNN that reads windows of 4 from a state of zero, one-step loss"),
    _attempt(
        "hyperparameters",
        "layers, batch size and weight decay are searched, too",
        opens=("layers", "batch_size", "weight_decay"),
    ),
    _attempt("extra-fc", "one more fully connected layer before the output", {"head_layers": 1}),
    _attempt("lstm", "LSTM cells", {"cell": "lstm"}),
    _attempt("gru", "GRU cells", {"cell": "gru"}),
    _attempt(
        "multi-step",
        f"loss over {PREDICT_NUM} steps, each forecast written back into the window",
        MULTI_STEP,
    ),
    _attempt(
        "feedback-noise",
        "multi-step, with noise of 0.2 on each forecast that is written back",
        {**MULTI_STEP, "feedback_noise_std": _noise_std(0.2)},
    ),
    _attempt("input-noise", "noise of 0.1 on the window", {"input_noise_std": _noise_std(0.1)}),
    _attempt("output-noise", "noise of 0.05 on the output", {"output_noise_std": _noise_std(0.05)}),
    _attempt(
        "label-noise",
        "noise of 0.1 on the target, whose strength the report does not say",
        {"label_noise_std": _noise_std(0.1)},
    ),
    _attempt("residual", "the output is added to the last input", {"residual": True}),
    _attempt(
        "recursive-three-loss",
        "the recipe that the report followed: a stateful LSTM of two layers, three losses 1:1:1",
        RECURSIVE_THREE_LOSS,
    ),
    _attempt(
        "professor-forcing",
        f"hidden values of {PREDICT_NUM} free-running steps are drawn to those of teacher forcing",
        {
            **MULTI_STEP,
            "teacher_span": "rollout",
            "teacher_weight": 1.0,
            "professor_weight": 1.0,
            "professor_detach": "teacher",
        },
    ),
    Preset(
        "warmed-up",
        "not of the report: any cell with a warmed-up state, in one layer",
        WARMED_UP,
        is_attempt=False,
    ),
    Preset(
        "running-on-state",
        "not of the report: linear modes that run on their warmed-up state, and read nothing",
        {**WARMED_UP, "cell": "lru", "head_layers": 0, "autonomous": True},
        is_attempt=False,
    ),
    *(preset for cell in ("rnn", "gru", "lstm") for preset in _with_segments(cell)),
)

# Attempts of the report that are no candidates of their own, with what to write instead.
NO_PRESETS: Mapping[str, str] = {
    "no-perturbation": "is baseline on another series; write baseline in a study whose [series] "
    "has noise_std = 0",
}
BY_NAME: Mapping[str, Preset] = {preset.name: preset for preset in PRESETS}


@dataclass(frozen=True)
class PresetQuota:
    """A preset of a study.

    trials: of any state, over all resumes. fixed: its values of parameters, kept with the study, so
    that it stays what it is when a later version has another table.
    """

    trials: int
    fixed: Mapping[str, Scalar]


Presets = Mapping[str, PresetQuota]


def read_quotas(raw: Mapping[str, object]) -> dict[str, PresetQuota]:
    """Return the presets that a study file names, in the table's order, whatever the file's is.

    Raises SettingError for the first that is no preset or has no quota.
    """
    for name in raw:
        if name in NO_PRESETS:
            raise SettingError(name, NO_PRESETS[name])
        if name not in BY_NAME:
            raise SettingError(
                name, f"is no preset.{nearest(name, BY_NAME)} There are: {', '.join(BY_NAME)}"
            )
    return {
        preset.name: PresetQuota(_trials(preset.name, raw[preset.name]), preset.fixed)
        for preset in PRESETS
        if preset.name in raw
    }


def read_stored_quotas(raw: Mapping[str, Any]) -> dict[str, PresetQuota]:
    """Return the presets of a stored definition; raises SettingError where they can't be read."""
    quotas = {}
    for name, plain in raw.items():
        if not isinstance(plain, Mapping) or plain.keys() != {"trials", "fixed"}:
            raise SettingError(name, f"must have trials and fixed, but got {shown(plain)}")
        if not isinstance(plain["fixed"], Mapping):
            raise SettingError(
                f"{name}.fixed", f"must hold parameters, but got {shown(plain['fixed'])}"
            )
        fixed = {}
        for key, value in plain["fixed"].items():
            parameter = parameter_named(key)
            if parameter is None:
                raise SettingError(f"{name}.fixed.{key}", "is no parameter")
            fixed[key] = parameter.values.check(f"{name}.fixed.{key}", value)
        quotas[name] = PresetQuota(_trials(name, plain["trials"]), fixed)
    return quotas


def sum_of_quotas(presets: Presets, trials: object) -> object:
    """Return the trials of a study with presets; raises SettingError where a file says others.

    trials: what it says, None for nothing. What is no number is a problem of its own.
    """
    total = sum(preset.trials for preset in presets.values())
    if type(trials) is int and trials != total:
        raise SettingError(
            "trials",
            f"must be {total}, the sum of the quotas in [presets], but got {trials}; remove the "
            "key, or change a quota",
        )
    return total if trials is None else trials


def _trials(name: str, raw: object) -> int:
    try:
        return TRIALS.check(name, raw)
    except SettingError as problem:
        raise SettingError(
            name, f"{problem.rule}; write how many trials it gets, for example {name} = 50"
        ) from None


def within(space: Mapping[str, Domain], fixed: Mapping[str, Scalar]) -> dict[str, Domain]:
    """Return a space as a preset narrows it: what the preset fixes has one choice."""
    return {**space, **{name: Choices((value,)) for name, value in fixed.items()}}


def open_names(space: Mapping[str, Domain], fixed: Mapping[str, Scalar]) -> list[str]:
    """Return the parameters that candidates of a preset may sample, in the table's order."""
    narrowed = within(space, fixed)
    reachable: dict[str, Domain] = {}
    for row in parameters():
        if row.name in narrowed and row.when.can_hold(reachable):
            reachable[row.name] = narrowed[row.name]
    return [name for name in reachable if name not in fixed]


def complete_open_space(
    named: Mapping[str, Domain], presets: Presets, train_steps: int
) -> dict[str, Domain]:
    """Return the domains of all parameters that a preset leaves open: named ones, and defaults.

    Defaults fit the task. All presets sample a parameter from one domain, since Optuna fixes a
    parameter's choices for the whole study. Raises SettingError where a preset does not fit the
    task, and for a name that every preset fixes.
    """
    space: dict[str, Domain] = {}
    everything = {row.name: named.get(row.name, row.default) for row in parameters()}
    for preset, quota in presets.items():
        reachable = open_names(everything, quota.fixed)
        own = {name: domain for name, domain in named.items() if name in reachable}
        try:
            whole = complete_space(within(own, quota.fixed), train_steps)
        except SettingError as problem:
            raise SettingError(problem.key, f"(preset {preset}) {problem.rule}") from None
        for name in open_names(whole, quota.fixed):
            if space.setdefault(name, whole[name]) != whole[name]:
                raise SettingError(
                    name,
                    "must be named, since its defaults that fit into train_steps differ between "
                    f"presets: {shown(space[name].to_plain())} and {shown(whole[name].to_plain())}",
                )
    for name in named:
        if name not in space:
            raise SettingError(
                name,
                f"is open in no preset of this study, which has {either(presets)}; remove the key, "
                "or add a preset that leaves it open",
            )
    return {row.name: space[row.name] for row in parameters() if row.name in space}

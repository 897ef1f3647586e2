"""The [presets] section of a study: which presets it searches, and how many trials each gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.methods import Choices, Domain, Scalar, SettingError, Whole, either, nearest, shown
from search.study.presets import BY_NAME, NO_PRESETS, PRESETS
from search.study.space import complete_space, parameter_named, parameters

TRIALS = Whole(1, 1_000_000)


@dataclass(frozen=True)
class PresetQuota:
    """A preset of a study.

    trials: of any state, over all resumes. fixed: its values of parameters, kept with the study, so
    that it stays what it is when a later version has another table.
    """

    trials: int
    fixed: Mapping[str, Scalar]

    def to_plain(self) -> dict[str, Any]:
        """As a stored definition holds it."""
        return {"trials": self.trials, "fixed": dict(self.fixed)}


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

    trials: what it says, None for nothing. What is no number is left to its own complaint.
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
        if row.name in narrowed and row.can_apply(reachable):
            reachable[row.name] = narrowed[row.name]
    return [name for name in reachable if name not in fixed]


def complete_open_space(
    named: Mapping[str, Domain], presets: Presets, train_steps: int
) -> dict[str, Domain]:
    """Return the domains of all parameters that a preset leaves open.

    They are those that the study file names, and defaults that fit the task. All presets sample a
    parameter from one domain, since Optuna allows no other choices in the same study. Raises
    SettingError where a preset does not fit the task, and for a name that every preset fixes.
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

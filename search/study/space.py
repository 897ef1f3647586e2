"""The space of a study: completed by defaults, sampled by Optuna, resolved to candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from models.candidate import Architecture, Candidate, Strategy
from search.errors import UsageError, nearest
from search.series.section import SectionError
from search.study.domain import Choices, Domain, Scalar, largest, smallest
from search.study.fitted import fit_contexts, nvar_window, without_training
from search.study.meaning import read_domain
from search.study.parameters import BY_NAME, PARAMETERS, SPANS
from search.study.wording import either, shown

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial


# The parameter that names a trial's preset, in studies that have presets.
PRESET = "preset"
# Where a cell has names of its own for what others call hidden_units and warm_up_steps.
UNIT_NAMES = {"lru": "modes", "esn": "reservoir_units", "nvar": "nvar_delays"}
CONTEXT_NAMES = {"nvar": "nvar_delays", "ar": "ar_order", "ssa": "ssa_window"}
NO_PRESETS: Mapping[str, Mapping[str, Scalar]] = MappingProxyType({})


class Space:
    """The domains that a study samples from.

    domains: the completed ones of `StudyDefinition.space`. A known parameter that is not there
    (one that came with a later version) is not sampled and has its neutral value.
    presets: the parameters that each preset fixes, by its name. A trial samples its preset first,
    then of the domains what that preset leaves open.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        presets: Mapping[str, Mapping[str, Scalar]] = NO_PRESETS,
    ) -> None:
        self.domains = dict(domains)
        self.presets = dict(presets)
        self._sampled = tuple(row for row in PARAMETERS if row.name in self.domains)
        self.cohort_names = tuple(row.name for row in self._sampled if row.cohort)
        if self.presets:
            self.domains[PRESET] = Choices(tuple(self.presets))
            self.cohort_names = (PRESET, *self.cohort_names)

    def suggest(self, trial: BaseTrial) -> dict[str, Scalar]:
        """Sample the parameters of one trial; those whose condition fails are left out."""
        params: dict[str, Scalar] = {}
        if self.presets:
            params[PRESET] = self.domains[PRESET].suggest(trial, PRESET)
        known = {**self.fixed(params), **params}
        for row in self._sampled:
            if row.name not in known and row.applies(known):
                params[row.name] = known[row.name] = self.domains[row.name].suggest(trial, row.name)
        return params

    def distributions(self, params: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
        """Return the distribution of each of a trial's parameters, as `suggest` used it."""
        return {name: self.domains[name].distribution() for name in params}

    def resolve(self, params: Mapping[str, Scalar | None]) -> Candidate:
        """Return the candidate that a trial's parameters stand for.

        Raises UsageError where a parameter that the candidate needs is missing, and for a preset
        that the study does not have.
        """
        return resolve_params({**self.fixed(params), **params})

    def fixed(self, params: Mapping[str, Scalar | None]) -> Mapping[str, Scalar]:
        """Return the parameters that the preset of a trial fixes; UsageError for an unknown one."""
        if not self.presets:
            return {}
        preset = params.get(PRESET)
        if preset not in self.presets:
            raise UsageError(
                f"a trial's {PRESET} must be {either(self.presets)}, but got {shown(preset)}; "
                "give a trial of this study"
            )
        return self.presets[str(preset)]


def resolve_params(params: Mapping[str, Scalar | None]) -> Candidate:
    """Return the candidate of parameters that no preset completes.

    Raises UsageError where a parameter that the candidate needs is missing.
    """
    params = without_training(params)
    cell = _value(params, "cell")
    if cell == "mlp":
        params = {**params, "context": "window"}
    # Fields of a candidate are named as the parameters that set them, but for these.
    has_window = _value(params, "context") == "window"
    sources = {
        "units": UNIT_NAMES.get(cell, "hidden_units"),
        "context_steps": "window_steps" if has_window else CONTEXT_NAMES.get(cell, "warm_up_steps"),
        "rollout_steps": "window_rollout_steps" if has_window else "rollout_steps",
    }

    def values(part: type) -> dict[str, Any]:
        names = [field.name for field in fields(part)]
        return {name: _value(params, sources.get(name, name)) for name in names}

    built = values(Architecture)
    if cell == "nvar":
        built["context_steps"] = nvar_window(built["units"], built["delay_stride"])
    architecture, strategy = Architecture(**built), Strategy(**values(Strategy))
    return Candidate(architecture, strategy, restarts=_value(params, "restarts"))


def _value(params: Mapping[str, Scalar | None], name: str) -> Any:
    """The value of a parameter as its own type, or its neutral one."""
    row = BY_NAME[name]
    if name in params:
        try:
            return row.meaning.value(name, params[name])
        except SectionError as problem:
            raise UsageError(f"a trial's {problem}") from None
    if row.neutral is None:
        raise UsageError(
            f"a trial must have a value for {name}, but has only {', '.join(params) or 'none'}; "
            "give one that freerun sampled"
        )
    return row.neutral


def read_space(raw: Mapping[str, object]) -> dict[str, Domain]:
    """Return the domains of a [space] section; SectionError for the first that is wrong."""
    for name in raw:
        if name not in BY_NAME:
            raise SectionError(name, f"is no parameter.{nearest(name, BY_NAME)} {_known()}")
    return {name: read_domain(name, raw[name], BY_NAME[name].meaning) for name in raw}


def check_complete(space: Mapping[str, Domain]) -> None:
    """Raise SectionError where a candidate of a stored space would lack what it needs."""
    for row in PARAMETERS:
        if row.neutral is None and row.name not in space and row.can_apply(space):
            raise SectionError(row.name, "is missing from a space that should be complete")


def complete_space(named: Mapping[str, Domain], train_steps: int) -> dict[str, Domain]:
    """Return the whole space: what the study file names, and defaults that fit the task.

    Default choices of context and rollout are dropped where a candidate would need more than
    `train_steps` values; parameters that no candidate could sample are left out. Raises
    SectionError where the named domains don't fit, or no default does, and where no candidate could
    sample a parameter that is searched only because it is named.
    """
    space = {
        row.name: named.get(row.name, row.default)
        for row in PARAMETERS
        if row.name in named or not row.opt_in
    }
    for condition, context, rollout in SPANS:
        if not condition.can_hold(space):
            continue
        if context not in named:
            # Half of the span for the context leaves room for rollouts of different lengths.
            taken = int(largest(space[rollout])) if rollout in named else train_steps // 2
            space[context] = _fitting(context, train_steps, rollout, taken)
        if rollout not in named:
            taken = int(largest(space[context]))
            space[rollout] = _fitting(rollout, train_steps, context, taken)
        _check_span(space, context, rollout, train_steps)
    space = fit_contexts(space, named, train_steps)
    reachable: dict[str, Domain] = {}
    for row in PARAMETERS:
        if row.name not in space:
            continue
        if row.can_apply(reachable):  # as the rows it depends on come before it
            reachable[row.name] = space[row.name]
        elif row.opt_in:
            raise SectionError(
                row.name,
                f"is sampled where {row.when or row.condition}, but no candidate of this space is "
                "like that; name what it rests on as well, or remove the key",
            )
    return reachable


def _fitting(name: str, train_steps: int, neighbour: str, taken: int) -> Choices:
    """The default choices that fit into the training span beside its neighbour's `taken` steps."""
    default = BY_NAME[name].default
    assert isinstance(default, Choices)
    room = train_steps - taken
    if room < 1:
        raise SectionError(
            neighbour,
            f"must leave room for {name} within train_steps = {train_steps}, but reaches {taken}; "
            "shorten it, or lengthen train_steps",
        )
    fitting = tuple(v for v in default.values if isinstance(v, int) and v <= room)
    if not fitting:
        raise SectionError(
            name,
            f"has no default that fits: train_steps = {train_steps} leaves {room} steps for it, "
            f"but its defaults are {shown(default.to_plain())}; "
            f"name some, for example {name} = [{room}], or lengthen train_steps",
        )
    return Choices(fitting)


def _check_span(space: Mapping[str, Domain], context: str, rollout: str, train_steps: int) -> None:
    context_steps, rollout_steps = largest(space[context]), largest(space[rollout])
    if context_steps + rollout_steps > train_steps:
        raise SectionError(
            context,
            f"and {rollout} together must be at most train_steps = {train_steps}, but reach "
            f"{context_steps} + {rollout_steps} = {context_steps + rollout_steps}; "
            "shorten one of them, or lengthen train_steps",
        )


def _known() -> str:
    return "The space has: " + ", ".join(BY_NAME)


def least_training_steps(space: Mapping[str, Domain]) -> int | None:
    """The fewest training steps that a candidate of the space can have; None without training."""
    return int(smallest(space["training_steps"])) if "training_steps" in space else None

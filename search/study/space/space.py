"""The space of a study: completed by defaults, sampled by Optuna, resolved to candidates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from models.closed_form.closed_form import ClosedForm
from models.methods import (
    Choices,
    Domain,
    FloatRange,
    IntRange,
    Scalar,
    Setting,
    SettingError,
    either,
    largest,
    methods,
    nearest,
    shown,
)
from models.methods.condition import AllOf, Condition, IsNot
from models.methods.registry import method_named
from models.network.options.channels import INDEPENDENT, TIED, Channels
from models.network.options.covariates import KnownColumns, KnownInputs, PastColumns
from models.network.options.segments import Segments
from models.network.options.transforms import PowerTransform, SeasonalDifference, longest_lag
from models.training.losses.squared_error import Rollout
from search.errors import UsageError
from search.plugins import PRESET
from search.study.space.parameter import Parameter, parameter_named, parameters
from search.study.space.reading import read_domain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

    from models.candidate import Candidate
    from models.methods.series_properties import SeriesProperties


LAG = SeasonalDifference.settings[0].name
CHANNELS = Channels.settings[0].name
PAST = PastColumns.settings[0].name


class Space:
    """The domains that a study samples from.

    domains: the completed ones of `StudyDefinition.space`, sampled in their order, so that a stored
    study goes on as it began when a later version has another order. A parameter that is not there
    (one that came with a later version) is not sampled and has its neutral value.
    presets: the parameters that each preset fixes, by its name. A trial samples its preset first,
    then of the domains what that preset leaves open.
    channels: of the series. Where a closed form of all of them at once would be too large, or is
    the same as one of each, a trial does not sample `channels`, and they are independent.
    past: columns that are known only in the past, which a closed form that would be too large with
    them leaves out.
    """

    def __init__(
        self,
        domains: Mapping[str, Domain],
        presets: Mapping[str, Mapping[str, Scalar]] | None = None,
        channels: int = 1,
        past: int = 0,
    ) -> None:
        self.channels, self.past = channels, past
        self.domains = dict(domains)
        self.presets = dict(presets or {})
        self._sampled = tuple(filter(None, map(parameter_named, self.domains)))
        self.cohort_names = tuple(p.name for p in self._sampled if p.shared)
        if self.presets:
            self.domains[PRESET] = Choices(tuple(self.presets))
            self.cohort_names = (PRESET, *self.cohort_names)

    def suggest(self, trial: BaseTrial) -> dict[str, Scalar]:
        """Sample the parameters of one trial; those whose condition fails are left out."""
        params: dict[str, Scalar] = {}
        if self.presets:
            params[PRESET] = _suggest(self.domains[PRESET], trial, PRESET)
        known = {**self.fixed(params), **params}
        for parameter in self._sampled:
            name = parameter.name
            if name == CHANNELS and not self._can_mix(known):
                continue
            if name == PAST and not self._has_room_for_past(known):
                continue
            if name not in known and parameter.when.holds(known):
                params[name] = known[name] = _suggest(self.domains[name], trial, name)
        return params

    def distributions(self, params: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
        """Return the distribution of each of a trial's parameters, as `suggest` used it."""
        return {name: distribution_of(self.domains[name]) for name in params}

    def resolve(self, params: Mapping[str, Scalar | None]) -> Candidate:
        """Return the candidate that a trial's parameters stand for.

        Raises UsageError where a parameter that the candidate needs is missing, and for a preset
        that the study does not have.
        """
        known = {**self.fixed(params), **params}
        domain = self.domains.get(CHANNELS)
        is_free = domain is not None and domain.contains(INDEPENDENT) and not known.get(TIED)
        if is_free and "cell" in known:
            known.setdefault(CHANNELS, INDEPENDENT)
        return resolve_params(known)

    def check_asked(self, asked: Mapping[str, object]) -> Mapping[str, Scalar]:
        """Return what another program asks a trial to have; UsageError for what no trial can."""
        for name, value in asked.items():
            domain = self.domains.get(name)
            if domain is None:
                raise UsageError(
                    f"an enqueued trial's parameters must be of the study's space, but got "
                    f"{shown(name)}.{nearest(name, self.domains)}"
                )
            if not isinstance(value, bool | int | float | str) or not domain.contains(value):
                raise UsageError(
                    f"an enqueued trial's {name} must be in {shown(domain.to_plain())}, but got "
                    f"{shown(value)}; enqueue another value"
                )
        return cast(Mapping[str, Scalar], asked)

    def _can_mix(self, known: Mapping[str, Scalar]) -> bool:
        """Whether `channels` is a choice for a candidate of which all else is known."""
        domain, core = self.domains[CHANNELS], method_named("cell", str(known.get("cell")))
        if not domain.contains(INDEPENDENT) or core is None or not issubclass(core, ClosedForm):
            return True
        return core.of(known).fits_at_once(self.channels)

    def _has_room_for_past(self, known: Mapping[str, Scalar]) -> bool:
        core = method_named("cell", str(known.get("cell")))
        if core is None or not issubclass(core, ClosedForm):
            return True
        return core.of(known).fits_at_once(self.channels + self.past)

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

    Raises UsageError where a parameter that the candidate needs is missing or out of bounds, and
    where parameters contradict each other.
    """
    # Candidates bring torch, which checking a study file goes without.
    from models.candidate import candidate_of

    try:
        return candidate_of(params)
    except ValueError as problem:
        raise UsageError(f"a trial's {problem}") from None


def _suggest(domain: Domain, trial: BaseTrial, name: str) -> Scalar:
    match domain:
        case IntRange(low, high, log, step):
            return trial.suggest_int(name, low, high, step=step, log=log)
        case FloatRange(low, high, log, real_step):
            return trial.suggest_float(name, low, high, step=real_step, log=log)
        case Choices(values):
            # Optuna's choices may be None, ours never are.
            return cast(Scalar, trial.suggest_categorical(name, values))


def distribution_of(domain: Domain) -> BaseDistribution:
    """The same domain in Optuna's terms."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match domain:
        case IntRange(low, high, log, step):
            return IntDistribution(low, high, log=log, step=step)
        case FloatRange(low, high, log, real_step):
            return FloatDistribution(low, high, log=log, step=real_step)
        case Choices(values):
            return CategoricalDistribution(values)


def read_space(raw: Mapping[str, object]) -> dict[str, Domain]:
    """Return the domains of a [space] section; SettingError for the first that is wrong."""
    found = {}
    for name, domain in raw.items():
        parameter = parameter_named(name)
        if parameter is None:
            known = [other.name for other in parameters()]
            raise SettingError(
                name, f"is no parameter.{nearest(name, known)} The space has: {', '.join(known)}"
            )
        found[name] = read_domain(name, domain, parameter.values)
    return found


def check_complete(space: Mapping[str, Domain]) -> None:
    """Raise SettingError where a candidate of a stored space would lack what it needs."""
    for parameter in parameters():
        is_needed = parameter.neutral is None and parameter.when.can_hold(space)
        if is_needed and parameter.name not in space:
            raise SettingError(parameter.name, "is missing from a space that should be complete")


def complete_space(
    named: Mapping[str, Domain], train_steps: int, series: SeriesProperties | None = None
) -> dict[str, Domain]:
    """Return the whole space: what the study file names, and defaults that fit the task.

    series: what is known of the series, which some defaults follow; None for nothing. Default
    choices of context, rollout and segments are dropped where a candidate would need more than
    `train_steps` values, and the longest that fits is taken where none is left; parameters that no
    candidate could sample are left out. Raises SettingError where the named domains don't fit, or
    no default does, and where no candidate could sample a parameter that is searched only because
    it is named. A cell that is searched by default is left out where it does not fit.
    """
    _check_power(named, series)
    _check_beside(named, series)
    cell = _core_selector()
    left_out: set[str] = set()  # cells, and the lag
    while True:
        try:
            return _completed(named, train_steps, series, left_out)
        except SettingError as problem:
            parameter = parameter_named(problem.key)
            is_period = parameter is not None and parameter.is_period
            # The lag takes rows that others need; what has no room for a period is left out itself.
            if LAG not in named and LAG not in left_out and not is_period:
                left_out.add(LAG)
                continue
            owners = {own.name for own in parameter.owners} if parameter else set()
            domain = _default(cell, series)
            assert isinstance(domain, Choices)
            known = {str(name) for name in domain.values} - left_out
            gone = owners & known
            if cell.name in named or problem.key in named or not gone or gone == known:
                raise
            left_out |= gone


def _check_power(named: Mapping[str, Domain], series: SeriesProperties | None) -> None:
    """Raise SettingError where a power is named for values that have none."""
    name = PowerTransform.settings[0].name
    domain = named.get(name)
    if series is None or series.is_positive or domain is None or domain == Choices(("none",)):
        return
    raise SettingError(
        name,
        'must be "none" for a series whose training span is not above zero throughout, but got '
        f"{shown(domain.to_plain())}; remove the key",
    )


def _check_beside(named: Mapping[str, Domain], series: SeriesProperties | None) -> None:
    """Raise SettingError where columns are named that the series does not have."""
    if series is None:
        return
    for method, count, key in (
        (KnownColumns, series.known_columns, "known or calendar"),
        (KnownInputs, series.known_columns, "known or calendar"),
        (PastColumns, series.past_columns, "past"),
    ):
        own = method.settings[0]
        domain, neutral = named.get(own.name), Choices((own.neutral,))  # type: ignore[arg-type]
        if domain is not None and domain != neutral and not count:
            raise SettingError(
                own.name,
                f"must be {shown(own.neutral)} for a series without such columns, but got "
                f"{shown(domain.to_plain())}; remove the key, or name columns in [series] as {key}",
            )
    inputs = KnownInputs.settings[0]
    if series.known_by_series and inputs.name in named and named[inputs.name].contains(True):
        raise SettingError(
            inputs.name,
            "must be false for a long table whose series have known columns of their own, since a "
            "network could not tell which are its own, but got "
            f"{shown(named[inputs.name].to_plain())}; remove the key",
        )


def _core_selector() -> Parameter:
    parameter = parameter_named("cell")
    assert parameter is not None
    return parameter


def _completed(
    named: Mapping[str, Domain],
    train_steps: int,
    series: SeriesProperties | None,
    left_out: Collection[str],
) -> dict[str, Domain]:
    space: dict[str, Domain] = {}
    for parameter in parameters():
        domain = named.get(parameter.name) or _default(parameter, series)
        if parameter.name == "cell" and left_out and isinstance(domain, Choices):
            domain = Choices(tuple(name for name in domain.values if name not in left_out))
        if parameter.name == LAG and LAG in left_out:
            domain = None
        if domain is not None:
            space[parameter.name] = domain
    _make_room(space, named)
    # What is left of the training span once each value is a change from one before it.
    left = train_steps - _fit_lags(space, named, train_steps)
    rollouts = [
        method
        for method in methods()
        if issubclass(method, Rollout) and method.presence().can_hold(space)
    ]
    for method in rollouts:
        _fit_rollout(space, named, left, method)
    _fit_segments(space, named, left, rollouts)
    _fit_contexts(space, named, train_steps)
    reachable: dict[str, Domain] = {}
    for parameter in parameters():
        if parameter.name not in space:
            continue
        if parameter.when.can_hold(reachable):  # as the ones it depends on come before it
            reachable[parameter.name] = space[parameter.name]
        elif parameter.name in named and not parameter.searched:
            raise SettingError(
                parameter.name,
                f"is sampled where {parameter.when}, but no candidate of this space is like "
                "that; name what it rests on as well, or remove the key",
            )
    return reachable


def _make_room(space: dict[str, Domain], named: Mapping[str, Domain]) -> None:
    """Let a default of none but values that what is named excludes be neutral as well."""
    for name, domain in named.items():
        parameter = parameter_named(name)
        if parameter is None or domain == Choices((parameter.neutral,)):  # type: ignore[arg-type]
            continue
        for other, excluded in _excluded(parameter.when).items():
            own, neutral = space.get(other), getattr(parameter_named(other), "neutral", None)
            if other in named or neutral is None or not isinstance(own, Choices):
                continue
            if set(own.values) <= set(excluded):
                space[other] = Choices((neutral, *own.values))


def _excluded(condition: Condition) -> dict[str, tuple[Scalar, ...]]:
    """The values that other settings must not have for a condition to hold, by their names."""
    match condition:
        case IsNot(name, values):
            return {name: values}
        case AllOf(conditions=parts):
            return {name: out for part in parts for name, out in _excluded(part).items()}
    return {}


def _default(parameter: Parameter, series: SeriesProperties | None) -> Domain | None:
    """Where the default space searches a parameter; None where it does not."""
    if series is not None and parameter.suits is not None:
        return parameter.suits(series)
    return parameter.default if parameter.searched else None


def _fit_lags(space: dict[str, Domain], named: Mapping[str, Domain], train_steps: int) -> int:
    """Let differences leave half of the training span; return how many steps they take."""
    for own in SeasonalDifference.settings:
        if own.name in space:
            assert own.most is not None
            most = own.most(train_steps, space)
            space[own.name] = _at_most(own, space[own.name], named, most, train_steps)
    return longest_lag(space)


def _fit_segments(
    space: dict[str, Domain],
    named: Mapping[str, Domain],
    train_steps: int,
    rollouts: Sequence[type[Rollout]],
) -> None:
    """Let a whole segment and the longest rollout fit into the training span together."""
    name = Segments.settings[0].name
    if name not in space or not rollouts:
        return
    longest = max(int(largest(space[rollout.settings[0].name])) for rollout in rollouts)
    # A rollout has at least a segment; one that carries a state has whole segments alone.
    most = min(train_steps - longest + 1, train_steps) // 2
    domain = space[name]
    if largest(domain) <= max(most, 1):
        return
    if name in named or not isinstance(domain, Choices):
        raise SettingError(
            name,
            f"must be at most {most}, so that a segment and a rollout of {longest} steps fit into "
            f"train_steps = {train_steps}, but reaches {largest(domain)}; shorten one of them, or "
            "lengthen train_steps",
        )
    space[name] = Choices(tuple(v for v in domain.values if isinstance(v, int) and v <= most))


def _fit_rollout(
    space: dict[str, Domain], named: Mapping[str, Domain], train_steps: int, method: type[Rollout]
) -> None:
    """Let context and rollout fit into the training span together."""
    context, rollout = method.context.settings[0].name, method.settings[0].name
    if context not in named:
        # Half of the span for the context leaves room for rollouts of different lengths.
        taken = int(largest(space[rollout])) if rollout in named else train_steps // 2
        space[context] = _fitting(context, space[context], train_steps, rollout, taken)
    if rollout not in named:
        taken = int(largest(space[context]))
        space[rollout] = _fitting(rollout, space[rollout], train_steps, context, taken)
    context_steps, rollout_steps = largest(space[context]), largest(space[rollout])
    if context_steps + rollout_steps > train_steps:
        raise SettingError(
            context,
            f"and {rollout} together must be at most train_steps = {train_steps}, but reach "
            f"{context_steps} + {rollout_steps} = {context_steps + rollout_steps}; "
            "shorten one of them, or lengthen train_steps",
        )


def _fitting(name: str, default: Domain, train_steps: int, neighbour: str, taken: int) -> Choices:
    """The default choices that fit into the training span beside its neighbour's `taken` steps."""
    assert isinstance(default, Choices)
    room = train_steps - taken
    if room < 1:
        raise SettingError(
            neighbour,
            f"must leave room for {name} within train_steps = {train_steps}, but reaches {taken}; "
            "shorten it, or lengthen train_steps",
        )
    return _up_to(default, room)


def _fit_contexts(space: dict[str, Domain], named: Mapping[str, Domain], train_steps: int) -> None:
    """Let settings that take a part of the training span fit into it, see `Setting.most`."""
    for method in methods():
        if not method.is_of_candidates or not method.presence().can_hold(space):
            continue
        for own in method.settings:
            if own.most is not None and own.name in space:
                most = own.most(train_steps, space)
                space[own.name] = _at_most(own, space[own.name], named, most, train_steps)
        method.check_domains(space)


def _up_to(default: Choices, most: int) -> Choices:
    """The default choices of at most so many steps; so many where all are longer."""
    fitting = tuple(v for v in default.values if isinstance(v, int) and v <= most)
    return Choices(fitting or (most,))


def _at_most(
    own: Setting, domain: Domain, named: Mapping[str, Domain], most: int, train_steps: int
) -> Domain:
    """A domain as far as it fits; one that is named has to fit as it is."""
    name = own.name
    if largest(domain) <= most:
        return domain
    if name not in named and isinstance(domain, Choices) and most > 0:
        cut = _up_to(domain, most)
        if not own.is_period or set(cut.values) <= set(domain.values):
            return cut
        if own.neutral is not None:  # no season, rather than one that the series does not have
            return Choices((own.neutral,))
    if name not in named and isinstance(domain, IntRange) and most > domain.low:
        return replace(domain, high=most)
    is_size = most > 0 and not own.is_period
    remedy = f"name some, for example {name} = [{most}], or " if is_size else ""
    raise SettingError(
        name,
        f"must be at most {most}, so that what is read takes half of train_steps = {train_steps}, "
        f"but got {shown(domain.to_plain())}; {remedy}lengthen train_steps",
    )

"""A method: a class whose fields are its settings, and whose attributes say what it can do."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from models.methods import registry
from models.methods.condition import ALWAYS, AllOf, Condition, Is
from models.methods.setting import Ablation, Setting, Stage
from models.methods.values import Domain, Scalar, SettingError

M = TypeVar("M", bound="Method")


@dataclass(frozen=True)
class Selector:
    """The setting that chooses one method of a kind by its name.

    none: what it says where no method is chosen, None where one must be. when: a condition for it
    to be sampled. Other arguments are those of `Setting`.
    """

    name: str
    stage: Stage
    description: str
    none: str | None = None
    when: Condition = ALWAYS
    shared: bool = True
    searched: bool = True
    ablation: Ablation | None = None


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Method:
    """The base of all kinds of methods.

    A kind derives from it, says what its methods must provide, and may have settings that all of
    them share. A method derives from its kind, gives its name, and declares its settings as fields:

        class Velocity(Loss, name="velocity", rank=10):
            '''The squared error of first differences.'''

            weight: float = setting(WEIGHT, ..., name="velocity_weight")

    That makes it a frozen dataclass and registers it. An instance is the configuration of the
    method in one candidate; a method without settings other than neutral ones is not part of it.
    The first paragraph of the docstring describes it to people.
    """

    kind: ClassVar[str]
    # Whether what computes with the kind asks any method of it, so that plug-ins can add some.
    is_open: ClassVar[bool] = False
    # Whether candidates have such methods; baselines stand beside them.
    is_of_candidates: ClassVar[bool] = True
    selector: ClassVar[Selector | None] = None
    stage: ClassVar[Stage]
    # When a candidate can have the method at all, beside that a selector names it.
    applies: ClassVar[Condition] = ALWAYS
    # Whether every candidate to which it applies has it, even with neutral settings.
    is_always_there: ClassVar[bool] = False
    # Whether a study file can name it, and its settings; if not, only a baseline does.
    is_searchable: ClassVar[bool] = True
    # Whether a free run depends on it, and not only training.
    shapes_forecast: ClassVar[bool] = False

    name: ClassVar[str]
    label: ClassVar[str]
    source: ClassVar[str]
    # Where it stands in spaces and tables; equal ones are sorted by name.
    rank: ClassVar[int] = 1000
    # Whether the default space has it, for a method that a selector names; and whether only where
    # the series has a season.
    searched: ClassVar[bool] = False
    needs_season: ClassVar[bool] = False
    # Whether the default space of a series without noise has it: where methods of a kind say so,
    # that space has no others.
    suits_noise_free: ClassVar[bool] = False
    settings: ClassVar[tuple[Setting, ...]] = ()

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        label: str | None = None,
        source: str = "",
        rank: int | None = None,
        searched: bool = False,
        **keywords: Any,
    ) -> None:
        super().__init_subclass__(**keywords)
        dataclass(frozen=True)(cls)
        if name is None:  # a kind of methods
            return
        cls.name, cls.label, cls.source, cls.searched = name, label or name, source, searched
        if rank is not None:
            cls.rank = rank
        cls.settings = tuple(
            replace(
                field.metadata[Setting],
                name=field.metadata[Setting].name or field.name,
                field=field.name,
                stage=field.metadata[Setting].stage or cls.stage,
            )
            for field in dataclasses.fields(cls)  # type: ignore[arg-type]
            if Setting in field.metadata
        )
        registry.register(cls)

    @classmethod
    def group(cls) -> str:
        """Within which names are unique: the selector's choices, or the kind."""
        return cls.selector.name if cls.selector else cls.kind

    @classmethod
    def description(cls) -> str:
        """The first paragraph of the docstring, on one line."""
        return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split())

    @classmethod
    def presence(cls) -> Condition:
        """When a candidate can have the method: it is named, and it applies."""
        if cls.selector is None:
            return cls.applies
        named = Is(cls.selector.name, (cls.name,))
        return named if cls.applies is ALWAYS else AllOf(named, cls.applies)

    @classmethod
    def of(cls, params: Mapping[str, Scalar | None]) -> Self:
        """The method as the values of settings have it, by name; a missing one is neutral.

        Raises SettingError for a value outside its bounds, and for one that is missing and needed.
        """
        values: dict[str, Any] = {}
        for own in cls.settings:
            if own.name in params:
                values[own.field] = own.values.check(own.name, params[own.name])
            elif own.neutral is None:
                raise SettingError(
                    own.name,
                    f"is missing, which {cls.label} needs; there are only "
                    f"{', '.join(params) or 'none'}",
                )
        return cls(**values)

    def is_neutral(self) -> bool:
        """Whether every setting has its neutral value."""
        return all(getattr(self, own.field) == own.neutral for own in self.settings)

    @classmethod
    def check_domains(cls, space: Mapping[str, Domain]) -> None:
        """Raise SettingError where the largest values of a space make something too large."""

    def check(self, others: MethodSet) -> None:
        """Raise ValueError where the method can't go with others of a candidate."""

    def is_nonlinear_part(self) -> bool:
        """Whether it makes the forecast a nonlinear function of what is read."""
        return self._has("nonlinear")

    def needs_loop(self) -> bool:
        """Whether training with it has to walk over time step by step, even for a linear cell.

        Where only a setting with `loops` decides, or a nonlinear part. A strategy overrides it that
        needs the loop and does not open it to others.
        """
        return self.is_nonlinear_part() or self._has("loops")

    def _has(self, effect: str) -> bool:
        values = {own.name: getattr(self, own.field) for own in self.settings}
        found = (own.with_effect(effect) for own in self.settings)
        return any(condition.holds(values) for condition in found if condition)

    def phrase(self) -> str:
        """The method in the description of a candidate, a few words, or ""."""
        return ""


@dataclass(frozen=True, repr=False)
class MethodSet:
    """The configured methods of something, at most one of each class.

    Indexing by a class gives the configured method of that class, or the neutral one where there
    is none: `candidate[Dropout].rate` is 0 for a candidate without dropout.
    """

    methods: tuple[Method, ...]

    def __post_init__(self) -> None:
        for method in self.methods:
            method.check(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.methods))})"

    def __iter__(self) -> Iterator[Method]:
        return iter(self.methods)

    def find(self, kind: type[M]) -> M | None:
        """The method of a class or kind, None where there is none."""
        if kind not in self._found:
            own = (method for method in self.methods if isinstance(method, kind))
            self._found[kind] = next(own, None)
        found: M | None = self._found[kind]
        return found

    @cached_property
    def _found(self) -> dict[type, Any]:
        # Trainings ask for the same few, hundreds of thousands of times in a study.
        return {}

    def __getitem__(self, kind: type[M]) -> M:
        found = self.find(kind)
        return kind() if found is None else found

    def settings(self) -> Iterator[tuple[Setting, Scalar]]:
        """The settings of all methods with their values."""
        for method in self.methods:
            for own in method.settings:
                yield own, getattr(method, own.field)

    def values(self) -> dict[str, Scalar]:
        """The values of all settings by name, the selectors' included."""
        named = {m.selector.name: m.name for m in self.methods if m.selector is not None}
        return {**named, **{own.name: value for own, value in self.settings()}}

    def shared_settings(self) -> tuple[tuple[str, object], ...]:
        """The settings in which members of a cohort have to agree: names and values."""
        found: list[tuple[str, object]] = [
            (method.selector.name, method.name)
            for method in self
            if method.selector is not None and method.selector.shared
        ]
        found += [(own.name, v) for own, v in self.settings() if own.shared and v != own.neutral]
        return tuple(found)


class Core(Method):
    """A cell or a closed form; a candidate has exactly one, which the setting `cell` names.

    The attributes say what it can do; conditions ask for them by their names, see `Selects`.
    """

    selector: ClassVar[Selector] = Selector(
        name="cell",
        stage=Stage.CELL,
        description="The recurrent cell of a network, or the closed form that is fitted.",
        ablation=Ablation("RNN cells of 16 units", {"cell": "rnn", "hidden_units": 16}),
    )
    shapes_forecast = True

    # It is trained by gradient descent, and not fitted.
    is_trained: ClassVar[bool] = False
    # Its state and its output are linear functions of what it reads.
    is_linear: ClassVar[bool] = False
    # It is trained, and not linear.
    is_nonlinear: ClassVar[bool] = False
    # It is trained, and reads value by value; one that is not reads a whole window in one step.
    is_recurrent: ClassVar[bool] = False
    reads_whole_window: ClassVar[bool] = False
    # Its state goes on by itself when nothing is read; that of a gated cell fades.
    runs_on_state: ClassVar[bool] = False
    # It is warmed up on the values before a free run, as a state is.
    is_warmed_up: ClassVar[bool] = False
    # Two initialisations of the same settings differ.
    is_random: ClassVar[bool] = False
    # It can forecast changes from the last value instead of values.
    can_add_to_last: ClassVar[bool] = False
    # Of several channels, it is not the same forecaster of all at once and of each by itself.
    can_mix_channels: ClassVar[bool] = True
    # Of several channels, its forecast of one depends on the others.
    reads_other_channels: ClassVar[bool] = True
    # Values of settings, its own or of options beside it, that are good on most series: a search
    # begins near them.
    typical: ClassVar[Mapping[str, Scalar]] = MappingProxyType({})

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.is_trained:
            cls.is_nonlinear = not cls.is_linear
            cls.is_recurrent = not cls.reads_whole_window

    def is_nonlinear_part(self) -> bool:
        return not self.is_linear or super().is_nonlinear_part()

    @property
    def context_steps(self) -> int | None:
        """True values that are read before a free run; None where a context says so."""
        return None

    def size(self) -> str:
        """The size in words: "16 units"."""
        raise NotImplementedError

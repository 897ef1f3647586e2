"""One setting of a method: what a study file may give it, and what is derived from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import TYPE_CHECKING, Any

from models.methods.condition import ALWAYS, Above, Condition, Is
from models.methods.values import OFF_ON, Choices, Domain, Flag, Names, Scalar, Values

if TYPE_CHECKING:
    from models.methods.series_properties import SeriesProperties


class Stage(IntEnum):
    """The order in which a space samples its settings: a condition looks at earlier ones only."""

    CELL = auto()
    SIZE = auto()
    CONTEXT = auto()
    OUTPUT = auto()
    UNITS = auto()
    MODES = auto()
    LOSS = auto()
    FORCING = auto()
    AUGMENTATION = auto()
    NOISE = auto()
    START = auto()
    OPTIMISER = auto()
    CLOSED_FORM = auto()
    REGULARISATION = auto()
    CHANNELS = auto()


@dataclass(frozen=True)
class Ablation:
    """A candidate without something: what is done instead, in words, and by which settings.

    values: None for the setting's neutral value. name: of what is taken out, None for that of the
    setting.
    """

    instead: str
    values: Mapping[str, Scalar] | None = None
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Setting:
    """A number, name or flag that a study can search.

    name: its key in a study file and its parameter in a trial.
    field: the attribute of a method's class that holds it.
    values: what it can be at all.
    default: where it is searched if a study file does not say.
    description: one sentence for people, with the unit.
    neutral: its value where nothing is sampled; None where a candidate must have a value.
    shared: whether all members of a cohort have the same value.
    searched: whether it is part of the default space; if not, a study file has to name it.
    when: a condition for it to be sampled, beside that its method applies.
    stage: when it is sampled.
    ablation: what a candidate is without it. None for a setting that says how much there is of
        something, or how large it is: no candidate is without it.
    nonlinear: with which of its values the forecast is a nonlinear function of what is read; True
        for all beyond the neutral one. Where one is sampled, linear strategies are not.
    loops: the same for values with which training walks over time step by step, even for a linear
        cell: strategies that need the loop are sampled beside them.
    is_stored: whether a forecaster computes with it: then it is kept among the weights.
    most: the largest value that fits a training span of so many steps, given the domains of the
        settings before; None where it takes no part of the span, or where that is no rule of its.
    is_period: whether it is a period of the series: where all are too long it is neutral, or left
        out with what needs it, instead of cut to what fits.
    suits: where the default space of a task searches it, given what is known of the series; it may
        return None for not at all. None where that does not depend on the series.
    """

    values: Values
    default: Domain
    description: str
    name: str = ""
    field: str = ""
    neutral: Scalar | None = None
    shared: bool = False
    searched: bool = True
    when: Condition = ALWAYS
    stage: Stage | None = None
    ablation: Ablation | None = None
    nonlinear: bool | tuple[Scalar, ...] = False
    loops: bool | tuple[Scalar, ...] = False
    is_stored: bool = False
    most: Callable[[int, Mapping[str, Domain]], int] | None = None
    is_period: bool = False
    suits: Callable[[SeriesProperties], Domain | None] | None = None

    def with_effect(self, effect: str) -> Condition | None:
        """Whether it has a value with an effect, "nonlinear" or "loops"; None where it can't."""
        values: bool | tuple[Scalar, ...] = getattr(self, effect)
        if values is True:
            match self.values:
                case Flag():
                    values = (True,)
                case Names(names):
                    values = tuple(name for name in names if name != self.neutral)
                case _:
                    return Above(self.name, float(self.neutral or 0))
        return Is(self.name, values) if values else None


def setting(
    values: Values,
    default: Domain,
    description: str,
    *,
    without: Ablation | str | None = None,
    **more: Any,
) -> Any:
    """Declare a field of a method's class as a setting; `more` are further fields of `Setting`.

    Without a `name` it has the field's, without a `stage` that of the method's kind. without: an
    ablation, or what is done instead where the setting has its neutral value.
    """
    ablation = Ablation(without) if isinstance(without, str) else without
    declared = Setting(values, default, description, ablation=ablation, **more)
    default_value: Any = dataclasses.MISSING if declared.neutral is None else declared.neutral
    return dataclasses.field(default=default_value, metadata={Setting: declared}, kw_only=True)


def flag(description: str, *, without: Ablation | str = "none", **more: Any) -> Any:
    """Declare a setting that is off or on, and off where it is neutral; see `setting`."""
    return setting(Flag(), OFF_ON, description, without=without, **{"neutral": False, **more})


def choice(
    names: tuple[str, ...], description: str, default: Domain | None = None, **more: Any
) -> Any:
    """Declare a setting that is one of some names, the first of them neutral; see `setting`.

    default: where a study searches it; None for all names.
    """
    more = {"neutral": names[0], **more}
    return setting(Names(names), default or Choices(names), description, **more)

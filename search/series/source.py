"""What every source of series provides, and which sources exist."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from models.methods import shown
from search.plugins import load_plugins

FloatArray = NDArray[np.float64]  # [time, channel] wherever it holds a series

# The place of a purpose is part of every seed: new ones come last.
Purpose = Literal["search", "final", "test", "benchmark", "transfer"]


@dataclass(frozen=True, eq=False)
class Draw:
    """One realisation of a series.

    values: [time, channel], as observed.
    signal: [time, channel], noise-free; None where it is not known.
    """

    values: FloatArray
    signal: FloatArray | None


def random_generator(study_seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Return the generator of draw `index` of a purpose; no two of the three keys share a stream.

    study_seed, index: at least 0. The stream depends on nothing else.
    """
    sequence = np.random.SeedSequence(
        study_seed, spawn_key=(get_args(Purpose).index(purpose), index)
    )
    # PCG64 by name: numpy may change what default_rng() returns.
    return np.random.Generator(np.random.PCG64(sequence))


_HOME = "search.series.sources"
_sources: dict[str, type["Source"]] = {}


class Section(BaseModel):
    """A frozen section of a study file, checked once when it is made.

    Strict: "5" is not 5, true is not 1; a whole number is accepted where a real one is wanted.
    Unknown keys, NaN and infinity are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _as_periods(raw: object) -> object:
    """One period or several, as a tuple that rises."""
    periods = raw if isinstance(raw, list | tuple) else (raw,)
    are_numbers = all(isinstance(p, int | float) and not isinstance(p, bool) for p in periods)
    if not periods or not are_numbers or list(periods) != sorted(set(periods)):
        raise ValueError(
            f"must be a number of steps, or several that rise, but got {shown(raw)}; write for "
            "example period = 24 or period = [24, 168]"
        )
    if not all(1 < period <= _MAX_PERIOD for period in periods):
        raise ValueError(f"must be above 1 and at most {_MAX_PERIOD:,} steps, but got {shown(raw)}")
    return tuple(float(period) for period in periods)


_MAX_PERIOD = 1_000_000
Periods = Annotated[
    tuple[float, ...],
    BeforeValidator(_as_periods),
    Field(strict=False),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}]}),
]


class Source(Section):
    """The [series] section of a study file, whose key `source` names one of these classes.

    A class gives the field `source: Literal["name"] = "name"`; that registers it by its name.
    """

    is_generated: ClassVar[bool]

    source: str
    period: Periods | None = Field(
        default=None,
        examples=[24, [24, 168]],
        description="In steps, or several that rise; else looked for on the training span.",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        super().__pydantic_init_subclass__(**keywords)
        name = cls.model_fields["source"].default
        if isinstance(name, str):
            _sources[name] = cls

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the value channels."""
        return ("value",)


class GeneratedSource(Source):
    """A source that draws as many steps as are asked for, and knows the noise-free signal."""

    is_generated: ClassVar[bool] = True

    @property
    def signal_variance(self) -> float:
        """The variance of the noise-free signal; raises SeriesError where it has none."""
        raise NotImplementedError

    def draw(self, study_seed: int, purpose: Purpose, index: int, steps: int) -> Draw:
        """Return draw `index` of a purpose: values and signal, [steps, channel] each.

        A longer draw begins with the shorter one of the same seed, purpose and index.
        """
        raise NotImplementedError


@cache
def known_sources() -> Mapping[str, type[Source]]:
    """All sources by their names, those of plug-ins last."""
    home = importlib.import_module(_HOME)
    for module in pkgutil.iter_modules(home.__path__, f"{_HOME}."):
        importlib.import_module(module.name)
    load_plugins()
    return dict(_sources)


if TYPE_CHECKING:
    Series = Source
else:

    def __getattr__(name: str) -> Any:
        """The type of a [series] section, made when it is first asked for, with all sources."""
        if name != "Series":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return Annotated[reduce(or_, known_sources().values()), Field(discriminator="source")]

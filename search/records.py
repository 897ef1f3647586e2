"""Typed results of trials and final jobs, as they go from workers to the database and to readers.

TrialRecord    the results of a trial, stored as Optuna's user attributes
FinalRecord    the results of a final or a test, stored as the JSON text of its job

Attribute names and JSON keys are those that databases have held since version 0.1.0. Keys that are
not known are ignored, so that a later version may add some.
"""

import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    computed_field,
)

import search
from models.diagnostics.errors import Errors
from models.diagnostics.scores import Averaging, averaged, geometric_mean
from search.plugins import plugin_versions
from search.series import FloatArray
from search.study.definition import ScoreAgainst

# A study has thousands of trials, whose attributes every reader fetches.
MOST_OF_TRIAL = 32
_ERROR_AT = "error_at_"


def _array(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _loss(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Array = Annotated[FloatArray, PlainValidator(_array), PlainSerializer(FloatArray.tolist)]
# None where it is no number, since JSON has none for it.
Loss = Annotated[float | None, BeforeValidator(_loss)]
# Records of medians are as version 0.1.0 wrote them.
OwnErrors = Annotated[Errors | None, Field(exclude_if=lambda errors: errors is None)]
OwnAveraging = Annotated[Averaging, Field(exclude_if=lambda averaging: averaging == "median")]
# NMSE by the name of a channel; none where there is one channel, as in records of version 0.1.0.
ChannelScores = Annotated[Mapping[str, float], Field(exclude_if=lambda scores: not scores)]

FinalPurpose: TypeAlias = Literal["final", "test"]
# Errors by the name of a channel where channels have units of their own; none elsewhere, and in
# records of earlier versions.
ChannelErrors = Annotated[Mapping[str, Errors], Field(exclude_if=lambda errors: not errors)]


class Record(BaseModel):
    """A frozen value with a JSON text."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> str:
        """Return the text that is stored."""
        return self.model_dump_json(by_alias=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild what `to_json` wrote."""
        return cls.model_validate_json(text)


class Origin(Record):
    """Who trained, and on what: the worker, its host, and the type and versions of the machine."""

    worker: int | None = None
    host: str | None = None
    machine: Mapping[str, str] = {}


def this_machine() -> dict[str, str]:
    """The type of this machine: the processor's family, and the instructions that torch uses.

    On another type, or with other versions, a training may round differently.
    """
    # It takes seconds to import, and most readers of records don't need it.
    import torch

    return {
        "architecture": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def this_versions(plugins: Iterable[str] = ()) -> dict[str, str]:
    """The versions here that a training depends on, those of the study's plug-ins included."""
    import torch

    return {
        "freerun": search.__version__,
        "torch": str(torch.__version__),
        "numba": version("numba"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        **{name: of for name, of in plugin_versions().items() if name in plugins},
    }


@dataclass(frozen=True, eq=False)
class ChannelRun:
    """The values of one channel of an example, named; see `Example`."""

    name: str
    observed: Array
    truth: Array
    forecast: Array


@dataclass(frozen=True, eq=False)
class Example:
    """One free run to look at, all arrays `[time]` of the first channel, in the series' units.

    observed: the values before the free run, `first_step` the index of its first forecast step
    within the series; truth and forecast: over the horizon. channels: of several channels the names
    of all; others: the next ones, as many as a picture shows. What is masked is NaN.
    """

    replica: int
    first_step: int
    observed: Array
    truth: Array
    forecast: Array
    channels: Annotated[tuple[str, ...], Field(exclude_if=lambda names: not names)] = ()
    others: Annotated[tuple[ChannelRun, ...], Field(exclude_if=lambda runs: not runs)] = ()

    @property
    def shown_channels(self) -> tuple[ChannelRun, ...]:
        """The channels that a picture shows, the first one included; one has no name."""
        name = self.channels[0] if self.channels else ""
        return (ChannelRun(name, self.observed, self.truth, self.forecast), *self.others)


class CandidateRecord(Record):
    """A candidate on all its replicas.

    replica_scores: NMSE of each, against the signal or the observations; averaging: how they become
    one score. errors: in the units of the series, medians over replicas; None where an earlier
    version did not record them. verdict: of the candidate, verdicts: of each replica.
    valid_prediction_steps, errors_at (by horizon step), curve (NMSE by horizon step): medians over
    replicas. restarts: which one each replica kept. parameters: of one network; seconds: of one
    core. example: the free run of the median replica. channel_scores: see `ChannelScores`, over
    replicas as the score is; channel_errors: see `ChannelErrors`, medians over replicas.
    """

    replica_scores: tuple[float, ...]
    scored_against: ScoreAgainst
    verdict: str
    verdicts: tuple[str, ...]
    valid_prediction_steps: float
    errors_at: Mapping[int, float]
    curve: Array
    training_losses: tuple[Loss, ...]
    restarts: tuple[int, ...]
    parameters: int
    seconds: float
    example: Example
    averaging: OwnAveraging = "median"
    errors: OwnErrors = None
    channel_scores: ChannelScores = {}
    channel_errors: ChannelErrors = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def score(self) -> float:
        """The score over replicas."""
        return averaged(self.replica_scores, self.averaging)

    @property
    def deciding_score(self) -> float:
        """What the final chooses by: the score, but for medians the geometric mean."""
        return self.geometric_mean if self.averaging == "median" else self.score

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean_score(self) -> float:
        """The mean over replicas."""
        return float(np.mean(self.replica_scores))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def geometric_mean(self) -> float:
        """The geometric mean over replicas."""
        return geometric_mean(self.replica_scores)

    @property
    def horizon_steps(self) -> int:
        """Scored steps of each free run."""
        return len(self.curve)


class BaselineRecord(Record):
    """A baseline on the draws of a candidate.

    draw_scores: NMSE of each draw or cut, one for all where a table has one cut. averaging: how
    they become one score. curve: NMSE by horizon step, the median over draws. forecast: `[time]` of
    the candidate's example, None where it was not kept. errors: see `CandidateRecord`.
    channel_scores, channel_errors: see `ChannelScores` and `ChannelErrors`.
    """

    draw_scores: tuple[float, ...]
    curve: Array
    forecast: Array | None = None
    averaging: OwnAveraging = "median"
    errors: OwnErrors = None
    channel_scores: ChannelScores = {}
    channel_errors: ChannelErrors = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def score(self) -> float:
        """The score over draws, made as a candidate's is over replicas."""
        return averaged(self.draw_scores, self.averaging)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean_score(self) -> float:
        """The mean over draws."""
        return float(np.mean(self.draw_scores))


class FinalRecord(CandidateRecord, Origin):
    """What a final or a test found.

    unit_errors: `[replica][unit]`, NMSE of each part of the free runs by which candidates are
    compared, None of one whose values are all masked; empty where an earlier version did not keep
    them. candidate: a baseline or an ensemble as JSON values; None for a trial, which has its
    parameters. level_share: how much of a shift of the values before them free runs go along with,
    see `search.evaluation.level_share`; None where nobody asked. level_is_new: whether that was
    asked since the rows before the test end at a new level; else since blocks are left out.
    baselines: by name, on the same draws, where an earlier version kept them here; now they have
    jobs of their own.
    """

    unit_errors: tuple[tuple[Loss, ...], ...] = ()
    candidate: Mapping[str, Any] | None = None
    level_share: Annotated[float | None, Field(exclude_if=lambda share: share is None)] = None
    level_is_new: Annotated[bool, Field(exclude_if=lambda is_new: is_new)] = True
    baselines: Mapping[str, BaselineRecord] = {}


class TrialRecord(Origin):
    """The results of a trial. A field is None where the trial has no such result.

    shown_verdict: of the median replica, which the picture shows. limit: the attainable NMSE of its
    context. cohort_networks: how many networks began to train in its cohort. message: why it
    failed. Other fields are those of `CandidateRecord`; training_loss: the median over replicas,
    channel_scores: of up to `MOST_OF_TRIAL` channels.
    """

    model_config = ConfigDict(allow_inf_nan=True)

    verdict: str | None = None
    shown_verdict: str | None = None
    score: float | None = None
    scored_against: ScoreAgainst | None = None
    replica_scores: tuple[float, ...] | None = None
    valid_prediction_steps: float | None = None
    errors_at: Mapping[int, float] = {}
    errors: Errors | None = None
    training_loss: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    limit: float | None = None
    cohort_networks: int | None = None
    message: str | None = None
    channel_scores: Mapping[str, float] = {}

    @classmethod
    def of(
        cls, result: CandidateRecord, origin: Origin, networks: int, limit: float | None
    ) -> Self:
        """Return the record of a trial's result; networks: see `cohort_networks`."""
        losses = [math.inf if loss is None else loss for loss in result.training_losses]
        return cls(
            verdict=result.verdict,
            shown_verdict=result.verdicts[result.example.replica],
            score=result.score,
            scored_against=result.scored_against,
            replica_scores=result.replica_scores,
            valid_prediction_steps=result.valid_prediction_steps,
            errors_at=result.errors_at,
            errors=result.errors,
            training_loss=float(np.median(losses)),
            parameters=result.parameters,
            seconds=round(result.seconds, 3),
            limit=limit,
            cohort_networks=networks,
            channel_scores=result.channel_scores
            if len(result.channel_scores) <= MOST_OF_TRIAL
            else {},
            **origin.model_dump(),
        )

    def to_attributes(self) -> dict[str, Any]:
        """Return the user attributes, plain JSON values, without fields that are None."""
        plain = self.model_dump(exclude_defaults=True)
        errors = plain.pop("errors_at", {})
        origin = {name: plain.pop(name) for name in Origin.model_fields if name in plain}
        return {**plain, **{f"{_ERROR_AT}{step}": e for step, e in errors.items()}, **origin}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any]) -> Self:
        """Rebuild what `to_attributes` wrote; an empty record where another program wrote them."""
        errors = {
            step: value
            for name, value in attributes.items()
            if name.startswith(_ERROR_AT) and (step := name.removeprefix(_ERROR_AT)).isdecimal()
        }
        try:
            return cls.model_validate({**attributes, "errors_at": errors})
        except ValidationError:
            return cls()

"""A study's definition: series, task, search and space as one frozen, checked value."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from models.diagnostics.scores import ERROR_HORIZONS, Averaging
from models.methods import Domain, Scalar, SettingError, counted, shown, smallest
from models.methods.series_properties import SeriesProperties
from search.plugins import plugins_of
from search.series import Section
from search.series.source import Series
from search.study.presets import (
    PresetQuota,
    complete_open_space,
    read_quotas,
    read_stored_quotas,
    sum_of_quotas,
    within,
)
from search.study.space import Space, check_complete, complete_space, parameter_named, read_space

ScoreAgainst = Literal["signal", "observations"]
# Which rows of a table the replicas train on, and on which they are scored.
Validation = Literal["end", "rolling", "expanding", "blocks"]
# How the free runs within blocks that are left out become one score.
BlocksAveraging = Literal["mean", "geometric mean"]
# Where the rows of a table are that its spans leave over, see docs/decisions/0097.
UnusedRows = Literal["first", "between"]
# How replicas are averaged where they are draws, or trainings on the same rows; and where each of
# them has a cut of its own. A study file may name another mean for blocks alone.
AVERAGING: Mapping[Validation, Averaging] = {
    "end": "median",
    "rolling": "mean",
    "expanding": "mean",
    "blocks": "geometric mean",
}

_MAX_STEPS = 1_000_000
_FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
# Replicas of a network at its first rung, where a study file says nothing of them.
FIRST_REPLICAS = 2
# What may be raised on a resume: it decides how far a study goes, not what it is.
_SPENT = frozenset({"trials", "minutes", "workers"})

Steps = Annotated[int, Field(ge=1, le=_MAX_STEPS)]
# Not strict, since TOML has lists only; the numbers inside stay strict.
Horizons = Annotated[tuple[Steps, ...], Field(strict=False)]


def _same_as(key: str) -> Any:
    """A field whose default is the value of an earlier one."""
    return Field(default_factory=lambda earlier: earlier[key], ge=1, le=_MAX_STEPS, examples=[400])


class Task(Section):
    """What has to be forecast, in steps of the series.

    train_steps: the training span. horizon_steps: scored steps of a free run in validation.
    validation_steps: the validation span. test_horizon_steps: scored steps of a free run in the
    test. test_steps: the test span of a table, its last rows. start_points: free runs per draw,
    evenly spaced over the validation span. score_against: what the forecast is compared with.
    error_horizons: steps of the free run whose errors are recorded, those within the horizon.
    validation: of a table. "end": all replicas train on the same train_steps rows and run
    freely in the validation_steps after them. "rolling": each replica trains on train_steps rows,
    and the spans and free runs of all replicas move on through the validation_steps after the
    first.
    "expanding": the same, but each replica trains on all rows before its free runs, train_steps
    or more. "blocks": each replica leaves out another block of validation_steps rows, in which its
    free runs lie, and trains on the train_steps rows before and after it.
    averaging: of "blocks", how all of its free runs become one score: by the "geometric mean" of
    their errors, in which a bad start of a chaotic series counts as much as a good one, or by the
    "mean", as the squared error of a test over many starts does. None for the geometric one.
    unused_rows: of a table that is longer than its spans, where the rows are that they leave over.
    "first": before the training span, so that validation ends where the test begins; the test
    trains on the rows of training and validation. ("expanding" trains on the first rows, too.)
    "between": between validation and test; the test trains on all rows before its span.
    """

    train_steps: int = Field(ge=2, le=_MAX_STEPS, examples=[600])
    horizon_steps: int = Field(ge=1, le=_MAX_STEPS, examples=[400])
    validation_steps: int = _same_as("horizon_steps")
    test_horizon_steps: int = _same_as("horizon_steps")
    test_steps: int = _same_as("test_horizon_steps")
    start_points: Steps = 1
    score_against: ScoreAgainst = Field(examples=["observations"])
    error_horizons: Horizons = Field(default=ERROR_HORIZONS, examples=[[1, 84]])
    validation: Validation = Field(default="end", examples=["rolling"])
    averaging: BlocksAveraging | None = Field(
        default=None, examples=["mean"], exclude_if=lambda averaging: averaging is None
    )
    unused_rows: UnusedRows = Field(default="first", examples=["first"])

    @property
    def score_averaging(self) -> Averaging:
        """How the replicas of the search and of the final are averaged to a score."""
        return self.averaging or AVERAGING[self.validation]

    @property
    def gapless_steps(self) -> int:
        """Rows without a gap that every replica trains on at least: what a candidate must fit in.

        Of what a block leaves, the longer piece has half.
        """
        return -(-self.train_steps // 2) if self.validation == "blocks" else self.train_steps

    @field_validator("error_horizons")
    @classmethod
    def _check_rising(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if not horizons or list(horizons) != sorted(set(horizons)):
            raise ValueError(
                "must hold at least one step and rise from entry to entry, but got "
                f"{shown(list(horizons))}; write for example error_horizons = [1, 84]"
            )
        return horizons

    @model_validator(mode="after")
    def _check_averaging(self) -> Self:
        if self.averaging is not None and self.validation != "blocks":
            raise SettingError(
                "averaging",
                f'must be left out without validation = "blocks", but got "{self.averaging}" with '
                f'"{self.validation}"; remove the key, or validate on blocks',
            )
        return self

    @model_validator(mode="after")
    def _check_spans(self) -> Self:
        for span, horizon in (
            ("validation_steps", "horizon_steps"),
            ("test_steps", "test_horizon_steps"),
        ):
            steps, least = getattr(self, span), getattr(self, horizon)
            if steps < least:
                raise SettingError(
                    span,
                    f"must be at least {horizon} = {least}, but got {steps}; "
                    f"lengthen {span} or shorten {horizon}",
                )
        most = self.validation_steps - self.horizon_steps + 1
        if self.start_points > most:
            raise SettingError(
                "start_points",
                f"must be at most {most} = validation_steps - horizon_steps + 1, since each starts "
                f"a full horizon, but got {self.start_points}; lengthen validation_steps or take "
                "fewer",
            )
        return self


def _section(raw: object, name: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(
            f"must be a section of keys, but got {shown(raw)}; write [{name}] above its keys"
        )
    return raw


def _first_replicas(earlier: Mapping[str, Any]) -> int:
    """All where nothing is pruned."""
    replicas: int = earlier["replicas"]
    return replicas if earlier["pruner"] == "none" else min(replicas, FIRST_REPLICAS)


class Search(Section):
    """How the space is searched, and what may be spent on it.

    trials: complete, pruned and finally failed ones, over all resumes; with presets, the sum of
    their quotas. minutes: summed running time. workers: processes here; None for one per CPU, or
    one for a GPU. replicas: training runs of a candidate. sampler: what proposes candidates: "tpe"
    models which settings are good, "variation" varies the best candidates. rungs: points of report
    per trial, the last one at the end of training. first_replicas: how many replicas of a network
    train from the start, and are scored at the first rung; the others follow where it goes on.
    cohort_members: about how many networks train as one at most; on a GPU it is at least 512.
    finalists: candidates of the final, each trained `final_replicas` times. test_draws: fresh draws
    for the winner's test. artifact_kib_per_trial, artifact_mib: bounds on pictures and tables, per
    trial and for the whole study.
    """

    trials: int = Field(default=200, ge=1, le=1_000_000)
    minutes: float | None = Field(default=None, gt=0, examples=[5])
    workers: int | None = Field(default=None, ge=1, le=1024, examples=[2])
    replicas: int = Field(default=4, ge=1, le=1000)
    sampler: Literal["tpe", "random", "variation"] = "tpe"
    pruner: Literal["halving", "none"] = "halving"
    rungs: int = Field(default=4, ge=1, le=10)
    first_replicas: int = Field(default_factory=_first_replicas, ge=1, le=1000, examples=[2])
    cohort_members: int = Field(default=32, ge=1, le=4096)
    finalists: int = Field(default=8, ge=1, le=1000)
    final_replicas: int = Field(default=16, ge=1, le=1000)
    test_draws: int = Field(default=40, ge=1, le=10_000)
    artifact_kib_per_trial: int = Field(default=256, ge=0, le=1_000_000)
    artifact_mib: int = Field(default=256, ge=0, le=1_000_000)

    @property
    def rung_fractions(self) -> tuple[float, ...]:
        """Shares of training after which a trial reports: 1/8, 1/4, 1/2, 1 for four rungs."""
        return tuple(0.5 ** (self.rungs - rung) for rung in range(1, self.rungs + 1))

    @property
    def rung_replicas(self) -> tuple[int, ...]:
        """Replicas of a network that are scored at each rung: as large a share as of training.

        At least `first_replicas`: 2, 2, 4, 8 of 8 with four rungs.
        """
        shares = (ceil(share * self.replicas) for share in self.rung_fractions)
        return tuple(max(self.first_replicas, count) for count in shares)

    @model_validator(mode="after")
    def _check_first_replicas(self) -> Self:
        if self.first_replicas > self.replicas:
            raise SettingError(
                "first_replicas",
                f"must be at most replicas = {self.replicas}, but got {self.first_replicas}; "
                "take fewer, or leave the key out",
            )
        if self.pruner == "none" and self.first_replicas < self.replicas:
            raise SettingError(
                "first_replicas",
                f'must be left out with pruner = "none", which trains all {self.replicas} replicas '
                f"of every trial, but got {self.first_replicas}; remove the key",
            )
        return self


# Defaults of a table without noise, by section. Blocks inside the span tell more of deterministic
# dynamics than its end, and nothing is lost by training on what comes after. Candidates are fitted
# in a tenth of a second, to which TPE would add 20 ms for each.
NOISE_FREE: Mapping[str, Mapping[str, Any]] = {
    "task": {"validation": "blocks"},
    "search": {"sampler": "variation"},
}

# Properties that few tables have.
_RARE = frozenset({"known_columns", "known_by_series", "past_columns", "has_new_level"})

# What a definition holds beside the keys of a study file.
RECORDED = ("plugins", "named", "properties")


class StudyDefinition(Section):
    """Everything that makes a study what it is.

    `space` is complete: the defaults that apply to the task are in it, so that a stored study
    keeps its space when a later version has other defaults. Therefore JSON, which is written by
    this class, is taken as complete; Python values (a study file) name deviations from the default.

    name: the study's, also of its files. seed: of all draws and initialisations. presets: the
    families that are searched, each with its quota of trials; none for the whole space. With
    presets, `space` holds what they leave open.

    Three more are no keys of a study file. plugins: distributions and versions of the plug-ins
    whose methods or source it uses. named: the keys of `space` that the file names, and of a table
    those of `NOISE_FREE` with their sections; None where that is not known, as in a study of
    version 0.1.0. properties: of the series' training span, which defaults follow; None where
    nobody looked.
    """

    name: str = Field(examples=["my-study"])
    seed: int = Field(default=0, ge=0, lt=2**63)
    series: Series
    task: Task
    presets: Mapping[str, PresetQuota] = {}
    search: Search = Field(default=Search(), validate_default=True)
    space: Mapping[str, Domain] = Field(default={}, validate_default=True)
    plugins: Mapping[str, str] = Field(default_factory=lambda earlier: _plugins(earlier))
    named: tuple[str, ...] | None = None
    properties: SeriesProperties | None = None

    @classmethod
    def of_file(cls, raw: Mapping[str, Any], properties: SeriesProperties) -> Self:
        """Return the definition of a study file's content, of whose series this much is known."""
        named, filled = tuple(raw.get("space", {})), dict(raw)
        if properties.is_noise_free and not raw.get("presets"):
            for section, defaults in NOISE_FREE.items():
                filled[section] = {**defaults, **raw.get(section, {})}
        definition = cls.model_validate(filled, context=properties)
        if not definition.series.is_generated:
            named += tuple(
                f"{section}.{key}"
                for section, defaults in NOISE_FREE.items()
                for key in defaults
                if key in raw.get(section, {})
            )
        return definition.model_copy(update={"named": named, "properties": properties})

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return check_study_name(name)

    @field_validator("task", mode="before")
    @classmethod
    def _default_score(cls, raw: object, info: ValidationInfo) -> object:
        """Fill in score_against, the one default that depends on another section.

        Where a stored study on a table says nothing of unused rows, they were between the spans.
        """
        series = info.data.get("series")
        if not isinstance(raw, Mapping):
            return raw
        if series is None or series.is_generated:
            return {"score_against": "signal", **raw}
        stored = {"unused_rows": "between"} if info.mode == "json" else {}
        return {"score_against": "observations", **stored, **raw}

    @field_validator("presets", mode="plain")
    @classmethod
    def _read_presets(cls, raw: object, info: ValidationInfo) -> Mapping[str, PresetQuota]:
        section = _section(raw, "presets")
        return read_stored_quotas(section) if info.mode == "json" else read_quotas(section)

    @field_serializer("presets")
    def _plain_presets(self, presets: Mapping[str, PresetQuota]) -> dict[str, Any]:
        return {name: asdict(preset) for name, preset in presets.items()}

    @field_validator("search", mode="before")
    @classmethod
    def _sum_quotas(cls, raw: object, info: ValidationInfo) -> object:
        """With presets, set trials to the sum of the quotas; refuse another number.

        A stored study that says nothing of its first replicas trained all of them.
        """
        if isinstance(raw, Search):
            raw = raw.model_dump(exclude_unset=True)
        if info.mode == "json" and isinstance(raw, Mapping) and "replicas" in raw:
            raw = {"first_replicas": raw["replicas"], **raw}
        presets = info.data.get("presets")
        if not presets or not isinstance(raw, Mapping):
            return raw
        return {**raw, "trials": sum_of_quotas(presets, raw.get("trials"))}

    @field_validator("space", mode="plain")
    @classmethod
    def _read_space(cls, raw: object, info: ValidationInfo) -> Mapping[str, Domain]:
        named = read_space(_section(raw, "space"))
        task, presets = info.data.get("task"), info.data.get("presets")
        if info.mode == "json":
            for fixed in [preset.fixed for preset in (presets or {}).values()] or [{}]:
                check_complete(within(named, fixed))
            return named
        if task is None or presets is None:  # which is a problem of its own
            return named
        gapless, unmasked = task.gapless_steps, _unmasked_steps(info.context)
        steps = gapless if unmasked is None else min(gapless, unmasked)
        try:
            if presets:
                return complete_open_space(named, presets, steps)
            return complete_space(named, steps, info.context)
        except SettingError as problem:
            if steps < gapless:
                raise SettingError(problem.key, _beside_gaps(problem.rule, steps)) from None
            if task.validation != "blocks":
                raise
            half = f'validation = "blocks" leaves half of train_steps = {task.train_steps} in a row'
            raise SettingError(problem.key, f"{problem.rule}; {half}") from None

    @field_serializer("properties", mode="wrap")
    def _plain_properties(self, found: Any, plain: SerializerFunctionWrapHandler) -> Any:
        """Without what few tables have, as earlier versions have them."""
        made = plain(found)
        if isinstance(made, dict):
            made = {key: value for key, value in made.items() if key not in _RARE or value}
        return made

    @field_serializer("space")
    def _plain_space(self, space: Mapping[str, Domain]) -> dict[str, Any]:
        return {name: domain.to_plain() for name, domain in space.items()}

    @model_validator(mode="after")
    def _check_sections_agree(self) -> Self:
        if not self.series.is_generated and self.task.score_against == "signal":
            raise SettingError(
                "task.score_against",
                'must be "observations" for a table, whose noise-free signal nobody knows, '
                'but got "signal"; remove the key',
            )
        if self.series.is_generated and self.task.test_steps != self.task.test_horizon_steps:
            raise SettingError(
                "task.test_steps",
                "must be left out for a generated series, whose test is made of fresh draws, "
                f"but got {self.task.test_steps}; remove the key",
            )
        if self.series.is_generated and self.task.validation != "end":
            raise SettingError(
                "task.validation",
                'must be "end" for a generated series, whose replicas have draws of their own, '
                f"but got {shown(self.task.validation)}; remove the key",
            )
        if self.series.is_generated and self.task.unused_rows != "first":
            raise SettingError(
                "task.unused_rows",
                "must be left out for a generated series, which has no rows to leave over, but got "
                f"{shown(self.task.unused_rows)}; remove the key",
            )
        steps = self.space.get("training_steps")
        if steps is not None and smallest(steps) < 2 ** (self.search.rungs - 1):
            raise SettingError(
                "search.rungs",
                f"must leave a training step before the first report, which comes after "
                f"1/{2 ** (self.search.rungs - 1)} of training, but got {self.search.rungs} with "
                f"{smallest(steps)} training_steps; take fewer rungs or more steps",
            )
        return self

    def full_space(self) -> Space:
        """Return what trials are sampled from and resolved by: space and presets together."""
        channels = 1 if self.properties is None else self.properties.channels
        fixed = {name: preset.fixed for name, preset in self.presets.items()}
        past = 0 if self.properties is None else self.properties.past_columns
        return Space(self.space, fixed, channels, past)

    def identity(self) -> dict[str, Any]:
        """Return, as plain JSON values, what may not change on a resume.

        That is all but the name, versions of plug-ins, and what is spent (trials, quotas, minutes,
        workers).
        """
        plain = self.model_dump(
            mode="json",
            exclude={
                **dict.fromkeys(("name", "presets", *RECORDED), True),
                "search": set(_SPENT),
            },
        )
        if self.task.error_horizons == ERROR_HORIZONS:
            # Like the period, it came later than the others: hashes stay what they were.
            del plain["task"]["error_horizons"]
        if self.task.validation == "end":
            del plain["task"]["validation"]
        if self.task.averaging == AVERAGING[self.task.validation]:
            del plain["task"]["averaging"]
        if self.series.is_generated or self.task.unused_rows == "between":
            del plain["task"]["unused_rows"]
        if self.search.first_replicas == self.search.replicas:
            del plain["search"]["first_replicas"]
        # Columns beside those that are forecast are left out by themselves where there are none.
        later = ("period", "id", "time_format", "missing", "duplicates", "separator", "decimal")
        for key in later:
            if key in plain["series"] and plain["series"][key] is None:
                del plain["series"][key]
        if self.presets:
            plain["presets"] = {
                name: _without_neutral(preset.fixed) for name, preset in self.presets.items()
            }
        return plain

    def continuing(self, stored: Self) -> Self:
        """Return this definition of a study file as that of a stored study that it goes on with.

        What neither file named is searched as the study began, whatever the defaults of this
        version are; so are the rows that its spans leave over, and the first replicas. Its series
        has the properties that were found then.
        """
        named = {*(self.named or ()), *(stored.named or ())}
        own = {name: domain for name, domain in self.space.items() if name in named}
        kept = {n: own.get(n, d) for n, d in stored.space.items() if n in own or n not in named}
        update: dict[str, Any] = {"space": {**kept, **own}}
        if stored.properties is not None:
            update["properties"] = stored.properties
        for section, defaults in NOISE_FREE.items():
            mine, begun = getattr(self, section), getattr(stored, section)
            was_default = stored.properties is not None and stored.properties.is_noise_free
            values = {
                key: getattr(begun, key)
                for key in defaults
                if f"{section}.{key}" not in named
                # What an earlier version stored of a file that named it is not known to be named.
                and (was_default or getattr(begun, key) == type(begun).model_fields[key].default)
            }
            if section == "task" and "unused_rows" not in mine.model_fields_set:
                values["unused_rows"] = stored.task.unused_rows
            if section == "search" and "first_replicas" not in mine.model_fields_set:
                values["first_replicas"] = stored.search.first_replicas
            update[section] = mine.model_copy(update=values)
        return self.model_copy(update=update)

    @property
    def identity_hash(self) -> str:
        """SHA-256 of the identity."""
        canonical = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def check_study_name(name: str) -> str:
    """Return a name that a study may have; ValueError, with the rule, for any other."""
    if _FILE_NAME.fullmatch(name) is None:
        raise ValueError(
            "must be a file name of 1 to 100 letters, digits, '-', '_' and '.', "
            f"not starting with '.', but got {shown(name)}; choose such a name"
        )
    return name


def _unmasked_steps(series: SeriesProperties | None) -> int | None:
    """How many rows masked values leave without a gap; None where nothing is masked, or known."""
    return None if series is None else series.gapless_steps


def _beside_gaps(rule: str, steps: int) -> str:
    """A rule on what fits into a training span, of one that masked values cut into pieces."""
    left = f'the {counted(steps, "row")} without a gap that missing = "mask" leaves'
    law = rule.split("; ")[0].replace(f"train_steps = {steps}", left)
    return f'{law}; write missing = "interpolate" in [series], or name shorter ones'


def _plugins(earlier: Mapping[str, Any]) -> Mapping[str, str]:
    """The plug-ins that provide the source or a method of the space."""
    source, space = earlier.get("series"), earlier.get("space", {})
    used: list[type[object]] = [] if source is None else [type(source)]
    for parameter in filter(None, map(parameter_named, space)):
        used += [own for own in parameter.owners if own.presence().can_hold(space)]
    return plugins_of(used)


def _without_neutral(fixed: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What a preset fixes, but for what no study searches unless it names it, where neutral.

    So a preset stays what it is when a later version, or a plug-in, has more methods.
    """
    return {
        name: value
        for name, value in fixed.items()
        if (own := parameter_named(name)) is None or own.searched or value != own.neutral
    }


def differing_keys(one: StudyDefinition, other: StudyDefinition) -> list[str]:
    """Return the dotted keys at which the identities of two definitions differ, sorted."""
    return sorted(_differing(one.identity(), other.identity(), prefix=""))


def _differing(one: Any, other: Any, prefix: str) -> list[str]:
    if one == other and type(one) is type(other):
        return []
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [prefix.removesuffix(".")]
    return [
        key
        for name in one.keys() | other.keys()
        for key in _differing(one.get(name), other.get(name), f"{prefix}{name}.")
    ]

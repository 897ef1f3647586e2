"""A trained population to bytes and back: safetensors with JSON metadata, nothing that can run.

What is written is one safetensors file: the parameters by name, each `[member, *shape]`, and the
scaling of each member's series. One metadata entry holds JSON with the format's
version, the settings of the architecture, the channels, and a checksum over all of it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.candidate import AnyForecaster, forecaster_of
from models.effects import MOST_KNOTS, Effects, Groups, Reads
from models.methods.registry import check_names
from models.network.architecture import Architecture
from models.network.options.covariates import (
    has_known_inputs,
    has_regression,
    reads_known,
    reads_past,
)
from models.network.options.transforms import has_power
from models.tensors import MemberParameter
from models.units import Units, difference_of
from models.version_1 import settings_of

# Version 1 named the fields of an architecture as version 0.1.0 of freerun had them.
FORMAT_VERSION = 2
# One metadata entry only: safetensors writes several in any order, and bytes should be repeatable.
_ENTRY = "freerun"
_PARAMETER = "parameter."


class CheckpointError(ValueError):
    """The bytes are no checkpoint, or a damaged or newer one."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A population of one architecture with the scaling of its data.

    channels: that are forecast. weights: rows `[member, parameter]` in the forecaster's layout and
    precision. shift, scale, and power where the architecture has one: float64 `[member, channel]`,
    see `Units`. effects: of known columns, where the architecture has a regression on them. past:
    columns that are read as further channels behind the others, of which no forecast is asked for.
    known_shift, known_scale: of known columns that are inputs, float64 `[member, known]`; None
    without.
    """

    architecture: Architecture
    channels: int
    weights: MemberParameter
    shift: Tensor
    scale: Tensor
    power: Tensor | None = None
    effects: Effects | None = None
    past: int = 0
    known_shift: Tensor | None = None
    known_scale: Tensor | None = None

    @property
    def forecaster(self) -> AnyForecaster:
        """The network or closed form, for all channels that it reads, without numbers in it."""
        inputs = 0 if self.known_shift is None else self.known_shift.shape[1]
        return forecaster_of(self.architecture, self.channels + self.past, inputs)

    @property
    def known(self) -> int:
        """How many known columns are read."""
        if self.known_shift is not None:
            return self.known_shift.shape[1]
        return 0 if self.effects is None else self.effects.columns

    @property
    def known_before(self) -> int:
        """How many rows before those of the values lags of known columns are read from."""
        return 0 if self.effects is None else self.effects.rows_before

    @property
    def shown_steps(self) -> int:
        """True values that a network is shown before a free run."""
        return self.architecture.shown_steps

    def member(self, number: int) -> Self:
        """A population of one of its members."""
        own = slice(number, number + 1)
        return replace(
            self,
            weights=self.weights[own],
            shift=self.shift[own],
            scale=self.scale[own],
            power=None if self.power is None else self.power[own],
            effects=None if self.effects is None else self.effects.rows([number]),
            known_shift=None if self.known_shift is None else self.known_shift[own],
            known_scale=None if self.known_scale is None else self.known_scale[own],
        )

    @property
    def units(self) -> Units:
        """The units in which each member reads and forecasts."""
        power = None if self.power is None else self.power.double().numpy()
        shift, scale = self.shift.double().numpy(), self.scale.double().numpy()
        inputs = (
            None if own is None else own.double().numpy()
            for own in (self.known_shift, self.known_scale)
        )
        return Units(shift, scale, power, *difference_of(self.architecture), self.effects, *inputs)

    @property
    def is_of_equals(self) -> bool:
        """Whether all of its networks are the same, as fits without random numbers are."""
        parts = [self.weights, self.shift, self.scale]
        parts += [] if self.power is None else [self.power]
        parts += list(_effect_tensors(self.effects).values())
        parts += [] if self.known_shift is None else [self.known_shift]
        parts += [] if self.known_scale is None else [self.known_scale]
        return all(bool((part == part[:1]).all()) for part in parts)


def save(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as safetensors; equal checkpoints give equal bytes.

    Raises CheckpointError where its arrays don't have the shapes of its architecture.
    """
    described, tensors = parts_of(checkpoint)
    return packed({"format_version": FORMAT_VERSION, **described}, tensors)


def load(content: bytes) -> Checkpoint:
    """Read what `save` wrote.

    Raises CheckpointError where the bytes are damaged, lack something, were written by a newer
    version, or don't fit the architecture that they name.
    """
    description, version = read_description(content, FORMAT_VERSION)
    tensors = tensors_of(content)
    checkpoint = of_parts(description, tensors, version)
    check_content(description, tensors)
    return checkpoint


def parts_of(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What the architecture is as JSON values, and the numbers by name; see `save`."""
    layout = checkpoint.forecaster.layout()
    members = len(checkpoint.weights)
    _check_shape("weights", checkpoint.weights, (members, layout.size))
    tensors = {_PARAMETER + name: v for name, v in layout.views(checkpoint.weights).items()}
    of_units = {"shift": checkpoint.shift, "scale": checkpoint.scale}
    if checkpoint.power is not None:
        of_units["power"] = checkpoint.power
    for name, tensor in of_units.items():
        _check_shape(name, tensor, (members, checkpoint.channels + checkpoint.past))
        tensors[name] = tensor.double()
    tensors |= _effect_tensors(checkpoint.effects)
    for name, own in zip(_INPUTS, (checkpoint.known_shift, checkpoint.known_scale), strict=True):
        if own is not None:
            _check_shape(name, own, (members, checkpoint.known))
            tensors[name] = own.double()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    described = {"settings": checkpoint.architecture.values(), "channels": checkpoint.channels}
    # Without such columns, a file is as earlier versions write it.
    described |= {"known": checkpoint.known} if checkpoint.known else {}
    described |= {"past": checkpoint.past} if checkpoint.past else {}
    if (effects := checkpoint.effects) is not None:
        described |= {} if effects.reads is None else {"known_curves": effects.knots.shape[1]}
        groups = effects.groups.count
        described |= {} if groups == 1 else {"known_groups": groups}
    return described, tensors


def of_parts(
    description: Mapping[str, Any], tensors: Mapping[str, Tensor], version: int = FORMAT_VERSION
) -> Checkpoint:
    """Rebuild what `parts_of` gave; raises CheckpointError where that can't be."""
    architecture, channels = _architecture(description, version), description.get("channels")
    if type(channels) is not int or channels < 1:
        raise CheckpointError(f"the checkpoint's channels must be at least 1, but got {channels}")
    known = _columns(description, "known", is_needed=reads_known(architecture))
    past = _columns(description, "past", is_needed=reads_past(architecture))
    inputs, read = known if has_known_inputs(architecture) else 0, channels + past
    forecaster = forecaster_of(architecture, read, inputs)
    layout = forecaster.layout()
    expected: dict[str, tuple[int, ...]]
    expected = {_PARAMETER + name: shape for name, shape in layout.shapes.items()}
    of_units: dict[str, tuple[int, ...]] = {"shift": (read,), "scale": (read,)}
    if has_power(architecture):
        of_units["power"] = (read,)
    curves, groups = _curves_and_groups(description, known, channels, past)
    if has_regression(architecture):
        has_reads = "known_curves" in description
        of_units |= _effect_shapes(curves, read // groups.count, has_reads=has_reads)
    of_units |= dict.fromkeys(_INPUTS if inputs else (), (known,))
    expected |= of_units
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointError(f"the checkpoint must hold {missing[0]!r}, but does not")
    members = len(tensors["shift"]) if tensors["shift"].ndim > 0 else 0
    for name, shape in expected.items():
        _check_shape(name, tensors[name], (members, *shape))
    weights = torch.zeros(members, layout.size, dtype=forecaster.dtype)
    for name, view in layout.views(weights).items():
        _check_numbers(name, tensors[_PARAMETER + name], forecaster.dtype)
        view.copy_(tensors[_PARAMETER + name])
    for name in of_units:
        _check_numbers(name, tensors[name], torch.float64)
        is_scale = name in ("scale", _INPUTS[1])
        if not (tensors[name].isfinite().all() and (not is_scale or tensors[name].gt(0).all())):
            raise CheckpointError(f"{name} of the checkpoint must be finite, a scale above 0")
    power = tensors["power"] if has_power(architecture) else None
    effects = _effects(tensors, known, groups) if has_regression(architecture) else None
    shift, scale = tensors["shift"], tensors["scale"]
    known_shift, known_scale = (tensors[name] if inputs else None for name in _INPUTS)
    return Checkpoint(
        architecture,
        channels,
        weights,
        shift,
        scale,
        power,
        effects,
        past,
        known_shift=known_shift,
        known_scale=known_scale,
    )


# How known columns that are inputs are standardised.
_INPUTS = ("known.shift", "known.scale")
_KNOTS, _VALUES, _LEVEL, _READS = "known.knots", "known.values", "known.level", "known.reads"
# Rows that a lag may reach back to, far beyond what is made.
_MOST_ROWS_BEFORE = 1_000_000


def _effect_shapes(curves: int, channels: int, *, has_reads: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        _KNOTS: (curves, MOST_KNOTS),
        _VALUES: (curves, MOST_KNOTS, channels),
        _LEVEL: (curves,),
    }
    return {**shapes, _READS: (curves, 3)} if has_reads else shapes


def _effect_tensors(effects: Effects | None) -> dict[str, Tensor]:
    """The numbers of known columns by name, none where there are none."""
    if effects is None:
        return {}
    named = {_KNOTS: effects.knots, _VALUES: effects.values, _LEVEL: effects.is_level}
    named |= {} if effects.reads is None else {_READS: effects.reads.of}
    return {name: torch.tensor(numbers, dtype=torch.float64) for name, numbers in named.items()}


def _effects(tensors: Mapping[str, Tensor], known: int, groups: Groups) -> Effects:
    knots, values, level = (tensors[name].numpy() for name in (_KNOTS, _VALUES, _LEVEL))
    if (np.diff(knots, axis=2) < 0).any():
        raise CheckpointError(f"{_KNOTS} of the checkpoint must rise, but do not")
    reads = None
    if _READS in tensors:
        found = tensors[_READS].numpy()
        of = found.clip(0, _MOST_ROWS_BEFORE).astype(np.int64)
        if (of != found).any() or (of[..., 0] >= known).any():
            raise CheckpointError(
                f"{_READS} of the checkpoint must name known columns and rows before, but do not"
            )
        reads = Reads(known, of)
    return Effects(knots, values, level > 0.5, reads, groups)


def _curves_and_groups(
    description: Mapping[str, Any], known: int, channels: int, past: int
) -> tuple[int, Groups]:
    """How many curves known columns have, and which channels these act on."""
    curves, groups = (
        description.get(f"known_{key}", n) for key, n in (("curves", known), ("groups", 1))
    )
    if type(curves) is not int or curves < known:
        raise CheckpointError(
            f"the checkpoint's known_curves must be at least its known columns, {known}, but got "
            f"{curves}"
        )
    if type(groups) is not int or groups < 1 or any(n % groups for n in (known, channels, past)):
        raise CheckpointError(
            f"the checkpoint's known_groups must share out {known} known columns, {channels} "
            f"channels and {past} columns of the past evenly, but got {groups}"
        )
    return curves, Groups(groups, past)


def _columns(description: Mapping[str, Any], key: str, *, is_needed: bool) -> int:
    """How many columns a description names; CheckpointError unless that fits the architecture."""
    found = description.get(key, 0)
    if type(found) is not int or found < 0 or (found > 0) != is_needed:
        must = "at least 1" if is_needed else "0"
        raise CheckpointError(
            f"the checkpoint's {key} must be {must}, as its architecture says, but got {found}"
        )
    return found


def packed(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of a description and tensors, with a checksum over both."""
    whole = {**description, "sha256": _checksum(description, tensors)}
    return save_tensors(dict(tensors), {_ENTRY: json.dumps(whole, sort_keys=True)})


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """The tensors of a file by their names; CheckpointError where it is damaged."""
    try:
        tensors: dict[str, Tensor] = load_tensors(content)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint is damaged: {error}") from error
    return tensors


def check_content(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError where a description and tensors do not fit their checksum."""
    described = {key: value for key, value in description.items() if key != "sha256"}
    if description.get("sha256") != _checksum(described, tensors):
        raise CheckpointError("the checkpoint is damaged: its content does not fit its checksum")


def read_description(content: bytes, newest: int) -> tuple[dict[str, Any], int]:
    """The JSON of our metadata entry, and the version of its format, up to the newest one.

    safetensors reads metadata from files only, so it is read here.
    """
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        description = json.loads(header["__metadata__"][_ENTRY])
        version = description["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"these {len(content)} bytes are no checkpoint of freerun, or a damaged one"
        ) from error
    if type(version) is not int or not 1 <= version <= newest:
        raise CheckpointError(
            f"the checkpoint has format version {version}, but this freerun reads versions up to "
            f"{newest}; use the freerun that wrote it, or a newer one"
        )
    assert isinstance(description, dict)
    return description, version


def _architecture(description: Mapping[str, Any], version: int) -> Architecture:
    """The architecture, once each of its settings has been checked."""
    key = "settings" if version > 1 else "architecture"
    plain = description.get(key)
    if not isinstance(plain, dict):
        raise CheckpointError(f"the checkpoint must have {key}, but has {sorted(description)}")
    try:
        settings = plain if version > 1 else settings_of(plain, {}, restarts=1)
        check_names(settings)
        return Architecture.of(settings)
    except KeyError as error:
        raise CheckpointError(f"the checkpoint's architecture lacks {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint's architecture can't be: {error}") from error


def _check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape or 0 in shape:
        raise CheckpointError(
            f"{name} of the checkpoint must have the shape {list(shape)}, at least one member, "
            f"but has {list(tensor.shape)}"
        )


def _check_numbers(name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    if tensor.dtype != dtype:
        raise CheckpointError(
            f"{name} of the checkpoint must hold {dtype} numbers, but holds {tensor.dtype}"
        )


def _checksum(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over what the checkpoint says and all its numbers, in the order of their names."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()

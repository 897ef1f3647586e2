"""Checkpoints: the round trip, and one clear message for each way in which bytes can be wrong."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Generator, Tensor

from models.candidate import from_plain
from models.checkpoint import FORMAT_VERSION, Checkpoint, CheckpointError, load, save
from models.methods.registry import methods_of
from models.network.architecture import Architecture
from models.network.cells.cell import Cell
from models.network.forecaster import Forecaster
from models.network.walk import free_run
from models.training.trained_network import TrainedNetwork

DATA = Path(__file__).parents[1] / "data" / "0.1.0"
CELLS = [method.name for method in methods_of("cell") if issubclass(method, Cell)]


@pytest.fixture
def checkpoint(make_candidate: Callable[..., TrainedNetwork]) -> Checkpoint:
    architecture = make_candidate(
        cell="gru", layers=2, head_layers=1, residual=True, context="state"
    ).architecture
    forecaster = Forecaster(architecture, channels=2)
    generator = Generator().manual_seed(0)
    return Checkpoint(
        architecture=architecture,
        channels=2,
        weights=torch.stack([forecaster.initialise(generator) for _ in range(3)]),
        shift=torch.randn(3, 2, generator=generator).double() / 3,
        scale=torch.rand(3, 2, generator=generator).double() / 3,
    )


def described(content: bytes) -> dict[str, Any]:
    """What the metadata says."""
    length = int.from_bytes(content[:8], "little")
    described: dict[str, Any] = json.loads(
        json.loads(content[8 : 8 + length])["__metadata__"]["freerun"]
    )
    return described


def rewritten(
    content: bytes,
    tensors: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    **changes: Any,
) -> bytes:
    """The same file with other tensors or descriptions, as another program might write it."""
    metadata = {"freerun": json.dumps(described(content) | changes)}
    return save_tensors(tensors(load_tensors(content)), metadata)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("has_more", [False, True])
def test_round_trip(
    make_candidate: Callable[..., TrainedNetwork], checkpoint: Checkpoint, cell: str, has_more: bool
) -> None:
    more = {"layer_norm": has_more, "residual": has_more, "scaled_increments": has_more}
    architecture = make_candidate(cell=cell, layers=3, **more).architecture
    forecaster = Forecaster(architecture, channels=2)
    rows = [forecaster.initialise(Generator().manual_seed(i)) for i in range(3)]
    saved = dataclasses.replace(checkpoint, architecture=architecture, weights=torch.stack(rows))
    loaded = load(save(saved))
    assert loaded.architecture == architecture
    assert loaded.channels == 2
    for name in ("weights", "shift", "scale"):
        before, after = getattr(saved, name), getattr(loaded, name)
        assert before.dtype == after.dtype
        assert torch.equal(before, after)


def test_a_loaded_hybrid_has_its_autoregression(
    make_candidate: Callable[..., TrainedNetwork], checkpoint: Checkpoint
) -> None:
    architecture = make_candidate(cell="gru", hybrid="ar", segment_steps=2).architecture
    forecaster, generator = Forecaster(architecture, channels=2), Generator().manual_seed(2)
    weights = 0.1 * torch.randn(3, forecaster.layout().size, generator=generator)
    saved = dataclasses.replace(checkpoint, architecture=architecture, weights=weights)
    loaded = load(save(saved))
    # [channel, lag, step]
    assert load_tensors(save(saved))["parameter.fixed.autoregression"].shape == (3, 2, 4, 2)
    context = torch.randn(3, 1, 4, 2, generator=generator)
    runs = [
        free_run(Forecaster(c.architecture, 2), c.weights, context, 20) for c in (saved, loaded)
    ]
    assert torch.equal(*runs)


def test_a_loaded_population_forecasts_the_same(checkpoint: Checkpoint) -> None:
    loaded = load(save(checkpoint))
    context = torch.randn(3, 1, 4, 2, generator=Generator().manual_seed(1))
    runs = [
        free_run(Forecaster(c.architecture, c.channels), c.weights, context, 20)
        for c in (checkpoint, loaded)
    ]
    assert torch.equal(*runs)


def test_equal_checkpoints_give_equal_bytes(checkpoint: Checkpoint) -> None:
    assert save(checkpoint) == save(load(save(checkpoint)))


def test_parameters_are_stored_by_name(checkpoint: Checkpoint) -> None:
    stored = load_tensors(save(checkpoint))
    assert stored["parameter.cell.1.recurrent"].shape == (3, 4, 12)
    assert stored["parameter.head.1.bias"].shape == (3, 1, 2)
    assert stored["shift"].dtype == torch.float64


def test_any_flipped_bit_is_noticed(checkpoint: Checkpoint) -> None:
    content = save(checkpoint)
    for position in range(0, len(content), 97):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(CheckpointError):
            load(bytes(damaged))


def test_any_missing_end_is_noticed(checkpoint: Checkpoint) -> None:
    content = save(checkpoint)
    for length in range(0, len(content), 97):
        with pytest.raises(CheckpointError):
            load(content[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a pickle in a zip, as torch.save writes it",
        b"\x80\x04\x95 a pickle",
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b"null",
        save_tensors({"a": torch.zeros(2)}),
        save_tensors({"a": torch.zeros(2)}, {"freerun": "[]"}),
        save_tensors({"a": torch.zeros(2)}, {"freerun": "{}"}),
        save_tensors({"a": torch.zeros(2)}, {"freerun": '"format_version"'}),
    ],
    ids=repr,
)
def test_other_bytes_are_no_checkpoint(content: bytes) -> None:
    with pytest.raises(CheckpointError, match="are no checkpoint of freerun, or a damaged one"):
        load(content)


def test_a_newer_format_says_what_to_do(checkpoint: Checkpoint) -> None:
    newer = rewritten(save(checkpoint), format_version=FORMAT_VERSION + 1)
    with pytest.raises(CheckpointError, match=r"format version 3, .* use the freerun that wrote"):
        load(newer)


def test_a_missing_parameter_is_named(checkpoint: Checkpoint) -> None:
    def without(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {k: v for k, v in tensors.items() if k != "parameter.cell.0.input"}

    with pytest.raises(
        CheckpointError, match=r"must hold 'parameter\.cell\.0\.input', but does not"
    ):
        load(rewritten(save(checkpoint), without))


@pytest.mark.parametrize("name", ["shift", "scale", "parameter.head.0.weight"])
def test_a_wrong_shape_is_named(checkpoint: Checkpoint, name: str) -> None:
    def cut(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return tensors | {name: tensors[name][:, :1].clone()}

    with pytest.raises(CheckpointError, match=rf"{name} of the checkpoint must have the shape \["):
        load(rewritten(save(checkpoint), cut))


def test_a_member_without_its_scaling_is_refused(checkpoint: Checkpoint) -> None:
    def cut(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return tensors | {"shift": tensors["shift"][:2].clone()}

    with pytest.raises(CheckpointError, match="must have the shape"):
        load(rewritten(save(checkpoint), cut))


def test_changed_numbers_are_noticed(checkpoint: Checkpoint) -> None:
    def changed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return tensors | {"scale": tensors["scale"] * 2}

    with pytest.raises(CheckpointError, match="does not fit its checksum"):
        load(rewritten(save(checkpoint), changed))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cell", "gruu", "Did you mean 'gru'"),
        ("cell", 3, "cell must be"),
        ("hidden_units", 0, "hidden_units must be from 1 to 4096, but got 0"),
        ("hidden_units", "4", "hidden_units must be a whole number"),
        ("hidden_units", True, "hidden_units must be a whole number"),
        ("hidden_units", 4.0, "hidden_units must be a whole number"),
        ("layers", -1, "layers must be from"),
        ("head_layers", -1, "head_layers must be from"),
        ("residual", 1, "residual must be true or false"),
        ("context", "windows", "Did you mean 'window'"),
        ("warm_up_steps", None, "warm_up_steps is missing"),
        ("scaled_increments", True, "scaled_increments needs residual"),
        ("rms_norm", True, "rms_norm is a setting of no method here"),
    ],
)
def test_an_impossible_architecture_is_refused(
    make_candidate: Callable[..., TrainedNetwork], name: str, value: object, words: str
) -> None:
    architecture = make_candidate(cell="gru", context="state").architecture
    row = Forecaster(architecture).initialise(Generator().manual_seed(0))
    one = torch.ones(1, 1)
    content = save(Checkpoint(architecture, 1, row.unsqueeze(0), shift=one, scale=one))
    settings = described(content)["settings"] | {name: value}
    with pytest.raises(CheckpointError, match=f"the checkpoint's architecture can't be: .*{words}"):
        load(rewritten(content, settings=settings))


@pytest.mark.parametrize("settings", [None, []])
def test_an_architecture_without_settings_is_refused(checkpoint: Checkpoint, settings: Any) -> None:
    with pytest.raises(CheckpointError, match="must have settings"):
        load(rewritten(save(checkpoint), settings=settings))


def test_an_incomplete_architecture_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(CheckpointError, match=r"can't be: context is missing"):
        load(rewritten(save(checkpoint), settings={"cell": "gru"}))


@pytest.mark.parametrize("name", ["export-sine", "export-table", "export-report"])
def test_a_checkpoint_of_version_0_1_0_is_read(name: str) -> None:
    """And written anew without a loss."""
    loaded = load((DATA / name / "weights.safetensors").read_bytes())
    candidate = from_plain(json.loads((DATA / name / "candidate.json").read_text())["candidate"])
    assert shared(loaded.architecture) == shared(candidate.architecture)
    again = load(save(loaded))
    assert again.architecture == loaded.architecture
    for part in ("weights", "shift", "scale"):
        assert torch.equal(getattr(again, part), getattr(loaded, part))


def shared(architecture: Architecture) -> dict[str, object]:
    """The settings that are no numbers of a member."""
    return {own.name: value for own, value in architecture.settings() if own.shared}


def test_an_architecture_of_version_0_1_0_needs_its_fields() -> None:
    content = (DATA / "export-report" / "weights.safetensors").read_bytes()
    old = described(content)["architecture"]
    without = {name: value for name, value in old.items() if name != "context_steps"}
    with pytest.raises(CheckpointError, match="lacks 'context_steps'"):
        load(rewritten(content, architecture=without))
    with pytest.raises(CheckpointError, match=r"can't be: layers must be from 1 to 16"):
        load(rewritten(content, architecture=old | {"layers": 0}))


@pytest.mark.parametrize("channels", [0, -1, "2", None, True, 2.0])
def test_impossible_channels_are_refused(checkpoint: Checkpoint, channels: Any) -> None:
    with pytest.raises(CheckpointError, match="channels must be at least 1, but got"):
        load(rewritten(save(checkpoint), channels=channels))


@pytest.mark.parametrize("change", [{"channels": 1}, {"shift": torch.zeros(2, 2)}])
def test_a_checkpoint_of_inconsistent_shapes_is_not_saved(
    checkpoint: Checkpoint, change: dict[str, Any]
) -> None:
    with pytest.raises(CheckpointError, match="must have the shape"):
        save(dataclasses.replace(checkpoint, **change))

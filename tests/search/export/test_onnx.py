"""ONNX models run freely as torch does, over 1,000 steps, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor

import freerun
from models.candidate import candidate_of, learner_of
from models.checkpoint import Checkpoint, load
from models.cohort import Member
from models.ensemble import Ensemble, EnsembleCheckpoint, save_any
from models.methods.registry import methods_of
from models.network.cells.cell import Cell
from models.training.trained_network import TrainedNetwork
from models.units import Units
from search.errors import ExportError, UsageError
from search.evaluation.ensembles import run_any
from search.export import read_export, write_export
from search.export.of_study import export_of
from search.series import FloatArray

if TYPE_CHECKING:
    from tests.search.invented import Invented

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'freerun[onnx]'")
pytest.importorskip("onnxruntime", reason="it is not installed: pip install 'freerun[onnx]'")

import onnxruntime
from onnx import helper

from search.export.onnx import onnx_model
from search.export.onnx.graph import FLOAT, Graph
from search.export.onnx.model import model_of
from search.export.onnx.operators import trace, translate

STEPS, TOLERANCE = 1000, 1e-5
PERIOD, ROWS = 24, 400

BASE: dict[str, Any] = {
    "cell": "rnn",
    "hidden_units": 8,
    "context": "state",
    "warm_up_steps": 2 * PERIOD,
    "rollout_steps": 16,
    "training_steps": 150,
    "batch_size": 8,
    "learning_rate": 0.01,
    "teacher_weight": 0.5,
    "clip_norm": 1.0,
}
WINDOW = {"context": "window", "window_steps": 16, "window_rollout_steps": 8}
NORMS = {"layer_norm": True, "instance_norm": True}
PARALLEL = {"segment_steps": 4, "decoding": "parallel", "parallel_segments": 3}
ESTIMATED = {"autonomous": True, "state_estimate": "least-squares", "initial_phases": "spectrum"}
# So that what reads its own forecasts neither grows without an end nor makes much of roundings.
SHRUNK = {"weight_decay": 1.0, "learning_rate": 0.03}

# Settings beside BASE, and the channels of the series.
CASES: dict[str, tuple[dict[str, Any], int]] = {
    "rnn": ({}, 1),
    "rnn, windows": (WINDOW, 1),
    "gru": ({"cell": "gru"}, 1),
    "gru, logarithms": ({"cell": "gru", "segment_steps": 4, "power_transform": "log"}, 1),
    "gru, each channel by itself, change of seasons": (
        {
            "cell": "gru",
            "channels": "independent",
            "seasonal_lag": PERIOD,
            "lag_seasons": 2,
            "power_transform": "box-cox",
        },
        3,
    ),
    "lstm": ({"cell": "lstm"}, 1),
    "lstm, two layers, segments, norm": (
        {"cell": "lstm", "layers": 2, "segment_steps": 8, "read_in": "relu", "instance_norm": True},
        2,
    ),
    "lru": ({"cell": "lru", "modes": 3, **SHRUNK}, 1),
    "lru on its state": ({"cell": "lru", "modes": 3, "autonomous": True}, 1),
    "lru, state by least squares": ({"cell": "lru", "modes": 3, **ESTIMATED}, 1),
    "lru, the same in units of its context": (
        {"cell": "lru", "modes": 3, **ESTIMATED, "instance_norm": True},
        2,
    ),
    "cornn, residual": ({"cell": "cornn", "residual": True}, 1),
    "antisymmetric, windows": ({"cell": "antisymmetric", **WINDOW}, 1),
    "lem, all norms, head": (
        {"cell": "lem", "layers": 2, "head_layers": 1, "segment_steps": 4, **NORMS},
        2,
    ),
    "lem, decoded in parallel": ({"cell": "lem", **PARALLEL, "read_in": "linear", **SHRUNK}, 1),
    "lem, windows decoded in parallel, scaled increments": (
        {"cell": "lem", **PARALLEL, **WINDOW, "residual": True, "scaled_increments": True},
        1,
    ),
    "orthogonal": (
        {"cell": "orthogonal", "reflections": 4, "instance_norm": True, **SHRUNK},
        1,
    ),
    "shplrnn": ({"cell": "shplrnn", "expanded_units": 16}, 1),
    "indrnn on its state": (
        {"cell": "indrnn", "autonomous": True, "instance_norm": True, "instance_level": "last"},
        1,
    ),
    "mlp": ({"cell": "mlp", **WINDOW}, 1),
    "mlp, segments": ({"cell": "mlp", **WINDOW, "segment_steps": 4}, 1),
    "gru, rest of an autoregression": ({"cell": "gru", "segment_steps": 4, "hybrid": "ar"}, 2),
    "lem, the same in units of its context": (
        {"cell": "lem", "hybrid": "level-ar", "instance_norm": True},
        1,
    ),
    "mlp, windows and an autoregression": ({"cell": "mlp", **WINDOW, "hybrid": "ar"}, 1),
    "rnn, the same": ({**WINDOW, "segment_steps": 4, "hybrid": "level-ar"}, 2),
}


def series_of(channels: int) -> FloatArray:
    """A noisy wave above zero in each channel, `[time, channel]`."""
    time = np.arange(ROWS)[:, np.newaxis]
    noise = np.random.default_rng(0).standard_normal((ROWS, channels))
    phase = np.arange(channels)
    return 5.0 + (1.0 + phase) * np.sin(time * 2 * np.pi / PERIOD + phase) + 0.05 * noise


def trained(series: FloatArray, params: dict[str, Any], members: int = 3) -> Checkpoint:
    """Networks that are trained a little on a series."""
    candidate = candidate_of({**BASE, **params})
    units = Units.of(candidate, [series])
    values = torch.from_numpy(units.read(series[np.newaxis, np.newaxis])[0])
    learner = learner_of([Member(candidate, 0, seed) for seed in range(members)], values, "cpu")
    for _ in learner:
        pass
    each = units.rows([0] * members)
    return Checkpoint(
        candidate.architecture,
        series.shape[1],
        learner.scored_weights,
        torch.from_numpy(each.shift),
        torch.from_numpy(each.scale),
        None if each.power is None else torch.from_numpy(each.power),
    )


def run(model: bytes, **inputs: Any) -> FloatArray:
    """The first output of a model."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, inputs)
    return np.asarray(output)


def of_torch(networks: Checkpoint, series: FloatArray, steps: int = STEPS) -> FloatArray:
    return np.asarray(np.median(run_any(networks, series[np.newaxis], steps)[:, 0], axis=0))


@pytest.mark.parametrize("name", CASES)
def test_it_runs_freely_as_torch_does(name: str) -> None:
    params, channels = CASES[name]
    series = series_of(channels)
    networks = trained(series, params)
    expected = of_torch(networks, series)
    assert np.abs(expected - series.mean(0)).max() < 20 * series.std(0).max()
    got = run(model_of(networks, {}), series=series, horizon=np.array(STEPS))
    assert got.shape == (STEPS, channels)
    assert np.abs((got - expected) / series.std(0)).max() < TOLERANCE


def test_every_cell_is_among_the_cases() -> None:
    cells = {method.name for method in methods_of("cell") if issubclass(method, Cell)}
    assert {{**BASE, **params}["cell"] for params, _ in CASES.values()} == cells


@pytest.mark.parametrize("members", [1, 2])
def test_one_model_forecasts_any_horizon_from_any_row(members: int) -> None:
    series = series_of(1)
    networks = trained(series, {"cell": "lem", "segment_steps": 4}, members)
    model = model_of(networks, {"freerun.study": "wave"})
    for end, steps in ((ROWS, 1), (ROWS - 7, 6), (networks.shown_steps, 50)):
        got = run(model, series=series[:end], horizon=np.array(steps))
        np.testing.assert_allclose(got, of_torch(networks, series[:end], steps), atol=1e-5)
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.Fail):
        run(model, series=series[: networks.shown_steps - 1], horizon=np.array(1))


def graph_of(function: Callable[[Tensor], Any], example: Tensor) -> bytes:
    """A model with the inputs and outputs of a function of one array."""
    graph = Graph()
    (result,) = translate(trace(function, [example]), [example], graph, ["x"])
    graph.rename(result, "y")
    ends = [helper.make_tensor_value_info(name, FLOAT, None) for name in ("x", "y")]
    content: bytes = graph.model("test", ends[:1], ends[1:], {}).SerializeToString()
    return content


def writes_parts(x: Tensor) -> list[Tensor]:
    """Writes into parts of arrays, of which some are read as parts and others as a whole."""
    memory = torch.empty(3, *x.shape)
    memory[1] = x.exp()
    memory[1, :, 2:] = x[:, :2] * 2.0
    memory[0].copy_(x).mul_(3.0)
    memory[2] = memory[1].abs()
    first, second = memory[1].split(2, dim=1)
    whole = torch.cat([memory[1], memory[0], first - second, memory[2].transpose(0, 1)], dim=1)
    return [torch.addcmul(whole, whole, whole, value=-0.5)]


@pytest.mark.parametrize(
    "function",
    [
        writes_parts,
        lambda x: [torch.sigmoid(x) / (1.0 + torch.nn.functional.softplus(x).sqrt())],
        lambda x: [torch.baddbmm(x[None], x[None], x[None], beta=0.5, alpha=2.0)[0]],
        lambda x: [torch.maximum(x, x.T.contiguous()).sub_(x, alpha=2.0).reciprocal()],
        lambda x: [x.sin() + x.cos() * torch.erf(x).neg() + x.sign().relu()],
        lambda x: [torch.stack(x.unbind(1))[:, None].expand(4, 2, 4).flatten(0, 1)],
    ],
)
def test_operators_compute_what_torch_does(function: Callable[[Tensor], list[Tensor]]) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(3))
    got = run(graph_of(function, torch.ones(4, 4)), x=x.numpy())
    np.testing.assert_allclose(got, function(x)[0].numpy(), rtol=2e-6, atol=2e-6)


def test_an_operator_that_is_not_known_is_named() -> None:
    with pytest.raises(UsageError, match=r"must consist of operators .* aten.cumsum.* known are"):
        graph_of(lambda x: [torch.cumsum(x, 0)], torch.ones(4, 4))


def test_an_export_holds_the_model_of_its_networks(finished: Invented, tmp_path: Path) -> None:
    export, folder = export_of(finished.store), tmp_path / "out"
    networks = export.checkpoint
    assert isinstance(networks, Checkpoint)
    write_export(export, folder, onnx=onnx_model(export))
    assert "`model.onnx` is their free run" in (folder / "README.md").read_text()
    series = np.sin(np.arange(200) / 10)[:, np.newaxis]
    got = run((folder / "model.onnx").read_bytes(), series=series, horizon=np.array(40))
    np.testing.assert_allclose(got, of_torch(networks, series, 40), atol=1e-5)
    freerun.load(folder).to_onnx(tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (folder / "model.onnx").read_bytes()
    # Only an older model is replaced, wherever it is.
    freerun.load(folder).to_onnx(tmp_path / "again.onnx")
    (tmp_path / "mine.onnx").write_bytes(graph_of(lambda x: [x + 1.0], torch.ones(2, 2)))
    with pytest.raises(UsageError, match=r"mine.onnx must be new or a model in ONNX that freerun"):
        freerun.load(folder).to_onnx(tmp_path / "mine.onnx")
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ExportError, match=r"model\.onnx is not as it was exported"):
        read_export(folder)


def test_what_is_no_network_is_refused(finished: Invented) -> None:
    export = export_of(finished.store)
    assert export.weights is not None
    networks = tuple(load(export.weights) for _ in range(2))
    assert isinstance(export.candidate, TrainedNetwork)
    ensemble = replace(
        export,
        subject="ensemble",
        trial=None,
        candidate=Ensemble((export.candidate,) * 2, ("trial 4", "trial 5"), None),
        weights=save_any(EnsembleCheckpoint(networks, None)),
    )
    with pytest.raises(UsageError, match=r"of a trained network.* but the ensemble is the median"):
        onnx_model(ensemble)
    with pytest.raises(UsageError, match=r"holds none.*retrain DIR -o NEW_DIR --onnx"):
        onnx_model(replace(export, weights=None))

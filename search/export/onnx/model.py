"""The free run of an exported network as one ONNX model, from and to the units of the series."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import onnx

from models.candidate import forecaster_of
from models.checkpoint import Checkpoint
from models.ensemble import EnsembleCheckpoint
from models.network.forecaster import Forecaster
from models.network.options.channels import are_independent
from models.tensors import RUN_BOUND
from search.errors import UsageError
from search.evaluation.ensembles import distinct
from search.export.content import Export
from search.export.onnx import units
from search.export.onnx.graph import DOUBLE, FLOAT, INT64, Graph
from search.export.onnx.walks import free_run
from search.names import cut
from search.outputs import ONNX_MARK

SERIES, HORIZON, FORECAST = "series", "horizon", "forecast"


def written(export: Export) -> bytes:
    """The model that `search.export.onnx.onnx_model` returns."""
    networks = _networks(export)
    names = export.definition.series.channels if export.table is None else export.table.columns
    said = {
        "study": export.study,
        "subject": export.named,
        "candidate": export.candidate.description(),
        "channels": json.dumps(list(names)),
        "context_steps": str(networks.shown_steps),
        "networks": str(len(networks.weights)),
    }
    described = {f"freerun.{key}": value for key, value in said.items()}
    # Last, so that it stands at the end of the file, where it is looked for.
    described[ONNX_MARK] = export.versions.get("freerun", "")
    return model_of(networks, described)


def model_of(networks: Checkpoint, described: Mapping[str, str]) -> bytes:
    """The free run of a population of networks as a model, see `search.export.onnx.onnx_model`.

    described: what the model says of itself. Raises UsageError for operators that are not known.
    """
    own, graph = distinct(networks), Graph()
    graph.rename(_forecast(graph, own), FORECAST)
    info, channels = onnx.helper.make_tensor_value_info, own.channels
    inputs = [info(SERIES, DOUBLE, ["time", channels]), info(HORIZON, INT64, [])]
    outputs = [info(FORECAST, DOUBLE, ["steps", channels])]
    model = graph.model("free_run", inputs, outputs, described)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _networks(export: Export) -> Checkpoint:
    """The networks of an export; UsageError where it has none that a graph can run."""
    checkpoint = export.checkpoint
    if checkpoint is None:
        raise UsageError(
            f"ONNX needs trained networks, but the export of {export.named} holds none, since it "
            "was in no final; `freerun retrain DIR -o NEW_DIR --onnx` trains them"
        )
    described = export.candidate.description()
    beside = _beside(export)
    if isinstance(checkpoint, EnsembleCheckpoint) or not checkpoint.architecture.is_trained:
        needs, remedy = "", "narrow cell in [space] to such cells"
        if beside:
            needs = f" that reads the columns that it forecasts alone, not {beside}"
            remedy = "leave known, past and calendar out of [series], and narrow cell in [space]"
        raise UsageError(
            "ONNX is written of a trained network (a cell such as rnn, gru, lstm or lru; "
            f"`freerun methods` lists them){needs}, but {export.named} is {described}; name a "
            f"trial of such a network with --trial, or {remedy}"
        )
    if checkpoint.known or checkpoint.past:
        raise UsageError(
            "ONNX is written of a network that reads the columns that it forecasts alone, but "
            f"{export.named} reads {beside} as well ({described}); name a trial that "
            "reads none of them with --trial, or leave known, past and calendar out of [series]"
        )
    return checkpoint


def _beside(export: Export) -> str:
    """The columns that a study has beside those that are forecast, in words; "" for none."""
    table = export.table
    names = () if table is None else (*table.known_names, *table.past_names)
    if not names:
        return ""
    return f"{'those' if len(names) > 1 else 'the one'} beside them ({cut(', '.join(names))})"


def _forecast(graph: Graph, networks: Checkpoint) -> str:
    own, channels, members = networks.units, networks.channels, len(networks.weights)
    forecaster = forecaster_of(networks.architecture, channels)
    assert isinstance(forecaster, Forecaster)
    is_independent = are_independent(networks.architecture)
    last = graph.cut(SERIES, 0, -networks.shown_steps)
    # Fewer values than are read do not have this shape.
    shown = graph.shaped(last, [1, networks.shown_steps, channels])
    known = graph.cast(units.read(graph, own, shown), FLOAT)
    batch, side_by_side = 1, graph.add("Unsqueeze", known, graph.constant([1], np.int64))
    if is_independent:
        batch = channels
        side_by_side = graph.shaped(
            graph.add("Transpose", known, perm=[0, 2, 1]), [members, channels, -1, 1]
        )
    run = free_run(graph, forecaster, networks.weights, side_by_side, batch, HORIZON)
    run = _unbounded(graph, run)
    if is_independent:
        run = graph.add("Transpose", graph.shaped(run, [0, 0, -1]), perm=[0, 2, 1])
    else:
        run = graph.shaped(run, [members, -1, channels])
    values = units.written(graph, own, run, shown, HORIZON)
    return _median(graph, values, members)


def _unbounded(graph: Graph, run: str) -> str:
    """Values at the bound of free runs are infinite."""
    run = graph.cast(run, DOUBLE)
    bound = graph.constant(float(np.float32(RUN_BOUND)))
    is_beyond = graph.add("GreaterOrEqual", graph.add("Abs", run), bound)
    infinite = graph.add("Mul", graph.add("Sign", run), graph.constant(np.inf))
    return graph.add("Where", is_beyond, infinite, run)


def _median(graph: Graph, values: str, members: int) -> str:
    """The median over the first axis, which goes."""
    if members == 1:
        return graph.add("Squeeze", values, graph.constant([0], np.int64))
    every = graph.constant([members], np.int64)
    ordered, _ = graph.add_all("TopK", [values, every], 2, axis=0, largest=0, sorted=1)
    middle = graph.cut(ordered, 0, (members - 1) // 2, members // 2 + 1)
    return graph.add("ReduceMean", middle, graph.constant([0], np.int64), keepdims=0)

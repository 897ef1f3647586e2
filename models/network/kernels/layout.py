"""Where everything of one member's unroll lies in the flat array that its kernel works in."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.network.cells.cell import Cell
from models.network.cells.gru import GRU
from models.network.cells.lstm import LSTM
from models.network.cells.rnn import RNN
from models.network.forecaster import Forecaster
from models.network.kernels import cells
from models.network.kernels.vectors import LANES
from models.network.options.instance_norm import LEVELS
from models.network.parameters import AUTOREGRESSION, INCREMENT_STD
from models.network.plan import Step

Table = NDArray[np.int64]

# Matrices of a layer, in the order of `Matrices`.
LAYER_MATRICES = 4
READ_INS = ("none", "linear", "relu")
RELU = 2
# What an instance norm takes off, by number; none without one.
INSTANCE_NORMS = (None, *LEVELS)
BY_LAST = INSTANCE_NORMS.index("last")
# Columns of the table of matrices.
FLAT, ROWS, BLOCKS, COLUMNS, AT, TRANSPOSED = range(6)
# Columns of the table of steps.
READS, RESETS, EMITS, BEFORE, AFTER, KEEPS, EMISSION = range(7)
# Columns of the table of runs.
FIRST, STEPS = range(2)

CODES: dict[type[Cell], int] = {RNN: cells.RNN, GRU: cells.GRU, LSTM: cells.LSTM}
NAMES = {
    cells.RNN: ("input", "recurrent", "bias", None),
    cells.GRU: ("input", "recurrent", "input_bias", "recurrent_bias"),
    cells.LSTM: ("input", "recurrent", "bias", None),
}


# Counts and choices of an unroll; choices are 0 or 1.
SIZES = (
    "cell",  # its number in `cells`
    "layers",
    "head_layers",
    "units",
    "padded",  # units with their padding
    "bottom",  # numbers that the lowest layer reads
    "bottom_stride",  # from one row of them to the next
    "segment",  # values of a segment
    "channels",
    "width",  # numbers of a segment that is forecast
    "wide",  # the same with padding: from one row of them to the next
    "exogenous",  # known columns
    "read_width",  # numbers of a segment that is read, known columns behind the values
    "read_wide",  # the same with padding: from one row of them to the next
    "batch",  # subsequences
    "branches",
    "rows",  # subsequences of all branches
    "own",  # rows that run freely; they come first
    "positions",  # segments
    "warm_up",  # segments before the free run
    "slots",  # steps that are kept, with those that are left out
    "emissions",  # steps that forecast
    "read_in",  # its number in `READ_INS`
    "increments",  # where their units stand among the parameters, or -1
    "residual",
    "lags",  # values that the autoregression of a hybrid reads, or 0
    "lags_wide",  # the same with padding
    "steps_wide",  # values of a segment with padding
    "autoregression",  # where its matrices, one of each channel, begin in their table
    "instance_norm",  # its number in `INSTANCE_NORMS`
    "is_autonomous",
    "keeps",  # whether all steps are kept for a backward pass
    "clips",  # whether forecasts are clipped where they are made, not only where they are read
    "true_steps",  # of a subsequence; behind them its last segment is filled up
    "known_steps",  # of its known columns
    "one_step_from",  # the first step that is forecast
    "is_over_rollout",  # whether one-step errors are those of the rollout
    "has_input_noise",
    "has_label_noise",
    "has_masks",
    "has_state_noise",
    "has_feedback_noise",
    "has_output_noise",
    "has_shares",
    "has_match",
    "has_stream",
)
# Where things begin in a member's array: `[row, number]` unless said otherwise. Rows of values are
# padded to whole vectors; what stands in their padding has no meaning.
PLACES = (
    "truth",  # of one branch, `[position, ...]`
    "input_noise",  # likewise
    "values",  # what is read, in the network's units, `[position, ...]`; known columns are behind
    "outputs",  # forecasts in the series' units, `[position, ...]`
    "d_outputs",  # their gradient
    "x",  # what a read-in gives, `[slot, ...]`
    "dx",  # its gradient
    "h",  # states, `[layer, slot, ...]` with one slot more than steps
    "c",  # those of an LSTM's memory
    "kept",  # see `cells`, `[layer, slot, ...]`
    "up",  # what upper layers read where it is masked, `[layer, slot, ...]`
    "head_in",  # what the head reads, `[emission, ...]`
    "head",  # outputs of its tanh layers, `[layer, emission, ...]`
    "d_head",  # gradients of their sums
    "d_forecast",  # gradients of the last layer's sums, `[emission, ...]`
    "dh",  # gradients of states, `[layer, ...]`
    "dc",
    "raw",  # a forecast in the network's units
    "d_x",  # the gradient of what a step read
    "d_top",  # the gradient of what the head read at a step
    "d_newest",  # the gradient of the last value that a residual forecast adds
    "level",  # of an instance norm, of each value that is forecast
    "std",
    "increment_stds",  # `[number]`
    "newest",  # what a residual forecast adds to a row, `[number]`
    "error_weights",  # of a position, `[number]`
    "lagged",  # what an autoregression reads, or its gradient, `[channel, row, lag]`
    "ahead",  # what it forecasts in the units read, or its gradient, `[channel, row, step]`
    "lag_sums",  # of its coefficients over all lags, `[channel, step]`
    "bound",  # of what is fed back
    "masks",  # `[step, layer, ...]`
    "state_noise",  # `[step, layer, ...]`, of h and then of c
    "label_noise",
    "feedback_noise",  # of one branch, `[position, ...]`
    "output_noise",
    "shares",  # of the truth in what free runs read, `[rollout position, batch]`
    "passes",  # whether gradients flow through what is fed back, `[rollout position]`
    "cuts",  # what the gradient of states is multiplied by before each step, `[step]`
    "match",  # see `Objective.match_weights`, `[position, branch]`
    "zeros",  # as many as a layer's sums or a forecast have
    "weights",  # matrices with padding
    "gradients",  # their gradients
    "transposed",  # their transposes
)
UNROLL = np.dtype([(n, np.int64) for n in (*SIZES, *(f"at_{p}" for p in PLACES))], align=True)


def padded(numbers: int) -> int:
    """Numbers up to the end of the last vector that is begun."""
    return -(-numbers // LANES) * LANES


@dataclass(frozen=True, eq=False)
class Layout:
    """Sizes, places and tables of an unroll.

    unroll: one record of `UNROLL`. size: numbers in a member's array. matrices: a row for each;
    four of each layer (input, recurrent and two offsets, of which only a GRU has the second), then
    two (weight and offset) of each layer of the head, then of the read-in, then one of each channel
    of an autoregression. FLAT: where it begins among the parameters, or -1 for a missing one.
    steps: a row for each of the walk. runs: steps that read positions in a row and follow on each
    other, their number in STEPS.
    """

    unroll: NDArray[np.void]
    size: int
    matrices: Table
    steps: Table
    runs: Table

    @classmethod
    def of(cls, forecaster: Forecaster, steps: Sequence[Step], **more: int) -> "Layout":
        """The layout of a walk over `steps`.

        more: those of `SIZES` that the forecaster does not give; `positions` and `warm_up` in
        segments; what is not named is zero.
        """
        table = _steps(steps, keeps=bool(more["keeps"]), apart=bool(more.get("has_state_noise")))
        sizes = _sizes(forecaster) | more
        sizes["rows"] = sizes["batch"] * sizes["branches"]
        sizes["slots"] = int(table[:, KEEPS].max()) + 1
        sizes["emissions"] = int(table[:, EMISSION].max()) + 1
        matrices, weights, transposed = _matrices(forecaster, sizes["cell"])
        sizes["autoregression"] = len(matrices) - forecaster.channels
        unroll = np.zeros(1, dtype=UNROLL)
        for name, value in sizes.items():
            unroll[name] = value
        end = 0
        for name, numbers in _room(sizes, len(table), weights, transposed).items():
            unroll[f"at_{name}"] = end
            end += padded(numbers)
        matrices[:, AT] += unroll["at_weights"]
        matrices[:, TRANSPOSED] += unroll["at_transposed"]
        return cls(unroll, end, matrices, table, _runs(table))


def _sizes(forecaster: Forecaster) -> dict[str, int]:
    """Those that a forecaster gives."""
    architecture, units = forecaster.architecture, forecaster.cell.units
    bottom = forecaster.layer_inputs[0]
    return {
        "cell": CODES[type(architecture.cell)],
        "layers": architecture.layers,
        "head_layers": architecture.head_layers,
        "units": units,
        "padded": padded(units),
        "bottom": bottom,
        "bottom_stride": padded(bottom),
        "segment": architecture.segment_steps,
        "channels": forecaster.channels,
        "width": forecaster.width,
        "wide": padded(forecaster.width),
        "exogenous": forecaster.exogenous,
        "read_width": forecaster.read_width,
        "read_wide": padded(forecaster.read_width),
        "branches": 1,
        "read_in": READ_INS.index(architecture.read_in),
        "increments": forecaster.layout().offsets.get(INCREMENT_STD, -1),
        "residual": int(architecture.residual),
        "lags": architecture.autoregressive_steps,
        "lags_wide": padded(architecture.autoregressive_steps),
        "steps_wide": padded(architecture.segment_steps),
        "instance_norm": INSTANCE_NORMS.index(architecture.instance_level),
        "is_autonomous": int(architecture.autonomous),
    }


def _steps(steps: Sequence[Step], *, keeps: bool, apart: bool) -> Table:
    """The table of steps; a slot is left out before a state that does not follow on the last one.

    apart: whether each state that is read differs from the one that was left.
    """
    rows, slot, emissions = [], -1, 0
    for index, step in enumerate(steps):
        slot += 2 if index and (step.reset or apart) else 1
        before, after, kept = (slot, slot + 1, slot) if keeps else (index % 2, (index + 1) % 2, 0)
        emits = -1 if step.emits is None else step.emits
        emission = emissions if keeps and emits >= 0 else 0
        rows.append([step.reads, int(step.reset), emits, before, after, kept, emission])
        emissions += emits >= 0
    return np.array(rows, dtype=np.int64)


def _runs(steps: Table) -> Table:
    runs: list[list[int]] = []
    for index, row in enumerate(steps):
        last = steps[index - 1]
        if index and row[BEFORE] == last[AFTER] and row[READS] == last[READS] + 1:
            runs[-1][STEPS] += 1
        else:
            runs.append([index, 1])
    return np.array(runs, dtype=np.int64)


def _matrices(forecaster: Forecaster, code: int) -> tuple[Table, int, int]:
    """The table with places counted from zero, and how much room matrices and transposes need."""
    layout, architecture = forecaster.layout(), forecaster.architecture
    names = [
        (name and f"cell.{layer}.{name}", cells.GATES[code])
        for layer in range(architecture.layers)
        for name in NAMES[code]
    ]
    dense = [f"head.{i}" for i in range(architecture.head_layers + 1)]
    dense += ["read_in"] if architecture.read_in != "none" else []
    names += [(f"{name}.{part}", 1) for name in dense for part in ("weight", "bias")]
    rows, weights, transposed = [], 0, 0
    for name, blocks in names:
        if name is None:
            rows.append([-1, 0, 0, 0, 0, 0])
            continue
        inputs, outputs = layout.shapes[name]
        columns = outputs // blocks
        rows.append([layout.offsets[name], inputs, blocks, columns, weights, transposed])
        weights += inputs * blocks * padded(columns)
        transposed += blocks * padded(columns) * padded(inputs)
    if AUTOREGRESSION in layout.shapes:
        channels, lags, ahead = layout.shapes[AUTOREGRESSION]
        for channel in range(channels):
            flat = layout.offsets[AUTOREGRESSION] + channel * lags * ahead
            rows.append([flat, lags, 1, ahead, weights, transposed])
            weights += lags * padded(ahead)
            transposed += padded(ahead) * padded(lags)
    return np.array(rows, dtype=np.int64), weights, transposed


def _room(sizes: dict[str, int], steps: int, weights: int, transposed: int) -> dict[str, int]:
    """How many numbers each of `PLACES` needs."""
    s = defaultdict(int, sizes)
    is_lstm, is_training = s["cell"] == cells.LSTM, s["keeps"]
    one_branch = s["positions"] * s["batch"] * s["wide"]
    state, rollout = s["rows"] * s["padded"], s["positions"] - s["warm_up"]
    outputs, states = one_branch * s["branches"], s["layers"] * (s["slots"] + 1) * state
    read_in = s["slots"] * s["rows"] * s["bottom_stride"] if s["read_in"] else 0
    emissions, step_layers = s["emissions"], steps * s["layers"]
    heads, widest = s["head_layers"] * emissions * state, max(s["padded"], s["read_wide"])
    of_channels = s["channels"] * (s["lags"] > 0)
    room = {
        "truth": one_branch,
        "values": s["positions"] * s["rows"] * s["read_wide"],
        "outputs": outputs,
        "x": read_in,
        "h": states,
        "c": states if is_lstm else 0,
        "kept": s["layers"] * s["slots"] * state * cells.KEPT[s["cell"]],
        "up": (s["layers"] - 1) * s["slots"] * state * s["has_masks"],
        "head_in": emissions * state,
        "head": heads,
        "raw": s["rows"] * s["wide"],
        "level": s["rows"] * s["wide"],
        "std": s["rows"] * s["wide"],
        "increment_stds": s["width"],
        "newest": s["width"],
        "error_weights": s["width"],
        "lagged": of_channels * s["rows"] * s["lags_wide"],
        "ahead": of_channels * s["rows"] * s["steps_wide"],
        "lag_sums": of_channels * s["steps_wide"],
        "bound": 1,
        "zeros": max(cells.GATES[s["cell"]] * widest, s["lags_wide"]),
        "weights": weights,
    }
    room |= (
        {
            "d_outputs": outputs,
            "dx": read_in,
            "d_head": heads,
            "d_forecast": emissions * s["rows"] * s["wide"],
            "dh": s["layers"] * state,
            "dc": s["layers"] * state if is_lstm else 0,
            "d_x": s["rows"] * widest,
            "d_top": state,
            "d_newest": s["rows"] * s["channels"],
            "masks": step_layers * state * s["has_masks"],
            "state_noise": 2 * step_layers * state * s["has_state_noise"],
            "input_noise": one_branch * s["has_input_noise"],
            "label_noise": one_branch * s["has_label_noise"],
            "feedback_noise": one_branch * s["has_feedback_noise"],
            "output_noise": one_branch * s["has_output_noise"],
            "shares": rollout * s["batch"] * s["has_shares"],
            "passes": rollout,
            "cuts": steps,
            "match": s["positions"] * s["branches"],
            "gradients": weights,
            "transposed": transposed,
        }
        if is_training
        else {}
    )
    return room

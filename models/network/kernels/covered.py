"""What kernels cover; to ask costs no import of a compiler."""

from models.network.architecture import Architecture
from models.network.cells.cell import Cell
from models.network.cells.gru import GRU
from models.network.cells.lru import LRU
from models.network.cells.lstm import LSTM
from models.network.cells.rnn import RNN
from models.tensors import Tensor

CELLS: tuple[type[Cell], ...] = (RNN, GRU, LSTM)
# With so many, the kernel takes less than half of torch's time; with more, nobody measured.
MOST_ESTIMATED_MODES = 64


def covers(architecture: Architecture, weights: Tensor) -> bool:
    """Whether kernels compute the free run and the gradient of an architecture, from its weights.

    They do on the CPU, of an architecture that `has_kernel`. `covers_estimate` names another kind
    that kernels compute; the torch engine computes all others.
    """
    return weights.device.type == "cpu" and has_kernel(architecture)


def has_kernel(architecture: Architecture) -> bool:
    """Whether it is of RNN, GRU or LSTM cells, without layer norm and parallel decoding."""
    return (
        type(architecture.core) in CELLS
        and not architecture.has_layer_norm
        and architecture.parallel_segments is None
    )


def covers_estimate(architecture: Architecture, weights: Tensor) -> bool:
    """Whether kernels compute the free run and the gradient where the state is estimated.

    They do on the CPU, of an architecture that `has_estimate_kernel`: it estimates the state from
    the context by least squares.
    """
    return weights.device.type == "cpu" and has_estimate_kernel(architecture)


def has_estimate_kernel(architecture: Architecture) -> bool:
    """Whether a kernel estimates its state: that of one layer of an LRU, without segments."""
    cell = architecture.core
    return (
        type(cell) is LRU
        and cell.modes <= MOST_ESTIMATED_MODES
        and architecture.estimates_state
        and architecture.layers == 1
        and architecture.segment_steps == 1
        and not architecture.scaled_increments
    )

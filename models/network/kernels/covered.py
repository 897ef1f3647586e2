"""What kernels cover; to ask costs no import of a compiler."""

from models.network.architecture import Architecture
from models.network.cells.cell import Cell
from models.network.cells.gru import GRU
from models.network.cells.lstm import LSTM
from models.network.cells.rnn import RNN
from models.tensors import Tensor

CELLS: tuple[type[Cell], ...] = (RNN, GRU, LSTM)


def covers(architecture: Architecture, weights: Tensor) -> bool:
    """Whether kernels compute the free run and the gradient of an architecture, from its weights.

    On the CPU, those of `has_kernel`. All others are left to the torch engine.
    """
    return weights.device.type == "cpu" and has_kernel(architecture)


def has_kernel(architecture: Architecture) -> bool:
    """Whether it is of RNN, GRU or LSTM cells, without layer norm and parallel decoding."""
    return (
        type(architecture.core) in CELLS
        and not architecture.has_layer_norm
        and architecture.parallel_segments is None
    )

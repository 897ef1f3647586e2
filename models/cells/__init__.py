"""Recurrent cells, one a file, each with its forward and its hand-written backward step."""

from models.cells.antisymmetric import Antisymmetric
from models.cells.cell import Cell
from models.cells.cornn import CoRNN
from models.cells.gru import GRU
from models.cells.lem import LEM
from models.cells.lru import LRU
from models.cells.lstm import LSTM
from models.cells.mlp import MLP
from models.cells.orthogonal import Orthogonal
from models.cells.rnn import RNN
from models.cells.shplrnn import ShPLRNN

CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "gru": GRU,
    "lstm": LSTM,
    "lru": LRU,
    "cornn": CoRNN,
    "lem": LEM,
    "antisymmetric": Antisymmetric,
    "orthogonal": Orthogonal,
    "shplrnn": ShPLRNN,
    "mlp": MLP,
}

__all__ = [
    "CELLS",
    "GRU",
    "LEM",
    "LRU",
    "LSTM",
    "MLP",
    "RNN",
    "Antisymmetric",
    "Cell",
    "CoRNN",
    "Orthogonal",
    "ShPLRNN",
]

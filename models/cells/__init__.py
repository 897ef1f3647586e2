"""Recurrent cells, one a file, each with its forward and its hand-written backward step."""

from models.cells.cell import Cell
from models.cells.gru import GRU
from models.cells.lru import LRU
from models.cells.lstm import LSTM
from models.cells.rnn import RNN

CELLS: dict[str, type[Cell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM, "lru": LRU}

__all__ = ["CELLS", "GRU", "LRU", "LSTM", "RNN", "Cell"]

"""Torch modules made from cells."""

from elman.nn.memory import release_memory
from elman.nn.recurrent import Recurrent
from elman.nn.torch_layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "release_memory"]

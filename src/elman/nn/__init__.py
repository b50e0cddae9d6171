"""Torch modules made from cells."""

from elman.nn.crf import CRF
from elman.nn.ctc import ctc_beam, ctc_greedy
from elman.nn.memory import release_memory
from elman.nn.recurrent import Recurrent
from elman.nn.torch_cells import GRUCell, LSTMCell, RNNCell
from elman.nn.torch_layers import GRU, LSTM, RNN

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "ctc_beam",
    "ctc_greedy",
    "release_memory",
]

"""Torch modules made from cells."""

import sys
from typing import Any

try:
    import torch
except ModuleNotFoundError as error:
    error.add_note('elman.nn needs torch: pip install "elman[torch]"')
    raise

from elman.nn import opaque_op as opaque_op
from elman.nn.accelerate import accelerate
from elman.nn.attention import Attention
from elman.nn.composed import Bidirectional, Stacked
from elman.nn.crf import CRF
from elman.nn.ctc import ctc_beam, ctc_greedy
from elman.nn.decoder import Decoder
from elman.nn.encoder_decoder import Bridge, Encoder, EncoderDecoder
from elman.nn.initial_weights import initialize
from elman.nn.memory import release_memory
from elman.nn.pool import Pool, ReadOut
from elman.nn.recurrent import Recurrent
from elman.nn.search import Generated, Search
from elman.nn.torch_cells import GRUCell, LSTMCell, RNNCell
from elman.nn.torch_layers import GRU, LSTM, RNN
from elman.nn.truncated import detach, truncated
from elman.nn.weight_roles import roles

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "Bidirectional",
    "Bridge",
    "Decoder",
    "Encoder",
    "EncoderDecoder",
    "GRUCell",
    "Generated",
    "LSTMCell",
    "Pool",
    "RNNCell",
    "ReadOut",
    "Recurrent",
    "Search",
    "Stacked",
    "accelerate",
    "ctc_beam",
    "ctc_greedy",
    "detach",
    "initialize",
    "release_memory",
    "roles",
    "truncated",
]


def __getattr__(name: str) -> Any:
    """What is torch.nn's alone: `from elman import nn` may stand where torch's stood."""
    if name.startswith("_") or not hasattr(torch.nn, name):
        wrong = f"module 'elman.nn' has no attribute {name!r}"
        raise AttributeError(wrong, name=name, obj=sys.modules[__name__])
    return getattr(torch.nn, name)

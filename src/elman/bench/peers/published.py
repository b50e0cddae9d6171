"""The library's RNN, LSTM and GRU cells whose weights other frameworks' layers can hold."""

from __future__ import annotations

import elman
from elman.bench.case import Arrays
from elman.bench.job import Cannot, Job
from elman.cell import Cell
from elman.library.weights import convert

# the library cell -> which operator it is
KINDS = {
    "rnn": "RNN",
    "rnn_torch": "RNN",
    "lstm": "LSTM",
    "lstm_torch": "LSTM",
    "gru": "GRU",
    "gru_reset_after": "GRU",
    "lstmp": "LSTM",
}
TORCH = tuple(name for name in KINDS if name != "gru")  # torch's GRU resets after the product
ONNX = tuple(name for name in KINDS if name != "lstmp")
EXACT = ("rnn_torch", "lstm_torch", "gru_reset_after")  # weight for weight torch's


def is_torchs(name: str, cell: Cell) -> bool:
    """Whether a cell by this name is a layer of torch's, with its two biases."""
    return name in EXACT and cell == elman.cells[name]


def kind_of(job: Job, known: tuple[str, ...], where: str) -> str:
    """Which operator the case's cell is; Cannot where it is none, or another text by that name."""
    name = job.case.cell
    if name not in known or job.cell != elman.cells[name]:
        raise Cannot(f"{where} has no such cell")
    return KINDS[name]


def converted(job: Job, arrays: Arrays, target: str) -> Arrays:
    """Weights of the case's cell in another layout."""
    return convert(arrays, f"elman:{job.case.cell}", target)

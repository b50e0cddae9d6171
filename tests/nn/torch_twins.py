"""torch's own layers, and Recurrent of torch's equations with the same weights."""

from __future__ import annotations

import torch

from elman.library import cells
from elman.nn import Recurrent

# torch stacks the gates of a layer in one matrix, in this order
GATES = {
    "RNN": ("rnn_torch", ("h",)),
    "GRU": ("gru_reset_after", ("r", "z", "n")),
    "LSTM": ("lstm_torch", ("i", "f", "g", "o")),
}


def names(kind: str, gate: str, layer: str) -> dict[str, str]:
    """torch's name of a stacked parameter -> Recurrent's name of one gate's part."""
    letter = "" if kind == "RNN" else gate
    return {
        f"weight_ih_l{layer}": f"W_i{letter}_l{layer}" if letter else f"W_ih_l{layer}",
        f"weight_hh_l{layer}": f"W_h{letter}_l{layer}" if letter else f"W_hh_l{layer}",
        f"bias_ih_l{layer}": f"b_i{letter}_l{layer}" if letter else f"b_ih_l{layer}",
        f"bias_hh_l{layer}": f"b_h{letter}_l{layer}" if letter else f"b_hh_l{layer}",
    }


def twins(kind: str, **options: object) -> tuple[torch.nn.Module, Recurrent]:
    """torch.nn.{kind} and Recurrent of its equations, float64, with the same weights."""
    cell, gates = GATES[kind]
    theirs = getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **options)
    ours = Recurrent(cells.text(cell), 3, 5, dtype=torch.float64, **options)
    parameters = dict(ours.named_parameters())
    with torch.no_grad():
        for name, stacked in theirs.named_parameters():
            layer = name.rpartition("_l")[2]  # "1_reverse" too
            for part, gate in zip(stacked.chunk(len(gates)), gates, strict=True):
                parameters[names(kind, gate, layer)[name]].copy_(part)
    return theirs, ours


def stacked_gradients(
    kind: str, ours: Recurrent, theirs: torch.nn.Module
) -> dict[str, torch.Tensor]:
    """The gradients of Recurrent's parameters under torch's names."""
    _, gates = GATES[kind]
    found = {}
    parameters = dict(ours.named_parameters())
    for name, _ in theirs.named_parameters():
        layer = name.rpartition("_l")[2]  # "1_reverse" too
        found[name] = torch.cat([parameters[names(kind, g, layer)[name]].grad for g in gates])
    return found

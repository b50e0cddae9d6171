"""The layers of torchrecurrent, a catalogue of cells for torch, where one computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torchrecurrent

from elman.bench.case import Arrays
from elman.bench.job import Cannot, Job, Ready
from elman.bench.peers.torch_modules import leaf, ready

Rows = Mapping[str, tuple[str, ...]]  # their array -> our weights, one below the other


def _gates(letters: str) -> Rows:
    names = letters.split()
    return {
        "weight_ih": tuple(f"W_{letter}" for letter in names),
        "weight_hh": tuple(f"U_{letter}" for letter in names),
        "bias_ih": tuple(f"b_{letter}" for letter in names),
    }


# our cell -> their class, its options, and which of our weights stand in its arrays; what is not
# named is zero. tests/library compares the cells themselves.
LAYERS: dict[str, tuple[str, Mapping[str, Any], Rows]] = {
    "mgu": ("MGU", {}, _gates("f n")),
    "li_gru": ("LiGRU", {}, _gates("z n")),
    "ugrnn": ("UGRNN", {}, _gates("c g")),
    "lstm_peephole": (
        "PeepholeLSTM",
        {},
        {**_gates("i f c o"), "weight_ph": ("p_i", "p_f", "p_o")},
    ),
    "indrnn": (
        "IndRNN",
        {"nonlinearity": "relu"},
        {"weight_ih": ("W",), "vector_u": ("u",), "bias_ih": ("b",)},
    ),
    "nbrc": (
        "NBR",
        {"bias": False, "recurrent_bias": False},
        {"weight_ih": ("W_a", "W_c", "W"), "weight_hh": ("U_a", "U_c")},
    ),
    "multiplicative_lstm": (
        "MultiplicativeLSTM",
        {},
        {
            "weight_ih": ("W_mx", "W_ix", "W_fx", "W_hx", "W_ox"),
            "weight_hh": ("W_mh",),
            "weight_mh": ("W_im", "W_fm", "W_hm", "W_om"),
            "bias_mh": ("b_i", "b_f", "b_h", "b_o"),
        },
    ),
}


def prepare(job: Job) -> Ready:
    """Their layer with the case's weights, which it must hold in full."""
    if job.case.cell not in LAYERS:
        raise Cannot("torchrecurrent has no cell that computes the same")
    name, options, rows = LAYERS[job.case.cell]
    kind = getattr(torchrecurrent, name, None)
    if kind is None:
        raise Cannot(f"this torchrecurrent has no layer {name}")
    case = job.case
    layer = kind(case.input_size, case.hidden_size, **options).to(getattr(torch, case.dtype))
    layer.train(case.is_training)
    held = _loaded(layer, rows, job.given.weights)
    (stream,) = job.cell.inputs
    x = leaf(job.stream, case.is_training)

    def run() -> tuple[tuple[torch.Tensor], Any]:
        output, *state = layer(x)
        return (output,), state

    learned = {stream: x, **held}
    return ready(job, run, learned, lambda found: _named(job, stream, rows, found))


def _loaded(layer: Any, rows: Rows, weights: Arrays) -> dict[str, torch.Tensor]:
    """Their parameters by the names of `rows`, filled; all others zero."""
    found: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for full, parameter in layer.named_parameters():
            key = next((k for k in rows if _is(full, k)), None)
            parameter.zero_()
            if key is not None:
                stacked = np.concatenate([weights[part] for part in rows[key]])
                if stacked.size != parameter.numel():
                    raise Cannot(f"its {key} has another size")
                parameter.copy_(torch.from_numpy(stacked).reshape(parameter.shape))
                found[key] = parameter
    if set(found) != set(rows):
        raise Cannot(f"its layer has no {', '.join(sorted(set(rows) - set(found)))}")
    return found


def _is(full: str, key: str) -> bool:
    """Whether cells.0.weight_ih, or weight_ih_l0, is weight_ih."""
    last = full.rpartition(".")[2]
    return last == key or last.startswith(f"{key}_")


def _named(job: Job, stream: str, rows: Rows, found: Arrays) -> Arrays:
    gradients = {stream: found[stream]}
    for key, parts in rows.items():
        split: Callable[..., Any] = np.split
        for part, g in zip(parts, split(found[key], len(parts)), strict=True):
            gradients[part] = g.reshape(job.given.weights[part].shape)
    return gradients

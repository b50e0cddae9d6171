"""Elman's layer of any cell: `elman.nn.Recurrent`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from elman.bench.job import Cannot, Job, Ready
from elman.bench.peers.torch_modules import leaf, ready
from elman.nn import Recurrent, release_memory
from elman.nn.stack import main_input


def prepare(job: Job) -> Ready:
    """The layer with the case's weights."""
    return recurrent(job)


def recurrent(job: Job, finish: Callable[[Any], Any] = lambda layer: layer) -> Ready:
    """The layer, finished in some way; what is drawn at random is its mean."""
    case, cell, given = job.case, job.cell, job.given
    main = main_input(cell)
    if main is None:
        raise Cannot("the cell has no input")
    layer = Recurrent(
        cell,
        case.input_size,
        case.hidden_size,
        sizes={n: k for n, k in case.sizes.items() if n not in ("input", "hidden")},
        constants=given.constants,
        dtype=getattr(torch, case.dtype),
    ).eval()
    with torch.no_grad():
        for name, array in given.weights.items():
            getattr(layer, f"{name}_l0").copy_(torch.from_numpy(array))
    layer = finish(layer)
    inputs = {name: leaf(a, case.is_training) for name, a in given.inputs.items()}
    others = {name: tensor for name, tensor in inputs.items() if name != main}
    x = inputs[main]
    learned = inputs | {name: getattr(layer, f"{name}_l0") for name in given.weights}
    learned = {name: tensor for name, tensor in learned.items() if name not in cell.frozen}

    def run() -> tuple[tuple[torch.Tensor, ...], object]:
        output, state = layer(x, **others)
        return output if isinstance(output, tuple) else (output,), state

    return replace(ready(job, run, learned, note=layer.explain()), release=release_memory)

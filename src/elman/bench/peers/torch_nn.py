"""PyTorch's own layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from elman.bench.case import Arrays
from elman.bench.job import Cannot, Job, Ready
from elman.bench.peers.published import TORCH, converted, kind_of
from elman.bench.peers.torch_modules import leaf, ready
from elman.library.weights import convert


def prepare(job: Job) -> Ready:
    """torch.nn.LSTM, GRU or RNN with the case's weights."""
    return as_torch(job, torch.nn, "torch.nn")


def as_torch(
    job: Job, home: Any, where: str, finish: Callable[[Any], Any] = lambda layer: layer
) -> Ready:
    """A layer of `home` with the constructor and the weights of torch's, finished in some way."""
    case = job.case
    kind = getattr(home, kind_of(job, TORCH, where))
    hidden, options = case.hidden_size, {"dtype": getattr(torch, case.dtype)}
    if "cell" in case.sizes:  # a projection: the memory has a size of its own
        hidden, options = case.sizes["cell"], {**options, "proj_size": hidden}
        if case.hidden_size >= hidden:
            raise Cannot(f"{where} projects to fewer units only")
    layer = kind(case.input_size, hidden, **options)
    layer.train(case.is_training)
    own = converted(job, job.given.weights, "torch")
    layer.load_state_dict({name: torch.from_numpy(a) for name, a in own.items()})
    layer = finish(layer)
    (name,) = job.cell.inputs
    x = leaf(job.given.inputs[name], case.is_training)
    learned = {name: x, **dict(layer.named_parameters())}

    def run() -> tuple[tuple[torch.Tensor], Any]:
        output, state = layer(x)
        return (output,), state

    return ready(job, run, learned, lambda found: _named(job, name, found))


def _named(job: Job, stream: str, found: Arrays) -> Arrays:
    """Gradients of stacked weights as those of the cell's; of two biases that are one, the first.

    The maps between layouts move rows and drop nothing, so that gradients go through them as
    weights do: but a bias that stands for torch's two would be their sum.
    """
    inner = {name: g for name, g in found.items() if name != stream}
    two = {name for name in job.given.weights if name.startswith("b_h")}
    if not two and "bias_hh_l0" in inner:
        inner["bias_hh_l0"] = inner["bias_hh_l0"] * 0
    return {stream: found[stream], **convert(inner, "torch", f"elman:{job.case.cell}")}

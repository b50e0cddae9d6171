"""A loop in torch, as a good researcher writes it by hand; compiled where `compiled` says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from elman.bench.case import Arrays
from elman.bench.dialects import TORCH_LOOP
from elman.bench.job import Job, Ready
from elman.bench.peers.loops import array_of, learned_of, loop_text, module_of, outputs_of, parted
from elman.bench.peers.torch_modules import gradients_of, leaf


def prepare(job: Job) -> Ready:
    """The loop as it is."""
    return looped(job, lambda module: module.run)


def looped(job: Job, compiled: Callable[[Any], Callable[..., Any]]) -> Ready:
    """`compiled` makes of the loop's module what runs a sequence."""
    text = loop_text(job.case, job.cell, TORCH_LOOP)
    learned = learned_of(job, text) if job.case.is_training else {}
    given = tuple(leaf(array_of(job, g), g.name in learned) for g in text.given)
    run = compiled(module_of(text.text))

    def forward() -> Any:
        with torch.no_grad():
            return run(given)

    if not job.case.is_training:
        return Ready(forward, lambda found: outputs_of(job, found[0]))
    wanted = [tensor for tensor in given if tensor.requires_grad]
    above = [torch.from_numpy(job.given.cotangents[name]) for name in text.outputs]

    def step() -> Any:
        outputs, _ = run(given)
        return outputs, gradients_of(outputs, wanted, above)

    def arrays(found: Any) -> Arrays:
        named = {name: g.numpy() for name, g in zip(learned, found[1], strict=True)}
        gradients = parted(job, learned, named)
        outputs = outputs_of(job, [o.detach() for o in found[0]])
        return outputs | {f"d_{name}": g for name, g in gradients.items()}

    return Ready(step, arrays)

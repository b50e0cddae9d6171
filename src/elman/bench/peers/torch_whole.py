"""The loop under torch.compile, over the whole sequence."""

from __future__ import annotations

import torch

from elman.bench.job import Job, Ready
from elman.bench.peers.torch_loop import looped


def prepare(job: Job) -> Ready:
    """All steps in one graph."""
    torch._dynamo.config.recompile_limit = 64
    return looped(job, lambda module: torch.compile(module.run, dynamic=False))

"""The loop with one step of it under torch.compile, for where the whole takes too long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from elman.bench.job import Job, Ready
from elman.bench.peers.torch_loop import looped


def prepare(job: Job) -> Ready:
    """One compiled step, called for each."""
    torch._dynamo.config.recompile_limit = 64

    def compiled(module: Any) -> Callable[..., Any]:
        module.step = torch.compile(module.step, dynamic=False)
        run: Callable[..., Any] = module.run
        return run

    return looped(job, compiled)

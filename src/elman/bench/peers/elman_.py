"""Elman itself: its drop-in for a layer that torch has, else `elman.nn.Recurrent`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from elman import nn
from elman.bench.job import Job, Ready
from elman.bench.peers.elman_recurrent import recurrent
from elman.bench.peers.published import KINDS, is_torchs
from elman.bench.peers.torch_nn import as_torch


def prepare(job: Job) -> Ready:
    """The layer that a user would take."""
    return chosen(job)


def chosen(job: Job, finish: Callable[[Any], Any] = lambda layer: layer) -> Ready:
    """That layer, finished in some way."""
    kind = KINDS.get(job.case.cell, "")
    if is_torchs(job.case.cell, job.cell) and hasattr(nn, kind):
        made = as_torch(job, nn, "elman.nn", finish)
        return replace(made, note=f"elman.nn.{kind}", release=nn.release_memory)
    return recurrent(job, finish)

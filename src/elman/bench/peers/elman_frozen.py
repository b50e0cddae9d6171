"""Elman's layer with its weights packed once, not with every call."""

from __future__ import annotations

from typing import Any

from elman.bench.job import Cannot, Job, Ready
from elman.bench.peers.elman_ import chosen


def prepare(job: Job) -> Ready:
    """The layer that a user would take, frozen."""
    return chosen(job, _frozen)


def _frozen(layer: Any) -> Any:
    if not hasattr(layer, "freeze"):
        raise Cannot("this layer cannot be frozen")
    return layer.freeze()

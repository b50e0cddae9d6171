"""Every test of this room needs torch; what a kernel leaves unwritten is NaN."""

from __future__ import annotations

import pytest

from elman.backends import c_run
from tests.one_thread import one_thread

__all__ = ["one_thread"]


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory and new tensors full of NaN."""
    fused = pytest.importorskip("elman.nn.fused")
    empty = fused._Slot.empty
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(
        fused._Slot, "empty", lambda slot, lead, dtype: empty(slot, lead, dtype).fill_(float("nan"))
    )

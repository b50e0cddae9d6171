"""Every test of this room needs torch; what a kernel leaves unwritten is NaN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from elman.backends import c_run
from tests.one_thread import one_thread

__all__ = ["one_thread"]


@pytest.fixture(autouse=True)
def poisoned(monkeypatch) -> Iterator[None]:
    """Scratch memory and new tensors full of NaN."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(c_run, "POISON", True)
    torch.use_deterministic_algorithms(True)  # torch.empty then gives NaN
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)

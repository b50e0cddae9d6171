"""The fixtures of this folder."""

from __future__ import annotations

import importlib.util

import pytest

from tests.one_thread import one_thread

__all__ = ["one_thread"]

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def needs_jax() -> None:
    pytest.importorskip("jax", reason="jax is not installed: pip install 'elman[bench]'")

"""Every cell on every backend through every check (tests/backends/table.py)."""

from __future__ import annotations

import pytest

from elman.backends import c_run
from tests.backends import table


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory full of NaN, and one thread unless a test says otherwise."""
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else ""


MARKS = {"numpy": [], "torch": [pytest.mark.torch], "c": [pytest.mark.c]}
ROWS = [pytest.param(*row, marks=MARKS[row[1]]) for row in table.rows()]


@pytest.mark.parametrize(("name", "backend", "check", "dtype", "shapes"), ROWS, ids=_id)
def test_table(name, backend, check, dtype, shapes):
    for shape in shapes:
        table.CHECKS[check](name, backend, dtype, shape)

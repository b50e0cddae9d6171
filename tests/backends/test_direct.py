"""Calls of few rows: products with weights that are not packed."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from elman.backends import c_run
from tests.backends import table
from tests.backends.table import Shape

pytestmark = pytest.mark.c
# two rows backward, eight forward; widths that end within a vector
SHAPES = [Shape(1, 1, 192), Shape(2, 1, 203), Shape(1, 2, 260), Shape(4, 2, 310), Shape(9, 1, 200)]


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory full of NaN, and one thread."""
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)


def is_packed(kernel, run) -> bool:
    """Whether a run has written to the end of its scratch memory, where packed weights lie."""
    size = kernel.library[f"{kernel.program.prefix}_packed"]
    weights = size(run._numbers)
    end = run._needed
    scratch = np.ctypeslib.as_array(
        (np.ctypeslib.ctypes.c_uint8 * end).from_address(c_run._local.address)
    )
    return bool((scratch[end - weights :] != 0xFF).any())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_results_and_gradients(name, dtype, shape):
    table.check_forward(name, "c", dtype, shape)
    table.check_gradients(name, "c", dtype, shape)


@pytest.mark.parametrize(
    "lead, hidden, packs",
    [
        ((1, 1), 16, (True, True)),
        ((1, 1), 192, (False, False)),
        ((2, 1), 192, (False, False)),
        ((1, 4), 192, (False, True)),
        ((8, 1), 300, (False, True)),
        ((3, 3), 300, (True, True)),
    ],
)
def test_which_calls_pack(lead, hidden, packs, monkeypatch):
    cell = elman.cells["lstm"]
    shapes = cell.shapes(input=7, hidden=hidden)
    arrays = {n: np.ones(shapes[n], np.float32) for n in cell.parameters}
    arrays["x"] = np.ones((*lead, 7), np.float32)
    state = {key: np.zeros((lead[1], hidden), np.float32) for key in cell.states}
    sizes = cell.numbers({"input": 7, "hidden": hidden})
    found = []

    def watched(run, addresses, packed=None, plain=c_run.Run.__call__):
        plain(run, addresses, packed)
        kernel = call.compiled.backward if found else call.compiled.forward
        found.append(is_packed(kernel, run))

    monkeypatch.setattr(c_run.Run, "__call__", watched)
    call = c_run._Call(cell.typed.cell, arrays, state, sizes, lead, cell.returns)
    saved = call.forward(call.compiled.derivation.saved)
    cotangents = {n: np.ones((*lead, hidden), np.float32) for n in cell.returns}
    call.backward(saved, cotangents, {key: np.zeros_like(each) for key, each in state.items()})
    assert tuple(found) == packs

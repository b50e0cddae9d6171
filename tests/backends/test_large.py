"""More than 2**31 numbers in one array, forward and backward.

Arrays that are only read are zeros that the system never has to hold, with a few marks behind
2**31; so all but the test that writes one take no memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elman import Cell
from elman.backends import c_run

pytestmark = [pytest.mark.c, pytest.mark.slow]
STEPS, BATCH = 16_400, 2**17  # of one unit: both rows and numbers are more than 2**31
MARKS = {(0, 0): 1.0, (16_383, BATCH - 1): 2.0, (16_385, 5): 3.0, (STEPS - 1, BATCH - 1): 4.0}
SUMS = {0: 1.0, BATCH - 1: 6.0, 5: 3.0}  # of a sequence's marks
TEXT = "h[t] = a * h[t-1] + x[t]\na: scalar"


def run(kernel, held, size):
    """One call; `held` are arrays by role and name, or by role."""
    arrays = [held.get(key, held.get(key[0])) for key in kernel.keys]
    addresses = [None if array is None else array.ctypes.data for array in arrays]
    kernel.run(STEPS, BATCH, kernel.numbers({"hidden": size, "input": size}), addresses)


def kernels(text):
    cell = Cell(text, "large").typed.cell
    return c_run.compiled(cell, "float32", cell.returns)


def marked():
    assert STEPS * BATCH > 2**31
    array = np.zeros((STEPS, BATCH, 1), np.float32)
    for place, mark in MARKS.items():
        array[place] = mark
    return array


def of_sequences():
    found = np.zeros((BATCH, 1), np.float32)
    for row, total in SUMS.items():
        found[row] = total
    return found


def test_reading():
    final = np.full((BATCH, 1), np.nan, np.float32)
    given = {"input": marked(), "parameter": np.ones(1, np.float32), ("final", "h"): final}
    run(kernels(TEXT).forward, given, 1)
    np.testing.assert_array_equal(final, of_sequences())


def test_reading_backward():
    """The cotangents of h reach the first state, and the products with h[t-1] sum up to d_a."""
    made = kernels(TEXT)
    first, d_a = np.full((BATCH, 1), np.nan, np.float32), np.full(1, np.nan, np.float32)
    before = np.zeros((STEPS, BATCH, 1), np.float32)
    before[16_385, 5], before[STEPS - 1, BATCH - 1] = 10, 100
    zeros = np.zeros((BATCH, 1), np.float32)
    held = {("parameter", "a"): np.ones(1, np.float32), "init": zeros, "final": first}
    for buffer in made.backward.buffers:
        if buffer.role == "given":
            held["given", buffer.key] = marked() if buffer.key == "d_h" else before
    held[made.backward.program.outputs["d_a"]] = d_a
    run(made.backward, held, 1)
    np.testing.assert_array_equal(first, of_sequences())
    assert d_a == 3 * 10 + 4 * 100


def available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) // 2**20


def test_writing():
    if available() < 12:
        pytest.skip(f"{available()} GiB of memory are free, this takes 9")
    states = np.empty((STEPS + 1, BATCH, 1), np.float32)
    given = {"input": np.ones((STEPS, 1), np.float32), "parameter": np.ones(1, np.float32)}
    text = "h[t] = a * h[t-1] + x[t]\na: scalar\nx: per step\nh: hidden"
    run(kernels(text).forward, {**given, "states": states}, 1)
    for t in range(1, STEPS + 1):
        assert np.all(states[t] == t), t

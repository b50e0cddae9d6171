"""Cells that run through a block of time at once: which they are, and that all comes out right."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from elman.backends import c_run
from elman.backends.through_time import loop_of
from elman.library import cells as library
from elman.passes.derive import derive
from elman.passes.masking import masked
from tests.backends import table
from tests.backends.table import Shape, assert_near

LINEAR = {  # every way to write a state that enters linearly, entry by entry
    "gates": """
        z[t] = sigmoid(W @ x[t])
        h[t] = (1 - z[t]) * h[t-1] + z[t] * tanh(V @ x[t])
    """,
    "difference": "h[t] = h[t-1] + sigmoid(W @ x[t]) * (V @ x[t] - h[t-1])",
    "scalar_decay": """
        alpha: scalar
        h[t] = alpha * h[t-1] + W @ x[t]
    """,
    "softplus": "h[t] = h[t-1] * exp(-softplus(W @ x[t] + b)) + V @ x[t]",
    "gates_in_the_middle": """
        u[t] = sigmoid(W @ x[t]) * h[t-1]
        o[t] = sigmoid(V @ x[t])
        h[t] = o[t] * (u[t] + x[t]) + (1 - o[t]) * u[t]
    """,
    "pair": """
        a[t] = f * a[t-1] - g * b[t-1] + W @ x[t]
        b[t] = f * b[t-1] + g * a[t-1]
        return a
    """,
    "new_value_of_another": """
        a[t] = f * a[t-1] + W @ x[t]
        b[t] = g * b[t-1] + (1 - g) * a[t]
    """,
    "quotient": """
        f[t] = exp(0.5 * (W @ x[t]))
        h[t] = (f[t] * h[t-1] + V @ x[t]) / (1 + f[t])
    """,
    "two_steps_back": "h[t] = p * h[t-1] + q * h[t-2] + W @ x[t]",
    "cancelled": "h[t] = tanh(h[t-1]) - tanh(h[t-1]) + g * h[t-1] + W @ x[t]",
}
CURVED = {  # not linear, but every entry hears its own past alone
    "gate_sees_state": """
        z[t] = sigmoid(W @ x[t] + u * h[t-1])
        h[t] = (1 - z[t]) * h[t-1] + z[t] * (V @ x[t])
    """,
    "choice": "h[t] = where(h[t-1] > W @ x[t], g * h[t-1], V @ x[t])",
}
TWO_STAGES = {  # one state after the other, each through the whole block
    "two_layers": """
        a[t] = f * a[t-1] + W @ x[t]
        b[t] = sigmoid(g) * b[t-1] + V @ a[t]
        b: out
    """,
    "late_inputs": """
        f[t] = sigmoid(W @ x[t] + V @ x[t-1] + U @ x[t-2])
        h[t] = f[t] * h[t-1] + 0.5 * (1 - f[t])
    """,
    "counted": "h[t] = g * h[t-1] + (W @ x[t]) / (1 + t)",
    "varying_over_less": """
        v: per sequence
        s: per step
        h[t] = sigmoid(W @ v + U @ s[t]) * h[t-1] + V @ x[t] + tanh(Q @ s[t])
    """,
}
OTHERS = {
    "matrix": "h[t] = U @ h[t-1] + W @ x[t]",
    "mean": "h[t] = h[t-1] - mean(h[t-1]) + W @ x[t]",
    "around": """
        h[t] = f * h[t-1] + W @ y[t-1] + V @ x[t]
        y[t] = tanh(h[t])
    """,
    "product_of_states": """
        a[t] = b[t-1] * (W @ x[t])
        b[t] = dot(a[t-1], b[t-1]) + a[t-1]
        return b
    """,
}
THROUGH = {**LINEAR, **CURVED, **TWO_STAGES}
SEVERAL_BLOCKS = (Shape(1100, 1, 5), Shape(150, 7, 33), Shape(40, 32, 17))
FEW_ROWS = (Shape(9, 2, 20), Shape(3, 3, 40), Shape(4, 1, 1))


def plans(cell):
    found = derive(cell.typed.cell, cell.typed.cell.returns)
    return found.forward, found.backward


def gathered(plan):
    """The plan with its prologue in the loop, or None."""
    found = loop_of(plan).plan
    return None if found is plan else found


@pytest.mark.parametrize("name", LINEAR)
def test_linear_cells_are_told(name):
    assert Cell(LINEAR[name]).analyse().linear


@pytest.mark.parametrize("name", [*CURVED, "around", "product_of_states"])
def test_others_are_not(name):
    assert not Cell({**CURVED, **OTHERS}[name]).analyse().linear


@pytest.mark.parametrize("name", THROUGH)
def test_each_runs_through_a_block(name):
    forward, backward = plans(Cell(THROUGH[name]))
    found = gathered(forward)
    # products of what varies over less than time and batch stay before the loop
    assert (found is None) == (name == "varying_over_less")
    assert found is None or not found.prologue
    assert all(loop_of(plan).through_time for plan in (forward, backward))


@pytest.mark.parametrize("name", OTHERS)
def test_what_hears_others_goes_step_by_step(name):
    for plan in plans(Cell(OTHERS[name])):
        assert gathered(plan) is None
        assert not loop_of(plan).through_time


def test_of_the_library():
    forward = {name: plans(Cell(library.text(name)))[0] for name in LIBRARY | {"gru", "rhn"}}
    assert {name for name, plan in forward.items() if gathered(plan)} == LIBRARY


LIBRARY = {"min_gru", "min_gru_log", "min_lstm", "qrnn", "qrnn_f", "qrnn_ifo", "rg_lru", "lru"}
LIBRARY |= {"sru", "sru_2017", "indrnn", "rnn_linear", "rwkv4", "unicornn", "brc"}


@pytest.mark.parametrize("name", ["min_gru", "lru", "indrnn"])
def test_masked_too(name):
    cell = Cell(library.text(name)).typed.cell
    for lengths, resets in [(True, False), (False, True), (True, True)]:
        changed = masked(cell, (), lengths=lengths, resets=resets)
        assert gathered(derive(changed, changed.returns).forward) is not None


@pytest.mark.c
@pytest.mark.parametrize("name", THROUGH)
def test_against_the_reference(name, monkeypatch):
    monkeypatch.setattr(c_run, "POISON", True)
    cell = Cell(table.with_all_returned(THROUGH[name]))
    for shape in SEVERAL_BLOCKS + FEW_ROWS:
        given = table.draw(cell, shape)
        most = table.tolerance("float64", shape.steps, shape.hidden)
        expected = results(cell, given, "numpy")
        found = []
        for threads in (1, 2, 3):
            monkeypatch.setattr(c_run, "thread_count", lambda threads=threads: threads)
            found.append(results(cell, given, "c"))
        assert_near(found[0], expected, most, f"{shape}")
        for other in found[1:]:
            for each, array in found[0].items():
                np.testing.assert_array_equal(other[each], array, err_msg=f"{each}, {shape}")


def results(cell, given, backend):
    more = {"sizes": given.sizes, "backend": backend, "dtype": "float64"}
    run = cell.run(**given.parts(), **more)
    gradients = cell.gradients(
        **given.parts(), cotangents=given.cotangents, final=given.final, **more
    )
    named = {f"final {name}": a for name, a in run.final.items()}
    return {**run.values, **named, **{f"d_{name}": a for name, a in gradients.items()}}


@pytest.mark.c
def test_a_long_sequence_takes_the_memory_of_a_block():
    cell = Cell(library.text("min_gru"))
    kernel = c_run.compiled(cell.typed.cell, "float64", cell.typed.cell.returns).forward
    wanted = [role != "states" and role != "output" for role, _ in kernel.keys]
    sizes = kernel.numbers({"hidden": 8, "input": 8})
    needed = {
        steps: kernel._size(steps, 1, sizes, kernel._arrays(*wanted), 1)
        for steps in (1000, 100_000)
    }
    assert needed[1000] == needed[100_000] <= 1 << 20

"""What each pass promises: sizes, stages, names; numbers are the matter of tests/backends."""

from __future__ import annotations

import math

import numpy as np
import pytest

import elman
from elman import Cell
from elman.errors import ElmanError
from elman.ir import const, leaf, node, topological
from elman.ir.check import check_plan, check_system
from elman.ir.sizes import number
from elman.library import cells
from elman.passes import STAGES, derive, forward_plan, infer_shapes
from elman.passes.simplify import rewrite, simplify
from elman.passes.system import system_of
from elman.passes.transpose import transpose
from tests.backends import table


@pytest.mark.parametrize("name", table.CELLS)
def test_every_pass_keeps_the_law(name):
    typed = table.cell(name).typed.cell
    system = system_of(typed, typed.outputs)
    check_system(system)
    check_system(transpose(system, typed.outputs).system)
    derived = derive(typed, typed.outputs)
    check_plan(derived.forward)
    check_plan(derived.backward)
    for stage in STAGES:
        assert table.cell(name).stage(stage)


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_concatenated", "rhn", "lstm_peephole"])
def test_products_of_the_input_leave_the_loop(name):
    plan = forward_plan(Cell(cells.text(name)).typed.cell)

    def products(roots):
        found = [n for n in topological(roots) if n.op == "contract"]
        return [n for n in found if any(a.op == "leaf" and a.attr.name == "x" for a in n.args)]

    assert products(v.node for v in plan.prologue)
    assert not products([*(v.node for v in plan.scan), *(c.next for c in plan.carries)])


def test_weight_gradients_leave_the_loop():
    typed = Cell(cells.text("gru")).typed.cell
    backward = derive(typed, typed.returns).backward
    assert {v.name for v in backward.totals} >= {f"d_{n}" for n in typed.names("parameter")}
    inside = topological([*(v.node for v in backward.scan), *(c.next for c in backward.carries)])
    assert not [n for n in inside if n.op == "contract" and n.attr == "i,j->ij"]


def test_a_read_out_waits_for_the_epilogue():
    plan = forward_plan(Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t]").typed.cell)
    assert [v.name for v in plan.epilogue] == ["y"]


def test_what_no_step_changes_is_computed_once():
    typed = Cell("A = U - U.T\nh[t] = tanh(A @ h[t-1] + x[t])").typed.cell
    assert [v.name for v in forward_plan(typed).invariant] == ["A"]
    assert "d_U" in {v.name for v in derive(typed, typed.returns).backward.final}


def test_only_what_is_asked_for_is_computed():
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t]\nz[t] = y[t] * y[t]"
    plan = forward_plan(Cell(text).typed.cell, ("h",))
    held = {v.name for _, values in plan.stages() for v in values}
    assert not held & {"y", "z"}


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", {"W": "hidden input", "U": "hidden hidden"}),
        ("h[t] = W @ [h[t-1], x[t]]", {"W": "hidden hidden+input"}),
        ("h[t] = W @ u[t] + V @ v[t] + h[t-1]", {"W": "hidden u", "V": "hidden v"}),
        ("h[t] = U @ h[t-1] + x[t]\ny[t] = W @ h[t]", {"U": "hidden hidden", "W": "y hidden"}),
        ("c: cell\nc[t] = W @ x[t] + c[t-1]\nh[t] = P @ c[t] + h[t-1]", {"P": "hidden cell"}),
        ("a: scalar\nh[t] = a * h[t-1] + x[t]", {"a": "", "x": "hidden"}),
        ("h[t] = tanh(P @ h[t-1]) + x[t]\nP = [[0, 1], [1, 0]]", {"x": "2", "h": "2"}),
        ("h[t] = dot(u, x[t]) * b + h[t-1]", {"u": "input", "b": "hidden"}),
        ("x: 3\nh[t] = W @ x[t] + h[t-1]", {"W": "hidden 3"}),
    ],
)
def test_every_axis_has_a_name(text, shapes):
    typed = Cell(text).typed
    assert {name: " ".join(typed.shape(name)) for name in shapes} == shapes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("P = [[0, 1], [1, 0]]\nx: 3\nh[t] = P @ x[t] + h[t-1]", "E203"),
        ("a: scalar\nh[t] = a @ x[t] + h[t-1]", "E204"),
        ("h[t] = W @ x[t] + W * h[t-1]", "E202"),
        ("x: 3\nh[t] = h[t-1] + x[t]\nh: 4", "E203"),
    ],
)
def test_shapes_that_cannot_be(text, code):
    with pytest.raises(ElmanError) as caught:
        Cell(text)
    assert caught.value.code == code
    assert "^" in str(caught.value)


def test_sizes_may_be_any_whole_number():
    rnn = Cell("h[t] = W @ x[t] + h[t-1]")
    assert rnn.shapes(input=np.int64(2), hidden=3)["W"] == (3, 2)


a, b = (leaf(name, "input", shape=("n",)) for name in "ab")
k = leaf("k", "parameter", "", shape=())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (node("add", (a, const(0))), a),
        (node("mul", (const(1), a)), a),
        (node("mul", (const(-1), a)), node("neg", (a,))),
        (node("neg", (node("neg", (a,)),)), a),
        (node("sub", (a, node("neg", (b,)))), node("add", (a, b))),
        (node("pow", (a, const(2))), node("mul", (a, a))),
        (node("div", (a, const(1))), a),
        (node("mul", (k, const(1))), k),
        (node("add", (k, node("fill", (const(0),), ("n",)))), None),  # k is no vector
        (node("mul", (a, const(0))), None),  # NaN * 0 is NaN
        (node("sub", (a, a)), None),  # infinity - infinity is not 0
    ],
)
def test_what_is_simplified_and_what_is_not(before, after):
    assert rewrite(before) is (before if after is None else after)
    assert simplify([before])[before].shape == before.shape


def test_what_is_saved_has_a_name_of_its_own():
    text = """
    d_h[t] = tanh(W @ x[t])
    saved_1[t] = exp(d_h[t])
    h[t] = tanh(saved_1[t] * saved_1[t]) * h_in
    """
    typed = Cell(text).typed.cell
    found = transpose(system_of(typed), typed.returns)
    names = [value.name for value in found.saved]
    assert len(set(names)) == len(names)
    assert "d_h" not in names  # that is the cotangent of h
    outputs = [v.name for v in (*found.system.outputs, *found.system.labels)]
    assert len(set(outputs)) == len(outputs)


def test_a_delay_is_a_chain():
    cell = infer_shapes(Cell("h[t] = tanh(h[t-3] + x[t])")._reading.cell).cell
    assert [carry.key for carry in system_of(cell).carries] == ["h", "h[t-2]", "h[t-3]"]


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("c", marks=pytest.mark.c)])
@pytest.mark.parametrize(
    "text", ["h[t] = u * x[t]\ny[t] = h[t-1]\nz[t] = 2 * x[t]", "z[t] = 2 * x[t]\ny[t] = x[t-2]"]
)
@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
def test_a_state_that_no_cotangent_reaches_has_the_gradient_zero(text, backend):
    cell = Cell(f"{text}\nreturn y, z")
    given = {"x": [1.0, 2.0, 3.0]}, dict.fromkeys(cell.parameters, 0.5)
    found = cell.gradients(*given, cotangents={"z": [1.0, 1.0, 1.0]}, backend=backend)
    assert found["x"].ravel().tolist() == [2.0, 2.0, 2.0]
    assert not any(np.any(array) for name, array in found.items() if name != "x")


def values_saved(cell: Cell, **sizes: int) -> int:
    """How many numbers a step of one sequence leaves for the backward pass."""
    found = derive(cell.typed.cell, cell.returns)
    nodes = {v.name: v.node for _, stage in found.forward.stages() for v in stage}
    where = dict(found.forward.outputs)
    kept = (nodes[where[name]] for name in found.saved)
    return sum(math.prod(number(s, sizes) for s in n.shape) for n in kept if "t" in n.over)


@pytest.mark.parametrize(
    ("name", "vectors", "scalars"),
    [
        ("layer_norm_lstm", 13, 3),  # w - mu and u - nu gate by gate, the gates, c - its mean
        ("layer_norm_lstm_torch", 13, 3),
        ("layer_norm_lstm_per_gate", 5, 5),
        ("lstm", 4, 0),
        ("gru", 3, 0),
        ("rhn", 6, 0),
    ],
)
def test_how_much_is_saved(name, vectors, scalars):
    for hidden in (5, 64):
        found = values_saved(elman.cells[name], hidden=hidden)
        assert found == vectors * hidden + scalars


JOINED = """
a[t] = W @ x[t] + U @ h[t-1]
b[t] = V @ x[t]
v[t] = [a[t], b[t]]
m[t] = mean(v[t])
d[t] = tanh(v[t] - m[t])
h[t] = (a[t] - m[t]) * mean(d[t] * d[t]) + tanh(b[t] - m[t])
return h, d
"""


def test_the_parts_of_a_join_are_saved_once():
    cell = Cell(JOINED)
    assert values_saved(cell, hidden=4) == 2 * 4 + 1  # a - m, b - m, m; 17 with d


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=pytest.mark.c)])
def test_gradients_through_a_join(backend):
    torch = pytest.importorskip("torch")
    cell = Cell(JOINED)
    rng = np.random.default_rng(0)
    weights = {
        n: rng.normal(size=s) for n, s in cell.shapes(hidden=4, input=3).items() if n in "WUV"
    }
    x = rng.normal(size=(5, 2, 3))
    seeds = {"h": rng.normal(size=(5, 2, 4)), "d": rng.normal(size=(5, 2, 8))}
    found = cell.gradients({"x": x}, weights, cotangents=seeds, backend=backend)
    expected = cell.gradients({"x": x}, weights, cotangents=seeds, backend="torch")
    given = {n: torch.tensor(a, requires_grad=True) for n, a in {"x": x, **weights}.items()}
    h, total = torch.zeros(2, 4, dtype=torch.float64), 0
    for t in range(5):
        a = given["x"][t] @ given["W"].T + h @ given["U"].T
        b = given["x"][t] @ given["V"].T
        m = torch.cat([a, b], 1).mean(1, keepdim=True)
        d = torch.tanh(torch.cat([a, b], 1) - m)
        h = (a - m) * (d * d).mean(1, keepdim=True) + torch.tanh(b - m)
        total = total + (h * torch.tensor(seeds["h"][t])).sum()
        total = total + (d * torch.tensor(seeds["d"][t])).sum()
    total.backward()
    for name, tensor in given.items():
        np.testing.assert_allclose(found[name], tensor.grad.numpy(), rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-10)


def test_a_join_whose_parts_would_be_copied_stays():
    """Sums over parts of a product would need slices of it."""
    cell = Cell(
        """
        a[t] = W @ x[t]
        b[t] = V @ x[t]
        c[t] = U @ h[t-1]
        h[t] = tanh([a[t], b[t]] + c[t])
        """
    ).typed.cell
    nodes = [v.node for _, stage in derive(cell, cell.returns).forward.stages() for v in stage]
    assert not [n for n in topological(nodes) if n.op == "slice"]

"""Cells with the value of one thing and the derivative of another, against a twin in torch.

The twin evaluates the lines of a cell as Python, row by row and step by step, and leaves the
derivative to autograd: it shares nothing with the language, the passes and the backends.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

from elman.ir import topological
from elman.language import write_cell
from elman.library import cells as library
from tests.backends.language_cells import CELLS as LANGUAGE
from tests.backends.table import STRAIGHT, Shape, assert_near, cell, data, tolerance

SHAPES = [Shape(1, 1, 1), Shape(7, 2, 3), Shape(30, 3, 5)]
LINE = re.compile(r"^[ \t]*(\w+)(\[t\])?[ \t]*=([^#\n]*)", re.MULTILINE)
QUIET = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


@pytest.mark.parametrize("name", STRAIGHT)
def test_no_cell_is_exempt_without_the_reason(name):
    roots = [equation.value for equation in cell(name).typed.cell.equations]
    assert any(n.op == "straight" for n in topological(roots))


def functions(torch):
    def straight_through(a, b):
        return b + (a - b).detach()

    def step(x):
        return straight_through((x > 0).to(x.dtype), x)

    def least(a, b):
        return torch.minimum(*torch.broadcast_tensors(torch.as_tensor(a), torch.as_tensor(b)))

    def most(a, b):
        return -least(-a, -b)

    own = (
        "exp",
        "log",
        "sqrt",
        "tanh",
        "sigmoid",
        "relu",
        "sin",
        "cos",
        "dot",
        "outer",
        "abs",
        "sum",
    )
    return {name: getattr(torch, name) for name in own} | {
        "straight_through": straight_through,
        "round": lambda x: straight_through(torch.round(x), x),
        "step": step,
        "heaviside": step,
        "min": least,
        "max": most,
        "__builtins__": {},
    }


class Twin:
    """One row of the batch: `value(name, step)` is what the lines say, before step 0 the state."""

    def __init__(self, text, torch, inputs, weights, state):
        self.lines = {name: (at, rhs.strip()) for name, at, rhs in LINE.findall(text)}
        self.inputs, self.weights, self.state = inputs, weights, state
        self.functions, self.known = functions(torch), {}

    def value(self, name, step):
        if step < 0:
            return self.state[name if step == -1 else f"{name}[t-{-step}]"]
        if name in self.inputs:
            return self.inputs[name][step]
        if (name, step) not in self.known:
            self.known[name, step] = eval(self.lines[name][1], self.functions, Scope(self, step))
        return self.known[name, step]


class Scope(dict):
    """The names that a line reads: `h[t-1]` asks the twin, `W` is a weight."""

    def __init__(self, twin, step):
        super().__init__(t=step)
        self.twin = twin

    def __missing__(self, name):
        if name in self.twin.weights:
            return self.twin.weights[name]
        if name in self.twin.functions:
            raise KeyError(name)
        at, text = self.twin.lines.get(name, ("[t]", ""))
        return Stream(self.twin, name) if at else eval(text, self.twin.functions, self)


class Stream:
    def __init__(self, twin, name):
        self.twin, self.name = twin, name

    def __getitem__(self, step):
        return self.twin.value(self.name, step)


def lines_of(name):
    """The text of a cell; one that puts another cell in has that cell's lines written out."""
    text = library.text(name) if name in library else LANGUAGE[name]
    puts_in = re.search(r"^\w+: \w+\(", text, re.MULTILINE)
    return write_cell(cell(name).typed.cell) if puts_in else text


def twin_of(name, given, torch):
    """(values, final states, gradients) of a cell of the table."""
    text = lines_of(name)
    parts = {
        group: {n: torch.tensor(a, requires_grad=True) for n, a in arrays.items()}
        for group, arrays in given.parts().items()
    }
    steps, batch = next(iter(given.inputs.values())).shape[:2]
    rows = [
        Twin(
            text,
            torch,
            {n: a[:, b] for n, a in parts["inputs"].items()},
            parts["weights"],
            {key: a[b] for key, a in parts["state"].items()},
        )
        for b in range(batch)
    ]

    def over_rows(read, like):
        return torch.stack([read(row) for row in rows]).expand(like.shape)

    values = {
        n: torch.stack(
            [over_rows(lambda row, n=n, t=t: row.value(n, t), like[t]) for t in range(steps)]
        )
        for n, like in given.cotangents.items()
    }
    lag = {key: int(key.rpartition("-")[2][:-1]) if "-" in key else 1 for key in given.final}
    final = {
        key: over_rows(lambda row, key=key: row.value(key.split("[")[0], steps - lag[key]), like)
        for key, like in given.final.items()
    }
    pairs = [(values[n], w) for n, w in given.cotangents.items()]
    pairs += [(final[key], w) for key, w in given.final.items()]
    total = sum((value * torch.tensor(w)).sum() for value, w in pairs)
    leaves = {n: a for arrays in parts.values() for n, a in arrays.items()}
    slopes = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    found = (values, final, dict(zip(leaves, slopes, strict=True)))
    return [{n: a.detach().numpy() for n, a in group.items()} for group in found]


@pytest.mark.torch
@pytest.mark.parametrize("name", STRAIGHT)
def test_values_and_gradients_are_those_of_the_twin(name):
    torch = pytest.importorskip("torch")
    for shape in SHAPES:
        given = data(name, shape)
        values, final, gradients = twin_of(name, given, torch)
        run = given.run(name, "numpy")
        most = tolerance("float64", shape.steps, shape.hidden)
        assert_near(dict(run.values), values, most, f"values, {shape}")
        assert_near(dict(run.final), final, most, f"final states, {shape}")
        assert_near(given.gradients(name, "numpy"), gradients, most, f"gradients, {shape}")


@pytest.mark.torch
def test_the_twin_is_right_where_finite_differences_are():
    torch = pytest.importorskip("torch")
    for name in ("gru", "gates_as_state"):
        given = data(name, SHAPES[1])
        *_, gradients = twin_of(name, given, torch)
        found = {n: a for n, a in given.gradients(name, "numpy").items() if n in gradients}
        expected = {n: gradients[n] for n in found}
        assert_near(found, expected, tolerance("float64", 7, 3), name)


@QUIET
@pytest.mark.torch
def test_no_derivative_of_any_order_sees_the_value():
    torch = pytest.importorskip("torch")
    from elman.backends.torch_ import POINTWISE

    straight = POINTWISE["straight"]
    a, b = (torch.tensor([x, -0.25, 3.0], dtype=torch.float64) for x in (0.1, 0.7))

    def value(b):
        return (straight(torch.round(3 * a) / 7, b**3) * b).sum()

    exact = torch.round(3 * a) / 7
    np.testing.assert_array_equal(straight(exact, b**3), exact)  # to the bit
    np.testing.assert_allclose(torch.func.grad(value)(b), exact + 3 * b**3, rtol=1e-14)
    second = torch.func.hessian(value)(b).diagonal()
    # the first derivative reads b * d(b^3) + value, and the value's own derivative is that of b^3
    np.testing.assert_allclose(second, 3 * b**2 + 9 * b**2, rtol=1e-14)
    rows = torch.stack([b, 2 * b])
    each = torch.func.vmap(torch.func.grad(value))(rows)
    np.testing.assert_allclose(each, exact + 3 * rows**3, rtol=1e-14)
    _, along = torch.func.jvp(value, (b,), (torch.ones_like(b),))
    np.testing.assert_allclose(along, (exact + 3 * b**3).sum(), rtol=1e-14)
    far = torch.tensor([np.inf, np.nan, 1.0], dtype=torch.float64)
    np.testing.assert_array_equal(straight(a, far), a)

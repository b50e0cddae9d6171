"""Each function of the table means what its name says, by numbers."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from elman.ir import Node, topological
from elman.language import read, write_cell
from elman.language.functions import FUNCTIONS

MEANING = {
    "neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs,
    "sign": np.sign, "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0), "softplus": lambda a: np.log1p(np.exp(a)),
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "where": np.where,
    "sum": np.sum, "mean": np.mean, "amax": np.max, "cumsum": np.cumsum,
    "floor": np.floor, "round": np.round, "sin": np.sin, "cos": np.cos,
    "straight": lambda a, b: a, "less": np.less,
}  # fmt: skip
X = np.array([0.3, 1.7, 0.9, 2.5])
Y = np.array([1.1, 0.2, 0.9, 4.0])


def run(root: Node) -> np.ndarray:
    """The slow twin: every node by its NumPy function."""
    values: dict[Node, np.ndarray] = {}
    for n in topological([root]):
        given = {"x": X, "y": Y}
        if n.op == "leaf":
            values[n] = given[n.attr.name]
        elif n.op == "const":
            values[n] = np.float64(n.attr)
        else:
            meaning = partial(np.einsum, n.attr) if n.op == "einsum" else MEANING[n.op]
            values[n] = meaning(*(values[arg] for arg in n.args))
    return values[root]


def normalised(v):
    return (v - v.mean()) / np.sqrt(v.var() + 1e-5)


EXPECTED = {
    "softmax(x[t])": np.exp(X) / np.exp(X).sum(),
    "log_softmax(x[t])": X - np.log(np.exp(X).sum()),
    "logsumexp(x[t])": np.log(np.exp(X).sum()),
    "log_sigmoid(x[t])": -np.log1p(np.exp(-X)),
    "logsigmoid(x[t])": -np.log1p(np.exp(-X)),
    "layer_norm(x[t])": normalised(X),
    "layer_norm(x[t], y[t])": normalised(X) * Y,
    "layer_norm(x[t], y[t], 2)": normalised(X) * Y + 2,
    "rms_norm(x[t])": X / np.sqrt((X**2).mean() + 1e-5),
    "rms_norm(x[t], y[t])": X / np.sqrt((X**2).mean() + 1e-5) * Y,
    "gelu(x[t])": X * np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in X]),
    "silu(x[t])": X / (1 + np.exp(-X)),
    "swish(x[t])": X / (1 + np.exp(-X)),
    "elu(1 - x[t])": np.where(X < 1, 1 - X, np.exp(np.minimum(1 - X, 0)) - 1),
    "elu(1 - x[t], 3)": np.where(X < 1, 1 - X, 3 * (np.exp(np.minimum(1 - X, 0)) - 1)),
    "norm(x[t])": np.linalg.norm(X),
    "dot(x[t], y[t])": X @ Y,
    "max(x[t])": 2.5,
    "min(x[t])": 0.3,
    "max(x[t], y[t])": np.maximum(X, Y),
    "min(x[t], y[t], 1)": np.minimum(np.minimum(X, Y), 1),
    "maximum(x[t], y[t])": np.maximum(X, Y),
    "minimum(x[t], y[t])": np.minimum(X, Y),
    "clip(x[t], 0.5, 2)": np.clip(X, 0.5, 2),
    "where(x[t] - y[t], x[t], -1)": np.where(X != Y, X, -1),
    "logistic(x[t])": 1 / (1 + np.exp(-X)),
    "σ(x[t])": 1 / (1 + np.exp(-X)),
    "ReLU(1 - x[t])": np.maximum(1 - X, 0),
    "round(x[t] + 0.2)": np.array([0, 2, 1, 3]),
    "step(x[t] - 0.9)": np.array([0, 1, 0, 1]),
    "heaviside(x[t] - 0.9)": np.array([0, 1, 0, 1]),
    "straight_through(x[t], y[t])": X,
    "outer(x[t], y[t])": np.outer(X, Y),
    'einsum("i,j->ji", x[t], y[t])': np.outer(Y, X),
    "x[t] % y[t]": np.mod(X, Y),
    "-x[t] % y[t]": np.mod(-X, Y),
    "sum(x[t])": X.sum(),
    "mean(x[t])": X.mean(),
}


@pytest.mark.parametrize("call", EXPECTED)
def test_the_value(call):
    tolerance = 5e-3 if call.startswith("gelu") else 1e-12  # gelu is the tanh form
    got = run(read(f"h[t] = {call}").cell.value("h"))
    np.testing.assert_allclose(got, EXPECTED[call], rtol=tolerance, atol=tolerance)


def test_every_function_is_tested_or_a_primitive_of_its_own_name():
    tested = {call.split("(")[0] for call in EXPECTED}
    assert {name for name in FUNCTIONS if name not in MEANING} <= tested


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_in_the_table_is_a_call_of_it(name):
    example = FUNCTIONS[name].example
    read("h[t] = x[t] + " + example.replace("(x", "(q"))


@pytest.mark.parametrize("call", [call for call in EXPECTED if "[t], 2)" not in call])
def test_a_call_is_written_as_it_was_read(call):
    written = write_cell(read(f"h[t] = {call}").cell)
    again = read(written).cell.value("h")
    assert again is read(f"h[t] = {call}").cell.value("h")
    folded = ("softmax", "norm", "gelu", "round", "step", "straight", "outer", "einsum", "cumsum")
    if call.startswith(folded) or "%" in call:
        assert written == f"h[t] = {call}\n"

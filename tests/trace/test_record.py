"""What a trace holds: the numbers of Cell.run, exact, with the value of every part."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman import Cell
from elman.language.syntax import fold
from tests.backends import table
from tests.trace.examples import RNN, RNN_WEIGHTS


def arrays(cell, steps, sizes, seed=0):
    """Inputs, weights and states of a cell, drawn."""
    rng = np.random.default_rng(seed)
    shapes = cell.shapes(**sizes)
    weights = {n: rng.normal(size=shapes[n]) / shapes[n][-1] ** 0.5 for n in cell.parameters}
    inputs = {n: rng.normal(size=(steps, *shapes[n])) for n in cell.inputs}
    state = {key: rng.normal(size=shapes[key.partition("[")[0]]) for key in cell.states}
    return inputs, weights, state


@pytest.mark.parametrize("hidden", [1, 3, 17])
@pytest.mark.parametrize("name", table.CELLS)
def test_a_trace_has_the_numbers_of_the_reference(name, hidden):
    cell, given = table.cell(name), table.data(name, table.Shape(4, 0, hidden))
    run = given.run(name, "numpy")
    trace = cell.trace(given.inputs, given.weights, given.state, sizes=given.sizes)
    # a product over all steps at once may add in another order
    for output in set(cell.outputs) - {"t"}:
        assert np.allclose(trace.values[output], run[output], rtol=1e-13, atol=1e-15)
        assert trace.values[output].shape == run[output].shape


@pytest.mark.parametrize("name", table.CELLS)
def test_every_part_of_every_equation_has_its_value(name):
    given = table.data(name, table.Shape(2, 0, 3))
    worked = table.cell(name).trace(*given.parts().values(), sizes=given.sizes)
    assert set(worked.values) >= set(table.cell(name).outputs) - {"t"}
    for step in worked.steps:
        for line in step.lines:
            parts = fold(line.expr, lambda expr, counts: 1 + sum(counts))
            assert parts == len(line.values)


DELAYS = """
h[t] = tanh(W @ x[t-3] + U @ h[t-2] + V @ x[t] + b * y[t-1])
y[t] = softmax(C @ h[t])
"""
OUT_OF_ORDER = """
h[t] = z[t] * h[t-1] + n[t]
n[t] = tanh(z[t] + A @ x[t])
z[t] = sigmoid(W @ x[t])
A = 2 * W
"""
TEXTS = {
    "delays": (DELAYS, {"input": 2, "hidden": 3}),
    "out of order": (OUT_OF_ORDER, {"input": 2, "hidden": 3}),
    "matrix": ("C: 2, 2\nC[t] = 0.5 * C[t-1] + x[t]\nx: 2, 2\nh[t] = C[t] @ v", {}),
    "scalar": ("h: scalar\nh[t] = max(x[t]) + 0.5 * h[t-1]", {"input": 3}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_other_forms_equal_the_reference_too(name):
    text, sizes = TEXTS[name]
    cell = Cell(text)
    given = arrays(cell, 5, sizes)
    run = cell.run(*given, backend="numpy")
    trace = cell.trace(*given)
    for output in cell.outputs:
        assert np.allclose(trace.values[output], run[output], rtol=1e-13, atol=1e-15)
    assert "nan" not in str(trace)


ATOMS = st.sampled_from(["x[t]", "h[t-1]", "x[t-2]", "b", "0.5", "(U.T @ h[t-1])"])
OPERATORS = st.sampled_from(["+", "-", "*", "<="])
FUNCTIONS = st.sampled_from(
    ["tanh", "-", "relu", "b * (W @ (x[t] - b)) * softplus", "softmax", "max"]
)
RIGHT_SIDES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("({}({}))".format, FUNCTIONS, inner),
        st.builds("(b + V @ [x[t] * {}, h[t-1]])".format, inner),
    ),
    max_leaves=12,
)


@given(RIGHT_SIDES, st.integers(1, 3))
def test_whatever_runs_can_be_traced(right, size):
    cell = Cell(f"h[t] = tanh(x[t] * h[t-1] + b) + {right}\ny[t] = C @ (h[t] * (U @ x[t]))")
    given = arrays(cell, 3, {"hidden": size, "y": 2})
    run = cell.run(*given, backend="numpy")
    trace = cell.trace(*given)
    for output in cell.outputs:
        assert np.allclose(trace.values[output], run[output], rtol=1e-9, atol=1e-12)
    assert "step 3" in str(trace)


def test_nothing_rounded_is_computed_with():
    inputs = {"x": [[1, 2], [1.5, 2.5]]}
    trace = Cell(RNN).trace(inputs, RNN_WEIGHTS)
    text = trace.to_text(digits=1)
    assert "0.5*0.8 + 0.1)" in text
    assert "tanh(1.9)" in text and text.endswith("= 1.0")  # 0.951769, not tanh of 1.9 = 0.956
    assert trace.values["h"][1, 0] == np.tanh(0.4 * 1.5 + 0.3 * 2.5 + 0.5 * np.tanh(1.1) + 0.1)


def test_a_trace_is_frozen_and_shows_itself():
    trace = Cell(RNN).trace({"x": [[1, 2]]}, RNN_WEIGHTS)
    assert repr(trace) == "<Trace of 1 step: h (1, 1)>"
    assert str(trace) == trace.to_text()
    assert [line.label for line in trace.steps[0].lines] == ["h[1]"]
    assert repr(trace.steps[0].lines[0]) == "<Line h[1]: [0.80049902]>"
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.steps = ()


def test_what_no_step_changes_stands_once_at_the_top():
    cell = elman.cells["antisymmetric_rnn"]
    trace = cell.trace({"x": [[1.0], [2.0]]}, {"U": 0.5, "W": 1.0, "b": 0.0, "epsilon": 0.5})
    text = str(trace)
    assert text.startswith("before step 1\n  epsilon = 0.5  # step size\n")
    assert text.count("A = U - U.T") == 1
    assert trace.values["A"].shape == (1, 1)


def test_inputs_that_vary_over_less():
    text = "v: per sequence\nm: scalar, per step\nh[t] = m[t] * (W @ x[t]) + v[t] * h[t-1]"
    given = {"x": [[1.0], [2.0]], "m": [1.0, 0.5], "v": [2.0]}, {"W": 3.0}
    trace = Cell(text).trace(*given)
    assert trace.values["h"].tolist() == Cell(text).run(*given, backend="numpy")["h"].tolist()
    assert str(trace).startswith("before step 1\n  v = 2\n\nstep 1\n")
    assert "h[2] = m[2] * (W @ x[2]) + v * h[1]\n       = 0.5*(3*2) + 2*3\n" in str(trace)


def test_what_overflows_is_shown_as_it_is():
    trace = Cell("h[t] = exp(x[t]) - exp(x[t])").trace({"x": [1000.0]}, {})
    assert str(trace).endswith("= exp(1000) - exp(1000)\n       = inf - inf\n       = nan")


def test_a_sum_of_thousands_of_terms_is_traced():
    cell = Cell("h[t] = x[t]" + " + 1" * 2000)
    assert cell.trace({"x": [1.0]}, {}).values["h"][0, 0] == 2001
    assert str(cell.trace({"x": [1.0]}, {})).endswith("= 2001")

"""Backpropagation written line by line: every gradient beside the machine's own."""

from __future__ import annotations

import functools
import json
import re

import numpy as np
import pytest

import elman
from elman import Cell
from elman.errors import ElmanError
from elman.language.functions import FUNCTIONS
from elman.language.syntax import Call, walk
from elman.trace.backward.derivatives import CALLS, canonical
from elman.trace.backward.paths import SIMPLER
from elman.trace.document import Chain, Given
from elman.trace.leaves import INNER
from elman.trace.work import values_in, work
from tests.backends import table
from tests.backends.language_cells import CELLS as LANGUAGE
from tests.soon import soon
from tests.trace.backward_examples import SCALAR_LSTM, SCALAR_LSTM_WEIGHTS
from tests.trace.examples import (
    GRU_WEIGHTS,
    READ_OUT,
    READ_OUT_WEIGHTS,
)

STEPS = 3
NEAR = 1e-12  # relative to the largest value of an array
ROUNDING = np.finfo(float).eps  # of values near 1
NORM = 1e-5**0.5  # the root under a norm of values that are equal: roundings grow by its inverse


@functools.cache
def made(name):
    text = LANGUAGE[name] if name in LANGUAGE else elman.library.cells.text(name)
    return Cell(text, name)


def asked(cell, hidden, seed=None, is_given=True):
    """What a cell is given for a backward pass: with a state, and cotangents of all it computes.

    Else its own first state, and cotangents of what it returns.
    """
    data = table.draw(cell, table.Shape(STEPS, 0, hidden))
    cotangents, state = data.cotangents, data.state
    if not is_given:
        cotangents = {name: cotangents[name] for name in cell.returns}
        state = {}
    return {
        "inputs": data.inputs,
        "weights": data.weights,
        "state": state,
        "sizes": data.sizes,
        "cotangents": cotangents,
        "seed": seed,
        "steps": STEPS,
    }


def assert_near(found, expected, name):
    """Equal to 1e-12 of the largest value, or to the rounding of what cancelled to almost zero."""
    grows = 1 / NORM if name in (*table.NORMED, "normed") else 1
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].shape == array.shape, key
        scale = np.max(np.abs(array), initial=0.0)
        worst = np.max(np.abs(found[key] - array), initial=0.0)
        assert worst <= grows * max(NEAR * scale, ROUNDING), (name, key, worst, scale)


# every cell with three units, the typical ones (and all by `make test-slow`) with one and two too
SIZES = [
    pytest.param(name, hidden, marks=() if each_time else pytest.mark.slow)
    for name in table.CELLS
    for hidden, each_time in ((1, name in table.TYPICAL), (2, name in table.TYPICAL), (3, True))
]


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize(("name", "hidden"), SIZES)
def test_gradients_are_those_of_the_reference(name, hidden):
    cell = made(name)
    for seed in (None, 7) if cell.random else (None,):
        for is_given in (True, False):
            given = asked(cell, hidden, seed, is_given)
            expected = cell.gradients(**given, backend="numpy")
            assert_near(cell.trace(**given).gradients, expected, name)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("name", table.typical_first(table.CELLS))
def test_gradients_are_those_of_autograd(name):
    cell = made(name)
    for hidden in (1, 2, 3):
        given = asked(cell, hidden)
        expected = cell.gradients(**given, backend="torch")
        assert_near(cell.trace(**given).gradients, expected, name)


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("name", [*table.LIBRARY, *LANGUAGE])
def test_what_a_line_says_is_what_was_computed(name):
    trace = made(name).trace(**asked(made(name), 2))
    known = trace.known()
    for line in trace.backward.lines:
        values = work(line.expr, values_in(known))
        for value, kept in zip(values, line.values, strict=True):
            np.testing.assert_array_equal(np.ravel(value), np.ravel(kept), line.label)
        assert line.left.kind and known[line.left] is line.value


def test_a_batch_of_one_has_the_shapes_of_its_gradients():
    cell, x = elman.cells["gru"], [[[0.1, 0.2]], [[0.3, -1]]]
    given = {"inputs": {"x": x}, "weights": GRU_WEIGHTS, "cotangents": {"h": np.ones((2, 1, 1))}}
    expected = cell.gradients(**given)
    found = cell.trace(**given).gradients
    assert_near(found, expected, "batched")


def test_the_number_of_the_step_has_the_gradient_of_all_steps():
    cell = Cell("h[t] = sin(t) * x[t] + t * h[t-1]")
    given = {"inputs": {"x": [1.0, 2.0]}, "weights": {}, "cotangents": {"h": [1.0, 1.0]}}
    assert_near(cell.trace(**given).gradients, cell.gradients(**given), "t")


def test_a_step_counted_backwards_is_the_one_that_read_the_number():
    cell = Cell("h[t] = t * tanh(t * h[t-1] + x[t])\nx: 1")
    given = {"x": [[1.0], [0.5], [0.2]]}, {}, {"h": [0.1]}
    trace = cell.trace(*given, cotangents={"h": [[1.0]] * 3})
    text = section(trace, "step 2, backwards")
    assert "d_h[2] = 1 + 3 * d_h_in[3]  # given, through h[3]" in text
    assert "d_h_in[2] = 2 * d_h[2] * (1 - tanh(2 * h[1] + x[2])**2)" in text
    page = trace.to_text()
    assert " t " not in page[page.index("step 3, backwards") :]
    assert "t = 2" in section(trace, "step 2")
    back = json.loads(trace.to_json())["backward"]["steps"]
    assert not re.search(r"\bt\b", " ".join(line["formula"] for s in back for line in s["lines"]))


# ---- rules ----

CALLED = {  # a call of every function, of a and b, vectors of three
    **{name: f"{name}(a[t])" for name in FUNCTIONS if FUNCTIONS[name].least == 1},
    **{name: f"{name}(a[t], b[t])" for name in ("dot", "maximum", "minimum", "straight_through")},
    "outer": "sum(outer(a[t], b[t]) * outer(b[t], b[t]))",
    "einsum": 'einsum("i,j->", a[t], b[t]) + einsum("i,i->i", a[t], b[t])',
    "where": "where(a[t] > b[t], a[t] * b[t], b[t])",
    "clip": "clip(a[t], -0.5, s * b[t])",
    "log": "log(abs(a[t]) + 2)",
    "sqrt": "sqrt(abs(a[t]) + 2)",
    "max of three": "max(a[t], b[t], s * a[t])",
    "min of three": "min(a[t], b[t], s)",
    "layer_norm, scaled": "layer_norm(a[t], b[t], s * b[t])",
    "rms_norm, scaled": "rms_norm(a[t] * b[t], b[t])",
    "elu, scaled": "elu(a[t] * b[t], s * b[t])",
    "max of one": "max(a[t] * b[t]) * b[t]",
    "a power": "(abs(a[t]) + 1) ** b[t] + a[t]**3 + a[t]**1 + 2 ** a[t] + (abs(b[t]) + 1)**0.5",
    "a remainder": "a[t] % (abs(b[t]) + 1)",
    "a quotient": "a[t] / (2 + abs(b[t])) / (3 + s)",
    "a scalar spread": "s + sum(a[t] * s) + mean(a[t] + s * (b[t] - s)) * tanh(s * a[t])",
    "a sum of a sum": "sum(s + a[t] * 0) * sum(s * s + b[t]) + b[t]",
    "a list": "tanh([a[t], 2, b[t]])",
    "signs": "-(-a[t]) - (-(b[t] * -a[t])) - (-s) * -(b[t])",
    "once more": "exp(sin(cos(tanh(a[t] * b[t]) * s)))",
}
POINTS = {
    "anywhere": [[0.3, -1.2, 0.7], [0.9, 0.4, -0.6]],
    "where they tie": [[0.5, -0.5, 0.0], [0.5, -0.5, 0.0]],
}


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("what", CALLED)
def test_every_rule_is_that_of_the_reference(what, point):
    """At corners too, where the reference says what a subgradient is."""
    cell, count = called(what), 7 if what == "a list" else 3
    a, b = POINTS[point]
    given = {
        "inputs": {"a": [a, b], "b": [b, a]},
        "weights": {"s": 0.5},
        "cotangents": {"y": [np.linspace(-1, 2, count), np.linspace(1, -0.5, count)]},
    }
    expected, found = cell.gradients(**given, backend="numpy"), cell.trace(**given).gradients
    # the derivative of a norm at 0 is no number, here as there
    here, there = ({n: np.isnan(g) for n, g in each.items()} for each in (found, expected))
    for name in expected:
        np.testing.assert_array_equal(here[name], there[name])
    assert_near(
        {n: np.where(here[n], 0, g) for n, g in found.items()},
        {n: np.where(there[n], 0, g) for n, g in expected.items()},
        what,
    )


def called(what):
    """A cell of that call; of a scalar it makes a vector."""
    joined = what == "a list"
    spread = "" if joined else " + 0 * a[t]"
    sizes = "s: scalar\na: n\nb: n\n"
    return Cell(f"{sizes}y[t] = {CALLED[what]}{spread} + 0 * sum(b[t]) * s")


def test_every_function_of_the_language_has_a_rule():
    known = {canonical(name) for name in FUNCTIONS}
    assert known - {"clip"} == set(CALLS)
    assert set(SIMPLER) <= known
    said = {function for what in CALLED for function in functions(what)}
    assert {canonical(name) for name in said} == known


def functions(what):
    value = called(what)._reading.expanded.equations[-1].value
    return {part.function for part in walk(value) if isinstance(part, Call)}


# ---- what is said ----


def lines(trace):
    return {line.label: (line.expr, line.comment) for line in trace.backward.lines}


def _is_line(item):
    return isinstance(item, Given | Chain) and bool(item.left.kind)


def section(trace, title, **more):
    text = trace.to_text(**more)
    return next(s for s in text.split("\n\n") if s.startswith(title + "\n"))


def test_the_derivatives_of_the_lecture_are_printed():
    given = {"x": [1.0, 2.0, 3.0]}, SCALAR_LSTM_WEIGHTS
    trace = Cell(SCALAR_LSTM).trace(*given, cotangents={"y": [0, 0, 1]})
    assert trace.gradients["x"].ravel().round(4).tolist() == [0.1338, 0.1139, 0.2618]
    for step, digits in (("1", "0.1338"), ("2", "0.1139"), ("3", "0.2618")):
        block = section(trace, f"step {step}, backwards").split(f"d_x[{step}] = ")[1]
        chain = block.split("d_W")[0].split("\n")
        assert chain[-2].strip() == f"= {digits}"


def test_a_gradient_names_the_lines_that_it_comes_through():
    given = {"x": [[0.1, 0.2], [1, 0.5]]}, GRU_WEIGHTS
    trace = elman.cells["gru"].trace(*given, cotangents={"h": [0.5, 1]})
    said = {label: comment for label, (_, comment) in lines(trace).items()}
    assert said["d_h[2]"] == "given"
    assert said["d_h[1]"] == "given, through h[2], n[2], r[2], z[2]"
    assert said["d_n_in[2]"] == "tanh'(a) = 1 - tanh(a)**2"
    assert said["d_U_n"] == said["d_U_n[1]"] == ""


def test_a_function_of_a_name_has_no_line_of_its_own_and_two_have_two():
    cell = Cell("h[t] = tanh(x[t])\ny[t] = tanh(w * h[t]) * sigmoid(tanh(u * h[t]) + 1)")
    trace = cell.trace({"x": [1.0]}, {"w": 0.5, "u": 2}, cotangents={"y": [1]})
    inner = [line.label for line in trace.backward.lines if line.kind.startswith(INNER)]
    assert inner == ["d_y_in[1]", "d_y_in_2[1]", "d_y_in_3[1]"]


def test_only_what_is_reached_has_a_line():
    cell = Cell("h[t] = tanh(w * x[t])\ny[t] = v * h[t]\nz[t] = 2 * v * x[t]")
    trace = cell.trace({"x": [1.0, 2.0]}, {"w": 0.5, "v": 1}, cotangents={"y": [1, 0]})
    labels = [line.label for line in trace.backward.lines]
    expected = ["d_y[1]", "d_h[1]", "d_h_in[1]", "d_x[1]", "d_v[1]", "d_w[1]", "d_w", "d_v"]
    assert labels == expected
    assert trace.gradients["x"].tolist() == [[trace.gradients["x"][0, 0]], [0.0]]


def test_constants_frozen_weights_and_masks_have_no_gradient():
    cell = Cell(
        "W: frozen\nk = 2\nm: bernoulli(0.5)\nh[t] = tanh(k * W @ x[t] + u * m[t] * h[t-1])"
    )
    given = {"x": [[1.0], [2.0]]}, {"W": [[0.5]], "u": 0.3}
    trace = cell.trace(*given, cotangents={"h": [1, 1]}, lr=1)
    assert {line.name for line in trace.backward.lines} == {"h", "x", "u"}
    assert set(trace.gradients) == {"x", "u", "h"} and set(trace.updated) == {"u"}


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("seed", [None, 1, 2])
@pytest.mark.parametrize(
    "choice", ["m[t]", "1 - m[t]", "m[t] == 0", "m[t] > 0", "m[t] != 0", "(1 - m[t]) > 0.5"]
)
def test_a_choice_by_a_mask_is_weighted_where_the_mask_is_its_mean(choice, seed):
    cell = Cell(f"m: bernoulli(0.25)\nh[t] = where({choice}, tanh(w * x[t]), h[t-1]) * ({choice})")
    given = {"inputs": {"x": [0.4, 2.0]}, "weights": {"w": 0.5}, "state": {"h": 0.7}, "seed": seed}
    given["cotangents"] = {"h": [1, 2]}
    expected = cell.gradients(**given, backend="numpy")
    assert_near(cell.trace(**given).gradients, expected, choice)


# ---- learning, rounding, choosing ----


def test_a_step_of_learning_goes_down_every_gradient():
    given = {"x": [[1.0], [2.0]]}, READ_OUT_WEIGHTS
    trace = Cell(READ_OUT).trace(*given, cotangents={"y": [1, -1]}, lr=0.5)
    for name, new in trace.updated.items():
        old = np.reshape(READ_OUT_WEIGHTS[name], new.shape)
        np.testing.assert_allclose(new, old - 0.5 * trace.gradients[name], rtol=0, atol=1e-15)
    assert "W_hy (new) = W_hy - 0.5 * d_W_hy" in section(trace, "a step of learning")


def test_a_trace_without_a_cotangent_has_no_backward_pass():
    trace = Cell(READ_OUT).trace({"x": [[1.0]]}, READ_OUT_WEIGHTS)
    assert trace.backward is None and trace.gradients == {} == trace.updated
    assert trace.loss is None and "backwards" not in str(trace)


def test_cotangents_of_zero_leave_every_gradient_zero():
    given = {"x": [[1.0]]}, READ_OUT_WEIGHTS
    trace = Cell(READ_OUT).trace(*given, cotangents={"y": [0]}, lr=1)
    assert not any(np.any(g) for g in trace.gradients.values())
    for name, new in trace.updated.items():
        np.testing.assert_array_equal(new.ravel(), np.ravel(READ_OUT_WEIGHTS[name]))
    assert set(trace.updated) == set(READ_OUT_WEIGHTS)


def test_a_rounded_trace_rounds_on_its_way_back():
    given = {"x": [1.0, 2.0, 3.0]}, SCALAR_LSTM_WEIGHTS
    trace = Cell(SCALAR_LSTM).trace(*given, cotangents={"y": [0, 0, 1]})
    rounded = trace.rounded(2)
    for line in rounded.backward.lines:
        np.testing.assert_allclose(line.value, line.value.round(2), rtol=0, atol=1e-12)
    off = abs(rounded.gradients["x"] - trace.gradients["x"]).max()
    assert 1e-4 < off < 0.05
    assert rounded.exact.gradients["x"] is not None and trace.gradients["x"][0, 0] != 0.13


def test_a_part_of_a_trace_has_that_part_of_the_way_back():
    given = {"x": [[0.1, 0.2], [1, 0.5]]}, GRU_WEIGHTS
    trace = elman.cells["gru"].trace(*given, cotangents={"h": [0, 1]})
    text = trace.only("z").during(2).to_text()
    assert "d_z[2] = " in text and "d_z_in[2] = " in text
    assert "d_r[2] = " not in text and "step 1, backwards" not in text


# ---- why it fades ----


def test_the_product_of_the_factors_is_the_derivative_where_nothing_else_carries():
    for name, weights in (("rnn", {"W": 0.4, "U": 1.5, "b": 0.1}), ("gru", GRU_WEIGHTS)):
        cell = elman.cells[name]
        x = [[0.5, 0.1], [0.2, 1], [1, 0.3]] if name == "gru" else [0.1, 0.2, 0.1]
        trace = cell.trace({"x": x}, weights, cotangents={"h": [0, 0, 1]})
        (factors,) = trace.backward.factors
        np.testing.assert_allclose(factors.product.value, trace.gradients["h"], rtol=1e-12)
        assert factors.along_all is None


def test_where_something_else_carries_the_whole_derivative_stands_beside():
    given = {"x": [1.0, 2.0, 3.0]}, SCALAR_LSTM_WEIGHTS
    trace = Cell(SCALAR_LSTM).trace(*given, cotangents={"c": [0, 0, 1]})
    memory = next(f for f in trace.backward.factors if f.state == "c")
    f = trace.values["f"]
    np.testing.assert_allclose(memory.product.value, np.prod(f, axis=0), rtol=1e-12)
    np.testing.assert_allclose(memory.along_all, trace.gradients["c"], rtol=1e-12)
    assert abs(memory.along_all - memory.product.value).item() > 0.01
    text = section(trace, "how the gradient fades or grows")
    assert "dc[3]/dc[0] (c alone) = dc[3]/dc[2] * dc[2]/dc[1] * dc[1]/dc[0]" in text
    lefts = [item.left for s in trace.document().sections for item in s.items if _is_line(item)]
    assert len(lefts) == len({*lefts})  # no name stands for two values
    assert "# along all paths, through h too" in text


@pytest.mark.parametrize(("u", "words"), [(0.5, "below 1"), (2, "above 1"), (1, "is 1 in size")])
def test_the_sentence_is_what_the_numbers_show(u, words):
    trace = Cell("h[t] = x[t] + u * h[t-1]").trace(
        {"x": [1.0, 1.0]}, {"u": u}, cotangents={"h": [0, 1]}
    )
    (factors,) = trace.backward.factors
    assert words in factors.sentence and factors.product.value.item() == u**2


def test_vectors_and_single_steps_have_no_factors():
    one = elman.cells["gru"].trace({"x": [[1, 2]]}, GRU_WEIGHTS, cotangents={"h": [1]})
    two = Cell(READ_OUT).trace({"x": [1.0, 2.0]}, READ_OUT_WEIGHTS, cotangents={"y": [0, 1]})
    assert one.backward.factors == two.backward.factors == ()


def test_delays_have_factors_only_where_the_step_before_is_read():
    cell = elman.cells["dilated_rnn"]
    given = asked(cell, 1)
    assert [f.state for f in cell.trace(**given).backward.factors] == ["h_1"]


# ---- speed, and what is refused ----


def test_a_net_of_a_class_is_done_at_once():
    text = elman.library.cells.text("lstm").replace("return h", "y[t] = softmax(V @ h[t] + d)")
    cell, random = Cell(text), np.random.default_rng(0)
    shapes = cell.shapes(input=4, hidden=3, y=4)
    weights = {name: random.normal(size=shapes[name]) for name in cell.parameters}
    given = {"x": random.normal(size=(5, 4))}, weights
    with soon(0.5):
        cell.trace(*given, loss="cross_entropy", target={"y": [1, 0, 2, 3, 0]}, lr=0.1)


def test_cotangents_of_what_is_not_computed_are_refused():
    with pytest.raises(ElmanError, match="computes no 'q'"):
        Cell(READ_OUT).trace({"x": [[1.0]]}, READ_OUT_WEIGHTS, cotangents={"q": [1]})

"""Finite differences; and what must hold besides: threads, blocks of time, memory, axes."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from elman.backends import c_run, call, interpret, numpy_
from elman.library import cells
from tests.backends import table
from tests.backends.table import LIBRARY, STEP, THREADS, Shape, assert_near, cell, data, reference

SMALL = Shape(3, 2, 2)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory full of NaN, and one thread unless a test says otherwise."""
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)


DIFFERENTIABLE = [n for n in table.CELLS if n not in table.STRAIGHT]


@pytest.mark.parametrize("name", table.typical_first(DIFFERENTIABLE))
def test_every_gradient_against_central_differences(name):
    given = data(name, SMALL)
    found = given.gradients(name, "numpy")
    for group, arrays in given.parts().items():
        for each, array in arrays.items():
            if each in cell(name).typed.cell.frozen:
                assert each not in found
                continue
            slopes = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                moved = []
                for step in (STEP, -STEP):
                    changed = np.array(array)
                    changed[place] += step
                    change = {group: {**arrays, each: changed}}
                    moved.append(table.loss(name, given, "numpy", change))
                slopes[place] = (moved[0] - moved[1]) / (2 * STEP)
            key = f"{each}[t-1]" if group == "state" and each in given.inputs else each
            assert np.max(np.abs(found[key] - slopes)) <= 1e-6, each


@pytest.mark.c
@pytest.mark.parametrize("name", table.typical_first([*LIBRARY, "heads", "scaled_rows"]))
def test_two_threads_give_the_bits_of_one(name, monkeypatch):
    dtype = "float32" if name in table.PILOTS else "float64"  # in which it is compiled already
    for shape in THREADS:
        given = data(name, shape)
        results = []
        for threads in (1, 2, 2):
            monkeypatch.setattr(c_run, "thread_count", lambda threads=threads: threads)
            run = given.run(name, "c", dtype)
            results.append({**run.values, **given.gradients(name, "c", dtype)})
        for other in results[1:]:
            for each, array in results[0].items():
                np.testing.assert_array_equal(other[each], array, err_msg=f"{each}, {shape}")


@pytest.mark.c
def test_three_threads_of_two_processors(monkeypatch):
    shape = THREADS[0]
    monkeypatch.setattr(c_run, "thread_count", lambda: 3)
    *_, expected = reference("gru", shape)
    found = data("gru", shape).gradients("gru", "c")
    assert_near(found, expected, table.tolerance("float64", shape.steps, shape.hidden), "3 threads")


@pytest.mark.parametrize("name", ["gru", "antisymmetric_rnn", "delays", "streams", "invariant"])
@pytest.mark.parametrize("block", [1, 3, 64])
def test_blocks_of_the_interpreter(name, block, monkeypatch):
    shape = Shape(63, 5, 3)
    values, final, expected = reference(name, shape)
    for function in ("forward", "gradients"):
        plain = getattr(interpret, function)

        def blocked(*args, plain=plain):
            return plain(*args, block=block)

        monkeypatch.setattr(call.interpret, function, blocked)
    given = data(name, shape)
    run = given.run(name, "numpy")
    most = table.tolerance("float64", shape.steps, shape.hidden)
    assert_near(run.values, values, most, "values")
    assert_near(run.final, final, most, "final states")
    assert_near(given.gradients(name, "numpy"), expected, most, "gradients")


BACKENDS = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("c", marks=pytest.mark.c),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_that_do_not_lie_in_one_piece(backend):
    shape = Shape(7, 4, 3)
    given = data("lstm", shape)

    def scattered(array):
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan)
        wide[..., ::2] = array
        return np.asfortranarray(wide)[..., ::2]

    pieces = {
        group: {name: scattered(a) for name, a in arrays.items()}
        for group, arrays in given.parts().items()
    }
    cotangents = {name: scattered(a) for name, a in given.cotangents.items()}
    values, _, gradients = reference("lstm", shape)
    most = table.tolerance("float64", 7, 3)
    assert_near(given.run("lstm", backend, **pieces).values, values, most, "values")
    found = given.gradients("lstm", backend, **pieces, cotangents=cotangents)
    assert_near(found, gradients, most, "gradients")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_sequence_with_and_without_its_axis(backend):
    gru = Cell(cells.text("gru"))
    given = data("gru", Shape(5, 1, 3))
    alone = gru.run({"x": given.inputs["x"][:, 0]}, given.weights, backend=backend, dtype="float64")
    both = gru.run({"x": given.inputs["x"]}, given.weights, backend=backend, dtype="float64")
    assert alone["h"].shape == (5, 3)
    assert both["h"].shape == (5, 1, 3)
    assert (alone.final["h"].shape, both.final["h"].shape) == ((3,), (1, 3))
    np.testing.assert_array_equal(alone["h"], both["h"][:, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_final_state_alone_has_a_cotangent(backend):
    given = data("gru", Shape(4, 2, 3))
    nothing = {name: np.zeros_like(a) for name, a in given.cotangents.items()}
    expected = given.gradients("gru", "numpy", cotangents=nothing)
    found = given.gradients("gru", backend, cotangents={})
    assert_near(found, expected, table.tolerance("float64", 4, 3), "gradients")


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_no_cotangent_reaches_has_a_gradient_of_zero(backend):
    made = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = V @ h[t] * m[t]")
    inputs = {"x": np.ones((4, 2)), "m": np.ones((4, 5))}
    weights = {"W": np.ones((3, 2)), "U": np.ones((3, 3)), "V": np.ones((5, 3))}
    found = made.gradients(inputs, weights, cotangents={"h": np.ones((4, 3))}, backend=backend)
    assert set(found) == {"x", "m", "W", "U", "V", "h"}
    assert not found["V"].any()
    assert not found["m"].any()
    assert found["m"].shape == (4, 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_constant_may_be_given(backend):
    name = "antisymmetric_rnn"
    given = data(name, Shape(4, 2, 3))
    slow = given.run(name, backend)
    fast = given.run(name, backend, weights={**given.weights, "epsilon": 0.5})
    assert np.max(np.abs(fast["h"] - slow["h"])) > 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_not_a_number_and_infinity_are_not_lost(backend):
    made = Cell(
        "h[t] = max(tanh(x[t]), h[t-1])\nr[t] = relu(x[t])\ns[t] = sigmoid(x[t])\nreturn h, r, s"
    )
    x = np.array([[0.5, 1.0], [np.nan, np.inf], [-np.inf, 0.25]])
    run = made.run({"x": x}, {}, backend=backend)
    assert np.isnan(run["h"][1:, 0]).all()
    np.testing.assert_array_equal(run["h"][1:, 1], [1.0, 1.0])
    np.testing.assert_array_equal(np.isnan(run["r"]), np.isnan(x))
    np.testing.assert_allclose(run["s"][:, 1][[0, 1]], [0.7310585786300049, 1.0])
    assert run["s"][2, 0] <= 1e-300


def test_auto_is_the_reference_for_small_work_and_says_what_it_was():
    assert data("gru", SMALL).run("gru", "auto").backend == "numpy"


def test_the_reference_is_obvious():
    """One cell by hand in NumPy, so that the truth itself has a twin."""
    given = data("gru", Shape(5, 2, 3))
    w, h = given.weights, given.state["h"]
    for x in given.inputs["x"]:
        z = numpy_._sigmoid(x @ w["W_z"].T + h @ w["U_z"].T + w["b_z"])
        r = numpy_._sigmoid(x @ w["W_r"].T + h @ w["U_r"].T + w["b_r"])
        n = np.tanh(x @ w["W_n"].T + (r * h) @ w["U_n"].T + w["b_n"])
        h = z * h + (1 - z) * n
    np.testing.assert_allclose(given.run("gru", "numpy").final["h"], h, rtol=1e-14, atol=1e-15)
    assert cell("gru").outputs == ("z", "r", "n", "h")

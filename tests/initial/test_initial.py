"""Learned initial states, frozen weights, the step's number, and cells that no input counts."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import elman
from elman.errors import ElmanError

LEARNED = """
    h[0] = h0
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
"""
FROM_A_SEQUENCE = """
    v: per sequence
    h[0] = tanh(V @ v + a)
    c[0] = 0.5
    c[t] = 0.9 * c[t-1] + h[t-1]
    h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ v + c[t])
"""
DELAYED = """
    k = 2
    A = U - U.T
    h[0] = A @ s
    h[-1] = k * s
    h[t] = tanh(W @ x[t] + A @ h[t-1] + p * h[t-2])
"""
MATRIX = """
    C: hidden, key
    C[0] = 0.1 * G
    C[t] = 0.9 * C[t-1] + 0.1 * outer(W @ x[t], K @ x[t])
    h[t] = C[t] @ q
"""
FROZEN = """
    W: frozen
    U: hidden, hidden, frozen
    h[0] = U @ a
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    y[t] = V @ h[t]
    return h, y
"""
CLOCKED = """
    h[t] = tanh(W @ x[t] + exp(-t / 4) * (U @ h[t-1])) + where(t % 3 == 0, b, 0)
"""
CELLS = {
    "learned": LEARNED,
    "from a sequence": FROM_A_SEQUENCE,
    "delayed": DELAYED,
    "matrix": MATRIX,
    "frozen": FROZEN,
    "clocked": CLOCKED,
}
BACKENDS = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("c", marks=pytest.mark.c),
]
NUMBERS = {"hidden": 4, "x": 2, "input": 2, "v": 3, "key": 5, "y": 2}


@functools.cache
def cell(name):
    return elman.Cell(CELLS[name], name)


def data(name, steps=5, batch=3):
    made, random = cell(name), np.random.default_rng(0)
    known = made.typed.aliases
    shapes = made.shapes(**{n: v for n, v in NUMBERS.items() if n in known and known[n] == n})
    lead = {"tb": (steps, batch), "b": (batch,)}
    inputs = {
        n: random.uniform(-1, 1, (*lead[made.typed.over[n]], *shapes[n])) for n in made.inputs
    }
    return inputs, {n: random.uniform(-1, 1, shapes[n]) / 2 for n in made.parameters}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CELLS)
def test_every_backend_runs_and_differentiates_the_same(name, backend, dtype):
    inputs, weights = data(name)
    given = {"cotangents": {"h": np.random.default_rng(1).normal(size=(5, 3, 4))}}
    most = 1e-13 if dtype == "float64" else 1e-5
    expected = cell(name).run(inputs, weights, backend="numpy")
    run = cell(name).run(inputs, weights, backend=backend, dtype=dtype)
    for value in expected.values:
        assert np.max(np.abs(run[value] - expected[value])) < most
    slopes = cell(name).gradients(inputs, weights, **given, backend="numpy")
    found = cell(name).gradients(inputs, weights, **given, backend=backend, dtype=dtype)
    assert found.keys() == slopes.keys()
    for value in slopes:
        assert np.max(np.abs(found[value] - slopes[value])) < 20 * most


@pytest.mark.parametrize("name", CELLS)
def test_gradients_against_central_differences(name):
    inputs, weights = data(name, steps=3, batch=2)
    weight = np.random.default_rng(2).normal(size=(3, 2, 4))
    found = cell(name).gradients(inputs, weights, cotangents={"h": weight})
    step = np.finfo(float).eps ** (1 / 3)
    for group in (inputs, weights):
        for key, array in group.items():
            if key in cell(name).frozen:
                assert key not in found
                continue
            slopes = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                moved = []
                for way in (step, -step):
                    changed = array.copy()
                    changed[place] += way
                    given = [{**g, key: changed} if g is group else g for g in (inputs, weights)]
                    moved.append(np.sum(weight * cell(name).run(*given)["h"]))
                slopes[place] = (moved[0] - moved[1]) / (2 * step)
            assert np.allclose(found[key], slopes, atol=1e-7), key


def twin(name, inputs, weights):
    """The initial states by hand."""
    w = {key: np.asarray(a) for key, a in weights.items()}
    if name == "learned":
        return {"h": w["h0"]}
    if name == "from a sequence":
        return {"h": np.tanh(inputs["v"] @ w["V"].T + w["a"]), "c": np.full(4, 0.5)}
    a = w["U"] - w["U"].T
    return {"h": a @ w["s"], "h[t-2]": 2 * w["s"]}


@pytest.mark.parametrize("name", ["learned", "from a sequence", "delayed"])
def test_the_state_before_the_first_step_is_what_its_line_says(name):
    inputs, weights = data(name)
    given = twin(name, inputs, weights)
    expected = cell(name).run(inputs, weights, given)["h"]
    assert np.allclose(cell(name).run(inputs, weights)["h"], expected, rtol=1e-14, atol=1e-14)


def test_a_given_state_wins_name_by_name():
    inputs, weights = data("delayed")
    s = {"h": np.ones(4)}
    expected = cell("delayed").run(inputs, weights, {**twin("delayed", inputs, weights), **s})["h"]
    assert np.array_equal(cell("delayed").run(inputs, weights, s)["h"], expected)
    weight = {"h": np.ones((5, 3, 4))}
    every = {**twin("delayed", inputs, weights), **s}
    found = cell("delayed").gradients(inputs, weights, every, cotangents=weight)
    assert not found["s"].any()  # both given: nothing reads it
    partly = cell("delayed").gradients(inputs, weights, s, cotangents=weight)
    assert partly["s"].any()
    for key in ("h", "h[t-2]"):  # the state's own gradient stands under its key, given or not
        assert np.allclose(partly[key], found[key])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_learned_state_has_the_gradient_of_all_rows(backend):
    inputs, weights = data("learned")
    given = {"cotangents": {"h": np.ones((5, 3, 4))}, "backend": backend}
    found = cell("learned").gradients(inputs, weights, **given)
    assert np.allclose(found["h0"], found["h"].sum(axis=0))
    given_too = cell("learned").gradients(inputs, weights, {"h": weights["h0"]}, **given)
    assert not given_too["h0"].any()
    assert np.allclose(given_too["h"], found["h"])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CELLS)
def test_pieces_of_a_sequence_are_the_sequence(name, backend):
    inputs, weights = data(name, steps=7)
    whole = cell(name).run(inputs, weights, backend=backend)
    state, parts = None, []
    for start, stop in [(0, 3), (3, 4), (4, 7)]:
        piece = {n: a[start:stop] if n == "x" else a for n, a in inputs.items()}
        run = cell(name).run(piece, weights, state, backend=backend)
        state = run.final
        parts.append(run["h"])
    assert np.allclose(np.concatenate(parts), whole["h"], rtol=1e-14, atol=1e-14)


def test_the_step_number_is_a_state_of_its_own():
    inputs, weights = data("clocked")
    assert cell("clocked").run(inputs, weights).final["t"].tolist() == [5, 5, 5]
    single = {"x": inputs["x"][:, 0]}
    later = cell("clocked").run(single, weights, {"t": 2})
    assert later.final["t"] == 7
    t = np.arange(3, 8)
    h = np.zeros(4)
    for k, x in zip(t, single["x"], strict=True):
        h = np.tanh(weights["W"] @ x + np.exp(-k / 4) * (weights["U"] @ h))
        h = h + (weights["b"] if k % 3 == 0 else 0)
        assert np.allclose(later["h"][k - 3], h)


def test_frozen_weights_are_given_and_have_no_gradient():
    made = cell("frozen")
    assert made.frozen == ("U", "W")
    assert set(made.parameters) == {"W", "U", "a", "b", "V"}
    with pytest.raises(ElmanError, match="the weight 'W' is missing"):
        made.run({"x": np.ones((1, 2))}, {})
    assert "d_W" not in made.stage("transpose")
    assert "d_V" in made.stage("transpose")


FIBONACCI = elman.Cell("h: scalar\nh[0] = 1\nh[t] = h[t-1] + h[t-2]", "fibonacci")
ROTATION = elman.Cell("h[t] = R @ h[t-1]\nR: hidden, hidden", "rotation")


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_of_a_cell_without_inputs(backend):
    run = FIBONACCI.run({}, {}, steps=7, backend=backend)
    assert run["h"].tolist() == [1, 2, 3, 5, 8, 13, 21]
    assert run.final["h"] == 21
    found = FIBONACCI.gradients({}, {}, steps=3, cotangents={"h": [0, 0, 1]}, backend=backend)
    assert found == {"h": 3, "h[t-2]": 2}
    r, h = np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    rotated = ROTATION.run({}, {"R": r}, {"h": h}, steps=2, backend=backend)
    assert np.array_equal(rotated["h"], np.stack([h @ r.T, -h]))  # the rows are the state's
    assert np.array_equal(ROTATION.run({}, {"R": r}, {"h": h[0]}, steps=4)["h"][-1], h[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cell_that_reads_nothing_at_all(backend):
    run = elman.Cell("y: scalar\ny[t] = 2", "two").run({}, {}, steps=3, backend=backend)
    assert run["y"].tolist() == [2, 2, 2]
    counted = elman.Cell("y: scalar\ny[t] = t * t", "squares").run({}, {}, steps=3, backend=backend)
    assert counted["y"].tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    ("steps", "code", "words"),
    [
        (None, "E212", "Pass steps=10"),
        (0, "E212", "steps=0 is no number of steps"),
        (2.0, "E212", "steps=2.0"),
        (True, "E212", "steps=True"),
    ],
)
def test_steps_are_a_whole_number(steps, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        FIBONACCI.run({}, {}, steps=steps)
    assert caught.value.code == code


def test_steps_must_be_those_of_the_inputs():
    inputs, weights = data("learned")
    assert len(cell("learned").run(inputs, weights, steps=5)["h"]) == 5
    with pytest.raises(ElmanError, match="x has 5, steps= has 4") as caught:
        cell("learned").run(inputs, weights, steps=4)
    assert caught.value.code == "E211"


def test_a_state_that_starts_with_another_size_is_named():
    with pytest.raises(ElmanError) as caught:
        elman.Cell("h: 3\na: 2\nh[0] = a\nh[t] = tanh(U @ h[t-1] + W @ x[t])")
    assert caught.value.code == "E203"
    assert "a has 2" in str(caught.value) or "a is (2)" in str(caught.value)
    inputs, weights = data("learned")
    with pytest.raises(ElmanError, match="h0"):
        cell("learned").run(inputs, {**weights, "h0": np.ones(7)})


def test_a_trace_shows_what_is_drawn_what_is_learned_and_the_step():
    made = elman.Cell("""
        m: bernoulli(0.5), per sequence
        k: bernoulli(0.25)
        h[0] = 2 * h0
        h[t] = k[t] * (m * h[t-1]) + x[t] / t
    """)
    given = {"x": [[1.0, 2.0], [3.0, 4.0]]}, {"h0": [0.5, 1.0]}
    assert made.trace(*given).to_text().startswith(EVALUATED.strip("\n"))
    trace = made.trace(*given, seed=3)
    run = made.run(*given, seed=3)
    assert np.array_equal(trace.values["h"], run["h"])
    assert "0.25" not in trace.to_text()
    assert "h[0] = 2 * h0" not in made.trace(*given, {"h": [0.0, 0.0]}).to_text()


EVALUATED = """
before step 1
  k = (0.25, 0.25)
  m = (0.5, 0.5)
  h[0] = 2 * h0
       = 2 * (0.5, 1)
       = (1, 2)

step 1
  x[1] = (1, 2)
  h[0] = (1, 2)
  t = 1
"""

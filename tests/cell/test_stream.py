"""A stream does what a run does, step by step, on memory that it keeps."""

from __future__ import annotations

import copy
import functools
import os
import pickle
import threading
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

import elman
from elman.backends import c_compile, c_frozen, turns
from elman.backends.notice import BackendNotice
from tests.backends import table
from tests.backends.table import Shape

ELMAN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
WEIGHTS = {"W": np.array([[0.4, 0.3]]), "U": np.array([[0.5]]), "b": np.array([0.1])}
SHAPES = (Shape(9, 0, 3), Shape(4, 1, 17), Shape(5, 3, 5))
# of every kind something: the pilots, a clock, delays of states and inputs, side inputs, a learned
# first state, frozen weights, masks, scalars, loops inside a step
SOME = (*table.PILOTS, *table.LANGUAGE)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory, and what the steps write to, is full of NaN before each of them."""
    for module in (c_frozen, turns):
        monkeypatch.setattr(module, "POISON", True)


def begun(name: str, shape: Shape, backend: str, **more: Any) -> elman.cell.Stream:
    """A stream on the numbers of the table."""
    given, over = table.data(name, shape), table.cell(name).typed.over
    once = {n: a for n, a in given.inputs.items() if "t" not in over[n]}
    dtype = more.pop("dtype", "float64")
    return table.cell(name).stream(
        given.weights,
        inputs=once,
        batch=shape.batch or None,
        state=given.state,
        sizes=given.sizes,
        dtype=dtype,
        backend=backend,
        **more,
    )


def steps(name: str, shape: Shape, stream: elman.cell.Stream) -> dict[str, np.ndarray]:
    """What the stream returns over all steps, by name."""
    made, inputs = table.cell(name), table.data(name, shape).inputs
    per_step = {n: a for n, a in inputs.items() if "t" in made.typed.over[n]}
    found: dict[str, list[np.ndarray]] = {n: [] for n in made.returns}
    for t in range(shape.steps):
        result = stream.step(**{n: a[t] for n, a in per_step.items()})
        result = result if isinstance(result, tuple) else (result,)
        for n, array in zip(made.returns, result, strict=True):
            found[n].append(array.copy())
    return {n: np.array(arrays) for n, arrays in found.items()}


def check_against_runs(name: str, shape: Shape, backend: str) -> None:
    """The reference's numbers, near; those of a run of the same backend, bit for bit.

    torch's products may add in another order where they have more rows.
    """
    given = table.data(name, shape)
    stream = begun(name, shape, backend)
    found = steps(name, shape, stream)
    values, final, _ = table.reference(name, shape)
    most = table.tolerance("float64", shape.steps, shape.hidden)
    table.assert_near(found, {n: values[n] for n in found}, most, f"{name}, {shape}")
    table.assert_near(stream.state, final, most, f"states of {name}, {shape}")
    if backend == "torch":
        return
    run = given.run(name, backend)
    for n, array in found.items():
        np.testing.assert_array_equal(array, run[n], f"{n} of {name}, {shape}")
    for key, array in stream.state.items():
        np.testing.assert_array_equal(array, run.final[key], f"{key} of {name}, {shape}")


@pytest.mark.c
@pytest.mark.parametrize("name", SOME)
def test_a_stream_in_c_is_a_run(name):
    for shape in SHAPES:
        check_against_runs(name, shape, "c")


@pytest.mark.c
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*table.CELLS} - {*SOME}))
def test_a_stream_of_any_cell_is_a_run(name):
    for shape in SHAPES:
        check_against_runs(name, shape, "c")


@pytest.mark.parametrize("name", [n for k, n in enumerate(table.CELLS) if k % 6 == 0])
def test_a_stream_in_numpy_is_a_run(name):
    for shape in SHAPES[::2]:
        check_against_runs(name, shape, "numpy")


@pytest.mark.torch
def test_a_stream_in_torch_is_a_run():
    check_against_runs("lstm", SHAPES[2], "torch")


@pytest.mark.c
@pytest.mark.parametrize("name", ["lstm", "gru", "layer_norm_lstm", "antisymmetric_rnn"])
def test_float32_has_the_bits_of_a_run(name):
    shape = Shape(40, 1, 17)
    found = steps(name, shape, begun(name, shape, "c", dtype="float32"))
    run = table.data(name, shape).run(name, "c", "float32")
    for n, array in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, run[n])


@pytest.mark.c
def test_two_threads_give_the_same_bits():
    shape = Shape(5, 7, 300)
    one, two = (steps("gru", shape, begun("gru", shape, "c", threads=k)) for k in (1, 2))
    for n, array in one.items():
        np.testing.assert_array_equal(array, two[n])


def both(test: Any) -> Any:
    """A test on compiled code and without a compiler."""
    backends = [pytest.param("c", marks=pytest.mark.c), "numpy"]
    return pytest.mark.parametrize("backend", backends)(test)


@functools.cache
def cell(text: str = ELMAN) -> elman.Cell:
    return elman.Cell(text)


@both
def test_what_a_step_returns_is_the_streams_own(backend):
    stream = cell().stream(WEIGHTS, backend=backend)
    first = stream.step([1, 2])
    assert first.shape == (1,)
    kept = first.copy()
    for _ in range(2):
        stream.step([1.5, 2.5])
    assert first != kept  # written over, one step later or two
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


@both
def test_copies_are_kept(backend):
    stream = cell().stream(WEIGHTS, backend=backend, copy=True)
    found = np.array([stream.step(x) for x in ([1, 2], [1.5, 2.5], [0, 1])])
    run = cell().run({"x": [[1, 2], [1.5, 2.5], [0, 1]]}, WEIGHTS, backend=backend)
    np.testing.assert_array_equal(found, run["h"])
    stream.step([1, 2])[0] = 7.0  # the user's own
    assert stream.state["h"] != 7


@both
def test_a_stream_begins_anew(backend):
    stream = cell().stream(WEIGHTS, state={"h": [0.25]}, backend=backend, copy=True)
    first = [stream.step([1, 2]), stream.step([2, 1])]
    assert stream.steps == 2
    stream.reset()
    assert stream.steps == 0
    assert stream.state["h"] == 0.25
    np.testing.assert_array_equal([stream.step([1, 2]), stream.step([2, 1])], first)
    stream.step([3, 3])  # an odd number of steps: the other turn
    stream.reset({"h": [0.0]})
    np.testing.assert_array_equal(
        stream.step([1, 2]), cell().run({"x": [[1, 2]]}, WEIGHTS, backend=backend)["h"][0]
    )
    stream.reset()
    np.testing.assert_array_equal(stream.step([1, 2]), first[0])


@both
def test_a_state_goes_from_a_stream_to_a_run_and_back(backend):
    stream = cell().stream(WEIGHTS, backend=backend)
    X = np.array([[1, 2], [1.5, 2.5], [0, 1]])
    stream.step(X[0])
    kept = stream.state
    stream.step(X[1])
    assert kept["h"] != stream.state["h"]  # a copy
    run = cell().run({"x": X[1:]}, WEIGHTS, kept, backend=backend)
    again = cell().stream(WEIGHTS, state=kept, backend=backend, copy=True)
    np.testing.assert_array_equal([again.step(x) for x in X[1:]], run["h"])
    stream.reset(run.final)
    assert stream.state["h"] == run.final["h"]


@both
def test_weights_and_states_are_read_once(backend):
    weights = {name: a.copy() for name, a in WEIGHTS.items()}
    state = {"h": np.array([0.5])}
    stream = cell().stream(weights, state=state, backend=backend, copy=True)
    first = stream.step([1, 2])
    for array in (*weights.values(), *state.values()):
        array[...] = 9
    stream.reset()
    np.testing.assert_array_equal(stream.step([1, 2]), first)


LEARNED = "h[0] = tanh(V @ v)\nh[t] = tanh(W @ x[t] + U @ h[t-1]) + v\nv: per sequence\nreturn h"


@both
@pytest.mark.parametrize("batch", [None, 3])
def test_inputs_of_a_whole_sequence_are_given_once(backend, batch):
    made = cell(LEARNED)
    rng = np.random.default_rng(0)
    weights = {n: rng.normal(size=s) for n, s in made.shapes(x=2, hidden=4).items() if n in "VWU"}
    rows = () if batch is None else (batch,)
    one, other = rng.normal(size=(2, *rows, 4))
    X = rng.normal(size=(5, *rows, 2))

    def run(v: np.ndarray) -> np.ndarray:
        return made.run({"x": X, "v": v}, weights, backend=backend)["h"]

    stream = made.stream(weights, inputs={"v": one}, batch=batch, backend=backend, copy=True)
    given = one.copy()
    one[...] = 0  # read once
    np.testing.assert_array_equal([stream.step(x) for x in X], run(given))
    stream.reset(v=other)
    np.testing.assert_array_equal([stream.step(x) for x in X], run(other))
    stream.reset()
    np.testing.assert_array_equal([stream.step(x) for x in X], run(other))
    start = rng.normal(size=(*rows, 4))
    stream.reset({"h": start}, v=given)
    expected = made.run({"x": X, "v": given}, weights, {"h": start}, backend=backend)["h"]
    np.testing.assert_array_equal([stream.step(x) for x in X], expected)
    stream.reset()
    np.testing.assert_array_equal([stream.step(x) for x in X], run(given))


@both
def test_whatever_is_array_like_is_taken(backend):
    stream = cell().stream({n: a.astype("f4") for n, a in WEIGHTS.items()}, backend=backend)
    assert repr(stream) == f"<Stream of {cell().name} on {backend}: float32>"
    expected = stream.step(np.array([1, 2], "f4")).copy()
    every_other = np.array([1, 0, 2, 0], "f4")[::2]
    given = [[1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1.0, 2.0]), every_other]
    given += [np.array([1, 2], "f2"), np.array([1.0, 2.0]).astype(">f8")]
    for x in given:
        stream.reset()
        np.testing.assert_array_equal(stream.step(x), expected)
        stream.reset()
        np.testing.assert_array_equal(stream.step(x=x), expected)


@pytest.mark.torch
@both
def test_tensors_are_taken(backend):
    import torch

    weights = {n: torch.nn.Parameter(torch.tensor(a).float()) for n, a in WEIGHTS.items()}
    stream = cell().stream(weights, backend=backend)
    found = stream.step(torch.tensor([1.0, 2.0]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.8005], atol=1e-4)


@both
def test_numbers_are_taken_where_the_size_is_one(backend):
    text = "y[t] = a * y[t-1] + (1 - a) * x[t]"
    stream = cell(f"{text}\na: scalar\nx: scalar\ny: scalar").stream({"a": 0.5}, backend=backend)
    found = stream.step(2)
    assert found.shape == () and float(found) == 1.0
    assert float(stream.step(np.float32(1))) == 1.0
    assert float(stream.step(np.array(0.0))) == 0.5
    assert stream.state["y"].shape == ()
    wide = cell(text).stream({"a": [0.5]}, backend=backend)
    assert wide.step(2.0).tolist() == [1.0]
    assert wide.step([2]).tolist() == [1.5]
    rows = cell(text).stream({"a": [0.5]}, batch=2, backend=backend)
    assert rows.step([2, 4]).tolist() == [[1.0], [2.0]]


@both
def test_several_inputs_and_outputs(backend):
    text = "z[t] = sigmoid(W @ x[t] + m[t])\nh[t] = z[t] * h[t-1] + u[t]\nreturn h, z"
    made = cell(f"{text}\nm: scalar, per step")
    rng = np.random.default_rng(1)
    W, x, u, m = (rng.normal(size=s) for s in ((3, 2), (4, 5, 2), (4, 5, 3), (4,)))
    stream = made.stream({"W": W}, batch=5, backend=backend, copy=True)
    run = made.run({"x": x, "u": u, "m": m}, {"W": W}, backend=backend)
    for t in range(4):
        h, z = stream.step(x[t], u=u[t], m=m[t]) if t % 2 else stream.step(x=x[t], m=m[t], u=u[t])
        np.testing.assert_array_equal(h, run["h"][t])
        np.testing.assert_array_equal(z, run["z"][t])


@both
def test_cells_without_an_input_and_that_count_their_steps(backend):
    made = cell("h[t] = U @ h[t-1] + t * b")
    U, b = np.array([[0.5, 0.1], [0.2, 0.4]]), np.ones(2)
    stream = made.stream({"U": U, "b": b}, backend=backend, copy=True)
    run = made.run({}, {"U": U, "b": b}, steps=6, backend=backend)
    np.testing.assert_array_equal([stream.step() for _ in range(6)], run["h"])
    assert stream.state["t"] == 6
    stream.reset()
    np.testing.assert_array_equal(stream.step(), run["h"][0])
    rows = made.stream({"U": U, "b": b}, batch=3, state={"h": np.eye(3)[:, :2]}, backend=backend)
    expected = made.run({}, {"U": U, "b": b}, {"h": np.eye(3)[:, :2]}, steps=1, backend=backend)
    np.testing.assert_array_equal(rows.step(), expected["h"][0])
    same = made.stream({"U": U, "b": b}, batch=3, backend=backend)
    np.testing.assert_array_equal(same.step(), np.tile(run["h"][0], (3, 1)))


@both
def test_what_does_not_vary_is_shown_in_full(backend):
    text = "A = 2 * W\nc[t] = 3 * m[t]\nd[t] = v * 2\nh[t] = A @ x[t] + h[t-1]"
    made = cell(f"{text}\nm: scalar, per step\nv: scalar, per sequence\nreturn h, c, d")
    given = {"x": np.ones((2, 3, 2)), "m": np.array([1.0, 2.0]), "v": np.arange(3.0)}
    stream = made.stream({"W": np.eye(2)}, inputs={"v": given["v"]}, batch=3, backend=backend)
    run = made.run(given, {"W": np.eye(2)}, backend=backend)
    for t in range(2):
        found = stream.step(given["x"][t], m=given["m"][t])
        for name, array in zip(("h", "c", "d"), found, strict=True):
            np.testing.assert_array_equal(array, run[name][t], name)


@both
def test_what_is_random_has_its_mean_and_remembers_the_steps_of_a_training_run(backend):
    made = cell(f"{ELMAN} * m[t]\nm: bernoulli(0.5)")
    X = np.ones((3, 2))
    trained = made.run({"x": X}, WEIGHTS, seed=3, backend=backend)
    assert trained.final["t"] == 3
    stream = made.stream(WEIGHTS, state=trained.final, backend=backend)
    run = made.run({"x": X[:1]}, WEIGHTS, trained.final, backend=backend)
    np.testing.assert_array_equal(stream.step(X[0]), run["h"][0])
    assert {key: a.tolist() for key, a in stream.state.items()} == {
        key: a.tolist() for key, a in run.final.items()
    }
    plain = made.stream(WEIGHTS, backend=backend)
    plain.step(X[0])
    assert "t" not in plain.state


@both
def test_constants_may_be_given(backend):
    made = cell("k = 2\nh[t] = k * h[t-1] + x[t]")
    stream = made.stream({"k": 3}, sizes={"input": 1}, backend=backend)
    stream.step(1)
    assert stream.step(1).tolist() == [4.0]


def test_the_dtype_is_that_of_the_weights():
    single = {name: a.astype("f4") for name, a in WEIGHTS.items()}
    for weights, dtype, expected in (
        (WEIGHTS, None, "float64"),
        (single, None, "float32"),
        ({**single, "b": 0.1}, None, "float32"),  # numbers follow the arrays
        ({**single, "U": WEIGHTS["U"]}, None, "float64"),
        ({"W": [0.4, 0.3], "U": 0.5, "b": 0.1}, None, "float64"),
        (WEIGHTS, "float32", "float32"),
        (single, np.float64, "float64"),
    ):
        stream = cell().stream(weights, dtype=dtype, backend="numpy")
        assert stream.step([1, 2]).dtype == expected
        assert stream.state["h"].dtype == expected


def test_without_a_compiler_numpy_serves_and_says_so(monkeypatch):
    monkeypatch.setattr(c_compile, "trouble", lambda: "no C compiler was found")
    with pytest.warns(BackendNotice, match=r"no C compiler.*numpy backend serves") as caught:
        stream = cell().stream(WEIGHTS)
    assert caught[0].filename == __file__
    assert stream.backend == "numpy"
    np.testing.assert_allclose(stream.step([1, 2]), [0.8005], atol=1e-4)


@pytest.mark.c
def test_auto_is_compiled_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cell().stream(WEIGHTS).backend == "c"


@pytest.mark.c
def test_a_step_allocates_no_memory():
    stream = cell().stream(WEIGHTS)
    x = np.array([1.0, 2.0])
    for _ in range(300):  # whole numbers up to 256 are there already
        stream.step(x)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        stream.step(x)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now - before < 200  # the number of steps, and the loop's own variables
    assert peak - before < 1000  # an array takes 112 bytes and its numbers


def test_an_interrupted_step_is_not_a_step(monkeypatch):
    stream = cell().stream(WEIGHTS, backend="numpy", copy=True)
    first = stream.step([1, 2])
    before = stream.state["h"]

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(turns.calls, "run", interrupted)
        stream.step([1, 2])
    assert stream.steps == 1
    assert stream.state["h"] == before == first


@both
def test_a_refused_step_changes_nothing(backend):
    made = cell("h[t] = tanh(W @ x[t] + U @ h[t-1]) + u[t]")
    weights = {"W": np.ones((1, 2)), "U": np.ones((1, 1))}
    stream = made.stream(weights, backend=backend, copy=True)
    stream.step([1, 2], u=1)
    for wrong in ({"u": [1, 2]}, {}, {"u": 1, "m": 2}):
        with pytest.raises(elman.ElmanError):
            stream.step([9, 9], **wrong)
    found = stream.step([2, 1], u=0)
    run = made.run({"x": [[1, 2], [2, 1]], "u": [[1], [0]]}, weights, backend=backend)
    np.testing.assert_array_equal(found, run["h"][1])


def test_nan_and_infinity_go_through():
    stream = cell().stream(WEIGHTS, backend="numpy")
    assert np.isnan(stream.step([np.nan, 0]))
    assert np.isnan(stream.step([0, 0]))
    stream.reset()
    assert stream.step([np.inf, 0]) == 1


def test_a_stream_is_not_copied():
    stream = cell().stream(WEIGHTS, backend="numpy")
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"cell\.stream\(weights, state=stream\.state\)"):
            way(stream)


@pytest.mark.c
def test_two_streams_of_one_cell_in_two_threads():
    made, rng = table.cell("gru"), np.random.default_rng(0)
    shape = Shape(200, 0, 17)
    given = table.data("gru", shape)
    X = rng.normal(size=(2, 3000, given.inputs["x"].shape[-1]))
    found: dict[int, np.ndarray] = {}

    def work(k: int) -> None:
        stream = made.stream(given.weights, sizes=given.sizes, backend="c")
        for x in X[k]:
            last = stream.step(x)
        found[k] = np.array(last[-1] if isinstance(last, tuple) else last)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for k in range(2):
        run = made.run({"x": X[k]}, given.weights, sizes=given.sizes, backend="c")
        np.testing.assert_array_equal(found[k], run[made.returns[-1]][-1])


@pytest.mark.c
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_stream_of_two_threads_goes_on_in_the_child_of_a_fork():
    shape = Shape(3, 7, 300)
    stream = begun("gru", shape, "c", threads=2)
    expected = steps("gru", shape, stream)
    stream.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork beside threads, by Python and by JAX
        child = os.fork()
    if child == 0:
        same = steps("gru", shape, stream)
        os._exit(0 if all((same[n] == expected[n]).all() for n in expected) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0

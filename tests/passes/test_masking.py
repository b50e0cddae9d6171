"""Lengths and resets: every cell against each of its sequences run alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import elman
from elman.backends import call as calls
from elman.ir.check import holds
from elman.passes.analysis import _phases, analyse
from elman.passes.derive import derive
from elman.passes.masking import MASKS, masked
from elman.passes.system import system_of
from tests.backends import table
from tests.backends.table import CELLS, PILOTS, Shape, assert_near, cell, difference
from tests.passes.lengths_alone import alone, padded

STEPS, BATCH = 5, 4
LENGTHS = np.array([5, 0, 3, 1])
# at the first step and later, in the last step, behind a length, in an empty sequence
RESET = np.zeros((STEPS, BATCH), bool)
RESET[[0, 2, 4, 1, 4, 0, 0], [0, 0, 0, 2, 2, 3, 1]] = True
NO_RESET = np.zeros_like(RESET)
ALL_STEPS = np.full(BATCH, STEPS)
KINDS = {
    "lengths": (LENGTHS, None),
    "reset": (None, RESET),
    "both": (LENGTHS, RESET),
}
COMPILED = (  # a compilation each: what the others are made of
    *("lstm", "gru", "rnn", "lstm_peephole", "layer_norm_lstm", "mlstm", "zoneout_lstm"),
    *("delays", "streams", "scalars", "masks_starts_and_steps", "lru", "skip_rnn"),
)


def check(name, backend, shape, lengths, reset, padding=np.nan, dtype="float64"):
    made, given = cell(name), table.data(name, shape)
    every = np.full(shape.batch, shape.steps) if lengths is None else lengths
    never = np.zeros((shape.steps, shape.batch), bool) if reset is None else reset
    expected = alone(made, given, every, never)
    data = padded(made, given, every, padding)
    call = {"lengths": lengths, "reset": reset, "sizes": given.sizes, "dtype": dtype}
    if not made.inputs:
        call["steps"] = shape.steps
    groups = data.inputs, data.weights, data.state
    run = made.run(*groups, **call, backend=backend)
    found = made.gradients(
        *groups, cotangents=data.cotangents, final=data.final, **call, backend=backend
    )
    most = table.tolerance(dtype, shape.steps, shape.hidden)
    assert_near(run.values, expected.values, most, "values")
    assert_near(run.final, expected.final, most, "final states")
    assert_near(found, expected.gradients, most, "gradients")
    for t, row in np.argwhere(np.arange(shape.steps)[:, None] >= every):
        assert all((a[t, row] == 0).all() for a in run.values.values())
        streams = [n for n in made.inputs if made.typed.over[n] == "tb"]
        assert all((found[n][t, row] == 0).all() for n in streams)


def rows():
    """Every cell with both; what has one of them alone, of other cells than the pilots, is slow."""
    for name in CELLS:
        for kind in KINDS:
            slow = kind != "both" and name not in PILOTS
            yield pytest.param(name, kind, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("name", "kind"), list(rows()))
def test_every_cell_is_its_sequences_alone(name, kind):
    check(name, "numpy", Shape(STEPS, BATCH, 3), *KINDS[kind])


@pytest.mark.torch
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", dict.fromkeys((*PILOTS, *COMPILED, "delta_rule")))
def test_the_torch_backend(name, kind):
    check(name, "torch", Shape(STEPS, BATCH, 3), *KINDS[kind])


@pytest.mark.c
@pytest.mark.parametrize("name", COMPILED)
def test_the_c_backend(name):
    for shape in (Shape(STEPS, BATCH, 3), Shape(STEPS, BATCH, 17)):
        check(name, "c", shape, *KINDS["both"])


@pytest.mark.c
@pytest.mark.parametrize("kind", ["lengths", "reset"])
def test_the_c_backend_with_one_of_them(kind):
    check("lstm", "c", Shape(STEPS, BATCH, 17), *KINDS[kind])


@pytest.mark.c
def test_several_blocks_of_time_and_threads():
    shape = Shape(40, 32, 17)
    random = np.random.default_rng(0)
    lengths = random.integers(0, shape.steps + 1, shape.batch)
    check("gru", "c", shape, lengths, random.random((shape.steps, shape.batch)) < 0.1)


@pytest.mark.parametrize("steps", [1, 2, 7, 12])
@pytest.mark.parametrize("name", ["lstm", "delays", "masks_starts_and_steps", "matrix_memory"])
def test_drawn_lengths_and_resets(name, steps):
    random = np.random.default_rng(steps)
    for chance in (0.1, 0.5, 1.0):
        lengths = random.integers(0, steps + 1, 6)
        lengths[:2] = 0, steps
        check(name, "numpy", Shape(steps, 6, 2), lengths, random.random((steps, 6)) < chance)


@pytest.mark.parametrize("padding", [np.inf, -np.inf, 0.0, 1e300, -1.0])
@pytest.mark.parametrize("name", ["lstm", "hidden_markov_model", "delta_rule", "gru_d", "powers"])
def test_nothing_depends_on_the_padding(name, padding):
    with np.errstate(over="ignore"):
        check(name, "numpy", Shape(STEPS, BATCH, 3), LENGTHS, None, padding)


SEVERAL = [(name, kind) for name in (*PILOTS, "qrnn", "min_gru") for kind in ("lengths", "reset")]


@pytest.mark.parametrize(("name", "kind"), [*((name, "both") for name in CELLS), *SEVERAL])
def test_no_product_waits_for_a_mask(name, kind):
    """As many phases a step as without; a cell that is linear in its states stays linear.

    But that a delay of an input, `x[t-1]`, keeps its value behind a length: it hears itself then.
    """
    plain = calls.evaluation(cell(name).typed.cell)
    lengths, reset = KINDS[kind]
    made = masked(plain, (), lengths=lengths is not None, resets=reset is not None)
    carries = [system_of(each).carries for each in (plain, made)]
    before, after = (_phases(each, [c.key for c in each]) for each in carries)
    assert after == before
    if lengths is None or not set(cell(name).states) & set(cell(name).inputs):
        one, other = analyse(plain), analyse(made)
        assert (other.linear, other.diagonal, other.phases) == (
            *(one.linear, one.diagonal, one.phases),
        )
    derived = derive(holds(made), made.returns)
    assert {c.key for c in derived.forward.carries} == set(cell(name).states)


def test_a_run_without_them_is_as_it_was():
    made, given = cell("lstm"), table.data("lstm", Shape(STEPS, BATCH, 3))
    request = calls.Request(given.inputs, given.weights, given.state)
    call = calls.prepare(made.typed, made._reading.cell, request, made._spell)
    assert call.cell is calls.evaluation(made.typed.cell)
    assert not set(MASKS) & set(call.arrays)


def test_all_steps_and_no_reset_is_a_run_without_them():
    made, given = cell("lstm_peephole"), table.data("lstm_peephole", Shape(STEPS, BATCH, 3))
    groups = given.inputs, given.weights, given.state
    plain = made.run(*groups, backend="numpy")
    for more in ({"lengths": ALL_STEPS}, {"reset": NO_RESET}, {"reset": NO_RESET.astype(int)}):
        run = made.run(*groups, **more, backend="numpy")
        assert difference(run.values, plain.values) == dict.fromkeys(plain.values, 0.0)
        assert difference(run.final, plain.final) == dict.fromkeys(plain.final, 0.0)


MEAN = "h[t] = h[t-1] + (x[t] - h[t-1]) / t"  # the running mean


def test_steps_are_counted_from_where_a_sequence_begins():
    made = elman.Cell(MEAN)
    x = [[2.0], [4.0], [9.0], [1.0], [3.0]]
    run = made.run({"x": x}, {}, reset=[0, 0, 1, 0, 0])
    assert run["h"].ravel().tolist() == [2, 3, 9, 5, 13 / 3]
    assert run.final["t"] == 3
    short = made.run({"x": x}, {}, lengths=2)
    assert short["h"].ravel().tolist() == [2, 3, 0, 0, 0]
    assert short.final["t"] == 2
    again = made.run({"x": x[2:]}, {}, short.final)
    assert again["h"][0] == 5


def test_a_reset_takes_the_line_before_the_first_step_and_not_the_state_given():
    made = elman.Cell("h[0] = h0\nh[t] = h[t-1] + x[t]")
    data = {"x": np.ones((4, 1))}, {"h0": [10.0]}, {"h": [100.0]}
    assert made.run(*data)["h"].ravel().tolist() == [101, 102, 103, 104]
    found = made.run(*data, reset=[False, False, True, False])["h"]
    assert found.ravel().tolist() == [101, 102, 11, 12]
    found = made.run(*data, reset=[True, False, False, False])["h"]
    assert found.ravel().tolist() == [11, 12, 13, 14]
    got = made.gradients(*data, cotangents={"h": np.ones((4, 1))}, reset=[0, 0, 1, 0])
    assert (got["h0"], got["h"]) == (2, 2)
    got = made.gradients(*data, cotangents={"h": np.ones((4, 1))}, reset=[1, 0, 0, 0])
    assert (got["h0"], got["h"]) == (4, 0)


def test_a_delay_begins_at_zero_again():
    made = elman.Cell("h[t] = x[t] + 10 * x[t-1] + 100 * x[t-2]")
    x = np.arange(1.0, 7.0)[:, None]
    found = made.run({"x": x}, {}, reset=[0, 0, 0, 1, 0, 0])["h"].ravel()
    assert found.tolist() == [1, 12, 123, 4, 45, 456]


def test_a_state_that_is_put_back_at_once_reaches_nothing():
    made = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])")
    weights = {"W": np.ones((3, 2)), "U": np.eye(3)}
    x, nothing = np.ones((2, 2, 2)), np.full((2, 3), np.nan)
    reset = np.array([[1, 1], [0, 0]])
    found = made.gradients(
        {"x": x}, weights, {"h": nothing}, reset=reset, cotangents={"h": np.ones((2, 2, 3))}
    )
    fresh = made.gradients({"x": x}, weights, cotangents={"h": np.ones((2, 2, 3))})
    assert (found.pop("h") == 0).all()
    assert_near(found, {n: fresh[n] for n in found}, 1e-15, "gradients")


RANDOM = "k: bernoulli(0.5)\nh[t] = k[t] * h[t-1] + (1 - k[t]) * tanh(W @ x[t] + U @ h[t-1])"
CLOCKED = RANDOM + " + t"


@pytest.mark.parametrize("text", [RANDOM, CLOCKED])
def test_random_draws_are_those_of_the_whole_batch(text):
    made = elman.Cell(text)
    random = np.random.default_rng(0)
    weights = {"W": random.normal(size=(3, 2)), "U": random.normal(size=(3, 3))}
    x = random.normal(size=(STEPS, BATCH, 2))
    whole = made.run({"x": x}, weights, seed=3)["h"]
    run = made.run({"x": x}, weights, seed=3, lengths=LENGTHS)
    within = np.arange(STEPS)[:, None] < LENGTHS
    assert (run["h"][within] == whole[within]).all()
    assert (run["h"][~within] == 0).all()
    # what goes on draws what nothing has drawn yet, though the first sequence is a short one
    first = made.run({"x": x[:, ::-1]}, weights, seed=3, lengths=LENGTHS[::-1])
    more = made.run({"x": x[:, ::-1]}, weights, first.final, seed=3)["h"]
    twice = made.run({"x": np.concatenate([x, x])[:, ::-1]}, weights, seed=3)["h"]
    np.testing.assert_allclose(more[:, 3], twice[STEPS:, 3], rtol=1e-12)  # it has every step


def leaves(made: elman.Cell, lengths: bool, resets: bool) -> set[str]:
    cell = masked(made.typed.cell, (), lengths=lengths, resets=resets)
    return {n.attr.name for n in cell.leaves} & set(MASKS)


def test_only_what_is_asked_for_is_read():
    plain, streams = elman.Cell(MEAN), cell("streams")
    assert leaves(plain, True, False) == {"step within length"}
    assert leaves(plain, False, True) == {"begins anew"}
    assert leaves(streams, True, True) == set(MASKS)


def test_unbatched_and_batched_say_the_same():
    made, given = cell("gru"), table.data("gru", Shape(STEPS, 0, 3))
    batch = table.data("gru", Shape(STEPS, 1, 3))
    for length, row in itertools.product((0, 2, STEPS), (RESET[:, 0], NO_RESET[:, 0])):
        one = made.run(given.inputs, given.weights, lengths=length, reset=row, sizes=given.sizes)
        inputs = {n: a[:, None] for n, a in given.inputs.items()}
        same = replace(batch, inputs=inputs, weights=given.weights)
        more = {"lengths": [length], "reset": row[:, None], "sizes": given.sizes}
        other = made.run(same.inputs, same.weights, **more)
        assert all((one[n] == other[n][:, 0]).all() for n in made.outputs)
        assert all((one.final[n] == other.final[n][0]).all() for n in made.states)


def test_float32():
    check("lstm", "numpy", Shape(STEPS, BATCH, 3), LENGTHS, RESET, dtype="float32")


def test_lists_and_float_numbers_serve():
    made = elman.Cell(MEAN)
    x = np.ones((3, 2, 1))
    one = made.run({"x": x}, {}, lengths=[2, 3], reset=[[0, 0], [1, 0], [0, 1]])
    other = made.run({"x": x}, {}, lengths=np.array([2.0, 3.0]), reset=RESET[:3, :2] * 0.0)
    assert one["h"].shape == other["h"].shape

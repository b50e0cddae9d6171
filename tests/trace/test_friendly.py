"""Numbers drawn for a cell that a person can work with."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from elman import Cell
from elman.cell.friendly import LIMITS, Numbers, friendly
from elman.errors import ElmanError
from elman.language.syntax import Call, fold
from tests.trace.examples import EXAMPLES, I_LOVE_DEEP, NEXT_WORD, NEXT_WORD_WEIGHTS

RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"


def plain(numbers):
    return {
        group: {name: np.asarray(a).tolist() for name, a in getattr(numbers, group).items()}
        for group in ("inputs", "weights", "state")
    }


@pytest.mark.parametrize("name", elman.cells)
def test_every_cell_of_the_library_gets_numbers_with_one_decimal_and_no_zeros(name):
    cell = elman.cells[name]
    found = friendly(cell, 1)
    assert set(found.inputs) == set(cell.inputs) and set(found.weights) == set(cell.parameters)
    for a in found.weights.values():
        assert np.allclose(a * 10, np.round(a * 10), atol=1e-12)
        assert a.size and np.all((np.abs(a) >= 0.1) & (np.abs(a) <= 0.9))
    for a in found.inputs.values():
        assert np.isin(np.abs(a), [0.5, 1, 1.5, 2]).all()
    trace = found.trace(cell)
    assert len(trace.steps) == 2
    assert all(np.isfinite(value).all() for value in trace.values.values())


@pytest.mark.parametrize("name", ["gru", "lstm", "lstm_peephole", "rnn", "mgu", "indrnn"])
def test_no_gate_is_saturated(name):
    cell = elman.cells[name]
    for seed in range(20):
        trace = friendly(cell, seed).trace(cell)
        for line in (line for step in trace.steps for line in step.lines):
            parts = []
            fold(line.expr, lambda part, _, parts=parts: parts.append(part))
            for part, value in zip(parts, line.values, strict=True):
                if isinstance(part, Call) and part.function in LIMITS:
                    low, high = LIMITS[part.function]
                    assert np.all((value >= low) & (value <= high)), seed


def test_one_seed_the_same_numbers_another_seed_others():
    cell = elman.cells["gru"]
    assert plain(friendly(cell, 7)) == plain(friendly(cell, 7)) != plain(friendly(cell, 8))


def test_what_is_given_stays_and_what_is_missing_is_drawn():
    given = Numbers(inputs={"x": [[1, 2, 3], [4, 5, 6]]}, weights={"U": 0.5}, state={"h": [0.25]})
    found = friendly(Cell(RNN), 3, given)
    assert found.inputs["x"] == given.inputs["x"] and found.weights["U"] == 0.5
    assert found.weights["W"].shape == (1, 3) and found.weights["b"].shape == (1,)
    assert found.state == {"h": [0.25]}
    assert len(found.trace(Cell(RNN)).steps) == 2


def test_sizes_are_those_given_else_two():
    cell = Cell(RNN)
    assert friendly(cell, 1).weights["W"].shape == (2, 2)
    assert friendly(cell, 1, Numbers(sizes={"hidden": 3})).weights["W"].shape == (3, 2)
    assert friendly(cell, 1, Numbers(weights={"b": [0, 0, 0]})).weights["U"].shape == (3, 3)
    joined = Cell("h[t] = tanh(W @ [h[t-1], x[t]])")
    assert friendly(joined, 1).weights["W"].shape == (2, 4)
    assert friendly(joined, 1, Numbers(sizes={"input": 3})).weights["W"].shape == (2, 5)
    assert friendly(joined, 1, Numbers(weights={"W": [[1, 2, 3, 4, 5]]})).inputs["x"].shape == (
        2,
        4,
    )


def test_steps_are_those_of_an_input_else_as_asked_for_else_two():
    cell = Cell("h[t] = tanh(u[t] + x[t])")
    found = friendly(cell, 1, Numbers(inputs={"u": [[1.0]] * 5}))
    assert found.inputs["x"].shape == (5, 1)
    assert friendly(cell, 1, Numbers(steps=4)).inputs["x"].shape[0] == 4
    counter = Cell("h: scalar\nh[t] = 0.5 * h[t-1] + w\nw: scalar")
    assert len(friendly(counter, 1, Numbers(steps=3)).trace(counter).steps) == 3


def test_streams_that_vary_over_less():
    cell = Cell("v: per sequence\nm: scalar, per step\nh[t] = m[t] * (W @ x[t]) + v[t] * h[t-1]")
    found = friendly(cell, 1)
    assert {n: a.shape for n, a in found.inputs.items()} == {"m": (2,), "x": (2, 2), "v": (2,)}
    assert len(found.trace(cell).steps) == 2


def test_when_all_are_given_all_are_new_in_the_same_shapes():
    example = EXAMPLES["3_lstm"]
    cell = elman.cells["lstm"]
    given = Numbers(example.inputs, example.weights)
    found = friendly(cell, 1, given)
    assert found.inputs["x"].shape == (1, 2) and found.weights["W_f"].shape == (1, 2)
    assert found.weights["W_f"].ravel().tolist() != example.weights["W_f"]
    assert found.weights["b_c"].tolist() == [0.0], "a bias that is left out stays so"


def test_one_hot_stays_one_hot_and_zeros_of_a_state_stay_zero():
    given = Numbers({"x": I_LOVE_DEEP}, NEXT_WORD_WEIGHTS, {"h": [0, 0, 0]})
    drawn = [friendly(Cell(NEXT_WORD), seed, given) for seed in range(5)]
    for found in drawn:
        x = found.inputs["x"]
        assert x.shape == (3, 5) and sorted(set(x.ravel())) == [0, 1]
        assert x.sum(axis=1).tolist() == [1, 1, 1]
        assert found.state["h"].tolist() == [0, 0, 0]
    assert len({str(found.inputs["x"].tolist()) for found in drawn}) > 1


def test_zeros_and_ones_stay_such_and_other_states_are_drawn():
    cell = Cell("h[t] = m[t] * h[t-1] + x[t]")
    given = Numbers({"m": [[1], [1], [0]], "x": [[2], [3], [4]]}, {}, {"h": [0.7]})
    found = friendly(cell, 2, given)
    assert set(found.inputs["m"].ravel()) <= {0, 1}
    assert abs(found.state["h"].item()) in (0.5, 1)


def test_constants_and_frozen_weights_are_not_drawn():
    cell = Cell("alpha = 0.5\nP: frozen\nh[t] = alpha * (P @ h[t-1]) + W @ x[t]")
    given = Numbers({"x": [[1, 2]]}, {"alpha": 0.25, "P": [[0, 1], [1, 0]], "W": np.eye(2)})
    found = friendly(cell, 1, given)
    assert found.weights["alpha"] == 0.25 and found.weights["P"] == [[0, 1], [1, 0]]
    assert found.weights["W"].tolist() != [[1, 0], [0, 1]]
    assert "alpha" not in friendly(cell, 1).weights


def test_with_names_inputs_are_words():
    cell = Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = softmax(V @ h[t])")
    found = friendly(cell, 1, names=["I", "love", "deep"])
    assert found.inputs["x"].shape == (2, 3) and found.inputs["x"].sum(axis=1).tolist() == [1, 1]
    assert found.weights["V"].shape == (3, 2), "and the softmax has as many"
    own = friendly(cell, 1, names={"x": ["a", "b", "c", "d"], "y": ["good", "bad"]})
    assert own.inputs["x"].shape == (2, 4) and own.weights["V"].shape == (2, 2)
    given = friendly(cell, 1, Numbers(inputs={"x": [[0.5, 2.0]]}), names=["a", "b"])
    assert given.inputs["x"] == [[0.5, 2.0]]


def test_what_is_random_is_drawn_from_the_same_seed():
    cell = Cell("m: bernoulli(0.5)\nh[t] = m[t] * (W @ x[t])")
    found = friendly(cell, 4)
    assert str(found.trace(cell, 4)) == str(found.trace(cell, 4))


@pytest.mark.parametrize(
    ("seed", "given", "code"),
    [
        (-1, Numbers(), "E507"),
        (1.5, Numbers(), "E507"),
        (True, Numbers(), "E507"),
        (1, Numbers(weights={"w": 1}), "E502"),
        (1, Numbers(inputs={"X": [[1]]}), "E405"),
        (1, Numbers(state={"s": [1]}), "E406"),
        (1, Numbers(sizes={"hiden": 2}), "E207"),
        (1, Numbers(weights={"W": [["a"]]}), "E504"),
        (1, Numbers(weights={"W": [[1, 2]], "U": np.eye(3)}), "E203"),
    ],
)
def test_what_cannot_be_drawn_for(seed, given, code):
    with pytest.raises(ElmanError) as caught:
        friendly(Cell(RNN), seed, given)
    assert caught.value.code == code

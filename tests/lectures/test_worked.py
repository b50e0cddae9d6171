"""`Cell.run` gives the digits of the lecture notes, in the notes' own letters."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from tests.lectures.worked import (
    EXAMPLES,
    LSTM_WEIGHTS,
    NEXT_WORD,
    RNN_WEIGHTS,
    VOCABULARY,
    WORD_WEIGHTS,
    one_hot,
)

BACKENDS = [
    "numpy",
    pytest.param("c", marks=pytest.mark.c),
    pytest.param("torch", marks=pytest.mark.torch),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_digits_printed(example, backend):
    run = Cell(example.text, "lecture").run({"x": example.x}, example.weights, backend=backend)
    for name, values in example.printed.items():
        expected = np.array(values, dtype=float)
        found = run[name].reshape(expected.shape)
        # one half of the last digit printed, and the rounding of the digits themselves
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.5e-6 + 1e-9, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("words", "y", "said"),
    [
        ("I", (0.185355, 0.170749, 0.235582, 0.224917, 0.183397), "deep"),
        ("I love", (0.194061, 0.212935, 0.180284, 0.218831, 0.193889), "learning"),
        ("I love deep", None, "love"),
    ],
)
def test_the_next_word(words, y, said, backend):
    run = Cell(NEXT_WORD, "next_word").run(
        {"x": one_hot(*words.split())}, WORD_WEIGHTS, backend=backend
    )
    last = run["y"][-1]
    assert VOCABULARY[int(last.argmax())] == said
    assert last.sum() == pytest.approx(1)
    if y is not None:
        np.testing.assert_allclose(last, y, rtol=0, atol=0.5e-6 + 1e-9)


def test_the_state_is_given_on():
    """Two steps at once are one step, and another from its final state."""
    for number, weights in ((3, LSTM_WEIGHTS), (0, RNN_WEIGHTS)):
        cell = Cell(EXAMPLES[number].text)
        both = cell.run({"x": [[-1, 1], [1, -1]]}, weights)
        first = cell.run({"x": [[-1, 1]]}, weights)
        second = cell.run({"x": [[1, -1]]}, weights, first.final)
        np.testing.assert_array_equal(second["h"][0], both["h"][1])


def test_a_simple_net_in_the_letters_of_the_second_set_of_notes():
    """s = σ(U x + W s' + b), y = g(V s + c) is the same network under other names."""
    one = Cell("h[t] = sigmoid(W @ x[t] + U @ h[t-1] + b)\ny[t] = softmax(V @ h[t] + c)")
    other = Cell("s[t] = σ(U @ x[t] + W @ s[t-1] + b)\ny[t] = softmax(V @ s[t] + c)")
    random = np.random.default_rng(0)
    x, V, c, b = (random.normal(size=shape) for shape in [(4, 2), (5, 3), 5, 3])
    into, past = random.normal(size=(3, 2)), random.normal(size=(3, 3))
    y = one.run({"x": x}, {"W": into, "U": past, "b": b, "V": V, "c": c})["y"]
    again = other.run({"x": x}, {"U": into, "W": past, "b": b, "V": V, "c": c})["y"]
    np.testing.assert_array_equal(y, again)


def test_a_linear_net_by_hand():
    """h = u x + w h': h2 = u x2 + w u x1, dh2/dw = u x1."""
    cell = Cell("h[t] = u * x[t] + w * h[t-1]")
    x, u, w = [2.0, 3.0], 0.5, 0.25
    assert cell.run({"x": x}, {"u": u, "w": w})["h"].ravel().tolist() == [1.0, 1.75]
    found = cell.gradients({"x": x}, {"u": u, "w": w}, cotangents={"h": [0, 1]})
    assert {n: g.ravel().tolist() for n, g in found.items()} == {
        "u": [3.5],
        "x": [0.125, 0.5],
        "w": [1.0],
        "h": [0.0625],
    }

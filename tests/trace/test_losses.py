"""Losses over time: their value and gradients beside torch's own, and targets of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from tests.trace.examples import I_LOVE_DEEP, NEXT_WORD, NEXT_WORD_WEIGHTS

NEAR = {"rtol": 1e-12, "atol": 1e-15}
READ_OUT = NEXT_WORD.replace("softmax(W_y @ h[t] + b_y)", "W_y @ h[t] + b_y")
TEXTS = {
    "softmax": NEXT_WORD,
    "log_softmax": NEXT_WORD.replace("softmax", "log_softmax"),
    "logits": READ_OUT,
    "softmax of a name": READ_OUT.replace("y[t]", "a[t]") + "y[t] = softmax(a[t])",
}
NUMBERS = np.random.default_rng(3).normal(size=(3, 5))
CLASSES = [1, None, 3]
SHARES = [None, [0.5, 0.25, 0.25, 0, 0], [0, 0, 0, 0.1, 0.9]]


def trace(text, loss, target, **more):
    return Cell(text).trace(
        {"x": I_LOVE_DEEP}, NEXT_WORD_WEIGHTS, loss=loss, target={"y": target}, **more
    )


def by_torch(criterion, target, steps):
    """The loss of the read-out at some steps and its gradients, by autograd alone."""
    torch = pytest.importorskip("torch")
    words = torch.tensor(I_LOVE_DEEP, dtype=torch.float64, requires_grad=True)
    w = {n: torch.tensor(np.asarray(a, float), requires_grad=True)
         for n, a in NEXT_WORD_WEIGHTS.items()}  # fmt: skip
    h = first = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    rows = []
    for x in words:
        h = torch.tanh(w["W_h"] @ x + w["U_h"] @ h + w["b_h"])
        rows.append(w["W_y"] @ h + w["b_y"])
    loss = criterion(torch.stack([rows[k] for k in steps]), torch.tensor(np.array(target)))
    loss.backward()
    return loss.item(), {n: a.grad.numpy() for n, a in {**w, "x": words, "h": first}.items()}


def assert_same(found, expected):
    loss, gradients = expected
    np.testing.assert_allclose(found.loss, loss, **NEAR)
    assert set(found.gradients) == set(gradients)
    for name, array in gradients.items():
        most = 1e-12 * np.abs(array).max()
        np.testing.assert_allclose(found.gradients[name], array, rtol=0, atol=most, err_msg=name)


@pytest.mark.torch
@pytest.mark.parametrize("kind", TEXTS)
def test_cross_entropy_is_that_of_torch(kind):
    def criterion(rows, target):
        return pytest.importorskip("torch").nn.functional.cross_entropy(
            rows, target, reduction="sum"
        )

    classes = trace(TEXTS[kind], "cross_entropy", CLASSES)
    assert_same(classes, by_torch(criterion, [1, 3], [0, 2]))
    shares = trace(TEXTS[kind], "cross_entropy", SHARES)
    assert_same(shares, by_torch(criterion, SHARES[1:], [1, 2]))


@pytest.mark.torch
@pytest.mark.parametrize("loss", ["squared_error", "half_squared_error"])
def test_squared_error_is_that_of_torch(loss):
    half = 0.5 if loss.startswith("half") else 1

    def criterion(rows, target):
        return half * pytest.importorskip("torch").nn.functional.mse_loss(
            rows, target, reduction="sum"
        )

    expected = by_torch(criterion, NUMBERS, [0, 1, 2])
    assert_same(trace(READ_OUT, loss, NUMBERS), expected)
    assert_same(trace(READ_OUT, loss, NUMBERS.tolist()), expected)
    last = by_torch(criterion, NUMBERS[2:], [2])
    holes = [[np.nan] * 5, [np.nan] * 5, NUMBERS[2]]
    assert_same(trace(READ_OUT, loss, holes), last)
    assert_same(trace(READ_OUT, loss, [None, None, NUMBERS[2]]), last)


def test_a_loss_over_two_outputs_is_their_sum():
    text = READ_OUT + "z[t] = softmax(h[t])"
    given = {"x": I_LOVE_DEEP}, NEXT_WORD_WEIGHTS
    one = Cell(text).trace(*given, loss="squared_error", target={"y": NUMBERS})
    two = Cell(text).trace(*given, loss="squared_error", target={"z": [None, None, [1, 0, 0]]})
    target = {"y": NUMBERS, "z": [None, None, [1, 0, 0]]}
    both = Cell(text).trace(*given, loss="squared_error", target=target)
    np.testing.assert_allclose(both.loss, one.loss + two.loss, **NEAR)
    for name, array in both.gradients.items():
        np.testing.assert_allclose(array, one.gradients[name] + two.gradients[name], atol=1e-14)
    assert "target_y[3] = (" in str(both) and "target_z[3] = (1, 0, 0)" in str(both)


def test_the_gradients_are_those_of_the_cotangents_that_the_loss_has():
    found = trace(READ_OUT, "squared_error", [None, None, NUMBERS[0]])
    cotangents = np.zeros((3, 5))
    cotangents[2] = 2 * (found.values["y"][2] - NUMBERS[0])
    given = {"x": I_LOVE_DEEP}, NEXT_WORD_WEIGHTS
    same = Cell(READ_OUT).gradients(*given, cotangents={"y": cotangents})
    for name, array in same.items():
        np.testing.assert_allclose(found.gradients[name], array, **NEAR)


def test_the_loss_is_said_step_by_step_and_as_their_sum():
    text = str(trace(NEXT_WORD, "cross_entropy", CLASSES))
    assert "E[1] = -sum(target[1] * log(y[1]))  # cross-entropy" in text
    assert "\nloss\n  E = E[1] + E[3]\n" in text and "E[2]" not in text
    single = Cell("y[t] = w * x[t]").trace(
        {"x": [1.0]}, {"w": 0.5}, loss="half_squared_error", target={"y": [1]}, lr=1
    )
    said = str(single)
    assert "E[1] = (y[1] - target[1])**2 / 2  # half the squared error" in said
    assert "= (0.5 - 1)**2/2" in said and single.loss == 0.125
    assert "d_y[1] = y[1] - target[1]  # through E[1]\n         = 0.5 - 1\n" in said
    assert single.updated["w"].item() == 1.0


def test_softmax_and_cross_entropy_together_are_a_difference():
    found = trace(NEXT_WORD, "cross_entropy", CLASSES)
    lines = {line.label: line for line in found.backward.lines}
    assert lines["d_y_in[3]"].comment == "with the cross-entropy that is y[3] - target[3]"
    np.testing.assert_allclose(lines["d_y_in[3]"].value, found.values["y"][2] - np.eye(5)[3])
    fed_back = NEXT_WORD.replace("U_h @ h[t-1]", "U_h @ h[t-1] + V @ y[t-1]")
    weights = {**NEXT_WORD_WEIGHTS, "V": np.ones((3, 5)) * [[0.1], [0.3], [-0.2]]}
    weights["V"] = weights["V"] + np.eye(3, 5)
    more = Cell(fed_back).trace(
        {"x": I_LOVE_DEEP}, weights, loss="cross_entropy", target={"y": CLASSES}
    )
    said = {line.label: line.comment for line in more.backward.lines}
    assert "y[3] - target[3]" in said["d_y_in[3]"]  # nothing else reads it
    assert "target" not in said["d_y_in[1]"]  # step 2 does


def test_names_that_the_cell_has_are_left_to_it():
    cell = Cell("E[t] = w * x[t]\nloss[t] = target * E[t]\nreturn loss")
    given = {"x": [1.0, 2.0]}, {"w": 0.5, "target": 3}
    found = cell.trace(*given, loss="squared_error", target={"loss": [None, 1]})
    assert found.loss == 4.0 and found.gradients["target"].item() == 4.0
    assert "cost[2] = (loss[2] - target_2[2])**2" in str(found)


def test_a_tensor_is_a_target_too():
    torch = pytest.importorskip("torch")
    found = trace(READ_OUT, "squared_error", torch.tensor(NUMBERS))
    assert found.loss == trace(READ_OUT, "squared_error", NUMBERS).loss


def test_a_target_of_one_entry_may_be_a_number_or_a_list_of_one():
    given = {"x": [1.0, 2.0]}, {"w": 0.5}
    cell = Cell("y[t] = w * x[t]")
    losses = [
        cell.trace(*given, loss="squared_error", target={"y": y}).loss
        for y in ([1, 2], [[1], [2]], np.array([1.0, 2.0]), [1, np.array([2])])
    ]
    assert losses == [1.25] * 4

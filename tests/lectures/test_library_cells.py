"""The library's cells give the numbers of the lecture notes, and do what the notes say of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from elman import cells

BACKENDS = [
    "numpy",
    pytest.param("c", marks=pytest.mark.c),
    pytest.param("torch", marks=pytest.mark.torch),
]
FOODS = np.eye(3)
SUNNY, RAIN = np.eye(2)
HALF_A_DIGIT = 0.5e-4 + 1e-9


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_scalar_lstm_that_circulates(backend):
    """x = 1, 2, 3, and y = 4 h: the states, the prediction, and what each x did to it."""
    weights = {"W_f": 0.5, "W_i": 0.6, "W_c": 0.7, "W_o": 0.8}
    weights |= {"U_f": 0.1, "U_i": 0.2, "U_c": 0.3, "U_o": 0.4}
    weights |= dict.fromkeys(["b_f", "b_i", "b_c", "b_o"], 0)
    x = [1, 2, 3]
    h = cells["lstm"].run({"x": x}, weights, backend=backend)["h"].ravel()
    np.testing.assert_allclose(h, [0.2564, 0.6398, 0.8707], rtol=0, atol=HALF_A_DIGIT)
    assert 4 * h[-1] == pytest.approx(3.4827, abs=HALF_A_DIGIT)
    found = cells["lstm"].gradients(
        {"x": x}, weights, cotangents={"h": [0, 0, 4]}, backend=backend
    )["x"]
    np.testing.assert_allclose(found.ravel(), [0.1338, 0.1139, 0.2618], rtol=0, atol=HALF_A_DIGIT)


TORCH_GRU = {"W_iz": 0.5, "W_hz": 0.1, "W_ir": 0.6, "W_hr": 0.2, "W_in": 0.7, "W_hn": 0.3}
TORCH_GRU |= dict.fromkeys(["b_iz", "b_hz", "b_ir", "b_hr", "b_in"], 0) | {"b_hn": 0.2}
SPLIT_GRU = {"W_z": 0.5, "U_z": 0.1, "W_r": 0.6, "U_r": 0.2, "W_n": 0.7, "U_n": 0.3}
SPLIT_GRU |= {"b_z": 0, "b_r": 0, "b_n": 0.2}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "weights", "h"),
    [
        ("gru_reset_after", TORCH_GRU, 0.5850),
        ("gru", SPLIT_GRU, 0.5957),
        ("gru_reset_after_take_new", TORCH_GRU, 0.6474),
        ("gru_take_new", SPLIT_GRU, 0.6659),
    ],
)
def test_one_gru_under_four_conventions(name, weights, h, backend):
    run = cells[name].run({"x": [1]}, weights, {"h": 0.5}, backend=backend)
    assert run["h"].item() == pytest.approx(h, abs=HALF_A_DIGIT)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("food", "sunny"), [*itertools.product(range(3), [True, False])])
def test_tonights_dinner(food, sunny, backend):
    """The whole truth table: the next food when it is sunny, leftovers when it rains."""
    weather = [SUNNY if sunny else RAIN]
    run = cells["dinner"].run({"weather": weather}, {}, {"food": FOODS[food]}, backend=backend)
    assert run["food"].tolist() == [FOODS[(food + sunny) % 3].tolist()]
    assert run["a"].max() == 2


def test_a_week_of_dinners():
    weather = [SUNNY, RAIN, SUNNY, SUNNY, RAIN, RAIN, SUNNY]
    run = cells["dinner"].run({"weather": weather}, {}, {"food": FOODS[0]})
    assert run["food"].argmax(axis=1).tolist() == [1, 1, 2, 0, 0, 0, 1]


def test_the_forerunners_of_dinner():
    first = [FOODS[0], *np.zeros((4, 3))]
    cycle = cells["dinner_cycle"].run({"first": first}, {})
    assert cycle["food"].argmax(axis=1).tolist() == [0, 1, 2, 0, 1]
    burger, pizza = np.eye(2).tolist()
    run = cells["dinner_weather"].run({"weather": [SUNNY, RAIN]}, {})
    assert run["food"].tolist() == [burger, pizza]


def test_what_tanh_is_for():
    """(5, 0.1, -0.5) through the same map ten times: without tanh it grows without bound."""
    x = [[5, 0.1, -0.5], *np.zeros((9, 3))]
    plain, squashed = (
        cells[name].run({"x": x}, {"A": 3 * np.eye(3)})["h"]
        for name in ("repeated_map", "repeated_map_tanh")
    )
    np.testing.assert_allclose(plain[-1], 3.0**9 * np.array(x[0]), rtol=1e-12)
    assert np.abs(squashed).max() < 1


def test_the_linear_net_of_one_unit():
    """dh[3]/dx[1] = w**2 u."""
    found = cells["rnn_linear"].gradients(
        {"x": [1, 2, 3]}, {"u": 0.5, "w": 0.25}, cotangents={"h": [0, 0, 1]}
    )
    assert found["x"].ravel().tolist() == [0.25**2 * 0.5, 0.25 * 0.5, 0.5]


def test_a_read_out_of_both_directions():
    random = np.random.default_rng(0)
    forward, backward, x = random.normal(size=(3, 4)), random.normal(size=(3, 4)), np.eye(3)
    W, b = random.normal(size=(2, 11)), random.normal(size=2)
    streams = {"a_forward": forward, "a_backward": backward, "x": x}
    y = cells["bidirectional_read_out"].run(streams, {"W_y": W, "b_y": b})["y"]
    logits = np.hstack([forward, backward, x]) @ W.T + b
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-15)


def test_a_hopfield_network_remembers():
    """A stored pattern with two units flipped falls back into place."""
    patterns = np.array([[1, 1, 1, 1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1]])
    W = patterns.T @ patterns - 2 * np.eye(8)
    spoiled = patterns[0] * [-1, 1, 1, 1, 1, 1, 1, 1]
    run = cells["hopfield"].run(
        {"x": np.zeros((3, 8))}, {"W": W, "theta": np.zeros(8)}, {"s": spoiled}
    )
    assert run["s"][-1].tolist() == patterns[0].tolist()


def test_a_boltzmann_machine_visits_states_as_often_as_they_are_likely():
    """Two units: after many steps of Gibbs sampling the four states come as exp(-energy)."""
    random = np.random.default_rng(0)
    steps, coupling, b = 40_000, 1.0, np.array([0.5, -0.5])
    W = coupling * (np.ones((2, 2)) - np.eye(2))
    pick = np.eye(2)[random.integers(2, size=steps)]
    s = cells["boltzmann_machine"].run(
        {"pick": pick, "u": random.random((steps, 2))}, {"W": W, "b": b}, {"s": [0, 0]}
    )["s"]
    states = np.array(list(itertools.product([0, 1], repeat=2)))
    likely = np.exp(0.5 * np.einsum("si,ij,sj->s", states, W, states) + states @ b)
    seen = np.bincount((s @ [2, 1]).astype(int), minlength=4) / steps
    np.testing.assert_allclose(seen, likely / likely.sum(), atol=0.02)


def test_a_restricted_boltzmann_machine_draws_each_side_given_the_other():
    random = np.random.default_rng(0)
    W, b, c = random.normal(size=(3, 5)), random.normal(size=5), random.normal(size=3)
    v, u_h, u_v = random.integers(2, size=5), random.random((1, 3)), random.random((1, 5))
    run = cells["restricted_boltzmann_machine"].run(
        {"u_h": u_h, "u_v": u_v}, {"W": W, "b": b, "c": c}, {"v": v}
    )
    h = (u_h[0] < 1 / (1 + np.exp(-(W @ v + c)))).astype(float)
    assert run["h"][0].tolist() == h.tolist()
    assert run["v"][0].tolist() == (u_v[0] < 1 / (1 + np.exp(-(W.T @ h + b)))).tolist()


def test_a_markov_chain_runs_on_by_itself():
    """After a state is observed, n steps on the distribution is a row of P**n."""
    A = np.random.default_rng(0).normal(size=(3, 3))
    P = np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)
    x = [[0, 1, 0], *np.zeros((4, 3))]
    p = cells["markov_chain"].run({"x": x}, {"A": A})["p"]
    for n in range(5):
        np.testing.assert_allclose(p[n], np.linalg.matrix_power(P, n)[1], rtol=0, atol=1e-14)


def test_the_forward_algorithm_sums_over_all_paths():
    random = np.random.default_rng(0)
    A, B = random.dirichlet(np.ones(2), size=2), random.dirichlet(np.ones(3), size=2)
    begin, seen = np.array([0.3, 0.7]), [0, 2, 1]
    run = cells["hidden_markov_model"].run(
        {"x": np.eye(3)[seen]}, {"A": np.log(A), "B": np.log(B)}, {"p": begin}
    )
    total = 0.0
    for before, *path in itertools.product(range(2), repeat=4):
        chance = begin[before]
        for state, symbol in zip(path, seen, strict=True):
            chance *= A[before, state] * B[state, symbol]
            before = state
        total += chance
    assert np.prod(run["s"]) == pytest.approx(total, rel=1e-12)


def test_the_forward_algorithm_begins_with_all_states_alike():
    A, B = np.random.default_rng(0).normal(size=(2, 3, 3))
    cell, x, weights = cells["hidden_markov_model"], np.eye(3)[[0, 2, 1]], {"A": A, "B": B}
    alone, told = cell.run({"x": x}, weights), cell.run({"x": x}, weights, {"p": np.full(3, 1 / 3)})
    np.testing.assert_allclose(alone["s"], told["s"], rtol=1e-14)
    np.testing.assert_allclose(alone["p"].sum(1), 1.0, rtol=1e-14)

"""The cells whose equations are easiest to get wrong, beside loops written from their papers."""

from __future__ import annotations

from types import SimpleNamespace as Given

import numpy as np
import pytest

import elman
from tests.backends import table
from tests.library.twins_gated import TWINS

SHAPE = table.Shape(12, 0, 5)  # one sequence, without a batch axis
NEAR = {"rtol": 1e-10, "atol": 1e-12}


def drawn(name: str) -> table.Data:
    return table.draw(elman.cells[name], SHAPE)


def run(name: str, data: table.Data, **change: table.Array) -> elman.cell.Run:
    """The cell from a state of zeros, some inputs or weights replaced."""
    inputs = {key: change.get(key, array) for key, array in data.inputs.items()}
    weights = {key: change.get(key, array) for key, array in data.weights.items()}
    return elman.cells[name].run(inputs, weights, sizes=data.sizes, backend="numpy")


@pytest.mark.parametrize("name", TWINS)
def test_the_cell_is_its_twin(name):
    data = drawn(name)
    found = run(name, data)
    for key, array in TWINS[name](Given(**data.inputs, **data.weights)).items():
        np.testing.assert_allclose(found[key], array, **NEAR, err_msg=key)


def test_mass_is_conserved():
    data = drawn("mc_lstm")
    rain = np.abs(data.inputs["x_m"])
    found = run("mc_lstm", data, x_m=rain)
    held, left = found["c"].sum(axis=1), found["h"].sum(axis=1)
    np.testing.assert_allclose(held + np.cumsum(left), np.cumsum(rain), **NEAR)
    assert (found["c"] > 0).all()


def test_the_implicit_oscillator_solves_its_equation():
    """z = z[t-1] + dt (force - gamma h[t-1] - epsilon z), with the new z on both sides."""
    found = run("cornn_implicit", drawn("cornn_implicit"))
    z, h, force = found["z"], found["h"], found["a"]
    right = z[:-1] + 0.05 * (force[1:] - 3 * h[:-1] - 5 * z[1:])
    np.testing.assert_allclose(z[1:], right, **NEAR)


def test_the_matrices_of_the_legendre_memory_unit():
    constants = dict(elman.cells["lmu"].typed.cell.constants)
    A = [[(2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1)) for j in range(4)] for i in range(4)]
    assert constants["A"] == tuple(map(tuple, A))
    assert constants["B"] == tuple((2 * i + 1) * (-1) ** i for i in range(4))


def test_the_piecewise_linear_network_has_no_diagonal():
    data = drawn("plrnn")
    weights = data.weights
    found = run("plrnn", data)["z"]
    z = np.zeros(len(weights["b"]))
    for x, expected in zip(data.inputs["x"], found, strict=True):
        W = weights["W"] - np.diag(np.diag(weights["W"]))
        z = weights["a"] * z + W @ np.maximum(z, 0) + weights["C"] @ x + weights["b"]
        np.testing.assert_allclose(expected, z, **NEAR)


@pytest.mark.parametrize("by", [1000, -1000])
@pytest.mark.parametrize(
    ("name", "weight"), [("slstm", "b_i"), ("slstm_heads", "b_i"), ("mlstm", "b_i"), ("rwkv4", "u")]
)
def test_exponents_are_kept_small(name, weight, by):
    """exp(1000) is no number, and exp(-1000) is 0; their quotients are numbers."""
    data = drawn(name)
    found = run(name, data, **{weight: data.weights[weight] + by})
    assert all(np.isfinite(found[returned]).all() for returned in elman.cells[name].returns)


def test_a_head_of_one_is_the_cell_without_heads():
    data = drawn("slstm")
    alone = {name: array[np.newaxis] for name, array in data.weights.items()}
    found = elman.cells["slstm_heads"].run(data.inputs, alone, backend="numpy")
    np.testing.assert_allclose(found["h"][:, 0], run("slstm", data)["h"], **NEAR)


def test_a_skipped_step_copies_the_state():
    data = drawn("skip_rnn")
    found = run("skip_rnn", data, b_p=np.array(-1.5))
    before = np.vstack([np.zeros_like(found["h"][:1]), found["h"][:-1]])
    skipped = found["u"] == 0
    assert found["u"][0] == 1, "the first step is no copy"
    assert 0 < skipped.sum() < len(skipped)
    np.testing.assert_array_equal(found["h"][skipped], before[skipped])
    np.testing.assert_array_equal(found["h"][~skipped], found["new_h"][~skipped])

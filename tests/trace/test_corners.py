"""Lines that random cells once showed to be wrong: each the smallest that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from elman.trace.rounding import Rounding

ELU = Cell("h[t] = elu(x[t])")


@pytest.mark.parametrize("backend", ["numpy", pytest.param("torch", marks=pytest.mark.torch)])
def test_elu_has_no_corner_at_zero(backend):
    given = {"inputs": {"x": [0.0, 1.0]}, "weights": {}, "cotangents": {"h": [1, 1]}}
    assert ELU.gradients(**given, backend=backend)["x"].ravel().tolist() == [1, 1]
    assert ELU.trace(**given).gradients["x"].ravel().tolist() == [1, 1]


def test_a_vector_is_not_taken_for_two_arguments():
    text = ELU.trace({"x": [[-1.0, 2.0]]}, {}).to_text()
    assert "= elu((-1, 2))" in text


def test_einsum_keeps_its_letters_and_a_transpose_its_brackets():
    cell = Cell('A: n, m\nx: m\ny[t] = einsum("ij,j->i", A, x[t])\nz[t] = max((A - A * A).T)')
    text = cell.trace({"x": [[1, 2]]}, {"A": [[1, 2]]}).to_text()
    assert 'einsum("ij,j->i", [[1, 2]], (1, 2))' in text
    assert "max(([[1, 2]] - [[1, 2]] * [[1, 2]]).T)" in text


def test_some_entries_of_a_product_are_shown_as_numbers():
    cell = Cell("h[t] = W @ [2 * x[t], y[t]]")
    given = {"x": [[1.0]], "y": [[3.0]]}, {"W": [[0.5, 0.25], [1, 2]]}
    text = cell.trace(*given, cotangents={"h": [[1, 2]]}).to_text()
    assert "d_x[1] = 2 * (W.T @ d_h[1])[1]" in text
    assert "         = 2*2.5\n         = 5\n" in text


@pytest.mark.parametrize("units", [1, 3])
def test_a_number_that_is_spread_before_the_first_step(units):
    cell = Cell("s: scalar\nh[0] = tanh(s)\nh[t] = h[t-1] * x[t] + h[t-2]")
    x, one = np.full((2, units), 0.5), np.ones((2, units))
    given = {"inputs": {"x": x}, "weights": {"s": 0.7}, "cotangents": {"h": one}}
    trace = cell.trace(**given, lr=0.1)
    for name, gradient in cell.gradients(**given).items():
        np.testing.assert_allclose(trace.gradients[name], gradient, rtol=1e-12)
    assert trace.rounded(2).values["h"].tolist() == [[0.3] * units, [0.75] * units]


def test_a_list_of_one_number():
    cell = Cell("v: m\nW: n, m\nh: scalar\nh[t] = tanh(sum(W @ sigmoid(v * x[t])))")
    given = {"inputs": {"x": [[1, 2, 3]]}, "weights": {"W": [[1, 2, 3]], "v": [0.1, 0.2, 0.3]}}
    given["cotangents"] = {"h": [1]}
    for name, gradient in cell.gradients(**given).items():
        np.testing.assert_allclose(cell.trace(**given).gradients[name], gradient, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
def test_a_choice_by_a_mask_is_shown_and_rounded_as_the_mean_of_both():
    cell = Cell("m: bernoulli(0.25)\nh[t] = where(m[t] > 0, x[t], h[t-1])")
    given = {"x": [1.0, 2.0]}, {}, {"h": 0.5}
    trace = cell.trace(*given)
    assert "h[1] = m[1] * x[1] + (1 - m[1]) * h[0]" in trace.to_text()
    assert trace.rounded(6).values["h"].tolist() == trace.values["h"].tolist()
    drawn = cell.trace(*given, seed=1)
    assert "h[1] = where(m[1] > 0, x[1], h[0])" in drawn.to_text()


def test_minus_a_product_is_rounded():
    trace = Cell("h[t] = -(w * x[t])").trace({"x": [1.2345]}, {"w": 1.0})
    assert trace.rounded(2).values["h"].item() == -1.23


@pytest.mark.parametrize("digits", [0, 2, 5, 12, 17])
@pytest.mark.parametrize("more", [{}, {"cut": True}, {"significant": True}])
def test_an_array_is_rounded_as_its_numbers_are(digits, more):
    rounding, random = Rounding(max(digits, 1 if more else 0), **more), np.random.default_rng(1)
    ties = random.integers(-99, 99, 50) / 2 * 10.0**-digits
    odd = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, 1e300, 1.1 * 1.1, 0.29 * 100, 0.1 + 0.2]
    for values in (ties, np.array(odd), random.normal(size=200), random.normal(size=50) * 1e7):
        np.testing.assert_array_equal(rounding.array(values), [*map(rounding.number, values)])
    assert rounding.array(np.array(2.5)).shape == ()


@pytest.mark.parametrize("around", ["norm({})", "sum(sqrt({}))", "sum(log({}))", "sum(1 / {})"])
@pytest.mark.parametrize("inside", ["relu(x[t])", "-relu(-2 * x[t])", "relu(x[t]) ** 2"])
@pytest.mark.parametrize("x", [[0.0, 0.0], [1.0, 0.0], [-1.0, 2.0]])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_choice_lets_nothing_through_also_where_a_derivative_is_no_number(around, inside, x):
    cell = Cell(f"x: n\nh[t] = {around.format(inside)}")
    given = {"inputs": {"x": [x]}, "weights": {}, "cotangents": {"h": [1.0]}}
    found, expected = cell.trace(**given).gradients["x"], cell.gradients(**given, backend="numpy")
    np.testing.assert_allclose(found, expected["x"], rtol=1e-12)
    if inside == "relu(x[t])":
        np.testing.assert_array_equal(found[0][np.array(x) <= 0], 0)

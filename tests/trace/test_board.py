"""How numbers and brackets look."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from elman.trace import numbers

NUMBERS = [
    (0.80049902, 4, "0.8005"),
    (0.5, 4, "0.5"),
    (2.0, 4, "2"),
    (100.0, 0, "100"),
    (-0.0, 4, "0"),
    (0.1 + 0.2, 4, "0.3"),  # exact but for float64's last digit
    (0.1 + 0.2 - 0.3, 4, "0"),
    (0.99999, 4, "1.0000"),  # nearly one
    (-0.00001, 4, "0.0000"),  # nearly zero, and never -0.0000
    (0.49298, 4, "0.4930"),
    (123456.789, 2, "123456.79"),
    (0.125, 2, "0.13"),  # half up, as on paper and as rounding on the way has it
    (-0.125, 2, "-0.13"),
    (2.675, 2, "2.68"),
    (0.12499999999999999, 2, "0.13"),  # float64's last digit is no reason to round down
    (0.12499999, 2, "0.12"),
    (2.5, 0, "3"),
    (0.1, 17, "0.10000000000000001"),
    (1.25e12, 1, "1.3e12"),
    (1.5e12, 4, "1.5e12"),
    (float("inf"), 4, "inf"),
    (float("-inf"), 4, "-inf"),
    (float("nan"), 4, "nan"),
]


@pytest.mark.parametrize(("value", "digits", "text"), NUMBERS)
def test_a_number_has_so_many_decimals_and_no_idle_ones(value, digits, text):
    assert numbers.number(value, digits) == text


def test_significant_digits_round_half_up_too():
    shown = numbers.Digits(2, significant=True).number
    assert [shown(x) for x in (0.0765, 0.995, 0.0125)] == ["0.077", "1.0", "0.013"]


def test_a_given_number_never_becomes_zero():
    assert numbers.number(0.00001, given=True) == "1e-5"
    assert numbers.number(0.3, 0, given=True) == "0.3"
    assert numbers.number(0.0, given=True) == "0"


def test_long_values_are_elided_with_their_size():
    assert numbers.array(np.arange(8.0)) == "(0, 1, 2, 3, 4, 5, 6, 7)"
    assert numbers.array(np.arange(9.0)) == "(0, 1, 2, ..., 8; 9 values)"
    assert numbers.array(np.zeros((9, 2))) == "[9 x 2 values]"
    assert numbers.array(np.zeros((1, 2))) == "[[0, 0]]"


# a right side with x = 2, y = -3 and w = -0.5: the lines after the formula
LOOKS = {
    "x[t] + y[t]": ["2 - 3", "-1"],
    "x[t] - y[t]": ["2 - (-3)", "5"],
    "x[t] * y[t]": ["2*(-3)", "-6"],
    "y[t] * x[t] / y[t]": ["-3*2/(-3)", "2"],
    "y[t]**2": ["(-3)**2", "9"],
    "-y[t]": ["-(-3)", "3"],
    "-(x[t] + y[t])": ["-(2 - 3)", "1"],
    "x[t] - (y[t] - x[t])": ["2 - (-3 - 2)", "7"],
    "x[t] * (y[t] + 1)": ["2*(-3 + 1)", "-4"],
    "x[t] + 2 * y[t] * w": ["2 + 2*(-3)*(-0.5)", "2 + 3", "5"],
    "abs(y[t] * 2) - 1": ["abs(-3*2) - 1", "abs(-6) - 1", "6 - 1", "5"],
    "relu(abs(y[t]))": ["relu(abs(-3))", "relu(3)", "3"],
    "min(x[t], y[t], 1)": ["min(2, -3, 1)", "-3"],
    "2 * (x[t] >= y[t])": ["2*(2 >= -3)", "2"],
    "x[t]": ["2"],
    "W @ x[t] - W @ (x[t] * y[t])": ["0.5*2 - 0.5*(2*(-3))", "1 - (-3)", "4"],
    "dot(x[t], y[t])": ["dot(2, -3)", "-6"],
}


@pytest.mark.parametrize("right", LOOKS)
def test_signs_and_brackets_are_those_of_a_board(right):
    weights = {"w": [-0.5]} if " w" in right else {"W": [[0.5]]} if "W" in right else {}
    names = [name for name in "xy" if f"{name}[t]" in right]
    values = {"x": [[2.0]], "y": [[-3.0]]}
    trace = Cell(f"h[t] = {right}").trace({n: values[n] for n in names}, weights)
    found = str(trace).split("\n  h[1] = ")[1].split("\n")
    assert [line.strip().removeprefix("= ") for line in found[1:]] == LOOKS[right]


def test_a_product_inside_a_function_of_a_product_is_worked_first():
    cell = Cell("h[t] = V @ tanh(W @ x[t] + b) + b")
    weights = {"V": np.eye(2), "W": [[1, 0], [0, 2]], "b": [0, 1]}
    assert (
        str(cell.trace({"x": [[0.0, -0.5]]}, weights))
        == """\
step 1
  x[1] = (0, -0.5)
  h[1] = V @ tanh(W @ x[1] + b) + b
           W @ x[1] = (1*0 + 0*(-0.5), 0*0 + 2*(-0.5)) = (0, -1)
           tanh(W @ x[1] + b) = tanh((0, -1) + (0, 1)) = tanh(0, 0) = (0, 0)
           V @ tanh(W @ x[1] + b) = (1*0 + 0*0, 0*0 + 1*0) = (0, 0)
       = (0, 0) + (0, 1)
       = (0, 1)"""
    )


def test_a_concatenation_of_computed_values_is_joined_when_they_are():
    cell = Cell("h[t] = tanh([x[t], 2 * x[t]])")
    assert (
        str(cell.trace({"x": [[0.0]]}, {}))
        == """\
step 1
  x[1] = 0
  h[1] = tanh([x[1], 2 * x[1]])
       = tanh([0, 2*0])
       = tanh(0, 0)
       = (0, 0)"""
    )


def test_what_was_typed_stands_as_typed_however_few_digits_are_shown():
    cell = Cell("w: scalar\nu: scalar\nh[t] = tanh(w * x[t] + u * h[t-1])")
    trace = cell.trace({"x": [1.2345, 2]}, {"w": 0.125, "u": 1 / 3}, {"h": 0.375})
    text = trace.to_text(digits=2)
    assert "  x[1] = 1.2345\n  h[0] = 0.375\n" in text
    assert "= tanh(0.125*1.2345 + 0.33*0.375)" in text  # 1/3 was not typed
    assert "0.33*0.27" in text  # and h[1] was computed

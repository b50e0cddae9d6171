"""What a message proposes is pasted into the text of its mistake, and then the text reads."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from elman import Cell

FOLDER = Path(__file__).parent
PASTED = {  # golden file -> (what the message proposes, what it stands in the place of)
    "read/E105_matrix": ("W @ x[t]", "W x[t]"),
    "read/E105_numbers": ("1, 2", "1 2 3"),
    "read/E108_semicolon_in_a_list": ("[x[t], h[t-1]]", "[x[t]; h[t-1]]"),
    "read/E108_raised_t": ("W.T", "W^T"),
    "read/E109_dot_of_a_matrix": ("W @ x[t]", "W.dot(x[t])"),
    "read/E109_transpose": ("W.T", "W.transpose()"),
    "read/E109_inside_a_cell": ("inner_h[t]", "inner.h[t]"),
    "read/E111_turned_around": ("h[t] = tanh(W @ x[t])", "tanh(W @ x[t]) = h[t]"),
    "read/E112_comparison": ("h[t] = tanh(W @ x[t])", "h[t] == tanh(W @ x[t])"),
    "read/E112_arrow": ("h[t] = tanh(W @ x[t])", "h[t] -> tanh(W @ x[t])"),
    "read/E118_number": ("alpha = 0.9", "alpha: 0.9"),
    "read/E118_brackets": ("W: hidden, input", "W: (hidden, input)"),
    "read/E118_times": ("W: hidden, input", "W: hidden x input"),
    "read/E118_equation_with_a_colon": ("h[t] = tanh(W @ x[t])", "h[t]: tanh(W @ x[t])"),
    "read/E118_capital": ("m: bernoulli(0.9)", "m: Bernoulli(0.9)"),
    "read/E120_return_in_brackets": ("return h, c", "return (h, c)"),
    "read/E133_in": ("l = 1..3", "l in 1..3"),
    "read/E305_time_as_an_index": ("n[t]", "n_t"),
    "read/E305_previous": ("h[t-1]", "h_prev"),
    "read/E305_word_of_declarations": ("alpha: scalar", "alpha = scalar"),
    "read/E401_capitals": ("tanh", "Tanh"),
    "read/E401_two_words": ("layer_norm", "LayerNorm"),
    "read/E406_first_state": ("h[0] =", "h0 ="),
    "shapes/E202_constant_matrix": ("P @", "P *"),
    "shapes/E202_product_and_elementwise": ("A @", "A *"),
}
WRITTEN = {  # where more than one place changes: (what it proposes, the text then)
    "read/E110_two_indices": ("dot(e, x[t])", "e = [1, 0]\nh[t] = dot(e, x[t]) + h[t-1]"),
    "read/E102_time_as_an_index": ("h[t] for h_t", "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"),
    "read/E105_function_without_brackets": ("tanh(W ...)", "h[t] = tanh(W @ x[t])"),
    "read/E108_question": ("where(c, a, b)", "h[t] = where(x[t] > 0, 1, 0)"),
    "read/E401_leaky": ("max(a, 0.01 * a)", "a[t] = W @ x[t]\nh[t] = max(a[t], 0.01 * a[t])"),
    "read/E401_softsign": ("a / (1 + abs(a))", "a[t] = W @ x[t]\nh[t] = a[t] / (1 + abs(a[t]))"),
    "read/E401_dropout": ("m: bernoulli(0.9)", "m: bernoulli(0.9)\nh[t] = m[t] * tanh(W @ x[t])"),
    "read/E120_return_a_round": (
        "y[t] = s[t,2]",
        "l = 1..3\ns[t,0] = h[t-1]\ns[t,l] = tanh(R[l] @ s[t,l-1])\nh[t] = s[t,3]\n"
        "y[t] = s[t,2]\nreturn y",
    ),
    "shapes/E202_row_vector": ("write W @ x[t]", "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"),
    "warnings/W106_turned_sizes": ("W: hidden, input", "W: hidden, input\nh[t] = W @ x[t]"),
    "warnings/W107_gate_times_product": (
        "z[t] * (U @ h[t-1])",
        "z[t] = sigmoid(W @ x[t])\nh[t] = tanh(z[t] * (U @ h[t-1]) + V @ x[t])",
    ),
}


def parts(name: str) -> tuple[str, str]:
    text, message = (FOLDER / f"{name}.txt").read_text("utf-8").split("\n----\n")
    return text, message


def reads(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Cell(text).outputs


@pytest.mark.parametrize("name", PASTED)
def test_the_fix_in_the_place_of_the_mistake(name):
    text, message = parts(name)
    fix, mistake = PASTED[name]
    assert fix in message and mistake in text
    reads(text.replace(mistake, fix))


@pytest.mark.parametrize("name", WRITTEN)
def test_the_text_with_the_fix(name):
    _, message = parts(name)
    fix, text = WRITTEN[name]
    assert fix in message
    reads(text)

"""What a page prints is read, or refused: nothing of it is lost, and no product is another one."""

from __future__ import annotations

import pytest

from elman import Cell
from elman.errors import ElmanError

READ = {
    r"h_t = \tanh(h_{t-1} U)": "h[t] = tanh(U.T @ h[t-1])",
    r"h_t = z_t h_{t-1} U + x_t": "h[t] = U.T @ (z[t] * h[t-1]) + x[t]",
    r"y_t = w^\top h_t \\ h_t = x_t h_{t-1}": "y[t] = dot(w, h[t])\nh[t] = x[t] * h[t-1]\nreturn y",
    r"s_t = x_t^\top h_{t-1} \\ h_t = s_t x_t + h_{t-1}": (
        "s[t] = dot(x[t], h[t-1])\nh[t] = s[t] * x[t] + h[t-1]"
    ),
    r"h_t = \mathrm{LN}(W x_t + U h_{t-1})": "h[t] = layer_norm(W @ x[t] + U @ h[t-1])",
    r"h_t = \ln(x_t) + h_{t-1}": "h[t] = log(x[t]) + h[t-1]",
    "$$\nh_t = W x_t % in\n+ U h_{t-1}\n$$": "h[t] = W @ x[t] + U @ h[t-1]",
    "h_t = W x_t + U h_{t-1} % the state": "h[t] = W @ x[t] + U @ h[t-1]",
    r"h_t = \tanh(\mathit{Wx} x_t + \mathit{W1} h_{t-1})": "h[t] = tanh(Wx @ x[t] + W1 @ h[t-1])",
    "- h_t = x_t + h_{t-1}": "h[t] = x[t] + h[t-1]",  # a bullet
}


@pytest.mark.parametrize("page", READ)
def test_what_is_printed_is_what_is_read(page):
    assert Cell.from_latex(page) == Cell(READ[page])


REFUSED = {
    "-h_t = x_t + h_{t-1}": "-h_t is not a left side",
    "h_t = 0,5 x_t + h_{t-1}": "no =",
    r"h_t = 0{,}5 x_t + h_{t-1}": "no =",
    r"h_t = W x_t + b, U h_{t-1}": "no =",
    r"h_t = W x_t + U h_{t-1} \text{ if } x_t > 0": "no =",
}


@pytest.mark.parametrize("page", REFUSED)
def test_what_would_be_lost_is_refused(page):
    with pytest.raises(ElmanError, match=REFUSED[page]):
        Cell.from_latex(page)


@pytest.mark.parametrize("name", ["W1", "Wx", "Why", "WREC", "W_xh", "Win_1"])
def test_a_weight_of_several_letters_comes_back_as_the_matrix_it_is(name):
    cell = Cell(f"h[t] = tanh({name} @ x[t] + U @ h[t-1])")
    assert Cell.from_latex(cell.to_latex()) == cell


def test_symbols_are_a_dict():
    with pytest.raises(ElmanError, match="given by letter, as a dict"):
        Cell.from_latex("h_t = f(x_t)", symbols=["f"])

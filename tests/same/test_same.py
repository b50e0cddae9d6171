"""`elman.same`: what is the same function, what is not, and what it says of it."""

from __future__ import annotations

import json
import random
import re
import sys

import pytest

import elman
from elman import library
from elman.cli import main
from tests.soon import soon

SLIPS = {  # a published catalogue's reading of a cell, as a change of our text, and where they part
    "lstm_peephole": ("p_o * c[t] ", "p_o * c[t-1] ", "o"),
    "lem": ("U_h @ z[t] ", "U_h @ z[t-1] ", "h"),
    "nas_cell": ("(W_4 @ x[t]) * (U_4 @ h[t-1])", "W_4 @ x[t] + U_4 @ h[t-1]", "o_4"),
    "mgu": ("(1 - f[t]) * h[t-1] + f[t] * n[t]", "f[t] * h[t-1] + (1 - f[t]) * n[t]", "h"),
    "star": ("tanh((1 - k[t])", "((1 - k[t])", "h"),
    "ugrnn": ("tanh(", "sigmoid(", "c"),
}

SAME = {
    "names": ("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", "s[t] = tanh(B @ s[t-1] + c + A @ u[t])"),
    "named values": ("h[t] = tanh(a * x[t])", "p[t] = x[t] * k\nq[t] = tanh(p[t])\ny[t] = q[t]"),
    "brackets": ("h[t] = z * h[t-1] + (1 - z) * x[t]", "h[t] = x[t] + z * (h[t-1] - x[t])"),
    "signs": ("h[t] = x[t] - a * h[t-1]", "h[t] = -(a * h[t-1] - x[t])"),
    "quotients": ("h[t] = x[t] / (2 * a) + h[t-1]", "h[t] = h[t-1] + 0.5 * x[t] / a"),
    "powers": ("h[t] = (x[t] + b) ** 2", "h[t] = x[t] ** 2 + 2 * b * x[t] + b * b"),
    "odd functions": ("h[t] = tanh(-a * x[t])", "h[t] = -tanh(a * x[t])"),
    "a gate and the rest": ("h[t] = 1 - sigmoid(a * x[t])", "h[t] = sigmoid(-a * x[t])"),
    "even functions": ("h[t] = abs(a - x[t])", "h[t] = abs(x[t] - a)"),
    "relu": ("h[t] = relu(x[t])", "h[t] = max(0, x[t])"),
    "the least": ("h[t] = min(x[t], a)", "h[t] = -max(-a, -x[t])"),
    "the largest of three": ("h[t] = max(x[t], a, a * b)", "h[t] = max(b * c, max(x[t], c))"),
    "choices": ("h[t] = where(x[t] > a, x[t], a)", "h[t] = where(x[t] <= a, a, x[t])"),
    "delays": ("h[t] = a * h[t-2]+ x[t]", "p[t] = h[t-1]\nh[t] = x[t] + p[t-1] * a"),
    "inputs' delays": ("h[t] = W @ x[t-1] + x[t]", "p[t] = x[t]\nh[t] = W @ p[t-1] + p[t]"),
    "invariants": ("A = U - U.T\nh[t] = A @ x[t]", "h[t] = U @ x[t] - x[t] @ U"),
    "products of matrices": ("h[t] = U @ (V @ x[t])", "M = A @ B\nh[t] = M @ x[t]"),
    "columns": ("h[t] = W @ [h[t-1], x[t]]", "h[t] = V @ [x[t], h[t-1]]"),
    "joined": (
        "j[t] = [h[t-1], x[t]]\nh[t] = W @ (2 * j[t])",
        "h[t] = 2 * (U @ h[t-1] + V @ x[t])",
    ),
    "dots": ("h[t] = dot(w, [h[t-1], x[t]]) * b", "h[t] = b * (dot(u, h[t-1]) + dot(v, x[t]))"),
    "constants": ("k = 0.5\nh[t] = k * x[t]", "h[t] = x[t] / 2"),
    "constant vectors": ("k = [1, 2]\nh[t] = k * x[t]", "q = [1.0, 2.0]\nh[t] = x[t] * q"),
    "unused": ("h[t] = x[t]\ng[t] = W @ g[t-1]\nreturn h", "h[t] = x[t]"),
    "softmax": (
        "h[t] = softmax(x[t] + b)",
        "e[t] = exp(x[t] + b - max(x[t] + b))\nh[t] = e[t] / sum(e[t])",
    ),
    "sizes": (
        "c: cell\nc[t] = W @ x[t] + c[t-1]\nh[t] = P @ c[t]",
        "m[t] = V @ x[t] + m[t-1]\ny[t] = R @ m[t]",
    ),
    "returns": (
        "a[t] = x[t] * p\nb[t] = x[t] + q\nreturn b, a",
        "h[t] = q + x[t]\ng[t] = q2 * x[t]\nreturn h, g",
    ),
    "starts": ("h[0] = h0\nh[t] = a * h[t-1] + x[t]", "s[t] = x[t] + k * s[t-1]\ns[0] = before"),
    "masks": (
        "m: bernoulli(0.9)\nh[t] = m[t] * x[t]",
        "keep: bernoulli(0.9)\nh[t] = x[t] * keep[t]",
    ),
    "steps": ("h[t] = t * x[t]", "y[t] = x[t] * t"),
}

NUMERIC = {
    "logarithm of a product": ("h[t] = exp(x[t] + b)", "h[t] = exp(x[t]) * exp(b)"),
    "logistic": ("h[t] = sigmoid(x[t])", "h[t] = 1 / (1 + exp(-x[t]))"),
    "softplus": ("h[t] = softplus(a * x[t])", "h[t] = log(1 + exp(x[t] * a))"),
    "roots": ("h[t] = sqrt(x[t]) * sqrt(x[t]) + a", "h[t] = exp(log(x[t])) + a"),
}

NOT = {
    "a delay": ("h[t] = a * h[t-1] + x[t]", "h[t] = a * h[t-2] + x[t]"),
    "which state": ("z[t] = h[t-1]\nh[t] = a * z[t-1] + x[t] * h[t-1]", "h[t] = x[t] + a * h[t-1]"),
    "a transpose": (
        "h[t] = U @ h[t-1] + W @ x[t]",
        "h[t] = U.T @ h[t-1] + W @ x[t]\nU: hidden, hidden",
    ),
    "which weight twice": ("h[t] = U @ (U @ h[t-1]) + x[t]", "h[t] = U @ (V @ h[t-1]) + x[t]"),
    "tied": ("h[t] = W @ x[t] + U @ h[t-1]", "h[t] = W @ x[t] + W @ h[t-1]"),
    "order of returns": (
        "a[t] = tanh(x[t])\nb[t] = 2 * x[t]\nreturn a, b",
        "a[t] = tanh(x[t])\nb[t] = 2 * x[t]\nreturn b, a",
    ),
    "a constant": ("k = 0.5\nh[t] = k * x[t]", "k = 0.25\nh[t] = k * x[t]"),
    "a constant and a weight": ("k = 0.5\nh[t] = k * x[t]", "k: scalar\nh[t] = k * x[t]"),
    "a matrix and a vector": ("h[t] = W @ x[t] + u * h[t-1]", "h[t] = W @ x[t] + u @ h[t-1]"),
    "one size": ("h[t] = W @ x[t]\nW: input, input", "h[t] = W @ x[t]"),
    "streams": ("v: per sequence\nh[t] = x[t] * v", "h[t] = x[t] * v[t]"),
    "chances": ("m: bernoulli(0.9)\nh[t] = m[t] * x[t]", "m: bernoulli(0.8)\nh[t] = m[t] * x[t]"),
    "masks": (
        "m: bernoulli(0.9)\nh[t] = m[t] * x[t]",
        "m: bernoulli(0.9), per sequence\nh[t] = m * x[t]",
    ),
    "starts": ("h[0] = h0\nh[t] = a * h[t-1] + x[t]", "h[t] = a * h[t-1] + x[t]"),
    "where masks act": (
        "m: bernoulli(0.5)\nh[t] = m[t] * x[t] + m[t] * b",
        "m: bernoulli(0.5)\nh[t] = m[t] * m[t] * 2 * (x[t] + b)",
    ),
    "one more layer": ("h[t] = tanh(x[t])", "h[t] = tanh(tanh(x[t]))"),
}


@pytest.mark.parametrize("name", SAME)
def test_it_is_proven(name):
    found = elman.same(*SAME[name])
    assert found, found
    assert found.how == "structural"
    assert elman.same(*SAME[name][::-1])


@pytest.mark.parametrize("name", NUMERIC)
def test_what_cannot_be_proven_is_measured(name):
    found = elman.same(*NUMERIC[name])
    assert found, found
    assert found.how == "numeric"


@pytest.mark.parametrize("name", NOT)
def test_it_is_not_the_same(name):
    found = elman.same(*NOT[name])
    assert not found, found
    assert not elman.same(*NOT[name][::-1])


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_of_a_catalogue_is_found(name):
    old, new, value = SLIPS[name]
    text = library.cells.text(name)
    assert old in text
    found = elman.same(name, elman.Cell(text.replace(old, new), "catalogue"))
    assert not found
    assert found.reason.startswith(f"{value} parts at step 1: "), found
    first, second = found.equations
    assert first.place.endswith(f"of {name}")
    assert second.place.endswith("of catalogue")
    assert first.text.startswith(f"{value}[t] = ")
    assert first.text != second.text


def test_variants_of_the_lstm():
    forms = ("lstm", "lstm_concatenated", "lstm_gamma")
    for a in forms:
        for b in forms:
            assert elman.same(a, b).how == "structural"
    assert elman.same("lstm_concatenated", "lstm").names["W_f"] == "[U_f, W_f]"
    assert elman.same("lstm_concatenated", "lstm_gamma").names["W_i"] == "W_u"
    assert elman.same("lstm", "lstm_gamma").names["h"] == "a"
    assert not elman.same("lstm", "lstm_peephole")
    assert not elman.same("lstm", "cifg")


def test_variants_of_the_gru():
    assert elman.same("gru_take_new", "gru_gamma")
    for other in ("gru_take_new", "gru_reset_after", "mgu", "augru", "li_gru"):
        assert not elman.same("gru", other), other


GATES = r"""
\begin{align}
\tilde{c}^{(t)} &= \tanh(W_c [a^{(t-1)}, x^{(t)}] + b_c) \\
\Gamma_u &= \sigma(W_u [a^{(t-1)}, x^{(t)}] + b_u) \\
\Gamma_f &= \sigma(W_f [a^{(t-1)}, x^{(t)}] + b_f) \\
\Gamma_o &= \sigma(W_o [a^{(t-1)}, x^{(t)}] + b_o) \\
c^{(t)} &= \Gamma_u * \tilde{c}^{(t)} + \Gamma_f * c^{(t-1)} \\
a^{(t)} &= \Gamma_o * \tanh c^{(t)}
\end{align}
"""


def test_a_page_in_other_letters():
    assert elman.same("lstm", elman.Cell.from_latex(GATES))
    slip = elman.Cell.from_latex(GATES.replace(r"\tanh c^", "c^"), name="page")
    found = elman.same("lstm", slip)
    assert found.reason.startswith("h (a) parts at step 1: ")
    assert found.equations[1].place == "line 8 of page"
    slip = elman.Cell.from_latex(GATES.replace(r"\Gamma_f * c^", r"\Gamma_u * c^"), name="page")
    found = elman.same("lstm", slip)
    assert re.match(r"page has nothing like the parameters W_([fi]), U_\1, b_\1 of", found.reason)


def test_other_weights_are_said():
    found = elman.same("lstm", "lstm_torch")
    assert not found
    assert found.reason.startswith("only after merging b_ii + b_hi, b_if + b_hf, ")
    found = elman.same("gru", "gru_take_new")
    assert not found
    assert found.reason.startswith("only after negating W_z, U_z, b_z of gru_take_new")


def test_it_shows_itself():
    found = elman.same("lstm_peephole", elman.cells["lstm_peephole"])
    assert str(found) == (
        "the first and the second are the same function: proven from the equations"
    )
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1])"
    other = elman.Cell(text.replace("tanh", "relu"), "other")
    shown = str(elman.same(elman.Cell(text, "rnn"), other))
    headline, first, second = shown.splitlines()
    assert headline.startswith("rnn and other are not the same function: h parts at step 1: ")
    assert first == "  line 1 of rnn    h[t] = tanh(W @ x[t] + U @ h[t-1])"
    assert second == "  line 1 of other  h[t] = relu(W @ x[t] + U @ h[t-1])"


def test_what_one_of_them_lacks_is_named():
    found = elman.same("h[t] = W @ x[t]", "h[t] = W @ x[t] + U @ h[t-1]")
    assert found.reason == "the first has nothing like the state h, the parameter U of the second"
    found = elman.same("h[t] = x[t]", "h[t] = x[t]\nreturn h, h2\nh2[t] = 2 * x[t]")
    assert found.reason == "the first returns 1 value, the second 2 values"


def test_it_is_the_same_answer_every_time():
    answers = {str(elman.same("lem", "cornn")) for _ in range(3)}
    assert len(answers) == 1


def test_any_pair_of_published_cells_is_compared_at_once():
    """In processor seconds: half a second at most on an idle machine."""
    chance = random.Random(1)
    for _ in range(30):
        a, b = chance.sample(sorted(elman.cells), 2)
        with soon(2):
            found = elman.same(a, b)
        assert found or "after" in found.reason or found.equations, str(found)


def interchangeable(count: int, swapped: bool) -> str:
    terms = [f"tanh(W_{k}x @ x[t] + U_{k}h @ h[t-1])" for k in range(count)]
    if swapped:
        terms = [f"tanh(A_{k}a @ h[t-1] + B_{k}b @ x[t])" for k in reversed(range(count))]
    return "h[t] = " + " + ".join(terms)


@pytest.mark.filterwarnings("ignore")  # many names, one letter from each other
def test_fifty_interchangeable_weights_do_not_explode():
    with soon(10):
        assert elman.same(interchangeable(50, False), interchangeable(50, True))
        other = interchangeable(50, True).replace("A_7a @ h[t-1]", "A_7a @ tanh(h[t-1])")
        assert not elman.same(interchangeable(50, False), other)


def test_the_command(capsys, monkeypatch):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["elman", "compare", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, capsys.readouterr().out

    code, out = run("lstm", "lstm_concatenated")
    assert code == 0
    assert out.startswith("lstm and lstm_concatenated are the same function")
    code, out = run("gru", "mgu", "--json")
    assert code == 1
    assert json.loads(out)["same"] is False

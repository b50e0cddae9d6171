"""Whatever is typed, the answer is a cell or an ElmanError that can be shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import ElmanError
from elman.language import read, write, write_cell, write_text
from tests.language.drawn import CELLS, short_texts, texts
from tests.soon import soon

WORDS = r"""
    h x W U b t z [t] [t-1] [t+1] [ ] ( ) , . .T : = == < > <= != + - * / @ ** ^ % # \ ' " ; { }
    0.9 1e5 1e999 2 tanh sigmoid softmax max where( return scalar per step sequence hidden if for
    l .. 1..3 = [t,l] [t,l-1] [l] h[0] L frozen bernoulli(0.9) : inner: leaky( x= step round %
    einsum( "ij,j->i" and lambda σ ⊙ · ² ₜ − ≤ ĥ 名 ½ ﬁ
"""
SPACES = ["\n", "\t", "\u200b", "\u0302", "\x00", "\ud800", "\u2028", " "]
words = st.sampled_from([*WORDS.split(), *SPACES])
SEEDS = [
    "z[t] = sigmoid(W_z @ [h[t-1], x[t]] + b_z)  # gate\nh[t] = z[t] * h[t-1] + (1 - z[t]) * x[t]",
    "U: hidden, hidden\nalpha = 0.9\nA = U - U.T\nh[t] = alpha * A @ h[t-1] + x[t]**2\nreturn h",
    "m: bernoulli(0.9)\nW: hidden, input, frozen\nh[0] = h0\n"
    "h[t] = m[t] * tanh(W @ x[t] + h[t-1] % t)",
    "L = 2\nl = 1..L\ns[t,0] = h[t-1]\ns[t,l] = tanh(R[l] @ s[t,l-1] + x[t])\nh[t] = s[t,L]",
    'a: gated(x = x[t], h = c[t-1])\nc[t] = a_h[t] + einsum("hij,hj->hi", R, c[t-1])',
    "v: per sequence\nP = [[0, 1],\n [1, 0]]\nh[t] = P @ where(x[t] < 0, v, -x[t-2])\n",
]


def answer(text: str) -> None:
    """Read, and say everything that can be said about the result."""
    try:
        reading = read(text, "drawn", CELLS.__getitem__)
    except ElmanError as error:
        message = str(error)
        assert f"[{error.code}]" in message
        assert len(message) < 2000 + len(text)
    else:
        assert read(write(reading), cells=CELLS.__getitem__).cell == reading.cell
        assert read(write_cell(reading.cell)).cell == reading.cell
        write_text(reading)


@settings(max_examples=500)
@given(st.lists(words, max_size=25), st.sampled_from(["", " "]))
def test_any_words_in_any_order(chosen, between):
    answer("h[t] = " + between.join(chosen))
    answer(between.join(chosen))


@given(st.text(max_size=60))
def test_any_characters(text):
    answer(text)


@settings(max_examples=500)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), words), max_size=4),
)
def test_cells_with_something_changed(text, changes):
    for place, removed, word in changes:
        at = int(place * len(text))
        text = text[:at] + word + text[at + removed :]
    answer(text)


@given(texts() | short_texts(), st.floats(0, 1), st.floats(0, 1))
def test_cells_with_something_missing(text, first, last):
    written = write(text)
    start, end = sorted(int(place * len(written)) for place in (first, last))
    answer(written[:start] + written[end:])


@pytest.mark.parametrize(
    "sign", ["(", "[", ")", "-", "+", "=", ".T", "**", "x[", "tanh(", "\\\n", "#"]
)
def test_ten_thousand_of_one_sign(sign):
    answer("h[t] = " + sign * 10_000)
    answer("h[t] = x[t]" + sign * 10_000)
    answer(sign * 10_000)


@pytest.mark.parametrize("joined", [" + ", " * ", " @ ", ", ", "\ny[t] = x[t] + ", " < "])
def test_ten_thousand_terms(joined):
    answer("h[t] = " + joined.join(["x[t]"] * 10_000))


BROAD = {
    "sum": ("h[t] = x[t]", " + x[t]"),
    "equations": ("h[t] = x[t]\n", "y[t] = h[t-1]\n"),
    "blank lines": ("", "\n"),
    "ranges": ("", "l = 1..3\n"),
    "rounds": ("l = 1..100\n", "s[t,l] = x[t]\n"),
    "one long round": ("l = 1..100\ns[t,l] = x[t]", " + s[t-1,l]"),
    "inner cells": ("", "a: noisy(x = x[t])\n"),
    "one long gift": ("a: noisy(x = x[t]", " + x[t]"),
    "masks": ("m: bernoulli(0.5)\nh[t] = x[t]", " + m[t]"),
    "initial values": ("h[t] = h[t-1]\n", "h[0] = h0\n"),
    "an accent": ("h", "\u0302"),
}


@pytest.mark.parametrize("kind", BROAD)
@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_text_of_any_size_is_answered_at_once(kind, size):
    first, repeated = BROAD[kind]
    text = first + repeated * ((size - len(first)) // len(repeated))
    with soon(1):
        try:
            read(text, cells=CELLS.__getitem__)
        except ElmanError as error:
            assert str(error)

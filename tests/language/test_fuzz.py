"""Whatever is typed, the answer is a cell or an ElmanError that can be shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import ElmanError
from elman.language import read, write, write_cell, write_text
from tests.language.drawn import texts

WORDS = r"""
    h x W U b t z [t] [t-1] [t+1] [ ] ( ) , . .T : = == < > <= != + - * / @ ** ^ % # \ ' " ; { }
    0.9 1e5 1e999 2 tanh sigmoid softmax max where( return scalar per step sequence hidden if for
    and lambda σ ⊙ · ² ₜ − ≤ ĥ 名 ½ ﬁ
"""
SPACES = ["\n", "\t", "\u200b", "\u0302", "\x00", "\ud800", "\u2028", " "]
words = st.sampled_from([*WORDS.split(), *SPACES])
SEEDS = [
    "z[t] = sigmoid(W_z @ [h[t-1], x[t]] + b_z)  # gate\nh[t] = z[t] * h[t-1] + (1 - z[t]) * x[t]",
    "U: hidden, hidden\nalpha = 0.9\nA = U - U.T\nh[t] = alpha * A @ h[t-1] + x[t]**2\nreturn h",
    "v: per sequence\nP = [[0, 1],\n [1, 0]]\nh[t] = P @ where(x[t] < 0, v, -x[t-2])\n",
]


def answer(text: str) -> None:
    """Read, and say everything that can be said about the result."""
    try:
        reading = read(text, "drawn")
    except ElmanError as error:
        message = str(error)
        assert f"[{error.code}]" in message
        assert len(message) < 2000 + len(text)
    else:
        assert read(write(reading)).cell == reading.cell
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


@given(texts(), st.floats(0, 1), st.floats(0, 1))
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

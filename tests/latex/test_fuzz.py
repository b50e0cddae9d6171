"""Any text gets a cell or an ElmanError that says something, and at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import Cell
from elman.errors import ElmanError
from elman.language import read_latex
from tests.soon import soon

pytestmark = pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")

WORDS = r"""
    h x W U b t _ ^ _{t} _{t-1} ^{(t)} ^\top ' { } ( ) [ ] \{ \} \left( \right) \left. \right| | \|
    \\ & , ; = + - * / @ \odot \cdot \times \otimes \oplus \sigma \tanh \phi \frac \sqrt \sum
    \sum_{k=1}^{3} \begin{pmatrix} \end{pmatrix} \begin{cases} \end{cases} \begin{align} \end{align}
    \begin{array}{ll} \end{array} \hat \tilde \mathbf \mathbb{R} \mathbb{1} \in \sim < > \le 0.5 10
    1e999 2 $ $$ \[ \] \( \) % # : . \quad \Delta I e \mathcal{H} ```math
    \operatorname{einsum}_{i,j} \langle \rangle ₜ ₋ ₁ ² ᵀ ĥ α σ ⊙ 名 ½ ﬁ
"""
SPACES = ["\n", "\n\n", "\t", "\u200b", "\u0302", "\x00", "\ud800", "\u2028", " ", "\\text{if } "]
words = st.sampled_from([*WORDS.split(), *SPACES])
PAGES = sorted((Path(__file__).parent / "pages").glob("*.txt"))
SEEDS = [path.read_text("utf-8").split("\n----\n")[-2] for path in PAGES]


def answer(text: str) -> None:
    with soon(5):  # a loaded machine; it is 0.05 on a free one
        try:
            cell = Cell.from_latex(text, name="drawn")
        except ElmanError as error:
            message = str(error)
            assert f"[{error.code}]" in message
            assert len(message) < 3000
        else:
            assert Cell(str(cell)) == cell


@settings(max_examples=300, deadline=None)
@given(st.lists(words, max_size=25), st.sampled_from(["", " "]))
def test_any_words_in_any_order(chosen, between):
    answer("h_t = " + between.join(chosen))
    answer(between.join(chosen))


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_characters(text):
    answer(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5), words | st.just("")), max_size=3),
)
def test_pages_with_something_changed(text, changes):
    for place, removed, word in changes:
        at = int(place * len(text))
        text = text[:at] + word + text[at + removed :]
    answer(text)


@pytest.mark.parametrize(
    "sign", ["(", "[", "{", ")", "_", "^", "'", "\\frac", "\\hat", "$", "x_t+", "a=b,", "é", "\\\\"]
)
def test_a_megabyte_and_ten_thousand_of_one_sign(sign):
    for text in (sign * (1_000_000 // len(sign)), "h_t = " + sign * (10_000 // len(sign))):
        with soon(5):  # about 1 on a free machine
            try:
                read_latex(text)
            except ElmanError as error:
                assert len(str(error)) < 3000

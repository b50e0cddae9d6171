"""A cell says what it is in every notation: what is written reads back to an equal cell."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman import Cell
from elman.errors import CellWarning
from elman.language import read, write, write_latex
from elman.language.functions import FUNCTIONS
from elman.language.letters import COMMANDS, GREEK
from elman.language.lower import lower
from elman.language.read_latex import read_latex
from elman.language.syntax import Text
from tests.language.drawn import CELLS, short_texts, texts

pytestmark = pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")


def with_letters(text: str) -> str:
    """The text with every Greek word as its letter, as plain Unicode prints it; σ is a function."""
    letters = {word: letter for word, letter in GREEK.items() if word != "sigma"}
    return re.sub(
        r"[^\W\d]\w*", lambda word: "_".join(letters.get(p, p) for p in word[0].split("_")), text
    )


@pytest.mark.parametrize("name", elman.cells)
def test_latex(name):
    cell = elman.cells[name]
    page = cell.to_latex()
    again = Cell.from_latex(page)
    assert again == cell, page
    assert again.to_latex() == page


@pytest.mark.parametrize("name", elman.cells)
def test_python(name):
    cell = elman.cells[name]
    assert Cell(str(cell)) == cell
    assert eval(repr(cell)) == cell
    assert eval(repr(cell)).name == name


@pytest.mark.parametrize("name", elman.cells)
def test_a_cell_from_a_page_is_python_too(name):
    cell = Cell.from_latex(elman.cells[name].to_latex())
    assert Cell(str(cell)) == cell
    assert eval(repr(cell)) == cell


@pytest.mark.parametrize("name", elman.cells)
def test_plain_text(name):
    cell = elman.cells[name]
    assert Cell.from_latex(cell.to_text()) == Cell(with_letters(str(cell))), cell.to_text()


@given(texts())
def test_drawn_cells(text: Text):
    page = write_latex(text)
    assert read_latex(page).cell == lower(text)[0], page


@given(short_texts())
def test_drawn_loops_and_inner_cells_are_written_out(text: Text):
    reading = read(write(text), cells=CELLS.__getitem__)
    page = write_latex(reading)
    assert read_latex(page).cell == reading.cell, page


letters = st.sampled_from([*COMMANDS, "h", "W", "x", "hat", "bar", "t", "n1", "cell", "ĉ", "名前"])
indices = st.sampled_from([*COMMANDS, "ih", "t", "hat", "1", "12", "01", "in", "T", "e", "", "x1"])
words = st.from_regex(re.compile("[A-Za-z_][A-Za-z0-9_]{0,6}", re.ASCII), fullmatch=True)
names = st.builds(lambda first, rest: "_".join([first, *rest]), letters, st.lists(indices))
TAKEN = {*FUNCTIONS, "t", "lambda", "I"}  # functions, the step, a word of Python, the identity
FREE = (words | names).filter(lambda name: name not in TAKEN)


@given(st.lists(FREE, min_size=3, max_size=3, unique=True))
def test_every_name_reads_back_to_itself(three):
    parameter, state, stream = three
    text = f"{state}[t] = {parameter} * {stream}[t] + {state}[t-1]"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CellWarning)
        try:
            cell = Cell(text)
        except elman.ElmanError:  # a word of Python
            return
        assert Cell.from_latex(cell.to_latex()) == cell, cell.to_latex()


def test_a_notebook_shows_the_equations():
    cell = Cell("h[t] = tanh(W @ x[t])")
    assert cell._repr_latex_() == "$$\\begin{aligned}\n  h_t &= \\tanh(W x_t)\n\\end{aligned}$$"
    assert Cell.from_latex(cell._repr_latex_()) == cell

"""Pages as papers, books and courses print them: each file is a page and the text that it means.

`symbols` stand before the page, where the page itself does not say what a letter is.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elman import Cell
from elman.errors import ElmanError
from elman.language import read, read_latex, write

PAGES = sorted((Path(__file__).parent / "pages").glob("*.txt"))
RULE = "\n----\n"


def page(path: Path) -> tuple[str, dict[str, str], str]:
    *head, latex, expected = path.read_text("utf-8").split(RULE)
    pairs = (line.split(" = ") for part in head for line in part.splitlines())
    return latex, dict(pairs), expected


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_page_is_read_as_it_is_printed(path):
    latex, symbols, expected = page(path)
    got = write(read_latex(latex, symbols))
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":  # then read the diff, every line of it
        path.write_text(path.read_text("utf-8").removesuffix(expected) + got, "utf-8")
    assert got == expected


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_cell_has_shapes_and_its_text_reads_back(path):
    latex, symbols, expected = page(path)
    cell = Cell.from_latex(latex, symbols)
    assert cell == Cell(expected)
    assert cell == Cell(str(cell))
    assert cell == Cell.from_latex(cell.to_latex())


def test_there_are_enough_pages():
    assert len(PAGES) >= 100


def test_places_lie_in_the_latex():
    reading = read_latex("\\begin{align}\n h_t &= \\tanh(W x_t \\\\\n &+ U h_{t-1})\n\\end{align}")
    spans = {reading.quote(n) for n in reading.spans}
    assert {r"W x_t", r"U h_{t-1}", "W", "h_{t-1}"} <= spans


def test_the_python_notation_and_the_page_give_one_cell():
    python = read("z[t] = sigmoid(W @ [h[t-1], x[t]])\nh[t] = z[t] * h[t-1] + (1 - z[t]) * x[t]")
    latex = read_latex(
        r"h_t = z_t \odot h_{t-1} + (1 - z_t) \odot x_t, \quad z_t = \sigma(W [h_{t-1}, x_t])"
    )
    assert {e.name: e.value for e in latex.cell.equations} == {
        e.name: e.value for e in python.cell.equations
    }


def test_a_file_of_latex_is_a_cell_too(tmp_path):
    (tmp_path / "simple.tex").write_text(
        r"Our cell is \[ h_t = \tanh(W x_t + U h_{t-1}). \]", "utf-8"
    )
    cell = Cell.load(tmp_path / "simple.tex")
    assert cell == Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])")
    assert cell.name == "simple"


def test_an_error_in_a_file_names_it(tmp_path):
    (tmp_path / "notes.md").write_text("The state is $$h_t = f(x_t)$$", "utf-8")
    with pytest.raises(ElmanError, match="not said to be a function") as caught:
        Cell.load(tmp_path / "notes.md")
    assert "notes.md" in str(caught.value)

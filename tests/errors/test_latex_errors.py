"""Each file in `latex/` is a page with one defect, a line of dashes, and the message it gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from elman import Cell
from elman.errors import ElmanError
from tests.errors.golden import assert_golden

GOLDEN = sorted((Path(__file__).parent / "latex").glob("*.txt"))
RULE = "\n----\n"


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_is_the_golden_one(path):
    text, _ = path.read_text("utf-8").split(RULE)
    with pytest.raises(ElmanError) as caught:
        Cell.from_latex(text, name="notes")
    got = str(caught.value) + "\n"
    assert_golden(path, got, text + RULE)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_file_is_named_after_its_code_and_the_message_says_a_way_out(path):
    headline, *rest = path.read_text("utf-8").split(RULE)[1].splitlines()
    assert re.fullmatch(r"(Syntax|Time|Name|Shape)Problem \[E[1234]\d\d\]: .*[^.]", headline)
    assert f"[{path.stem[:4]}]" in headline
    assert rest, "a headline alone helps nobody"
    assert rest[-1].endswith((".", "?", ")"))


@pytest.mark.parametrize(
    "path", [p for p in GOLDEN if "no_place" not in p.stem], ids=lambda path: path.stem
)
def test_the_caret_stands_in_a_line_of_the_page(path):
    text, expected = path.read_text("utf-8").split(RULE)
    place, line, caret, *_ = expected.splitlines()[1:]
    assert re.match(r"  (equation|line) \d+ of cell 'notes'", place)
    assert any(line.strip().strip(".") in given for given in text.splitlines())
    assert set(caret.strip()) == {"^"}


def test_every_code_of_the_reader_has_a_golden_text():
    sources = Path(__file__).parents[2].joinpath("src/elman/language").glob("latex_*.py")
    codes = {
        code for source in sources for code in re.findall(r'"(E1[5-9]\d)"', source.read_text())
    }
    assert codes <= {path.stem[:4] for path in GOLDEN} | {"E158"}


def test_a_page_with_a_book_of_formulas_is_refused():
    with pytest.raises(ElmanError, match="more than 20,000 characters") as caught:
        Cell.from_latex("h_t = x_t + h_{t-1}\n" * 4000)
    assert caught.value.code == "E158"


def test_a_letter_that_is_not_understood_is_refused():
    for symbols in ({r"\phi": "not a name"}, {"": "tanh"}, {r"\phi": None}, {"{": "tanh"}):
        with pytest.raises(ElmanError, match="is not understood") as caught:
            Cell.from_latex("h_t = x_t", symbols=symbols)
        assert caught.value.code == "E160"


def test_an_equation_is_counted_by_where_it_begins():
    page = r"a_t = x_t, \quad b_t = \foo(x_t), \quad h_t = a_t + b_t"
    with pytest.raises(ElmanError) as caught:
        Cell.from_latex(page)
    assert caught.value.where.label == "equation 2"

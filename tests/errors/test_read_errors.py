"""Each file in `read/` is a text with one defect, a line of dashes, and the message it gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from elman.errors import ElmanError, NameProblem, nearest
from elman.language import read
from tests.errors.golden import assert_golden

CELLS = {  # what a text may put in
    "lstm": "c[t] = f[t] * c[t-1] + x[t]\n"
    "f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1])\nh[t] = tanh(c[t])",
    "gru": "v: per sequence\nalpha = 0.5\nh[t] = alpha * h[t-1] + V @ v + W @ x[t]",
    "twice": "h[t] = h[t-1] + a_h[t]\na: thrice(x = x[t])",
    "thrice": "b: twice(x = x[t])\nh[t] = b_h[t]",
    "broken": "# a comment\nh[t] = tahn(x[t])",
}

GOLDEN = sorted((Path(__file__).parent / "read").glob("*.txt"))
RULE = "\n----\n"
ELSEWHERE = {"E427"}  # of an argument, not of the text: tests/language/test_expand.py


def cells(name: str) -> str:
    if name not in CELLS:
        raise NameProblem("E410", f"no {name}", fix=nearest(name, CELLS) or None)
    return CELLS[name]


def message(text: str) -> str:
    with pytest.raises(ElmanError) as caught:
        read(text, "elman", cells)
    return str(caught.value)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_is_the_golden_one(path):
    text, _ = path.read_text("utf-8").split(RULE)
    got = message(text) + "\n"
    assert_golden(path, got, text + RULE)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_file_is_named_after_its_code_and_the_message_says_a_way_out(path):
    headline, *rest = path.read_text("utf-8").split(RULE)[1].splitlines()
    assert re.fullmatch(r"(Syntax|Time|Name)Problem \[E[134]\d\d\]: .*[^.]", headline)
    assert f"[{path.stem[:4]}]" in headline
    assert rest, "a headline alone helps nobody"
    assert rest[-1].endswith((".", "?", "...", "\\.", ")")) or "Write" in rest[-1]


def test_every_code_of_the_language_has_a_golden_text():
    sources = Path(__file__).parents[2].joinpath("src/elman/language").glob("*.py")
    texts = [source.read_text() for source in sources if "latex" not in source.name]
    codes = {code for text in texts for code in re.findall(r'"(E\d{3})"', text)}
    assert codes - ELSEWHERE == {path.stem[:4] for path in GOLDEN}


def test_the_caret_stands_under_what_a_terminal_shows():
    # a hat over a letter takes no column, a wide letter two, a tab is shown as one space
    shown = message("\th[t]\t= tanh(n\u0302[t] + 名[t] + §)").splitlines()
    assert shown[2] == "    h[t] = tanh(n\u0302[t] + 名[t] + §)"
    assert shown[3] == "    " + " " * 27 + "^"


def test_the_name_of_a_file_is_not_called_a_cell():
    with pytest.raises(ElmanError, match="there is no function") as caught:
        read("h[t] = tahn(x[t])", "my/gru.cell")
    assert "equation 1 of my/gru.cell" in str(caught.value)


def test_without_a_name_the_equation_is_counted():
    with pytest.raises(ElmanError) as caught:
        read("# a comment\nz[t] = x[t]\n\nalpha = 0.5\nh[t] = tahn(alpha * z[t])")
    assert str(caught.value).splitlines()[1] == "  equation 2"


def test_an_error_in_a_continued_line_shows_the_line_that_it_is_on():
    text = "h[t] = tanh(W @ x[t]\n            + U @ h[t])\n"
    assert message(text).splitlines()[1:4] == [
        "  equation 1 of cell 'elman'",
        "    + U @ h[t])",
        "          ^^^^",
    ]

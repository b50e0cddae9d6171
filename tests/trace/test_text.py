"""Plain text and the terminal: lines that fit, signs under each other, colours."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from elman.errors import columns_of
from elman.language.syntax import Name, Number
from elman.trace.document import Chain, Document, Remark, Section, Table, blanked
from elman.trace.formats.fitting import fitted, wrapped
from elman.trace.formats.terminal import print_document
from elman.trace.formats.text import Row, write_rows, write_text
from elman.trace.leaves import Dated, Gap
from elman.trace.numbers import Digits
from tests.backends.table import LIBRARY, typical_first
from tests.trace.examples import EXAMPLES
from tests.trace.formats import SIZES, example, library


def page(*items, title="", text=None) -> Document:
    found = Document((Section("step 1", items),), title)
    return found if text is None else replace(found, text=text)


# ---- plain text ----


@pytest.mark.parametrize("name", typical_first(LIBRARY))
@pytest.mark.parametrize("width", [80, 160])
def test_no_line_is_wider_than_the_page_and_signs_stand_under_each_other(name, width):
    for hidden in SIZES:
        rows = write_rows(library(name, hidden).document(), Digits(), width)
        assert max(columns_of("".join(text for text, _ in row)) for row in rows) <= width
        assert_aligned(rows)


def test_the_backward_pass_fits_and_is_aligned_too():
    for name in ("halves", "scalar", "read_out"):
        for width in (60, 80, 160):
            rows = write_rows(example(name).document(), Digits(), width)
            assert max(columns_of("".join(text for text, _ in row)) for row in rows) <= width
            assert_aligned(rows)


@pytest.mark.parametrize("name", typical_first(LIBRARY))
def test_the_backward_pass_of_every_cell_fits_and_is_aligned(name):
    for hidden in (1, 3):
        rows = write_rows(library(name, hidden, backward=True).document(), Digits(), 80)
        assert max(columns_of("".join(text for text, _ in row)) for row in rows) <= 80
        assert_aligned(rows)


def assert_aligned(rows: list[Row]) -> None:
    """A line that begins with `=` has it under that of its equation, or of the one beside it."""
    known: list[int | None] = []  # of the equation, and of what is worked beside it
    for row in rows:
        label = next((text for text, what in row if what == "label"), None)
        sign = next((k for k, (_, what) in enumerate(row) if what == "sign"), None)
        before = "".join(text for text, _ in row[:sign]) if sign is not None else ""
        column = columns_of(before + row[sign][0]) if sign is not None else None
        if label is not None:
            is_outer = row[0][0] == "  "
            known = [column] if is_outer else [known[0], column]
        elif column is not None:
            if known[-1] is None:
                known[-1] = column
            if column == known[0]:
                known = known[:1]
            assert column == known[-1], "".join(text for text, _ in row)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_text_in_two_widths_says_the_same(width):
    for name in ("5_next_word", "elided", "3_lstm", "concatenation"):
        trace = EXAMPLES[name].trace()
        wide, narrow = (re.sub(r"\s+|# ", "", trace.to_text(width=w)) for w in (500, width))
        assert wide == narrow


LONG = [
    ("a + b * c", 80, ["a + b * c"]),
    ("aaaa + bbbb + cccc", 12, ["aaaa + bbbb", "+ cccc"]),
    ("(1.25, 2.25, 3.25, 4.25, 5.25)", 26, ["(1.25, 2.25, 3.25, 4.25,", " 5.25)"]),
    ("[[1, 2], [3, 4], [5, 6]]", 26, ["[[1, 2], [3, 4], [5, 6]]"]),
    ("[[1, 2, 3], [4, 5, 6], [7, 8, 9]]", 30, ["[[1, 2, 3],", " [4, 5, 6],", " [7, 8, 9]]"]),
    ("f(0.125*3 + 0.25*4)*g(0.5*1 + 2)", 20, ["f(0.125*3 + 0.25*4)", "*g(0.5*1 + 2)"]),
    ("2**3 * 4**5", 6, ["2**3", "* 4**5"]),
    ("2**3 * 4**5", 4, ["2**3", "* 4", "**5"]),
    ("exp(a)**tanh(b)", 10, ["exp(a)", "**tanh(b)"]),
    ("-0.25**2", 6, ["-0.25", "**2"]),
    ("unbreakable", 4, ["unbreakable"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "width", "lines"), LONG)
def test_a_line_is_broken_where_a_person_would_break_it(text, width, lines):
    assert fitted(text, width) == lines


def test_a_deep_bracket_does_not_push_its_lines_off_the_page():
    text = "tanh(" * 12 + "0.25*1 + 0.5*2 + 0.125*3 + 0.5" + ")" * 12
    lines = fitted(text, 80, start=6)
    assert max(map(len, lines)) <= 80
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("start", [0, 6, 30])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_only_what_cannot_be_broken_is_wider_than_the_page(start, width):
    power = "exp(-abs(x[1]))**straight_through(step(-0.153046), softplus(log_sigmoid(x[2] + 0.25)))"
    for text in (power, f"({power})**({power})", f"tanh({power}*{power})", f"[[{power}, {power}]]"):
        first, *others = fitted(text, width, start)
        assert max(start + len(first), *map(len, others)) <= width
        assert re.sub(r"\s", "", "".join([first, *others])) == re.sub(r"\s", "", text)


def test_letters_count_by_the_columns_that_they_fill():
    assert wrapped("心 心 心", 5) == ["心 心", "心"]
    hat = "c\u0302[1]"  # a hat of its own takes no room
    text = write_text(page(Chain(Name(hat), (Number(1.0), Number(2.0)))), Digits())
    first, second = text.splitlines()[1:]
    assert columns_of(first[: first.index("=")]) == columns_of(second[: second.index("=")])


def test_a_long_gloss_stands_under_its_formula_with_its_mark():
    gloss = "a gloss that is so long that no line of a page would ever hold it " * 2
    lines = write_text(page(Chain(Name("h"), (Number(1.0),), gloss)), Digits(), 60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert lines[1] == "  h = 1"
    assert lines[2].startswith("      # a gloss") and lines[3].startswith("      # ")


def test_a_numbered_question_hangs_under_its_first_word():
    lines = write_text(page(Remark("12. why " * 2 + "is it so " * 6)), Digits(), 30).splitlines()
    assert lines[1] == "  12. why 12. why is it so is" and len(lines) > 3
    assert all(re.match(r" {6}\S", line) and len(line) <= 30 for line in lines[2:])
    plain = write_text(page(Remark("0.5 is more than it was, " * 3)), Digits(), 30).splitlines()
    assert all(re.match(r" {2}\S", line) for line in plain[1:])
    assert "__" not in example("scalar").asking("", ["Why?"]).to_text()
    trace = example("scalar").asking("", ["Why is it so? " * 9])
    asked = trace.to_text(blank=True).split("\n\n")
    assert asked[1:4] == ["     " + "_" * 75] * 2 + [asked[3]] and asked[3].startswith("step 1")
    assert "so? Why\n     is it so?" in trace.to_text(blank=True)
    assert '<p class="numbered">1. Why' in trace.to_html()
    assert r"\hangindent=1.5em 1. Why" in trace.to_latex()


def test_a_table_has_columns():
    rows = (("GRU", Dated("h", 1), np.array([0.5, 1 / 3])), ("a longer one", "", Gap((1,))))
    table = Table(("cell", "of", "value"), rows, "side by side")
    assert write_text(page(table), Digits()).splitlines()[1:] == [
        "  side by side",
        "  cell          of    value",
        "  GRU           h[1]  (0.5, 0.3333)",
        "  a longer one        ____________",
    ]
    wide = Table(("cell", "value"), (("GRU", "word " * 40),))
    assert max(map(len, write_text(page(wide), Digits(), 60).splitlines())) <= 60


# ---- the terminal ----


@pytest.mark.parametrize("name", [*EXAMPLES, "read_out", "halves", "scalar"])
@pytest.mark.parametrize("width", [80, 200])
def test_without_its_colours_the_terminal_shows_the_plain_text(name, width):
    trace = EXAMPLES[name].trace() if name in EXAMPLES else example(name)
    for document in (trace.document(), blanked(trace.document())):
        page = io.StringIO()
        console = Console(file=page, force_terminal=True, color_system="truecolor", width=width)
        print_document(document, Digits(), console=console)
        assert "\x1b[" in page.getvalue()
        plain = re.sub(r"\x1b\[[0-9;]*m", "", page.getvalue())
        assert plain == write_text(document, Digits(), width) + "\n"


def test_a_file_and_no_color_get_no_colours(monkeypatch):
    for variable, terminal in (("NO_COLOR", True), ("UNUSED", False)):
        monkeypatch.setenv(variable, "1")
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, width=100)
        print_document(example("scalar").document(), Digits(), console=console)
        assert "38;5" not in file.getvalue() and "[36m" not in file.getvalue()


def test_markup_in_a_gloss_is_shown_and_not_obeyed():
    file = io.StringIO()
    print_document(page(Remark("[bold]h[t][/bold]")), Digits(), console=Console(file=file))
    assert "[bold]h[t][/bold]" in file.getvalue()


def test_results_labels_and_glosses_can_be_told_apart():
    rows = write_rows(EXAMPLES["3_lstm"].trace().document(), Digits())
    roles = {text.strip(): what for row in rows for text, what in row}
    assert roles["0.5498"] == "result" and roles["f[1]"] == "label"
    assert roles["sigmoid(0.2)"] == "numbers" and roles["step 1"] == "heading"
    assert roles["# forget gate: how much of the old memory stays"] == "comment"


def test_elman_and_a_page_are_light():
    code = "import sys, elman; elman.Cell('h[t] = x[t]').trace({'x': [1.0]}, {}).to_html()"
    code += "; print([m for m in ('rich', 'yaml', 'torch', 'typer') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"

"""Each file in `shapes/` is a text whose sizes do not meet, a line of dashes, and its message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from elman import Cell
from elman.errors import ShapeProblem
from tests.errors.golden import assert_golden

GOLDEN = sorted((Path(__file__).parent / "shapes").glob("*.txt"))
PASSES = Path(__file__).parents[2] / "src" / "elman" / "passes"
RULE = "\n----\n"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_is_the_golden_one(path):
    text, _ = path.read_text("utf-8").split(RULE)
    with pytest.raises(ShapeProblem) as caught:
        Cell(text, "elman")
    got = f"{caught.value}\n"
    assert_golden(path, got, text + RULE)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_shows_the_place_and_what_clashes(path):
    headline, label, _, caret, *rest = path.read_text("utf-8").split(RULE)[1].splitlines()
    assert headline.startswith(f"ShapeProblem [{path.stem[:4]}]: ")
    assert re.fullmatch(r"  equation \d of cell 'elman'", label)
    assert set(caret.strip()) == {"^"}
    if path.stem[:4] in ("E203", "E205"):
        assert any(re.match(r"  \S.* is (\(|as long as)", line) for line in rest)
    assert rest[-1].endswith(".")


def test_every_code_of_the_shapes_pass_has_a_golden_text():
    sources = [PASSES / name for name in ("ranks.py", "shapes.py", "mismatch.py")]
    codes = {code for source in sources for code in re.findall(r'"(E\d{3})"', source.read_text())}
    assert codes == {path.stem[:4] for path in GOLDEN}


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("x: 5\ny: 2\nh[t] = [x[t], y[t]] + h[t-1]", {"h": (7,)}),
        ("x: 5\nh: 7\nh[t] = [x[t], y[t]] + h[t-1]", {"y": (2,)}),
        ("x: 5\ny: 2\nh[t] = tanh(W @ [x[t], y[t]])", {"W": (3, 7)}),
        ("g[t] = [x[t], 0.5 * y[t]]\nh[t] = g[t] * [y[t], x[t]]", {"x": (3,), "y": (3,)}),
    ],
)
def test_a_concatenation_of_numbers_is_their_sum(text, sizes):
    cell = Cell(text)
    known = {name: 3 for name in ("hidden", "h", "x", "W") if name in cell.typed.aliases}
    known = {name: n for name, n in known.items() if not cell.typed.aliases[name].isdigit()}
    found = cell.shapes(**known)
    assert {name: found[name] for name in sizes} == sizes

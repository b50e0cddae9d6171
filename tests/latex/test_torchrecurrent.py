"""The equations in the docstrings of torchrecurrent, a catalogue of 42 cells, where it is there."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from elman import Cell
from elman.errors import ElmanError

# letters that the catalogue leaves open, or says far from its formulas
SYMBOLS = {
    r"\phi": "tanh",
    r"\psi": "sigmoid",
    r"\tau": "tanh",
    r"\sigma_h": "sigmoid",
    r"\sigma_c": "tanh",
    r"\hat{\sigma}": "sigmoid",
    "f": "softmax",
    "s": "tanh",
    "d": 3,
}
pytestmark = pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")


def blocks(doc: str) -> Iterator[str]:
    """The bodies of `.. math::` that hold equations, not the legend of sizes."""
    lines = doc.split("\n")
    for number, line in enumerate(lines):
        match = re.match(r"(\s*)\.\. math::", line)
        if match:
            body = []
            for later in lines[number + 1 :]:
                if later.strip() and len(later) - len(later.lstrip()) <= len(match[1]):
                    break
                body.append(later)
            if not any("batch size" in each for each in body):
                yield "\n".join(body)


def catalogue() -> list[str]:
    found = importlib.util.find_spec("torchrecurrent")
    if found is None or found.origin is None:
        return []
    files = sorted((Path(found.origin).parent / "cells").glob("*.py"))
    docs = [
        ast.get_docstring(node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    return [block for doc in docs if doc for block in blocks(doc)]


def answers(symbols: dict[str, str | float]) -> list[ElmanError | Cell]:
    made: list[ElmanError | Cell] = []
    for block in catalogue():
        try:
            made.append(Cell.from_latex(block, symbols))
        except ElmanError as error:
            made.append(error)
    return made


needs_catalogue = pytest.mark.skipif(not catalogue(), reason="torchrecurrent is not installed")


@needs_catalogue
def test_every_block_is_read_or_refused_with_its_place():
    found = answers({})
    errors = [answer for answer in found if isinstance(answer, ElmanError)]
    assert len(errors) <= 0.15 * len(found)
    assert all(error.where is not None for error in errors)
    # what is left: letters for functions, a delay d, c on both sides, "..." and h' without a time
    assert {error.code for error in errors} <= {"E401", "E303", "E301", "E111", "E161"}


@needs_catalogue
def test_nearly_every_block_is_read_once_its_letters_are_said():
    found = answers(SYMBOLS)
    read = [answer for answer in found if isinstance(answer, Cell)]
    assert len(read) >= 0.93 * len(found)

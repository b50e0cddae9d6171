"""What a cell may be made from: a text, a name, constants; and what to say of anything else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elman import library
from elman.errors import NameProblem, WeightProblem
from elman.ir.cell import Number
from elman.language.syntax import Range, Text

ENDINGS = (".cell", ".tex", ".md", ".rst")


def check_text(text: object, name: object, *, is_page: bool = False) -> None:
    """E408 for what is no text of a cell, or no name."""
    if not isinstance(text, str):
        headline = f"a cell is made from its text, not from {type(text).__name__}"
        rule = "A text holds the equations, a line each."
        raise NameProblem("E408", headline, rule=rule, fix=_text_of(text))
    word = text.strip()
    is_word = not is_page and len(word.split()) == 1  # the library is read for no other
    if is_word and word in library.cells:
        headline = f"{word!r} is the name of a cell, not its text"
        raise NameProblem("E408", headline, fix=f'Write elman.cells["{word}"].')
    if is_word and word.endswith(ENDINGS):
        headline = f"{word!r} is the name of a file, not a text"
        raise NameProblem("E408", headline, fix=f'Write elman.Cell.load("{word}").')
    if name is not None and not isinstance(name, str):
        headline, rule = f"name={name!r} is no name", "A cell's name is a text."
        raise NameProblem("E408", headline, rule=rule, fix='As in name="gru".')


def _text_of(given: object) -> str:
    if isinstance(given, Path):
        return f'Write elman.Cell.load("{given}").'
    if isinstance(given, list | tuple) and all(isinstance(line, str) for line in given):
        return r'Write elman.Cell("\n".join(lines)).'
    if isinstance(given, bytes):
        return 'Write elman.Cell(text.decode("utf-8")).'
    return 'As in elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])").'


def refuse_rounds(text: Text, given: object) -> None:
    """E502 for a constant that counts the rounds of an inner loop: they are written out already."""
    bounds = {b for line in text.lines if isinstance(line, Range) for b in (line.first, line.last)}
    for name in given if isinstance(given, Mapping) else ():
        if name in bounds:
            headline = f"{name} counts the rounds of an inner loop, which are written out already"
            fix = f'Make another cell: elman.Cell(text, constants={{"{name}": ...}}).'
            raise NameProblem("E502", headline, fix=fix)


def checked_constants(given: Mapping[str, Any] | None) -> dict[str, Number]:
    """Numbers, vectors and matrices by name."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        fix = 'As in constants={"L": 5}.'
        raise NameProblem("E502", "constants are given by name, as a dict", fix=fix)
    return {name: _number(name, value) for name, value in given.items()}


def _number(name: str, value: Any) -> Number:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0, 0))
    if array.ndim > 2 or not array.size or not np.isfinite(array).all():
        headline = f'constants["{name}"]={value!r} is no number, vector or matrix'
        raise WeightProblem("E504", headline, fix=f'As in constants={{"{name}": 5}}.')
    listed: Any = array.tolist()
    rows = [tuple(row) if isinstance(row, list) else row for row in listed] if array.ndim else []
    return tuple(rows) if array.ndim else listed

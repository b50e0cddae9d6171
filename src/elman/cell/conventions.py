"""Several cells on the same numbers, side by side, and where they first part."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.cell.placing import giver_of, place
from elman.cell.public import Cell
from elman.cell.same import counterparts
from elman.trace import Trace
from elman.trace.formats.plain import write_plain
from elman.trace.numbers import Digits
from elman.trace.worked import Line, dated

Array = np.ndarray[Any, Any]
WIDTH = 100  # of a remark
FIXED = "\xa0"  # a space at which no line is broken
CLOSE = 1e-12  # relative: what is less apart was added in another order


@dataclass(frozen=True, eq=False)
class Row:
    """A value of every cell that has one of the kind; the line that computes it, if one does."""

    values: tuple[Array | None, ...]
    names: tuple[str | None, ...]
    lines: tuple[Line | None, ...]

    @property
    def label(self) -> str:
        """The first cell's name, and the others' where they call it otherwise."""
        return " / ".join(dict.fromkeys(name for name in self.names if name))

    @property
    def differs(self) -> bool:
        """Whether any two cells do."""
        known = [k for k, value in enumerate(self.values) if value is not None]
        return any(self.parts(known[0], k) for k in known[1:])

    def parts(self, first: int, other: int) -> bool:
        """Whether two of the cells have the value, and not the same."""
        a, b = self.values[first], self.values[other]
        return a is not None and b is not None and not _close(a, b)


def _close(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=CLOSE, atol=CLOSE, equal_nan=True)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """The rows of every step; `first` is the first in which the cells differ, if they do.

    True where no value differs.
    """

    cells: tuple[Cell, ...]
    remarks: tuple[tuple[str, ...], ...]
    traces: tuple[Trace, ...]
    steps: tuple[tuple[Row, ...], ...]

    def __bool__(self) -> bool:
        return self.first is None

    @functools.cached_property
    def first(self) -> Row | None:
        """The first row in which any two cells differ."""
        return next((row for step in self.steps for row in step if row.differs), None)

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self, digits: int = 4) -> str:
        """A column a cell; where one first differs from the first cell it has a star."""
        shown = Digits(digits)
        table = [["", *_labels(self.cells)]]
        for number, step in enumerate(self.steps, 1):
            table.append([f"step {number}"])
            table += [self._cells(row, shown) for row in step]
        widths = [max(len(row[k]) for row in table if k < len(row)) for k in range(len(table[0]))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip()
            for row in table
        ]
        return "\n".join([*lines, *self._reasons(), *self._remarks()])

    @functools.cached_property
    def partings(self) -> dict[int, Row]:
        """For each cell that does, by its number, where it first differs from the first one."""
        found: dict[int, Row] = {}
        for row in (row for step in self.steps for row in step):
            for k in range(1, len(self.cells)):
                if k not in found and row.parts(0, k):
                    found[k] = row
        return found

    def _cells(self, row: Row, digits: Digits) -> list[str]:
        shown = ["-" if value is None else digits.array(value) for value in row.values]
        starred = [k for k, parting in self.partings.items() if parting is row]
        return [f"  {row.label}", *(t + " *" * (k in starred) for k, t in enumerate(shown))]

    def _reasons(self) -> list[str]:
        """The lines that make the differences, each beside the first cell's."""
        labels = _labels(self.cells)
        width = max(map(len, labels))
        partings = self.partings
        if not partings:
            return ["", "no value differs"]
        lines = []
        for row in dict.fromkeys(partings.values()):
            lines += ["", f"* first difference from {labels[0]}, in {row.label}:"]
            for k, line in enumerate(row.lines):
                if line is not None and (k == 0 or partings.get(k) is row):
                    lines.append(f"  {labels[k]:<{width}}  {line.label} = {_formula(line)}")
        equal = [labels[k] for k in range(1, len(labels)) if k not in partings]
        return [*lines, *([f"no value of {', '.join(equal)} differs"] if equal else [])]

    def _remarks(self) -> list[str]:
        labels = _labels(self.cells)
        said = [
            _wrapped(f"{label}: {'; '.join(map(_unbroken, remarks))}")
            for label, remarks in zip(labels, self.remarks, strict=True)
            if remarks
        ]
        return ["", "weights that are called otherwise, or were not given:", *said] if said else []

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        rows = [
            {
                "step": number,
                "name": row.label,
                "values": [None if v is None else v.tolist() for v in row.values],
                "differs": row.differs,
                "first_difference": row is self.first,
            }
            for number, step in enumerate(self.steps, 1)
            for row in step
        ]
        remarks = [list(each) for each in self.remarks]
        labels = _labels(self.cells)
        return {"cells": labels, "same": bool(self), "rows": rows, "remarks": remarks}


def side_by_side(
    cells: Sequence[Cell],
    inputs: Mapping[str, Any],
    weights: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    *,
    steps: int | None = None,
) -> SideBySide:
    """The same numbers through several cells: every value of every step, a column a cell.

    Inputs, weights and states bear the names of any of the cells; where another cell calls a
    weight otherwise, or has two biases for one, it is given its own, and that is said.

    >>> import elman
    >>> keep, take = elman.cells["gru"], elman.cells["gru_take_new"]
    >>> weights = {"W_z": 0.5, "U_z": 0.1, "W_r": 0.6, "U_r": 0.2, "W_n": 0.7, "U_n": 0.3}
    >>> found = side_by_side([keep, take], {"x": [1.0]}, weights, {"h": 0.5})
    >>> found.first.label, [value.round(4).item() for value in found.first.values]
    ('h[1]', [0.5601, 0.6041])

    Errors: as of `Cell.trace`; a matrix that no name gives is E501.
    """
    placed = place(cells, weights)
    giver = giver_of(cells, weights)
    names = [_names(giver, cell) for cell in cells]
    traces = []
    for cell, own, each in zip(cells, names, placed, strict=True):
        streams = {_own(name, own, cell.inputs): value for name, value in inputs.items()}
        before = {_own(key, own, cell.states): value for key, value in (state or {}).items()}
        traces.append(cell.trace(streams, each.weights, before or None, steps=steps))
    rows = tuple(
        _rows([trace.steps[t].lines for trace in traces], names)
        for t in range(len(traces[0].steps))
    )
    remarks = tuple(each.remarks for each in placed)
    return SideBySide(tuple(cells), remarks, tuple(traces), rows)


def _names(giver: Cell, cell: Cell) -> dict[str, str]:
    """What the giver's names are called in another cell: alike, else by what they do."""
    ours = (*giver.outputs, *giver.inputs)
    theirs = (*cell.outputs, *cell.inputs)
    found = {name: name for name in ours if name in theirs}
    likely = {} if cell is giver else counterparts(giver, cell)
    for name in ours:
        other = likely.get(name)
        if name not in found and other in theirs and other not in found.values():
            found[name] = other
    left = [name for name in giver.outputs if name not in found]
    alone = [name for name in cell.outputs if name not in found.values()]
    return found | (dict(zip(left, alone, strict=True)) if len(left) == len(alone) == 1 else {})


def _own(key: str, names: Mapping[str, str], known: Sequence[str]) -> str:
    """An input or a state (`h`, `h[t-2]`) under the cell's own name."""
    if key in known:
        return key
    name, bracket, rest = key.partition("[")
    return names.get(name, name) + bracket + rest


def _rows(columns: Sequence[Sequence[Line]], names: Sequence[Mapping[str, str]]) -> tuple[Row, ...]:
    """The lines of one step beside each other, in the order of the first cell that has them."""
    by_name = [{line.name: line for line in lines} for lines in columns]
    back = [{b: a for a, b in each.items()} for each in names]
    keys: list[str] = []
    for lines, own in zip(columns, back, strict=True):
        keys += [key for line in lines if (key := own.get(line.name, line.name)) not in keys]
    rows = []
    for key in keys:
        found = [own.get(names[k].get(key, key)) for k, own in enumerate(by_name)]
        labels = tuple(None if line is None else line.label for line in found)
        values = tuple(None if line is None else line.value for line in found)
        rows.append(Row(values, labels, tuple(found)))
    return tuple(rows)


def _labels(cells: Sequence[Cell]) -> list[str]:
    """Names of the cells; numbered where two are alike."""
    names = [cell.name for cell in cells]
    return [f"{n} ({k})" if names.count(n) > 1 else n for k, n in enumerate(names, 1)]


def _unbroken(remark: str) -> str:
    """A short remark stays on its line."""
    return remark.replace(" ", FIXED) if len(remark) < WIDTH / 2 else remark


def _wrapped(text: str) -> str:
    wrapped = textwrap.fill(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped.replace(FIXED, " ")


def _formula(line: Line) -> str:
    return write_plain(dated(line.expr, line.step), Digits())

"""The same numbers in the places of another cell's weights: W_z of one GRU is W_iz of another."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.backends.call import number_array
from elman.cell.public import Cell
from elman.cell.same import counterparts
from elman.errors import Fact, WeightProblem, nearest
from elman.library.weights.cells import FORMS, Form

Array = np.ndarray[Any, Any]
Slot = tuple[str, str]  # what a weight is (W, U, b, d) and of which gate
PIECE = re.compile(r"(\w+)\[:, (\w*):(\w*)\]")  # some columns of a matrix


@dataclass(frozen=True)
class Placed:
    """The weights of a cell, and in words what was not a matter of course."""

    weights: Mapping[str, Array]
    remarks: tuple[str, ...]


def place(cells: Sequence[Cell], weights: Mapping[str, Any]) -> list[Placed]:
    """Weights under the names of any of the cells, as every one of them needs them.

    A bias that only some of the cells have is 0 in the others, or added to their own.

    >>> import elman
    >>> numbers = {"W": [[0.5]], "U": 0.1, "b": 0.2}
    >>> [found] = place([elman.Cell("s[t] = tanh(W @ x[t] + U @ s[t-1] + b)")], numbers)
    >>> sorted(found.weights)
    ['U', 'W', 'b']
    """
    given = {name: number_array("weights", name, value) for name, value in weights.items()}
    giver = giver_of(cells, weights)
    base = _Place(giver, giver, given, {})
    whole = base.placed().weights
    found = [_Place(giver, cell, given, whole) for cell in cells]
    placed = [each.placed() for each in found]
    used = {name for each in found for name in each.used}
    unused = [name for name in given if name not in used]
    if unused:
        names = dict.fromkeys(name for cell in cells for name in cell.parameters)
        raise WeightProblem(
            "E502",
            f"none of the cells has a weight {unused[0]!r}",
            rule=f"They have {', '.join(names)}.",
            fix=nearest(unused[0], names) or None,
        )
    return placed


def giver_of(cells: Sequence[Cell], weights: Mapping[str, Any]) -> Cell:
    """The cell whose names the weights bear: the first of those that have most of them."""
    return max(cells, key=lambda cell: len(weights.keys() & {*cell.parameters, *cell.constants}))


@dataclass(frozen=True)
class Piece:
    """A weight of the giver, or its columns before or after those for the state."""

    name: str
    start: str = ""
    end: str = ""

    @property
    def columns(self) -> str:
        return f"[:, {self.start}:{self.end}]" if self.start or self.end else ""


class _Place:
    """One cell, and how it takes what is given in the letters of the giver."""

    def __init__(
        self, giver: Cell, cell: Cell, given: Mapping[str, Array], whole: Mapping[str, Array]
    ) -> None:
        self.giver, self.cell, self.given, self.whole = giver, cell, given, whole
        self.used: set[str] = set()
        self.remarks: list[str] = []
        form = _form(giver)
        others = {name: slot for f in FORMS.values() for name, slot in f.names().items()}
        own = form.names() if form else {}
        self.slots = {own.get(n, others.get(n, ("", ""))): n for n in given} if form else {}
        target = _form(cell)
        self.wanted: Mapping[str, Slot] = target.names() if target and self.slots else {}
        self.pieces = {} if cell is giver or self.wanted else _pieces(giver, cell)

    def placed(self) -> Placed:
        found = {name: self.given[name] for name in self.cell.constants if name in self.given}
        self.used |= found.keys()
        zero = []
        for name in self.cell.parameters:
            value = self.value(name)
            if value is None and len(self.cell.typed.shape(name)) == 1:
                zero.append(name)
                value = np.zeros(self.width(name))
            if value is None:
                raise self.missing(name)
            found[name] = value
        if zero:
            self.remarks.append(f"{', '.join(zero)} not given: 0")
        return Placed(found, tuple(self.remarks))

    def value(self, name: str) -> Array | None:
        part, gate = self.wanted.get(name, ("", ""))
        both = [self.slots.get((p, gate)) for p in "bd"]
        if part == "b" and ("d", gate) not in self.wanted.values() and all(both):
            self.remarks.append(f"{name} is {both[0]} + {both[1]}")
            return self.taken(str(both[0])) + self.taken(str(both[1]))
        if name in self.pieces:
            return self.joined(name)
        if name in self.given:
            return self.taken(name)
        source = self.slots.get((part, gate))
        if part == "b" and source is None and ("d", gate) not in self.wanted.values():
            source = both[1]
        return None if source is None else self.renamed(name, source)

    def renamed(self, name: str, source: str) -> Array:
        self.remarks.append(f"{name} is {source}")
        return self.taken(source)

    def taken(self, name: str) -> Array:
        self.used.add(name)
        return self.given[name]

    def joined(self, name: str) -> Array:
        """A weight from the columns of the giver's: all of one, some of one, or those of two."""
        pieces = self.pieces[name]
        words = [f"{piece.name}{piece.columns}" for piece in pieces]
        if words != [name]:
            self.remarks.append(f"{name} is {' beside '.join(words)}")
        self.used |= {piece.name for piece in pieces if piece.name in self.given}
        arrays = [self.cut(piece) for piece in pieces]
        return arrays[0] if len(arrays) == 1 else np.hstack(arrays)

    def cut(self, piece: Piece) -> Array:
        array, hidden = self.whole[piece.name], self.hidden()
        if len(self.giver.typed.shape(piece.name)) != 2:
            return array
        array = array.reshape(hidden, -1)
        first, last = ({"hidden": hidden}.get(end) for end in (piece.start, piece.end))
        return array[:, first:last]

    def width(self, name: str) -> int:
        shape = self.cell.typed.shape(name)[0]
        return int(shape) if shape.isdigit() else self.hidden()

    def hidden(self) -> int:
        """The units, from the first weight that has a row for each and is given whole."""
        for name, array in self.given.items():
            shape = self.giver.typed.shape(name) if name in self.giver.parameters else ()
            if len(shape) == 2 and shape[0] == shape[1]:
                return math.isqrt(array.size)
            if shape[:1] == ("hidden",) and array.ndim == len(shape):
                return array.shape[0]
        return 1

    def missing(self, name: str) -> WeightProblem:
        facts = [
            Fact(n, str(a.shape) if a.ndim else "a number", "given")
            for n, a in list(self.given.items())[:8]
        ]
        return WeightProblem(
            "E501",
            f"the weight {name!r} of {self.cell.name} is missing",
            facts=facts,
            rule="A matrix must be given, under its name in one of the cells; biases may be 0.",
            fix=nearest(name, self.given) or None,
        )


def _form(cell: Cell) -> Form | None:
    """The names of a cell's weights by their gates; none where W and U are one matrix."""
    form = FORMS.get(cell.name)
    return form if form and form.U else None


def _pieces(giver: Cell, cell: Cell) -> dict[str, list[Piece]]:
    """What of the giver's makes every weight of a cell of its build; nothing if one is left."""
    found: dict[str, list[Piece]] = {}
    names = counterparts(giver, cell)
    for name in giver.parameters:
        word = names.get(name, "")
        inner = [part.strip() for part in word.strip("[]").split(",")]
        match = PIECE.fullmatch(word)
        if match:  # some columns of the cell's are all of the giver's
            found.setdefault(match[1], []).append(Piece(name))
            if not match[2]:  # its first columns
                found[match[1]].reverse()
        elif word.startswith("[") and len(inner) == 2:
            found[inner[0]], found[inner[1]] = [Piece(name, "", "hidden")], [Piece(name, "hidden")]
        elif word:
            found[word] = [Piece(name)]
    covers = set(names) >= set(giver.parameters) and set(found) == set(cell.parameters)
    return found if covers else {}

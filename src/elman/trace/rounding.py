"""A run worked as with a pencil: what is written down is rounded before it is used on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.syntax import Binary, Call, Expr, fold, walk
from elman.trace.board import Board
from elman.trace.document import Chain
from elman.trace.leaves import Dated, Shown
from elman.trace.numbers import first_place, rounded
from elman.trace.work import work
from elman.trace.worked import Line, Read, Step, dated

Array = np.ndarray[Any, Any]
WORKED = (Binary, Call)  # a sign, a list or a transpose only moves what is written already
MANY = 1e5  # of the last place asked for: more need a closer look


@dataclass(frozen=True)
class Rounding:
    """To so many decimals, or significant digits; `cut` leaves the further digits off.

    >>> Rounding(3).number(0.0769), Rounding(3, cut=True).number(0.0769)
    (0.077, 0.076)
    >>> Rounding(2, significant=True).number(0.0765)
    0.077
    """

    digits: int
    significant: bool = False
    cut: bool = False

    def number(self, value: float) -> float:
        if not math.isfinite(value) or value == 0:
            return value
        place = first_place(value) + 1 if self.significant else 0
        return float(rounded(value, place - self.digits, self.cut))

    def array(self, given: Array) -> Array:
        """Every entry as `number` rounds it; by far most of them at once."""
        value, unit = np.atleast_1d(given), 10.0**self.digits
        with np.errstate(all="ignore"):
            size = np.abs(value) * unit
            part = size % 0.5  # near 0 or 1/2 a rounding of float64 could decide
            is_clear = (size < 0.25) | (size < MANY) & (np.abs(part - 0.25) < 0.25 - 1 / MANY)
            found = np.copysign(np.floor(size + (not self.cut) * 0.5) / unit, value)
        odd = np.ones_like(is_clear) if self.significant else ~is_clear
        found[odd] = [self.number(each) for each in value[odd].tolist()]
        return found.reshape(np.shape(given))

    @property
    def nearest(self) -> Rounding:
        """The same number of digits, rounded as one should."""
        return replace(self, cut=False)

    @property
    def words(self) -> str:
        """`rounded to 3 decimals`."""
        kind = "significant digit" if self.significant else "decimal"
        how = "cut off after" if self.cut else "rounded to"
        return f"{how} {self.digits} {kind}{'s' * (self.digits != 1)}"


class Pencil:
    """Works steps anew, each value that the board shows being rounded before it is used on."""

    def __init__(self, rounding: Rounding, known: Mapping[Dated, Array]) -> None:
        self.rounding, self.known = rounding, dict(known)

    def steps(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        return tuple(self.step(step) for step in steps)

    def step(self, step: Step) -> Step:
        reads = tuple(Read(r.left, self.known[r.left], r.comment) for r in step.reads)
        return replace(step, reads=reads, lines=self.lines(step.lines))

    def lines(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(map(self.line, lines))

    def read(self, leaf: Expr) -> Array:
        assert isinstance(leaf, Dated), leaf
        return self.known[leaf]

    def line(self, line: Line) -> Line:
        written = iter(written_down(line))

        def settle(_: Expr, value: Array) -> Array:
            return self.rounding.array(value) if next(written) else value

        values = work(dated(line.expr, line.step), self.read, settle)
        value = _like(values[-1], line.value)  # of one unit, a row is a number
        self.known[line.left] = _like(value, self.known.get(line.left, value))  # h[0] may be spread
        return replace(line, values=(*values[:-1], value))


def _like(value: Array, other: Array) -> Array:
    """In the shape that the line's value has: a weight's gradient that of the weight."""
    is_as_large = np.size(value) == np.size(other)
    return value.reshape(other.shape) if is_as_large else np.broadcast_to(value, other.shape)


def written_down(line: Line) -> tuple[bool, ...]:
    """Of every part of a line, in the order of `fold`: is its value worked out and written down?

    >>> from elman.language.syntax import Binary, Number
    >>> values = np.array(1.0), np.array(2.0), np.array(3.0)
    >>> line = Line("y", Binary("+", Number(1.0), Number(2.0)), values)
    >>> written_down(line)
    (False, False, True)
    """
    chain = Board(line).work()  # however many terms it writes out, the values are the same
    shown = {id(value) for value in _shown(chain)}
    values, written = iter(line.values), []

    def visit(part: Expr, operands: list[bool]) -> bool:
        """Is it made of nothing but what is written down already?"""
        moves = not isinstance(part, WORKED) and all(operands)
        written.append(id(next(values)) in shown and not moves)
        return written[-1] or moves

    fold(line.expr, visit)
    return tuple(written)


def _shown(chain: Chain) -> Iterator[Array]:
    """Every value in the looks of a chain, and in those worked beside it."""
    chains = [chain]
    while chains:
        chain = chains.pop()
        chains += chain.beside
        for look in chain.looks:
            yield from (part.value for part in walk(look) if isinstance(part, Shown))

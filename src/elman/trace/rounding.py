"""A run worked as with a pencil: what is written down is rounded before it is used on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

from elman.language.syntax import Binary, Call, Expr, fold, walk
from elman.trace.board import Board
from elman.trace.document import Chain
from elman.trace.leaves import Dated, Shown
from elman.trace.work import work
from elman.trace.worked import Line, Read, Step, dated

Array = np.ndarray[Any, Any]
WORKED = (Binary, Call)  # a sign, a list or a transpose only moves what is written already
KNOWN = 15  # digits of a float64 that mean something: 0.1 + 0.2 is cut to 0.3, not to 0.2


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
        exact = Decimal(f"{value:.{KNOWN - 1}e}")
        place = exact.adjusted() + 1 if self.significant else 0
        unit = Decimal(1).scaleb(place - self.digits)
        if exact.adjusted() - unit.adjusted() >= KNOWN:  # no digit stands so far behind
            return value
        return float(exact.quantize(unit, ROUND_DOWN if self.cut else ROUND_HALF_UP))

    def array(self, value: Array) -> Array:
        rounded = [self.number(each) for each in value.ravel().tolist()]
        return np.array(rounded, dtype=float).reshape(value.shape)

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
        last = np.broadcast_to(values[-1], line.value.shape) if values[-1].size == 1 else values[-1]
        self.known[line.left] = last.reshape(line.value.shape)  # of one unit, a row is a number
        return replace(line, values=(*values[:-1], self.known[line.left]))


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
    chain = Board(line, limit=max(np.size(value) for value in line.values) + 1).work()
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

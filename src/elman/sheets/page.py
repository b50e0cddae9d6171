"""A page of worked lines as a system that can be worked again: with other numbers, other lines."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman.language.syntax import Expr, walk
from elman.trace import Trace
from elman.trace.leaves import Dated, Shown
from elman.trace.trace import leaves_of
from elman.trace.work import work
from elman.trace.worked import Line, dated

Array = np.ndarray[Any, Any]
Settle = Callable[[Expr, Array], Array]
Settler = Callable[[Expr, bool], Settle | None]  # for an expression, and whether it is a line


@dataclass(frozen=True, eq=False)
class Page:
    """The lines of a trace, forward and backward, each over names at their steps.

    `lines` hold expressions with their steps put in, in an order of computation; `given` what is
    read and not computed.
    """

    lines: Mapping[Dated, Line] = field(default_factory=dict)
    given: Mapping[Dated, Array] = field(default_factory=dict)

    @functools.cached_property
    def order(self) -> dict[Dated, int]:
        """The place of every line."""
        return {left: place for place, left in enumerate(self.lines)}

    @functools.cached_property
    def reads(self) -> dict[Dated, frozenset[Dated]]:
        """The names that each line reads."""
        return {left: names_in(line.expr) for left, line in self.lines.items()}

    @property
    def known(self) -> dict[Dated, Array]:
        """Every value."""
        return {**self.given, **{left: line.value for left, line in self.lines.items()}}

    def body(self, expr: Expr) -> Expr:
        """The right side of the line that an expression names, else the expression."""
        line = self.lines.get(expr) if isinstance(expr, Dated) else None
        return expr if line is None else line.expr


def page_of(trace: Trace | None) -> Page:
    """The page of a trace; without one, an empty page, on which arithmetic can be worked."""
    if trace is None:
        return Page()
    lines = {line.left: replace(line, expr=dated(line.expr, line.step)) for line in trace.lines()}
    given = dict(trace.known())
    for line in lines.values():
        given |= leaves_of(line)
    return Page(lines, {left: a for left, a in given.items() if left not in lines})


class Reckoning:
    """One way of working a page: `put` takes the place of values, `lines` that of lines.

    `settler` gives for every expression how the values of its parts are rounded.
    """

    def __init__(
        self,
        page: Page,
        put: Mapping[Expr, Array] | None = None,
        settler: Settler | None = None,
        lines: Mapping[Dated, Expr] | None = None,
    ) -> None:
        self.page, self.put = page, dict(put or {})
        self.settler = settler
        self.changed = dict(lines or {})
        self.inner = {type(e) for e in self.put if not isinstance(e, Dated)}
        self.found: dict[Dated, Array] = {}

    def value(self, expr: Expr) -> Array:
        """What an expression comes to; a line's name is worked, even where it is `put`."""
        return self.worked(self.right_side(expr))

    def worked(self, expr: Expr) -> Array:
        """What a right side comes to."""
        for left in self.missing(expr):
            self.keep(left, self.work(self.right_side(left), is_line=True))
        return self.work(expr)

    def keep(self, left: Dated, value: Array) -> None:
        """A line's value, in the shape that the page has it: of one input, d_W is a column."""
        self.found[left] = shaped(value, self.page.lines[left].value.shape)

    def parts(self, expr: Expr) -> tuple[Array, ...]:
        """The values of the parts of an expression whose names are known, operands first."""
        return work(expr, self.read, self.settle(expr, None))

    def right_side(self, expr: Expr) -> Expr:
        changed = self.changed.get(expr) if isinstance(expr, Dated) else None
        return self.page.body(expr) if changed is None else changed

    def work(self, expr: Expr, is_line: bool = False) -> Array:
        """The value of an expression whose names are known."""
        rounding = self.settler(expr, is_line) if self.settler else None
        return work(expr, self.read, self.settle(expr, rounding))[-1]

    def settle(self, expr: Expr, rounding: Settle | None) -> Settle | None:
        """How the parts of an expression are settled: rounded, or put in."""
        if not self.inner:
            return rounding

        def settle(part: Expr, value: Array) -> Array:
            value = rounding(part, value) if rounding else value
            if type(part) in self.inner and part is not expr and part in self.put:
                return np.broadcast_to(self.put[part], value.shape)
            return value

        return settle

    def read(self, leaf: Expr) -> Array:
        if isinstance(leaf, Shown):
            return leaf.value
        assert isinstance(leaf, Dated), leaf
        for place in (self.put, self.found, self.page.given):
            if leaf in place:
                return np.asarray(place[leaf])  # type: ignore[index]
        raise KeyError(leaf)

    def missing(self, expr: Expr) -> list[Dated]:
        """The lines that an expression needs and that are not worked yet, in their order."""
        return self.upstream(expr, self.found)

    def upstream(self, expr: Expr, known: Mapping[Dated, Array] | None = None) -> list[Dated]:
        """The lines that an expression needs, through others too, up to what is put or known."""
        needed: set[Dated] = set()
        waiting = [names_in(expr)]
        while waiting:
            for name in waiting.pop() - needed:
                if name in self.page.lines and name not in self.put and name not in (known or ()):
                    needed.add(name)
                    waiting.append(self.reads(name))
        return sorted(needed, key=self.page.order.__getitem__)

    def reads(self, left: Dated) -> frozenset[Dated]:
        """The names that a line reads."""
        changed = self.changed.get(left)
        return self.page.reads[left] if changed is None else names_in(changed)


def shaped(value: Array, shape: tuple[int, ...]) -> Array:
    """As many numbers in another shape; of another size, repeated to fill it."""
    is_as_large = value.size == math.prod(shape)
    return value.reshape(shape) if is_as_large else np.broadcast_to(value, shape)


def names_in(expr: Expr) -> frozenset[Dated]:
    """The names that stand in an expression."""
    return frozenset(part for part in walk(expr) if isinstance(part, Dated))

"""An equation worked as on a board: the formula, the numbers put in, and on to the result.

Names become numbers first. Then what stands inside a function is worked in one go, and the function
next; of an outermost sum the terms are worked before they are added. Products with `@` are written
out term by term, long ones with their middle left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from elman.language.syntax import (
    At,
    Binary,
    Call,
    Expr,
    Join,
    Name,
    Number,
    Text,
    Transpose,
    fold,
)
from elman.trace.document import Chain, Document, Given, Section
from elman.trace.leaves import Dated, Entries, Rows, Shown, Terms
from elman.trace.worked import Line, Step, dated, remade

Array = np.ndarray[Any, Any]
T = TypeVar("T")

LIMIT = 8  # entries of a vector, and terms of a sum, that are all shown
ENDS = 3  # shown at the beginning of a longer one


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a right side: how it looks, line by line; the last look, its value, stays."""

    expr: Expr
    value: Array
    looks: tuple[Expr, ...]
    merges: bool = False  # worked in one go with the operation around it

    def look(self, line: int) -> Expr:
        return self.looks[min(line, len(self.looks) - 1)]

    @property
    def is_given(self) -> bool:
        """A number as it was given, and not worked out."""
        last = self.looks[-1]
        return isinstance(last, Shown) and last.given

    @property
    def is_plain(self) -> bool:
        """A value as it was read: nothing has to be worked out."""
        return len(self.looks) == 1 and not isinstance(self.expr, Binary)


@dataclass(frozen=True)
class Manner:
    """How many entries of a vector are all shown, and which names stand for numbers as given."""

    limit: int = LIMIT
    given: frozenset[str] = frozenset()

    def is_given(self, expr: Expr) -> bool:
        """A weight, an input, what was before step 1, a number of the equation itself."""
        if not isinstance(expr, Dated):
            return True
        is_first = expr.step is None or expr.step < 1
        return not expr.kind and (is_first or expr.name in self.given)


class Board:
    """One equation at one step."""

    def __init__(self, line: Line, manner: Manner | None = None) -> None:
        self.line, self.manner = line, manner or Manner()
        self.expr = dated(line.expr, line.step)
        self.beside: dict[Expr, Chain] = {}
        self.spine = _outer_sum(self.expr)

    def work(self) -> Chain:
        """The equation's chain, its formula first, with what is worked beside it."""
        values = iter(self.line.values)
        root = fold(self.expr, lambda expr, parts: self.part(expr, next(values), parts))
        looks = (self.expr, *root.looks)
        if id(self.expr) in self.spine:
            looks = (*looks, Shown(root.value))
        beside = tuple(self.beside.values())
        return Chain(self.line.left, looks, self.line.comment, beside=beside)

    def part(self, expr: Expr, value: Array, parts: list[Part]) -> Part:
        match expr:
            case Number() | Name() | At() | Dated():
                return Part(expr, value, (Shown(value, self.manner.is_given(expr)),))
            case Shown():
                return Part(expr, value, (replace(expr, value=value),))
            case Transpose() | Join() | Entries() if all(part.is_plain for part in parts):
                return Part(expr, value, (Shown(value, all(part.is_given for part in parts)),))
            case Entries() if len(parts[0].looks) == 1:  # of what is worked beside the equation
                return Part(expr, value, (Shown(value),))
            case Binary(op="@"):
                return self.product(expr, value, *parts)
        return self.operation(expr, value, parts)

    def operation(self, expr: Expr, value: Array, parts: list[Part]) -> Part:
        """A function or an operator: its operands are worked line by line, then it."""
        is_sum = id(expr) in self.spine
        merges = not isinstance(expr, Call)
        most = max(len(p.looks) - (merges and p.merges and not is_sum) for p in parts)
        looks = tuple(
            remade(expr, [part.look(line) for part in parts]) for line in range(max(most, 1))
        )
        if is_sum:  # its value is shown when all terms are
            return Part(expr, value, looks)
        return Part(expr, value, (*looks, Shown(value)), merges)

    def product(self, expr: Binary, value: Array, left: Part, right: Part) -> Part:
        """`W @ x`: a number's is written out in its place, a vector's beside the equation."""
        if left.value.size == right.value.size == 1:
            return self.operation(Binary("*", expr.left, expr.right), value, [left, right])
        if not right.is_plain and right.value.ndim == 1 and len(right.looks) > 1:
            self.beside[right.expr] = Chain(right.expr, right.looks)
        result = Shown(value)
        terms = self.written_out(left, right)
        if terms and (expr is self.expr or value.size == 1):
            return Part(expr, value, (terms, result), merges=True)
        if expr is self.expr:
            return Part(expr, value, (result,))
        self.beside[expr] = Chain(expr, (terms, result) if terms else (result,))
        return Part(expr, value, (result,))

    def written_out(self, first: Part, second: Part) -> Expr | None:
        """`0.5*1 + 0.1*2`, or a vector of such sums; None where the result has more axes."""
        left, right = first.value, second.value
        if left.ndim + right.ndim > 3 or left.shape[-1] == 0:
            return None
        rows = left if left.ndim == 2 else left[None]
        columns = right.T if right.ndim == 2 else right[None]
        pairs = [(row, column) for row in rows for column in columns]
        given = first.is_given, second.is_given
        sums = tuple(self.terms(*pair, given) for pair in _ends(pairs, self.manner.limit))
        return sums[0] if len(pairs) == 1 else Rows(sums, len(pairs))

    def terms(self, row: Array, column: Array, given: tuple[bool, bool]) -> Expr:
        products = [
            Binary("*", Shown(a, given[0]), Shown(b, given[1]))
            for a, b in _ends(list(zip(row, column, strict=True)), self.manner.limit)
        ]
        return products[0] if row.size == 1 else Terms(tuple(products), row.size)


def document(steps: Iterable[Step], text: Text, manner: Manner) -> Document:
    """Steps as sections: what each reads, then its equations worked."""
    return Document(tuple(_section(step, manner) for step in steps), text=text)


def _section(step: Step, manner: Manner) -> Section:
    is_once = step.number == 0
    reads = tuple(
        Given(r.left, r.value, r.comment, is_given=is_once or manner.is_given(r.left))
        for r in step.reads
    )
    title = "before step 1" if is_once else f"step {step.number}"
    return Section(title, (*reads, *(Board(line, manner).work() for line in step.lines)))


def _ends(items: Sequence[T], limit: int) -> Sequence[T]:
    """All of a few; of many the first and the last."""
    return items if len(items) <= limit else [*items[:ENDS], items[-1]]


def _outer_sum(root: Expr) -> set[int]:
    """The + and - that make the outermost sum, by identity."""
    found: set[int] = set()
    stack = [root]
    while stack:
        expr = stack.pop()
        if isinstance(expr, Binary) and expr.op in "+-":
            found.add(id(expr))
            stack += [expr.right, expr.left]
    return found

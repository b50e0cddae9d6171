"""An equation worked as on a board: the formula, the numbers put in, and on to the result.

Names become numbers first. Then what stands inside a function is worked in one go, and the function
next; of an outermost sum the terms are worked before they are added. Small products with `@` are
written out term by term.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.language.read_expression import LEVEL, SIGN_LEVEL
from elman.language.syntax import At, Binary, Call, Expr, Join, Name, Number, Transpose, fold
from elman.language.write import write_expression
from elman.trace import numbers
from elman.trace.worked import Line, dated

Array = np.ndarray[Any, Any]

ATOM, VECTOR = 6, 7  # how tight a number, and a vector with its own brackets, holds together
SMALL = 16  # entries of a matrix whose product is written out
SUM, PRODUCT = LEVEL["+"], LEVEL["*"]
ROW = "\n "  # between the rows of a product: a place where a long line may be broken

Written = tuple[str, int]  # a text, and how tight its outermost operator binds


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a right side: how it looks, line by line; the last look, its value, stays."""

    expr: Expr
    value: Array
    looks: tuple[Written, ...]
    merges: bool = False  # worked in one go with the operation around it

    def look(self, line: int) -> Written:
        return self.looks[min(line, len(self.looks) - 1)]

    @property
    def is_plain(self) -> bool:
        """A value as it was read: nothing has to be worked out."""
        return len(self.looks) == 1 and not isinstance(self.expr, Binary)


@dataclass(frozen=True)
class Chain:
    """`label = look = look`: an equation, or (`inner`) a product that is worked beside it."""

    label: str
    looks: tuple[str, ...]
    inner: bool = False


class Board:
    """One equation at one step."""

    def __init__(self, line: Line, digits: int) -> None:
        self.line, self.digits = line, digits
        self.beside: list[Chain] = []
        self.spine = _outer_sum(line.expr)

    def work(self) -> tuple[Chain, list[Chain]]:
        """The equation's chain, its formula first, and what is worked beside it."""
        values = iter(self.line.values)
        root = fold(self.line.expr, lambda expr, parts: self.part(expr, next(values), parts))
        looks = [self.formula(self.line.expr), *(text for text, _ in root.looks)]
        if id(self.line.expr) in self.spine:
            looks.append(self.shown(root.value)[0])
        beside = {chain.label: chain for chain in self.beside}
        return Chain(self.line.label, _changing(looks)), list(beside.values())

    def formula(self, expr: Expr) -> str:
        return write_expression(dated(expr, self.line.step))

    def shown(self, value: Array, given: bool = False) -> Written:
        is_vector = value.ndim == 1 and value.size != 1
        return numbers.array(value, self.digits, given), VECTOR if is_vector else ATOM

    def part(self, expr: Expr, value: Array, parts: list[Part]) -> Part:
        match expr:
            case Number() | Name() | At():
                return Part(expr, value, (self.shown(value, not isinstance(expr, At)),))
            case Transpose() | Join() if all(part.is_plain for part in parts):
                return Part(expr, value, (self.shown(value),))
            case Binary(op="@"):
                return self.product(expr, value, *parts)
        return self.operation(expr, value, parts)

    def operation(self, expr: Expr, value: Array, parts: list[Part]) -> Part:
        """A function or an operator: its operands are worked line by line, then it."""
        is_sum = id(expr) in self.spine
        merges = not isinstance(expr, Call)
        most = max(len(p.looks) - (merges and p.merges and not is_sum) for p in parts)
        tight = value.size == 1
        looks = tuple(
            _joined(expr, [part.look(line) for part in parts], tight)
            for line in range(max(most, 1))
        )
        if is_sum:  # its value is shown when all terms are
            return Part(expr, value, looks)
        return Part(expr, value, (*looks, self.shown(value)), merges)

    def product(self, expr: Binary, value: Array, left: Part, right: Part) -> Part:
        """`W @ x`: a number's is written out in its place, a vector's beside the equation."""
        if left.value.size == right.value.size == 1:
            return self.operation(Binary("*", expr.left, expr.right), value, [left, right])
        if not right.is_plain and right.value.ndim == 1 and len(right.looks) > 1:
            looks = (self.formula(right.expr), *(text for text, _ in right.looks))
            self.beside.append(Chain(looks[0], _changing(looks)[1:], inner=True))
        result = self.shown(value)
        terms = _written_out(left.value, right.value, self.digits)
        if terms and (expr is self.line.expr or value.size == 1):
            return Part(expr, value, (terms, result), merges=True)
        if expr is self.line.expr:
            return Part(expr, value, (result,))
        looks = (self.formula(expr), *([terms[0]] if terms else []), result[0])
        self.beside.append(Chain(looks[0], _changing(looks)[1:], inner=True))
        return Part(expr, value, (result,))


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


def _changing(looks: Iterable[str]) -> tuple[str, ...]:
    """The looks without those that repeat the one before."""
    kept: list[str] = []
    for look in looks:
        if not kept or look != kept[-1]:
            kept.append(look)
    return tuple(kept)


def _joined(expr: Expr, parts: list[Written], tight: bool) -> Written:
    """An operation on operands that are written already."""
    match expr:
        case Binary(op=op):
            return _infix(op, parts[0], parts[1], tight), LEVEL[op]
        case Transpose():
            return f"{parts[0][0]}.T", ATOM
        case Join():
            return f"[{', '.join(text for text, _ in parts)}]", ATOM
        case Call(function=function):
            if len(parts) == 1 and parts[0][1] == VECTOR:
                return f"{function}{parts[0][0]}", ATOM
            return f"{function}({', '.join(text for text, _ in parts)})", ATOM
    text = _bracketed(parts[0], SIGN_LEVEL)
    return "-" + (f"({text})" if text.startswith("-") else text), SIGN_LEVEL


def _infix(op: str, left: Written, right: Written, tight: bool) -> str:
    """Both sides with the sign between; `1 + -2` is 1 - 2, and `3*-2` is 3*(-2)."""
    level = LEVEL[op]
    before = _bracketed(left, level + (op == "**" or level == LEVEL["<"]))
    if op == "**" and before.startswith("-"):
        before = f"({before})"
    if op == "+" and right[1] >= SUM:
        text = right[0]
        return f"{before} - {text[1:]}" if text.startswith("-") else f"{before} + {text}"
    after = _bracketed(right, level + (op != "**"))
    if after.startswith("-") and level > LEVEL["<"]:
        after = f"({after})"
    hugs = tight and op in ("*", "/", "**")
    return f"{before}{op}{after}" if hugs else f"{before} {op} {after}"


def _bracketed(written: Written, level: int) -> str:
    return written[0] if written[1] >= level else f"({written[0]})"


def _written_out(left: Array, right: Array, digits: int) -> Written | None:
    """`0.5*1 + 0.1*2`, or such sums in brackets, a row each; None where it would be long."""
    if left.ndim + right.ndim > 3:  # the result has axes besides one
        return None
    rows = left if left.ndim == 2 else left[None]
    columns = right.T if right.ndim == 2 else right[None]
    if rows.size * columns.size // rows.shape[1] > SMALL:
        return None
    if max(*rows.shape, *columns.shape) > numbers.LONGEST:
        return None
    sums = [_terms(row, column, digits) for row in rows for column in columns]
    if len(sums) == 1:
        return sums[0], SUM
    return "(" + f",{ROW}".join(sums) + ")", VECTOR


def _terms(row: Array, column: Array, digits: int) -> str:
    text, level = "", PRODUCT
    for a, b in zip(row.tolist(), column.tolist(), strict=True):
        factors = (numbers.number(a, digits, given=True), ATOM), (numbers.number(b, digits), ATOM)
        term = (_infix("*", *factors, tight=True), PRODUCT)
        text, level = (_infix("+", (text, level), term, True), SUM) if text else term
    return text

"""An equation worked at one step: its syntax with the value of every part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.syntax import At, Binary, Call, Expr, Join, Name, Transpose, Unary, fold

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Read:
    """A value that was given or is remembered: `x[1]`, `h[0]`, a constant."""

    label: str
    value: Array
    comment: str = ""


@dataclass(frozen=True, eq=False)
class Line:
    """An equation with the values of its parts, operands first, in the order of `syntax.fold`."""

    name: str
    expr: Expr
    values: tuple[Array, ...]
    step: int | None = None  # counted from 1; None for what is computed once
    comment: str = ""

    @property
    def value(self) -> Array:
        """What the equation computes."""
        return self.values[-1]

    @property
    def label(self) -> str:
        """`h[1]`, or `A` for what is computed once."""
        return self.name if self.step is None else f"{self.name}[{self.step}]"

    def __repr__(self) -> str:
        return f"<Line {self.label}: {self.value}>"


@dataclass(frozen=True, eq=False)
class Step:
    """What a step reads, and its equations in an order of computation.

    Number 0 is what is computed once, before the first step.
    """

    number: int
    reads: tuple[Read, ...]
    lines: tuple[Line, ...]


def dated(expr: Expr, step: int | None) -> Expr:
    """The expression with its time indices put in.

    >>> from elman.language.write import write_expression
    >>> write_expression(dated(Binary("+", At("x"), At("h", 1)), 3))
    'x[3] + h[2]'
    """

    def date(leaf: Expr) -> Expr:
        if isinstance(leaf, At) and step is not None:
            return Name(f"{leaf.name}[{step - leaf.lag}]")
        return leaf

    return exchange(expr, date)


def exchange(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with its numbers and names exchanged."""
    return fold(expr, lambda part, parts: _with(part, tuple(parts)) if parts else change(part))


def _with(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    match expr:
        case Binary():
            return replace(expr, left=parts[0], right=parts[1])
        case Unary() | Transpose():
            return replace(expr, arg=parts[0])
        case Call():
            return replace(expr, args=parts)
        case Join():
            return replace(expr, items=parts)
    raise AssertionError(expr)

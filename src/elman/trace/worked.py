"""An equation worked at one step: its syntax with the value of every part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.syntax import At, Expr, Name, Number, fold, remake
from elman.trace.leaves import VALUE, Dated, Entries, spelled

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Read:
    """A value that was given or is remembered: `x[1]`, `h[0]`, a constant."""

    left: Dated
    value: Array
    comment: str = ""

    @property
    def label(self) -> str:
        """`x[1]`, or `alpha` for what no step changes."""
        return spelled(self.left)


@dataclass(frozen=True, eq=False)
class Line:
    """An equation with the values of its parts, operands first, in the order of `syntax.fold`."""

    name: str
    expr: Expr
    values: tuple[Array, ...]
    step: int | None = None  # counted from 1; None for what is computed once
    comment: str = ""
    kind: str = VALUE  # or GRADIENT, INNER: a line of the backward pass

    @property
    def value(self) -> Array:
        """What the equation computes."""
        return self.values[-1]

    @property
    def left(self) -> Dated:
        """What the equation computes, as it is named."""
        return Dated(self.name, self.step, self.kind)

    @property
    def label(self) -> str:
        """`h[1]`, or `A` for what is computed once."""
        return spelled(self.left)

    def parts(self) -> list[tuple[Expr, Array]]:
        """Every part with its value, operands first, steps put in."""
        return list(zip(in_order(dated(self.expr, self.step)), self.values, strict=True))

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

    >>> from elman.language.syntax import Binary
    >>> repr(dated(Binary("+", At("x"), At("h", 1)), 3))
    "Binary('+', Dated('x', 3, ''), Dated('h', 2, ''))"
    """

    def date(leaf: Expr) -> Expr:
        match leaf:
            case At(name=name, lag=lag) if step is not None:
                return Dated(name, step - lag)
            case Name(name=name) if leaf.index is None:
                return Dated(name, step if name == "t" else None)
        return leaf

    return exchange(expr, date)


def in_order(expr: Expr) -> list[Expr]:
    """The parts of an expression, operands first, as `fold` visits them.

    >>> from elman.language.syntax import Binary
    >>> in_order(Binary("+", Name("a"), Name("b")))[:2]
    [Name('a'), Name('b')]
    """
    found: list[Expr] = []
    fold(expr, lambda part, _: found.append(part))
    return found


def counted(expr: Expr, known: Mapping[Dated, Array]) -> Expr:
    """The expression with the number of a step in the place of its name.

    Backwards a line belongs to one step and reads the `t` of another.

    >>> from elman.language.syntax import Binary
    >>> counted(Binary("*", Dated("t", 4), Dated("h", 3)), {Dated("t", 4): np.array(4.0)})
    Binary('*', Number(4.0), Dated('h', 3, ''))
    """

    def count(leaf: Expr) -> Expr:
        if isinstance(leaf, Dated) and leaf.name == "t" and leaf in known:
            return Number(float(known[leaf]))
        return leaf

    return exchange(expr, count)


def exchange(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with its numbers and names exchanged."""
    return fold(expr, lambda part, parts: remade(part, parts) if parts else change(part))


def remade(expr: Expr, parts: list[Expr]) -> Expr:
    """The expression with other operands; of some entries of a value too."""
    return replace(expr, arg=parts[0]) if isinstance(expr, Entries) else remake(expr, parts)

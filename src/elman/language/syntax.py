"""The syntax tree: what the user wrote, each part with its place in the text.

Places (spans) do not take part in equality, and nothing here recurses: a sum of 10,000 terms is a
deep tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from elman.ir.cell import Number as Literal
from elman.ir.node import Shape
from elman.language.source import NOWHERE, Source, Span

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expr:
    """A part of a right side; `parts` are its operands, `head` is what it is apart from them."""

    span: Span = field(default=NOWHERE, kw_only=True)

    @property
    def parts(self) -> tuple[Expr, ...]:
        return ()

    @property
    def head(self) -> tuple[object, ...]:
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and _flat(self) == _flat(other)

    def __hash__(self) -> int:
        return hash(tuple(_flat(self)))

    def __repr__(self) -> str:
        return fold(self, _shown)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Number(Expr):
    """A number without a sign: `0.5`."""

    value: float

    @property
    def head(self) -> tuple[object, ...]:
        return (self.value,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Name(Expr):
    """A name without a time index: `W`."""

    name: str

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class At(Expr):
    """A name at a step: `h[t]` has lag 0, `h[t-1]` lag 1."""

    name: str
    lag: int = 0

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name, self.lag)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Unary(Expr):
    """`-a`."""

    op: str
    arg: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.arg,)

    @property
    def head(self) -> tuple[object, ...]:
        return (self.op,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Binary(Expr):
    """`a + b`, `W @ x[t]`, `a < b`."""

    op: str
    left: Expr
    right: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.left, self.right)

    @property
    def head(self) -> tuple[object, ...]:
        return (self.op,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Call(Expr):
    """`tanh(a)`, `max(a, b)`."""

    function: str
    args: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.args

    @property
    def head(self) -> tuple[object, ...]:
        return (self.function,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Join(Expr):
    """`[h[t-1], x[t]]`: one vector after the other; of numbers only, a literal vector or matrix."""

    items: tuple[Expr, ...]

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.items


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Transpose(Expr):
    """`U.T`."""

    arg: Expr

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.arg,)


def walk(root: Expr) -> Iterator[Expr]:
    """Every part of an expression from left to right, each before its operands."""
    stack = [root]
    while stack:
        expr = stack.pop()
        yield expr
        stack.extend(reversed(expr.parts))


def fold(root: Expr, visit: Callable[[Expr, list[Result]], Result]) -> Result:
    """What `visit(expr, results of its parts)` gives for the root, operands first."""
    results: list[Result] = []
    stack: list[tuple[Expr, int]] = [(root, -1)]
    while stack:
        expr, count = stack.pop()
        parts = expr.parts if count < 0 else ()
        if parts:
            stack.append((expr, len(parts)))
            stack.extend((part, -1) for part in reversed(parts))
        else:
            first = len(results) - max(count, 0)
            args = results[first:]
            del results[first:]
            results.append(visit(expr, args))
    return results.pop()


def _flat(root: Expr) -> list[Any]:
    return [(type(expr).__name__, expr.head, len(expr.parts)) for expr in walk(root)]


def _shown(expr: Expr, parts: list[str]) -> str:
    inner = ", ".join([*(repr(value) for value in expr.head), *parts])
    return f"{type(expr).__name__}({inner})"


@dataclass(frozen=True)
class Equation:
    """`h[t] = ...`, or without [t] (`per_step` false) what is computed once per sequence."""

    name: str
    per_step: bool
    value: Expr
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)  # of the left side


@dataclass(frozen=True)
class Constant:
    """`alpha = 0.9`, `P = [[0, 1], [1, 0]]`: a default that the caller may override."""

    name: str
    value: Literal
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Declaration:
    """`U: hidden, hidden`, `alpha: scalar`, `m: per step`; None where it says nothing."""

    name: str
    shape: Shape | None = None
    over: str | None = None  # "b" per sequence, "t" per step
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Return:
    """`return h, c`."""

    names: tuple[str, ...]
    comment: str = ""
    spans: tuple[Span, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Remark:
    """A line that is only a comment; a blank line where it is empty."""

    comment: str = ""


Line = Equation | Constant | Declaration | Return | Remark


@dataclass(frozen=True)
class Text:
    """The lines of a cell, and the source that they came from."""

    lines: tuple[Line, ...]
    source: Source = field(default=Source(), compare=False)

    @property
    def equations(self) -> tuple[Equation, ...]:
        return tuple(line for line in self.lines if isinstance(line, Equation))

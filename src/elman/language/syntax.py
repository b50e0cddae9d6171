"""The syntax tree: what the user wrote, each part with its place in the text.

Places (spans) do not take part in equality, and nothing here recurses: a sum of 10,000 terms is a
deep tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from elman.ir.cell import Number as Literal
from elman.ir.node import Shape
from elman.language.source import NOWHERE, Source, Span

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Index:
    """Which round of an inner loop: `l`, `l-1`, `L`; without a name the number alone.

    >>> str(Index("l", -1)), str(Index("", 3))
    ('l-1', '3')
    """

    name: str = ""
    offset: int = 0
    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        if not self.name:
            return str(self.offset)
        return f"{self.name}{self.offset:+d}" if self.offset else self.name


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
    """A name without a time index: `W`; `R[l]` has its own in every round, `t` is the step."""

    name: str
    index: Index | None = None

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name,) if self.index is None else (self.name, self.index)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class At(Expr):
    """A name at a step: `h[t]` has lag 0, `h[t-1]` lag 1; `s[t,l]` is of one round."""

    name: str
    lag: int = 0
    index: Index | None = None

    @property
    def head(self) -> tuple[object, ...]:
        known = (self.name, self.lag)
        return known if self.index is None else (*known, self.index)


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
    """`tanh(a)`, `max(a, b)`; of `einsum("ij,j->i", W, a)` the letters are its `spec`."""

    function: str
    args: tuple[Expr, ...]
    spec: str = ""

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.args

    @property
    def head(self) -> tuple[object, ...]:
        return (self.function, self.spec) if self.spec else (self.function,)


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


def remake(expr: Expr, parts: list[Expr]) -> Expr:
    """The expression with other operands.

    >>> remake(Unary("-", Name("a")), [Name("b")])
    Unary('-', Name('b'))
    """
    match expr:
        case Binary():
            return replace(expr, left=parts[0], right=parts[1])
        case Unary() | Transpose():
            return replace(expr, arg=parts[0])
        case Call():
            return replace(expr, args=tuple(parts))
        case Join():
            return replace(expr, items=tuple(parts))
    return expr


def _flat(root: Expr) -> list[Any]:
    return [(type(expr).__name__, expr.head, len(expr.parts)) for expr in walk(root)]


def _shown(expr: Expr, parts: list[str]) -> str:
    inner = ", ".join([*(repr(value) for value in expr.head), *parts])
    return f"{type(expr).__name__}({inner})"


@dataclass(frozen=True)
class Equation:
    """`h[t] = ...`, or without [t] (`per_step` false) what is computed once per sequence.

    `s[t,l] = ...` has an inner index, and stands for an equation in every round.
    """

    name: str
    per_step: bool
    value: Expr
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)  # of the left side
    index: Index | None = None


@dataclass(frozen=True)
class Constant:
    """`alpha = 0.9`, `P = [[0, 1], [1, 0]]`: a default that the caller may override."""

    name: str
    value: Literal
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    index: Index | None = None


@dataclass(frozen=True)
class Initial:
    """`h[0] = h0`: what is read of `h` before the first step; `h[-1]` is a step further back."""

    name: str
    step: int
    value: Expr
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    index: Index | None = None

    @property
    def lag(self) -> int:
        """How far the first step must look back to read it."""
        return 1 - self.step


@dataclass(frozen=True)
class Declaration:
    """`U: hidden, hidden`, `alpha: scalar`, `m: per step`; None where it says nothing."""

    name: str
    shape: Shape | None = None
    over: str | None = None  # "b" per sequence, "t" per step
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    frozen: bool = False  # a parameter without a gradient
    bernoulli: float | str | None = None  # a mask; how often it is 1, or the constant that says so
    role: str | None = None  # what a parameter is for: "forget bias"


@dataclass(frozen=True)
class Range:
    """`l = 1..3`: an inner index and its rounds; a bound may be the name of a constant."""

    name: str
    first: int | str
    last: int | str
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Given:
    """`x = i[t] * g[t]`: what a cell that is put in gets for one of its names."""

    name: str
    value: Expr
    span: Span = field(default=NOWHERE, compare=False)  # of the name


@dataclass(frozen=True)
class Use:
    """`inner: lstm(x = i[t], h = f[t] * c[t-1])`: another cell, put in under a name."""

    name: str
    cell: str
    given: tuple[Given, ...]
    comment: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    cell_span: Span = field(default=NOWHERE, compare=False)


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


Line = Equation | Constant | Initial | Declaration | Range | Use | Return | Remark


@dataclass(frozen=True)
class Text:
    """The lines of a cell, and the source that they came from."""

    lines: tuple[Line, ...]
    source: Source = field(default=Source(), compare=False)

    @property
    def equations(self) -> tuple[Equation, ...]:
        return tuple(line for line in self.lines if isinstance(line, Equation))

"""Parts of the syntax tree that only a page has: what must be decided once all of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from elman.language.syntax import At, Equation, Expr, Line, fold, remake, walk


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Ref(Expr):
    """A name as printed: its time is 0 at t, -1 at t-1, None where none is printed."""

    name: str
    time: int | None = None

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name, self.time)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Product(Expr):
    """Factors side by side, or with one sign between them, which may mean several products."""

    items: tuple[Expr, ...]
    sign: str = ""  # side by side; "*" elementwise, "." \\cdot and its kin, "x" \\otimes

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.items

    @property
    def head(self) -> tuple[object, ...]:
        return (self.sign,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Applied(Expr):
    """A letter before a bracket: a function that nobody has named, or a product."""

    name: str
    items: tuple[Expr, ...]
    bracket: str = "("

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.items

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Functions(Expr):
    """A column of function names, one for each row of what follows."""

    names: tuple[str, ...]

    @property
    def head(self) -> tuple[object, ...]:
        return self.names


def remade(expr: Expr, parts: list[Expr]) -> Expr:
    """The expression with other operands, for the parts of a page too."""
    if isinstance(expr, Product | Applied):
        return replace(expr, items=tuple(parts))
    return remake(expr, parts)


def changed(root: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with `change` applied to each of its parts, operands first."""
    return fold(root, lambda expr, parts: change(remade(expr, parts) if parts else expr))


def last_result(lines: Iterable[Line]) -> str:
    """What a page without `return` gives back: the last value that no line reads at its step.

    Pages print gates before their use and after it, so the last line is often a gate.
    """
    steps = {line.name: line for line in lines if isinstance(line, Equation) and line.per_step}
    read = {
        part.name
        for name, line in steps.items()
        for part in walk(line.value)
        if isinstance(part, At) and part.lag == 0 and part.name != name
    }
    return ([name for name in steps if name not in read] or list(steps))[-1]

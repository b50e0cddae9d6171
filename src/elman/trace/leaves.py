"""What a worked line holds besides the language: numbers, names at a step, products written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.language.syntax import Expr

Array = np.ndarray[Any, Any]

VALUE, GRADIENT, INNER, UPDATED = "", "gradient", "inner", "updated"  # what of a name is meant
SINCE = "since "  # with a step: the derivative with respect to the same name at that step
ALONE = " alone"  # after it: by the path through that name only, while others lead there too


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Shown(Expr):
    """A value in a name's place; a `given` one (a weight, a constant) never looks like 0."""

    value: Array
    given: bool = False

    @property
    def head(self) -> tuple[object, ...]:
        return (str(self.value.tolist()), self.given)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Dated(Expr):
    """A name at a step of its own, `h[2]`; without a step `W`.

    Of kind `gradient` it is dE/dh[2], of kind `inner` dE/da where h[2] = tanh(a); `inner 2` is the
    second such function of the line. Of kind `updated` it is a weight after a step of learning, of
    kind `since 1` dh[2]/dh[1], and of kind `since 1 alone` what of it goes through h alone.
    """

    name: str
    step: int | None = None
    kind: str = VALUE

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name, self.step, self.kind)

    def __eq__(self, other: object) -> bool:  # as of every Expr, but quick: values are kept by it
        return isinstance(other, Dated) and self.head == other.head

    def __hash__(self) -> int:
        return hash((self.name, self.step, self.kind))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Terms(Expr):
    """The sum of `count` terms; those that are left out stood before the last."""

    items: tuple[Expr, ...]
    count: int

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.items

    @property
    def head(self) -> tuple[object, ...]:
        return (self.count,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Rows(Expr):
    """A vector of `count` entries, each written out; those left out stood before the last."""

    items: tuple[Expr, ...]
    count: int

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.items

    @property
    def head(self) -> tuple[object, ...]:
        return (self.count,)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Entries(Expr):
    """So many entries of a vector, from the `first` on, counted from 1."""

    arg: Expr
    first: int
    count: int

    @property
    def parts(self) -> tuple[Expr, ...]:
        return (self.arg,)

    @property
    def head(self) -> tuple[object, ...]:
        return (self.first, self.count)

    @property
    def range(self) -> str:
        """`2..4`, or `2` of a single one."""
        last = self.first + self.count - 1
        return str(self.first) if self.count == 1 else f"{self.first}..{last}"


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Gap(Expr):
    """A value left out of an exercise; without a shape it is room to work in."""

    shape: tuple[int, ...] | None = None

    @property
    def head(self) -> tuple[object, ...]:
        return (self.shape,)


def inner(count: int) -> str:
    """The kind of the `count`-th function of a line.

    >>> inner(1), inner(2)
    ('inner', 'inner 2')
    """
    return INNER if count == 1 else f"{INNER} {count}"


def since(kind: str) -> tuple[str, bool]:
    """The step of a kind `since 0`, and whether it is that of one path alone.

    >>> since("since 0"), since("since -1 alone")
    (('0', False), ('-1', True))
    """
    return kind.removeprefix(SINCE).removesuffix(ALONE), kind.endswith(ALONE)


def spelled(name: Dated) -> str:
    """A dated name as plain text.

    >>> spelled(Dated("h", 2)), spelled(Dated("h", 2, GRADIENT)), spelled(Dated("h", 2, INNER))
    ('h[2]', 'd_h[2]', 'd_h_in[2]')
    >>> spelled(Dated("U", None, UPDATED)), spelled(Dated("h", 2, "since 0"))
    ('U (new)', 'dh[2]/dh[0]')
    >>> spelled(Dated("c", 2, "since 0 alone"))
    'dc[2]/dc[0] (c alone)'
    """
    word, kind = name.name, name.kind
    if kind == UPDATED:
        return f"{word} (new)"
    if kind.startswith(SINCE):
        before, is_alone = since(kind)
        alone = f" ({word} alone)" if is_alone else ""
        return f"d{word}[{name.step}]/d{word}[{before}]{alone}"
    if kind.startswith(INNER):
        word = f"d_{word}_in{kind.removeprefix(INNER).replace(' ', '_')}"
    elif kind == GRADIENT:
        word = f"d_{word}"
    return word if name.step is None or name.name == "t" else f"{word}[{name.step}]"

"""What a worked line holds besides the language: numbers, names at a step, products written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.language.syntax import Expr

Array = np.ndarray[Any, Any]

VALUE, GRADIENT, INNER = "", "gradient", "inner"  # what of a name is meant


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

    Of kind `gradient` it is dE/dh[2], of kind `inner` dE/da where h[2] = tanh(a).
    """

    name: str
    step: int | None = None
    kind: str = VALUE

    @property
    def head(self) -> tuple[object, ...]:
        return (self.name, self.step, self.kind)


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


def spelled(name: Dated) -> str:
    """A dated name as plain text.

    >>> spelled(Dated("h", 2)), spelled(Dated("h", 2, GRADIENT)), spelled(Dated("h", 2, INNER))
    ('h[2]', 'd_h[2]', 'd_h_in[2]')
    """
    text = {VALUE: name.name, GRADIENT: f"d_{name.name}", INNER: f"d_{name.name}_in"}[name.kind]
    return text if name.step is None or name.name == "t" else f"{text}[{name.step}]"

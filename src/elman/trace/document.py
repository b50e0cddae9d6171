"""A worked example as what stands on its page, whatever the format: sections of chains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.language.syntax import Expr, Text

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Given:
    """`x[1] = (1, 0)`: a value that is read, not worked; `note` is printed after it (`"love"`)."""

    left: Expr
    value: Array
    comment: str = ""
    note: str = ""
    is_given: bool = False  # a constant or a weight: printed as the user gave it


@dataclass(frozen=True, eq=False)
class Chain:
    """`left = look = look`: an equation worked; the formula is the first look, the last its value.

    `beside` are the products worked beside it. `comment` glosses the formula, `note` the result.
    """

    left: Expr
    looks: tuple[Expr, ...]
    comment: str = ""
    note: str = ""
    beside: tuple[Chain, ...] = ()


@dataclass(frozen=True)
class Remark:
    """A sentence."""

    text: str


@dataclass(frozen=True, eq=False)
class Table:
    """Values side by side; a cell is a text, a name, or a value."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Expr | Array, ...], ...]
    title: str = ""


Item = Given | Chain | Remark | Table


@dataclass(frozen=True, eq=False)
class Section:
    """A step, or what stands before the first."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """Sections under a title; `text` are the equations, which say what each name is."""

    sections: tuple[Section, ...]
    title: str = ""
    text: Text = field(default=Text(()))

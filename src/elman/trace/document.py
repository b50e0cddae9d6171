"""A worked example as what stands on its page, whatever the format: sections of chains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np

from elman.language.syntax import Expr, Text, walk
from elman.trace.leaves import VALUE, Dated, Gap, Shown

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
    """A sentence; `is_asked`: a question, after which a blank page has room for the answer."""

    text: str
    is_asked: bool = False


@dataclass(frozen=True)
class Room:
    """Lines to write an answer on."""


@dataclass(frozen=True, eq=False)
class Table:
    """Values side by side; a cell is a text, a name, or a value."""

    header: tuple[str, ...]
    rows: tuple[tuple[str | Expr | Array, ...], ...]
    title: str = ""


Item = Given | Chain | Remark | Room | Table


@dataclass(frozen=True, eq=False)
class Section:
    """A step, or what stands before the first."""

    title: str
    items: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """Sections under a title; `text` are the equations, which say what each name is.

    `matrices` are the names whose values turned out to be some, `singles` those of which every
    value, and every derivative, is one number.
    """

    sections: tuple[Section, ...]
    title: str = ""
    text: Text = field(default=Text(()))
    matrices: frozenset[str] = frozenset()
    singles: frozenset[str] = frozenset()

    def kinds(self, known: Mapping[str, str]) -> dict[str, str]:
        """What is known of names, and which of them are matrices or single numbers."""
        plain = {name for name in self.singles if known.get(name) != "scalar"}
        found = dict.fromkeys(self.matrices, "matrix") | dict.fromkeys(plain, "single")
        return {**known, **found}


def shaped(document: Document, known: Mapping[Dated, Array]) -> Document:
    """The document, with what the shapes of all values say of the names."""
    wide = {left.name for left, value in known.items() if value.ndim > 1 and value.size > 1}
    several = {left.name for left, value in known.items() if value.size > 1}
    singles = {left.name for left in known} - several
    return replace(document, matrices=frozenset(wide), singles=frozenset(singles))


def blanked(document: Document) -> Document:
    """The exercise: formulas and given values stay, every result is a gap to fill in.

    >>> import numpy as np
    >>> from elman.language.syntax import Name
    >>> worked = Chain(Name("h"), (Name("x"), Shown(np.array([0.5]))), note="exact 0.51")
    >>> blanked(Document((Section("step 1", (worked,)),))).sections[0].items[0].looks
    (Name('x'), Gap((1,)))
    """
    items = [item for section in document.sections for item in section.items]
    answers = {item.left for item in items if isinstance(item, Chain)}
    asked = False
    sections = []
    for section in document.sections:
        items = []
        for item in section.items:
            asked = asked or isinstance(item, Chain)
            if not (asked and isinstance(item, Remark)):  # it would speak of the results
                items.append(_blank(item, answers))
            if isinstance(item, Remark) and item.is_asked:
                items.append(Room())
        sections.append(replace(section, items=tuple(items)))
    return replace(document, sections=tuple(sections))


def _blank(item: Item, answers: set[Expr]) -> Item:
    match item:
        case Given(left=left, value=value) if left in answers or _is_derivative(left):
            return Chain(left, (Gap(value.shape),), item.comment)
        case Chain(looks=(formula, *rest)):
            return replace(item, looks=(formula, *_gaps(rest)), note="", beside=_empty(item.beside))
        case Table(rows=rows):
            return replace(item, rows=tuple(tuple(map(_gap_of, row)) for row in rows))
    return item


def _is_derivative(left: Expr) -> bool:
    return isinstance(left, Dated) and left.kind != VALUE


def _empty(beside: Iterable[Chain]) -> tuple[Chain, ...]:
    """Products worked beside an equation: what they are stays, what they come to is a gap."""
    return tuple(
        replace(chain, looks=_gaps(chain.looks[-1:]), note="", beside=_empty(chain.beside))
        for chain in beside
    )


def _gaps(looks: Sequence[Expr]) -> tuple[Expr, ...]:
    """Room for the work, if there is some, and a gap for its result."""
    results = tuple(map(_gap_of, looks[-1:]))
    return (Gap(), *results) if len(looks) > 1 else results


def _gap_of(shown: Any) -> Any:
    match shown:
        case Shown(value=value):
            return Gap(value.shape)
        case np.ndarray():
            return Gap(shown.shape)
        case Expr() if any(isinstance(part, Shown) for part in walk(shown)):
            return Gap()
    return shown


def blocks_of(
    section: Section, given: Callable[[Iterable[Given]], str], item: Callable[[Item], str]
) -> Iterator[str]:
    """What a format makes of a section's items; values that are given stand beside each other."""
    for is_given, items in groupby(section.items, lambda each: isinstance(each, Given)):
        if is_given:
            yield given(each for each in items if isinstance(each, Given))
        else:
            yield from map(item, items)

"""Published cells as data: one short `.cell` text each, with its citation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TypeVar

from elman.errors import NameProblem, nearest

__all__ = ["Library", "UnknownCell", "cells"]

T = TypeVar("T")


class UnknownCell(NameProblem, KeyError):
    """A name that the library does not have: a KeyError too, so that `.get` keeps its meaning."""


class Library(Mapping[str, T]):
    """The published cells by name; `read(text, name)` makes of a text what the mapping holds.

    >>> "gru" in cells
    True
    >>> lines = Library(lambda text, name: text.splitlines())
    >>> lines["gru"][0]
    '# title: Gated recurrent unit (reset before the product, z keeps)'
    """

    def __init__(self, read: Callable[[str, str], T]) -> None:
        self._read = read
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._read(self.text(name), name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __len__(self) -> int:
        return len(_names())

    def __contains__(self, name: object) -> bool:
        return name in _names()  # without reading the cell, and without an error for a wrong name

    def __repr__(self) -> str:
        return f"<Library of {len(self)} cells: {', '.join(self)}>"

    def text(self, name: str) -> str:
        """The cell's text as it stands in its file, header and all."""
        if name not in self:
            raise _unknown(name)
        return files(__name__).joinpath(f"{name}.cell").read_text(encoding="utf-8")

    def header(self, name: str) -> dict[str, str]:
        """What the comment header of a cell says of it.

        >>> cells.header("lstmp")["title"]
        'LSTM with a recurrent projection (LSTMP)'
        """
        return _header(self.text(name))


@cache
def _names() -> tuple[str, ...]:
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".cell") for name in found if name.endswith(".cell")))


def _header(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        word, colon, rest = line.removeprefix("#").strip().partition(": ")
        if colon and word in ("title", "citation", "notes"):
            key, fields[word] = word, rest.strip()
        elif key:  # a line that carries the field above on
            fields[key] += " " + line.removeprefix("#").strip()
    return fields


def _unknown(name: str) -> UnknownCell:
    return UnknownCell(
        "E410",
        f"the library has no cell {name!r}",
        rule=f"It has {', '.join(_names())}.",
        fix=nearest(str(name), _names()) or None,
    )


cells: Library[str] = Library(lambda text, name: text)

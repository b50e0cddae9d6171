"""Published cells as data: one short `.cell` text each, with its citation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import TypeVar

from elman.errors import NameProblem
from elman.library.search import Entry, entry, likeliest
from elman.library.search import search as search_entries

__all__ = ["Library", "UnknownCell", "cells", "search", "suggestion"]

T = TypeVar("T")
FIELDS = ("title", "number", "aliases", "citation", "notes")


class UnknownCell(NameProblem, KeyError):
    """A name that the library does not have: a KeyError too, so that `.get` keeps its meaning."""


class Library(Mapping[str, T]):
    """The published cells by name; `read(text, name)` makes of a text what the mapping holds.

    An alias finds its cell and is not listed.

    >>> "gru" in cells, cells["irnn"] is cells["rnn_relu"]
    (True, True)
    >>> lines = Library(lambda text, name: text.splitlines())
    >>> lines["gru"][0]
    '# title: Gated recurrent unit (reset before the product, z keeps)'
    """

    def __init__(self, read: Callable[[str, str], T]) -> None:
        self._read = read
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        own = self.own_name(name)
        if own not in self._made:
            self._made[own] = self._read(_text(own), own)
        return self._made[own]

    def __iter__(self) -> Iterator[str]:
        return iter(_names())

    def __len__(self) -> int:
        return len(_names())

    def __contains__(self, name: object) -> bool:
        # without reading the cell, and without an error for a wrong name
        return name in _names() or name in _aliases()

    def __repr__(self) -> str:
        return f"<Library of {len(self)} cells: {', '.join(self)}>"

    def own_name(self, name: str) -> str:
        """The name that a cell is listed under.

        >>> cells.own_name("irnn")
        'rnn_relu'
        """
        if name in _names():
            return name
        if name not in self:
            raise _unknown(name)
        return _aliases()[name]

    def text(self, name: str) -> str:
        """The cell's text as it stands in its file, header and all."""
        return _text(self.own_name(name))

    def header(self, name: str) -> dict[str, str]:
        """What the comment header of a cell says of it: title, number, aliases, citation, notes.

        `number` is that of the list of published cells that docs/cells.md answers; variants of one
        entry share it, and a cell that is not on the list has none.

        >>> cells.header("lstmp")["title"], cells.header("lstmp")["number"]
        ('LSTM with a recurrent projection (LSTMP)', '22')
        """
        return _header(self.text(name))


def search(words: str) -> list[str]:
    """The names of the cells in which every word stands, the likeliest first.

    >>> search("peephole lstm")[0]
    'lstm_peephole'
    """
    return search_entries(words, _entries())


def suggestion(name: str) -> str:
    """`Did you mean 'gru_d'?` for a name that the library does not have, such as GRU-D."""
    return likeliest(name, _entries())


@cache
def _entries() -> Mapping[str, Entry]:
    return {name: entry(name, _header(_text(name)), _text(name)) for name in _names()}


@cache
def _names() -> tuple[str, ...]:
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".cell") for name in found if name.endswith(".cell")))


@cache
def _aliases() -> Mapping[str, str]:
    """Second names, each with the name of its file."""
    found: dict[str, str] = {}
    for own in _names():
        for alias in _header(_text(own)).get("aliases", "").replace(",", " ").split():
            found[alias] = own
    return found


def _text(name: str) -> str:
    return files(__name__).joinpath(f"{name}.cell").read_text(encoding="utf-8")


def _header(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    key = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        word, colon, rest = line.removeprefix("#").strip().partition(": ")
        if colon and word in FIELDS:
            key, fields[word] = word, rest.strip()
        elif key:  # a line that carries the field above on
            fields[key] += " " + line.removeprefix("#").strip()
    return fields


def _unknown(name: str) -> UnknownCell:
    return UnknownCell(
        "E410",
        f"the library has no cell {name!r}",
        rule=f"It has {len(_names())}; `elman cells` lists them.",
        fix=(isinstance(name, str) and suggestion(name)) or None,
    )


cells: Library[str] = Library(lambda text, name: text)

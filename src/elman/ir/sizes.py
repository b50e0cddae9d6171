"""Sizes by name: "hidden", "3", "hidden+input"; numbers come at run time."""

from __future__ import annotations

from collections.abc import Mapping


def add(*sizes: str) -> str:
    """The size of a concatenation.

    >>> add("hidden", "input"), add("2", "3")
    ('hidden+input', '5')
    """
    if all(size.isdigit() for size in sizes):
        return str(sum(map(int, sizes)))
    return "+".join(sizes)


def number(size: str, sizes: Mapping[str, int]) -> int:
    """What a size is, once the named sizes are known.

    >>> number("hidden+input", {"hidden": 4, "input": 3})
    7
    """
    return sum(int(part) if part.isdigit() else sizes[part] for part in size.split("+"))


def names(size: str) -> list[str]:
    """The size names in a size.

    >>> names("hidden+3")
    ['hidden']
    """
    return [part for part in size.split("+") if part and not part.isdigit()]

"""Counts that depend on sizes, as formulas: `3 * (hidden * input + hidden**2 + hidden)`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """A whole number that depends on sizes.

    >>> count = Count.of(["hidden", "input"], 4) + Count.of(["hidden"], 4)
    >>> str(count), count(hidden=3, input=2)
    ('4 * (hidden * input + hidden)', 36)
    """

    terms: tuple[tuple[tuple[str, ...], int], ...] = ()  # size names, how many times their product

    @classmethod
    def of(cls, shape: Iterable[str], times: int = 1) -> Count:
        """`times` for every entry of a shape; sizes are names, numbers or sums of both."""
        found: dict[tuple[str, ...], int] = {}
        for choice in itertools.product(*(size.split("+") for size in shape)):
            names = tuple(sorted(part for part in choice if not part.isdigit()))
            number = math.prod(int(part) for part in choice if part.isdigit())
            found[names] = found.get(names, 0) + times * number
        return cls(tuple((names, n) for names, n in found.items() if n))

    def __add__(self, other: Count) -> Count:
        found = dict(self.terms)
        for names, n in other.terms:
            found[names] = found.get(names, 0) + n
        return Count(tuple((names, n) for names, n in found.items() if n))

    @property
    def sizes(self) -> tuple[str, ...]:
        """The size names that it depends on."""
        return tuple(dict.fromkeys(name for names, _ in self.terms for name in names))

    def __call__(self, **sizes: int) -> int:
        return sum(n * math.prod(sizes[name] for name in names) for names, n in self.terms)

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        common = math.gcd(*(n for _, n in self.terms))
        order = sorted(self.terms, key=lambda term: -len(term[0]))
        text = " + ".join(_product(names, n // common) for names, n in order)
        if common == 1:
            return text
        return f"{common} * ({text})" if len(order) > 1 else _product(order[0][0], common)


def total(counts: Iterable[Count]) -> Count:
    """Their sum."""
    found = Count()
    for count in counts:
        found = found + count
    return found


def _product(names: Iterable[str], number: int) -> str:
    powers: Mapping[str, int] = {name: list(names).count(name) for name in names}
    words = [name if power == 1 else f"{name}**{power}" for name, power in powers.items()]
    return " * ".join([*([str(number)] if number != 1 or not words else []), *words])

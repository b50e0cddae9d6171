"""How a form depends on some leaves: to which degree, and which of their entries an entry reads."""

from __future__ import annotations

import functools
from collections.abc import Collection

from elman.ir.ops import POINTWISE
from elman.passes.forms import Atom, Atoms, Key

CURVED = 2  # any degree above 1
STRAIGHT_THROUGH = ("sum", "concat", "slice", "embed", "cumsum")  # linear in what they are given
WHOLE = -1  # stands beside the axes: entry and entry, no axis more or less


class Degrees:
    """0 where a form does not read the leaves, 1 where it is affine in them, else CURVED."""

    def __init__(self, atoms: Atoms, leaves: Collection[int]) -> None:
        self.atoms, self.leaves = atoms, leaves
        self.of_atom = functools.cache(self._of_atom)

    def of_form(self, key: Key) -> int:
        return max((self._of_term(term) for term, _ in key), default=0)

    def _of_term(self, term: tuple[tuple[int, int, tuple[int, ...]], ...]) -> int:
        degrees = [self.of_atom(n) * (1 if e == 1 else CURVED) for n, e, _ in term]
        return min(CURVED, sum(degrees))

    def _of_atom(self, number: int) -> int:
        if number in self.leaves:
            return 1
        atom = self.atoms[number]
        degrees = [self.of_form(key) for key in atom.args]
        if not any(degrees):
            return 0
        is_choice = atom.op == "where" and degrees[0] == 0
        return max(degrees) if is_choice or atom.op in STRAIGHT_THROUGH else CURVED


class Places:
    """The axes along which an entry of a form reads the leaves at its own place only.

    With WHOLE among them where nothing is summed over and leaves have the same axes.
    """

    def __init__(self, atoms: Atoms, leaves: Collection[int]) -> None:
        self.atoms, self.leaves = atoms, leaves
        self.of_form = functools.cache(self._of_form)
        self.reads = functools.cache(self._reads)

    def are_own(self, key: Key, rank: int) -> bool:
        """Whether every entry reads its own place and no other."""
        return self.of_form(key, tuple(range(rank))) == {WHOLE, *range(rank)}

    def _reads(self, number: int) -> bool:
        return bool(self.atoms.reached(self.atoms[number].args) & set(self.leaves))

    def _of_form(self, key: Key, axes: tuple[int, ...]) -> frozenset[int]:
        kept = frozenset({WHOLE, *axes})
        for term, _ in key:
            for number, _, at in term:
                if number in self.leaves:
                    kept &= _kept(at, tuple(range(len(self.atoms[number].parts))), axes)
                elif self.reads(number):
                    kept &= self._of_function(self.atoms[number], at, axes)
        return kept

    def _of_function(
        self, atom: Atom, at: tuple[int, ...], axes: tuple[int, ...]
    ) -> frozenset[int]:
        if atom.op != "sum" and atom.op not in POINTWISE:
            return frozenset()
        own = atom.attr if isinstance(atom.attr, tuple) else tuple(range(len(at)))
        inner = [self.of_form(key, own) for key in atom.args]
        return _kept(at, own, axes).intersection(*inner)


def _kept(at: tuple[int, ...], own: tuple[int, ...], axes: tuple[int, ...]) -> frozenset[int]:
    """The axes that stand in their own place: `at` says which index each of `own` bears."""
    kept = {here for here, there in zip(at, own, strict=True) if here == there}
    return frozenset(kept | {WHOLE}) if at == own == axes else frozenset(kept)

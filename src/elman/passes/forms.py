"""Sums of products with their indices written out: the algebra in which values are compared.

`W @ (A @ h)` is the sum over j and k of W_ij A_jk h_k, and `z * h + (1 - z) * n` is
`z_i h_i + n_i - z_i n_i`, however it was written. Equal forms are equal functions of real numbers;
rounding does not count.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Factor = tuple[int, int, tuple[int, ...]]  # an atom, its exponent, its indices
Term = tuple[Factor, ...]  # index k is the k-th axis of the value; below 0 it is summed over
Form = Mapping[Term, float]  # the coefficient of every term
Key = tuple[tuple[Term, float], ...]

LARGEST = 48  # terms that a product may have before its factors are left as they are
DIGITS = 12  # of a coefficient, that count
ONE: Form = {(): 1.0}


@dataclass(frozen=True, slots=True)
class Atom:
    """What forms are made of: a leaf or a size (`attr` says which), or a function of forms."""

    op: str
    attr: Hashable = None
    parts: tuple[int, ...] = ()  # the sizes, themselves atoms, that it has or is made of
    args: tuple[Key, ...] = ()


class Atoms:
    """Every atom by its number; equal atoms have one number, those inside it smaller ones."""

    def __init__(self) -> None:
        self._numbers: dict[Atom, int] = {}
        self._atoms: list[Atom] = []

    def number(self, atom: Atom) -> int:
        if atom not in self._numbers:
            self._numbers[atom] = len(self._atoms)
            self._atoms.append(atom)
        return self._numbers[atom]

    def __getitem__(self, number: int) -> Atom:
        return self._atoms[number]

    def __len__(self) -> int:
        return len(self._atoms)

    def reached(self, keys: Iterable[Key]) -> set[int]:
        """The atoms in forms, those inside them too."""
        found: set[int] = set()
        waiting = [factor[0] for key in keys for factor in factors(key)]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                atom = self[number]
                waiting += [f[0] for key in atom.args for f in factors(key)] + list(atom.parts)
        return found


def factors(key: Key) -> Iterator[Factor]:
    """Every factor of every term."""
    return (factor for term, _ in key for factor in term)


def alone(number: int, at: tuple[int, ...] = ()) -> Form:
    """An atom by itself."""
    return {((number, 1, at),): 1.0}


def key(form: Form) -> Key:
    """The form as a value to compare; coefficients to 12 digits."""
    return tuple(sorted((term, float(f"{c:.{DIGITS}g}")) for term, c in form.items()))


def scaled(form: Form, by: float) -> Form:
    """The form times a number."""
    return {term: c * by for term, c in form.items()} if by else {}


def plus(a: Form, b: Form, scale: float = 1.0) -> Form:
    """a + scale * b.

    >>> plus({(): 0.3}, {(): 0.1}, -3.0)
    {}
    """
    total = dict(a)
    for term, c in b.items():
        old, more = total.get(term, 0.0), c * scale
        if abs(old + more) <= 10.0**-DIGITS * max(abs(old), abs(more)):
            total.pop(term, None)
        else:
            total[term] = old + more
    return total


def times(a: Form, b: Form) -> Form:
    """The elementwise product."""
    total: Form = {}
    for (s, c), (t, d) in itertools.product(a.items(), b.items()):
        lowest = min((i for f in s for i in f[2]), default=0)
        apart = tuple((n, e, tuple(i if i >= 0 else i + lowest for i in at)) for n, e, at in t)
        total = plus(total, {_joined((*s, *apart)): c * d})
    return total


def contract(
    words: Sequence[str], output: str, args: Sequence[Form], size: Callable[[str], Form]
) -> Form:
    """The sum over the letters that `output` leaves out; `size(letter)` is how many there are."""
    place = {letter: k for k, letter in enumerate(output)}
    summed = [c for c in dict.fromkeys("".join(words)) if c not in place]
    place |= {letter: -1 - k for k, letter in enumerate(summed)}
    total: Form = {}
    for choice in itertools.product(*(arg.items() for arg in args)):
        found: list[Factor] = []
        lowest = -len(summed)
        for word, (term, _) in zip(words, choice, strict=True):
            at = {k: place[letter] for k, letter in enumerate(word)}
            for i in sorted({i for f in term for i in f[2] if i < 0}, reverse=True):
                lowest -= 1
                at[i] = lowest
            found += [(n, e, tuple(at[i] for i in indices)) for n, e, indices in term]
        term = _joined(found)
        part: Form = {term: math.prod(c for _, c in choice)}
        for letter in summed:
            if not any(place[letter] in f[2] for f in _merged(found)):
                part = times(part, size(letter))
        total = plus(total, part)
    return total


def power(form: Form, exponent: int) -> Form:
    """A single term, nothing in it summed, to a whole power."""
    ((term, c),) = form.items()
    return {tuple((n, e * exponent, at) for n, e, at in term): c**exponent}


def is_single(form: Form) -> bool:
    """Whether it is one term without a sum in it: its powers are terms too."""
    return len(form) == 1 and all(i >= 0 for term in form for f in term for i in f[2])


def indices(form: Form) -> set[int]:
    """The axes along which the value changes."""
    return {i for term in form for f in term for i in f[2] if i >= 0}


def _merged(found: Iterable[Factor]) -> list[Factor]:
    exponents: dict[tuple[int, tuple[int, ...]], int] = {}
    for n, e, at in found:
        exponents[n, at] = exponents.get((n, at), 0) + e
    return [(n, e, at) for (n, at), e in exponents.items() if e]


def _joined(found: Iterable[Factor]) -> Term:
    return _ordered(tuple(sorted(_merged(found))))


@functools.lru_cache(maxsize=1 << 14)
def _ordered(term: Term) -> Term:
    """The one way to number what is summed over: the least of all, for up to four."""
    summed = sorted({i for f in term for i in f[2] if i < 0}, reverse=True)
    if not summed:
        return term
    names = [-1 - k for k in range(len(summed))]
    orders = itertools.permutations(names) if len(names) <= 4 else [tuple(names)]
    return min(_renumbered(term, dict(zip(summed, order, strict=True))) for order in orders)


def _renumbered(term: Term, names: Mapping[int, int]) -> Term:
    return tuple(sorted((n, e, tuple(names.get(i, i) for i in at)) for n, e, at in term))

"""Two cells that are not the same: how like they can be made, by renaming or by other weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from elman.passes.canonical import Canonical
from elman.passes.forms import Atom, Atoms, Form, Key, alone, factors, plus, scaled
from elman.passes.isomorphism import Both, Pair, Renaming, isomorphism, kind_of

MOST_WORK = 10_000  # renamings tried times atoms, in search of a better one: half a second

# ---- renaming, as well as it goes ----


def likenesses(both: Both, most: int = 6) -> list[Renaming]:
    """The renamings under which most is equal, the best first; some leaves may have none."""
    pair = Pair(*both.forms, both.atoms)
    seen = pair.rounds()
    named = _namesakes(both)
    tried: dict[tuple[tuple[int, int], ...], tuple[int, ...]] = {}

    def score(renaming: Renaming) -> tuple[int, ...]:
        key = tuple(sorted(renaming.items()))
        if key not in tried:
            tried[key] = _score(both, renaming)
        return tried[key]

    best: Renaming | None = max((_by_colour(pair, seen, start) for start in (named, {})), key=score)
    left = MOST_WORK // len(both.atoms)
    while best is not None and left > 0:
        better, best = best, None
        for other in itertools.islice(_exchanged(both, better), left):
            left -= 1
            if score(other) > score(better):
                best = other
                break
    order = sorted(tried, key=lambda key: tried[key], reverse=True)
    return [dict(key) for key in order[:most]]


def _kind(atoms: Atoms, number: int) -> tuple[str, str, int]:
    return (*kind_of(atoms[number]), len(atoms[number].parts))


def _namesakes(both: Both) -> Renaming:
    """Leaves of one name and kind in both cells."""
    names = {str(both.atoms[b].attr): b for b in both.forms[1].bases}
    found = {a: names.get(str(both.atoms[a].attr), -1) for a in both.forms[0].bases}
    kept = {a: b for a, b in found.items() if b >= 0}
    return {a: b for a, b in kept.items() if _kind(both.atoms, a) == _kind(both.atoms, b)}


def _by_colour(pair: Pair, seen: Sequence[list[int]], start: Renaming) -> Renaming:
    """Matched are first those that look alike from afar, at last those that are of one kind."""
    found = dict(start)
    for colours in reversed(seen):
        for firsts, seconds in pair.classes(colours).values():
            left = [a for a in firsts if a not in found]
            right = [b for b in seconds if b not in found.values()]
            for a in list(left):
                twin = next((b for b in right if pair.are_namesakes(a, b)), None)
                if twin is not None:
                    found[a] = twin
                    left.remove(a)
                    right.remove(twin)
            found |= dict(zip(left, right, strict=False))
    return found


def _score(both: Both, renaming: Renaming) -> tuple[int, ...]:
    """How many named values and functions are equal, and how many names are."""
    first, second = renamed(both, renaming), both.forms[1]
    values = set(second.values.values())
    equal = sum(key in values for key in first.values.values())
    kept = sum(second.values.get(name) == key for name, key in first.values.items())
    shared = both.atoms.reached(_keys(first)) & both.atoms.reached(_keys(second))
    namesakes = sum(str(both.atoms[a].attr) == str(both.atoms[b].attr) for a, b in renaming.items())
    return equal, len(shared), kept + namesakes


def renamed(both: Both, renaming: Renaming) -> Canonical:
    """The first cell in the names of the second; what has none there is like nothing in it."""
    strangers = {
        a: both.atoms.number(Atom("leaf", ("stranger", a)))
        for a in both.forms[0].bases
        if a not in renaming
    }
    return both.renamed(renaming | strangers)


def _keys(cell: Canonical) -> list[Key]:
    carried = [key for pair in cell.carries.values() for key in pair]
    return [*cell.returns, *carried, *cell.values.values()]


def _exchanged(both: Both, renaming: Renaming) -> Iterator[Renaming]:
    """The renaming with two functions' weights exchanged, or two leaves of one kind."""
    atoms, groups = both.atoms, _read_by_functions(both)
    for one, other in [*itertools.combinations(groups, 2), *_singles(renaming)]:
        new = dict(renaming)
        left = [n for n in other if n in renaming and n not in one]
        for a in (n for n in one if n in renaming and n not in other):
            b = next((n for n in left if _kind(atoms, n) == _kind(atoms, a)), None)
            if b is not None:
                left.remove(b)
                new |= {a: renaming[b], b: renaming[a]}
        if new != renaming:
            yield new


def _singles(renaming: Renaming) -> list[tuple[tuple[int], tuple[int]]]:
    return [((a,), (b,)) for a, b in itertools.combinations(renaming, 2)]


def _read_by_functions(both: Both) -> list[tuple[int, ...]]:
    """For each function of the first cell the leaves that its arguments read themselves."""
    atoms = both.atoms
    found = []
    for number in sorted(atoms.reached(_keys(both.forms[0]))):
        inner = [f[0] for arg in atoms[number].args for f in factors(arg)]
        found.append(tuple(dict.fromkeys(n for n in inner if atoms[n].op == "leaf")))
    return [group for group in dict.fromkeys(found) if group]


# ---- other weights, the same family of functions ----


def merged(both: Both) -> tuple[Both, str]:
    """Both cells with one weight for those that are only ever added, and which these are."""
    groups = [_only_added(both, side) for side in (0, 1)]
    words = [_say_sums(both, found, side) for side, found in enumerate(groups)]
    instead = (_merging(groups[0], both), _merging(groups[1], both))
    return Both.of(both.cells, both.atoms, instead), " and ".join(filter(None, words))


def turned(both: Both) -> tuple[str, ...]:
    """The weights of one gate of the second cell whose sign makes both the same, if any do."""
    for weights in _turnable(both):
        own = both.instead[1]
        new = {n: scaled(own.get(n, _itself(both, n)), -1.0) for n in weights}
        if isomorphism(Both.of(both.cells, both.atoms, (both.instead[0], {**own, **new}))):
            return tuple(str(both.atoms[n].attr) for n in weights)
    return ()


def _itself(both: Both, number: int) -> Form:
    return alone(number, tuple(range(len(both.atoms[number].parts))))


def _only_added(both: Both, side: int) -> list[tuple[int, ...]]:
    """Groups of weights that the cell reads in nothing but their sum."""
    cell, atoms = both.forms[side], both.atoms
    keys = _keys(cell)
    keys += [key for n in atoms.reached(keys) for key in atoms[n].args]
    groups: dict[int, tuple[int, ...]] = {}
    for key in keys:
        together: dict[object, list[int]] = {}
        for term, c in key:
            if len(term) == 1 and term[0][1] == 1 and kind_of(atoms[term[0][0]])[0] == "parameter":
                n, _, at = term[0]
                if at == tuple(range(len(atoms[n].parts))):
                    together.setdefault((c, atoms[n].parts), []).append(n)
        for group in together.values():
            if len(group) > 1:
                groups.setdefault(group[0], tuple(group))
    found = list(groups.values())
    instead: list[Mapping[int, Form]] = [{}, {}]
    instead[side] = _merging(found, both)
    left = set(Both.of(both.cells, atoms, (instead[0], instead[1])).forms[side].bases)
    return [group for group in found if not left & set(group[1:])]


def _merging(groups: Sequence[Sequence[int]], both: Both) -> dict[int, Form]:
    """b - c in place of b, so that b + c is b, and b is the sum."""
    found = {}
    for first, *others in groups:
        form = _itself(both, first)
        for other in others:
            form = plus(form, _itself(both, other), -1.0)
        found[first] = form
    return found


def _say_sums(both: Both, groups: Sequence[Sequence[int]], side: int) -> str:
    sums = [" + ".join(str(both.atoms[n].attr) for n in group) for group in groups]
    return f"{', '.join(sums)} of {{{side}}}" if sums else ""


def _turnable(both: Both) -> list[tuple[int, ...]]:
    """For each sigmoid of the second cell, the weights that turn the sign of its argument."""
    atoms = both.atoms
    found = []
    for number in sorted(atoms.reached(_keys(both.forms[1]))):
        if atoms[number].op == "sigmoid":
            inner = [factor[0] for term, _ in atoms[number].args[0] for factor in term]
            weights = [n for n in dict.fromkeys(inner) if kind_of(atoms[n])[0] == "parameter"]
            found.append(tuple(weights))
    return [weights for weights in dict.fromkeys(found) if weights]

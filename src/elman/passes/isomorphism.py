"""The renaming that makes two canonical cells equal: colours first, then trying, within bounds.

Both cells become one graph of leaves, functions, terms and factors. A node's colour tells what
stands around it, one step further each round; leaves of one colour in both cells are tried for one
another, and what is found is checked by putting the names of one cell into the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from elman.ir import Cell
from elman.passes.canonical import SYMMETRIC, Base, Canonical, Changes, canonical, is_base
from elman.passes.forms import Atom, Atoms, Form, Key, Term

Renaming = dict[int, int]  # atoms of the first cell -> atoms of the second
Colours = list[int]  # of every node of the graph
MOST_VISITS = 300_000  # of nodes, in one search: about two seconds


class Graph:
    """The nodes of both cells: the colour that each starts with, and its neighbours by label."""

    def __init__(self) -> None:
        self.start: Colours = []
        self.edges: list[list[tuple[int, int]]] = []
        self.numbers: dict[Hashable, int] = {}

    def colour(self, seen: Hashable) -> int:
        """A number for what is seen; one for equal sights."""
        return self.numbers.setdefault(seen, len(self.numbers))

    def node(self, what: Hashable) -> int:
        self.start.append(self.colour(what))
        self.edges.append([])
        return len(self.edges) - 1

    def edge(self, above: int, below: int, label: Hashable) -> None:
        self.edges[above].append((self.colour(("down", label)), below))
        self.edges[below].append((self.colour(("up", label)), above))

    def seen(self, at: int, colours: Colours) -> tuple[tuple[int, int], ...]:
        """What stands around a node."""
        return tuple(sorted((label, colours[other]) for label, other in self.edges[at]))


class _Drawing:
    """Draws one cell; `bases` has the node of each of its leaves and sizes, by atom."""

    def __init__(self, cell: Canonical, atoms: Atoms, graph: Graph) -> None:
        self.atoms, self.graph = atoms, graph
        self.bases: dict[int, int] = {}
        self.of_form: dict[Key, int] = {}
        self.of_atom: dict[int, int] = {}
        keys = [*cell.returns, *(k for pair in cell.carries.values() for k in pair)]
        for number in sorted({*atoms.reached(keys), *cell.bases}):
            self.atom(number)
        for k, returned in enumerate(cell.returns):
            graph.edge(graph.node(("return", k)), self.form(returned), "what")
        for state, (following, start) in cell.carries.items():
            carry = graph.node("carry")
            graph.edge(carry, self.of_atom[state], "state")
            graph.edge(carry, self.form(following), "next")
            graph.edge(carry, self.form(start), "start")

    def atom(self, number: int) -> None:
        atom = self.atoms[number]
        attr = atom.attr
        if is_base(atom):
            attr = (*kind_of(atom), len(atom.parts))
        at = self.of_atom[number] = self.graph.node((atom.op, attr))
        if is_base(atom):
            self.bases[number] = at
        for k, part in enumerate(atom.parts):
            self.graph.edge(at, self.of_atom[part], ("part", 0 if atom.op == "sizes" else k))
        for k, arg in enumerate(atom.args):
            self.graph.edge(at, self.form(arg), 0 if atom.op in SYMMETRIC else k)

    def form(self, key: Key) -> int:
        if key not in self.of_form:
            at = self.of_form[key] = self.graph.node("form")
            for term, coefficient in key:
                self.graph.edge(at, self.term(term), coefficient)
        return self.of_form[key]

    def term(self, term: Term) -> int:
        at = self.graph.node("term")
        summed: dict[int, int] = {}
        for number, exponent, indices in term:
            factor = self.graph.node("factor")
            self.graph.edge(at, factor, "factor")
            self.graph.edge(factor, self.of_atom[number], exponent)
            for k, i in enumerate(indices):
                if i >= 0:
                    seen = (self.graph.start[factor], k, i)
                    self.graph.start[factor] = self.graph.colour(seen)
                else:
                    if i not in summed:
                        summed[i] = self.graph.node("summed")
                    self.graph.edge(factor, summed[i], k)
        return at


def kind_of(atom: Atom) -> tuple[str, str]:
    """What no renaming changes of a leaf: its role, and what it varies over."""
    return (atom.attr.role, atom.attr.over) if isinstance(atom.attr, Base) else ("size", "")


class Pair:
    """Two canonical cells over the same atoms, drawn side by side."""

    def __init__(self, first: Canonical, second: Canonical, atoms: Atoms) -> None:
        self.atoms, self.graph = atoms, Graph()
        self.bases = [_Drawing(cell, atoms, self.graph).bases for cell in (first, second)]
        self.fresh = itertools.count(len(self.graph.numbers))
        self.visits = 0

    def refine(self, colours: Colours, changed: set[int]) -> Colours:
        """Colours that tell all that lies around each node; `changed` are the nodes to begin at."""
        colours = list(colours)
        members: dict[int, list[int]] = {}
        for at, colour in enumerate(colours):
            members.setdefault(colour, []).append(at)
        while changed:
            touched = dict.fromkeys(colours[at] for at in sorted(changed))
            changed = set()
            for colour in touched:
                groups: dict[object, list[int]] = {}
                for at in members[colour]:
                    groups.setdefault(self.graph.seen(at, colours), []).append(at)
                self.visits += len(members[colour])
                for group in list(groups.values())[1:]:
                    new = next(self.fresh)
                    members[new] = group
                    members[colour] = [at for at in members[colour] if at not in set(group)]
                    for at in group:
                        colours[at] = new
                        changed |= {other for _, other in self.graph.edges[at]}
        return colours

    def rounds(self) -> list[Colours]:
        """Colours that tell what lies around each node: 0, 1, 2, ... steps away.

        Sizes and leaves show their kind only: every function reads h, and what one of them does
        with it should not make all of them look different.
        """
        found = [self.graph.start]
        leaves = [at for bases in self.bases for at in bases.values()]
        while len(found) < 2 or len(set(found[-1])) > len(set(found[-2])):
            old = list(found[-1])
            for at in leaves:
                old[at] = self.graph.start[at]
            new = [self.graph.colour((c, self.graph.seen(at, old))) for at, c in enumerate(old)]
            found.append(new)
        return found

    def classes(self, colours: Colours) -> dict[int, tuple[list[int], list[int]]]:
        """The leaves and sizes of each colour: (of the first, of the second)."""
        found: dict[int, tuple[list[int], list[int]]] = {}
        for side, bases in enumerate(self.bases):
            for atom, at in bases.items():
                found.setdefault(colours[at], ([], []))[side].append(atom)
        return found

    def renamings(self) -> Iterator[Renaming]:
        """Every renaming that the colours allow, until the bound is met; natural names first."""
        waiting = [(self.graph.start, set(range(len(self.graph.start))))]
        while waiting and self.visits < MOST_VISITS:
            colours = self.refine(*waiting.pop())
            classes = self.classes(colours)
            if any(len(a) != len(b) for a, b in classes.values()):
                continue
            several = [pair for pair in classes.values() if len(pair[0]) > 1]
            if not several:
                yield {a: b for (a,), (b,) in classes.values()}
                continue
            firsts, seconds = min(several, key=lambda pair: len(pair[0]))
            one = firsts[0]
            for other in sorted(seconds, key=lambda b: (self.are_namesakes(one, b), -b)):
                pair = [bases[n] for bases, n in zip(self.bases, (one, other), strict=True)]
                apart, new = list(colours), next(self.fresh)
                for at in pair:
                    apart[at] = new
                waiting.append((apart, {o for at in pair for _, o in self.graph.edges[at]}))

    def are_namesakes(self, a: int, b: int) -> bool:
        return str(self.atoms[a].attr) == str(self.atoms[b].attr)


@dataclass(frozen=True)
class Both:
    """Two cells with shapes and their canonical forms over the same atoms.

    `instead` has forms that stand in place of leaves: -b, b - c.
    """

    cells: tuple[Cell, Cell]
    atoms: Atoms
    forms: tuple[Canonical, Canonical]
    instead: tuple[Mapping[int, Form], Mapping[int, Form]] = ({}, {})

    @classmethod
    def of(
        cls,
        cells: tuple[Cell, Cell],
        atoms: Atoms,
        instead: tuple[Mapping[int, Form], Mapping[int, Form]] = ({}, {}),
    ) -> Both:
        first, second = (
            canonical(cell, atoms, Changes(instead=forms))
            for cell, forms in zip(cells, instead, strict=True)
        )
        return cls(cells, atoms, (first, second), instead)

    def renamed(self, renaming: Mapping[int, int]) -> Canonical:
        """The first cell in the names of the second."""
        return canonical(self.cells[0], self.atoms, Changes(renaming, self.instead[0]))


def isomorphism(both: Both) -> Renaming | None:
    """The renaming that makes the first cell the second, proven.

    None where there is none, or where it was not found within the bound.
    """
    first, second = both.forms
    if len(first.bases) != len(second.bases) or len(first.returns) != len(second.returns):
        return None
    for renaming in Pair(first, second, both.atoms).renamings():
        if sizes_agree(renaming, both.atoms) and proves(both.renamed(renaming), second):
            return renaming
    return None


def sizes_agree(renaming: Renaming, atoms: Atoms) -> bool:
    """Whether every leaf has the sizes of the leaf that it stands for."""

    def size(number: int) -> int:
        atom = atoms[number]
        if atom.op != "sizes":
            return renaming.get(number, number)
        return atoms.number(Atom("sizes", parts=tuple(sorted(map(size, atom.parts)))))

    return all(tuple(map(size, atoms[a].parts)) == atoms[b].parts for a, b in renaming.items())


def proves(first: Canonical, second: Canonical) -> bool:
    """Whether both compute the same, name by name."""
    return first.returns == second.returns and dict(first.carries) == dict(second.carries)

"""How the nodes of a stage are grouped into loops that fused code can run.

A *tile* group computes values of one shape for a tile of rows and units: products first, in
registers, then the pointwise equations on what they leave there. A *row* group computes one other
value (a reduction, a concatenation), row by row. A product whose operand is computed in the same
stage starts a new level.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from elman.ir import Node, Shape, topological
from elman.ir.ops import POINTWISE
from elman.passes.schedule import is_view
from elman.passes.transpose import CHEAP

LANE = (*POINTWISE, "fill", "random")  # what happens lane by lane; a scalar that is filled spreads
INLINE = ("leaf", "const", "size")


@dataclass(frozen=True)
class Group:
    """Values computed in one loop of the rows `over`; `nodes` in the order of computation."""

    level: int
    shape: Shape
    nodes: tuple[Node, ...]
    is_tile: bool
    over: str = "tb"

    @property
    def products(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if is_product(n)) if self.is_tile else ()


def is_product(n: Node) -> bool:
    """A weight matrix times a vector that varies, the one product that is tiled."""
    if n.op != "contract" or len(n.args) != 2 or matrix_of(n.attr) is None:
        return False
    matrix, vector = n.args
    return matrix.over == "" != vector.over and (matrix.op == "leaf" or is_view(matrix))


def matrix_of(spec: str) -> tuple[int, bool] | None:
    """How "ij,j->i" and "ijk,ij->k" read a weight as a matrix: (axes of its rows, transposed).

    Axes side by side are one: `W: heads, head, input` has heads * head rows.
    """
    inputs, output = spec.split("->")
    matrix, vector = inputs.split(",")
    if "" in (vector, output) or matrix not in (output + vector, vector + output):
        return None
    transposed = matrix == vector + output
    return len(vector if transposed else output), transposed


def arrange(roots: Iterable[Node], every_row: bool = False) -> tuple[Group, ...]:
    """The groups that compute `roots`, in an order in which they can run.

    With `every_row`, each row computes by itself even what varies over less than time and batch.
    """
    wanted = list(roots)
    order = [n for n in topological(wanted) if n.op not in INLINE or n in wanted]
    views = {n.args[0] for n in order if is_product(n)}
    users = {arg for n in order if not is_product(n) for arg in n.args}
    order = [n for n in order if n not in views or n in users or n in wanted]
    levels: dict[Node, int] = {}
    for n in order:
        levels[n] = max((levels[a] + _step(a, n) for a in n.args if a in levels), default=0)
    _sink(order, levels, set(wanted))
    keys: dict[tuple[int, Shape, Node | None, str], list[Node]] = {}
    for n in order:
        assert n.shape is not None
        over = "tb" if every_row else n.over
        keys.setdefault((levels[n], n.shape, None if _in_tile(n) else n, over), []).append(n)
    groups = [
        Group(level, shape, tuple(nodes), other is None, over)
        for (level, shape, other, over), nodes in keys.items()
    ]
    return tuple(sorted(groups, key=lambda group: group.level))


def _sink(order: list[Node], levels: dict[Node, int], wanted: set[Node]) -> None:
    """Move cheap work to the level that uses it: `1 - z` is computed from z rather than kept."""
    users: dict[Node, list[Node]] = {}
    for n in order:
        for arg in n.args:
            users.setdefault(arg, []).append(n)
    for n in reversed(order):
        if n.op in CHEAP and n not in wanted and n in users:
            levels[n] = max(levels[n], min(levels[u] - _step(n, u) for u in users[n]))


def _in_tile(n: Node) -> bool:
    return n.op in LANE or n.op in INLINE or is_product(n)


def _step(arg: Node, user: Node) -> int:
    """Whether `user` must wait until all of `arg` is there."""
    if arg.op in INLINE:
        return 0
    fused = _in_tile(arg) and user.op in LANE and arg.shape == user.shape
    return 0 if fused else 1


def stored(groups: Iterable[Group], roots: Iterable[Node]) -> list[Node]:
    """The nodes whose values must be in memory: the roots, and what another group reads."""
    groups = list(groups)
    home = {n: k for k, group in enumerate(groups) for n in group.nodes}
    found = dict.fromkeys(n for n in roots if n in home)
    for k, group in enumerate(groups):
        for n in group.nodes:
            fused = group.is_tile and not is_product(n)
            for arg in n.args:
                if arg in home and arg.op not in INLINE and (home[arg] != k or not fused):
                    found[arg] = None
    return list(found)


@dataclass(frozen=True)
class Sum:
    """Products that are added up in one accumulator, and what is added to them behind it."""

    root: Node
    products: tuple[Node, ...]
    rest: tuple[Node, ...] = ()
    within: tuple[Node, ...] = ()  # the sums that the root's takes the place of


@dataclass(frozen=True)
class Bundle:
    """Sums whose products read the same vectors, one after the other: computed side by side."""

    vectors: tuple[Node, ...]
    sums: tuple[Sum, ...]

    def matrices(self, term: int) -> tuple[Node, ...]:
        """The products of every sum with one of the vectors."""
        return tuple(found.products[term] for found in self.sums)


def bundles(group: Group, kept: Collection[Node]) -> tuple[Bundle, ...]:
    """All products of a tile group; `kept` are the values that must be in memory by themselves."""
    order = {vector: k for k, vector in enumerate(dict.fromkeys(n.args[1] for n in group.products))}
    found: dict[tuple[Node, ...], list[Sum]] = {}
    for total in _sums(group, kept):
        products = tuple(sorted(total.products, key=lambda n: order[n.args[1]]))
        vectors = tuple(n.args[1] for n in products)
        found.setdefault(vectors, []).append(replace(total, products=products))
    return tuple(Bundle(vectors, tuple(sums)) for vectors, sums in found.items())


def _sums(group: Group, kept: Collection[Node]) -> list[Sum]:
    """Every product once, with those that are only ever added to it."""
    uses = Counter(arg for n in group.nodes for arg in n.args)
    added = {arg for n in group.nodes if n.op == "add" for arg in n.args}

    def merges(n: Node) -> bool:
        """Whether nothing but one sum of the group reads it."""
        return n in added and uses[n] == 1 and n not in kept

    products = set(group.products)
    parts: dict[Node, list[Node]] = {}  # what each sum adds up
    inside: dict[Node, list[Node]] = {}  # the sums within it
    for n in group.nodes:
        if n.op == "add":
            within = [arg for arg in n.args if arg in parts and merges(arg)]
            parts[n] = [p for arg in n.args for p in (parts[arg] if arg in within else [arg])]
            inside[n] = [m for arg in within for m in (arg, *inside[arg])]
    found: dict[Node, Sum] = {}
    for n, leaves in parts.items():
        own = [p for p in leaves if p in products and merges(p)]
        if own and not merges(n):
            rest = tuple(p for p in leaves if p not in own)
            found |= dict.fromkeys(own, Sum(n, tuple(own), rest, tuple(inside[n])))
    every = (found.get(p, Sum(p, (p,))) for p in group.products)
    return list(dict.fromkeys(every))

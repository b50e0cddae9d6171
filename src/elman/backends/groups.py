"""How the nodes of a stage are grouped into loops that fused code can run.

A *tile* group computes values of one shape for a tile of rows and units: products first, in
registers, then the pointwise equations on what they leave there. A *row* group computes one other
value (a reduction, a concatenation), row by row. A product whose operand is computed in the same
stage starts a new level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from elman.ir import Node, Shape, topological
from elman.ir.ops import POINTWISE
from elman.passes.schedule import is_view
from elman.passes.transpose import CHEAP

LANE = (*POINTWISE, "fill", "random")  # what happens lane by lane; a scalar that is filled spreads
INLINE = ("leaf", "const", "size")


@dataclass(frozen=True)
class Group:
    """Values computed in one loop; `nodes` in the order of computation."""

    level: int
    shape: Shape
    nodes: tuple[Node, ...]
    is_tile: bool

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


def arrange(roots: Iterable[Node]) -> tuple[Group, ...]:
    """The groups that compute `roots`, in an order in which they can run."""
    wanted = list(roots)
    order = [n for n in topological(wanted) if n.op not in INLINE or n in wanted]
    views = {n.args[0] for n in order if is_product(n)}
    users = {arg for n in order if not is_product(n) for arg in n.args}
    order = [n for n in order if n not in views or n in users or n in wanted]
    levels: dict[Node, int] = {}
    for n in order:
        levels[n] = max((levels[a] + _step(a, n) for a in n.args if a in levels), default=0)
    _sink(order, levels, set(wanted))
    keys: dict[tuple[int, Shape, Node | None], list[Node]] = {}
    for n in order:
        assert n.shape is not None
        keys.setdefault((levels[n], n.shape, None if _in_tile(n) else n), []).append(n)
    groups = [Group(key[0], key[1], tuple(nodes), key[2] is None) for key, nodes in keys.items()]
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

"""How many axes each value has: found before sizes are, by propagation until nothing changes.

A vector meets only vectors, `@` needs a matrix on its left, scalars are declared. What nothing
decides is a vector.
"""

from __future__ import annotations

from elman.errors import ShapeProblem
from elman.ir import Cell, Node, topological
from elman.ir.ops import POINTWISE

KINDS = {0: "a scalar", 1: "a vector", 2: "a matrix"}


def infer_ranks(cell: Cell) -> dict[Node, int]:
    """The number of axes of every node of `cell`; two that clash are a ShapeProblem [E202]."""
    ranks = _Ranks(cell)
    ranks.propagate()
    while ranks.guess():
        ranks.propagate()
    return ranks.of


def partners(cell: Cell) -> dict[Node, Node]:
    """For each state leaf, whose past it is: its equation's value, or the input's leaf."""
    found: dict[Node, Node] = {}
    inputs = {n.attr.name: n for n in cell.leaves if n.attr.role == "input"}
    values = {equation.name: equation.value for equation in cell.steps}
    for n in cell.leaves:
        if n.attr.role == "state":
            found[n] = values[n.attr.name] if n.attr.name in values else inputs[n.attr.name]
    return found


class _Ranks:
    def __init__(self, cell: Cell) -> None:
        self.nodes = topological(equation.value for equation in cell.equations)
        self.links = list(partners(cell).items())
        self.of: dict[Node, int] = {}
        declared = dict(cell.declared)
        for equation in cell.equations:
            if equation.name in declared:
                self.of[equation.value] = len(declared[equation.name])

    def set(self, node: Node, rank: int, user: Node) -> None:
        known = self.of.setdefault(node, rank)
        if known != rank:
            raise ShapeProblem(
                "E202",
                f"{_name(node)} is {KINDS[known]} and is used as {KINDS[rank]}",
                rule="A name keeps one kind everywhere: left of @ a matrix, added or multiplied "
                "a vector.",
                fix="Use two names, or declare the kind: 'alpha: scalar'.",
                subject=user,
            )

    def propagate(self) -> None:
        """Apply every rule until nothing new is learned."""
        while True:
            before = len(self.of)
            for node in self.nodes:
                self._learn(node)
            for left, right in self.links:
                for a, b in ((left, right), (right, left)):
                    if a in self.of:
                        self.set(b, self.of[a], b)
            if len(self.of) == before:
                return

    def _learn(self, node: Node) -> None:
        match node.op:
            case "leaf" if node.shape is not None:
                self.set(node, len(node.shape), node)
            case "leaf" if node.attr.role == "input":
                self.of.setdefault(node, 1)
            case "const" | "sum" | "mean" | "amax" | "size":
                self.set(node, 0, node)
            case "concat":
                for part in (node, *node.args):
                    self.set(part, 1, node)
            case "transpose":
                for part in (node, *node.args):
                    self.set(part, 2, node)
            case "matmul":
                self._matmul(node, *node.args)
            case _ if node.op in POINTWISE:
                self._pointwise(node)

    def _matmul(self, node: Node, left: Node, right: Node) -> None:
        if right in self.of and left not in self.of and left.op != "leaf" and node in self.of:
            self.set(left, 2, node)
        if right in self.of and left.op == "leaf" and left not in self.of:
            self.set(left, 2, node)
        if node in self.of and self.of[node] == 2:
            self.set(right, 2, node)
        if left in self.of and right in self.of:
            ranks = (self.of[left], self.of[right])
            if 0 in ranks:
                scalar = left if ranks[0] == 0 else right
                raise ShapeProblem(
                    "E204",
                    f"{_name(scalar)} is a scalar and stands beside @",
                    rule="@ multiplies a matrix by a vector.",
                    fix="Write * to multiply by a scalar.",
                    subject=node,
                )
            self.set(node, sum(ranks) - 2, node)

    def _pointwise(self, node: Node) -> None:
        known = [self.of[arg] for arg in node.args if arg in self.of]
        wide = [rank for rank in known if rank > 0]
        if wide:
            for arg in node.args:
                if self.of.get(arg, 0) not in (0, wide[0]):
                    self.set(arg, wide[0], node)
            self.set(node, wide[0], node)
        elif len(known) == len(node.args):
            self.set(node, 0, node)

    def guess(self) -> bool:
        """Decide one open rank: an operand as its result is, a matrix left of @, else a vector."""
        for node in self.nodes:
            if node.op in POINTWISE and self.of.get(node, 0) > 0:
                for arg in node.args:
                    if arg not in self.of:
                        self.set(arg, self.of[node], node)
                        return True
            if node.op == "matmul":
                left, right = node.args
                if right in self.of and left not in self.of:
                    self.set(left, 2, node)
                    return True
        for role in ("state", "parameter", "value"):
            for node in self.nodes:
                if node not in self.of and node.op == "leaf" and node.attr.role == role:
                    self.of[node] = 1
                    return True
        return False


def _name(node: Node) -> str:
    return node.attr.name if node.op == "leaf" else "this value"

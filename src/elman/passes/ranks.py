"""How many axes each value has: found before sizes are, by propagation until nothing changes.

A vector meets only vectors, `@` needs a matrix on its left, scalars and values of three axes are
declared; `einsum` says how many axes its values have. What nothing decides is a vector.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable

from elman.errors import Fact, ShapeProblem
from elman.ir import Cell, Node, topological
from elman.ir.node import show
from elman.ir.ops import POINTWISE

Spell = Callable[[Node], str]
KINDS = {0: "a scalar", 1: "a vector", 2: "a matrix", 3: "an array of three axes"}


def infer_ranks(cell: Cell, spell: Spell = show) -> dict[Node, int]:
    """The number of axes of every node of `cell`; two that clash are a ShapeProblem [E202]."""
    ranks = _Ranks(cell, spell)
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
    def __init__(self, cell: Cell, spell: Spell) -> None:
        self.spell = spell
        self.nodes = topological(cell.roots)
        self.place = {node: place for place, node in enumerate(self.nodes)}
        self.users: dict[Node, list[Node]] = defaultdict(list)
        for node in self.nodes:
            for arg in node.args:
                self.users[arg].append(node)
        self.links: dict[Node, list[Node]] = defaultdict(list)
        for past, present in partners(cell).items():
            self.links[past].append(present)
            self.links[present].append(past)
        self.starts: dict[Node, list[tuple[Node, Node]]] = defaultdict(list)
        for key, value in cell.initial:
            pair = (cell.past(key), value)
            for node in pair:
                self.starts[node].append(pair)
        self.of: dict[Node, int] = {}
        self.changed = set(self.nodes)  # what a rule may say something new of
        self.undecided = list(range(len(self.nodes)))  # places, a heap: where an operand is open
        roles = ("state", "parameter", "value", "random")
        leaves = [node for node in self.nodes if node.op == "leaf"]
        self.free = iter([n for role in roles for n in leaves if n.attr.role == role])
        self._begin(cell)

    def _begin(self, cell: Cell) -> None:
        """What is known before any rule."""
        declared = dict(cell.declared)
        for equation in cell.equations:
            if equation.name in declared:
                self._know(equation.value, len(declared[equation.name]))
        for node in self.nodes:
            if node.op == "einsum":
                self._einsum(node)
        self._sink_scalars()

    def _know(self, node: Node, rank: int) -> int:
        """Its rank, which is this one where nothing was known."""
        if node not in self.of:
            self.of[node] = rank
            self.changed.update((node, *self.users[node]))
        return self.of[node]

    def set(self, node: Node, rank: int, user: Node) -> None:
        known = self._know(node, rank)
        if known != rank:
            raise ShapeProblem(
                "E202",
                f"{self.name(node)} is {KINDS[known]} and is used as {KINDS[rank]}",
                facts=[self._kind(arg) for arg in user.args if arg in self.of],
                rule="A name keeps one kind everywhere: left of @ a matrix, added or multiplied "
                "a vector.",
                fix=self._one_kind(node, user, (known, rank)),
                subject=user,
            )

    def name(self, node: Node) -> str:
        """What the user calls it."""
        return node.attr.name if node.op == "leaf" else self.spell(node)

    def _kind(self, node: Node) -> Fact:
        """What kind a value is, and what made it so."""
        products = [n for n in self.users[node] if n.op == "matmul" and n.args[0] is node]
        is_matrix = products and self.of[node] == 2
        why = f"left of @ in {self.spell(products[0])}" if is_matrix else ""
        if node.op == "leaf" and node.attr.shape is not None:
            why = "as its declaration or its value says"
        elif node.op == "leaf" and node.attr.role == "input":
            why = "as every input that is not declared"
        return Fact(self.spell(node), KINDS[self.of[node]], why)

    def _one_kind(self, node: Node, user: Node, kinds: tuple[int, ...]) -> str:
        """How a name, or a value, gets the kind that its use asks for."""
        if node.op == "matmul" and node.args[1].op == "leaf" and node.args[0].op != "leaf":
            user = node
        if user.op == "transpose":
            return f"A vector has no transpose: leave .T out of {self.spell(user)}."
        weights = ("parameter", "constant")
        sides = [arg for arg in user.args if arg.op == "leaf" and arg.attr.role in weights]
        if node.op == "matmul" and 0 in kinds and node.args[1] in sides[-1:]:
            left, right = map(self.spell, node.args)
            return f"The matrix stands on the left: write {right} @ {left}."
        inner = [arg for part in user.args for arg in part.args if part.op in POINTWISE]
        given = [arg for arg in (*sides, *inner) if arg.op == "leaf" and arg.attr.role in weights]
        matrix = next((arg for arg in given if self.of.get(arg) == 2), None)
        if user.op in POINTWISE and matrix is not None and sorted(kinds) == [1, 2]:
            name = self.name(matrix)
            names = f"{name} and {name}_2"
            return f"Write {name} @ where the product is meant, or use two names: {names}."
        if node.op == "leaf" and node.attr.role == "input":
            name, kind = node.attr.name, KINDS[max(kinds)]
            sizes = ", ".join(f"{name}_{k}" for k in range(1, max(kinds) + 1))
            return f"If every step of {name} is {kind}, declare it: {name}: {sizes}."
        if 0 in kinds:
            name = self.name(sides[0]) if sides else "alpha"
            return f"Use two names, or declare the kind: {name}: scalar."
        return "Use two names, or declare the shape: C: hidden, hidden."

    def _sink_scalars(self) -> None:
        """What a declared scalar is computed from is scalars: `w @ x[t]` there is a dot product."""
        for node in reversed(self.nodes):
            if self.of.get(node) == 0 and node.op in POINTWISE:
                inner = [arg for arg in node.args if arg.op in POINTWISE or arg.op == "matmul"]
                for arg in inner:
                    self._know(arg, 0)

    def propagate(self) -> None:
        """Apply every rule until nothing new is learned."""
        while self.changed:
            nodes = sorted(self.changed, key=self.place.__getitem__)
            self.changed = set()
            for node in nodes:
                self._learn(node)
                heapq.heappush(self.undecided, self.place[node])
            for node in nodes:
                if node in self.of:
                    for other in self.links[node]:
                        self.set(other, self.of[node], other)
            for past, start in (pair for node in nodes for pair in self.starts[node]):
                if self.of.get(past) and start.op != "const":  # one number may fill a state
                    self._know(start, self.of[past])
                if self.of.get(start):
                    self.set(past, self.of[start], start)

    def _learn(self, node: Node) -> None:
        match node.op:
            case "leaf" if node.shape is not None:
                self.set(node, len(node.shape), node)
            case "leaf" if node.attr.role == "input":
                self._know(node, 1)
            case "const" | "sum" | "mean" | "amax" | "size":
                self.set(node, 0, node)
            case "concat" | "cumsum":
                for part in (node, *node.args):
                    self.set(part, 1, node)
            case "transpose":
                for part in (node, *node.args):
                    self.set(part, 2, node)
            case "matmul":
                self._matmul(node, *node.args)
            case _ if node.op in POINTWISE:
                self._pointwise(node)

    def _einsum(self, node: Node) -> None:
        inputs, output = node.attr.split("->")
        for part, word in zip(node.args, inputs.split(","), strict=True):
            self.set(part, len(word), node)
        self.set(node, len(output), node)

    def _matmul(self, node: Node, left: Node, right: Node) -> None:
        if self.of.get(node) == 0:
            for side in (left, right):
                self._know(side, 1)
        if right in self.of and left not in self.of and left.op != "leaf" and node in self.of:
            self.set(left, 2, node)
        if right in self.of and left.op == "leaf" and left not in self.of:
            self.set(left, 2, node)
        if node in self.of and self.of.get(left) == 3:
            self.set(right, self.of[node] - 1, node)
        elif node in self.of and self.of[node] == 2:
            self.set(right, 2, node)
        if left in self.of and right in self.of:
            ranks = (self.of[left], self.of[right])
            if 0 in ranks:
                scalar = left if ranks[0] == 0 else right
                raise ShapeProblem(
                    "E204",
                    f"{self.name(scalar)} is a scalar and stands beside @",
                    rule="@ multiplies a matrix by a vector.",
                    fix="Write * to multiply by a scalar.",
                    subject=node,
                )
            if sum(ranks) > 5:
                raise ShapeProblem(
                    "E216",
                    f"this product would have {sum(ranks) - 2} axes",
                    rule="A value has three axes at most; @ joins one of each side and keeps the "
                    "others.",
                    fix='Say with einsum which axes meet: einsum("hij,hjk->hik", A, B).',
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
        while self.undecided:
            node = self.nodes[self.undecided[0]]
            is_wide = node.op in POINTWISE and self.of.get(node, 0) > 0
            still_open = [arg for arg in node.args if arg not in self.of]
            if is_wide and still_open:
                self.set(still_open[0], self.of[node], node)
                return True
            if node.op == "matmul" and still_open == [node.args[0]]:
                self.set(still_open[0], 2, node)
                return True
            heapq.heappop(self.undecided)
        for node in self.free:
            if node not in self.of:
                self._know(node, 1)
                return True
        return False

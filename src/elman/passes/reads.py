"""What the products of a cell read of its inputs and of the past of its states: U @ (r * h[t-1]).

A cell is looked at as it was read, before its shapes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elman.ir import Cell, Node, node, topological
from elman.ir.ops import POINTWISE
from elman.passes.ranks import partners

# In which arguments an op is linear, where the others stand still.
LINEAR = {"add": (0, 1), "sub": (0, 1), "neg": (0,), "mul": (0, 1), "div": (0,), "where": (1, 2)}


@dataclass(frozen=True)
class Reads:
    """Where the products of a fixed matrix with something that varies find streams and states."""

    streams: tuple[str, ...]  # the names looked for
    ends: frozenset[Node]  # new values of states: what they are made of is not read here
    named: frozenset[Node]  # what has an equation

    @classmethod
    def of(cls, cell: Cell, streams: tuple[str, ...]) -> Reads:
        ends = frozenset(n for n in partners(cell).values() if n.args)
        return cls(streams, ends, frozenset(e.value for e in cell.equations))

    def operand(self, n: Node) -> int | None:
        """Which argument of a product varies, where the other is fixed."""
        if n.op not in ("matmul", "einsum") or len(n.args) != 2:
            return None
        varying = [k for k, arg in enumerate(n.args) if arg.over]
        return varying[0] if len(varying) == 1 else None

    def is_stream(self, n: Node) -> bool:
        """A leaf of one of the names, at this step or before."""
        return n.op == "leaf" and n.attr.role != "random" and n.attr.name in self.streams

    def linear(self, part: Node) -> list[Node]:
        """What `part` is linear in, each after what it is made of; nothing behind a new state."""
        reached = {part}
        stack = [part]
        while stack:
            n = stack.pop()
            for arg in () if n in self.ends else linear_args(n):
                if arg not in reached:
                    reached.add(arg)
                    stack.append(arg)
        return [n for n in topological([part]) if n in reached]

    def alone(self, part: Node) -> str | None:
        """The one stream that `part` is a function of, entry by entry: tanh(h[t-1])."""
        nodes = topological([part])
        if any(n in self.ends or n.op not in ("leaf", "const", *POINTWISE) for n in nodes):
            return None
        varying = {n for n in nodes if n.op == "leaf" and n.over}
        only = varying.pop() if len(varying) == 1 else None
        return str(only.attr.name) if only is not None and self.is_stream(only) else None

    def names(self, operand: Node) -> list[str]:
        """The streams that an operand holds."""
        found: list[str] = []
        for part in operand.args if operand.op == "concat" else (operand,):
            linear = [n.attr.name for n in self.linear(part) if self.is_stream(n)]
            only = None if linear else self.alone(part)
            found += linear if only is None else [only]
        return list(dict.fromkeys(found))

    def in_products(self, cell: Cell) -> tuple[str, ...]:
        """The streams that the products of a cell read."""
        products = ((n, self.operand(n)) for n in topological(cell.roots))
        found = [name for n, k in products if k is not None for name in self.names(n.args[k])]
        return tuple(name for name in self.streams if name in found)

    def masked(self, operand: Node, new: Mapping[Node, Node], masks: Mapping[str, Node]) -> Node:
        """An operand with every stream in it behind its mask; `new` has all other values."""
        parts = []
        for part in operand.args if operand.op == "concat" else (operand,):
            built, held = self._built(part, new, masks)
            only = None if held else self.alone(part)
            parts.append(built if only is None else node("mul", (masks[only], new[part])))
        return node("concat", parts) if operand.op == "concat" else parts[0]

    def _built(
        self, part: Node, new: Mapping[Node, Node], masks: Mapping[str, Node]
    ) -> tuple[Node, set[str]]:
        """The part with its streams masked, one factor of each product, and which these are."""
        built: dict[Node, Node] = {}
        held: dict[Node, set[str]] = {}
        for n in self.linear(part):
            built[n], held[n] = new[n], set()
            if self.is_stream(n):
                built[n], held[n] = node("mul", (masks[n.attr.name], n)), {n.attr.name}
            elif n not in self.ends and n.args:
                args = [new[arg] for arg in n.args]
                for k in LINEAR.get(n.op, ()):
                    if n.op != "mul" or not held[n] & held[n.args[k]]:
                        args[k] = built[n.args[k]]
                        held[n] |= held[n.args[k]]
                built[n] = node(n.op, args, n.attr) if held[n] else new[n]
            if n in self.named and n.args and len(held[n]) == 1:  # as a whole, by its name
                built[n] = node("mul", (masks[next(iter(held[n]))], new[n]))
        return built[part], held[part]


def linear_args(n: Node) -> Iterator[Node]:
    """The arguments that a node is linear in."""
    return (n.args[k] for k in LINEAR.get(n.op, ()))

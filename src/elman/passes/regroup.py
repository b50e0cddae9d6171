"""Sums regrouped so that what needs no state stands together and can leave the loop.

`W @ x[t] + U @ h[t-1] + b` becomes `(W @ x[t] + b) + U @ h[t-1]`.
"""

from __future__ import annotations

from elman.ir import Carry, Node, System, Value, node, rebuild, topological
from elman.passes.simplify import rewrite, simplify


def regroup(system: System) -> System:
    """Simplify, then collect in every sum the terms that no state reaches."""
    system = map_system(system, simplify(roots(system)))
    moves = reached(system)
    parts: dict[Node, tuple[Node | None, Node | None]] = {}  # (what no state reaches, the rest)
    heavy: set[Node | None] = set()  # what is worth taking out of the loop

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        new = rewrite(node(old.op, args, old.attr))
        if old not in moves:
            parts[new] = (new, None)
            if new.op == "contract" or any(arg in heavy for arg in new.args):
                heavy.add(new)
        elif old.op in ("add", "sub") and new.op in ("add", "sub"):
            static, moving = (
                _combine(new.op, *pair) for pair in zip(*(parts[a] for a in new.args), strict=True)
            )
            if static is not None and any(n in heavy for n in (static, *static.args)):
                heavy.add(static)
                new = new if moving is None else rewrite(node("add", (static, moving)))
            parts[new] = (static, moving)
        else:
            parts[new] = (None, new)
        return new

    return map_system(system, rebuild(roots(system), change))


def _combine(op: str, a: Node | None, b: Node | None) -> Node | None:
    if a is None or b is None:
        return a if b is None else b if op == "add" else rewrite(node("neg", (b,)))
    return rewrite(node(op, (a, b)))


def roots(system: System) -> list[Node]:
    """Every node that a system names: next states, outputs, labels."""
    values = (*system.outputs, *system.labels)
    return [*(c.next for c in system.carries), *(v.node for v in values)]


def reached(system: System) -> set[Node]:
    """The nodes that depend on a state of an earlier step."""
    found = {carry.previous for carry in system.carries}
    for n in topological(roots(system)):
        if any(arg in found for arg in n.args):
            found.add(n)
    return found


def map_system(system: System, new: dict[Node, Node]) -> System:
    """The system with its nodes exchanged, each under its name."""
    return System(
        system.name,
        tuple(Carry(c.key, c.previous, new[c.next]) for c in system.carries),
        tuple(Value(v.name, new[v.node]) for v in system.outputs),
        system.reverse,
        tuple(Value(v.name, new[v.node]) for v in system.labels),
    )

"""A cell's step as one graph, as it is written by hand: before the loop, in it, after it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elman.ir import Carry, Cell, Node, Plan, Value, leaf, node, rebuild, topological
from elman.ir.node import substitute
from elman.passes.derive import forward_plan

BEFORE, STEP, AFTER = "before", "step", "after"


@dataclass(frozen=True)
class Loop:
    """What a step turns states into, what the loop hands on, and what is made of that at the end.

    `found` are values of every step, under the leaves through which `outputs` read them; `start`
    are states that do not begin as zeros; `labels` are the user's names of nodes.
    """

    name: str
    carries: tuple[Carry, ...]
    found: Mapping[Node, Node]
    outputs: tuple[Value, ...]
    start: Mapping[str, Node]
    labels: Mapping[Node, str]

    @functools.cached_property
    def phase(self) -> dict[Node, str]:
        """When every node is computed, arguments before their users."""
        states = {carry.previous for carry in self.carries}
        place: dict[Node, str] = {}
        for n in topological(self.roots):
            before = {place[arg] for arg in n.args}
            if n in self.found or AFTER in before:
                place[n] = AFTER
            else:
                place[n] = STEP if n in states or STEP in before else BEFORE
        return place

    @functools.cached_property
    def index(self) -> dict[Node, int]:
        """The place of every node in an order in which they can be computed."""
        return {n: k for k, n in enumerate(self.phase)}

    @functools.cached_property
    def users(self) -> dict[Node, list[Node]]:
        """The nodes that read each node."""
        users: dict[Node, list[Node]] = {n: [] for n in self.phase}
        for n in self.phase:
            for arg in dict.fromkeys(n.args):
                users[arg].append(n)
        return users

    @functools.cached_property
    def roots(self) -> tuple[Node, ...]:
        """Every node that is kept for itself."""
        ends = (*(carry.next for carry in self.carries), *self.found.values())
        return (*ends, *self.start.values(), *(value.node for value in self.outputs))


def loop_of(cell: Cell) -> Loop:
    """The loop of a cell with shapes, for what it returns."""
    plan = forward_plan(cell)
    assert not plan.totals and not plan.final, "a forward plan has no totals"
    past = {carry.previous: _found(f"{carry.key}[t-1]", carry.previous) for carry in plan.carries}
    early = _inlined((*plan.invariant, *plan.prologue), {})
    late = _inlined(plan.epilogue, early | past)
    homes = {v.name: v for _, stage in plan.stages() for v in stage}
    ends = {name: late.get(homes[at].leaf, homes[at].leaf) for name, at in plan.outputs}
    found = {v.leaf: v.node for v in plan.scan} | {at: n for n, at in past.items()}
    read = set(topological(ends.values()))
    found = {at: n for at, n in found.items() if at in read}
    inner = [*(c.next for c in plan.carries), *found.values(), *(n for _, n in cell.initial)]
    whole = substitute([*inner, *(v.node for v in plan.labels)], early)
    new = rebuild([*whole.values(), *ends.values()], _Folding())
    return Loop(
        plan.name,
        tuple(Carry(c.key, c.previous, new[whole[c.next]]) for c in plan.carries),
        {at: new[whole[n]] for at, n in found.items()},
        tuple(Value(name, new[n]) for name, n in ends.items()),
        {key: new[whole[n]] for key, n in cell.initial},
        {new[whole[v.node]]: v.name for v in reversed(plan.labels)} | _prologue(plan, new, early),
    )


def _prologue(plan: Plan, new: Mapping[Node, Node], early: Mapping[Node, Node]) -> dict[Node, str]:
    return {new[early[v.leaf]]: v.name for v in plan.prologue if early[v.leaf] in new}


def _found(name: str, n: Node) -> Node:
    return leaf(name, "value", n.over, 0, n.shape)


def _inlined(values: Iterable[Value], held: Mapping[Node, Node]) -> dict[Node, Node]:
    """`held`, and the leaf of every value with what stands for it."""
    found = dict(held)
    for value in values:
        found[value.leaf] = substitute([value.node], found)[value.node]
    return found


class _Folding:
    """Sums in the order in which one adds them up by hand.

    `W @ x + (b + c)` for `(W @ x + b) + c`, what no step changes first; `(a + U @ h) + p * c` for
    `a + (U @ h + p * c)`, the product onto what was there before the loop; and `(a + u) - mean` for
    `a + (u - mean)`.
    """

    def __init__(self) -> None:
        self.moving: dict[Node, bool] = {}  # whether a state reaches it

    def __call__(self, old: Node, args: tuple[Node, ...]) -> Node:
        new = self._sum(args) if old.op == "add" else None
        new = new or node(old.op, args, old.attr)
        for n in topological([new]):
            if n not in self.moving:
                state = n.op == "leaf" and n.attr.role == "state"
                self.moving[n] = state or any(self.moving[arg] for arg in n.args)
        return new

    def _sum(self, args: tuple[Node, ...]) -> Node | None:
        for still, inner in (args, args[::-1]):
            if self.moving[still]:
                continue
            if still.over and inner.op == "sub" and inner.args[1].shape == ():
                first, mean = inner.args
                return node("sub", (node("add", (still, first)), mean))
            if inner.op != "add":
                continue
            for first, rest in (inner.args, inner.args[::-1]):
                if not still.over and not first.over and inner.over and first.shape == still.shape:
                    return node("add", (rest, node("add", (first, still))))
                if still.over and self.moving[rest] and first.op == "contract":
                    return node("add", (node("add", (still, first)), rest))
        return None

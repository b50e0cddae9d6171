"""Plans whose steps need not be taken one after the other: loops that run through a block of time.

Where every entry of a state hears its own past alone (minGRU, IndRNN, LRU, their backward passes),
a group of values can be computed for all steps of a block, in the order of time, before the next
group begins. Its products are then those of many rows, and nothing is done once a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from elman.backends.groups import LANE, Group, arrange
from elman.ir import Carry, Node, Plan, Value, topological
from elman.ir.node import substitute


class Loop(NamedTuple):
    """A plan, the groups of its loop over time, and whether they run through a block of time."""

    plan: Plan
    groups: tuple[Group, ...]
    through_time: bool


def loop_of(plan: Plan) -> Loop:
    """The loop of a plan; its prologue is in it where both run through time as tiles."""
    groups = _arranged(plan)
    ordered = _in_order(groups, plan.carries)
    if ordered is None:
        return Loop(plan, groups, False)
    return _gathered(plan) or Loop(plan, ordered, True)


def _gathered(plan: Plan) -> Loop | None:
    later = [*plan.epilogue, *plan.totals, *plan.final]
    read = {*topological(v.node for v in later)}
    named = {name for _, name in plan.outputs}
    moved = [v for v in plan.prologue if v.node.over == "tb"]
    shared = tuple(v for v in plan.prologue if v.node.over != "tb")  # each computed once
    kept = [v for v in moved if v.leaf in read or v.name in named]
    every = [*(v.node for v in (*plan.scan, *plan.labels)), *(c.next for c in plan.carries)]
    new = substitute(every, {v.leaf: v.node for v in moved})
    scan, labels = ([Value(v.name, new[v.node]) for v in vs] for vs in (plan.scan, plan.labels))
    carries = tuple(Carry(c.key, c.previous, new[c.next]) for c in plan.carries)
    found = replace(
        plan, carries=carries, prologue=shared, scan=(*kept, *scan), labels=tuple(labels)
    )
    groups = _in_order(_arranged(found), carries)
    return Loop(found, groups, True) if groups and all(map(_is_even, groups)) else None


def _is_even(group: Group) -> bool:
    """Whether it is made of tiles whose rows lie evenly in memory."""
    return group.is_tile and all(n.args[1].over == "tb" for n in group.products)


def scan_roots(plan: Plan) -> list[Node]:
    """What the loop over time computes."""
    return [v.node for v in plan.scan] + [c.next for c in plan.carries]


def _arranged(plan: Plan) -> tuple[Group, ...]:
    return arrange(scan_roots(plan), every_row=True)


def _in_order(groups: Iterable[Group], carries: Iterable[Carry]) -> tuple[Group, ...] | None:
    """The groups in an order in which each runs through a block of time; None if there is none."""
    waiting, done = list(groups), list[Group]()
    home = {n: group for group in waiting for n in group.nodes}
    made = {c.previous: home[c.next] for c in carries}
    if not made or not all(_hears_itself(c, made[c.previous]) for c in carries):
        return None
    needs = {
        id(group): {
            id(other)
            for n in group.nodes
            for arg in (n, *n.args)
            if (other := made.get(arg, home.get(arg))) not in (None, group)
        }
        for group in waiting
    }
    while waiting:
        seen = {id(group) for group in done}
        ready = next((group for group in waiting if needs[id(group)] <= seen), None)
        if ready is None:
            return None
        waiting.remove(ready)
        done.append(ready)
    return tuple(done)


def _hears_itself(carry: Carry, group: Group) -> bool:
    """Whether the group that makes a state reads its past entry by entry."""
    readers = [n for n in group.nodes if carry.previous in n.args]
    return group.is_tile and all(n.op in LANE for n in readers)

"""What follows from a cell with shapes: its forward plan, and the plan of its gradients."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from elman.ir import Cell, Node, Plan, System, node, rebuild, topological
from elman.ir.check import holds
from elman.passes.joins import without_joins
from elman.passes.regroup import map_system, roots
from elman.passes.schedule import schedule
from elman.passes.system import system_of
from elman.passes.transpose import transpose, value_of


@dataclass(frozen=True)
class Derivation:
    """`forward` outputs every name of the cell and what `backward` wants to be given (`saved`)."""

    forward: Plan
    backward: Plan
    saved: tuple[str, ...]


@functools.lru_cache(maxsize=256)
def derive(cell: Cell, cotangents: tuple[str, ...]) -> Derivation:
    """The plans of `cell`, backward from the cotangents of the outputs named."""
    transposed = transpose(_apart(holds(system_of(cell, cotangents))), cotangents)
    system = _apart(system_of(cell, cell.outputs))
    known = {value.name for value in system.outputs}
    saved = tuple(value for value in transposed.saved if value.name not in known)
    system = System(system.name, system.carries, (*system.outputs, *saved), labels=system.labels)
    system = map_system(system, rebuild(roots(system), _as_value))
    return Derivation(
        holds(schedule(holds(system))),
        holds(schedule(holds(transposed.system))),
        tuple(v.name for v in transposed.saved),
    )


def _apart(system: System) -> System:
    """Each part of a join for itself, so that no value is kept both in it and outside of it.

    Only where a part has a name already: a slice of a value would be one more copy.
    """
    before = roots(system)
    moved = without_joins(before)
    new = [moved[n] for n in before]
    return system if _slices(new) - _slices(before) else map_system(system, moved)


def _slices(nodes: list[Node]) -> set[Node]:
    return {n for n in topological(nodes) if n.op == "slice" and n.args[0].op != "leaf"}


def _as_value(old: Node, args: tuple[Node, ...]) -> Node:
    return value_of(node(old.op, args, old.attr))


@functools.lru_cache(maxsize=256)
def forward_plan(cell: Cell, outputs: tuple[str, ...] | None = None) -> Plan:
    """The plan that computes only the outputs named (default: what the cell returns)."""
    return holds(schedule(holds(system_of(cell, outputs))))

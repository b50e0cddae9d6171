"""Arrange a system in stages: what is done once, once for a block of steps, or step by step."""

from __future__ import annotations

from collections.abc import Iterable

from elman.ir import Carry, Node, Plan, System, Value, topological
from elman.ir.node import substitute
from elman.ir.ops import POINTWISE
from elman.passes.regroup import reached, regroup
from elman.passes.transpose import is_outer

STAGES = ("invariant", "prologue", "scan", "epilogue", "totals", "final")
LOCAL = (*POINTWISE, "random")  # done where used, rather than kept for a later stage


def schedule(system: System) -> Plan:
    """The plan of `system`; `ir.plan` says what the stages mean."""
    system = regroup(system)
    values = _choose(system)
    held: dict[Node, Node] = {}
    arranged: dict[str, tuple[Value, ...]] = {}
    carries, labels = system.carries, system.labels
    for stage in STAGES:
        roots = [v.node for v in values[stage]]
        if stage == "scan":
            roots += [c.next for c in carries] + [v.node for v in labels]
        new = substitute(roots, held)
        arranged[stage] = tuple(Value(v.name, new[v.node]) for v in values[stage])
        if stage == "scan":
            carries = tuple(Carry(c.key, c.previous, new[c.next]) for c in carries)
            labels = tuple(Value(v.name, new[v.node]) for v in labels)
        held |= {v.node: w.leaf for v, w in zip(values[stage], arranged[stage], strict=True)}
    where = {v.node: v.name for stage in STAGES for v in values[stage]}
    outputs = tuple((v.name, where[v.node]) for v in system.outputs)
    return Plan(
        system.name, carries, **arranged, outputs=outputs, reverse=system.reverse, labels=labels
    )


def _choose(system: System) -> dict[str, tuple[Value, ...]]:
    """Which nodes are kept, and by which stage."""
    wanted = [v.node for v in system.outputs]
    nodes = topological([*(c.next for c in system.carries), *wanted])
    stage = _stages(system, nodes)
    users = _users(nodes)
    kept = dict.fromkeys(n for n in nodes if _crosses(n, users.get(n, []), stage))
    for n in nodes:
        if n.op == "total":
            kept |= dict.fromkeys(a for a in operands(n) if a.op not in ("leaf", "const"))
    kept |= dict.fromkeys(wanted)
    names = _names(system, kept)
    chosen: dict[str, list[Value]] = {name: [] for name in STAGES}
    for n in (n for n in nodes if n in kept):
        chosen[stage.get(n, "epilogue")].append(Value(names[n], n))
    return {name: tuple(values) for name, values in chosen.items()}


def _stages(system: System, nodes: list[Node]) -> dict[Node, str]:
    """The stage of every node; pointwise work without a state is done where used: it has none."""
    moves = reached(system)
    core = set(topological(c.next for c in system.carries))
    stage: dict[Node, str] = {}
    heavy: set[Node] = set()  # needs no state, and is worth leaving the loop
    for n in nodes:
        before = {stage.get(arg) for arg in n.args}
        if n.op in ("leaf", "const"):
            continue
        if n.op == "total":
            stage[n] = "totals"
        elif before & {"totals", "final"}:
            stage[n] = "final"
        elif n.over == "":
            stage[n] = "invariant"
        elif n in moves:
            late = n.op not in LOCAL or "epilogue" in before
            stage[n] = "epilogue" if n not in core and late else "scan"
        elif n.op not in LOCAL or any(arg in heavy for arg in n.args):
            heavy.add(n)
    in_loop = {n for n, s in stage.items() if s == "scan"}
    for n in reversed(nodes):
        if n in in_loop:
            for arg in n.args:
                if arg in heavy:
                    _put_under(arg, "prologue", stage)
    return stage


def _put_under(root: Node, name: str, stage: dict[Node, str]) -> None:
    for n in topological([root]):
        if n.op not in ("leaf", "const"):
            stage.setdefault(n, name)


def _users(nodes: Iterable[Node]) -> dict[Node, list[Node]]:
    """The nodes that read each node."""
    users: dict[Node, list[Node]] = {}
    for n in nodes:
        for arg in dict.fromkeys(n.args):
            users.setdefault(arg, []).append(n)
    return users


def _crosses(n: Node, users: list[Node], stage: dict[Node, str]) -> bool:
    """Whether a later stage reads `n`."""
    if n.op in ("leaf", "const") or n not in stage:
        return False
    if stage[n] == "totals":
        return True
    later = STAGES[STAGES.index(stage[n]) + 1 :]
    if users and all(user.op == "total" and operands(user) != (n,) for user in users):
        return False  # an outer product, summed without being formed
    if is_view(n) and all(_as_matrix(n, user) for user in users):
        return False
    return any(stage.get(user, "epilogue") in later for user in users)


def is_view(n: Node) -> bool:
    """A slice of a weight: a product reads it in place."""
    return n.op == "slice" and n.args[0].op == "leaf" and n.over == ""


def _as_matrix(n: Node, user: Node) -> bool:
    return user.op == "contract" and len(user.args) == 2 and user.args[0] is n


def operands(total: Node) -> tuple[Node, ...]:
    """What a total reads: both sides of an outer product, never formed; else its argument."""
    inner = total.args[0]
    return inner.args if is_outer(inner) and total.attr == "tb" else (inner,)


def _names(system: System, kept: Iterable[Node]) -> dict[Node, str]:
    names = {v.node: v.name for v in reversed((*system.outputs, *system.labels))}
    taken, equations = set(names.values()), _equations(system)
    for n in kept:
        if n not in names:  # z_in is what enters the equation of z
            base = f"{equations[n]}_in" if n in equations else "value"
            name = next(c for k in range(len(taken) + 2) if (c := f"{base}{k or ''}") not in taken)
            names[n] = name
            taken.add(name)
    return names


def _equations(system: System) -> dict[Node, str]:
    """Every node's equation: the first whose value it enters."""
    found: dict[Node, str] = {}
    for value in (*system.labels, *system.outputs):
        for n in topological([value.node]):
            found.setdefault(n, value.name)
    return found

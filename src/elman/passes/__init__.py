"""From a cell to plans: functions from value to value, in one visible list.

read -> shapes -> simplify -> schedule
               -> transpose -> backward
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from elman.ir import Cell, Equation, Node, Plan, Value, leaf, leaves, topological
from elman.ir.node import show, substitute
from elman.language import write_cell
from elman.passes.derive import derive, forward_plan
from elman.passes.regroup import regroup, roots
from elman.passes.shapes import infer_shapes
from elman.passes.system import system_of
from elman.passes.transpose import transpose

__all__ = ["STAGES", "derive", "forward_plan", "infer_shapes", "show_stage", "transpose"]


def _show_read(cell: Cell) -> str:
    return write_cell(cell)


def _show_shapes(cell: Cell) -> str:
    typed = infer_shapes(cell).cell
    names = {n.attr.key: n.shape for n in typed.leaves} | {
        e.name: e.value.shape for e in typed.equations
    }
    lines = [f"{name}: {', '.join(shape or ()) or 'scalar'}" for name, shape in names.items()]
    return "\n".join([*lines, "", *(f"{e.name} = {show(e.value)}" for e in typed.equations)])


Named = tuple[str, Node]


def _show_equations(named: Iterable[Named]) -> str:
    """Equations in the language, each name once, in an order in which they can be computed."""
    once = dict(reversed(list(named)))
    place = {n: k for k, n in enumerate(topological(once.values()))}
    order = [
        Equation(name, value, bool(value.over))
        for name, value in sorted(once.items(), key=lambda pair: place[pair[1]])
    ]
    steps = [equation.name for equation in order if equation.per_step]
    return write_cell(Cell(tuple(order), tuple(steps[-1:]))).rstrip("\n")


def _show_simplify(cell: Cell) -> str:
    system = regroup(system_of(infer_shapes(cell).cell))
    return _show_equations((v.name, v.node) for v in (*system.labels, *system.outputs))


def _show_schedule(cell: Cell) -> str:
    return _show_plan(forward_plan(infer_shapes(cell).cell), {})


def _show_plan(plan: Plan, shown: dict[Node, Node]) -> str:
    lines: list[str] = []
    prefix = "back_" if plan.reverse else ""
    for stage, values in plan.stages():
        named = [(v.name, v.node) for v in values]
        if stage == "scan":
            named += [(v.name, v.node) for v in plan.labels]
            named += [(prefix + c.key, c.next) for c in plan.carries]
        if named:
            new = substitute((n for _, n in named), shown)
            text = _show_equations((name, new[n]) for name, n in named)
            lines += [f"{stage}:", *(f"  {line}" for line in text.splitlines())]
    return "\n".join(lines)


def _show_transpose(cell: Cell) -> str:
    typed = infer_shapes(cell).cell
    found = transpose(system_of(typed), typed.returns)
    system = regroup(found.system)
    shown = _for_people(roots(system), typed.returns)
    new = substitute(roots(system), shown)
    named = [(v.name, new[v.node]) for v in (*system.labels, *system.outputs)]
    named += [(f"back_{c.key}", new[c.next]) for c in system.carries]
    return f"{_legend(typed, found.saved)}\n{_show_equations(named)}"


def _show_backward(cell: Cell) -> str:
    typed = infer_shapes(cell).cell
    found = derive(typed, typed.returns)
    values = [v.node for _, stage in found.backward.stages() for v in stage]
    values += [v.node for v in found.backward.labels] + [c.next for c in found.backward.carries]
    return _show_plan(found.backward, _for_people(values, typed.returns))


def _legend(cell: Cell, saved: tuple[Value, ...]) -> str:
    names = ", ".join(f"g_{name}" for name in cell.returns)
    kept = ", ".join(value.name for value in saved) or "nothing"
    return (
        f"# {names}: from the loss; back_: from the step behind; kept from the forward step: {kept}"
    )


def _for_people(nodes: list[Node], returns: tuple[str, ...]) -> dict[Node, Node]:
    """How a backward step's leaves are shown: g_h from the loss, back_h[t+1] from behind."""
    shown: dict[Node, Node] = {}
    for n in leaves(nodes):
        name, role, over, shape = n.attr.name, n.attr.role, n.over, n.shape
        if role == "given" and name.endswith("[t-1]"):
            shown[n] = leaf(name.removesuffix("[t-1]"), "state", over, 1, shape)
        elif role == "given" and name.removeprefix("d_") in returns and name.startswith("d_"):
            shown[n] = leaf(f"g_{name.removeprefix('d_')}", "given", over, 0, shape)
        elif role == "state" and name.startswith("d_"):
            shown[n] = leaf(f"back_{name.removeprefix('d_')}", "state", over, -1, shape)
    return shown


STAGES: dict[str, Callable[[Cell], str]] = {
    "read": _show_read,
    "shapes": _show_shapes,
    "simplify": _show_simplify,
    "schedule": _show_schedule,
    "transpose": _show_transpose,
    "backward": _show_backward,
}


def show_stage(cell: Cell, name: str) -> str:
    """The text of a cell after the stage named."""
    return STAGES[name](cell)

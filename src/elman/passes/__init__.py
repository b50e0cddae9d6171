"""From a cell to plans: functions from value to value, in one visible list.

read -> shapes -> simplify -> schedule
               -> transpose -> backward
"""

from __future__ import annotations

from collections.abc import Callable

from elman.ir import Cell, Plan, System
from elman.ir.node import show
from elman.language import write_cell
from elman.passes.derive import derive, forward_plan
from elman.passes.regroup import regroup
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


def _show_system(system: System) -> str:
    lines = [f"state {c.key} <- {show(c.next)}" for c in system.carries]
    return "\n".join(lines + [f"{v.name} = {show(v.node)}" for v in system.outputs])


def _show_simplify(cell: Cell) -> str:
    return _show_system(regroup(system_of(infer_shapes(cell).cell)))


def _show_plan(plan: Plan) -> str:
    lines: list[str] = []
    for stage, values in plan.stages():
        lines += [f"{stage}:"] if values else []
        lines += [f"  {v.name} = {show(v.node)}" for v in values]
        if stage == "scan":
            lines += [f"  state {c.key} <- {show(c.next)}" for c in plan.carries]
    return "\n".join(lines)


def _show_schedule(cell: Cell) -> str:
    return _show_plan(forward_plan(infer_shapes(cell).cell))


def _show_transpose(cell: Cell) -> str:
    typed = infer_shapes(cell).cell
    found = transpose(system_of(typed), typed.returns)
    saved = ", ".join(value.name for value in found.saved)
    return f"given: {saved}\n{_show_system(found.system)}"


def _show_backward(cell: Cell) -> str:
    typed = infer_shapes(cell).cell
    return _show_plan(derive(typed, typed.returns).backward)


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

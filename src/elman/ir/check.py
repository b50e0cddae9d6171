"""The IR's law: what must hold after every pass (in tests, and under ELMAN_DEBUG=1)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from elman.ir.cell import Cell
from elman.ir.node import Node, topological
from elman.ir.ops import ARITY, PRIMITIVES, SURFACE
from elman.ir.plan import Plan, System


def check_nodes(roots: Iterable[Node], typed: bool) -> None:
    """Every op is known, has its number of arguments, and after the shapes pass a shape."""
    known = set(PRIMITIVES) if typed else {*PRIMITIVES, *SURFACE}
    for node in topological(roots):
        assert node.op in known, f"unknown op {node.op}"
        if node.op in ARITY:
            assert len(node.args) == ARITY[node.op], f"{node.op} has {len(node.args)} arguments"
        if typed:
            assert node.shape is not None, f"no shape: {node}"


def check_cell(cell: Cell, typed: bool) -> None:
    """Names are unique, every returned name has an equation, every state's name a value."""
    names = [equation.name for equation in cell.equations]
    assert len(names) == len(set(names)), f"two equations with one name: {names}"
    assert set(cell.returns) <= set(cell.outputs), f"returns {cell.returns} of {cell.outputs}"
    check_nodes(cell.roots, typed)
    for equation in cell.equations:
        if not equation.per_step:
            assert equation.value.over == "", f"{equation.name} varies over {equation.value.over}"
    for key, value in cell.initial:
        assert "t" not in value.over, f"{key} before the first step reads a step: {value}"
        if typed:
            assert value.shape == cell.state_shape(key), f"{key} starts with another shape"


def check_system(system: System) -> None:
    """A carry keeps its shape; its leaf is not shared with another carry."""
    check_nodes([*(c.next for c in system.carries), *(v.node for v in system.outputs)], typed=True)
    previous = [carry.previous for carry in system.carries]
    assert len(previous) == len(set(previous)), "two carries share a leaf"
    for carry in system.carries:
        assert carry.previous.shape == carry.next.shape, f"carry {carry.key} changes its shape"


def check_plan(plan: Plan) -> None:
    """A stage reads only what earlier stages hold; totals stand in their stage alone."""
    own = {carry.previous for carry in plan.carries}
    held: set[Node] = set()
    for stage, values in plan.stages():
        roots = [value.node for value in values]
        if stage == "scan":
            roots += [carry.next for carry in plan.carries]
        check_nodes(roots, typed=True)
        for node in topological(roots):
            if node.op == "leaf" and node.attr.role == "value":
                assert node in held, f"{stage} reads {node} before it is held"
            if node in own:
                assert stage in ("scan", "epilogue", "totals"), f"{stage} reads the state {node}"
            if node.op == "total":
                assert stage == "totals", f"a total in {stage}"
        held |= {value.leaf for value in values}
    names = {value.name for _, values in plan.stages() for value in values}
    for public, name in plan.outputs:
        assert name in names or any(c.key == name for c in plan.carries), f"no value for {public}"


Checked = TypeVar("Checked", Cell, System, Plan)
CHECKS: dict[type, Callable[[Any], None]] = {
    Cell: lambda cell: check_cell(cell, typed=True),
    System: check_system,
    Plan: check_plan,
}


def holds(value: Checked) -> Checked:
    """The value itself; under ELMAN_DEBUG=1 an AssertionError where it breaks the law."""
    if os.environ.get("ELMAN_DEBUG"):
        CHECKS[type(value)](value)
    return value

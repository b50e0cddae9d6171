"""A cell as plain data that JSON holds, and back: every node once, its arguments by their place."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeAlias

from elman.ir.cell import Cell, Equation
from elman.ir.node import Leaf, Node, leaf, node, topological

Data: TypeAlias = dict[str, Any]


def to_data(cell: Cell) -> Data:
    """The cell as lists, strings and numbers.

    >>> x = leaf("x", "input", shape=("input",))
    >>> cell = Cell((Equation("h", node("tanh", (x,))),), ("h",))
    >>> to_data(cell)["nodes"]
    [['leaf', [], ['x', 'input', 'tb', 0, ['input']]], ['tanh', [0], None]]
    >>> from_data(to_data(cell)) == cell
    True
    """
    order = topological(cell.roots)
    place = {n: k for k, n in enumerate(order)}
    return {
        "nodes": [[n.op, [place[arg] for arg in n.args], _written(n.attr)] for n in order],
        "equations": [[e.name, place[e.value], e.per_step] for e in cell.equations],
        "initial": [[key, place[value]] for key, value in cell.initial],
        **{name: _written(getattr(cell, name)) for name in PLAIN},
    }


# what holds no node
PLAIN = tuple(f.name for f in fields(Cell) if f.name not in ("equations", "initial"))


def from_data(data: Data) -> Cell:
    """The inverse of `to_data`."""
    nodes: list[Node] = []
    for op, args, attr in data["nodes"]:
        if op == "leaf":
            name, role, over, lag, shape = attr
            nodes.append(leaf(name, role, over, lag, _read(shape)))
        else:
            nodes.append(node(op, [nodes[k] for k in args], _read(attr)))
    return Cell(
        tuple(Equation(name, nodes[k], per_step) for name, k, per_step in data["equations"]),
        initial=tuple((key, nodes[k]) for key, k in data["initial"]),
        **{name: _read(data[name]) for name in PLAIN},
    )


def _written(value: Any) -> Any:
    if isinstance(value, Leaf):
        return [value.name, value.role, value.over, value.lag, _written(value.shape)]
    return [_written(each) for each in value] if isinstance(value, tuple) else value


def _read(value: Any) -> Any:
    return tuple(_read(each) for each in value) if isinstance(value, list) else value

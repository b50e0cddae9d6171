"""What a cell is, as pure data: nodes, the table of primitives, cells and plans."""

from elman.ir import ops as ops
from elman.ir.cell import Cell, Equation
from elman.ir.node import Leaf, Node, Shape, const, leaf, leaves, node, rebuild, topological
from elman.ir.plan import Carry, Plan, System, Value

__all__ = [
    "Carry",
    "Cell",
    "Equation",
    "Leaf",
    "Node",
    "Plan",
    "Shape",
    "System",
    "Value",
    "const",
    "leaf",
    "leaves",
    "node",
    "rebuild",
    "topological",
]

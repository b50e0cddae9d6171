"""What stands before the first step: learned initial states, and weights that are never learned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from elman.ir import Cell, Equation, Node, leaf, node, rebuild
from elman.passes.randomness import exchange


def initial_cell(cell: Cell, given: Collection[str] = ()) -> Cell | None:
    """The cell of one step, without a state, that computes the initial states not given.

    >>> h, h0 = leaf("h", "state", lag=1, shape=("n",)), leaf("h0", "parameter", "", shape=("n",))
    >>> initial_cell(Cell((Equation("h", h),), ("h",), initial=(("h", h0),))).outputs
    ('h',)
    """
    wanted = {key: value for key, value in cell.initial if key not in given}
    if not wanted:
        return None
    equations = tuple(Equation(key, value) for key, value in wanted.items())
    return replace(cell, equations=equations, returns=tuple(wanted), initial=())


def without_gradient(cell: Cell) -> Cell:
    """The cell with its frozen parameters as constants, which no gradient reaches."""
    if not cell.frozen:
        return cell

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op == "leaf" and old.attr.role == "parameter" and old.attr.name in cell.frozen:
            return leaf(old.attr.name, "constant", old.over, 0, old.shape)
        return node(old.op, args, old.attr)

    return exchange(cell, rebuild(cell.roots, change))

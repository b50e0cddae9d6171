"""Numbers at which a cell's derivative hangs by a rounding, and others in their place.

relu has the derivative 0 on one side of 0 and 1 on the other. Where an argument is 0 but for its
rounding, right results part by a whole gradient, so such numbers can tell nothing about a peer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from elman.backends import interpret
from elman.bench.case import Array, Arrays, Case, Given
from elman.bench.reference import QUICK, placed
from elman.cell import Cell
from elman.ir import Node, topological
from elman.passes.randomness import evaluation

ONE = ("relu", "abs", "sign")  # a corner or a step where the argument is 0
TWO = ("maximum", "minimum", "less", "equal")  # where both arguments are the same
NEAR = 32  # roundings of the largest argument: what a long sum may be off by


def has_corners(cell: Cell) -> bool:
    """Whether some function of the cell has a corner or a step."""
    typed = evaluation(cell.typed.cell)
    nodes = topological(equation.value for equation in typed.equations)
    return not typed.initial and any(n.op in (*ONE, *TWO) for n in nodes)


def near_corners(case: Case, cell: Cell, given: Given) -> Array:
    """Which sequences, (B,), have a value that lies on no certain side of a corner."""
    found = np.zeros(case.batch, bool)

    def watched(n: Node, args: list[Array], sizes: Mapping[str, int]) -> Array:
        gap = args[0] if n.op in ONE else args[0] - args[1]
        largest = max(float(np.max(np.abs(arg), initial=0.0)) for arg in args)
        bound = NEAR * np.finfo(case.dtype).eps * largest
        near = (gap != 0) & (np.abs(gap) <= bound)  # what is 0 exactly is so in every type
        if near.ndim > 1 and near.shape[1] == case.batch:
            found[:] |= near.any(axis=(0, *range(2, near.ndim)))
        else:
            found[:] |= near.any()
        return np.asarray(QUICK.apply[n.op](n, args, sizes))

    ops = replace(QUICK, apply={**QUICK.apply, **dict.fromkeys((*ONE, *TWO), watched)})
    with np.errstate(all="ignore"):
        typed, arrays, state = placed(case, cell, given)
        interpret.forward(typed, arrays, state, ops, case.sizes, case.steps, cell.returns)
    return found


def replaced(cell: Cell, given: Given, other: Given, sequences: Sequence[bool] | Array) -> Given:
    """The numbers with the inputs of some sequences taken from others."""
    which = np.asarray(sequences, bool)
    inputs: Arrays = {}
    for name, array in given.inputs.items():
        over = cell.typed.over[name]
        if "b" in over:
            axis = over.index("b")
            shape = tuple(-1 if k == axis else 1 for k in range(array.ndim))
            inputs[name] = np.where(which.reshape(shape), other.inputs[name], array)
        else:
            inputs[name] = other.inputs[name] if which.any() else array
    return replace(given, inputs=inputs)

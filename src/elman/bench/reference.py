"""What is right: the cell's outputs and gradients in float64, plain and without a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from elman import ir
from elman.backends import interpret
from elman.backends.numpy_ import NUMPY
from elman.bench.case import Array, Arrays, Case, Given
from elman.cell import Cell
from elman.ir.sizes import number
from elman.passes.randomness import evaluation

Sizes = Mapping[str, int]


def reference(case: Case, cell: Cell, given: Given) -> Arrays:
    """Outputs by name, and in training `d_x`, `d_W` and so on, in float64; NaN where undefined."""
    with np.errstate(all="ignore"):
        return _reference(case, cell, given)


def _reference(case: Case, cell: Cell, given: Given) -> Arrays:
    if evaluation(cell.typed.cell).initial:
        return _by_the_cell(case, cell, given)
    run = placed(case, cell, given)
    outputs, _ = interpret.forward(*run, QUICK, case.sizes, case.steps, cell.returns)
    lead = case.steps, case.batch
    found = {name: np.broadcast_to(a, lead + a.shape[2:]) for name, a in outputs.items()}
    if not case.is_training:
        return found
    last = {key: np.zeros_like(a) for key, a in run[2].items()}
    above = {name: a.astype(np.float64) for name, a in given.cotangents.items()}
    gradients, _ = interpret.gradients(*run, above, last, QUICK, case.sizes, case.steps)
    return found | _of_what_is_learned(cell, gradients)


def placed(case: Case, cell: Cell, given: Given) -> tuple[ir.Cell, Arrays, Arrays]:
    """What runs, its arrays in float64 with axes of time and batch, and states that are zero."""
    typed = evaluation(cell.typed.cell)
    arrays = {**given.inputs, **given.weights, **given.constants}
    spread = {
        name: interpret.expand(n.over, arrays[name].astype(np.float64))
        for name, n in _leaves(cell).items()
    }
    state = {
        key: np.zeros((1, case.batch, *(number(s, case.sizes) for s in cell.typed.shape(key))))
        for key in cell.states
    }
    return typed, spread, state


def _leaves(cell: Cell) -> dict[str, ir.Node]:
    typed = evaluation(cell.typed.cell)
    return {n.attr.name: n for n in typed.leaves if n.attr.role in interpret.USER}


def _of_what_is_learned(cell: Cell, gradients: Arrays) -> Arrays:
    """The gradients of inputs and weights without the axes over which these do not vary."""
    found, leaves = {}, _leaves(cell)
    for name in learned(cell):
        axes = tuple(k for k, axis in enumerate("tb") if axis not in leaves[name].over)
        found[f"d_{name}"] = gradients[f"d_{name}"].squeeze(axes)
    return found


def learned(cell: Cell) -> list[str]:
    """The inputs and weights whose gradients training asks for."""
    return [name for name in (*cell.inputs, *cell.parameters) if name not in cell.frozen]


def _by_the_cell(case: Case, cell: Cell, given: Given) -> Arrays:
    """Through the public face, where states do not begin as zeros."""
    arrays: Any = (given.inputs, given.weights)
    more: Any = {"sizes": case.sizes, "backend": "numpy", "dtype": np.float64}
    run = cell.run(*arrays, **more)
    found = {name: run[name] for name in cell.returns}
    if case.is_training:
        gradients = cell.gradients(*arrays, cotangents=given.cotangents, **more)
        found |= {f"d_{name}": gradients[name] for name in learned(cell)}
    return found


def _contract(n: ir.Node, args: list[Array], sizes: Sizes) -> Array:
    """Matrix products through BLAS, which einsum does not ask."""
    if n.attr in ("ij,j->i", "ij,i->j") and args[0].shape[:2] == (1, 1):
        matrix = args[0][0, 0]
        return np.asarray(args[1] @ (matrix.T if n.attr == "ij,j->i" else matrix))
    return np.asarray(NUMPY.apply["contract"](n, args, sizes))


QUICK = replace(NUMPY, apply={**NUMPY.apply, "contract": _contract})


def tolerance(case: Case) -> float:
    """How far right results may part: some roundings for every step and every term of a sum.

    Relative to the largest value of an array. A weight's gradient has a term for each step and
    sequence, whose errors are of either sign.
    """
    terms = case.steps + max([16, *case.sizes.values()]) + (case.steps * case.batch) ** 0.5
    return float(4 * np.finfo(case.dtype).eps * terms)


def furthest(found: Mapping[str, Array], expected: Mapping[str, Array]) -> tuple[str, float]:
    """The array that parts most, and how far relative to its largest value."""
    worst = "", 0.0
    for name, right in expected.items():
        array = found.get(name)
        if array is None or array.shape != right.shape:
            return name, float("inf")
        most = float(np.max(np.abs(array - right), initial=0.0))
        scale = float(np.max(np.abs(right), initial=0.0))
        scale = max(scale, 1.0) if right.size < 8 or not scale else scale
        far = most / scale if np.isfinite(most) else float("inf")
        worst = max(worst, (name, far), key=lambda pair: pair[1])
    return worst

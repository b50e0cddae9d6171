"""What lengths and resets mean, the slow and obvious way: each sequence alone, cut where it begins.

A piece is run with the float64 reference as a batch of one, on its own steps only. Nothing of the
pass, of padding or of a mask is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.cell import Cell
from tests.backends.table import Arrays, Data

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Piece:
    """Steps of one sequence that follow each other; a fresh one begins with no state given."""

    row: int
    start: int
    stop: int
    is_fresh: bool
    is_last: bool


def pieces(lengths: Array, reset: Array) -> Iterator[Piece]:
    """The pieces of all sequences, in order; of an empty sequence none."""
    for row, length in enumerate(lengths):
        begins = [t for t in range(length) if reset[t, row] or t == 0]
        for start, stop in zip(begins, [*begins[1:], length], strict=False):
            fresh = bool(reset[start, row])
            yield Piece(row, start, stop, fresh, stop == length)


def part(cell: Cell, arrays: Arrays, piece: Piece) -> Arrays:
    """What a piece sees of arrays by name: its steps and its row."""
    steps, row = slice(piece.start, piece.stop), slice(piece.row, piece.row + 1)
    found = {}
    for name, a in arrays.items():
        over = cell.typed.over.get(name, "tb")
        found[name] = a[tuple({"t": steps, "b": row}[axis] for axis in over)]
    return found


def row_of(arrays: Arrays, piece: Piece) -> Arrays:
    return {key: a[piece.row : piece.row + 1] for key, a in arrays.items()}


@dataclass
class Alone:
    """Values, final states and gradients of all sequences, each on its own."""

    values: Arrays
    final: Arrays
    gradients: Arrays


def alone(cell: Cell, given: Data, lengths: Array, reset: Array) -> Alone:
    """Every sequence run alone, put together again."""
    names = {key: f"{key}[t-1]" if key in cell.inputs else key for key in cell.states}
    learned = [n for n in (*cell.inputs, *cell.parameters) if n not in cell.frozen]
    found = Alone(
        {name: np.zeros_like(a) for name, a in given.cotangents.items()},
        {key: a.copy() for key, a in given.state.items()},
        {n: np.zeros_like({**given.inputs, **given.weights}[n]) for n in learned},
    )
    found.gradients |= {name: given.final[key].copy() for key, name in names.items()}
    for piece in pieces(lengths, reset):
        _add(cell, given, piece, found, names)
    return found


def _add(cell: Cell, given: Data, piece: Piece, found: Alone, names: dict[str, str]) -> None:
    steps = slice(piece.start, piece.stop)
    state = {} if piece.is_fresh or piece.start else row_of(given.state, piece)
    final = row_of(given.final, piece) if piece.is_last else {}
    cotangents = {n: a[steps, piece.row, None] for n, a in given.cotangents.items()}
    own = replace(given, inputs=part(cell, given.inputs, piece), state=state, final=final)
    call: dict[str, Any] = {"sizes": given.sizes, "backend": "numpy", "dtype": "float64"}
    if not cell.inputs:
        call["steps"] = piece.stop - piece.start
    run = cell.run(own.inputs, own.weights, own.state, **call)
    for name, a in run.values.items():
        found.values[name][steps, piece.row] = a.reshape(cotangents[name].shape)[:, 0]
    if piece.is_last:
        for key, a in run.final.items():
            found.final[key][piece.row : piece.row + 1] = a
    gradients = cell.gradients(
        own.inputs, own.weights, own.state, cotangents=cotangents, final=final, **call
    )
    for name in set(gradients) - set(names.values()):
        whole = found.gradients[name]
        if name in cell.inputs:
            whole = part(cell, {name: whole}, piece)[name]  # a view
        whole += gradients[name].reshape(whole.shape)
    if piece.start == 0:
        for name in names.values():
            row = found.gradients[name][piece.row : piece.row + 1]
            row[...] = 0 if piece.is_fresh else gradients[name]


def padded(cell: Cell, given: Data, lengths: Array, padding: float) -> Data:
    """The same with what is behind the lengths replaced: nothing may depend on it."""
    steps = max(a.shape[0] for a in given.cotangents.values())
    within = np.arange(steps)[:, None] < lengths
    masks = {"tb": within, "t": within.any(axis=1), "b": within.any(axis=0)}

    def fill(name: str, a: Array) -> Array:
        mask = masks[cell.typed.over.get(name, "tb")]
        return np.where(mask.reshape(*mask.shape, *[1] * (a.ndim - mask.ndim)), a, padding)

    return replace(
        given,
        inputs={n: fill(n, a) for n, a in given.inputs.items()},
        cotangents={n: fill("", a) for n, a in given.cotangents.items()},
    )

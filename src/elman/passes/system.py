"""From a cell with shapes to one step as a system: its states, delays included, and its outputs."""

from __future__ import annotations

from collections.abc import Iterable

from elman.ir import Carry, Cell, Node, System, Value, leaf
from elman.passes.initial import without_gradient
from elman.passes.randomness import evaluation


def system_of(cell: Cell, outputs: Iterable[str] | None = None) -> System:
    """One step of `cell`, computing the outputs named (default: what the cell returns).

    `h[t-3]` is three carries, each handing its value to the next. A stream that no pass has drawn
    is its mean.
    """
    cell = without_gradient(evaluation(cell))
    values = {e.name: e.value for e in cell.steps}
    wanted = cell.returns if outputs is None else tuple(outputs)
    labels = tuple(Value(e.name, e.value) for e in cell.equations)
    named = tuple(Value(n, values[n]) for n in wanted)
    return System(cell.name, carries_of(cell), named, labels=labels)


def carries_of(cell: Cell) -> tuple[Carry, ...]:
    """Every state of `cell`, and what it becomes, as its equations say it."""
    values = {e.name: e.value for e in cell.steps}
    inputs = {n.attr.name: n for n in cell.leaves if n.attr.role == "input"}
    lags: dict[str, Node] = {}
    for n in cell.leaves:
        if n.attr.role == "state" and n.attr.lag >= lags.get(n.attr.name, n).attr.lag:
            lags[n.attr.name] = n
    carries = []
    for name, deepest in lags.items():
        source = values[name] if name in values else inputs[name]
        for lag in range(1, deepest.attr.lag + 1):
            previous = leaf(name, "state", deepest.attr.over, lag, deepest.shape)
            carries.append(Carry(previous.attr.key, previous, source))
            source = previous
    return tuple(carries)

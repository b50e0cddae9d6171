"""From a cell with shapes to one step as a system: its states, delays included, and its outputs."""

from __future__ import annotations

from collections.abc import Iterable

from elman.ir import Carry, Cell, Node, System, Value, leaf


def system_of(cell: Cell, outputs: Iterable[str] | None = None) -> System:
    """One step of `cell`, computing the outputs named (default: what the cell returns).

    `h[t-3]` is three carries, each handing its value to the next.
    """
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
    wanted = cell.returns if outputs is None else tuple(outputs)
    labels = tuple(Value(e.name, e.value) for e in cell.equations)
    return System(
        cell.name, tuple(carries), tuple(Value(n, values[n]) for n in wanted), labels=labels
    )

"""Sequences that end before the last step, and that begin anew: a cell with `where` on its states.

Behind its length a sequence stands still: its states stay what they are, and all it outputs is 0.
Where it begins anew its states are put back behind the step before, which no product waits for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from elman.ir import Cell, Equation, Node, const, leaf, node, rebuild
from elman.ir.check import holds
from elman.passes.system import carries_of

# 1 where a step is within its sequence's length, else 0. An input of every step alone is masked
# where no sequence is that long, one of every sequence alone where the sequence has no step.
WITHIN = {
    "tb": leaf("step within length", "constant", "tb", shape=()),
    "t": leaf("step within longest", "constant", "t", shape=()),
    "b": leaf("sequence with a step", "constant", "b", shape=()),
}
ANEW = leaf("begins anew", "constant", "tb", shape=())  # 1 where the next step starts a sequence
MASKS = (*(n.attr.name for n in WITHIN.values()), ANEW.attr.name)  # no name of a user's has a space

# Of these an argument of 0 may be infinite: behind a length they take one that is not.
SHELTERED = {"div": (1, 1.0), "log": (0, 1.0), "sqrt": (0, 1.0), "pow": (0, 1.0), "exp": (0, 0.0)}


def shown(name: str) -> str:
    """The equation of a masked cell that holds what the user sees of a value."""
    return f"{name} out"


@functools.lru_cache(maxsize=256)
def masked(cell: Cell, named: tuple[str, ...], *, lengths: bool, resets: bool) -> Cell:
    """The cell that reads the streams of MASKS too; it shows what it returns, and the values named.

    >>> h, x = leaf("h", "state", lag=1, shape=("n",)), leaf("x", "input", shape=("n",))
    >>> cell = Cell((Equation("h", node("mul", (h, x))),), ("h",))
    >>> masked(cell, (), lengths=False, resets=True).value("h")
    where(begins anew, 0, mul(h[t-1], x))
    """
    change = _behind_nothing if lengths else _by_key
    new = rebuild((e.value for e in cell.equations), change)
    carried = dict(_carried(cell, new, lengths, resets))
    outputs = [(shown(n), new[cell.value(n)]) for n in dict.fromkeys((*cell.returns, *named))]
    if lengths:
        outputs = [(name, node("where", (WITHIN["tb"], n, const(0)))) for name, n in outputs]
    others = [(e.name, new[e.value], e.per_step) for e in cell.equations if e.name not in carried]
    steps = [(name, n, True) for name, n in (*carried.items(), *outputs)]
    equations = tuple(Equation(*each) for each in (*others, *steps))
    return holds(replace(cell, equations=equations, returns=tuple(map(shown, cell.returns))))


def _carried(
    cell: Cell, new: dict[Node, Node], lengths: bool, resets: bool
) -> Iterator[tuple[str, Node]]:
    """Every state's key, and what it becomes: each delay is a state of its own."""
    starts = dict(cell.initial)
    for carry in carries_of(cell):
        # the stream itself: the choice below masks it
        value = _by_key(carry.next, ()) if carry.next.op == "leaf" else new[carry.next]
        if resets:
            value = node("where", (ANEW, starts.get(carry.key, const(0)), value))
        if lengths:
            value = node("where", (WITHIN["tb"], value, _by_key(carry.previous, ())))
        yield carry.key, value


def _by_key(old: Node, args: tuple[Node, ...]) -> Node:
    """A node on new arguments; `h[t-3]` as the state of that name."""
    if old.op == "leaf" and old.attr.role == "state":
        return leaf(old.attr.key, "state", old.over, 1, old.shape)
    return node(old.op, args, old.attr)


def _behind_nothing(old: Node, args: tuple[Node, ...]) -> Node:
    """A node on new arguments, finite behind a length whatever the padding holds.

    Nothing else would do: in a gradient, 0 times what is infinite is NaN.
    """
    if old.op == "leaf" and old.attr.role == "input":
        return node("where", (WITHIN[old.over], old, const(0)))
    if old.op in SHELTERED:
        place, harmless = SHELTERED[old.op]
        arg = args[place]
        if arg.over:
            chosen = node("where", (WITHIN[arg.over], arg, const(harmless)))
            args = (*args[:place], chosen, *args[place + 1 :])
    return _by_key(old, args)

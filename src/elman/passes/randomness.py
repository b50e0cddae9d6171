"""What a cell's random streams are: in evaluation their mean, in training the op `random`.

A stream is a leaf of the role "random", uniform in [0, 1); what an equation reads of it is
`less(leaf, p)`, which is 1 with probability p.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from elman.ir import Cell, Equation, Node, const, leaf, node, rebuild, topological
from elman.ir.ops import POINTWISE
from elman.passes.ranks import partners
from elman.passes.simplify import rewrite

# The words that a draw is a function of, as arrays that stand beside the cell's own. No name of
# the user's has a space in it.
SEED = leaf("random seed", "constant", "", shape=())
ROW = leaf("random row", "constant", "b", shape=())  # the number of each sequence of the batch
STEP = leaf("random step", "constant", "t", shape=())  # steps taken before each one
WORDS = (SEED.attr.name, ROW.attr.name, STEP.attr.name)
STEPS_TAKEN = "t"  # the key under which a state remembers them


def streams(cell: Cell) -> tuple[str, ...]:
    """The names of what is drawn.

    >>> u, x = leaf("m", "random", shape=("input",)), leaf("x", "input", shape=("input",))
    >>> streams(Cell((Equation("h", node("mul", (node("less", (u, const(0.5))), x))),), ("h",)))
    ('m',)
    """
    return cell.names("random")


def counts_steps(cell: Cell) -> bool:
    """Whether a stream is drawn anew at each step."""
    return any(n.attr.role == "random" and "t" in n.over for n in cell.leaves)


@functools.lru_cache(maxsize=256)
def evaluation(cell: Cell) -> Cell:
    """The cell with the mean of every stream in its place: p where it is 1 with probability p.

    A mean is one number for all entries: it stays one through everything elementwise, and leaves
    products, so that it costs nothing.
    """
    if not streams(cell):
        return cell

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        mean = _mean(old, args)
        if mean is not None:
            return mean
        if old.op not in POINTWISE:
            args = tuple(_as_wide(a, was) for a, was in zip(args, old.args, strict=True))
        return _scaled(old.op, args, old.attr)

    new = rebuild(cell.roots, change)
    return exchange(cell, {old: _as_wide(new[old], old) for old in cell.roots})


@functools.lru_cache(maxsize=256)
def training(cell: Cell) -> Cell:
    """The cell with every stream drawn: a function of the arrays that WORDS names."""
    return exchange(cell, rebuild(cell.roots, drawn)) if streams(cell) else cell


def drawn(old: Node, args: tuple[Node, ...]) -> Node:
    """A node on new arguments; a stream as the op that draws it."""
    if old.op == "leaf" and old.attr.role == "random":
        row, step = (word if word.over in old.over else const(0) for word in (ROW, STEP))
        return node("random", (SEED, row, step), (old.attr.name, old.shape))
    if _is_reading(old) and args[1].op == "const":
        # a draw is k / 2^24: below p exactly where below this, which float32 holds too
        return node("less", (args[0], const(-(-args[1].attr * 2**24 // 1) / 2**24)))
    return node(old.op, args, old.attr)


def averaged(old: Node, args: tuple[Node, ...]) -> Node:
    """A node on new arguments; what is read of a stream as its mean, in full shape."""
    mean = _mean(old, args)
    return node(old.op, args, old.attr) if mean is None else _as_wide(mean, old)


def _mean(old: Node, args: tuple[Node, ...]) -> Node | None:
    """The mean of a mask `m`, of `m / p`, which is 1, and of `where(m, a, b)`: p*a + (1-p)*b."""
    if old.op == "div" and _is_reading(old.args[0]) and old.args[0].args[1] is old.args[1]:
        return const(1)
    if old.op == "where" and _chance(old.args[0]) is not None:
        chance, a, b = args
        pair = (rewrite(node("mul", (c, value))) for c, value in ((chance, a), (_rest(chance), b)))
        return node("add", pair)
    return _chance(old)


def _chance(n: Node) -> Node | None:
    """How likely a node is 1 that is 1 or 0 as a mask says: `m`, `1 - m`, `m == 0`, `m > 0`."""
    if _is_reading(n):
        return n.args[1]
    if n.op not in ("less", "equal", "sub"):
        return None
    left, right = n.args
    mask, number = (right, left) if left.op == "const" else (left, right)
    chance = _chance(mask) if number.op == "const" else None
    if chance is None:
        return None
    value, below = number.attr, left is number  # number < mask
    if (n.op, value) == ("equal", 1) or (n.op == "less" and below and 0 <= value < 1):
        return chance
    if (n.op, value) == ("equal", 0) or (n.op == "less" and not below and 0 < value <= 1):
        return _rest(chance)
    return _rest(chance) if n.op == "sub" and below and value == 1 else None


def _rest(chance: Node) -> Node:
    if chance.op == "const":
        return const(1 - chance.attr)
    return node("sub", (const(1), chance))


def _scaled(op: str, args: tuple[Node, ...], attr: Any) -> Node:
    """`U @ (p * h)` as `p * (U @ h)`: the product then waits for nothing of its own step."""
    factors: list[Node] = []
    if op == "contract":
        args = tuple(_factored(arg, factors) for arg in args)
    made = rewrite(node(op, args, attr))
    for factor in factors:
        made = rewrite(node("mul", (factor, made)))
    return made


def _factored(n: Node, factors: list[Node]) -> Node:
    """What a number that never changes multiplies; the number goes to `factors`."""
    if n.op == "mul":
        for factor, rest in (n.args, n.args[::-1]):
            is_number = factor.shape == () and factor.over == "" and factor is not const(0)
            if is_number and rest.shape == n.shape:
                factors.append(factor)
                return _factored(rest, factors)
    return n


def open_choices(cell: Cell) -> list[Node]:
    """Choices by values made of masks alone that are no mask: `where(m * n, a, b)`.

    In evaluation such a condition is a mean, so that it always takes the same side.
    """
    past = partners(cell)
    of_masks: set[Node] = set()
    nodes = topological(cell.roots)
    for _ in range(2):  # a state that holds a mask is known once its equation has been seen
        for n in nodes:
            parts = [arg for arg in n.args if not _is_fixed(arg)]
            made = n.op in POINTWISE and parts and all(arg in of_masks for arg in parts)
            if _is_reading(n) or made or past.get(n) in of_masks:
                of_masks.add(n)
    chosen = (n for n in nodes if n.op == "where" and n.args[0] in of_masks)
    return [n for n in chosen if _chance(n.args[0]) is None]


def _is_fixed(n: Node) -> bool:
    return n.op == "const" or (n.op == "leaf" and n.attr.role == "constant")


def _is_reading(n: Node) -> bool:
    drawn = n.args[0] if n.op == "less" else n
    return n.op == "less" and drawn.op == "leaf" and drawn.attr.role == "random"


def _as_wide(new: Node, old: Node) -> Node:
    return new if new.shape == old.shape else node("fill", (new,), old.shape)


def exchange(cell: Cell, new: dict[Node, Node]) -> Cell:
    """The cell with every root exchanged."""
    equations = tuple(Equation(e.name, new[e.value], e.per_step) for e in cell.equations)
    return replace(
        cell, equations=equations, initial=tuple((key, new[n]) for key, n in cell.initial)
    )

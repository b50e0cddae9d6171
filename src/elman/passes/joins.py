"""Concatenations taken apart: what reads `[a, b]` reads `a` and `b`, each with its own weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from elman.ir import Node, node, rebuild, sizes, topological
from elman.ir.ops import POINTWISE


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows or columns of a weight: `[:, hidden:]` prints itself."""

    axis: int
    start: str
    stop: str  # empty where it runs to the end

    def __str__(self) -> str:
        before = ":, " * self.axis
        return f"[{before}{self.start if self.start != '0' else ''}:{self.stop}]"


def pieces(roots: Iterable[Node]) -> dict[Node, Piece]:
    """For every slice of a weight that is only read in slices, side by side: which piece it is."""
    users: dict[Node, list[Node]] = {}
    for n in topological(roots):
        for arg in n.args:
            if arg.op == "leaf" and arg.attr.role == "parameter":
                users.setdefault(arg, []).append(n)
    found: dict[Node, Piece] = {}
    for weight, reading in users.items():
        found |= _in_a_row(weight, dict.fromkeys(reading))
    return found


def _in_a_row(weight: Node, reading: Iterable[Node]) -> dict[Node, Piece]:
    """The slices as pieces, where each begins where another ends and they fill the weight."""
    left = {n.attr[1]: n for n in reading if n.op == "slice"}
    if len(left) < len(list(reading)) or len({n.attr[0] for n in left.values()}) != 1:
        return {}
    found: dict[Node, Piece] = {}
    start = "0"
    while start in left:
        n = left.pop(start)
        axis, _, length = n.attr
        end = length if start == "0" else sizes.add(start, length)
        assert weight.shape is not None
        last = end == weight.shape[axis]
        found[n] = Piece(axis, start, "" if last else end)
        start = end
        if last:
            return {} if left else found
    return {}


def without_joins(roots: Iterable[Node]) -> dict[Node, Node]:
    """Map every node under `roots`: joins move outwards, so that nothing reads one it need not."""

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op in POINTWISE and any(arg.op == "concat" for arg in args):
            return _pointwise(old, args)
        if old.op == "contract":
            return _contract(old, args)
        if old.op == "slice":
            return _slice(args[0], *old.attr)
        return node(old.op, args, old.attr)

    return rebuild(roots, change)


def _spans(joined: Node) -> list[tuple[str, str]]:
    """Where each part of a join starts, and its length."""
    found, start = [], "0"
    for part in joined.args:
        assert part.shape is not None
        length = part.shape[0]
        found.append((start, length))
        start = length if start == "0" else sizes.add(start, length)
    return found


def _pointwise(n: Node, args: tuple[Node, ...]) -> Node:
    spans = _spans(next(arg for arg in args if arg.op == "concat"))
    parts = []
    for span in spans:
        inner = [_slice(arg, 0, *span) if arg.shape else arg for arg in args]
        parts.append(node(n.op, inner, n.attr))
    return node("concat", parts)


def _contract(n: Node, args: tuple[Node, ...]) -> Node:
    """A sum over a join is the sum of the sums over its parts."""
    inputs, output = n.attr.split("->")
    words = inputs.split(",")
    for word, arg in zip(words, args, strict=True):
        if arg.op == "concat" and word not in output:
            terms = []
            for start, length in _spans(arg):
                inner = [
                    _slice(other, letters.index(word), start, length) if word in letters else other
                    for letters, other in zip(words, args, strict=True)
                ]
                terms.append(_contract(n, tuple(inner)))
            total = terms[0]
            for term in terms[1:]:
                total = node("add", (total, term))
            return total
    return node("contract", args, n.attr)


def _slice(n: Node, axis: int, start: str, length: str) -> Node:
    """A slice, moved to what it is a slice of: to a part of a join, or to a leaf."""
    assert n.shape is not None
    if n.shape[axis] == length and start == "0":
        return n
    if n.op == "concat" and (start, length) in (spans := _spans(n)):
        return n.args[spans.index((start, length))]
    if n.op in POINTWISE:
        inner = [_slice(arg, axis, start, length) if arg.shape else arg for arg in n.args]
        return node(n.op, inner, n.attr)
    if n.op == "fill":
        shape = (*n.shape[:axis], length, *n.shape[axis + 1 :])
        return node("fill", n.args, shape)
    return node("slice", (n,), (axis, start, length))

"""The slips of a hand that run through a whole line: names and gates exchanged, one for another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from elman.language.syntax import Binary, Call, Expr, Number, remake
from elman.sheets.page import Array
from elman.sheets.slip import (
    EXCHANGED,
    FACTOR,
    FUNCTION,
    GATE,
    OTHER_NAME,
    SHIFTED,
    Change,
    Slip,
    is_complement,
    plain,
)
from elman.trace.leaves import GRADIENT, INNER, VALUE, Dated

MOST_NAMES = 12  # of a line whose names are tried in each other's place
RARE = 0.3
UNASKED = ("tanh", "sigmoid", "softmax")  # functions that are taken where there is none


def swapped_gates(root: Expr, parts: Sequence[Expr]) -> Iterator[Slip]:
    """z where 1 - z stands, and 1 - z where z stands."""
    found = dict.fromkeys(part.parts[1] for part in parts if is_complement(part))
    for gate in found:
        one = Binary("-", Number(1.0), gate)
        turned = replaced(root, {one: gate, gate: one})
        text = f"{plain(gate)} and {plain(one)} are swapped"
        yield Slip(GATE, text, turned, (GATE, "both", undated(gate)))


def swapped_names(
    root: Expr, parts: Sequence[Expr], known: Mapping[Dated, Array], whole: frozenset[Expr]
) -> Iterator[Slip]:
    """Two names of one shape, each in the place of the other."""
    names = [part for part in dict.fromkeys(parts) if isinstance(part, Dated) and part in known]
    for a, b in itertools.combinations(names[:MOST_NAMES], 2):
        if a.name != b.name and known[a].shape == known[b].shape:
            text = f"{plain(a)} and {plain(b)} are swapped"
            turned = replaced(root, {a: b, b: a}, whole)
            yield Slip(EXCHANGED, text, turned, (EXCHANGED, a.name, b.name))


def renamed(
    root: Expr,
    parts: Sequence[Expr],
    changes: Callable[[Dated], Iterator[Change]],
    whole: frozenset[Expr],
) -> Iterator[Slip]:
    """A name that stands in several places, another in all of them."""
    names = [part for part in parts if isinstance(part, Dated)]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        for change in changes(name):
            if change.kind in (OTHER_NAME, SHIFTED):
                turned = replaced(root, {name: change.part}, whole)
                label = (change.kind, "everywhere", name.name, change.label)
                yield Slip(change.kind, f"{change.text} everywhere", turned, label, change.share)


def one_too_many(root: Expr, left: Expr | None, shape: tuple[int, ...]) -> Iterator[Slip]:
    """A function of what is to be left as it is."""
    if isinstance(root, Call) or not isinstance(left, Dated) or left.kind != VALUE:
        return
    for name in UNASKED if shape and shape[-1] > 1 else UNASKED[:2]:
        text = f"{name} is taken, where the line has no function"
        yield Slip(FUNCTION, text, Call(name, (root,)), (FUNCTION, "too many", name), RARE)


def half_or_double(root: Expr, left: Dated) -> Iterator[Slip]:
    """A loss or a gradient with a 1/2 before it that is not there, or without one."""
    if left.kind not in (GRADIENT, INNER) and left.step is not None:
        return
    for factor, word in ((0.5, "half of it"), (2.0, "twice as much")):
        scaled = Binary("*", Number(factor), root)
        yield Slip(FACTOR, f"{word} is taken", scaled, (FACTOR, "of all", factor), RARE)


def undated(expr: Expr) -> str:
    """A gate by its name, the same at every step."""
    return expr.name if isinstance(expr, Dated) else plain(expr)


def replaced(root: Expr, by: Mapping[Any, Expr], whole: frozenset[Expr] = frozenset()) -> Expr:
    """The expression with other parts in the places of some, but as it is within `whole` ones."""

    def visit(expr: Expr) -> Expr:
        if expr in by:
            return by[expr]
        if expr in whole and expr is not root:
            return expr
        parts = [visit(part) for part in expr.parts]
        return remake(expr, parts) if parts else expr

    return visit(root)

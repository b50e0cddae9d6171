"""What a line hands on of its cotangent: to every value that it reads, by every path."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.functions import canonical
from elman.language.syntax import Binary, Call, Expr, Number, fold, remake, walk
from elman.trace.backward.derivatives import INNER_CALLS, SAID, Part, operands
from elman.trace.backward.flow import Flow, fitted, full
from elman.trace.leaves import Dated, inner
from elman.trace.work import values_in, work
from elman.trace.worked import Line, dated

Array = np.ndarray[Any, Any]
Known = Mapping[Dated, Array]
Heard = Callable[[Dated, Flow], None]  # what is told of every value that a line reads
Worked = Callable[[Dated, Flow, tuple[int, ...], str], None]  # what works an inner cotangent
COMPARISONS = ("<", ">", "<=", ">=", "==", "!=")
REDUCING = ("sum", "mean", "dot", "einsum", "outer")  # whose operands are not spread


@dataclass(frozen=True)
class Held:
    """Names without a gradient; `means` are those of them that are random and not drawn."""

    names: frozenset[str]
    means: frozenset[str] = frozenset()


def part_of(line: Line, known: Known, held: Held) -> Part:
    """A line as a tree of parts with their values."""
    expr, values = dated(line.expr, line.step), line.values
    simple = plain(expr, held.means)
    if simple != expr:
        expr, values = simple, work(simple, values_in(known))
    each_value = iter(values)

    def visit(each: Expr, parts: list[Part]) -> Part:
        is_free = isinstance(each, Dated) and each.name not in held.names
        is_active = is_free or any(part.is_active for part in parts)
        return Part(each, next(each_value), tuple(parts), is_active)

    root = fold(expr, visit)
    is_spread = known[line.left].size != root.value.size  # `h[0] = tanh(s)` of a number s
    return root if is_spread else replace(root, called=line.left)


def _name(leaf: Expr) -> Dated:
    assert isinstance(leaf, Dated), leaf
    return leaf


def follow(root: Part, g: Flow, line: Line, hear: Heard, worked: Worked) -> None:
    """Take a line's cotangent to every value that it reads, its functions' arguments on the way."""
    stack, count = [(root, g)] if root.is_active else [], 0
    while stack:
        part, g = stack.pop()
        if part.is_leaf:
            hear(_name(part.expr), g)
            continue
        found = [
            (arg, fitted(flow, arg.shape))
            for arg, flow in zip(part.parts, _spread_first(g, part), strict=True)
            if arg.is_active and flow is not None
        ]
        if found and _has_inner(part):
            count += 1
            arg, flow = found[0]
            name = Dated(line.name, line.step, inner(count))
            worked(name, flow, arg.shape, SAID.get(canonical(_function(part)), ""))
            found[0] = (arg, Flow(name, arg.shape))
        stack += reversed(found)


def expand(root: Part, g: Flow) -> Iterator[tuple[Dated, Flow]]:
    """What a line hands on to each value that it reads, written out to the end."""
    stack = [(root, fitted(g, root.shape))] if root.is_active else []
    while stack:
        part, g = stack.pop()
        if part.is_leaf:
            yield _name(part.expr), g
            continue
        found = zip(part.parts, _spread_first(g, part), strict=True)
        stack += [
            (arg, fitted(flow, arg.shape))
            for arg, flow in reversed(list(found))
            if arg.is_active and flow is not None
        ]


def _spread_first(g: Flow, part: Part) -> list[Flow | None]:
    """The cotangents of the operands; where a scalar was spread, of the whole array."""
    is_spread = part.value.size > 1 and any(
        arg.is_active and arg.value.size == 1 for arg in part.parts
    )
    if is_spread and g.size == 1 and _function(part) not in REDUCING:
        g = full(g, part.shape)
    return operands(g, part)


def _function(part: Part) -> str:
    return part.expr.function if isinstance(part.expr, Call) else ""


def _has_inner(part: Part) -> bool:
    """Is it a function of something that has no name, so that its cotangent gets a line?"""
    named = bool(_function(part)) and canonical(_function(part)) in INNER_CALLS
    return named and len(part.parts) == 1 and not part.parts[0].is_leaf


def plain(expr: Expr, means: Collection[str] = ()) -> Expr:
    """The expression with functions of many arguments written with those of few.

    What is read of a mask that is not drawn, `m > 0`, is written as its mean is worked: m; and a
    choice by it as a weighted sum.

    >>> plain(Call("max", (Dated("a"), Dated("b"), Dated("c"))))
    Call('max', Call('max', Dated('a', None, ''), Dated('b', None, '')), Dated('c', None, ''))
    """

    def visit(each: Expr, parts: list[Expr]) -> Expr:
        made = remake(each, parts)
        match made:
            case Call(function=function, args=(_, _, *_)):
                return SIMPLER.get(canonical(function), lambda call, _: call)(made, means)
            case Binary(op=op) if means and op in COMPARISONS:
                return _chance(made, means)
        return made

    return fold(expr, visit)


def in_the_mean(expr: Expr, means: Collection[str]) -> Expr:
    """What is read of masks that are not drawn, as their mean; a choice by one as a weighted sum.

    >>> in_the_mean(Binary(">", Dated("m", 1), Number(0.0)), ["m"])
    Dated('m', 1, '')
    """

    def visit(each: Expr, parts: list[Expr]) -> Expr:
        made = remake(each, parts)
        match made:
            case Call(function="where"):
                return _weighted(made, means)
            case Call(args=(Dated(name=name),)) if name in means:
                return made.args[0] if canonical(made.function) == "step" else made
            case Binary(op=op) if op in COMPARISONS:
                return _chance(made, means)
        return made

    return fold(expr, visit)


def _nested(call: Call, _: Collection[str]) -> Expr:
    first, *rest = call.args
    for other in rest:
        first = Call(call.function, (first, other))
    return first


def _clipped(call: Call, _: Collection[str]) -> Expr:
    value, low, high = call.args
    return Call("min", (Call("max", (value, low)), high))


def _scaled(call: Call, _: Collection[str]) -> Expr:
    """`layer_norm(a, gain, bias)`."""
    value, *scale = call.args
    made: Expr = Call(call.function, (value,))
    for op, by in zip("*+", scale, strict=False):
        made = Binary(op, made, by)
    return made


def _weighted(call: Call, means: Collection[str]) -> Expr:
    """`where(m, a, b)` of a mean."""
    condition, a, b = call.args
    leaves = [leaf for leaf in walk(condition) if isinstance(leaf, Dated)]
    is_chance = isinstance(condition, Dated) or condition == _rest(*leaves[:1])
    if not is_chance or len(leaves) != 1 or leaves[0].name not in means:
        return call
    rest = leaves[0] if leaves[0] is not condition else _rest(condition)
    return Binary("+", Binary("*", condition, a), Binary("*", rest, b))


SIMPLER: dict[str, Callable[[Call, Collection[str]], Expr]] = {
    **dict.fromkeys(("max", "min", "maximum", "minimum"), _nested),
    **dict.fromkeys(("layer_norm", "rms_norm"), _scaled),
    "clip": _clipped,
    "where": _weighted,
}


def _rest(*mask: Expr) -> Expr:
    return Binary("-", Number(1.0), *mask) if mask else Number(1.0)


def _chance(compared: Expr, means: Collection[str]) -> Expr:
    """A comparison of one mask with a number: how likely it is true."""
    leaves = [leaf for leaf in walk(compared) if isinstance(leaf, Dated)]
    if len(leaves) != 1 or leaves[0].name not in means:
        return compared
    mask = leaves[0]
    never, always = (work(compared, values_in({mask: np.array(v)}))[-1] for v in (0.0, 1.0))
    if never == always:
        return compared
    return mask if always else _rest(mask)

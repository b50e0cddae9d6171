"""Work a right side out on numbers: the value of each of its parts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from elman.backends.numpy_ import NUMPY
from elman.ir.node import Node, Shape, const, leaf, node, rebuild, topological
from elman.language.functions import FUNCTIONS, OPERATORS
from elman.language.syntax import Binary, Call, Expr, Number, fold
from elman.passes.differentiate import gradients
from elman.passes.shapes import lowered
from elman.trace.leaves import Dated, Shown

Array = np.ndarray[Any, Any]
Read = Callable[[Expr], Array]
Settle = Callable[[Expr, Array], Array]
Operand = Shape | float  # the shape of a value, or a number


def work(expr: Expr, read: Read, settle: Settle | None = None) -> tuple[Array, ...]:
    """The value of every part, operands first, in the order of `syntax.fold`; its own is the last.

    `read` gives the value of a name; `settle` may change what a part comes to before others use
    it, as a person does who rounds.

    >>> from elman.language.syntax import Binary, Name, Number
    >>> half = Binary("/", Name("a"), Number(2.0))
    >>> [value.tolist() for value in work(half, lambda name: np.array([3.0, 5.0]))]
    [[3.0, 5.0], 2.0, [1.5, 2.5]]
    """
    values: list[Array] = []

    def visit(part: Expr, args: list[Array]) -> Array:
        if isinstance(part, Number | Shown):
            value = np.asarray(part.value, dtype=float)
        elif part.parts:
            value = apply(part, args)
        else:
            value = np.asarray(read(part), dtype=float)
        values.append(value if settle is None else settle(part, value))
        return values[-1]

    with np.errstate(all="ignore"):  # what overflows is shown as inf
        fold(expr, visit)
    return tuple(values)


def values_in(known: Mapping[Dated, Array]) -> Read:
    """A `read` for `work`, of names at their steps."""

    def read(leaf: Expr) -> Array:
        assert isinstance(leaf, Dated), leaf
        return known[leaf]

    return read


def apply(part: Expr, args: list[Array]) -> Array:
    """An operator or a function applied to values."""
    args = _levelled(part, args)
    operands = tuple(
        float(arg) if isinstance(each, Number) else tuple(map(str, arg.shape))
        for each, arg in zip(part.parts, args, strict=True)
    )
    given, order = _program(type(part).__name__, part.head, operands)
    env = {n: arg[None, None] for n, arg in zip(given, args, strict=True)}
    for n in order:
        if n not in env:
            env[n] = NUMPY.apply[n.op](n, [env[arg] for arg in n.args], {})
    return env[order[-1]][0, 0]


def _levelled(part: Expr, args: list[Array]) -> list[Array]:
    """Arrays of one number, however many axes each has, as the others have it.

    Of a cell with one unit `U * d` is the product of a (1, 1) with a (1).
    """
    shapes = {arg.shape for arg in args if arg.ndim}
    if len(shapes) < 2 or not _is_elementwise(part):
        return args
    wide = max(shapes, key=math.prod)
    if math.prod(wide) > 1:
        return [arg.reshape(()) if arg.size == 1 else arg for arg in args]
    least = min(shapes, key=len)
    return [arg.reshape(least) if arg.ndim else arg for arg in args]


def _is_elementwise(part: Expr) -> bool:
    if isinstance(part, Binary):
        return part.op != "@"
    return isinstance(part, Call) and part.function not in ("outer", "einsum")


@functools.lru_cache(maxsize=4096)
def _program(
    kind: str, head: tuple[object, ...], operands: tuple[Operand, ...]
) -> tuple[list[Node], list[Node]]:
    """The nodes of an operation's operands, and all that compute it, its own the last."""
    nodes = [
        const(each) if isinstance(each, float) else leaf(str(k), "given", "", 0, each)
        for k, each in enumerate(operands)
    ]
    slope = kind == "Call" and str(head[0]).endswith("'")
    if slope:
        head = (str(head[0]).removesuffix("'"),)
    root = build_head(kind, head, nodes)
    typed = rebuild([root], lambda old, args: lowered(old, args) if args else old)[root]
    return nodes, topological([_slope(typed, nodes[0]) if slope else typed])


def _slope(value: Node, of: Node) -> Node:
    """The derivative of an elementwise function, entry by entry."""
    ones = node("fill", (const(1),), value.shape) if value.shape else const(1)
    return gradients([(value, ones)], [of])[of]


def build(expr: Expr, args: list[Node]) -> Node:
    """The node of an operation, before the shapes pass."""
    return build_head(type(expr).__name__, expr.head, args)


def build_head(kind: str, head: tuple[object, ...], args: list[Node]) -> Node:
    """As `build`, for an expression of that kind and head."""
    if kind == "Number":
        return const(float(str(head[0])))
    if kind == "Unary":
        return const(-args[0].attr) if args[0].op == "const" else node("neg", args)
    if kind == "Binary":
        return OPERATORS[str(head[0])](*args)
    if kind == "Entries":
        return node("slice", args, (0, str(int(str(head[0])) - 1), str(head[1])))
    if kind == "Call":
        spec = {"spec": str(head[1])} if len(head) > 1 else {}
        return FUNCTIONS[str(head[0])].build(*args, **spec)
    if kind == "Transpose":
        return node("transpose", args)
    assert kind == "Join", kind
    return node("concat", [_as_vector(a) for a in args])


def _as_vector(a: Node) -> Node:
    """A number among the vectors of a list has one entry."""
    return node("fill", (a,), ("1",)) if a.op == "const" or a.shape == () else a

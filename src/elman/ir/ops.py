"""The table of primitives: what exists, how many arguments it takes, how its shape follows.

Every other meaning of an op (NumPy, torch, derivative, C, text) is a dict with the same keys
elsewhere; a test holds them together. The surface ops appear only before the shapes pass, which
turns them into `contract`.
"""

from __future__ import annotations

from typing import Any

from elman.ir import sizes
from elman.ir.node import Node, Shape, shape_rule

UNARY = (
    *("neg", "exp", "log", "sqrt", "abs", "sign", "tanh", "sigmoid", "relu", "softplus"),
    *("floor", "round", "sin", "cos"),  # round: a half to the even neighbour
)
BINARY = (
    *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "less", "equal"),
    "straight",  # straight(a, b): the value of a, the derivative of b
)
TERNARY = ("where",)  # where(condition, a, b): the condition is 0 or not
POINTWISE = (*UNARY, *BINARY, *TERNARY)

# contract: attr "ij,j->i", one or two arguments     amax: the largest entry, a scalar
# fill: attr shape, a scalar repeated                size: attr size name, its number as a scalar
# concat: vectors joined                             slice: attr (axis, start, length)
# embed: attr (axis, start, length), zeros around    total: attr "tb", the sum over time and batch
# cumsum: attr whether from the last entry to the first; of a vector
# random: attr (name of the stream, shape), of (seed, row, step), uniform in [0, 1)
STRUCTURAL = (
    *("contract", "amax", "cumsum", "fill", "size", "concat", "slice", "embed", "total"),
    "random",
)

PRIMITIVES = ("leaf", "const", *POINTWISE, *STRUCTURAL)
# before the shapes pass only; einsum: attr "hij,hj->hi"
SURFACE = ("matmul", "transpose", "sum", "mean", "einsum")

ARITY = dict.fromkeys(UNARY, 1) | dict.fromkeys(BINARY, 2) | dict.fromkeys(TERNARY, 3)


@shape_rule("leaf")
def _leaf(args: tuple[Node, ...], attr: Any) -> Shape | None:
    shape: Shape | None = attr.shape
    return shape


@shape_rule("const", "amax", "size")
def _scalar(args: tuple[Node, ...], attr: Any) -> Shape | None:
    return ()


@shape_rule(*POINTWISE)
def _pointwise(args: tuple[Node, ...], attr: Any) -> Shape | None:
    shapes = [arg.shape for arg in args]
    if any(shape is None for shape in shapes):
        return None
    wide = {shape for shape in shapes if shape}
    if len(wide) > 1:  # declared sizes that the shapes pass has yet to unify; no typed cell has it
        return None
    return wide.pop() if wide else ()


@shape_rule("contract")
def _contract(args: tuple[Node, ...], attr: str) -> Shape | None:
    inputs, output = attr.split("->")
    axes: dict[str, str] = {}
    for letters, arg in zip(inputs.split(","), args, strict=True):
        if arg.shape is None:
            return None
        for letter, size in zip(letters, arg.shape, strict=True):
            known = axes.setdefault(letter, size)
            assert known == size, f"contract {attr} joins {known} with {size}: {args}"
    return tuple(axes[letter] for letter in output)


@shape_rule("fill")
def _fill(args: tuple[Node, ...], attr: Shape) -> Shape | None:
    return attr


@shape_rule("random")
def _random(args: tuple[Node, ...], attr: tuple[str, Shape]) -> Shape | None:
    return attr[1]


@shape_rule("concat")
def _concat(args: tuple[Node, ...], attr: Any) -> Shape | None:
    parts: list[str] = []
    for arg in args:
        if arg.shape is None:
            return None
        parts += arg.shape
    return (sizes.add(*parts),)


@shape_rule("slice", "embed")
def _slice(args: tuple[Node, ...], attr: tuple[int, str, str]) -> Shape | None:
    axis, _start, length = attr
    shape = args[0].shape
    return None if shape is None else (*shape[:axis], length, *shape[axis + 1 :])


@shape_rule("total", "cumsum")
def _as_argument(args: tuple[Node, ...], attr: str) -> Shape | None:
    return args[0].shape


@shape_rule(*SURFACE)
def _surface(args: tuple[Node, ...], attr: Any) -> Shape | None:
    return None

"""The functions of the language: a table from spelling to the nodes that it stands for.

Macros expand to primitives when the text is read; `layer_norm` and `rms_norm` add 1e-5 under the
root, as torch's LayerNorm does; `gelu` is the tanh form of Hendrycks and Gimpel (2016,
arXiv:1606.08415). `round`, `step` and `straight_through` have the value of one thing and the
derivative of another: the straight-through estimator of Bengio et al. (2013, arXiv:1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from elman.ir.node import Node, const, node
from elman.ir.ops import UNARY

Builder = Callable[..., Node]


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments it takes, the nodes it builds, and how a call of it looks."""

    least: int
    most: int
    build: Builder
    example: str


def _op(op: str) -> Builder:
    return lambda *args: node(op, args)


def _add(a: Node, b: Node) -> Node:
    return node("add", (a, b))


def _sub(a: Node, b: Node) -> Node:
    return node("sub", (a, b))


def _mul(a: Node, b: Node) -> Node:
    return node("mul", (a, b))


def _div(a: Node, b: Node) -> Node:
    return node("div", (a, b))


def negative(x: Node) -> Node:
    """-x, a number where x is one: so that `-2` is written and read as the number -2."""
    return const(-x.attr) if x.op == "const" else node("neg", (x,))


def _max(first: Node, *rest: Node) -> Node:
    if not rest:
        return node("amax", (first,))
    for other in rest:
        first = node("maximum", (first, other))
    return first


def _min(first: Node, *rest: Node) -> Node:
    if not rest:
        return negative(node("amax", (negative(first),)))
    for other in rest:
        first = node("minimum", (first, other))
    return first


def _softmax(x: Node) -> Node:
    e = node("exp", (_sub(x, node("amax", (x,))),))
    return _div(e, node("sum", (e,)))


def _logsumexp(x: Node) -> Node:
    m = node("amax", (x,))
    return _add(m, node("log", (node("sum", (node("exp", (_sub(x, m),)),)),)))


def _log_softmax(x: Node) -> Node:
    return _sub(x, _logsumexp(x))


def _log_sigmoid(x: Node) -> Node:
    return negative(node("softplus", (negative(x),)))


def _scaled(y: Node, gain_and_bias: tuple[Node, ...]) -> Node:
    for op, arg in zip(("mul", "add"), gain_and_bias, strict=False):
        y = node(op, (y, arg))
    return y


def _rms_norm(x: Node, *gain: Node) -> Node:
    mean_square = node("mean", (_mul(x, x),))
    return _scaled(_div(x, node("sqrt", (_add(mean_square, const(1e-5)),))), gain)


def _layer_norm(x: Node, *gain_and_bias: Node) -> Node:
    return _scaled(_rms_norm(_sub(x, node("mean", (x,)))), gain_and_bias)


def _gelu(x: Node) -> Node:
    cubic = _mul(const(0.044715), _mul(x, _mul(x, x)))
    inner = _mul(const(math.sqrt(2 / math.pi)), _add(x, cubic))
    return _mul(_mul(const(0.5), x), _add(const(1), node("tanh", (inner,))))


def _silu(x: Node) -> Node:
    return _mul(x, node("sigmoid", (x,)))


def _elu(x: Node, *alpha: Node) -> Node:
    above = node("relu", (x,))
    below = _sub(node("exp", (_sub(x, above),)), const(1))  # min(x, 0) would have a slope of 1/2
    return _add(above, _mul(alpha[0], below) if alpha else below)


def _norm(x: Node) -> Node:
    return node("sqrt", (node("sum", (_mul(x, x),)),))


def _dot(a: Node, b: Node) -> Node:
    return node("sum", (_mul(a, b),))


def _clip(x: Node, low: Node, high: Node) -> Node:
    return node("minimum", (node("maximum", (x, low)), high))


def _straight(a: Node, b: Node) -> Node:
    return node("straight", (a, b))


def _round(x: Node) -> Node:
    return _straight(node("round", (x,)), x)


def _step(x: Node) -> Node:
    return _straight(node("less", (const(0), x)), x)


def _remainder(a: Node, b: Node) -> Node:
    return _sub(a, _mul(b, node("floor", (_div(a, b),))))


def _cumsum(x: Node) -> Node:
    return node("cumsum", (x,), False)


def _einsum(*args: Node, spec: str) -> Node:
    return node("einsum", args, "".join(spec.split()))


def _outer(a: Node, b: Node) -> Node:
    return _einsum(a, b, spec="i,j->ij")


MOST_AXES = 3  # of a value in the language


def einsum_fault(spec: str, count: int) -> str | None:
    """What is wrong with `spec` for `count` values, in words; None where nothing is.

    >>> einsum_fault("hij,hj->hi", 2)
    >>> einsum_fault("ii->i", 1)
    'the letter i stands twice in ii'
    """
    inputs, arrow, output = "".join(spec.split()).partition("->")
    words = inputs.split(",")
    odd = [c for c in "".join(words) + output if not (c.isascii() and c.isalpha())]
    if not arrow:
        return "the letters do not say what comes out: -> is missing"
    if odd:
        return f"{odd[0]!r} is no letter"
    if len(words) > 2:
        return f"the letters are of {len(words)} values, and einsum takes one or two"
    if len(words) != count:
        values = f"{count} value{'s are' if count != 1 else ' is'} given"
        return f"the letters {inputs} are of {len(words)}, and {values}"
    for word in (*words, output):
        twice = next((c for k, c in enumerate(word) if c in word[:k]), None)
        if twice:
            return f"the letter {twice} stands twice in {word}"
        if len(word) > MOST_AXES:
            return f"{word} has {len(word)} axes, and a value has {MOST_AXES} at most"
    lost = next((c for c in output if c not in inputs), None)
    return f"the letter {lost} of the result is in no value" if lost else None


FUNCTIONS: dict[str, Function] = {
    **{op: Function(1, 1, _op(op), f"{op}(x)") for op in UNARY if op != "neg"},
    "sum": Function(1, 1, _op("sum"), "sum(x)"),
    "mean": Function(1, 1, _op("mean"), "mean(x)"),
    "max": Function(1, 9, _max, "max(a, b)"),
    "min": Function(1, 9, _min, "min(a, b)"),
    "where": Function(3, 3, _op("where"), "where(c, a, b)"),
    "clip": Function(3, 3, _clip, "clip(x, low, high)"),
    "round": Function(1, 1, _round, "round(x)"),
    "step": Function(1, 1, _step, "step(x)"),
    "straight_through": Function(2, 2, _straight, "straight_through(a, b)"),
    "cumsum": Function(1, 1, _cumsum, "cumsum(x)"),
    "outer": Function(2, 2, _outer, "outer(a, b)"),
    "einsum": Function(1, 2, _einsum, 'einsum("ij,j->i", A, b)'),
    "dot": Function(2, 2, _dot, "dot(a, b)"),
    "norm": Function(1, 1, _norm, "norm(x)"),
    "softmax": Function(1, 1, _softmax, "softmax(x)"),
    "log_softmax": Function(1, 1, _log_softmax, "log_softmax(x)"),
    "logsumexp": Function(1, 1, _logsumexp, "logsumexp(x)"),
    "log_sigmoid": Function(1, 1, _log_sigmoid, "log_sigmoid(x)"),
    "layer_norm": Function(1, 3, _layer_norm, "layer_norm(x, gain, bias)"),
    "rms_norm": Function(1, 2, _rms_norm, "rms_norm(x, gain)"),
    "gelu": Function(1, 1, _gelu, "gelu(x)"),
    "silu": Function(1, 1, _silu, "silu(x)"),
    "elu": Function(1, 2, _elu, "elu(x)"),
    "maximum": Function(2, 2, _max, "maximum(a, b)"),
    "minimum": Function(2, 2, _min, "minimum(a, b)"),
}
FUNCTIONS |= {
    other: FUNCTIONS[name]
    for other, name in {
        "σ": "sigmoid",
        "logistic": "sigmoid",
        "swish": "silu",
        "logsigmoid": "log_sigmoid",
        "ReLU": "relu",
        "heaviside": "step",
    }.items()
}


def canonical(name: str) -> str:
    """The first name of a function.

    >>> canonical("logistic"), canonical("tanh")
    ('sigmoid', 'tanh')
    """
    return next(first for first, known in FUNCTIONS.items() if known is FUNCTIONS[name])


def arguments(name: str) -> str:
    """`1 argument`, `2 or 3 arguments`: what a function takes, in words.

    >>> arguments("layer_norm")
    '1 to 3 arguments'
    """
    function = FUNCTIONS[name]
    if function.least == function.most:
        return f"{function.least} argument{'s' if function.least > 1 else ''}"
    return f"{function.least} to {function.most} arguments"


def _compare(op: str, swapped: bool = False, negated: bool = False) -> Builder:
    def build(a: Node, b: Node) -> Node:
        found = node(op, (b, a) if swapped else (a, b))
        return _sub(const(1), found) if negated else found

    return build


OPERATORS: dict[str, Builder] = {
    "+": _add,
    "-": _sub,
    "*": _mul,
    "/": _div,
    "%": _remainder,
    "**": _op("pow"),
    "@": _op("matmul"),
    "<": _compare("less"),
    ">": _compare("less", swapped=True),
    "<=": _compare("less", swapped=True, negated=True),
    ">=": _compare("less", negated=True),
    "==": _compare("equal"),
    "!=": _compare("equal", negated=True),
}

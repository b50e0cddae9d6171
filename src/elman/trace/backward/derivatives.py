"""The derivative of every operator and function of the language, as a person writes it.

A rule takes the cotangent of what a part computes to those of its operands. In a product the
cotangent takes the place of the operand. Where a function has a corner the rules say what
`passes.differentiate` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.language.functions import canonical
from elman.language.read_expression import COMPARISONS
from elman.language.syntax import Binary, Call, Expr, Join, Number, Transpose, Unary
from elman.trace.backward.flow import (
    Flow,
    Shape,
    add,
    call,
    chosen,
    column,
    compare,
    div,
    einsum,
    full,
    mul,
    neg,
    number,
    outer,
    power,
    product,
    sub,
    total,
    transposed,
)
from elman.trace.leaves import Entries

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a line: its expression, its value, and what it is made of."""

    expr: Expr
    value: Array
    parts: tuple[Part, ...]
    is_active: bool  # a gradient may go through it
    called: Expr | None = None  # the name of its value: that of the line, of the whole line

    @property
    def shape(self) -> Shape:
        return self.value.shape

    @property
    def flow(self) -> Flow:
        """Its value, as it is written in a rule: `h[2]` rather than `tanh(...)`."""
        return Flow(self.called or self.expr, self.shape)

    @property
    def is_leaf(self) -> bool:
        return not self.parts


Rule = Callable[[Flow, Part], list[Flow | None]]


def operands(g: Flow, part: Part) -> list[Flow | None]:
    """The cotangents of a part's operands, given its own; None where nothing goes through."""
    match part.expr:
        case Unary():
            return [neg(g)]
        case Transpose():
            return [transposed(full(g, part.shape))]
        case Join():
            return _join(g, part)
        case Binary(op=op):
            return OPERATORS[op](g, part) if op in OPERATORS else [None, None]
        case Call(function=function):
            return CALLS[canonical(function)](g, part)
    raise AssertionError(part.expr)


def _join(g: Flow, part: Part) -> list[Flow | None]:
    whole, first, found = full(g, part.shape), 1, []
    for each in part.parts:
        size = each.value.size
        found.append(Flow(Entries(whole.expr, first, size), (size,)))
        first += size
    return [*found]


ONE, TWO = number(1), number(2)

# ---- operators ----


def _times(g: Flow, y: Part) -> list[Flow | None]:
    a, b = y.parts
    return [mul(g, b.flow), mul(a.flow, g)]


def _over(g: Flow, y: Part) -> list[Flow | None]:
    a, b = y.parts
    if y.called is not None:
        below = div(mul(g, y.flow), b.flow)
    else:
        below = div(mul(g, a.flow), power(b.flow, TWO))
    return [div(g, b.flow), neg(below)]


def _power(g: Flow, y: Part) -> list[Flow | None]:
    a, b = y.parts
    count = b.flow.number
    less = sub(b.flow, ONE) if count is None else number(count - 1)
    base = mul(g, mul(b.flow, power(a.flow, less)))
    return [base, mul(g, mul(y.flow, call("log", a.flow)))]


def _remainder(g: Flow, y: Part) -> list[Flow | None]:
    a, b = y.parts
    return [g, neg(mul(g, call("floor", div(a.flow, b.flow))))]


def _product(g: Flow, y: Part) -> list[Flow | None]:
    a, b = y.parts
    if a.value.size == b.value.size == 1:
        return [mul(g, b.flow), mul(a.flow, g)]
    g = full(g, y.shape)
    match a.value.ndim, b.value.ndim:
        case 1, 1:
            return [mul(g, b.flow), mul(g, a.flow)]
        case 2, 1:
            return [_outer(g, b.flow, a), product(transposed(a.flow), g)]
        case 1, 2:
            return [product(b.flow, g), _outer(a.flow, g, b)]
        case 2, 2:
            return [product(g, transposed(b.flow)), product(transposed(a.flow), g)]
    letters, middle = "ijklmn", a.value.ndim - 1
    ours, theirs = letters[: middle + 1], letters[middle : middle + b.value.ndim]
    ends = ours[:-1] + theirs[1:]
    return [
        einsum(f"{ends},{theirs}->{ours}", g, b.flow),
        einsum(f"{ours},{ends}->{theirs}", a.flow, g),
    ]


def _outer(a: Flow, b: Flow, of: Part) -> Flow:
    """The cotangent of a matrix; of a row or column, one number times a vector."""
    return column(a, b) if of.is_leaf and 1 in (a.size, b.size) else outer(a, b)


OPERATORS: dict[str, Rule] = {
    "+": lambda g, y: [g, g],
    "-": lambda g, y: [g, neg(g)],
    "*": _times,
    "/": _over,
    "**": _power,
    "%": _remainder,
    "@": _product,
}

# ---- functions of one value, entry by entry: their derivative ----

Slope = Callable[[Flow, Flow], Flow]  # of what comes out and what goes in

SLOPES: dict[str, Slope] = {
    "tanh": lambda y, a: sub(ONE, power(y, TWO)),
    "sigmoid": lambda y, a: mul(y, sub(ONE, y)),
    "relu": lambda y, a: compare(">", y, number(0)),
    "exp": lambda y, a: y,
    "log": lambda y, a: div(ONE, a),
    "sqrt": lambda y, a: div(ONE, mul(TWO, y)),
    "abs": lambda y, a: call("sign", a),
    "softplus": lambda y, a: call("sigmoid", a),
    "log_sigmoid": lambda y, a: call("sigmoid", neg(a)),
    "sin": lambda y, a: call("cos", a),
    "cos": lambda y, a: neg(call("sin", a)),
    "silu": lambda y, a: add(call("sigmoid", a), mul(y, sub(ONE, call("sigmoid", a)))),
    "gelu": lambda y, a: call("gelu'", a),
}
SAID = {  # beside a line that uses one
    "tanh": "tanh'(a) = 1 - tanh(a)**2",
    "sigmoid": "sigmoid'(a) = s * (1 - s), s = sigmoid(a)",
    "relu": "relu'(a) = 1 where a > 0, else 0",
    "exp": "exp'(a) = exp(a)",
    "log": "log'(a) = 1 / a",
    "sqrt": "sqrt'(a) = 1 / (2 * sqrt(a))",
    "abs": "abs'(a) = the sign of a",
    "softplus": "softplus'(a) = sigmoid(a)",
    "log_sigmoid": "log_sigmoid'(a) = sigmoid(-a)",
    "sin": "sin'(a) = cos(a)",
    "cos": "cos'(a) = -sin(a)",
    "silu": "silu'(a) = sigmoid(a) + silu(a) * (1 - sigmoid(a))",
    "softmax": "softmax'(a) takes d to y * (d - dot(d, y))",
    "log_softmax": "log_softmax'(a) takes d to d - softmax(a) * sum(d)",
    "logsumexp": "logsumexp'(a) = softmax(a)",
    "norm": "norm'(a) = a / norm(a)",
    "cumsum": "cumsum'(a) adds up d from the last entry back",
    "layer_norm": "through the mean and the deviation too",
    "rms_norm": "through the mean square too",
}
INNER_CALLS = {*SLOPES, *SAID, "elu", "max", "min"}  # whose argument has a cotangent of its own


def _sloped(slope: Slope) -> Rule:
    def rule(g: Flow, y: Part) -> list[Flow | None]:
        (a,) = y.parts
        local = slope(y.flow, a.flow)
        if isinstance(local.expr, Binary) and local.expr.op in COMPARISONS:
            return [chosen(g, local)]
        if local.factors == () and isinstance(local.expr, Binary) and local.expr.op == "/":
            return [div(g, Flow(local.expr.right, local.shape))]  # d / a rather than d * (1 / a)
        return [mul(g, local)]

    return rule


# ---- other functions ----


def _softmax(g: Flow, y: Part) -> list[Flow | None]:
    whole = full(g, y.shape)
    return [mul(y.flow, sub(whole, call("dot", whole, y.flow, shape=())))]


def _log_softmax(g: Flow, y: Part) -> list[Flow | None]:
    whole, a = full(g, y.shape), y.parts[0].flow
    shares = call("softmax", a) if y.called is None else call("exp", y.flow)
    return [sub(whole, mul(shares, total(whole)))]


def _mean(g: Flow, y: Part) -> list[Flow | None]:
    return [div(g, number(y.parts[0].value.size))]


def _norm(g: Flow, y: Part) -> list[Flow | None]:
    return [mul(g, div(y.parts[0].flow, y.flow))]


def _cumsum(g: Flow, y: Part) -> list[Flow | None]:
    whole = full(g, y.shape)
    return [add(sub(total(whole), call("cumsum", whole)), whole)]


def _layer_norm(g: Flow, y: Part) -> list[Flow | None]:
    """(d - mean(d) - y * mean(d * y)) / the deviation."""
    whole, a, out = full(g, y.shape), y.parts[0].flow, y.flow
    off = power(sub(a, _mean_of(a)), TWO)
    above = sub(sub(whole, _mean_of(whole)), mul(out, _mean_of(mul(whole, out))))
    return [div(above, _root(off))]


def _rms_norm(g: Flow, y: Part) -> list[Flow | None]:
    whole, a, out = full(g, y.shape), y.parts[0].flow, y.flow
    above = sub(whole, mul(out, _mean_of(mul(whole, out))))
    return [div(above, _root(power(a, TWO)))]


def _mean_of(a: Flow) -> Flow:
    return call("mean", a, shape=())


def _root(squares: Flow) -> Flow:
    return call("sqrt", add(_mean_of(squares), number(1e-5)))


def _elu(g: Flow, y: Part) -> list[Flow | None]:
    a, *alpha = (each.flow for each in y.parts)
    below = sub(call("exp", call("min", a, number(0))), ONE)
    return [mul(g, call("elu'", a, *alpha)), *(mul(g, below) for _ in alpha)]


def _extreme(op: str) -> Rule:
    """Of max and min: all to the larger; where two tie half each, of the largest equal shares."""

    def rule(g: Flow, y: Part) -> list[Flow | None]:
        if len(y.parts) == 1:
            a = y.parts[0]
            hit = compare("==", a.flow, y.flow)
            count = np.count_nonzero(a.value == y.value)
            return [mul(div(g, number(float(count))), hit)]
        a, b = y.parts
        return [mul(g, _share(op, a, b)), mul(g, _share(op, b, a))]

    return rule


def _share(op: str, a: Part, b: Part) -> Flow:
    more = compare(op, a.flow, b.flow)
    if not np.any(a.value == b.value):
        return more
    return add(more, div(compare("==", a.flow, b.flow), TWO))


def _where(g: Flow, y: Part) -> list[Flow | None]:
    condition, zero = y.parts[0].flow, number(0)
    return [None, call("where", condition, g, zero), call("where", condition, zero, g)]


def _outer_product(g: Flow, y: Part) -> list[Flow | None]:
    whole = full(g, y.shape)
    a, b = (each.flow for each in y.parts)
    return [product(whole, b), product(transposed(whole), a)]


def _dot(g: Flow, y: Part) -> list[Flow | None]:
    a, b = (each.flow for each in y.parts)
    return [mul(g, b), mul(g, a)]


def _einsum(g: Flow, y: Part) -> list[Flow | None]:
    assert isinstance(y.expr, Call)
    inputs, output = "".join(y.expr.spec.split()).split("->")
    words, whole = inputs.split(","), full(g, y.shape)
    if len(words) == 2:
        a, b = (each.flow for each in y.parts)
        first, second = words
        return [
            _contracted(whole, output, b, second, y.parts[0], first),
            _contracted(whole, output, a, first, y.parts[1], second),
        ]
    missing = "".join(letter for letter in inputs if letter not in output)
    if not missing:
        turned = len(inputs) == 2 and inputs != output
        return [transposed(whole) if turned else einsum(f"{output}->{inputs}", whole)]
    ones = _ones_of(y.parts[0], inputs, missing)
    return [einsum(f"{output},{missing}->{inputs}", whole, ones) if output else g]


def _contracted(g: Flow, output: str, other: Flow, word: str, of: Part, own: str) -> Flow:
    """The cotangent of one of two operands, whose letters are `own`."""
    lost = "".join(letter for letter in own if letter not in output and letter not in word)
    kept = "".join(letter for letter in own if letter not in lost)
    found = einsum(f"{output},{word}->{kept}", g, other)
    if not lost:
        return found
    return einsum(f"{kept},{lost}->{own}", found, _ones_of(of, own, lost))


def _ones_of(of: Part, letters: str, some: str) -> Flow:
    sizes = tuple(of.shape[letters.index(letter)] for letter in some)
    return full(number(1), sizes) if math.prod(sizes) > 1 else _one(len(sizes))


def _one(axes: int) -> Flow:
    one = Flow(Join((Number(1.0),)), (1,))
    return one if axes == 1 else outer(one, one)


CALLS: dict[str, Rule] = {
    **{name: _sloped(slope) for name, slope in SLOPES.items()},
    "sign": lambda g, y: [None],
    "floor": lambda g, y: [None],
    "round": lambda g, y: [g],  # the value of one thing, the derivative of another
    "step": lambda g, y: [g],
    "straight_through": lambda g, y: [None, g],
    "sum": lambda g, y: [g],
    "mean": _mean,
    "max": _extreme(">"),
    "min": _extreme("<"),
    "maximum": _extreme(">"),
    "minimum": _extreme("<"),
    "where": _where,
    "cumsum": _cumsum,
    "outer": _outer_product,
    "einsum": _einsum,
    "dot": _dot,
    "norm": _norm,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": lambda g, y: [mul(g, call("softmax", y.parts[0].flow))],
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "elu": _elu,
}

"""Cotangents as they are written: an expression with the shape of its value.

A cotangent is simplified as it is made, so that `1 * d` is `d`. One number stands for a whole array
of it (the cotangent of each term of a sum) until something needs the array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from elman.language.syntax import Binary, Call, Expr, Join, Number, Transpose, Unary

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Flow:
    """An expression, the shape of its value, and what it was made of."""

    expr: Expr
    shape: Shape = ()
    factors: tuple[Flow, ...] = ()
    minus: Flow | None = None  # it is minus this
    strict: Flow | None = None  # the same with all its axes, where it is a row or a column

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def number(self) -> float | None:
        return self.expr.value if isinstance(self.expr, Number) else None


def number(value: float) -> Flow:
    """A number, also one below zero.

    >>> number(-2.0).expr
    Unary('-', Number(2.0))
    """
    return Flow(Number(value)) if value >= 0 else neg(Flow(Number(-value)))


def neg(a: Flow) -> Flow:
    strict = neg(a.strict) if a.strict else None
    return a.minus or Flow(Unary("-", a.expr), a.shape, minus=a, strict=strict)


def mul(a: Flow, b: Flow) -> Flow:
    if a.minus or b.minus:
        return neg(mul(a.minus or a, b)) if a.minus else neg(mul(a, b.minus or b))
    if a.number == 1:
        return b
    if b.number == 1:
        return a
    if a.number is not None and b.number is not None:
        return number(a.number * b.number)
    if (whole := _cancelled(a, b)) is not None:
        return number(whole)
    if b.factors:  # a * b * c rather than a * (b * c)
        return mul(mul(a, b.factors[0]), b.factors[1])
    return Flow(Binary("*", a.expr, b.expr), _wide(a.shape, b.shape), (a, b))


def _cancelled(a: Flow, b: Flow) -> float | None:
    """The whole number that `1 / 2 * 2` is, from (a)**2 / 2; None where it is none."""
    match a.expr, b.number:
        case Binary("/", Number(above), Number(below)), int() | float() as times if below:
            whole = above * times / below
            return whole if whole.is_integer() else None
    return None


def div(a: Flow, b: Flow) -> Flow:
    if a.minus:
        return neg(div(a.minus, b))
    if b.number == 1:
        return a
    return Flow(Binary("/", a.expr, b.expr), _wide(a.shape, b.shape))


def add(a: Flow, b: Flow) -> Flow:
    if b.minus:
        return sub(a, b.minus)
    if a.minus:
        return sub(b, a.minus)
    return Flow(Binary("+", a.expr, b.expr), _wide(a.shape, b.shape))


def sub(a: Flow, b: Flow) -> Flow:
    if b.minus:
        return add(a, b.minus)
    return Flow(Binary("-", a.expr, b.expr), _wide(a.shape, b.shape))


def power(a: Flow, exponent: Flow) -> Flow:
    if exponent.number == 1:
        return a
    return Flow(Binary("**", a.expr, exponent.expr), _wide(a.shape, exponent.shape))


def call(function: str, *args: Flow, spec: str = "", shape: Shape | None = None) -> Flow:
    """A function of flows; elementwise unless a shape is given."""
    if shape is None:
        shape = ()
        for arg in args:
            shape = _wide(shape, arg.shape)
    return Flow(Call(function, tuple(arg.expr for arg in args), spec), shape)


def compare(op: str, a: Flow, b: Flow) -> Flow:
    return Flow(Binary(op, a.expr, b.expr), _wide(a.shape, b.shape))


def chosen(g: Flow, condition: Flow) -> Flow:
    """`g` where the condition holds and 0 elsewhere, also where g is nan: not g * 0."""
    if g.minus:
        return neg(chosen(g.minus, condition))
    if g.number is not None:
        return mul(g, condition)
    return call("where", condition, g, number(0))


def total(a: Flow) -> Flow:
    """The sum of all entries: of a product of two arrays, their dot product."""
    if a.size == 1:
        return a
    if a.minus:
        return neg(total(a.minus))
    if a.factors:
        left, right = a.factors
        if left.size == 1:
            return mul(left, total(right))
        if right.size == 1:
            return mul(total(left), right)
        if len(left.shape) == len(right.shape) == 1:
            return call("dot", left, right, shape=())
    return call("sum", a, shape=())


def transposed(a: Flow) -> Flow:
    if a.minus:
        return neg(transposed(a.minus))
    if len(a.shape) < 2:
        return a
    inner = a.expr.arg if isinstance(a.expr, Transpose) else Transpose(a.expr)
    return Flow(inner, a.shape[::-1])


def product(a: Flow, b: Flow) -> Flow:
    """`a @ b`."""
    if b.minus:
        return neg(product(a, b.minus))
    return Flow(Binary("@", a.expr, b.expr), a.shape[:-1] + b.shape[1:])


def outer(a: Flow, b: Flow) -> Flow:
    if a.minus or b.minus:
        return neg(outer(a.minus or a, b)) if a.minus else neg(outer(a, b.minus or b))
    return call("outer", a, b, shape=a.shape + b.shape)


def column(a: Flow, b: Flow) -> Flow:
    """The outer product of two vectors, one of which is a single number, as a vector."""
    if a.minus or b.minus:
        return neg(column(a.minus or a, b)) if a.minus else neg(column(a, b.minus or b))
    return replace(mul(a, b), strict=outer(a, b))


def einsum(spec: str, *args: Flow) -> Flow:
    inputs, output = spec.split("->")
    sizes = {
        letter: size
        for word, arg in zip(inputs.split(","), args, strict=True)
        for letter, size in zip(word, arg.shape, strict=True)
    }
    return call("einsum", *args, spec=spec, shape=tuple(sizes[letter] for letter in output))


def full(a: Flow, shape: Shape) -> Flow:
    """With a number for every entry, where one stood for all."""
    if a.shape == shape or a.size > 1:
        return a
    if math.prod(shape) == 1:
        return _boxed(a, shape)
    return mul(_ones(shape), _boxed(a, ()))


def fitted(a: Flow, shape: Shape) -> Flow:
    """The cotangent of a value of that shape: one number, where it was spread, gets the sum."""
    return total(a) if shape == () else a


def _boxed(a: Flow, shape: Shape) -> Flow:
    """One number with as many axes as `shape`."""
    if len(a.shape) > len(shape):
        letters = "ijk"[: len(a.shape)]
        return einsum(f"{letters}->{letters[: len(shape)]}", a)
    if len(a.shape) == len(shape):
        return a
    if len(shape) == 1:
        return Flow(Join((a.expr,)), (1,))
    letters, own = "ijk"[: len(shape)], len(a.shape)
    return einsum(f"{letters[:own]},{letters[own:]}->{letters}", a, _ones(shape[own:]))


def _ones(shape: Shape) -> Flow:
    first = Flow(Join((Number(1.0),) * shape[0]), shape[:1])
    if len(shape) == 1:
        return first
    letters = "ijk"[: len(shape)]
    return einsum(f"{letters[0]},{letters[1:]}->{letters}", first, _ones(shape[1:]))


def _wide(a: Shape, b: Shape) -> Shape:
    """The shape of an elementwise result; of two arrays of one number, the one of fewer axes."""
    if math.prod(a) == math.prod(b) == 1:
        return min((shape for shape in (a, b) if shape), key=len, default=())
    return b if math.prod(a) == 1 else a

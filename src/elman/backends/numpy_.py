"""The reference: obvious, slow, float64. Every other backend is compared with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from elman.backends.draws import BITS, draw, stream_number
from elman.backends.interpret import Ops, pointwise, slice_of
from elman.ir import Node
from elman.ir.sizes import number

Array = np.ndarray[Any, Any]
Sizes = Mapping[str, int]


def _sigmoid(a: Array) -> Array:
    e = np.exp(-np.abs(a))  # never overflows
    return np.where(a >= 0, 1 / (1 + e), e / (1 + e))


POINTWISE: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "relu": lambda a: np.maximum(a, 0),
    "softplus": lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))),
    "floor": np.floor,
    "round": np.rint,
    "sin": np.sin,
    "cos": np.cos,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "less": lambda a, b: np.less(a, b).astype(np.result_type(a, b)),
    "equal": lambda a, b: np.equal(a, b).astype(np.result_type(a, b)),
    "straight": lambda a, b: np.broadcast_arrays(a, b)[0],
    "where": lambda c, a, b: np.where(c != 0, a, b),
}


def _contract(n: Node, args: list[Array], sizes: Sizes) -> Array:
    inputs, output = n.attr.split("->")
    spec = ",".join("..." + letters for letters in inputs.split(",")) + "->..." + output
    return np.asarray(np.einsum(spec, *args))


def _fill(n: Node, args: list[Array], sizes: Sizes) -> Array:
    shape = tuple(number(size, sizes) for size in n.attr)
    a = args[0]
    return np.broadcast_to(a.reshape(a.shape + (1,) * len(shape)), a.shape + shape)


def _cumsum(n: Node, args: list[Array], sizes: Sizes) -> Array:
    way = slice(None, None, -1 if n.attr else 1)
    return np.cumsum(args[0][..., way], axis=-1)[..., way]


def _embed(n: Node, args: list[Array], sizes: Sizes) -> Array:
    assert n.shape is not None
    a = args[0]
    out = np.zeros(a.shape[:2] + tuple(number(size, sizes) for size in n.shape), a.dtype)
    out[slice_of(n, sizes)] = a
    return out


def _concat(n: Node, args: list[Array], sizes: Sizes) -> Array:
    steps, batch = (max(a.shape[k] for a in args) for k in (0, 1))
    return np.concatenate([np.broadcast_to(a, (steps, batch, a.shape[2])) for a in args], axis=2)


def _outer_sum(spec: str, a: Array, b: Array) -> Array:
    """A contraction of (T, B, ...) and (T, B, ...), summed over T and B -> (1, 1, ...)."""
    lead = np.broadcast_shapes(a.shape[:2], b.shape[:2])
    rows = [np.broadcast_to(v, lead + v.shape[2:]) for v in (a, b)]
    whole = "TB" + spec.replace(",", ",TB")
    return np.asarray(np.einsum(whole, *rows, optimize=True))[None, None]


def _join(parts: list[Array]) -> Array:
    """One after the other in time; a part that does not vary over the batch is spread over it."""
    batches = {part.shape[1] for part in parts}
    if len(batches) == 1:
        return np.concatenate(parts, axis=0)
    batch = max(batches)
    spread = [np.broadcast_to(p, (p.shape[0], batch, *p.shape[2:])) for p in parts]
    return np.concatenate(spread, axis=0)


def _random(n: Node, args: list[Array], sizes: Sizes) -> Array:
    name, axes = n.attr
    shape = tuple(number(size, sizes) for size in axes)
    entry = np.arange(math.prod(shape)).reshape(shape)
    seed, row, step = (a.astype(np.int64).reshape(a.shape + (1,) * len(shape)) for a in args)
    return np.asarray(draw(stream_number(name), seed, row, step, entry) / 2**BITS)


STRUCTURAL = {
    "const": lambda n, args, sizes: np.full((1, 1), n.attr),
    "size": lambda n, args, sizes: np.full((1, 1), float(number(n.attr, sizes))),
    "contract": _contract,
    "amax": lambda n, args, sizes: args[0].max(axis=tuple(range(2, args[0].ndim))),
    "cumsum": _cumsum,
    "fill": _fill,
    "random": _random,
    "concat": _concat,
    "slice": lambda n, args, sizes: args[0][slice_of(n, sizes)],
    "embed": _embed,
    # a leaf is looked up and a total summed by the interpreter itself
    "leaf": lambda n, args, sizes: args[0],
    "total": lambda n, args, sizes: args[0],
}

NUMPY = Ops(
    apply=pointwise(POINTWISE) | STRUCTURAL,
    join=_join,
    outer_sum=_outer_sum,
    sum_over=lambda a, axes: a.sum(axis=axes, keepdims=True),
)

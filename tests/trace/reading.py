"""A reader of printed traces that knows nothing of how they are made: every look, evaluated.

A number stands for an array of one entry, so the shapes of cells with one unit are not known here.
"""

from __future__ import annotations

import ast
import math
import re

import numpy as np


def chains(section):
    """(left side, looks) of every equation of a section, and of what is worked beside it."""
    found, above = [], None
    for line in section.split("\n")[1:]:
        body = re.sub(r"  # .*$|  (exact|unrounded|largest|at most) .*$", "", line.strip())
        if body.startswith("= "):
            above[1].append(body[2:])
            continue
        left, *looks = _sides(body)
        if looks:
            found.append((left, looks))
            above = found[-1] if line[:3].strip() else above
    return found


def _sides(text):
    """The text cut at each ` = ` outside of brackets."""
    depth, sides = 0, [""]
    for piece in re.split(r"( = |[()\[\]{}])", text):
        depth += (piece in tuple("([{")) - (piece in tuple(")]}"))
        sides += [""] if piece == " = " and depth == 0 else []
        sides[-1] += "" if piece == " = " and depth == 0 else piece
    return [side for side in sides if side]


def _alike(*arrays):
    """Arrays of one number as numbers, beside larger ones."""
    return [np.reshape(a, ()) if np.size(a) == 1 else np.asarray(a) for a in arrays]


def _soft(a):
    e = np.exp(a - a.max())
    return e / e.sum()


def _sigmoid(a):
    return 0.5 * (1 + np.tanh(a / 2))


def _lse(a):
    return np.log(np.exp(a - a.max()).sum()) + a.max()


def _layer_norm(a, gain=1.0, bias=0.0):
    return (a - a.mean()) / np.sqrt(a.var() + 1e-5) * gain + bias


def _most(pair, of_one):
    def apply(first, *others):
        for other in others:
            first = pair(*_alike(first, other))
        return first if others else of_one(first)

    return apply


ROOT = math.sqrt(2 / math.pi)


def _gelu_slope(a):
    t = np.tanh(ROOT * (a + 0.044715 * a**3))
    return 0.5 * (1 + t) + 0.5 * a * (1 - t * t) * ROOT * (1 + 3 * 0.044715 * a**2)


ONE = {
    **{
        f: getattr(np, f)
        for f in ["exp", "log", "sqrt", "abs", "sign", "sin", "cos", "floor", "round", "tanh"]
    },
    "sigmoid": _sigmoid,
    "relu": lambda a: np.maximum(a, 0),
    "softplus": lambda a: np.logaddexp(0, a),
    "log_sigmoid": lambda a: -np.logaddexp(0, -a),
    "silu": lambda a: a * _sigmoid(a),
    "gelu": lambda a: a * 0.5 * (1 + np.tanh(ROOT * (a + 0.044715 * a**3))),
    "gelu_slope": _gelu_slope,
    "step": lambda a: (a > 0) * 1.0,
    "sum": np.sum,
    "mean": np.mean,
    "norm": lambda a: np.sqrt((a * a).sum()),
    "logsumexp": _lse,
    "softmax": _soft,
    "log_softmax": lambda a: a - _lse(a),
    "cumsum": np.cumsum,
    "max": _most(np.maximum, np.max),
    "min": _most(np.minimum, np.min),
}
CALLS = ONE | {
    "maximum": _most(np.maximum, np.max),
    "minimum": _most(np.minimum, np.min),
    "layer_norm": _layer_norm,
    "rms_norm": lambda a, gain=1.0: a / np.sqrt((a * a).mean() + 1e-5) * gain,
    "elu": lambda a, k=1.0: np.where(a > 0, a, k * (np.exp(np.minimum(a, 0)) - 1)),
    "elu_slope": lambda a, k=1.0: np.where(a > 0, 1, k * np.exp(np.minimum(a, 0))),
    "dot": lambda a, b: np.sum(a * b),
    "outer": np.multiply.outer,
    "clip": lambda a, low, high: np.minimum(*_alike(np.maximum(*_alike(a, low)), high)),
    "where": lambda c, a, b: np.where(*_alike(c != 0, a, b)),
    "straight_through": lambda a, b: a,
    "einsum": np.einsum,
}
OPERATORS = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mult": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Mod": np.mod,
    "Lt": np.less,
    "Gt": np.greater,
    "LtE": np.less_equal,
    "GtE": np.greater_equal,
    "Eq": np.equal,
    "NotEq": np.not_equal,
}


def evaluate(text, names):
    """What a printed right side comes to; `names` holds `h[2]`, `d_h_in[2]`, `U`."""
    text = re.sub(r"(\w)'\(", r"\1_slope(", text)
    text = re.sub(r"\[(\d+)\.\.(\d+)\]", r"[\1:\2]", text)
    text = re.sub(r"\binf\b", "1e999", text)
    with np.errstate(all="ignore"):
        return np.asarray(_value(ast.parse(text, mode="eval").body, names), dtype=float)


def _value(node, names):
    def of(other):
        return _value(other, names)

    match node:
        case ast.Constant(value=value):
            return value if isinstance(value, str) else np.array(float(value))
        case ast.Name(id=name):
            return np.array(np.nan) if name == "nan" else np.asarray(names[name], dtype=float)
        case ast.Tuple(elts=items):
            return np.concatenate([np.ravel(of(item)) for item in items])
        case ast.List(elts=items):
            rows = all(isinstance(item, ast.List) for item in items)
            return (np.stack if rows else np.hstack)([of(item) for item in items])
        case ast.Attribute(value=inner):
            return of(inner).T
        case ast.UnaryOp(operand=inner):
            return -of(inner)
        case ast.BinOp(left=a, op=ast.MatMult(), right=b):
            return (
                np.multiply(*_alike(of(a), of(b))) if _has_number(of(a), of(b)) else of(a) @ of(b)
            )
        case ast.BinOp(left=a, op=op, right=b) | ast.Compare(left=a, ops=[op], comparators=[b]):
            return OPERATORS[type(op).__name__](*_alike(of(a), of(b))) * 1.0
        case ast.Subscript(value=inner, slice=ast.Slice(lower=low, upper=high)):
            return np.ravel(of(inner))[low.value - 1 : high.value]
        case ast.Subscript(value=inner, slice=place):
            dated = ast.unparse(node)
            return names[dated] if dated in names else np.ravel(of(inner))[place.value - 1]
        case ast.Call(func=ast.Name(id=function), args=args):
            given = [of(arg) for arg in args]
            if function in ONE and len(given) > 1 and all(np.size(a) == 1 for a in given):
                given = [np.hstack(given)]  # tanh(0.5, 1) is of a vector
            return CALLS[function](*given)
    raise TypeError(ast.unparse(node))


def _has_number(a, b):
    return np.ndim(a) == 0 or np.ndim(b) == 0

"""The slips of a hand within functions, powers, numbers and written-out products."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from elman.language.syntax import Binary, Call, Expr, Number, Unary
from elman.sheets.page import Array
from elman.sheets.slip import (
    BASE,
    BRACKETS,
    DERIVATIVE,
    DROPPED,
    FUNCTION,
    LEFT_OUT,
    ORDER,
    OTHER_NUMBER,
    POINT,
    POWER,
    ROW,
    SIGN,
    Change,
    plain,
)
from elman.sheets.slips_sums import RARE, signed_terms, summed
from elman.trace.leaves import Shown
from elman.trace.numbers import number as as_text

OTHERS = {  # what a function is taken for
    "sigmoid": ("tanh", "relu", "softmax"),
    "tanh": ("sigmoid", "relu"),
    "relu": ("tanh", "sigmoid", "abs", "softplus"),
    "softmax": ("sigmoid", "tanh", "log_softmax"),
    "log_softmax": ("softmax",),
    "softplus": ("relu", "sigmoid"),
    "exp": ("sigmoid",),
    "log": ("exp",),
    "sqrt": ("abs",),
    "mean": ("sum", "max"),
    "sum": ("mean",),
    "max": ("min", "sum"),
    "min": ("max",),
    "sin": ("cos",),
    "cos": ("sin",),
    "abs": ("relu",),
}
SAME = {"σ": "sigmoid", "logistic": "sigmoid", "ReLU": "relu"}  # other spellings
TURNS = ("sin", "cos", "tan")  # of an angle
INNER = 0.4  # a slip in one term of a product, beside one of the whole product
SLIPS_OF_TERMS = (
    (DROPPED, 0.0, "is left out"),
    (SIGN, -1.0, "has the other sign"),
    (POINT, 10.0, "is ten times as large"),
    (POINT, 0.1, "is a tenth"),
)
MOST_COLUMNS, MOST_ENTRIES = 16, 36  # of a matrix whose terms are tried one by one


def calls(part: Call) -> Iterator[Change]:
    """Another function, none, its derivative, another base, brackets closed too early."""
    name = SAME.get(part.function, part.function)
    for other in OTHERS.get(name, ("tanh", "sigmoid") if len(part.args) == 1 else ()):
        text = f"{other} is taken for {part.function}"
        share = RARE if other == "relu" else 1.0  # beside the function being left out
        yield Change(FUNCTION, text, Call(other, part.args), other, share)
    if len(part.args) == 2:
        turned = Call(part.function, part.args[::-1])
        yield Change(ORDER, f"{plain(turned)} is worked for {plain(part)}", turned, "turned")
    if len(part.args) != 1:
        return
    (inner,) = part.args
    yield Change(LEFT_OUT, f"{part.function} is left out", inner)
    yield from _derivatives(part, name)
    yield from _bases(part, name, inner)
    yield from _unfinished_softmax(part, name, inner)
    terms = signed_terms(inner)
    for k, (is_added, term) in enumerate(terms) if len(terms) > 1 else ():
        rest = Call(part.function, (summed([*terms[:k], *terms[k + 1 :]]),))
        outside = Binary("+" if is_added else "-", rest, term)
        yield Change(BRACKETS, f"{plain(term)} stands outside of {part.function}", outside, k)


def _derivatives(part: Call, name: str) -> Iterator[Change]:
    one, square = Number(1.0), Binary("**", part, Number(2.0))
    if name == "tanh":
        yield Change(DERIVATIVE, "the derivative of tanh is taken", Binary("-", one, square))
    if name in ("sigmoid", "softmax"):
        turned = Call(part.function, (Unary("-", part.args[0]),))
        right, wrong = ("exp(a)", "exp(-a)") if name == "softmax" else ("exp(-a)", "exp(a)")
        text = f"{wrong} is taken for {right} within {part.function}"
        yield Change(SIGN, text, turned, "exponent")
    if name == "sigmoid":
        slope = Binary("*", part, Binary("-", one, part))
        yield Change(DERIVATIVE, f"the derivative of {part.function} is taken", slope)


def _bases(part: Call, name: str, inner: Expr) -> Iterator[Change]:
    if name == "exp":
        yield Change(BASE, "10 is raised, not e", Binary("**", Number(10.0), inner), 10)
        yield Change(BASE, "2 is raised, not e", Binary("**", Number(2.0), inner), 2)
    if name == "log":
        for base in (10.0, 2.0):
            text = f"the logarithm to base {base:g} is taken"
            yield Change(BASE, text, Binary("/", part, _constant(math.log(base))), base)
    if name in TURNS:
        turned = Binary("*", inner, _constant(math.pi / 180))
        yield Change(BASE, "the angle is taken in degrees", Call(part.function, (turned,)))


def _constant(value: float) -> Shown:
    return Shown(np.array(value), given=True)


def _unfinished_softmax(part: Call, name: str, inner: Expr) -> Iterator[Change]:
    if name != "softmax":
        return
    exps = Call("exp", (inner,))
    yield Change(FUNCTION, "the exponentials are not divided by their sum", exps, "undivided")
    share = Binary("/", inner, Call("sum", (inner,)))
    yield Change(FUNCTION, "the shares are taken without exponentials", share, "no exponentials")


def powers(part: Binary) -> Iterator[Change]:
    """The exponent forgotten, a double for a square."""
    base, exponent = part.left, part.right
    word = "square" if exponent == Number(2.0) else "exponent"
    yield Change(POWER, f"the {word} of {plain(base)} is forgotten", base, 0)
    double = Binary("*", exponent, base)
    yield Change(POWER, f"{plain(double)} is worked for {plain(part)}", double, 1)


def numbers(part: Number) -> Iterator[Change]:
    """A decimal point shifted, of a number that has one; of a whole one, half and double."""
    if part.value == int(part.value):
        for factor in (0.5, 2.0) if part.value > 1 else ():
            other = Number(part.value * factor)
            if other.value == 1:
                continue  # the factor is left out
            text = f"{as_text(other.value, 12)} is taken for {as_text(part.value, 12)}"
            yield Change(OTHER_NUMBER, text, other, factor)
        return
    for power in (10, 100, 0.1, 0.01):
        other = Number(float(f"{part.value * power:.15g}"))
        text = f"{as_text(other.value, 12)} is taken for {as_text(part.value, 12)}"
        yield Change(POINT, text, other, power, 1.0 if power in (10, 0.1) else RARE)


def product_terms(part: Binary, matrix: Array, vector: Array) -> Iterator[Change]:
    """Of `W @ x`, written out: terms left out, alone, or with the other sign."""
    if vector.ndim != 1 or matrix.ndim not in (1, 2) or not 1 < vector.size <= MOST_COLUMNS:
        return
    whole = plain(part)
    for j in np.flatnonzero(vector):
        term = f"the term of entry {j + 1} in {whole}"
        for kind, factor, what in SLIPS_OF_TERMS:
            changed = matrix.copy()
            changed[..., j] *= factor
            yield Change(kind, f"{term} {what}", _put(part, changed), ("column", j, factor), INNER)
        alone = np.zeros_like(matrix)
        alone[..., j] = matrix[..., j]
        text = f"of {whole} only the term of entry {j + 1} is taken"
        if np.count_nonzero(vector) > 2:
            yield Change(DROPPED, text, _put(part, alone), ("only", j), INNER)
    for a, b in itertools.combinations(range(vector.size), 2):
        order = [*range(vector.size)]
        order[a], order[b] = b, a
        text = f"entries {a + 1} and {b + 1} of {plain(part.right)} are swapped in {whole}"
        yield Change(ORDER, text, _put(part, matrix[..., order]), ("columns", a, b), INNER)
    if matrix.ndim == 2 and matrix.shape[0] > 1 and matrix.size <= MOST_ENTRIES:
        yield from _rows(part, matrix)
        yield from _entry_terms(part, matrix, vector)


def _rows(part: Binary, matrix: Array) -> Iterator[Change]:
    """A row in the place of another, or each in the other's."""
    whole = plain(part.left)
    for i, j in itertools.permutations(range(matrix.shape[0]), 2):
        changed = matrix.copy()
        changed[i] = matrix[j]
        text = f"row {j + 1} of {whole} is taken for row {i + 1}"
        yield Change(ROW, text, _put(part, changed), (i, j), INNER)
        if i < j:
            changed = matrix.copy()
            changed[[i, j]] = matrix[[j, i]]
            text = f"rows {i + 1} and {j + 1} of {whole} are swapped"
            yield Change(ROW, text, _put(part, changed), ("both", i, j), INNER)


def _entry_terms(part: Binary, matrix: Array, vector: Array) -> Iterator[Change]:
    """One term in one of the sums."""
    for i, j in np.ndindex(*matrix.shape):
        if matrix[i, j] * vector[j] == 0:
            continue
        product = f"{as_text(float(matrix[i, j]), 4, True)}*{as_text(float(vector[j]), 4)}"
        where = f"in entry {i + 1} of {plain(part)}"
        for kind, factor, what in SLIPS_OF_TERMS:
            changed = matrix.copy()
            changed[i, j] *= factor
            text = f"{where} the term {product} {what}"
            yield Change(kind, text, _put(part, changed), (i, j, factor), INNER)


def _put(part: Binary, matrix: Array) -> Binary:
    return Binary("@", Shown(matrix, given=True), part.right)

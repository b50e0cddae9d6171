"""Formulas and looks in Python's notation, with numbers as on a board."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from elman.language.read_expression import LEVEL, SIGN_LEVEL
from elman.language.syntax import Binary, Call, Expr, Join, Transpose, Unary, fold
from elman.language.write import PYTHON
from elman.trace.board import ENDS
from elman.trace.formats.fitting import ROW
from elman.trace.leaves import Dated, Entries, Gap, Rows, Shown, Terms, spelled
from elman.trace.numbers import Digits

ATOM, VECTOR = 6, 7  # how tight a number, and a vector with its own brackets, holds together
MORE = ("elu", "elu'", "layer_norm", "rms_norm", "einsum")  # elu(1, 2) would be of two values
SUM, PRODUCT = LEVEL["+"], LEVEL["*"]
WORK, GAP, ENTRY = "_" * 24, "_" * 12, "_" * 6  # what an exercise leaves out


@dataclass(frozen=True)
class _Written:
    """A text, how tight its outermost operator binds, and whether it holds numbers only."""

    text: str
    level: int = ATOM
    is_worked: bool = True
    is_tight: bool = True  # numbers without a vector: 0.5*1 has no spaces

    def within(self, level: int) -> str:
        return self.text if self.level >= level else f"({self.text})"


def write_plain(expr: Expr, digits: Digits) -> str:
    """A formula, or a look, on one line but for the `ROW`s.

    >>> import numpy as np
    >>> two, minus = Shown(np.array(2.0)), Shown(np.array(-3.0))
    >>> write_plain(Binary("+", two, Binary("*", two, minus)), Digits(4))
    '2 + 2*(-3)'
    """
    return fold(expr, lambda part, parts: _visit(part, parts, digits)).text


def changing(looks: Iterable[str]) -> tuple[str, ...]:
    """The looks without those that repeat the one before."""
    kept: list[str] = []
    for look in looks:
        if not kept or look != kept[-1]:
            kept.append(look)
    return tuple(kept)


def _visit(expr: Expr, parts: list[_Written], digits: Digits) -> _Written:
    match expr:
        case Shown(value=value, given=given):
            is_vector = value.ndim == 1 and value.size != 1
            text = digits.array(value, given)
            return _Written(text, VECTOR if is_vector else ATOM, True, value.size == 1)
        case Dated():
            return _Written(spelled(expr), ATOM, False)
        case Gap(shape=shape):
            return _gap(shape, digits.limit)
        case Entries():
            (part,) = parts
            return replace(part, text=f"{part.within(ATOM)}[{expr.range}]", level=ATOM)
        case Terms(count=count):
            return _terms(parts, count)
        case Rows(count=count):
            return _rows(parts, count)
    if parts and any(part.is_worked for part in parts):
        return _worked(expr, parts, all(part.is_tight for part in parts))
    text, level = PYTHON.visit(expr, [(part.text, part.level) for part in parts])
    return _Written(text, level, False)


def _gap(shape: tuple[int, ...] | None, limit: int) -> _Written:
    if shape is not None and len(shape) == 1 and 1 < shape[0] <= limit:
        return _Written(f"({', '.join([ENTRY] * shape[0])})", VECTOR)
    return _Written(WORK if shape is None else GAP)


def _terms(parts: list[_Written], count: int) -> _Written:
    text = parts[0].text
    for k, part in enumerate(parts[1:], 1):
        if k == ENDS and count > len(parts):
            text += " + ..."
        text = _infix("+", _Written(text, SUM), part, True)
    elided = f" ({count} terms)" if count > len(parts) else ""
    return _Written(text + elided, SUM)


def _rows(parts: list[_Written], count: int) -> _Written:
    rows = [part.text for part in parts]
    if count > len(rows):
        rows[ENDS:] = ["...", f"{rows[-1]}; {count} values"]
    return _Written("(" + f",{ROW}".join(rows) + ")", VECTOR, True, False)


def _worked(expr: Expr, parts: list[_Written], is_tight: bool) -> _Written:
    """An operation on operands that are written already."""
    match expr:
        case Binary(op=op):
            return _Written(_infix(op, parts[0], parts[1], is_tight), LEVEL[op], True, is_tight)
        case Transpose():
            return _Written(f"{parts[0].within(ATOM)}.T", ATOM, True, is_tight)
        case Join():
            return _Written(f"[{', '.join(part.text for part in parts)}]", ATOM, True, False)
        case Call(function=function, spec=spec):
            letters = [f'"{spec}"'] if spec else []
            inner = ", ".join([*letters, *(part.text for part in parts)])
            is_vector = len(parts) == 1 and parts[0].level == VECTOR and function not in MORE
            text = f"{function}{inner}" if is_vector else f"{function}({inner})"
            return _Written(text, ATOM, True, is_tight)
    assert isinstance(expr, Unary), expr
    text = parts[0].within(SIGN_LEVEL)
    text = "-" + (f"({text})" if text.startswith("-") else text)
    return _Written(text, SIGN_LEVEL, True, is_tight)


def _infix(op: str, left: _Written, right: _Written, tight: bool) -> str:
    """Both sides with the sign between; `1 + -2` is 1 - 2, and `3*-2` is 3*(-2)."""
    level = LEVEL[op]
    before = left.within(level + (op == "**" or level == LEVEL["<"]))
    if op == "**" and before.startswith("-"):
        before = f"({before})"
    if op == "+" and right.level >= SUM:
        text = right.text
        return f"{before} - {text[1:]}" if text.startswith("-") else f"{before} + {text}"
    after = right.within(level + (op != "**"))
    if after.startswith("-") and level > LEVEL["<"]:
        after = f"({after})"
    hugs = tight and op in ("*", "/", "**")
    return f"{before}{op}{after}" if hugs else f"{before} {op} {after}"

"""A slip of a hand: what it is called, and the expression that it makes."""

from __future__ import annotations

from dataclasses import dataclass

from elman.language.syntax import Binary, Expr, Number
from elman.trace.formats.plain import write_plain
from elman.trace.numbers import Digits

DROPPED, FACTOR, SIGN = "term dropped", "factor dropped", "sign"
SHIFTED, OTHER_NAME = "index shifted", "other name"
EXCHANGED, ROW = "names swapped", "other row"
OTHER_NUMBER = "other number"
FUNCTION, LEFT_OUT = "other function", "function left out"
GATE = "z and 1 - z swapped"
TRANSPOSED, ELEMENTWISE, ORDER = "transposed", "elementwise product", "order"
POWER, BRACKETS, OPERATOR = "power", "brackets", "operator"
DERIVATIVE, POINT, BASE = "other derivative", "decimal point", "base or degrees"


@dataclass(frozen=True, eq=False)
class Slip:
    """A changed expression; `text` says what was changed, `label` is the same at every step."""

    kind: str
    text: str
    expr: Expr
    label: tuple[object, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Change:
    """What a part may have become: the part instead of it, and what that is called."""

    kind: str
    text: str
    part: Expr
    label: object = None  # tells it from others of its kind at the same part
    share: float = 1.0  # how likely it is beside others of its kind


def plain(expr: Expr) -> str:
    """An expression as one reads it."""
    return write_plain(expr, Digits(4)).replace("\n", "")


def is_complement(expr: Expr) -> bool:
    """1 - z?"""
    return isinstance(expr, Binary) and expr.op == "-" and expr.left == Number(1.0)

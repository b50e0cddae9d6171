"""Syntax -> text: Python's notation, which reads back to the same cell, and plain Unicode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from elman.ir import cell as ir
from elman.ir.cell import Number as Literal
from elman.language.read_expression import LEVEL, SIGN_LEVEL
from elman.language.reading import Reading
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Join,
    Line,
    Name,
    Number,
    Remark,
    Return,
    Text,
    Transpose,
    Unary,
    fold,
)
from elman.language.unlower import unlower

ATOM = 6  # binds tighter than every operator
POWER = LEVEL["**"]

Written = tuple[str, int]  # a text, and how tight its outermost operator binds


def write(reading: Reading | Text) -> str:
    """The text of a reading, one equation a line, with the fewest brackets.

    >>> from elman.language import read
    >>> print(write(read("h[t] = (W@x[t]) + ((1-z[t])*h[t-1])  # leaky")), end="")
    h[t] = W @ x[t] + (1 - z[t]) * h[t-1]  # leaky
    """
    return _write(reading.text if isinstance(reading, Reading) else reading, PYTHON)


def write_text(reading: Reading | Text) -> str:
    """The equations in plain Unicode, for reading only.

    >>> from elman.language import read
    >>> print(write_text(read("h[t] = sigmoid(W @ x[t] + alpha * h[t-1])")), end="")
    hₜ = σ(W xₜ + α ⊙ hₜ₋₁)
    """
    return _write(reading.text if isinstance(reading, Reading) else reading, PLAIN)


def write_cell(cell: ir.Cell) -> str:
    """The text of a cell that was built in memory, or that passes have changed.

    Where the node of another equation stands, its name is written.
    """
    return write(unlower(cell))


def write_expression(expr: Expr) -> str:
    """A right side in Python's notation.

    >>> write_expression(Binary("*", Binary("+", Name("a"), Name("b")), At("h", 1)))
    '(a + b) * h[t-1]'
    """
    return fold(expr, PYTHON.visit)[0]


@dataclass(frozen=True)
class _Notation:
    """How a notation spells what differs between notations."""

    visit: Callable[[Expr, list[Written]], Written]
    name: Callable[[str], str]
    at: Callable[[str, int], str]


def _write(text: Text, notation: _Notation) -> str:
    return "".join(_line(line, notation).rstrip() + "\n" for line in text.lines)


def _line(line: Line, notation: _Notation) -> str:
    match line:
        case Equation(name=name, per_step=per_step, value=value):
            left = notation.at(name, 0) if per_step else notation.name(name)
            body = f"{left} = {fold(value, notation.visit)[0]}"
        case Constant(name=name, value=number):
            body = f"{notation.name(name)} = {_literal(number)}"
        case Declaration(name=name):
            body = f"{notation.name(name)}: {_declared(line)}"
        case Return(names=names):
            body = f"return {', '.join(notation.name(name) for name in names)}"
        case Remark():
            body = ""
    comment = " ".join(line.comment.split("\n"))
    return (f"{body}  # {comment}" if body else f"# {comment}") if comment else body


def _declared(line: Declaration) -> str:
    sizes = [] if line.shape is None else list(line.shape) or ["scalar"]
    over = {"b": ["per sequence"], "t": ["per step"], None: []}[line.over]
    return ", ".join([size.replace("+", " + ") for size in sizes] + over)


def _literal(value: Literal) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return "-" * (str(value)[0] == "-") + _number(abs(value))


def _number(value: float) -> str:
    """The shortest text that reads back to the same number: `2`, `0.9`, `1e-5`."""
    text = repr(float(value)).removesuffix(".0")
    return text.replace("e+", "e").replace("e-0", "e-")


def _bracketed(written: Written, level: int) -> str:
    return written[0] if written[1] >= level else f"({written[0]})"


def _operands(op: str, parts: list[Written]) -> tuple[str, str]:
    """Both sides, in brackets where the operator would otherwise take only a part of them."""
    left, right = parts
    level = LEVEL[op]
    tighter = level + 1
    if op == "**":  # from the right, and a sign may follow it
        return _bracketed(left, tighter), _bracketed(right, SIGN_LEVEL)
    return _bracketed(left, tighter if level == 1 else level), _bracketed(right, tighter)


def _is_atom(text: str, written: Written) -> bool:
    return written[1] == ATOM or text != written[0]  # or it has been put in brackets


def _python(expr: Expr, parts: list[Written]) -> Written:
    match expr:
        case Number(value=value):
            return _number(value), ATOM
        case Name(name=name):
            return name, ATOM
        case At(name=name, lag=lag):
            return _python_at(name, lag), ATOM
        case Unary():
            return "-" + _bracketed(parts[0], SIGN_LEVEL), SIGN_LEVEL
        case Binary(op=op):
            left, right = _operands(op, parts)
            hugs = op == "**" and _is_atom(left, parts[0]) and _is_atom(right, parts[1])
            return f"{left}**{right}" if hugs else f"{left} {op} {right}", LEVEL[op]
        case Transpose():
            level = ATOM + parts[0][0].isdecimal()  # 2.T would be the number 2. and a name
            return _bracketed(parts[0], level) + ".T", ATOM
        case Join():
            return f"[{', '.join(text for text, _ in parts)}]", ATOM
        case Call(function=function):
            return f"{function}({', '.join(text for text, _ in parts)})", ATOM
    raise AssertionError(expr)


def _python_at(name: str, lag: int) -> str:
    return f"{name}[t{-lag:+d}]" if lag else f"{name}[t]"


_LOW = str.maketrans("0123456789-t", "₀₁₂₃₄₅₆₇₈₉₋ₜ")
_HIGH = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SIGNS = {"@": " ", "*": " ⊙ ", "/": " / ", "<=": " ≤ ", ">=": " ≥ ", "!=": " ≠ ", "==": " = "}
_AROUND = {"abs": "|{}|", "norm": "‖{}‖", "sqrt": "√({})", "sigmoid": "σ({})", "logistic": "σ({})"}
_LETTERS = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda lam mu nu xi pi rho sigma tau
    upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
"""
_GREEK = dict(zip(_LETTERS.split(), "αβγδεζηθικλλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ", strict=True))


def _plain(expr: Expr, parts: list[Written]) -> Written:
    match expr:
        case Name(name=name):
            return _plain_name(name), ATOM
        case At(name=name, lag=lag):
            return _plain_at(name, lag), ATOM
        case Binary(op="**", right=Number(value=value)) if value == int(value):
            power = _number(value).translate(_HIGH)
            return _bracketed(parts[0], ATOM) + power, POWER
        case Binary(op=op, left=first, right=second):
            left, right = _operands(op, parts)
            sign = _SIGNS.get(op, f" {op} ")
            if op == "*" and isinstance(first, Number) | isinstance(second, Number):
                sign = " · "
            return left + sign + right, LEVEL[op]
        case Transpose():
            return _bracketed(parts[0], ATOM) + "ᵀ", ATOM
        case Call(function=function) if function in _AROUND:
            return _AROUND[function].format(parts[0][0]), ATOM
    return _python(expr, parts)


def _plain_name(name: str) -> str:
    """`alpha` is α; `W_1` is W₁; `W_z` has no letter for its index and stays."""
    first, *rest = name.split("_")
    first = _GREEK.get(first, first)
    if len(rest) == 1 and rest[0].isdecimal():
        return first + rest[0].translate(_LOW)
    return "_".join([first, *(_GREEK.get(part, part) for part in rest)])


def _plain_at(name: str, lag: int) -> str:
    return _plain_name(name) + (f"t{-lag:+d}" if lag else "t").translate(_LOW)


PYTHON = _Notation(_python, str, _python_at)
PLAIN = _Notation(_plain, _plain_name, _plain_at)

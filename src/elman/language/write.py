"""Syntax -> text: Python's notation, which reads back to the same cell, and plain Unicode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elman.ir import cell as ir
from elman.ir.cell import Number as Literal
from elman.language.letters import plain_name
from elman.language.named import declared_as, shortest
from elman.language.read_expression import LEVEL, SIGN_LEVEL
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Index,
    Initial,
    Join,
    Line,
    Name,
    Number,
    Range,
    Return,
    Text,
    Transpose,
    Unary,
    Use,
    fold,
)
from elman.language.unlower import unlower

if TYPE_CHECKING:
    from elman.language.reading import Reading

ATOM = 6  # binds tighter than every operator
POWER = LEVEL["**"]
SHORT = 9  # matrices in a row

Written = tuple[str, int]  # a text, and how tight its outermost operator binds


def write(reading: Reading | Text) -> str:
    """The text of a reading, one equation a line, with the fewest brackets.

    >>> from elman.language import read
    >>> print(write(read("h[t] = (W@x[t]) + ((1-z[t])*h[t-1])  # leaky")), end="")
    h[t] = W @ x[t] + (1 - z[t]) * h[t-1]  # leaky
    """
    return _write(reading if isinstance(reading, Text) else reading.text, PYTHON)


def write_text(reading: Reading | Text) -> str:
    """The equations in plain Unicode; inner loops and cells are written out.

    >>> from elman.language import read
    >>> print(write_text(read("h[t] = sigmoid(W @ x[t] + alpha * h[t-1])")), end="")
    hₜ = σ(W xₜ + α ⊙ hₜ₋₁)
    """
    return _write(reading if isinstance(reading, Text) else reading.expanded, PLAIN)


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
    start: Callable[[str, int], str]  # h[0]


def _write(text: Text, notation: _Notation) -> str:
    return "".join(_line(line, notation).rstrip() + "\n" for line in text.lines)


def _line(line: Line, notation: _Notation) -> str:
    body = _body(line, notation)
    comment = " ".join(line.comment.split("\n"))
    return (f"{body}  # {comment}" if body else f"# {comment}") if comment else body


def _body(line: Line, notation: _Notation) -> str:
    match line:
        case Equation() | Initial():
            return f"{_left(line, notation)} = {fold(line.value, notation.visit)[0]}"
        case Constant(value=number):
            return f"{_left(line, notation)} = {_literal(number)}"
        case Declaration(name=name):
            return f"{notation.name(name)}: {declared_as(line)}"
        case Range():
            return f"{line.name} = {line.first}..{line.last}"
        case Use():
            values = ((each.name, fold(each.value, notation.visit)[0]) for each in line.given)
            given = ", ".join(f"{name} = {value}" for name, value in values)
            return f"{notation.name(line.name)}: {line.cell}({given})"
        case Return(names=names):
            return f"return {', '.join(notation.name(name) for name in names)}"
    return ""


def _left(line: Equation | Initial | Constant, notation: _Notation) -> str:
    """The left side; one of a round as it is typed."""
    name, index = line.name, line.index
    match line:
        case Initial(step=step):
            return notation.start(name, step) if index is None else f"{name}[{step},{index}]"
        case Equation(per_step=True):
            return notation.at(name, 0) if index is None else _python_at(name, 0, index)
    return notation.name(name) if index is None else f"{name}[{index}]"


def _literal(value: Literal) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return "-" * (str(value)[0] == "-") + shortest(abs(value))


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
            return shortest(value), ATOM
        case Name(name=name, index=index):
            return name if index is None else f"{name}[{index}]", ATOM
        case At(name=name, lag=lag, index=index):
            return _python_at(name, lag, index), ATOM
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
        case Call(function=function, spec=spec):
            letters = [f'"{spec}"'] if spec else []  # of einsum
            return f"{function}({', '.join([*letters, *(text for text, _ in parts)])})", ATOM
    raise AssertionError(expr)


def _python_at(name: str, lag: int, index: Index | None = None) -> str:
    inner = "" if index is None else f",{index}"
    return f"{name}[t{-lag:+d}{inner}]" if lag else f"{name}[t{inner}]"


_HIGH = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SIGNS = {"*": " ⊙ ", "/": " / ", "<=": " ≤ ", ">=": " ≥ ", "!=": " ≠ "}
_AROUND = {"abs": "|{}|", "norm": "‖{}‖", "sqrt": "√({})", "sigmoid": "σ({})", "logistic": "σ({})"}


def _plain(expr: Expr, parts: list[Written]) -> Written:
    match expr:
        case Name(name=name, index=None):
            return plain_name(name), ATOM
        case At(name=name, lag=lag, index=None):
            return _plain_at(name, lag), ATOM
        case Binary(op="**", right=Number(value=value)) if value == int(value):
            power = shortest(value).translate(_HIGH)
            return _bracketed(parts[0], ATOM) + power, POWER
        case Binary(op=op, left=first, right=second):
            left, right = _operands(op, parts)
            sign = _SIGNS.get(op, f" {op} ")
            if op == "*" and isinstance(first, Number) | isinstance(second, Number):
                sign = " · "
            if op == "@" and _is_capital(first):
                sign = " "
            if op == "==":  # it must not look like the equation's own sign
                return f"({left} = {right})", ATOM
            return left + sign + right, 0 if op == "%" else LEVEL[op]
        case Transpose():
            return _bracketed(parts[0], ATOM) + "ᵀ", ATOM
        case Call(function=function) if function in _AROUND:
            return _AROUND[function].format(parts[0][0]), ATOM
    return _python(expr, parts)


def _is_capital(expr: Expr) -> bool:
    """Is it a matrix by its letter, which needs no sign before a vector? Long chains get signs."""
    for _ in range(SHORT):
        match expr:
            case Name(name=name):
                return name[0].isupper()
            case Transpose(arg=arg):
                expr = arg
            case Binary(op="@", left=left, right=Name(name=name) | Transpose(arg=Name(name=name))):
                if not name[0].isupper():
                    return False
                expr = left
            case _:
                return False
    return False


def _plain_at(name: str, lag: int) -> str:
    return plain_name(name, f"t-{lag}" if lag else "t")


PYTHON = _Notation(_python, str, _python_at, lambda name, step: f"{name}[{step}]")
PLAIN = _Notation(_plain, plain_name, _plain_at, lambda name, step: plain_name(name, str(step)))

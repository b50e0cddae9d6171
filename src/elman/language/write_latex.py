r"""Syntax -> LaTeX, as a page prints it; `Cell.from_latex` reads it back to the same cell.

Products are told apart as on a page: W x_t is a matrix product where the letter is a capital or a
matrix by its declaration, 2 x_t and \alpha x_t are elementwise where the first is a number. Where
the letters do not decide, a sign does: \odot is elementwise, \mathbin{@} a matrix product.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elman.ir.cell import Number as Literal
from elman.ir.node import Shape
from elman.language.latex_nodes import last_result
from elman.language.letters import OPERATORS, latex_name
from elman.language.read_expression import COMPARISONS
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Initial,
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
    walk,
)

if TYPE_CHECKING:
    from elman.language.reading import Reading

# how tight the outermost operator of a text binds; CLOSED needs brackets under a power only
COMPARED, REMAINDER, SUM, PRODUCT, BESIDE, SIGNED, CLOSED, ATOM = range(1, 9)

# how an operator stands between its operands
SIGNS = {
    "+": "+",
    "-": "-",
    "*": r"\odot",
    "@": r"\mathbin{@}",
    "%": r"\bmod",
    "<": "<",
    ">": ">",
    "<=": r"\le",
    ">=": r"\ge",
    "==": "=",
    "!=": r"\neq",
}
# functions that are brackets
AROUND = {
    "abs": (r"\lvert", r"\rvert"),
    "norm": (r"\lVert", r"\rVert"),
    "floor": (r"\lfloor", r"\rfloor"),
    "dot": (r"\langle", r"\rangle"),
}
# functions that LaTeX has a command for, or a Greek letter
COMMANDS = {name: rf"\{name}" for name in ("tanh", "exp", "log", "sin", "cos", "max", "min")}
COMMANDS |= {"maximum": r"\max", "minimum": r"\min", "sqrt": r"\sqrt"}
COMMANDS |= dict.fromkeys(("sigmoid", "logistic", "σ"), r"\sigma")

_OVER: dict[str | None, list[str]] = {"b": ["per sequence"], "t": ["per step"], None: []}
_RANKS = ("scalar", "", "matrix")
_SINGLE = ("sum", "mean", "norm", "dot", "logsumexp")  # functions whose value is one number
NUMBERS = ("number", "scalar", "single")


def write_latex(reading: Reading | Text, environment: str = "align") -> str:
    r"""The equations as a page prints them.

    >>> from elman.language import read
    >>> print(write_latex(read("h[t] = sigmoid(W_h @ x[t] + b) * h[t-1]")))
    \begin{align}
      h_t &= \sigma(W_h x_t + b) \odot h_{t-1}
    \end{align}
    """
    text = reading if isinstance(reading, Text) else reading.expanded
    page = Page.of(text)
    lines = [page.line(line) for line in _said(text) if not _says_nothing(line, text)]
    body = " \\\\\n".join("  " + line for line in lines)
    return f"\\begin{{{environment}}}\n{body}\n\\end{{{environment}}}"


def _said(text: Text) -> tuple[Line, ...]:
    """The lines, with a `return` of the last value where a page would be read otherwise."""
    last = tuple(e.name for e in text.equations if e.per_step)[-1:]
    if any(isinstance(line, Return) for line in text.lines):
        return text.lines
    return (*text.lines, Return(last)) if last else text.lines


def _says_nothing(line: Line, text: Text) -> bool:
    """A comment, or a `return` of what a page gives back anyway."""
    if isinstance(line, Return):
        return line.names == (last_result(text.lines),)
    return isinstance(line, Remark)


@dataclass(frozen=True)
class Written:
    """A text, how tight it binds, and what it is known to be.

    The kind is number, scalar (a name that may stand before what it scales), single (any other
    scalar) or matrix; empty where nothing is known.
    """

    text: str
    level: int = ATOM
    kind: str = ""

    def within(self, level: int) -> str:
        """In round brackets, where it does not bind as tight as that."""
        return self.text if self.level >= level else bracketed(self.text)

    def after(self, level: int) -> str:
        """As `within`; in brackets too where a sign would follow an operator."""
        text = self.within(level)
        return bracketed(text) if text[0] == "-" else text


def bracketed(text: str, opening: str = "(", closing: str = ")") -> str:
    """Brackets as high as what they hold."""
    text = text if len(opening) == 1 else f" {text} "
    is_high = any(rf"\{command}" in text for command in ("frac", "sqrt", "begin", "left"))
    return rf"\left{opening}{text}\right{closing}" if is_high else opening + text + closing


@dataclass(frozen=True)
class Page:
    """What the lines of a text say about its names; `shows` writes what the language lacks."""

    kinds: Mapping[str, str]  # of the names of which the text says it
    moving: frozenset[str]  # names that have a value at every step
    whole: frozenset[str]  # names that look like another name's start: `h_0` beside `h[t]`
    shows: Callable[[Expr, list[Written]], Written | None] = lambda expr, parts: None

    @classmethod
    def of(cls, text: Text) -> Page:
        kinds = {}
        for line in text.lines:
            match line:
                case Constant(name=name, value=value):
                    kinds[name] = _RANKS[min(_rank(value), 2)]
                case Declaration(name=name, shape=shape) if shape is not None:
                    kinds[name] = _RANKS[min(len(shape), 2)]
        valued = [line for line in text.lines if isinstance(line, Equation | Initial)]
        parts = [part for line in valued for part in walk(line.value)]
        moving = {part.name for part in parts if isinstance(part, At)}
        moving |= {equation.name for equation in text.equations if equation.per_step}
        names = {line.name for line in text.lines if not isinstance(line, Remark | Return)}
        names |= {part.name for part in parts if isinstance(part, Name)}
        numbered = (name.rpartition("_") for name in names - moving)
        whole = (f"{name}_{n}" for name, _, n in numbered if n.isdecimal() and name in moving)
        page = cls(kinds, frozenset(moving), frozenset(whole))
        others = [equation for equation in text.equations if equation.name not in kinds]
        kinds |= {equation.name: "" for equation in others}
        for _ in others:  # each may read the others, in any order
            found = {equation.name: page.computed(equation) for equation in others}
            if found.items() <= kinds.items():
                break
            kinds |= found
        return page

    def computed(self, equation: Equation) -> str:
        """What a line's value is known to be; at a step a matrix is one by declaration only."""
        kind = self.write(equation.value).kind
        if kind in NUMBERS:
            return "single"
        return "" if equation.per_step else kind

    # ---- lines ----

    def line(self, line: Line) -> str:
        match line:
            case Equation(name=name, per_step=True, value=value):
                return f"{self.at(name)} &= {self.right(value)}"
            case Equation(name=name, value=value):
                return f"{self.name(name)} &= {self.right(value)}"
            case Constant(name=name, value=value):
                return f"{self.name(name)} &= {_literal(value)}"
            case Initial(name=name, step=step, value=value):
                return f"{self.name(name, str(step))} &= {self.right(value)}"
            case Declaration():
                return self.declaration(line)
            case Return(names=names):
                return rf"&\text{{return }} {', '.join(map(self.at, names))}"
        raise AssertionError(line)

    def declaration(self, line: Declaration) -> str:
        r"""`m_t \in \mathbb{R}^{\text{hidden}} \text{ per step}`; a name as it is read."""
        name = self.at(line.name) if line.name in self.moving else self.name(line.name)
        said = []
        if line.shape is not None:
            said.append(rf"\in \mathbb{{R}}{_shape(line.shape)}")
        if line.bernoulli is not None:
            chance = line.bernoulli
            chance = self.name(chance) if isinstance(chance, str) else _literal(chance)
            said.append(rf"\sim \operatorname{{Bernoulli}}({chance})")
        said += [rf"\text{{ {words}}}" for words in _OVER[line.over]]
        said += [r"\text{ frozen}"] if line.frozen else []
        said += [rf"\text{{ role {line.role}}}"] if line.role else []
        return f"{name} &{' '.join(said)}"

    def right(self, value: Expr) -> str:
        """A right side; conditions at its top become cases."""
        rows = []
        while _is_choice(value):
            condition, chosen, value = value.parts
            rows.append(rf"{self.write(chosen).text} & \text{{if }} {self.write(condition).text}")
        last = self.write(value)
        if not rows:
            return last.within(REMAINDER)
        rows.append(rf"{last.text} & \text{{otherwise}}")
        return _environment("cases", rows)

    def name(self, name: str, time: str = "") -> str:
        return latex_name(name, time, whole=name in self.whole)

    def at(self, name: str, lag: int = 0) -> str:
        return self.name(name, f"t-{lag}" if lag else "t")

    # ---- right sides ----

    def write(self, value: Expr) -> Written:
        return fold(value, self.visit)

    def visit(self, expr: Expr, parts: list[Written]) -> Written:
        shown = self.shows(expr, parts)
        if shown is not None:
            return shown
        text, level = self.spelled(expr, parts)
        return Written(text, level, self.kind(expr, [part.kind for part in parts]))

    def spelled(self, expr: Expr, parts: list[Written]) -> tuple[str, int]:
        match expr:
            case Number(value=value):
                return _number(value)
            case Name(name=name):
                return self.name(name), ATOM
            case At(name=name, lag=lag):
                return self.at(name, lag), ATOM
            case Unary():
                return "-" + parts[0].within(CLOSED), SIGNED
            case Transpose():
                return _transposed(*parts)
            case Join():
                inner = ", ".join(part.text for part in parts)
                if len(parts) == 1:  # [x] would be read as (x)
                    return called(OPERATORS["concat"], inner), CLOSED
                return bracketed(inner, "[", "]"), CLOSED
            case Call():
                return _call(expr, ", ".join(part.text for part in parts))
            case Binary(op=op):
                return INFIX[op](expr, *parts)
        raise AssertionError(expr)

    def kind(self, expr: Expr, kinds: list[str]) -> str:
        """What a part is known to be; a capital without a step is a matrix if nothing else."""
        match expr:
            case Number():
                return "number"
            case Name(name="t"):
                return "single"
            case Name(name=name):
                return self.kinds.get(name, "matrix" if name[0].isupper() else "")
            case At(name=name):
                return self.kinds.get(name, "")
            case Unary() | Transpose():
                return kinds[0]
            case Call(function=function) if function in _SINGLE or _is_extreme(expr):
                return "single"
            case Call(function="outer"):
                return "matrix"
            case Join() | Call(function="einsum" | "softmax" | "cumsum"):
                return ""
            case Binary(op="@"):
                return "matrix" if kinds == ["matrix", "matrix"] else ""
            case Binary(op="*") if "scalar" in kinds and set(kinds) <= {"scalar", "number"}:
                return "scalar"
        others = set(kinds) - set(NUMBERS)
        return "single" if not others else "matrix" if others == {"matrix"} else ""


def _is_extreme(call: Call) -> bool:
    return call.function in ("max", "min") and len(call.args) == 1


def _is_choice(value: Expr) -> bool:
    if not (isinstance(value, Call) and value.function == "where"):
        return False
    condition = value.args[0]
    return isinstance(condition, Binary) and condition.op in COMPARISONS


def _rank(value: Literal) -> int:
    return 1 + _rank(value[0]) if isinstance(value, tuple) else 0


def _environment(name: str, rows: Iterable[str]) -> str:
    return rf"\begin{{{name}}} " + r" \\ ".join(rows) + rf" \end{{{name}}}"


def _number(value: float) -> tuple[str, int]:
    mantissa, _, exponent = repr(float(value)).removesuffix(".0").partition("e")
    if not exponent:
        return mantissa, ATOM
    power = f"10^{{{int(exponent)}}}"
    return (power if mantissa == "1" else rf"{mantissa} \times {power}"), CLOSED


def _literal(value: Literal) -> str:
    """A number, a vector as a list, a matrix; not a thin one, which would look like a vector."""
    if not isinstance(value, tuple):
        return "-" * (str(value)[0] == "-") + _number(abs(value))[0]
    rows = [row for row in value if isinstance(row, tuple) and len(value) > 1 < len(row)]
    if len(value) == 1 and not isinstance(value[0], tuple):
        rows = [value]  # [2] would be read as (2)
    if rows:
        return _environment("bmatrix", [" & ".join(map(_literal, row)) for row in rows])
    return f"[{', '.join(map(_literal, value))}]"


def _shape(shape: Shape) -> str:
    sizes = [" + ".join(map(_size, size.split("+"))) for size in shape]
    if len(sizes) > 1:
        sizes = [f"({size})" if " + " in size else size for size in sizes]
    product = r" \times ".join(sizes)
    return f"^{{{product}}}" if product else ""


def _size(size: str) -> str:
    font = "mathrm" if "_" in size else "text"
    return size if size.isdecimal() else rf"\{font}{{{size}}}".replace("_", r"\_")


def called(function: str, inner: str) -> str:
    return rf"\operatorname{{{function}}}" + bracketed(inner)


def _call(expr: Call, inner: str) -> tuple[str, int]:
    function = expr.function
    if function in AROUND:
        return bracketed(inner, *AROUND[function]), ATOM
    if function == "sqrt":
        return rf"\sqrt{{{inner}}}", ATOM
    if function == "einsum":
        spec = expr.spec.replace("->", r" \to ")
        return rf"\operatorname{{einsum}}_{{{spec}}}" + bracketed(inner), CLOSED
    if function in COMMANDS:
        return COMMANDS[function] + bracketed(inner), CLOSED
    return called(OPERATORS[function], inner), CLOSED


def _transposed(arg: Written) -> tuple[str, int]:
    """A matrix with its sign above; above a vector it would make an inner product."""
    if arg.kind == "matrix":
        return arg.within(ATOM) + r"^\top", CLOSED
    return called(OPERATORS["transpose"], arg.text), CLOSED


def _power(expr: Binary, base: Written, exponent: Written) -> tuple[str, int]:
    """A power; where its exponent may be taken for an index or a time, the base has brackets."""
    above = exponent.within(SUM)
    if above == "t":
        above = "(t)"
    elif len(above) == 1 and above.isalpha():  # a T is a transposition, an i counts entries
        above = rf"\mathit{{{above}}}"
    elif above in ("0", "1"):  # W^1 is the first W
        above += ".0"
    is_number = exponent.kind == "number" and exponent.level != CLOSED
    match expr.left:
        case Number():
            is_clear = not (base.text == "10" and is_number)  # 10^{-5} is a number
        case Name(name=name):
            is_clear = is_number and name != "e" and not name[0].isupper()
        case _:
            is_clear = is_number
    held = base.text if is_clear and base.level == ATOM else bracketed(base.text)
    return held + (f"^{above}" if len(above) == 1 else f"^{{{above}}}"), CLOSED


def _fraction(expr: Binary, left: Written, right: Written) -> tuple[str, int]:
    return rf"\frac{{{left.within(REMAINDER)}}}{{{right.within(REMAINDER)}}}", CLOSED


def _between(level: int, first: int, second: int) -> _Operator:
    """An operator with its operands around it, which bind at least so tight."""

    def write(expr: Binary, left: Written, right: Written) -> tuple[str, int]:
        after = right.within(second) if level < SUM else right.after(second)
        return f"{left.within(first)} {SIGNS[expr.op]} {after}", level

    return write


def _elementwise(expr: Binary, left: Written, right: Written) -> tuple[str, int]:
    first = right.within(CLOSED)
    is_scaled = left.kind in ("number", "scalar")
    if is_scaled and not first[0].isdigit() and not _looks_like_time(left, first):
        return f"{left.within(BESIDE)} {first}", BESIDE
    is_plain = left.kind == right.kind == "number" and right.level == ATOM
    sign = r"\cdot" if is_plain else SIGNS["*"]  # 2 \cdot 10^{-5} would be one number
    return f"{left.within(PRODUCT)} {sign} {right.after(BESIDE)}", PRODUCT


def _matrix_product(expr: Binary, left: Written, right: Written) -> tuple[str, int]:
    first = right.within(CLOSED)
    is_seen = left.kind == "matrix" and right.kind not in NUMBERS
    if is_seen and not _looks_like_time(left, first):
        return f"{left.within(BESIDE)} {first}", BESIDE
    return f"{left.within(PRODUCT)} {SIGNS['@']} {right.after(BESIDE)}", PRODUCT


def _looks_like_time(left: Written, right: str) -> bool:
    """Would brackets after a name be read as h(t-1), or as a call of a word?"""
    is_word = re.search(r"\\mathit\{[^{}]*\}$", left.text) is not None
    return right[:2] in ("(t", "[t") or (is_word and right[0] in "([")


_Operator = Callable[[Binary, Written, Written], tuple[str, int]]
INFIX: dict[str, _Operator] = {
    "+": _between(SUM, SUM, PRODUCT),
    "-": _between(SUM, SUM, PRODUCT),
    "*": _elementwise,
    "/": _fraction,
    "@": _matrix_product,
    "**": _power,
    "%": _between(REMAINDER, PRODUCT, PRODUCT),
    **dict.fromkeys(COMPARISONS, _between(COMPARED, REMAINDER, REMAINDER)),
}

"""Formulas and looks in MathML Core, which every browser sets without a script or a font of ours.

One table says for each kind of part how it is set; how tight operators bind, and what a name is
(a matrix, a number), is known to `language.write_latex`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from elman.language.letters import OPERATORS
from elman.language.named import shortest
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Expr,
    Join,
    Name,
    Number,
    Transpose,
    Unary,
    fold,
)
from elman.language.write_latex import (
    ATOM,
    BESIDE,
    CLOSED,
    COMPARED,
    NUMBERS,
    PRODUCT,
    REMAINDER,
    SIGNED,
    SUM,
    Page,
)
from elman.trace.board import ENDS
from elman.trace.document import Array, Document
from elman.trace.entries import TALL, entries, laid_out
from elman.trace.formats.mathml_names import identifier, indexed, math_name, moment
from elman.trace.leaves import (
    GRADIENT,
    INNER,
    SINCE,
    UPDATED,
    Dated,
    Entries,
    Gap,
    Rows,
    Shown,
    Terms,
    since,
)
from elman.trace.numbers import Digits

VECTOR = ATOM + 1  # what has brackets of its own
NUMBER, MATRIX = "number", "matrix"
GAP = '<mspace class="gap"'
TRANSPOSED = "\u22a4"
FIGURE = re.compile("(?:<m(?:row|sup)>)*<mn>")
TIMES, APPLY = "\u2062", "\u2061"  # signs that are heard and not seen
# operator -> its sign, how tight it binds, and how tight its operands must
INFIX = {
    "+": ("+", SUM, SUM, PRODUCT),
    "-": ("−", SUM, SUM, PRODUCT),
    "%": ("mod", REMAINDER, PRODUCT, PRODUCT),
    "<": ("<", COMPARED, REMAINDER, REMAINDER),
    ">": (">", COMPARED, REMAINDER, REMAINDER),
    "<=": ("≤", COMPARED, REMAINDER, REMAINDER),
    ">=": ("≥", COMPARED, REMAINDER, REMAINDER),
    "==": ("=", COMPARED, REMAINDER, REMAINDER),
    "!=": ("≠", COMPARED, REMAINDER, REMAINDER),
}
# functions that are brackets
AROUND = {"abs": "||", "norm": "‖‖", "floor": "⌊⌋", "dot": "⟨⟩"}
WORDS = {"sigmoid": "σ", "logistic": "σ", "σ": "σ", "maximum": "max", "minimum": "min"}


@dataclass(frozen=True)
class Box:
    """Markup, how tight it binds and what it is; `rest` is what follows a minus at its start."""

    xml: str
    level: int = ATOM
    kind: str = ""
    rest: str = ""

    def within(self, level: int) -> str:
        return self.xml if self.level >= level else bracketed(self.xml)

    def after(self, level: int) -> str:
        """As `within`; in brackets too where a sign would follow an operator."""
        return bracketed(self.xml) if self.rest else self.within(level)


def row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def sign(text: str, **attributes: str) -> str:
    said = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<mo{said}>{escape(text)}</mo>"


def bracketed(xml: str, around: str = "()") -> str:
    before, after = tuple(around)
    is_high = "<mtable" in xml or "<mfrac" in xml
    grows = {} if is_high else {"stretchy": "false"}
    forms = ({"form": "prefix"}, {"form": "postfix"}) if before == after else ({}, {})
    return row(sign(before, **grows, **forms[0]), xml, sign(after, **grows, **forms[1]))


def column(cells: Sequence[str], style: str = "vector") -> str:
    """Entries under each other in round brackets."""
    rows = "".join(f"<mtr><mtd>{cell}</mtd></mtr>" for cell in cells)
    return bracketed(f'<mtable class="{style}">{rows}</mtable>')


def matrix(rows: Sequence[str]) -> str:
    """Rows of cells in square brackets."""
    inner = "".join(f"<mtr>{cells}</mtr>" for cells in rows)
    return bracketed(f'<mtable class="matrix">{inner}</mtable>', "[]")


class MathML:
    """Writes expressions with the letters of a document's equations."""

    def __init__(self, document: Document, digits: Digits) -> None:
        page = Page.of(document.text)
        self.digits, self.page = digits, replace(page, kinds=document.kinds(page.kinds))

    def write(self, expr: Expr) -> str:
        """The markup of an expression, or of a look, without the `math` around it."""
        return fold(expr, self.visit).xml

    def visit(self, expr: Expr, parts: list[Box]) -> Box:
        box = TABLE[type(expr)](self, expr, parts)
        if box.kind or not parts:
            return box
        kinds = [part.kind for part in parts]
        if all(kind == NUMBER for kind in kinds):
            return replace(box, kind=NUMBER)
        known = not isinstance(expr, Terms | Rows | Entries)
        return replace(box, kind=self.page.kind(expr, kinds)) if known else box

    # ---- numbers and names ----

    def number(self, expr: Any, parts: list[Box]) -> Box:
        return figure(shortest(expr.value))

    def shown(self, expr: Any, parts: list[Box]) -> Box:
        return self.value(expr.value, expr.given)

    def bare(self, expr: Any, parts: list[Box]) -> Box:
        return Box(self.name_of(expr.name), ATOM, self.page.kind(expr, []))

    def at(self, expr: Any, parts: list[Box]) -> Box:
        time = row(identifier("t"), sign("−"), identifier(str(expr.lag)))
        low = time if expr.lag else identifier("t")
        return Box(indexed(self.name_of(expr.name), [low]), ATOM, self.page.kind(expr, []))

    def name_of(self, name: str, time: str = "") -> str:
        return math_name(name, time, whole=name in self.page.whole)

    def dated(self, name: Any, parts: list[Box]) -> Box:
        is_moving = name.name in self.page.moving
        time = "" if name.step is None or name.name == "t" else str(name.step)
        kind = self.page.kinds.get(name.name, "")
        if not is_moving and not kind and name.name[0].isupper():
            kind = MATRIX
        if name.kind.startswith(INNER):
            which = name.kind.removeprefix(INNER).strip()
            letter = (
                f"<msup><mi>δ</mi>{bracketed(identifier(which))}</msup>" if which else "<mi>δ</mi>"
            )
            low = [self.name_of(name.name), *([moment(time)] if time else [])]
            return Box(indexed(letter, low), CLOSED if which else ATOM, kind)
        if name.kind == GRADIENT:
            return self.gradient(name.name, time, is_moving, kind)
        if name.kind.startswith(SINCE):
            return self.since(name, time, kind if kind in NUMBERS else "")
        if name.kind == UPDATED:
            return Box(indexed(self.name_of(name.name), ["<mtext>new</mtext>"]), ATOM, kind)
        return Box(self.name_of(name.name, time), ATOM, kind)

    def gradient(self, name: str, time: str, is_moving: bool, kind: str) -> Box:
        """dE/dh[2]; of a weight at a step what that step adds to it."""
        text = _partial("<mi>E</mi>", self.name_of(name, time if is_moving else ""))
        if time and not is_moving:
            text = _barred(text, moment(time))
        return Box(text, CLOSED, kind)

    def since(self, name: Any, time: str, kind: str) -> Box:
        """dh[3]/dh[0]; of one path alone with the name that it goes through."""
        before, is_alone = since(name.kind)
        text = _partial(self.name_of(name.name, time), self.name_of(name.name, before))
        if is_alone:
            text = _barred(text, row(self.name_of(name.name), "<mtext>\u00a0alone</mtext>"))
        return Box(text, CLOSED, kind)

    def gap(self, expr: Any, parts: list[Box]) -> Box:
        shape: tuple[int, ...] | None = expr.shape
        tall, wide = laid_out(shape, self.digits.limit)
        if wide > 1:
            return Box(matrix([f"<mtd>{_line('4em')}</mtd>" * wide] * tall), VECTOR, MATRIX)
        if tall > 1:
            return Box(column([_line("4em")] * tall), VECTOR)
        before = '<mspace width="0.3em"/>'  # after a sign there is no room of itself
        return Box(row(before, _line("16em" if shape is None else "7em")))

    def value(self, value: Array, given: bool = False) -> Box:
        """A number, a column, a matrix; long columns lie as rows."""
        if value.size == 1:
            return figure(self.digits.number(value.item(), given))
        if value.ndim >= 2 and max(value.shape) > self.digits.limit:
            size = f"{' × '.join(map(str, value.shape))} values"
            return Box(bracketed(f"<mtext>{size}</mtext>", "[]"), VECTOR, MATRIX)
        if value.ndim > 2:
            inner = sign(",").join(self.value(each, given).xml for each in value)
            return Box(bracketed(inner, "[]"), VECTOR, MATRIX)
        if value.ndim == 2:
            return Box(matrix([self.cells(each, given) for each in value]), VECTOR, MATRIX)
        shown = entries(value, self.digits, given)
        figures = [figure(text).xml for text in shown.texts]
        if shown.count > TALL and not shown.is_elided:
            return Box(self.lying(value, given))
        if shown.is_elided:
            figures[ENDS:ENDS] = [sign("⋮")]
            return Box(_counted(column(figures), shown.count), VECTOR)
        return Box(column(figures), VECTOR)

    def cells(self, each: Array, given: bool) -> str:
        figures = (figure(self.digits.number(number, given)).xml for number in each.tolist())
        return "".join(f"<mtd>{cell}</mtd>" for cell in figures)

    def lying(self, value: Array, given: bool = False) -> str:
        """A vector in a row, for tables and what is given."""
        if value.ndim != 1 or value.size == 1:
            return self.value(value, given).xml
        shown = entries(value, self.digits, given)
        figures = [figure(text).xml for text in shown.texts]
        if shown.is_elided:
            figures[ENDS:ENDS] = [sign("…")]
        inner = bracketed(sign(",").join(figures))
        return _counted(inner, shown.count) if shown.is_elided else inner

    # ---- operations ----

    def unary(self, expr: Any, parts: list[Box]) -> Box:
        rest = parts[0].within(CLOSED)
        return Box(row(sign("−", form="prefix"), rest), SIGNED, "", rest)

    def transpose(self, expr: Any, parts: list[Box]) -> Box:
        return Box(
            f"<msup>{parts[0].within(ATOM)}<mo>{TRANSPOSED}</mo></msup>", CLOSED, parts[0].kind
        )

    def join(self, expr: Any, parts: list[Box]) -> Box:
        return Box(bracketed(_listed(parts), "[]"), VECTOR)

    def entries(self, expr: Any, parts: list[Box]) -> Box:
        held = parts[0].xml if parts[0].level == VECTOR else bracketed(parts[0].xml)
        return Box(f"<msub>{held}<mtext>{expr.range}</mtext></msub>")

    def call(self, expr: Any, parts: list[Box]) -> Box:
        function = expr.function
        if function in AROUND:
            return Box(bracketed(_listed(parts), AROUND[function]), ATOM)
        if function == "sqrt":
            return Box(f"<msqrt>{_listed(parts)}</msqrt>")
        if function == "outer" and all(part.kind != NUMBER for part in parts):
            above = f"<msup>{parts[1].within(ATOM)}<mi>{TRANSPOSED}</mi></msup>"
            return Box(row(parts[0].within(CLOSED), sign(TIMES), above), BESIDE, MATRIX)
        stem = function.rstrip("'")
        word = WORDS.get(stem, OPERATORS.get(stem, stem)) + "′" * (len(function) - len(stem))
        name = f"<mi>{escape(word)}</mi>"
        if expr.spec:
            name = f"<msub>{name}<mtext>{escape(expr.spec.replace('->', ' → '))}</mtext></msub>"
        is_single = len(parts) == 1 and parts[0].level == VECTOR
        inner = parts[0].xml if is_single else bracketed(_listed(parts))
        return Box(row(name, sign(APPLY), inner), CLOSED)

    def binary(self, expr: Any, parts: list[Box]) -> Box:
        first, second = parts
        match expr.op:
            case "/":
                inner = first.within(REMAINDER) + second.within(REMAINDER)
                return Box(f"<mfrac>{inner}</mfrac>", CLOSED)
            case "**":
                return Box(_power(first, row(second.within(SUM))), CLOSED)
            case "*" | "@":
                return self.product(expr.op, first, second)
            case "+" if second.rest and second.level >= SUM:
                return _lead(first, SUM, sign("−"), second.rest)
        text, level, before, behind = INFIX[expr.op]
        shown = sign(text, lspace="0.4em", rspace="0.4em") if text == "mod" else sign(text)
        right = second.within(behind) if level < SUM else second.after(behind)
        return replace(_lead(first, before, shown, right), level=level)

    def product(self, op: str, first: Box, second: Box) -> Box:
        """A matrix or a number stands beside what it multiplies; digits have a sign before them."""
        is_single = first.kind in NUMBERS and second.kind in NUMBERS
        behind = second.after(CLOSED)
        if is_single and (first.kind == second.kind == NUMBER or FIGURE.match(behind)):
            kind = NUMBER if first.kind == second.kind == NUMBER else "single"
            return replace(_lead(first, PRODUCT, sign("·"), behind), level=PRODUCT, kind=kind)
        scaled = is_single or (op == "*" and first.kind in (NUMBER, "scalar"))
        if scaled or (op == "@" and first.kind == MATRIX and second.kind != NUMBER):
            is_high = "<mfrac" in first.xml + behind  # a letter would touch the bar
            between = sign(TIMES, rspace="0.2em") if is_high else sign(TIMES)
            kind = "single" if is_single else ""
            return replace(_lead(first, BESIDE, between, behind), level=BESIDE, kind=kind)
        shown = _lead(first, PRODUCT, sign("⊙" if op == "*" else "@"), second.after(BESIDE))
        return replace(shown, level=PRODUCT)

    def terms(self, expr: Any, parts: list[Box]) -> Box:
        found, is_elided = [parts[0].xml], expr.count > len(parts)
        for k, part in enumerate(parts[1:], 1):
            if k == ENDS and is_elided:
                found += [sign("+"), sign("⋯")]
            found += [sign("−"), part.rest] if part.rest else [sign("+"), part.xml]
        if is_elided:
            found.append(f"<mtext>\u2002({expr.count} terms)</mtext>")
        return Box(row(*found), SUM, NUMBER)

    def rows(self, expr: Any, parts: list[Box]) -> Box:
        cells = [part.xml for part in parts]
        if expr.count == len(cells):
            return Box(column(cells, "sums"), VECTOR)
        cells[ENDS:ENDS] = [sign("⋮")]
        return Box(_counted(column(cells, "sums"), expr.count), VECTOR)


def figure(text: str) -> Box:
    """A number as it is shown: `1e-5` with its power of ten."""
    is_negative = text.startswith("-")
    mantissa, _, power = text.removeprefix("-").partition("e")
    digits = "∞" if mantissa == "inf" else mantissa
    xml = f"<mn>{digits}</mn>" if mantissa != "nan" else "<mtext>nan</mtext>"
    level = ATOM
    if power:
        high = (
            row(sign("−"), f"<mn>{int(power[1:])}</mn>")
            if power[0] == "-"
            else (f"<mn>{int(power)}</mn>")
        )
        xml, level = row(xml, sign("·"), f"<msup><mn>10</mn>{high}</msup>"), PRODUCT
    if not is_negative:
        return Box(xml, level, NUMBER)
    return Box(row(sign("−", form="prefix"), xml), min(level, SIGNED), NUMBER, xml)


def _lead(first: Box, level: int, shown: str, right: str) -> Box:
    """Two operands with a sign between; a minus before the first stays to be seen."""
    is_held = first.level < level
    rest = row(first.rest, shown, right) if first.rest and not is_held else ""
    return Box(row(first.within(level), shown, right), SUM, "", rest)


def _listed(parts: Sequence[Box]) -> str:
    xml = sign(",").join(part.xml for part in parts)
    return xml if len(parts) == 1 else row(xml)


def _power(base: Box, above: str) -> str:
    """A name's power stands over its index."""
    is_letter = base.xml.startswith(("<msub><mi", "<msub><mover"))
    if is_letter and base.xml.count("<msub>") == 1 and base.level == ATOM:
        return (
            f"<msubsup>{base.xml.removeprefix('<msub>').removesuffix('</msub>')}{above}</msubsup>"
        )
    return f"<msup>{base.within(ATOM)}{above}</msup>"


def _line(width: str) -> str:
    """Room to write a value into."""
    return f'{GAP} width="{width}" height="1.6em"/>'


def _partial(above: str, below: str) -> str:
    partial = "<mi>∂</mi>"
    return f"<mfrac>{row(partial, above)}{row(partial, below)}</mfrac>"


def _barred(text: str, low: str) -> str:
    """A derivative before a bar, which says by what, or where."""
    bar = sign("|", form="postfix", stretchy="true", symmetric="true")
    return f"<msub>{row(text, bar)}{low}</msub>"


def _counted(xml: str, count: int) -> str:
    return f"<msub>{xml}<mtext>{count} values</mtext></msub>"


TABLE: dict[type[Expr], Callable[[MathML, Any, list[Box]], Box]] = {
    Number: MathML.number,
    Shown: MathML.shown,
    Name: MathML.bare,
    At: MathML.at,
    Dated: MathML.dated,
    Gap: MathML.gap,
    Unary: MathML.unary,
    Binary: MathML.binary,
    Call: MathML.call,
    Join: MathML.join,
    Transpose: MathML.transpose,
    Entries: MathML.entries,
    Terms: MathML.terms,
    Rows: MathML.rows,
}

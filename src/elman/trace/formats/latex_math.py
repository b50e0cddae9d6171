r"""Formulas and looks in LaTeX, with the page's letters and numbers as on a board.

The formulas are written by `language.write_latex`; here stands what a worked line has besides:
numbers, names at a step, sums written out, gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from elman.language.letters import OPERATORS
from elman.language.syntax import Binary, Call, Expr, Transpose
from elman.language.write_latex import (
    AROUND,
    ATOM,
    BESIDE,
    CLOSED,
    COMMANDS,
    NUMBERS,
    PRODUCT,
    SIGNED,
    SUM,
    Page,
    Written,
    bracketed,
)
from elman.trace.board import ENDS
from elman.trace.document import Array, Chain, Document, Given
from elman.trace.entries import TALL, Listed, entries, laid_out
from elman.trace.formats.latex_breaks import breadth, broken
from elman.trace.formats.latex_letters import in_ascii
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
NUMBER, MATRIX = "number", "matrix"  # kinds of `Written`
WIDEST = 84  # digits that fit beside each other on a page
BROAD = WIDEST * 2 // 3  # what is broader than this must be broken: no bar stands over it
INDENT = r"\qquad "
WORK, ALONE, ENTRY, HIGH = 60, 22, 14, 7  # millimetres that a hand needs to fill a gap


class Formulas:
    """Writes expressions with the letters of a document's equations."""

    def __init__(self, document: Document, digits: Digits) -> None:
        self.digits = digits
        page = Page.of(document.text)
        self.page = replace(page, kinds=document.kinds(page.kinds), shows=self.shows)

    def write(self, expr: Expr) -> str:
        """An expression, or a look, in letters that every LaTeX has."""
        return in_ascii(self.page.write(expr).text)

    # ---- what the language lacks ----

    def shows(self, expr: Expr, parts: list[Written]) -> Written | None:
        match expr:
            case Shown(value=value, given=given):
                return self.value(value, given)
            case Dated():
                return self.name(expr)
            case Gap(shape=shape):
                return self.gap(shape)
            case Entries():
                return Written(rf"{_held(parts[0])}_{{{expr.range}}}", ATOM)
            case Terms(count=count):
                return _sum(parts, count)
            case Rows(count=count):
                return _rows([part.text for part in parts], count)
            case Call() if found := _call(expr, parts):
                return found
            case Call(function="sqrt") if breadth(parts[0].text) > BROAD:
                return Written(bracketed(parts[0].text) + "^{1/2}", CLOSED)
            case Binary(op="/") if max(breadth(part.text) for part in parts) > BROAD:
                text = rf"{parts[0].within(PRODUCT)} \,/\, {parts[1].within(CLOSED)}"
                return Written(text, PRODUCT)  # a bar could not be broken
            case Transpose():
                return Written(rf"{parts[0].within(ATOM)}^\top", CLOSED, parts[0].kind)
            case Binary(op="**") if parts[0].level == VECTOR:
                return Written(f"{parts[0].text}^{{{parts[1].within(SUM)}}}", CLOSED)
            case Binary(op="+") if parts[1].text.startswith("-") and parts[1].level >= SUM:
                return _negative(self.page, expr, parts)
            case Binary(op="*" | "@") if _are_single(parts):
                return _beside(*parts)
            case Binary(op="@") if parts[0].kind == MATRIX and parts[1].kind in NUMBERS[1:]:
                return replace(_beside(*parts), kind="")
        if parts and all(part.kind == NUMBER for part in parts):
            return self.worked(expr, parts)
        return None

    def worked(self, expr: Expr, parts: list[Written]) -> Written:
        """An operation on numbers; a product has its sign."""
        if isinstance(expr, Binary) and expr.op in "*@":
            first, second = parts
            text = rf"{first.within(PRODUCT)} \cdot {second.after(CLOSED)}"
            return Written(text, PRODUCT, NUMBER)
        return Written(*self.page.spelled(expr, parts), NUMBER)

    def name(self, name: Dated) -> Written:
        r"""`h_2`, `\frac{\partial E}{\partial h_2}`, `\delta_{h,2}`."""
        is_moving = name.name in self.page.moving
        time = "" if name.step is None or name.name == "t" else str(name.step)
        kind = self.page.kinds.get(name.name, "")
        if not is_moving and not kind and name.name[0].isupper():
            kind = MATRIX
        if name.kind.startswith(INNER):
            which = name.kind.removeprefix(INNER)
            low = ",".join(part for part in (self.page.name(name.name), time) if part)
            above = f"^{{({which.strip()})}}" if which else ""
            return Written(rf"\delta{above}_{{{low}}}", CLOSED if which else ATOM, kind)
        if name.kind == GRADIENT:
            text = _partial("E", self.page.name(name.name, time if is_moving else ""))
            if time and not is_moving:  # what one step adds to the gradient of a weight
                text = rf"\left.{text}\right|_{{{time}}}"
            return Written(text, CLOSED, kind)
        if name.kind.startswith(SINCE):
            before, is_alone = since(name.kind)
            text = _partial(self.page.name(name.name, time), self.page.name(name.name, before))
            if is_alone:
                alone = rf"{self.page.name(name.name)} \text{{ alone}}"
                text = rf"\left.{text}\right|_{{{alone}}}"
            return Written(text, CLOSED, kind if kind in NUMBERS else "")
        if name.kind == UPDATED:
            time = r"\text{new}"
        return Written(self.page.name(name.name, time), ATOM, kind)

    def gap(self, shape: tuple[int, ...] | None) -> Written:
        tall, wide = laid_out(shape, self.digits.limit)
        if wide > 1:
            rows = [" & ".join([_line(ENTRY)] * wide)] * tall
            return Written(_environment("bmatrix", rows), VECTOR, MATRIX)
        if tall > 1:
            return Written(_column([_line(ENTRY)] * tall), VECTOR)
        return Written(_line(WORK if shape is None else ALONE))

    def value(self, value: Array, given: bool = False) -> Written:
        """A number, a column, a matrix; long columns lie as rows."""
        if value.size == 1:
            return _figure(self.digits.number(value.item(), given))
        if value.ndim >= 2 and max(value.shape) > self.digits.limit:
            size = r" \times ".join(map(str, value.shape))
            return Written(rf"\left[{size}\text{{ values}}\right]", VECTOR, MATRIX)
        if value.ndim == 1:
            return self.vector(entries(value, self.digits, given))
        if value.ndim == 2:
            rows = [" & ".join(self.figures(row, given)) for row in value]
            return Written(_environment("bmatrix", rows), VECTOR, MATRIX)
        inner = ", ".join(self.value(each, given).text for each in value)
        return Written(bracketed(inner, "[", "]"), VECTOR, MATRIX)

    def figures(self, row: Array, given: bool) -> list[str]:
        return [_figure(self.digits.number(each, given)).text for each in row.tolist()]

    def vector(self, shown: Listed) -> Written:
        figures = [_figure(text).text for text in shown.texts]
        if shown.count > TALL and not shown.is_elided:
            return Written(rf"({', '.join(figures)})^{{\top}}", CLOSED)
        if not shown.is_elided:
            return Written(_column(figures), VECTOR)
        figures[ENDS:ENDS] = [r"\vdots"]
        return Written(_column(figures) + _count(shown.count), VECTOR)

    def row(self, value: Array, given: bool = False) -> str:
        """A value on one line, for tables and what is given."""
        if value.ndim != 1 or value.size == 1:
            return in_ascii(self.value(value, given).text)
        shown = entries(value, self.digits, given)
        figures = [_figure(text).text for text in shown.texts]
        if shown.is_elided:
            figures[ENDS:ENDS] = [r"\ldots"]
        return f"({', '.join(figures)})" + (_count(shown.count) if shown.is_elided else "")

    # ---- equations ----

    def value_of(self, item: Given) -> str:
        """`x_1 = ` and its value."""
        shown = in_ascii(self.value(item.value, item.is_given).text)
        return f"{self.write(item.left)} = {shown}"

    def chain(self, chain: Chain, width: int = WIDEST) -> list[str]:
        r"""The rows of an `aligned` block: `label &= formula`, `&= look`, products between."""
        label, sign = self.left(chain.left)
        formula, *looks = self.looks(chain)
        room = width - breadth(label) - 2
        rows = _broken(f"{label} &{sign} ", formula, room)
        for inner in chain.beside:
            rows += self.beside(inner, room)
        for look in looks:
            rows += _broken("&= ", look, room)
        return rows

    def left(self, left: Expr) -> tuple[str, str]:
        """A left side and its sign: a weight that is updated becomes something."""
        if isinstance(left, Dated) and left.kind == UPDATED:
            return self.write(replace(left, kind="")), r"\leftarrow"
        return self.write(left), "="

    def looks(self, chain: Chain) -> list[str]:
        written = [self.write(look) for look in chain.looks]
        return [look for k, look in enumerate(written) if k == 0 or look != written[k - 1]]

    def beside(self, chain: Chain, room: int, indent: str = INDENT) -> list[str]:
        """A product worked beside its equation, further in."""
        label, looks = self.left(chain.left)[0], self.looks(chain)
        line = f"{label} = {' = '.join(looks)}"
        start = f"&{indent}"
        room -= 4
        if breadth(line) <= room:
            rows = [start + line]
        else:
            left = room - breadth(label) - 2
            is_long = breadth(looks[0]) > left
            lines = _broken(start, label, room)
            rows = lines if is_long else [f"{start}{label} = {looks[0]}"]
            for look in looks[not is_long :]:
                rows += _broken(rf"{start}\quad = ", look, room - 4, 1)
        for inner in chain.beside:
            rows += self.beside(inner, room, indent + INDENT)
        return rows


def _partial(above: str, below: str) -> str:
    return rf"\frac{{\partial {above}}}{{\partial {below}}}"


def _held(part: Written) -> str:
    """What an index is hung on."""
    return part.text if part.level == VECTOR else bracketed(part.text)


def _broken(start: str, look: str, room: int, further: int = 0) -> list[str]:
    first, *others = broken(look, room)
    indent = r"\qquad" * (1 + further)
    return [start + first, *(rf"&{indent} {{}} {line}" for line in others)]


def _call(expr: Call, parts: Sequence[Written]) -> Written | None:
    """A function of one vector, which has its brackets already; one that the language lacks."""
    function = expr.function
    if function == "outer" and all(part.kind != NUMBER for part in parts):
        above = parts[1].within(ATOM)
        return Written(rf"{parts[0].within(CLOSED)} \, {above}^\top", BESIDE, MATRIX)
    if function not in COMMANDS and function not in OPERATORS and function not in AROUND:
        if function == "einsum":
            return None
        return Written(_function(function) + bracketed(", ".join(p.text for p in parts)), CLOSED)
    is_single = len(parts) == 1 and parts[0].level == VECTOR
    if is_single and function not in AROUND and function != "sqrt":
        return Written(_function(function) + parts[0].text, CLOSED)
    return None


def _function(name: str) -> str:
    stem = name.rstrip("'")
    if stem in COMMANDS:
        return COMMANDS[stem] + name[len(stem) :]
    plain = OPERATORS.get(stem, stem).replace("_", r"\_")
    return rf"\operatorname{{{plain}}}" + name[len(stem) :]


def _are_single(parts: Sequence[Written]) -> bool:
    """One number times another, and not both of them in digits."""
    kinds = {part.kind for part in parts}
    return kinds <= set(NUMBERS) and kinds != {NUMBER}


def _beside(left: Written, right: Written) -> Written:
    """Two numbers, of which one has a name: `w x_1`."""
    second = right.within(CLOSED)
    if second[0].isdigit():  # x_1 0.5 would be one number with an index
        text = rf"{left.within(PRODUCT)} \cdot {right.after(BESIDE)}"
        return Written(text, PRODUCT, "single")
    return Written(f"{left.within(BESIDE)} {second}", BESIDE, "single")


def _negative(page: Page, expr: Binary, parts: list[Written]) -> Written:
    """`1 + -2` as 1 - 2."""
    first, second = parts
    kind = NUMBER if first.kind == second.kind == NUMBER else page.kind(expr, ["", ""])
    return Written(f"{first.within(SUM)} - {second.text[1:]}", SUM, kind)


def _sum(parts: Sequence[Written], count: int) -> Written:
    text = parts[0].text
    for k, part in enumerate(parts[1:], 1):
        if k == ENDS and count > len(parts):
            text += r" + \cdots"
        is_negative = part.text.startswith("-")
        text += f" - {part.text[1:]}" if is_negative else f" + {part.text}"
    return Written(
        text + (rf"\;\text{{({count} terms)}}" if count > len(parts) else ""), SUM, NUMBER
    )


def _rows(rows: list[str], count: int) -> Written:
    """A column of sums; sums too long for the page are broken."""
    is_elided = count > len(rows)
    lines = [broken(row, WIDEST - 16) for row in rows]
    if is_elided:
        lines[ENDS:ENDS] = [[r"\vdots"]]
    if all(len(each) == 1 for each in lines):
        text = _environment("pmatrix", (each[0] for each in lines))
    else:
        inner = (
            line if k == 0 else rf"\quad {{}} {line}" for e in lines for k, line in enumerate(e)
        )
        text = rf"\left(\begin{{array}}{{@{{}}l@{{}}}} {_stacked(inner)} \end{{array}}\right)"
    return Written(text + (_count(count) if is_elided else ""), VECTOR)


def _figure(text: str) -> Written:
    r"""A number as it is shown: `1e-5` is 10^{-5}."""
    sign, figure = ("-", text[1:]) if text.startswith("-") else ("", text)
    if figure in ("inf", "nan"):
        return Written(sign + {"inf": r"\infty", "nan": r"\text{nan}"}[figure], ATOM, NUMBER)
    mantissa, _, power = figure.partition("e")
    if power:
        ten = f"10^{{{int(power)}}}"
        figure = ten if mantissa == "1" else rf"{mantissa} \cdot {ten}"
        return Written(sign + figure, PRODUCT, NUMBER)
    return Written(sign + figure, SIGNED if sign else ATOM, NUMBER)


def _column(texts: Sequence[str]) -> str:
    """Numbers under each other; where some are negative, all end at the same place."""
    if not any(text.startswith("-") for text in texts):
        return _environment("pmatrix", texts)
    return rf"\left(\begin{{array}}{{@{{}}r@{{}}}} {_stacked(texts)} \end{{array}}\right)"


def _environment(name: str, rows: Iterable[str]) -> str:
    return rf"\begin{{{name}}} {_stacked(rows)} \end{{{name}}}"


def _stacked(rows: Iterable[str]) -> str:
    return r" \\ ".join(rows)


def _count(count: int) -> str:
    return rf"_{{\text{{{count} values}}}}"


def _line(length: int) -> str:
    """A line to write on, with the room above it that a hand needs."""
    return rf"\underline{{\rule{{0pt}}{{{HIGH}mm}}\hspace{{{length}mm}}}}"

"""Statements of a page -> what they give: equations, functions, declarations, first values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from elman.errors import SyntaxProblem
from elman.language.latex_expression import ExpressionReader
from elman.language.latex_indices import Named
from elman.language.latex_lines import SAID, Statement, computes_nothing
from elman.language.latex_nodes import Applied, Ref
from elman.language.latex_page import called, flat
from elman.language.latex_stack import split_rows
from elman.language.latex_system import Given, Macro, System
from elman.language.latex_tree import MATRICES, Group, Item, is_sign, span_of, split
from elman.language.read_declaration import probability, read_declaration
from elman.language.source import Fault, Source, Span, Token, source
from elman.language.syntax import (
    Binary,
    Call,
    Declaration,
    Expr,
    Initial,
    Number,
    Return,
    Unary,
    walk,
)

OVER = {"per sequence": "b", "per step": "t"}
_STEP = re.compile(r"(?P<name>.+)_(?P<step>\d{1,9}|minus\d{1,9})")


class StatementReader:
    """Reads statements into a system."""

    def __init__(self, reader: ExpressionReader, source: Source) -> None:
        self.reader = reader
        self.source = source
        self.system = System()
        self.asides: list[Declaration] = []  # kept where the equations have the name

    def read(self, statements: Sequence[Statement]) -> System:
        for statement in statements:
            if not statement.inline:
                self.statement(statement)
        displayed = any(not statement.inline for statement in statements)
        for statement in statements:
            if statement.inline:
                self.aside(statement, is_all=not displayed)
        self.begin()
        names = {line.name for line in self.system.given} | {
            part.name
            for line in self.system.given
            for part in walk(line.value)
            if isinstance(part, Ref | Applied)  # W_o (...)
        }
        prose = [line for line in self.asides if line.name not in names]
        self.system.lines = [line for line in self.system.lines if line not in prose]
        return self.system

    def aside(self, statement: Statement, is_all: bool) -> None:
        """A formula within a sentence: an equation where the page has no others."""
        if is_all and statement.relation:
            self.statement(statement)
        elif statement.relation == "=" and not self.says_time(statement):
            known = {line.name for line in self.system.given}
            before = list(self.system.lines), dict(self.system.macros)
            try:
                self.statement(statement)
            except Fault:
                self.system.lines, self.system.macros = before
                return
            new = self.system.lines[len(before[0]) :]
            if any(isinstance(line, Given) and line.name in known for line in new):
                self.system.lines, self.system.macros = before

    def statement(self, statement: Statement) -> None:
        match statement.relation:
            case "=":
                self.equation(statement)
            case "return":
                self.system.lines.append(self.returned(statement))
            case r"\in" | r"\sim" | "said":
                self.declaration(statement)
            case ":":
                self.colon(statement)
            case _ if not statement.inline:
                raise computes_nothing(statement, self.source)

    # ---- equations ----

    def says_time(self, statement: Statement) -> bool:
        """`t = 1, \\dots, T`."""
        tokens = flat(statement.left)
        return len(tokens) == 1 and tokens[0].text == self.reader.page.time

    def equation(self, statement: Statement) -> None:
        if self.says_time(statement):
            return
        left, rights = statement.left, statement.rights
        empty = next((side for side in rights if not side), None)
        if empty is not None:
            headline, fix = "nothing stands right of =", "Write what the left side is."
            raise Fault(SyntaxProblem, "E106", headline, span_of(left), fix=fix)
        if len(left) == 1 and isinstance(left[0], Group) and left[0].kind != "{":
            self.stack(left[0], rights[-1])
            return
        named, rest = self.left_side(left)
        if rest:
            self.function(named, rest, rights[-1])
            return
        chained = [self.chained(side) for side in rights[:-1]]
        value = self.right_side(rights[-1], statement)
        self.give(named, value, statement)
        for other in chained:
            if other is not None:  # h_0 = c_0 = 0
                self.give(other, value, statement)

    def right_side(self, items: Sequence[Item], statement: Statement) -> Expr:
        return self.reader.expression(items, statement.span)

    def chained(self, side: Sequence[Item]) -> Named | None:
        found = self.reader.names.read(side, 0) if side else None
        return (
            found[0] if found and found[1] == len(side) and _STEP.fullmatch(found[0].name) else None
        )

    def give(self, named: Named, value: Expr, statement: Statement) -> None:
        meaning = self.reader.meaning(named)
        name = meaning.name if meaning and meaning.name else named.name
        time = named.time
        if meaning and meaning.time is not None and time is None:
            time = meaning.time
        if named.power is not None or named.is_transposed:
            raise self.no_left_side(named.span)
        self.system.lines.append(Given(name, time, value, named.span, statement.inline))

    def left_side(self, left: Sequence[Item]) -> tuple[Named, list[Item]]:
        """The name on the left, and the bracket of a function's arguments."""
        found = self.reader.names.read(left, 0) if left else None
        if found is None:
            raise self.no_left_side(span_of(left))
        named, at = found
        rest = list(left[at:])
        is_call = len(rest) == 1 and isinstance(rest[0], Group) and rest[0].kind in ("(", "[")
        if rest and not is_call:
            raise self.no_left_side(span_of(left))
        if rest:
            step = "".join(token.text for token in flat(rest))
            if step.removeprefix("-").isdecimal():  # h(0) = ...
                named.parts.append(step.replace("-", "minus"))
                return named, []
        return named, rest

    def no_left_side(self, span: Span) -> Fault:
        headline = f"{self.source.quote(span)} is not a left side"
        rule = "The left side is one name: h_t, or A for what no step changes."
        fix = "Write one equation a line."
        return Fault(SyntaxProblem, "E111", headline, span, rule=rule, fix=fix)

    def function(self, named: Named, rest: Sequence[Item], right: Sequence[Item]) -> None:
        """`g(x) = ...`: a function of the page."""
        (group,) = rest
        assert isinstance(group, Group)
        arguments = []
        for part in split(group.items, ",", ";"):
            found = self.reader.names.read(part, 0) if part else None
            if found is None or found[1] < len(part) or found[0].time is not None:
                raise self.no_left_side(named.span.to(group.span))
            arguments.append(found[0].name)
        value = self.reader.expression(right, group.span)
        known = called(named.name) if len(named.name) > 1 else None
        is_known = known is not None or named.name in ("sigma", "σ")
        if is_known and _is_textbook(named.name, value, arguments):
            return
        self.system.macros[named.name] = Macro(named.name, tuple(arguments), value)

    def stack(self, group: Group, right: Sequence[Item]) -> None:
        """A column of names: each row of the right side has its own equation."""
        kinds = ("break", "align") if group.kind in MATRICES else ()
        inner = group
        while len(inner.items) == 1 and isinstance(inner.items[0], Group):
            inner = inner.items[0]
            kinds = ("break", "align") if inner.kind in MATRICES else kinds
        items = inner.items[1:] if _has_columns(inner) else inner.items
        rows = [row for row in split(items, ",", ";", kinds=kinds) if row]
        names = []
        for row in rows:
            named, rest = self.left_side(row)
            if rest:
                raise self.no_left_side(group.span)
            names.append(named)
        value = self.reader.expression(right, group.span)
        for named, part in zip(names, split_rows(value, names, group, self.source), strict=True):
            self.system.lines.append(Given(named.name, named.time, part, named.span))

    def begin(self) -> None:
        """Make the first values of states, `h_0 = ...`, of equations that look like a name's."""
        computed = {
            line.name
            for line in self.system.given
            if line.time is not None or not _STEP.fullmatch(line.name)
        }
        kept: list[Given | Initial | Declaration | Return] = []
        for line in self.system.lines:
            match = _STEP.fullmatch(line.name) if isinstance(line, Given) else None
            if not (isinstance(line, Given) and match and match["name"] in computed):
                kept.append(line)
            elif line.time is None and not _is_zero(line.value):
                step = int(match["step"].replace("minus", "-"))
                kept.append(Initial(match["name"], step, line.value, line.comment, line.span))
            elif line.time is not None:
                kept.append(line)
        self.system.lines = kept

    # ---- other lines ----

    def returned(self, statement: Statement) -> Return:
        """`\\text{return } h_t, c_t`."""
        names, spans = [], []
        for side in statement.rights:
            found = self.reader.names.read(side, 0) if side else None
            if found is None or found[1] < len(side):
                headline = "return is not followed by names"
                fix = r"Write \text{return } h_t, c_t."
                span = span_of(side) if side else statement.span
                raise Fault(SyntaxProblem, "E120", headline, span, fix=fix)
            names.append(found[0].name)
            spans.append(found[0].span)
        return Return(tuple(names), "", tuple(spans))

    def declaration(self, statement: Statement) -> None:
        r"""`U \in \mathbb{R}^{\text{hidden} \times 3}`, `v \text{ per sequence}`."""
        left = [item for item in statement.left if _said(item) is None]
        items = [*statement.left, *(item for side in statement.rights for item in side)]
        said = {word for word in map(_said, items) if word}
        right = [item for side in statement.rights for item in side if _said(item) is None]
        if not left:
            raise self.no_left_side(statement.span)
        named, rest = self.left_side(left)
        if rest:
            raise self.no_left_side(statement.span)
        line = Declaration(named.name, span=named.span, frozen="frozen" in said)
        over = [OVER[word] for word in said if word in OVER]
        role = next((word.removeprefix("role ") for word in said if word.startswith("role ")), None)
        line = replace(line, over=over[0] if over else None, role=role)
        if "scalar" in said:
            line = replace(line, shape=())
        at = next((i for i, item in enumerate(right) if is_sign(item, r"\sim")), None)
        if statement.relation == r"\sim":
            line = replace(line, bernoulli=self.chance(right, named))
        elif statement.relation == r"\in":
            if at is not None:
                line = replace(line, bernoulli=self.chance(right[at + 1 :], named))
                right = right[:at]
            is_real = right and isinstance(right[0], Token) and right[0].kind == "board"
            if not is_real or right[0].text != "R":  # type: ignore[union-attr]
                return  # k \in \{1, 2\} says nothing of a shape
            shape = self.shape(right[1:], named)
            if all(token.kind != "letter" for token in flat(right[1:])):
                line = replace(line, shape=shape)  # n and m of a page are not sizes to keep
        if line != Declaration(named.name):
            self.system.lines.append(line)

    def colon(self, statement: Statement) -> None:
        """`U: hidden, hidden`, as the plain form prints it; other words with a colon are prose."""
        named = self.reader.names.read(statement.left, 0)
        if named is None or named[1] < len(statement.left):
            return
        words = ", ".join(self.source.quote(span_of(side)) for side in statement.rights)
        try:
            plain = read_declaration(source(f"x: {words}").logical[0], self.source, False)
        except Fault:
            return
        if isinstance(plain, Declaration):
            self.asides.append(replace(plain, name=named[0].name, span=named[0].span))
            self.system.lines.append(self.asides[-1])

    def shape(self, items: Sequence[Item], named: Named) -> tuple[str, ...] | None:
        """The sizes above \\mathbb{R}."""
        if not items:
            return ()
        power = items[1] if is_sign(items[0], "^") and len(items) > 1 else None
        inner = power.items if isinstance(power, Group) else (power,) if power else ()
        sizes = []
        for part in split(inner, r"\times", ","):
            whole = part[0] if len(part) == 1 else None  # (hidden + input)
            part = list(whole.items) if isinstance(whole, Group) else part
            terms = [self.reader.names.label(term) for term in split(part, "+")]
            known = ("letter", "word", "name", "number")
            plain = all(t.kind in known or t.text in "+_" for t in flat(part))
            if not all(terms) or not part or not plain:
                quoted = self.source.quote(span_of(items))
                headline = f"the sizes of {named.name} are not understood"
                rule = r"Above \mathbb{R} stand up to three sizes with \times between."
                fix = r"Write W \in \mathbb{R}^{\text{hidden} \times \text{input}}."
                span = span_of(items) if quoted else named.span
                raise Fault(SyntaxProblem, "E118", headline, span, rule=rule, fix=fix)
            sizes.append("+".join(term for term in terms if term))
        return tuple(sizes)

    def chance(self, items: Sequence[Item], named: Named) -> float | str:
        """The p of `\\operatorname{Bernoulli}(p)`."""
        match list(items):
            case [Token(kind="word" | "script", text=word), Group(kind="(") as group] if (
                word.strip().lower() in ("bernoulli", "bern", "ber", "b")
            ):
                if any(isinstance(i, Token) and i.kind == "number" for i in group.items):
                    value = self.reader.expression(group.items, group.span)
                    if isinstance(value, Number):
                        return probability(value.value, group.span, named.name)
                found = self.reader.names.read(group.items, 0) if group.items else None
                if found and found[1] == len(group.items):
                    return found[0].name
        headline = f"what {named.name} is drawn from is not understood"
        fix = rf"Write {named.name} \sim \text{{Bernoulli}}(0.9)."
        span = span_of(items) if items else named.span
        raise Fault(SyntaxProblem, "E118", headline, span, fix=fix)


def _said(item: Item) -> str | None:
    is_word = isinstance(item, Token) and item.kind == "word"
    text = item.text.strip(" ,") if is_word and isinstance(item, Token) else ""
    return text if text in SAID else None


def _has_columns(group: Group) -> bool:
    return group.kind == "array" and bool(group.items) and isinstance(group.items[0], Group)


def _is_zero(value: Expr) -> bool:
    return isinstance(value, Number) and value.value == 0


def _is_textbook(name: str, value: Expr, arguments: Sequence[str]) -> bool:
    """Is it the formula that every book prints for the function: 1 / (1 + e^{-x})?"""
    if len(arguments) != 1:
        return called(name) == "softmax"
    x, one = Ref(arguments[0]), Number(1.0)
    minus = Call("exp", (Unary("-", x),))
    plus = Call("exp", (x,))
    logistic: list[Expr] = [
        Binary("/", one, Binary("+", one, minus)),
        Binary("/", plus, Binary("+", one, plus)),
        Binary("/", plus, Binary("+", plus, one)),
        Binary("/", one, Binary("+", minus, one)),
    ]
    tanh: list[Expr] = [Binary("/", Binary("-", plus, minus), Binary("+", plus, minus))]
    relu: list[Expr] = [Call("max", (Number(0.0), x)), Call("max", (x, Number(0.0)))]
    function = "sigmoid" if name in ("sigma", "σ") else called(name)
    known: dict[str, list[Expr]] = {"sigmoid": logistic, "tanh": tanh, "relu": relu}
    return value in known.get(function or "", [])

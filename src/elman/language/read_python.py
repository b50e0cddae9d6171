"""Text in Python's notation -> lines of the syntax tree."""

from __future__ import annotations

from elman.errors import NameProblem, SyntaxProblem, TimeProblem
from elman.ir.cell import Number as Literal
from elman.ir.node import Shape
from elman.language.foreign import SHAPE_WORDS, WORDS
from elman.language.read_expression import foreign_word, read_expression, round_time, stray
from elman.language.source import Fault, Logical, Source, Span, Token
from elman.language.syntax import (
    Constant,
    Declaration,
    Equation,
    Expr,
    Join,
    Line,
    Number,
    Remark,
    Return,
    Text,
    Unary,
    walk,
)

OVER = {"sequence": "b", "step": "t"}


def parse(source: Source) -> Text:
    """The lines of a text, blank ones at its ends dropped."""
    lines = [_line(logical, source) for logical in source.logical]
    while lines and lines[0] == Remark():
        lines.pop(0)
    while lines and lines[-1] == Remark():
        lines.pop()
    return Text(tuple(lines), source)


def _line(line: Logical, source: Source) -> Line:
    first, second = line.tokens[0], line.tokens[min(1, len(line.tokens) - 1)]
    if first.kind == "end":
        return Remark(line.comment)
    if first.text == "return":
        return _return(line)
    if first.text in WORDS and second.text != "=":
        raise foreign_word(first)
    if first.kind == "name" and second.text == ":":
        return _declaration(line)
    return _equation(line, source)


def _equation(line: Logical, source: Source) -> Equation | Constant:
    words = [token.text for token in line.tokens]
    if "=" not in words:
        raise _computes_nothing(line, source)
    at = words.index("=")
    name, per_step, span = _left_side(line.tokens[:at], line.tokens[at], source)
    value = read_expression(line.tokens[at + 1 :], source)
    if not per_step and _is_literal(value):
        return Constant(name, literal(value), line.comment, span)
    return Equation(name, per_step, value, line.comment, span)


def _computes_nothing(line: Logical, source: Source) -> Fault:
    for token in line.tokens:
        if token.kind == "stray":
            return stray(token)
    start, end = line.tokens[0].span, line.tokens[-2].span
    quoted = source.quote(start.to(end)) if start.line == end.line else "..."
    rule = "Every line names what it computes."
    fix = f"Write h[t] = {quoted}"
    if line.tokens[0].kind == "sign":
        rule, fix = (
            "A line goes on only inside brackets or after \\.",
            "Close the line before with \\.",
        )
    return Fault(SyntaxProblem, "E112", "the line has no =", start.to(end), rule=rule, fix=fix)


def _left_side(tokens: tuple[Token, ...], equals: Token, source: Source) -> tuple[str, bool, Span]:
    for token in tokens:
        if token.kind == "stray":
            raise stray(token)
    match [(token.kind, token.text) for token in tokens]:
        case []:
            fix = "Name what the line computes: h[t] = ..."
            raise Fault(SyntaxProblem, "E111", "nothing stands left of =", equals.span, fix=fix)
        case [("name", word), *_] if word in WORDS:
            raise foreign_word(tokens[0])
        case [("name", "t"), *_]:
            rule = "t counts the steps; it is not a value."
            raise Fault(
                NameProblem,
                "E408",
                "t is given a value",
                tokens[0].span,
                rule=rule,
                fix="Choose another name.",
            )
        case [("name", name)]:
            return name, False, tokens[0].span
        case [("name", name), (_, "["), ("name", "t"), (_, "]")]:
            return name, True, tokens[0].span.to(tokens[-1].span)
        case [("name", _), (_, "("), ("name", "t"), *_]:
            raise round_time(tokens[0], tokens[1:], source)
        case [("name", name), (_, "["), *inside, (_, "]")] if ("sign", "]") not in inside:
            raise _left_index(name, tokens, source)
    span = tokens[0].span.to(tokens[-1].span)
    rule = "The left side is one name: h[t], or A for what no step changes."
    headline = f"{source.quote(span)} is not a left side"
    raise Fault(SyntaxProblem, "E111", headline, span, rule=rule, fix="Write one equation a line.")


def _left_index(name: str, tokens: tuple[Token, ...], source: Source) -> Fault:
    span = tokens[0].span.to(tokens[-1].span)
    headline = f"{source.quote(span)} stands on the left side"
    rule = "An equation says what holds at t."
    fix = f"Write {name}[t] = ..., and shift the right side by as many steps."
    return Fault(TimeProblem, "E306", headline, span, rule=rule, fix=fix)


def _is_literal(value: Expr) -> bool:
    """Is it `0.9`, `-1`, `[1, 2]` or `[[1, 0], [0, 1]]`?"""
    return all(
        isinstance(part, Number | Join)
        or (isinstance(part, Unary) and isinstance(part.arg, Number | Unary))
        for part in walk(value)
    )


def literal(value: Expr) -> Literal:
    """The number, vector or matrix that is written out.

    >>> literal(Join((Number(1.0), Unary("-", Number(2.0)))))
    (1.0, -2.0)
    """
    match value:
        case Number():
            return value.value
        case Unary(arg=arg):
            return -_number(arg)
    rows = [_row(item, value) for item in value.parts]
    if all(isinstance(row, float) for row in rows):
        return tuple(rows)
    if all(isinstance(row, tuple) and len(row) == len(value.parts[0].parts) for row in rows):
        return tuple(rows)
    headline = "the rows of this matrix are not of one length"
    fix = "Write every row with as many numbers: [[0, 1], [1, 0]]."
    raise Fault(SyntaxProblem, "E117", headline, value.span, fix=fix)


def _number(value: Expr) -> float:
    number = literal(value)
    assert isinstance(number, float)
    return number


def _row(item: Expr, whole: Expr) -> Literal:
    if not isinstance(item, Join):
        return literal(item)
    if any(isinstance(entry, Join) for entry in item.items):
        headline = "this array has more than two axes"
        fix = "Write a vector [1, 2] or a matrix [[0, 1], [1, 0]]."
        raise Fault(SyntaxProblem, "E117", headline, whole.span, fix=fix)
    return tuple(literal(entry) for entry in item.items)


def _declaration(line: Logical) -> Declaration:
    name, tokens = line.tokens[0], line.tokens[2:]
    shape: list[str] = []
    over: str | None = None
    scalar = False
    for item in _items(tokens):
        match [token.text for token in item]:
            case ["scalar"]:
                scalar = True
            case ["per", word] if word in OVER and over is None:
                over = OVER[word]
            case ["per", *_]:
                raise _bad_declaration(item, name, f"{name.text}: per sequence")
            case [word] if word in SHAPE_WORDS:
                raise _bad_declaration(item, name, SHAPE_WORDS[word])
            case _:
                shape.append(_size(item, name))
    if len(shape) > 2 or (scalar and shape):
        raise _bad_declaration(tokens[:-1], name, f"{name.text}: hidden, hidden")
    known: Shape | None = tuple(shape) if shape or scalar else None
    return Declaration(name.text, known, over, line.comment, name.span)


def _items(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The tokens between commas; the end token makes the last item never empty."""
    items: list[list[Token]] = [[]]
    for token in tokens[:-1]:
        if token.text == ",":
            items.append([])
        else:
            items[-1].append(token)
    return [tuple(item) or (tokens[-1],) for item in items]


def _size(item: tuple[Token, ...], name: Token) -> str:
    """`hidden`, `3`, `hidden + input`."""
    sizes, signs = item[::2], item[1::2]
    good = all(
        token.kind == "name" or (token.text.isdecimal() and 0 < len(token.text) < 10)
        for token in sizes
    )
    if not good or len(item) % 2 == 0 or any(sign.text != "+" for sign in signs):
        raise _bad_declaration(item, name, f"{name.text}: hidden, hidden")
    return "+".join(
        str(int(token.text)) if token.kind == "number" else token.text for token in sizes
    )


def _bad_declaration(item: tuple[Token, ...], name: Token, example: str) -> Fault:
    for token in item:
        if token.kind == "stray":
            return stray(token)
    headline = f"the declaration of {name.text} is not understood"
    rule = "After the colon stand up to two sizes, or `scalar`; `per sequence` or `per step`."
    span = item[0].span.to(item[-1].span)
    return Fault(SyntaxProblem, "E118", headline, span, rule=rule, fix=f"For instance: {example}.")


def _return(line: Logical) -> Return:
    names: list[str] = []
    spans: list[Span] = []
    for item in _items(line.tokens[1:]):
        match [(token.kind, token.text) for token in item]:
            case [("name", name)] | [("name", name), (_, "["), (_, "t"), (_, "]")]:
                names.append(name)
                spans.append(item[0].span.to(item[-1].span))
            case _:
                for token in item:
                    if token.kind == "stray":
                        raise stray(token)
                rule = "`return` names what the layer gives back: return h, c."
                fix = "Name a value first: y[t] = ..., then return y."
                span = item[0].span.to(item[-1].span)
                raise Fault(
                    SyntaxProblem,
                    "E120",
                    "return is not followed by names",
                    span,
                    rule=rule,
                    fix=fix,
                )
    return Return(tuple(names), line.comment, tuple(spans))

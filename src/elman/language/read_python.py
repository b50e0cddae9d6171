"""Text in Python's notation -> lines of the syntax tree."""

from __future__ import annotations

from dataclasses import dataclass

from elman.errors import SyntaxProblem, TimeProblem
from elman.ir.cell import Number as Literal
from elman.language.foreign import WORDS
from elman.language.read_declaration import items, read_declaration
from elman.language.read_expression import read_expression, read_index
from elman.language.slips import foreign_word, no_rounds, refuse_t, round_time, stray
from elman.language.source import FAR, Fault, Logical, Source, Span, Token
from elman.language.syntax import (
    Constant,
    Equation,
    Expr,
    Index,
    Initial,
    Join,
    Line,
    Number,
    Range,
    Remark,
    Return,
    Text,
    Unary,
    walk,
)


def parse(source: Source) -> Text:
    """The lines of a text, blank ones at its ends dropped."""
    in_rounds = any(_is_range(logical.tokens) for logical in source.logical)
    lines = [_line(logical, source, in_rounds) for logical in source.logical]
    filled = [number for number, line in enumerate(lines) if line != Remark()]
    return Text(tuple(lines[filled[0] : filled[-1] + 1] if filled else ()), source)


def _line(line: Logical, source: Source, in_rounds: bool) -> Line:
    first, second = line.tokens[0], line.tokens[min(1, len(line.tokens) - 1)]
    if first.kind == "end":
        return Remark(line.comment)
    if first.text == "return":
        return _return(line, source)
    if first.text in WORDS and second.text != "=":
        raise foreign_word(first)
    if first.kind == "name" and second.text == ":":
        return read_declaration(line, source, in_rounds)
    if _is_range(line.tokens) or _is_almost_range(line.tokens):
        return _range(line, source)
    return _equation(line, source, in_rounds)


def _is_range(tokens: tuple[Token, ...]) -> bool:
    """Is it `l = 1..3`?"""
    is_given = len(tokens) > 3 and tokens[0].kind == "name" and tokens[1].text == "="
    return is_given and any(token.text == ".." for token in tokens)


def _is_almost_range(tokens: tuple[Token, ...]) -> bool:
    """Is it `l in 1..3`, `l = 1:3` or `l = range(1, 3)`?"""
    match [(token.kind, token.text) for token in tokens]:
        case [("name", _), (_, "in"), *_, ("end", _)]:
            return any(token.text == ".." for token in tokens)
        case [("name", _), (_, "="), ("number", _), (_, ":"), *_]:
            return True
        case [("name", _), (_, "="), (_, "range"), (_, "("), *_]:
            return True
    return False


def _range(line: Logical, source: Source) -> Range:
    name, _, *bounds, end = line.tokens
    refuse_t(name.text, name.span, "is given a value")
    match [(token.kind, token.text) for token in line.tokens[1:-1]]:
        case [(_, "="), ("number" | "name", _), (_, ".."), ("number" | "name", _)]:
            ends = [_bound(bounds[0]), _bound(bounds[2])]
            if None not in ends:
                first, last = ends
                span = name.span.to(bounds[2].span)
                return Range(name.text, first, last, line.comment, span)  # type: ignore[arg-type]
    headline = f"the rounds of {name.text} are not understood"
    rule = (
        "A range is two whole numbers with two dots between; a constant's name may stand for one."
    )
    words = [token.text for token in bounds]
    if "," in words and ".." in words:
        rule = "Every range has a line of its own."
    span = bounds[0].span.to(bounds[-1].span if bounds else end.span)
    fix = f"For instance {name.text} = 1..3."
    raise Fault(SyntaxProblem, "E133", headline, span, rule=rule, fix=fix)


def _bound(token: Token) -> int | str | None:
    if token.kind == "name":
        return None if token.text in WORDS else token.text
    return int(token.text) if token.text.isdecimal() and len(token.text) < 7 else None


def _equation(line: Logical, source: Source, in_rounds: bool) -> Equation | Constant | Initial:
    words = [token.text for token in line.tokens]
    if "=" not in words:
        raise _computes_nothing(line, source)
    at = words.index("=")
    left = _left_side(line.tokens[:at], line.tokens[at], source, in_rounds)
    value = read_expression(line.tokens[at + 1 :], source, in_rounds)
    if isinstance(left.step, int):
        return Initial(left.name, left.step, value, line.comment, left.span, left.index)
    if left.step is None and is_literal(value):
        return Constant(left.name, literal(value), line.comment, left.span, left.index)
    return Equation(left.name, left.step == "t", value, line.comment, left.span, left.index)


def _computes_nothing(line: Logical, source: Source) -> Fault:
    for token in line.tokens:
        if token.kind == "stray":
            return stray(token)
    start, end = line.tokens[0].span, line.tokens[-2].span
    words = [token.text for token in line.tokens]
    if line.tokens[0].kind == "name" and words[1] == "[" and ":" in words:
        colon = words.index(":")
        span = start.to(line.tokens[colon - 1].span)
        said = source.quote(line.tokens[colon].span.to(end)).removeprefix(":").strip() or "hidden"
        headline = f"{source.quote(span)} is declared with an index"
        rule = "A declaration is of a name, at all its steps and in all its rounds."
        fix = f"Write {words[0]}: {said}."
        if any(sign in said for sign in "()@*/"):
            fix = f"Write {source.quote(span)} = {said}"
        return Fault(SyntaxProblem, "E118", headline, span, rule=rule, fix=fix)
    rule = "Every line names what it computes."
    fix = _with_equals(line.tokens, source)
    if line.tokens[0].kind == "sign":
        rule, fix = (
            "A line goes on only inside brackets or after \\.",
            "Close the line before with \\.",
        )
    if words[0] == "%":
        rule, fix = "% is the remainder of a division.", "A comment begins with #."
    return Fault(SyntaxProblem, "E112", "the line has no =", start.to(end), rule=rule, fix=fix)


def _with_equals(tokens: tuple[Token, ...], source: Source) -> str:
    """What a line without = may have meant: `h[t] -> x[t]`, `W @ x[t]`, or prose."""
    start, end = tokens[0].span, tokens[-2].span
    words = [token.text for token in tokens[:-1]]
    if words[1:4] == ["[", "t", "]"] and len(words) > 4:
        rest = next((k for k in range(4, len(words)) if words[k] not in "==-><"), 4)
        return f"Write {words[0]}[t] = {source.quote(tokens[rest].span.to(end))}"
    if len(words) > 1 and all(token.kind == "name" for token in tokens[:-1]):
        return "A comment begins with #."
    quoted = source.quote(start.to(end)) if start.line == end.line else "..."
    return f"Write h[t] = {quoted}"


@dataclass(frozen=True, slots=True)
class _Left:
    """A left side: `h[t]`, `s[t,l]`, `A`, `R[l]`, or with a number as its step `h[0]`."""

    name: str
    step: int | str | None
    span: Span
    index: Index | None = None


def _left_side(tokens: tuple[Token, ...], equals: Token, source: Source, in_rounds: bool) -> _Left:
    for token, before in zip(tokens, ("", *(token.text for token in tokens)), strict=False):
        if token.kind == "stray":
            raise stray(token, before)
    if not tokens:
        fix = "Name what the line computes: h[t] = ..."
        raise Fault(SyntaxProblem, "E111", "nothing stands left of =", equals.span, fix=fix)
    span = tokens[0].span.to(tokens[-1].span)
    refuse_t(tokens[0].text, tokens[0].span, "is given a value")
    match [(token.kind, token.text) for token in tokens]:
        case [("name", word), *_] if word in WORDS:
            raise foreign_word(tokens[0])
        case [("name", name)]:
            return _Left(name, None, span)
        case [("name", name), (_, "["), ("name", "t"), (_, "]")]:
            return _Left(name, "t", span)
        case [("name", _), (_, "("), ("name", "t"), *_]:
            raise round_time(tokens[0], tokens[1:], source)
        case [("name", name), (_, "["), *inside, (_, "]")] if ("sign", "]") not in inside:
            return _indexed(name, tokens, source, in_rounds)
    rule = "The left side is one name: h[t], or A for what no step changes."
    headline = f"{source.quote(span)} is not a left side"
    fix = "Write one equation a line."
    other = source.quote(Span(equals.span.line, equals.span.end, FAR)).partition("#")[0].strip()
    words = [token.text for token in tokens]
    is_value = words[1:2] == ["("] or "@" in words or len(words) == 1
    if is_value and other.removesuffix("[t]").isidentifier():
        fix = f"Write {other} = {source.quote(span)}"
    elif words[1:2] == ["["] and words[3:5] == ["]", "["]:
        fix = f"A round of an inner loop is {words[0]}[t,{words[-2]}]."
    raise Fault(SyntaxProblem, "E111", headline, span, rule=rule, fix=fix)


def _indexed(name: str, tokens: tuple[Token, ...], source: Source, in_rounds: bool) -> _Left:
    """`h[0]`, `h[-1]`, `s[t,l]`, `h[0,l]`, `R[l]`: what stands in the brackets decides."""
    span = tokens[0].span.to(tokens[-1].span)
    inside = tokens[2:-1]
    comma = next((k for k, token in enumerate(inside) if token.text == ","), len(inside))
    index = read_index(inside[comma + 1 :])
    step = _step(inside[:comma])
    if comma < len(inside) and step is not None and index is not None:
        if in_rounds:
            return _Left(name, step, span, index)
        raise no_rounds(name, index, span, source)
    bare = read_index(inside)
    if isinstance(step, int) and comma == len(inside):
        return _Left(name, step, span)
    if in_rounds and bare is not None:
        return _Left(name, None, span, bare)
    raise _left_index(name, bare, source, span)


def _step(tokens: tuple[Token, ...]) -> int | str | None:
    """The step that a left side may stand at: `t`, or a number up to 0."""
    words = [token.text for token in tokens]
    number = "".join(words).removeprefix("-")
    if words == ["t"]:
        return "t"
    is_number = number.isdecimal() and len(number) < 7
    return -int(number) if is_number and (words[0] == "-" or not int(number)) else None


def _left_index(name: str, bare: Index | None, source: Source, span: Span) -> Fault:
    headline = f"{source.quote(span)} stands on the left side"
    rule = "An equation says what holds at t."
    fix = f"Write {name}[t] = ..., and shift the right side by as many steps."
    quoted = source.quote(span).replace(" ", "")
    if bare is not None and bare.name and not bare.offset:
        rule, fix = "The step is called t.", f"Write {name}[t] = ..."
    elif quoted.endswith("[t+1]"):
        fix = f"Write {name}[t] = ..., and read {name}[t-1] on the right where {name}[t] stands."
    if bare is not None and not bare.name:
        rule += f" {name}[0] = ... says what {name} is before the first step."
        fix = f"Write {name}[t] = ... or {name}[0] = ..."
    return Fault(TimeProblem, "E306", headline, span, rule=rule, fix=fix)


def is_literal(value: Expr) -> bool:
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


def _named_first(tokens: tuple[Token, ...], item: tuple[Token, ...], source: Source) -> str:
    """How to return `W @ h[t]`, or `(h, c)`."""
    words = [token.text for token in tokens]
    if words and words[0] + words[-1] in ("()", "[]"):
        names = [token.text for token in tokens[1:-1:2]]
        if all(name.isidentifier() for name in names):
            return f"Write return {', '.join(names)}."
    quoted = source.quote(item[0].span.to(item[-1].span)) if item[0].kind != "end" else "..."
    return f"Name a value first: y[t] = {quoted}, then return y."


def _return(line: Logical, source: Source) -> Return:
    names: list[str] = []
    spans: list[Span] = []
    for item in items(line.tokens[1:]):
        match [(token.kind, token.text) for token in item]:
            case [("name", name)] | [("name", name), (_, "["), (_, "t"), (_, "]")]:
                names.append(name)
                spans.append(item[0].span.to(item[-1].span))
            case _:
                for token in item:
                    if token.kind == "stray":
                        raise stray(token)
                rule = "`return` names what the layer gives back: return h, c."
                span = item[0].span.to(item[-1].span)
                fix = _named_first(line.tokens[1:-1], item, source)
                raise Fault(
                    SyntaxProblem,
                    "E120",
                    "return is not followed by names",
                    span,
                    rule=rule,
                    fix=fix,
                )
    return Return(tuple(names), line.comment, tuple(spans))

"""Lines with a colon: what is declared of a name, and cells that are put in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from elman.errors import SyntaxProblem, nearest
from elman.ir.cell import ROLES
from elman.language.foreign import SHAPE_WORDS, WORDS
from elman.language.read_expression import number, read_expression
from elman.language.slips import foreign_word, refuse_t, stray
from elman.language.source import Fault, Logical, Source, Span, Token
from elman.language.syntax import Declaration, Given, Use

OVER = {"sequence": "b", "step": "t"}
MOST_AXES = 3


def read_declaration(line: Logical, source: Source, in_rounds: bool) -> Declaration | Use:
    """`U: hidden, hidden`, `b: role bias`, `m: bernoulli(0.9)`; `inner: lstm(x = g[t])`."""
    name, _, *rest = line.tokens
    refuse_t(name.text, name.span, "is declared")
    is_call = rest[0].kind == "name" and rest[min(1, len(rest) - 1)].text == "("
    if is_call and rest[0].text in WORDS:
        raise foreign_word(rest[0])
    if is_call and rest[0].text.lower() != "bernoulli":
        return _use(line, source, in_rounds)
    return _declaration(line)


@dataclass
class _Said:
    """What a declaration has said so far."""

    shape: list[str] = field(default_factory=list)
    scalar: bool = False
    over: str | None = None
    frozen: bool = False
    bernoulli: float | str | None = None
    role: str | None = None


def _declaration(line: Logical) -> Declaration:
    name, tokens = line.tokens[0], line.tokens[2:]
    said = _Said()
    for item in items(tokens):
        _hear(item, name, said)
    if len(said.shape) > MOST_AXES or (said.scalar and said.shape):
        raise _not_understood(tokens[:-1], name, f"{name.text}: hidden, hidden")
    _agree(said, tokens, name)
    known = tuple(said.shape) if said.shape or said.scalar else None
    return Declaration(
        name.text, known, said.over, line.comment, name.span, said.frozen, said.bernoulli, said.role
    )


def _hear(item: tuple[Token, ...], name: Token, said: _Said) -> None:
    match [token.text for token in item]:
        case ["scalar"]:
            said.scalar = True
        case ["per", word] if word in OVER and said.over is None:
            said.over = OVER[word]
        case ["per", *_]:
            raise _not_understood(item, name, f"{name.text}: per sequence")
        case ["frozen"]:
            said.frozen = True
        case ["role", _, *_] if said.role is None:
            said.role = _role(item, name)
        case ["bernoulli", "(", *_, ")"] if said.bernoulli is None:
            said.bernoulli = _probability(item, name)
        case ["bernoulli" | "Bernoulli", *_]:
            raise _not_understood(item, name, f"{name.text}: bernoulli(0.9)")
        case [word] if word in SHAPE_WORDS:
            raise _not_understood(item, name, SHAPE_WORDS[word])
        case _:
            said.shape.append(_size(item, name))


def _agree(said: _Said, tokens: tuple[Token, ...], name: Token) -> None:
    """A parameter can be frozen; a mask is drawn; a stream is given: a name is one of them."""
    drawn = said.bernoulli is not None
    is_weight = said.frozen or said.role is not None
    if not ((is_weight and (drawn or said.over)) or (drawn and said.over == "t")):
        return
    weight = "a parameter with a role" if said.role else "frozen"
    words = {weight: is_weight, "bernoulli": drawn, "per sequence": said.over == "b"}
    words["per step"] = said.over == "t"
    first, second = [word for word, is_said in words.items() if is_said][:2]
    headline = f"{name.text} cannot be {first} and {second}"
    rule = "A parameter can be frozen; a mask is drawn, at every step and row or once per sequence."
    span = tokens[0].span.to(tokens[-2].span)
    if said.role and first == weight:
        rule, second = "Only a parameter has a role: it says how the parameter begins.", "the role"
    fix = f"Write {name.text}: {first}." if first == "frozen" else f"Leave out {second}."
    raise Fault(SyntaxProblem, "E134", headline, span, rule=rule, fix=fix)


def _role(item: tuple[Token, ...], name: Token) -> str:
    """What `role forget bias` says that a parameter is for."""
    words = " ".join(token.text for token in item[1:])
    if words in ROLES:
        return words
    headline = f"{name.text} is given the role {words.replace(' - ', '-')}, which does not exist"
    rule = f"The roles are {', '.join(ROLES)}."
    fix = nearest(words, ROLES) or f"For instance: {name.text}: role recurrent."
    span = item[1].span.to(item[-1].span)
    raise Fault(SyntaxProblem, "E138", headline, span, rule=rule, fix=fix)


def _probability(item: tuple[Token, ...], name: Token) -> float | str:
    match [(token.kind, token.text) for token in item[2:-1]]:
        case [("name", word)] if word != "t" and word not in WORDS:
            return word
        case [("number", _)]:
            return probability(number(item[2]), item[2].span, name.text)
        case [(_, "-"), ("number", _)]:
            span = item[2].span.to(item[3].span)
            return probability(-number(item[3]), span, name.text)
    raise _not_understood(item, name, f"{name.text}: bernoulli(0.9)")


def probability(value: float, span: Span, name: str, constant: str | None = None) -> float:
    """The value, where it is one; else the error."""
    if 0 <= value <= 1:
        return value
    headline = f"{name} cannot be 1 with probability {value:g}"
    rule = "A probability lies between 0 and 1."
    likely = f"{value / 100:g}" if 2 <= value <= 100 else "0.9"  # percent
    fix = f"Write {constant} = {likely}." if constant else f"Write {name}: bernoulli({likely})."
    raise Fault(SyntaxProblem, "E135", headline, span, rule=rule, fix=fix)


def items(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The tokens between commas outside of brackets; with the end token none is empty."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens[:-1]:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if token.text == "," and depth <= 0:
            found.append([])
        else:
            found[-1].append(token)
    return [tuple(item) or (tokens[-1],) for item in found]


def _size(item: tuple[Token, ...], name: Token) -> str:
    """`hidden`, `3`, `hidden + input`."""
    sizes, signs = item[::2], item[1::2]
    good = all(
        token.kind == "name" or (token.text.isdecimal() and 0 < len(token.text) < 10)
        for token in sizes
    )
    if not good or len(item) % 2 == 0 or any(sign.text != "+" for sign in signs):
        raise _not_understood(item, name, f"{name.text}: hidden, hidden")
    return "+".join(
        str(int(token.text)) if token.kind == "number" else token.text for token in sizes
    )


def _not_understood(item: tuple[Token, ...], name: Token, example: str) -> Fault:
    for token in item:
        if token.kind == "stray":
            return stray(token)
    headline = f"the declaration of {name.text} is not understood"
    words = [token.text for token in item]
    if len(item) == 1 and item[0].kind == "number":
        example = f"{name.text} = {words[0]}"
    elif words[0] in ("(", "["):
        example = f"{name.text}: {', '.join(w for w in words if w.isidentifier()) or 'hidden'}"
        example += ", ..." if words[-1] not in (")", "]") else ""
    elif len(item) == 3 and words[1] in ("x", "by", "*") and words[0].isidentifier():
        example = f"{name.text}: {words[0]}, {words[2]}"
    rule = (
        "After the colon stand up to three sizes, or `scalar`; `per sequence` or `per step`; "
        "`frozen`; `role forget bias`; `bernoulli(0.9)`."
    )
    span = item[0].span.to(item[-1].span)
    return Fault(SyntaxProblem, "E118", headline, span, rule=rule, fix=f"For instance: {example}.")


def _use(line: Logical, source: Source, in_rounds: bool) -> Use:
    name, _, cell, opening, *rest = line.tokens
    depth = 1
    args: list[list[Token]] = [[]]
    for token in rest:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 or token.kind == "end":
            break
        if depth == 1 and token.text == ",":
            args.append([])
        else:
            args[-1].append(token)
    if token.text != ")":
        headline, fix = "( is never closed", "Write ) where it ends."
        raise Fault(SyntaxProblem, "E104", headline, opening.span, fix=fix)
    after = rest[rest.index(token) + 1]
    if after.kind != "end":
        headline = f"{cell.text}(...) is followed by {after.text}"
        fix = "Read its values on lines of their own: "
        fix += f"h[t] = ... {name.text}_h[t] ..."
        raise Fault(SyntaxProblem, "E136", headline, after.span, fix=fix)
    if not args[-1]:
        args.pop()
    given = tuple(_given(arg, cell, token, source, in_rounds) for arg in args)
    span = name.span.to(token.span)
    return Use(name.text, cell.text, given, line.comment, span, cell.span)


def _given(arg: list[Token], cell: Token, closing: Token, source: Source, in_rounds: bool) -> Given:
    """`x = i[t] * g[t]`."""
    if len(arg) < 2 or arg[0].kind != "name" or arg[1].text != "=":
        span = arg[0].span.to(arg[-1].span) if arg else closing.span
        headline = f"{cell.text} is given {source.quote(span)} without a name"
        rule, fix = "A cell that is put in gets its values by name.", f"Write {cell.text}(x = ...)."
        if any(token.text == "=" for token in arg[2:]) and arg[0].kind == "name":
            headline = f"{arg[0].text} is given to {cell.text} with a step"
            fix = f"Write {arg[0].text} = ...; of a state it is what {cell.text} reads at [t-1]."
        raise Fault(SyntaxProblem, "E136", headline, span, rule=rule, fix=fix)
    last = arg[-1].span
    end = Token("end", "", Span(last.line, max(0, last.end - 1), last.end))
    value = read_expression((*arg[2:], end), source, in_rounds)
    return Given(arg[0].text, value, arg[0].span)

"""Slips of the pen: the errors for what other notations write otherwise."""

from __future__ import annotations

import unicodedata

from elman.errors import NameProblem, SyntaxProblem, TimeProblem
from elman.language.foreign import DOWN_TACK, FUNCTIONS, METHODS, MODULES, SIGNS, WORDS
from elman.language.functions import FUNCTIONS as KNOWN
from elman.language.source import Fault, Source, Span, Token
from elman.language.syntax import Index


def stray(token: Token, before: str = "") -> Fault:
    """The error for a token that no line of the language can hold, with the word before it."""
    headline, fix = SIGNS.get(token.text, ("", ""))
    if token.text == "{" and before.endswith("_"):
        fix = f"Time stands in brackets: {before[:-1]}[t-1]. Cell.from_latex reads LaTeX."
    if token.text[0] in "'\"" and len(token.text) > 1:
        headline, fix = "there are no strings", "Write names without quotes."
    if not headline:
        character = token.text[0]
        name = unicodedata.name(character, f"U+{ord(character):04X}")
        shown = repr(character) if character.isprintable() else "an invisible character"
        headline, fix = f"{shown} ({name}) is not part of the language", "Remove it."
    code = "E108" if token.text in SIGNS else "E103"
    return Fault(SyntaxProblem, code, headline, token.span, fix=fix)


def raised(token: Token, base: str, exponent: Token) -> Fault:
    """`W^T`, `h[t]^2`."""
    fault = stray(token)
    if exponent.text in ("T", DOWN_TACK):
        fault.problem.fix = f"The transpose is {base}.T."
    return fault


def dotted(value: str, tokens: tuple[Token, ...], dot: Token) -> Fault:
    """`np.tanh(...)`, `W.dot(...)`, `inner.h[t]`: what follows a dot, given from there on."""
    names = [token for token in tokens if token.kind == "name"]
    if not names or tokens[0] is not names[0]:
        return Fault(SyntaxProblem, "E109", "a dot stands alone", dot.span, fix="Remove it.")
    last = 0
    while tokens[last + 1].text == "." and tokens[last + 2].kind == "name":
        last += 2
    word, after = tokens[last].text, tokens[last + 1].text
    what = "method" if tokens[1].text == "(" else "attribute"
    headline = f"{value} does not have the {what} .{tokens[0].text}"
    fix = METHODS["T"].format("U").replace("Write", "The transpose is written")
    if value in MODULES and after == "(":
        fix = f"Write {word}(...)." if word in KNOWN else FUNCTIONS.get(word, f"Write {word}(...).")
    elif word in METHODS:
        fix = METHODS[word].format(value)
    elif after == "(":
        fix = f"Write {word}({'...' if value.isidentifier() else value})."
    elif after == "[":
        fix = f"A value of a cell that is put in is read as {value}_{word}[t]."
    rule = "Only .T follows a dot; functions are called by their bare name."
    span = dot.span.to(tokens[0].span)
    return Fault(SyntaxProblem, "E109", headline, span, rule=rule, fix=fix)


def foreign_word(token: Token) -> Fault:
    """The error for a word of Python that the language does not have."""
    headline, fix = WORDS[token.text]
    rule = "A cell is a list of equations." if token.text in ("def", "class", "import") else None
    return Fault(SyntaxProblem, "E107", headline, token.span, rule=rule, fix=fix)


def list_slip(token: Token) -> Fault:
    """`[x[t]; h[t-1]]`."""
    headline, fix = "; does not join values here", "Write a comma: [x[t], h[t-1]]."
    return Fault(SyntaxProblem, "E108", headline, token.span, fix=fix)


def single_entry(value: str, span: Span, tokens: tuple[Token, ...]) -> Fault:
    """`x[t][0]`, given the tokens from the second bracket on."""
    closing = next((token for token in tokens if token.text == "]"), tokens[0])
    headline = f"{value} cannot be indexed"
    rule = "Brackets after a name hold its time; single entries are not read."
    fix = f"Name the value first: y[t] = {value}, then y[t-1]."
    if tokens[1].kind == "number" and value.endswith("[t]"):
        fix = f"The first entry of two is dot(e, {value}) with the line e = [1, 0]."
    return Fault(SyntaxProblem, "E110", headline, span.to(closing.span), rule=rule, fix=fix)


def round_time(name: Token, tokens: tuple[Token, ...], source: Source) -> Fault:
    """The error for `h(t-1)`, given the tokens after `h`."""
    closing = next((token for token in tokens if token.text == ")"), tokens[-1])
    inside = source.quote(tokens[0].span.to(closing.span)).strip("()")
    headline = f"{name.text}({inside}) looks like a function of t"
    span = name.span.to(closing.span)
    rule, fix = "Time stands in square brackets.", f"Write {name.text}[{inside}]."
    return Fault(TimeProblem, "E303", headline, span, rule=rule, fix=fix)


def chained(token: Token) -> Fault:
    headline = "comparisons cannot be chained"
    fix = "Conditions are 0 or 1: write (a < b) * (b < c)."
    return Fault(SyntaxProblem, "E119", headline, token.span, fix=fix)


def no_rounds(name: str, index: Index | None, span: Span, source: Source) -> Fault:
    """`s[t,l]` in a text without inner loops, or `s[t,]`."""
    written = source.quote(span)
    if index is None:
        headline = f"{written} does not name a round"
        rule = "After t and a comma stands the inner index: l, l-1, or a number."
        return Fault(TimeProblem, "E311", headline, span, rule=rule, fix=f"Write {name}[t].")
    headline = f"{written} has an inner index, but no line says how many rounds there are"
    fix = f"Add the line {index.name or 'l'} = 1..3, or write {name}[t]."
    return Fault(TimeProblem, "E311", headline, span, fix=fix)


def refuse_t(name: str, span: Span, what: str) -> None:
    """`t = 3`, `t[t] = ...`, `t: scalar`."""
    if name == "t":
        rule, fix = "t counts the steps: 1, 2, 3, ...", "Choose another name."
        raise Fault(NameProblem, "E408", f"t {what}", span, rule=rule, fix=fix)

"""The user's text: places in it, and its words (tokens), one logical line after the other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from elman.errors import ElmanError, SyntaxProblem, Where

LONGEST = 60  # quoted within a sentence
MOST_CHARACTERS = 30_000  # what is longer is no cell, and would take more than a second to refuse
FAR = 1 << 30  # the end of a span that runs on into further lines


@dataclass(frozen=True, slots=True)
class Span:
    """Columns [start, end) of a line of the user's text; lines are counted from 1."""

    line: int
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other."""
        return Span(self.line, self.start, other.end if other.line == self.line else FAR)


NOWHERE = Span(0, 0, 0)


class Fault(Exception):
    """A problem and where it lies; `Source.place` turns it into the error that the user sees."""

    def __init__(self, kind: type[ElmanError], code: str, headline: str, span: Span, **parts: Any):
        super().__init__(headline)
        self.problem = kind(code, headline, **parts)
        self.span = span


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text: kind is number, name, sign, stray or end."""

    kind: str
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Logical:
    """A line as the language counts them: brackets and a closing backslash carry it on."""

    tokens: tuple[Token, ...]  # the last one is the end
    comment: str
    first: int
    last: int
    equation: int | None = None  # its number, where it is one


@dataclass(frozen=True)
class Source:
    """The text as given, with the name of its cell.

    >>> source("h[t] = x[t]", "copy").where(Span(1, 7, 11)).label
    "equation 1 of cell 'copy'"
    """

    name: str | None = None
    lines: tuple[str, ...] = ()
    logical: tuple[Logical, ...] = field(default=(), repr=False)

    def where(self, span: Span) -> Where | None:
        """The place of a span, as errors show it."""
        if not span.line:
            return None
        label = f"line {span.line}"
        for logical in self.logical:
            if logical.first <= span.line <= logical.last and logical.equation:
                label = f"equation {logical.equation}"
        if self.name:
            is_file = "." in self.name or "/" in self.name
            label += f" of {self.name}" if is_file else f" of cell '{self.name}'"
        line = self.lines[span.line - 1]
        return Where(
            label, line, span.start, max(span.start + 1, min(span.end, len(line.rstrip())))
        )

    def quote(self, span: Span) -> str:
        """The user's own spelling of a span, cut short where it is long."""
        text = self.lines[span.line - 1][span.start : span.end].strip() if span.line else ""
        return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."

    def place(self, fault: Fault) -> ElmanError:
        """The error that the user sees."""
        return fault.problem.at(self.where(fault.span))


def source(text: str, name: str | None = None) -> Source:
    """Cut a text into logical lines of tokens; what it does not know becomes a stray token."""
    if len(text) > MOST_CHARACTERS:
        raise SyntaxProblem(
            "E137",
            f"the text has {len(text)} characters",
            rule=f"A cell's text has at most {MOST_CHARACTERS}.",
            fix="What repeats is an inner loop: l = 1..3, s[t,l] = ...",
        )
    lines = tuple(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    logical: list[Logical] = []
    count = 0
    for line in _logical(lines):
        if _is_equation(line):
            count += 1
            line = Logical(line.tokens, line.comment, line.first, line.last, count)
        logical.append(line)
    return Source(name, lines, tuple(logical))


def _is_equation(line: Logical) -> bool:
    words = [token.text for token in line.tokens]
    if "=" not in words or ".." in words or words[1] == ":":  # l = 1..L and inner: lstm(x = x[t])
        return False
    after = line.tokens[words.index("=") :]
    return any(token.kind in ("name", "stray") for token in after)


# A line that starts so is not the continuation of a bracket that someone forgot to close.
_STARTS = re.compile(r"\s*(return\b|\w+\s*:|\w+\s*(\[[^\]]*\])?\s*=(?!=))")
_STARTS_IN_USE = re.compile(r"\s*(return\b|\w+\s*:|\w+\s*\[[^\]]*\]\s*=(?!=))")  # h = ... goes on


def _logical(lines: tuple[str, ...]) -> Iterator[Logical]:
    tokens: list[Token] = []
    comments: list[str] = []
    first, depth = 1, 0
    for number, line in enumerate(lines, 1):
        found, comment, goes_on = _tokens(line, number)
        tokens += found
        comments += [comment] if comment is not None else []
        signs = [token.text for token in found if token.kind == "sign"]
        depth = max(0, depth + sum(map(signs.count, "([")) - sum(map(signs.count, ")]")))
        following = lines[number] if number < len(lines) else None
        in_use = len(tokens) > 3 and (tokens[1].text, tokens[3].text) == (":", "(")
        starts = _STARTS_IN_USE if in_use else _STARTS
        is_open = depth > 0 and not (following and starts.match(following))
        if following is not None and (goes_on or is_open):
            continue
        end = tokens[-1].span.end if tokens else 0
        last = tokens[-1].span.line if tokens else number
        tokens.append(Token("end", "", Span(last, max(0, end - 1), end)))
        yield Logical(tuple(tokens), " ".join(comments), first, number)
        tokens, comments, first, depth = [], [], number + 1, 0


_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*(?!=)|[=<>!]=|[-+*@%](?!=)|/(?![/=])|\.\.|\.(?!\*)|[()\[\],=<>]|:(?!=))"
    r"|(?P<stray>(?:\*\*|//|[-+*/@%^&|:])=|//|&&|\|\||\.\*|'[^']*'|\"[^\"]*\")"
)
_SAME = str.maketrans({"−": "-", "–": "-", "⊙": "*", "∘": "*", "∗": "*"})
_ALIKE = {"≤": "<=", "≥": ">=", "≠": "!="}
# NFKC would turn x² into the name x2 and hₜ into ht; · counts as a letter: these are told about.
_KEPT = set("·⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀᵗₜ₋₊")


def _tokens(line: str, number: int) -> tuple[list[Token], str | None, bool]:
    """The tokens of one line, its comment, and whether a backslash carries it on."""
    text, columns = _normalised(line)
    tokens: list[Token] = []
    at, size = 0, len(text)
    while at < size:
        if text[at] == "#":
            return tokens, line[columns[at] + 1 :].strip(), False
        if text[at] == "\\" and not text[at + 1 :].strip():
            return tokens, None, True
        kind, end = _next(text, at)
        if kind != "space":
            span = Span(number, columns[at], columns[end])
            word = _ALIKE.get(text[at:end], text[at:end])
            tokens.append(Token("sign" if word != text[at:end] else kind, word, span))
        at = end
    return tokens, None, False


def _next(text: str, at: int) -> tuple[str, int]:
    match = _TOKEN.match(text, at)
    kind, end = (str(match.lastgroup), match.end()) if match else ("stray", at + 1)
    begins = kind == "name" or (match is None and text[at].isidentifier() and text[at] not in _KEPT)
    if begins:
        kind = "name"
        while end < len(text) and ("a" + text[end]).isidentifier() and text[end] not in _KEPT:
            end += 1
    return kind, end


def _normalised(line: str) -> tuple[str, list[int] | range]:
    """The line in Unicode form NFKC, and each of its characters' column in the user's line."""
    if line.isascii():
        return line, range(len(line) + 1)
    text: list[str] = []
    columns: list[int] = []
    at = 0
    while at < len(line):
        end = at + 1
        while end < len(line) and unicodedata.combining(line[end]):
            end += 1
        piece = line[at:end]
        plain = piece if piece[0] in _KEPT else unicodedata.normalize("NFKC", piece)
        text.append(plain.translate(_SAME))
        columns += [at] * len(text[-1])
        at = end
    return "".join(text), [*columns, len(line)]

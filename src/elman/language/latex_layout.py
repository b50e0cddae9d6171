"""A page -> the tokens of its formulas: documents, docstrings and Markdown hold prose around them.

A text without any sign of a formula's beginning ($, \\[, an environment, `.. math::`) is all
formula, a line each.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from elman.errors import SyntaxProblem
from elman.language.latex_tokens import tokens
from elman.language.source import Fault, Span, Token

LONGEST = 20_000  # characters of formulas: a cell is short, and an answer must come at once

_ENVIRONMENT = (
    "align|alignat|aligned|alignedat|equation|eqnarray|gather|gathered|multline|flalign|split|"
    "displaymath|math|dmath|IEEEeqnarray"
)
_BEGINNING = re.compile(
    rf"(?P<skip>\\\\|\\\$)"
    rf"|(?P<env>\\begin\{{(?P<name>(?:{_ENVIRONMENT})\*?)\}})"
    rf"|(?P<array>^[ \t{{]*\\begin\{{array\}})"
    rf"|(?P<dollars>\$\$)|(?P<bracket>\\\[)|(?P<round>\\\()|(?P<dollar>\$)"
    rf"|(?P<role>:math:`)"
    rf"|(?P<fence>^[ \t]*```[ \t]*(?P<language>\w*)[^\n]*\n)"
    rf"|(?P<directive>^(?P<indent>[ \t]*)\.\. math::)",
    re.MULTILINE,
)
_END = {"dollars": "$$", "bracket": r"\]", "round": r"\)", "dollar": "$", "role": "`"}
_INLINE = ("dollar", "round", "role")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)[%#].*")
_PLAIN_COMMENT = re.compile(r"()#.*")  # where no backslash is, % is the remainder
_OPTION = re.compile(r"[ \t]*:\w+:.*")


@dataclass(frozen=True, slots=True)
class Formula:
    """A stretch of the page that is mathematics; `inline` stands within a sentence."""

    tokens: tuple[Token, ...]
    inline: bool


def formulas(lines: tuple[str, ...]) -> list[Formula]:
    """The formulas of a page, in order."""
    text = _without_comments(lines)
    marked = list(_stretches(text))
    stretches = (
        [s for s in marked if text[s[0] : s[1]].strip()] if marked else [(0, len(text), False)]
    )
    if sum(end - start for start, end, _ in stretches) > LONGEST:
        headline = f"the formulas have more than {LONGEST:,} characters"
        rule = "One text is one cell."
        fix = "Pass the part of the page that prints the cell's equations."
        raise Fault(SyntaxProblem, "E158", headline, Span(0, 0, 0), rule=rule, fix=fix)
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    rows = text.split("\n")
    return [
        Formula(tuple(_tokens(rows, starts, start, end)), inline)
        for start, end, inline in stretches
    ]


def _without_comments(lines: tuple[str, ...]) -> str:
    """The text without comments; every column stays where it is."""
    is_tex = any(mark in line for line in lines for mark in ("\\", "_{", "^{"))
    pattern = _COMMENT if is_tex else _PLAIN_COMMENT
    kept = []
    for line in lines:
        match = pattern.search(line) if "%" in line or "#" in line else None
        kept.append(line[: match.end(1)] if match else line)
    return "\n".join(kept)


def _stretches(text: str) -> Iterator[tuple[int, int, bool]]:
    """Start, end and whether it is inline, of every marked formula."""
    at = 0
    while match := _BEGINNING.search(text, at):
        kind = next(
            k for k in ("skip", "env", "array", *_END, "fence", "directive") if match[k] is not None
        )
        start, at = match.end(), match.end()
        if kind == "skip":
            continue
        if kind in ("env", "array"):
            start = match.start(kind)
            name = match["name"] or "array"
            at = _after(text, rf"\end{{{name}}}", at)
            yield start, at, False
        elif kind == "fence":
            at = _after(text, "```", at)
            if match["language"] in ("", "math", "latex", "tex", "text"):
                yield from _fenced(text, start, max(start, at - 3))
        elif kind == "directive":
            at = _directive_end(text, len(match["indent"]), start)
            yield start, at, False
        else:
            at = _after(text, _END[kind], at)
            end = at - len(_END[kind]) if text.endswith(_END[kind], start, at) else at
            yield start, end, kind in _INLINE


def _after(text: str, closing: str, at: int) -> int:
    """The place after the closing sign; the end of the text where it is missing."""
    while (found := text.find(closing, at)) > 0 and text[found - 1] == "\\" and closing[0] == "$":
        at = found + 1
    return found + len(closing) if found >= 0 else len(text)


def _fenced(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    inner = list(_stretches(text[start:end]))
    if inner:
        yield from ((start + a, start + b, inline) for a, b, inline in inner)
    else:
        yield start, end, False


def _directive_end(text: str, indent: int, start: int) -> int:
    """Where the block ends that is indented deeper than its directive."""
    at = text.find("\n", start)
    while at >= 0:
        stop = text.find("\n", at + 1)
        line = text[at + 1 : stop if stop >= 0 else len(text)]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return at
        at = stop
    return len(text)


def _tokens(rows: list[str], starts: list[int], start: int, end: int) -> Iterator[Token]:
    first = bisect_right(starts, start) - 1
    for index in range(first, len(rows)):
        if starts[index] >= end and index > first:
            return
        line = rows[index]
        left, right = max(0, start - starts[index]), min(len(line), end - starts[index])
        if not _OPTION.fullmatch(line, left):
            yield from tokens(line, index + 1, left, max(left, right))
        yield Token("newline", "\n", Span(index + 1, len(line), len(line)))

"""A line that is too long, broken where a person would break it.

Outermost first: between the entries of a vector, before a + or -, before a product sign; then
inside the brackets that are still too long. What follows stands under what it continues.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from elman.errors import columns_of

ROW = "\n "  # between the rows of a product: all of them are broken, or none
HANG = 4  # columns before the lines of what fits in no other way
NARROW = 24  # columns: a bracket that leaves less room does not move the lines after it
OPENING, CLOSING = "([{", ")]}"
SIGN = re.compile(r" (?:(?P<bound>[<>]=?|[!=]=)|(?P<sum>[+-])|[*/@%]|\*\*) ")
# before a sign, after a comma, after a bracket that is no index, between brackets of a matrix
PLACE = re.compile(
    r"(?<=[,;])(?= )|(?= (?:[<>]=?|[!=]=|[+*/@%-]|\*\*) )|(?<=\()(?=[^)])|(?<=\[\[)"
    r"|(?<=[^ *])(?=\*\*[^ ])|(?<=[^ *])(?=[*/][^ *])"
)
COMMA, BOUND, SUM, PRODUCT, TIGHT, POWER = range(6)  # from the loosest


def columns(text: str) -> int:
    """The columns that a text fills on a terminal."""
    return len(text) if text.isascii() else columns_of(text)


def flat(text: str) -> str:
    """The text on one line."""
    return text.replace(ROW, " ")


def fitted(text: str, width: int, start: int = 0, after: int = 0) -> list[str]:
    """Lines of at most `width` columns; the first stands after `start` of them, `after` follow.

    >>> fitted("tanh(0.25*1 + 0.5*2 + 0.5*3)", 30), fitted("tanh(0.25*1 + 0.5*2 + 0.5*3)", 27)
    (['tanh(0.25*1 + 0.5*2 + 0.5*3)'], ['tanh(0.25*1 + 0.5*2', '  + 0.5*3)'])
    >>> fitted("0.25*1 + 0.5*2", 12, start=4)
    ['0.25*1', '    + 0.5*2']
    """
    found = []
    for narrow in (NARROW, width):  # where too deep, every bracket moves its lines a little only
        paper = _Paper(width, start, narrow)
        paper.lay(text, start, after)
        found.append(paper.lines)
        if _widest(paper.lines, start, after) <= width:
            return paper.lines
    found += [_filled(text, width, start, after, hang) for hang in (start, HANG)]
    return min(found, key=lambda lines: max(_widest(lines, start, after), width))


def wrapped(text: str, width: int, start: int = 0, mark: str = "") -> list[str]:
    """Words in lines of at most `width` columns, each after `start` spaces and a mark."""
    lines: list[str] = []
    indent = " " * start + mark
    for word in text.split():
        if lines and columns(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(indent + word)
    return lines


@dataclass
class _Paper:
    """Lines that are being written; the last one is filled up to column `at`."""

    width: int
    at: int
    narrow: int = NARROW

    def __post_init__(self) -> None:
        self.lines = [""]

    def put(self, text: str) -> None:
        self.lines[-1] += text
        self.at += columns(text)

    def feed(self, hang: int) -> None:
        self.lines.append(" " * hang)
        self.at = hang

    def has_room(self, text: str, after: int) -> bool:
        return self.at + columns(flat(text)) + after <= self.width

    def lay(self, text: str, hang: int, after: int) -> None:
        """Write the text; lines after the first begin at column `hang`."""
        if self.has_room(text, after):
            return self.put(flat(text))
        pieces, is_rows = _pieces(text)
        if len(pieces) == 1:
            return self.lay_brackets(text, hang, after)
        for k, piece in enumerate(pieces):
            tail = after if k == len(pieces) - 1 else 0
            if k and (is_rows or not self.has_room(piece, tail)):
                self.feed(hang)
            elif piece[0] == " ":
                self.put(" ")
            self.lay_piece(piece.strip(), hang, tail)
        return None

    def lay_piece(self, piece: str, hang: int, after: int) -> None:
        """An operator with its right operand, or an operand."""
        sign = SIGN.match(f" {piece}")
        if sign and not self.has_room(piece, after):
            self.put(sign[0][1:])
            piece = piece[len(sign[0]) - 1 :]
            hang = self.at
        self.lay(piece, hang, after)

    def lay_brackets(self, text: str, hang: int, after: int) -> None:
        """What has no sign outside of brackets: break inside of those that do not fit."""
        parts = list(_brackets(text))
        for k, (before, inner, closing) in enumerate(parts):
            follows = columns(_unbroken(parts[k + 1])) if k + 1 < len(parts) else 0
            follows += after if all(inner == "" for _, inner, _ in parts[k + 1 :]) else 0
            self.put(before)
            if self.has_room(inner + closing, follows):
                self.put(flat(inner + closing))
                continue
            is_narrow = self.width - self.at < self.narrow
            self.lay(
                inner, min(self.at, hang + 2) if is_narrow else self.at, len(closing) + follows
            )
            self.put(closing)


def _widest(lines: Sequence[str], start: int, after: int) -> int:
    """The columns of the widest line, the first of which begins at `start`."""
    first, *others = map(columns, lines)
    widths = [start + first, *others]
    widths[-1] += after
    return max(widths)


def _filled(text: str, width: int, start: int, after: int, hang: int) -> list[str]:
    """Lines as full as they can be, broken at any sign, comma or bracket."""
    lines, used = [""], start
    parts = [part for part in PLACE.split(flat(text)) if part]
    for k, part in enumerate(parts):
        more = after if k == len(parts) - 1 else 0
        if used + columns(part.rstrip()) + more > width and lines[-1].strip():
            lines[-1] = lines[-1].rstrip()
            lines.append(" " * hang + part.lstrip())
            used = columns(lines[-1])
        else:
            lines[-1] += part
            used += columns(part)
    return lines


def _unbroken(part: tuple[str, str, str]) -> str:
    """What stands on the line before the next break: of `a[2..4]` all."""
    before, inner, closing = part
    return before + inner + closing if before == "[" else before


def _pieces(text: str) -> tuple[list[str], bool]:
    """The text cut at its loosest signs, and whether each piece is a row of its own."""
    cuts: dict[int, list[int]] = {}
    for place, level in _signs(text):
        cuts.setdefault(level, []).append(place)
    if not cuts:
        return [text], False
    places = [0, *cuts[min(cuts)], len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    is_rows = any(piece[0] == "\n" for piece in pieces)
    return pieces, is_rows or all(piece.strip()[0] == "[" for piece in pieces)


def _signs(text: str) -> Iterator[tuple[int, int]]:
    """Where the text may be cut outside of brackets, and how tight the sign there binds."""
    depth = 0
    for k, letter in enumerate(text):
        if letter in OPENING:
            depth += 1
        elif letter in CLOSING:
            depth -= 1
        elif depth == 0 and letter in " \n" and k:
            if text[k - 1] in ",;":
                yield k, COMMA if text[k - 1] == "," else PRODUCT
            elif sign := SIGN.match(text, k):
                yield k, BOUND if sign["bound"] else SUM if sign["sum"] else PRODUCT
        elif depth == 0 and letter in "*/" and k and text[k - 1] not in " *" and text[k + 1] != "*":
            yield k, TIGHT
        elif depth == 0 and text.startswith("**", k) and k and text[k - 1] != " ":
            yield k, POWER


def _brackets(text: str) -> Iterator[tuple[str, str, str]]:
    """`f(a)*(b)c` as what stands before each bracket, in it, and the closing one."""
    depth = start = opened = 0
    for k, letter in enumerate(text):
        if letter in OPENING:
            depth += 1
            if depth == 1:
                opened = k + 1
        elif letter in CLOSING and depth:
            depth -= 1
            if depth == 0:
                yield text[start:opened], text[opened:k], letter
                start = k + 1
    if start < len(text):
        yield text[start:], "", ""

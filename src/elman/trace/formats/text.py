"""A document as plain text: what each step reads, then its equations one under the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from elman.language.syntax import Expr
from elman.trace.document import Array, Chain, Document, Given, Item, Remark, Room, Section, Table
from elman.trace.formats.fitting import columns, fitted, flat, wrapped
from elman.trace.formats.plain import changing, write_plain
from elman.trace.leaves import Gap
from elman.trace.numbers import Digits

WIDEST = 80  # columns that a line fills before it is broken
INDENT = "  "
BESIDE = 5  # columns that a product worked beside an equation stands further in
NUMBERED = re.compile(r"\d+\. (?=\S)")
WRITTEN = 2  # lines to write an answer on
NARROWEST = 20  # columns that are worth beginning a gloss in

# what a piece of a line is, for those who colour it
HEADING, LABEL, SIGN, FORMULA, NUMBERS, RESULT = (
    *("heading", "label", "sign", "formula", "numbers", "result"),
)
NOTE, COMMENT, BLANK, PLAIN = "note", "comment", "blank", "plain"
Row = list[tuple[str, str]]  # pieces of a line: a text and what it is


def write_text(document: Document, digits: Digits, width: int = WIDEST) -> str:
    """Every section under its heading, with empty lines between; one without items is left out."""
    rows = write_rows(document, digits, width)
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


def write_rows(document: Document, digits: Digits, width: int = WIDEST) -> list[Row]:
    """The lines of the text in pieces, each with what it is."""
    page = _Page(digits, width)
    rows: list[Row] = [[(line, HEADING)] for line in wrapped(document.title, width)]
    for section in document.sections:
        if section.items:
            rows += [[]] if rows and rows[-1] else []
            rows += page.section(section)
    return rows


class _Page:
    def __init__(self, digits: Digits, width: int) -> None:
        self.digits, self.width = digits, width

    def section(self, section: Section) -> Iterator[Row]:
        for line in wrapped(section.title, self.width):
            yield [(line, HEADING)]
        for item in section.items:
            yield from self.item(item)

    def item(self, item: Item) -> Iterable[Row]:
        match item:
            case Given():
                return self.given(item)
            case Chain():
                return self.chain(item)
            case Remark(text=text):
                return self.remark(text)
            case Room():
                return self.room()
        return self.table(item)

    def remark(self, text: str) -> list[Row]:
        """A sentence; of a numbered one the lines stand under its first word."""
        number = NUMBERED.match(text)
        hang = len(number[0]) if number else 0
        lines = wrapped(text[hang:], self.width, len(INDENT) + hang)
        if number and lines:
            lines[0] = INDENT + number[0] + lines[0].lstrip()
        return [[(line, PLAIN)] for line in lines]

    def room(self) -> list[Row]:
        """Lines to write on, each with room above it."""
        hang = INDENT + " " * len("1. ")
        line = hang + "_" * (self.width - len(hang))
        return [*[[], [(line, BLANK)]] * WRITTEN, []]

    def plain(self, expr: Expr) -> str:
        return write_plain(expr, self.digits)

    def given(self, item: Given) -> list[Row]:
        shown = self.digits.array(item.value, item.is_given)
        rows, start = self.label(self.plain(item.left), len(INDENT))
        rows = self.look(rows[:-1], rows[-1], shown, NUMBERS)
        return self.said(rows, start, item.note, item.comment)

    def chain(self, chain: Chain) -> list[Row]:
        """The formula, what is worked beside it, and the looks, `=` under `=`."""
        formula, *looks = changing(self.plain(look) for look in chain.looks)
        roles = [_role(chain, k == len(looks) - 1) for k in range(len(looks))]
        rows, start = self.label(self.plain(chain.left), len(INDENT))
        role = FORMULA if looks or not isinstance(chain.looks[0], Gap) else BLANK
        rows = self.look(rows[:-1], rows[-1], formula, role)
        rows = self.said(rows, start, "" if looks else chain.note, chain.comment)
        for inner in chain.beside:
            rows += self.beside(inner, start - len(" = ") + BESIDE)
        for look, role in zip(looks, roles, strict=True):
            rows = self.look(rows, _sign(start), look, role)
        return self.said(rows, start, chain.note if looks else "", "")

    def beside(self, chain: Chain, indent: int) -> list[Row]:
        """`W @ x[1] = (0.5*1, 0.1*1) = (0.5, 0.1)`, on one line if it fits."""
        label = self.plain(chain.left)
        looks = changing(self.plain(look) for look in chain.looks)
        roles = [_role(chain, k == len(looks) - 1) for k in range(len(looks))]
        rows, start = self.label(label, indent)
        line = f"{label} = {' = '.join(map(flat, looks))}"
        if indent + columns(line) <= self.width:
            for look, role in zip(looks, roles, strict=True):
                rows[-1] += [(" = ", SIGN)] * (look is not looks[0]) + [(flat(look), role)]
        else:
            rows = self.look(rows[:-1], rows[-1], looks[0], roles[0])
            for look, role in zip(looks[1:], roles[1:], strict=True):
                rows = self.look(rows, _sign(start), look, role)
        rows = self.said(rows, start, chain.note, chain.comment)
        for inner in chain.beside:
            rows += self.beside(inner, min(start - len(" = ") + BESIDE, self.width // 2))
        return rows

    def label(self, label: str, indent: int) -> tuple[list[Row], int]:
        """A left side with its `=`, and the column after it; a long one has lines of its own."""
        start = indent + columns(label) + len(" = ")
        if start <= max(self.width // 2, indent + self.width // 4):
            return [[(" " * indent, PLAIN), (label, LABEL), (" = ", SIGN)]], start
        start = indent + len(INDENT) + len(" = ")
        first, *others = fitted(label, self.width, indent)
        rows = [[(" " * indent, PLAIN), (first, LABEL)], *([(line, LABEL)] for line in others)]
        return [*rows, _sign(start)], start

    def look(self, rows: list[Row], row: Row, look: str, role: str) -> list[Row]:
        """The rows with one more, and the look after what stands in it."""
        start = sum(columns(text) for text, _ in row)
        first, *others = fitted(look, self.width, start)
        return [*rows, [*row, (first, role)], *([(line, role)] for line in others)]

    def said(self, rows: list[Row], start: int, note: str, comment: str) -> list[Row]:
        """A note and a gloss after the last row, or where they do not fit under it."""
        for text, mark, role in ((note, "", NOTE), (" ".join(comment.split()), "# ", COMMENT)):
            if not text:
                continue
            used = sum(columns(piece) for piece, _ in rows[-1])
            if used + columns(f"  {mark}{text}") <= self.width:
                rows[-1] = [*rows[-1], (f"  {mark}{text}", role)]
                continue
            is_narrow = self.width - start < NARROWEST + len(mark)
            lines = wrapped(text, self.width, 2 * len(INDENT) if is_narrow else start, mark)
            rows = [*rows, *([(line, role)] for line in lines)]
        return rows

    def table(self, table: Table) -> list[Row]:
        """Columns side by side; those that are too wide share the room."""
        cells = [list(table.header), *(list(map(self.cell, row)) for row in table.rows)]
        room = self.width - len(INDENT) - 2 * (len(table.header) - 1)
        widths = _shared([max(map(columns, column)) for column in zip(*cells, strict=True)], room)
        rows = [[(line, PLAIN)] for line in wrapped(table.title, self.width, len(INDENT))]
        for k, row in enumerate(cells):
            rows += _table_row(row, widths, NUMBERS if k else LABEL)
        return rows

    def cell(self, cell: str | Expr | Array) -> str:
        if isinstance(cell, str):
            return cell
        return self.plain(cell) if isinstance(cell, Expr) else self.digits.array(np.asarray(cell))


def _sign(start: int) -> Row:
    return [(" " * (start - len("= ")) + "= ", SIGN)]


def _role(chain: Chain, is_last: bool) -> str:
    if any(isinstance(look, Gap) for look in chain.looks):
        return BLANK
    return RESULT if is_last else NUMBERS


def _shared(widths: list[int], room: int) -> list[int]:
    """Widths of columns that fit: the widest give way."""
    while sum(widths) > room and max(widths) > NARROWEST // 2:
        widths[widths.index(max(widths))] -= 1
    return widths


def _in_column(text: str, width: int) -> list[str]:
    """A value broken at its signs, or a sentence at its words."""
    lines = fitted(text, width)
    return lines if max(map(columns, lines)) <= width else wrapped(text, width) or [""]


def _table_row(row: Sequence[str], widths: Sequence[int], role: str) -> list[Row]:
    columns_of_lines = [_in_column(text, width) for text, width in zip(row, widths, strict=True)]
    height = max(map(len, columns_of_lines))
    rows: list[Row] = []
    for k in range(height):
        texts: list[Any] = [lines[k] if k < len(lines) else "" for lines in columns_of_lines]
        padded = [
            text + " " * (width - columns(text)) for text, width in zip(texts, widths, strict=True)
        ]
        rows.append([(INDENT + "  ".join(padded).rstrip(), role)])
    return rows

"""A document as plain text: what each step reads, then its equations one under the other."""

from __future__ import annotations

from elman.language.syntax import Expr
from elman.trace.document import Array, Chain, Document, Given, Remark, Section, Table
from elman.trace.numbers import Digits
from elman.trace.plain import ROW, changing, write_plain

WIDEST = 80  # columns that a line fills before it is broken
INDENT = "  "


def write_text(document: Document, digits: Digits, width: int = WIDEST) -> str:
    """Every section under its heading, with empty lines between; one without items is left out."""
    page = _Page(digits, width)
    blocks = [page.section(section) for section in document.sections if section.items]
    return "\n\n".join("\n".join(block) for block in blocks)


class _Page:
    def __init__(self, digits: Digits, width: int) -> None:
        self.digits, self.width = digits, width

    def section(self, section: Section) -> list[str]:
        lines = [section.title]
        for item in section.items:
            match item:
                case Given():
                    lines.append(INDENT + self.given(item))
                case Chain():
                    lines += self.chain(item)
                case Remark(text=text):
                    lines.append(INDENT + text)
                case Table():
                    lines += self.table(item)
        return lines

    def given(self, item: Given) -> str:
        shown = self.digits.array(item.value, item.is_given)
        note = f"  {item.note}" if item.note else ""
        return f"{self.plain(item.left)} = {shown}{note}{_gloss(item.comment)}"

    def plain(self, expr: Expr) -> str:
        return write_plain(expr, self.digits)

    def chain(self, chain: Chain) -> list[str]:
        label = self.plain(chain.left)
        formula, *looks = changing(self.plain(look) for look in chain.looks)
        indent = " " * len(INDENT + label)
        lines = [f"{INDENT}{label} = {formula}{_gloss(chain.comment)}"]
        for inner in chain.beside:
            lines += self.beside(inner, indent + "   " + INDENT)
        for look in looks:
            lines += self.fitted(f"{indent} = ", look)
        if chain.note:
            lines[-1] += f"  {chain.note}"
        return lines

    def beside(self, chain: Chain, indent: str) -> list[str]:
        """`W @ x[1] = (0.5*1, 0.1*1) = (0.5, 0.1)`, on one line if it fits."""
        label = self.plain(chain.left)
        looks = changing(self.plain(look) for look in chain.looks)
        line = f"{indent}{label} = {' = '.join(map(_flat, looks))}"
        if len(line) <= self.width:
            return [line]
        first, *rest = looks
        lines = self.fitted(f"{indent}{label} = ", first)
        for look in rest:
            lines += self.fitted(f"{' ' * len(indent + label)} = ", look)
        return lines

    def fitted(self, start: str, look: str) -> list[str]:
        """A look after its start; rows that do not fit beside each other go under each other."""
        if len(start) + len(_flat(look)) <= self.width:
            return [start + _flat(look)]
        first, *rows = look.split(ROW)
        return [start + first, *(" " * (len(start) + 1) + row for row in rows)]

    def table(self, table: Table) -> list[str]:
        rows = [table.header, *(tuple(map(self.cell, row)) for row in table.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return [INDENT + line for line in ([table.title] if table.title else []) + lines]

    def cell(self, cell: str | Expr | Array) -> str:
        if isinstance(cell, str):
            return cell
        return self.plain(cell) if isinstance(cell, Expr) else self.digits.array(cell)


def _flat(look: str) -> str:
    return look.replace(ROW, " ")


def _gloss(comment: str) -> str:
    return f"  # {' '.join(comment.split())}" if comment else ""

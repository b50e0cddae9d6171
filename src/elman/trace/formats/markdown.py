"""A document as Markdown with mathematics between dollars, as GitHub and Jupyter show it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from elman.language.syntax import Expr
from elman.trace.document import (
    Array,
    Chain,
    Document,
    Given,
    Item,
    Remark,
    Room,
    Table,
    blocks_of,
)
from elman.trace.formats.glosses import typeset
from elman.trace.formats.latex_breaks import GAP
from elman.trace.formats.latex_math import Formulas
from elman.trace.numbers import Digits

MARKS = re.compile(r"([\\`*_\[\]<>#|~$&])")
LIST = re.compile(r"^(\s*)([-+]|\d+[.)])(?=\s|$)")  # at its start a sentence would be a list
# GitHub refuses \operatorname and takes < for the beginning of a tag, KaTeX knows no @{}
REFUSED = (
    ("{@{}", "{"),
    ("@{}}", "}"),
    (r"\operatorname{", r"\mathrm{"),
    (" < ", r" \lt "),
    (" > ", r" \gt "),
)
ROOM = "\n\n".join(["&nbsp;", "---"] * 2)  # two lines to write an answer on
QUAD = 4  # millimetres; GitHub refuses \hspace


def write_markdown(document: Document, digits: Digits) -> str:
    """Headings, tables of what is given, equations under each other.

    >>> from elman.trace.document import Remark, Section
    >>> print(write_markdown(Document((Section("step 1", (Remark("h_1 = 0"),)),)), Digits()))
    ## Step 1
    <BLANKLINE>
    h\\_1 = 0
    <BLANKLINE>
    """
    page = _Page(Formulas(document, digits))
    blocks = [f"# {escaped(document.title)}"] if document.title else []
    for section in document.sections:
        if section.items:
            blocks += [f"## {escaped(section.title[:1].upper() + section.title[1:])}"]
            blocks += blocks_of(section, page.given, page.item)
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """A sentence whose signs are no marks of Markdown.

    >>> escaped("1. h_t * 2"), escaped("- <b>")
    ('1\\\\. h\\\\_t \\\\* 2', '\\\\- \\\\<b\\\\>')
    """
    text = MARKS.sub(r"\\\1", re.sub(r"\s+", " ", text))
    return LIST.sub(lambda m: f"{m[1]}{m[2][:-1]}\\{m[2][-1]}", text)


class _Page:
    def __init__(self, formulas: Formulas) -> None:
        self.formulas = formulas

    def item(self, item: Item) -> str:
        match item:
            case Chain():
                return self.chain(item)
            case Table():
                return self.table(item)
            case Room():
                return ROOM
        assert isinstance(item, Remark), item
        return self.said(item.text)

    def said(self, text: str) -> str:
        return typeset(text, escaped, self.inline)

    def given(self, items: Iterable[Given]) -> str:
        rows = []
        for item in items:
            value = self.formulas.row(item.value, item.is_given)
            said = ", ".join(self.said(text) for text in (item.note, item.comment) if text)
            rows.append([self.inline(item.left), f"${_accepted(value)}$", said])
        is_said = any(row[2] for row in rows)
        return _grid(["given", "value", ""][: 2 + is_said], [row[: 2 + is_said] for row in rows])

    def chain(self, chain: Chain) -> str:
        gloss = [f"*{self.said(chain.comment)}*"] if chain.comment else []
        note = [self.said(chain.note)] if chain.note else []
        body = " \\\\\n".join(map(_accepted, self.formulas.chain(chain)))
        lines = ["$$", r"\begin{aligned}", body, r"\end{aligned}", "$$"]
        return "\n\n".join([*gloss, "\n".join(lines), *note])

    def table(self, table: Table) -> str:
        title = [escaped(table.title)] if table.title else []
        rows = [[self.cell(cell) for cell in row] for row in table.rows]
        return "\n\n".join([*title, _grid([escaped(text) for text in table.header], rows)])

    def cell(self, cell: str | Expr | Array) -> str:
        if isinstance(cell, str):
            return escaped(cell)
        if isinstance(cell, Expr):
            return self.inline(cell)
        return f"${_accepted(self.formulas.row(cell))}$"

    def inline(self, expr: Expr) -> str:
        return f"${_accepted(self.formulas.write(expr))}$"


def _accepted(latex: str) -> str:
    for refused, instead in REFUSED:
        latex = latex.replace(refused, instead)
    return GAP.sub(lambda found: r"\quad" * -(-int(found[1]) // QUAD), latex)


def _grid(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

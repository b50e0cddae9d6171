r"""A document as LaTeX: a file that pdflatex takes alone, and that other documents \input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from elman.language.syntax import Expr
from elman.trace.document import (
    Array,
    Chain,
    Document,
    Given,
    Item,
    Remark,
    Room,
    Section,
    Table,
    blocks_of,
)
from elman.trace.formats.glosses import typeset
from elman.trace.formats.latex_breaks import breadth
from elman.trace.formats.latex_letters import in_text
from elman.trace.formats.latex_math import WIDEST, Formulas
from elman.trace.formats.text import NUMBERED
from elman.trace.numbers import Digits

# A document that is under way has both commands forbidden alike; before it they differ.
HEAD = r"""% A worked example. It compiles alone with pdflatex; a document with \usepackage{amsmath}
% takes it in with \input.
\ifx\documentclass\usepackage
  \let\elmanend\relax
  \ifdefined\dfrac\else\errmessage{This file needs \string\usepackage{amsmath}}\fi
\else
  \documentclass[10pt,a4paper,fleqn]{article}
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{lmodern,amsmath}
  \usepackage[margin=22mm]{geometry}
  \setlength{\parindent}{0pt}
  \setlength{\mathindent}{2em}
  \def\elmanend{\end{document}}
  \begin{document}
  \abovedisplayskip=6pt plus 2pt minus 3pt
  \belowdisplayskip=\abovedisplayskip
\fi"""
TAIL = r"\elmanend"
# what cannot be broken is set smaller: up to how many digits each size of letters holds
SIZES = (
    ("", WIDEST + 2),
    (r"\small", WIDEST * 10 // 9),
    (r"\footnotesize", WIDEST * 10 // 8),
    (r"\scriptsize", math.inf),
)
# three lines to write an answer on, with the room that a hand needs
ROOM = r"\nopagebreak\noindent" + r"\\*".join([r"\rule{0pt}{10mm}\hrulefill"] * 3) + r"\par\medskip"
APART = 6  # digits of room between values that are given


def write_latex(document: Document, digits: Digits) -> str:
    r"""A file that compiles alone, or inside of another document.

    >>> from elman.trace.document import Remark
    >>> text = write_latex(Document((Section("step 1", (Remark("h is 0."),)),)), Digits())
    >>> print(*text.splitlines()[-5:], sep="\n")
    \subsection*{Step 1}
    <BLANKLINE>
    h is 0.
    <BLANKLINE>
    \elmanend
    """
    title = [rf"\section*{{{in_text(document.title)}}}"] if document.title else []
    return "\n\n".join([HEAD, *title, *_blocks(document, digits, r"\subsection*{%s}"), TAIL]) + "\n"


def write_fragment(document: Document, digits: Digits) -> str:
    """The body alone, without commands that only a whole document has."""
    return "\n\n".join(_blocks(document, digits, r"\textbf{%s}"))


def _blocks(document: Document, digits: Digits, heading: str) -> Iterator[str]:
    page = _Page(Formulas(document, digits))
    for section in document.sections:
        if section.items:
            title = in_text(section.title)
            yield heading.replace("%s", title[:1].upper() + title[1:])
            yield page.section(section)


class _Page:
    def __init__(self, formulas: Formulas) -> None:
        self.formulas = formulas

    def section(self, section: Section) -> str:
        """The blocks of a section; values that are given stand beside each other."""
        text = ""
        for block in blocks_of(
            section, self.given, self.item
        ):  # a display that begins a paragraph has an empty line above it
            text += ("\n" if block[0] == "{" and text[-1:] == "}" else "\n\n") + block
        return text.strip()

    def item(self, item: Item) -> str:
        match item:
            case Chain():
                return self.chain(item)
            case Table():
                return self.table(item)
            case Room():
                return ROOM
        assert isinstance(item, Remark), item
        hang = r"\hangindent=1.5em " if NUMBERED.match(item.text) else ""
        return hang + self.said(item.text)

    def said(self, text: str) -> str:
        return typeset(text, in_text, lambda name: f"${self.formulas.write(name)}$")

    def given(self, items: Iterable[Given]) -> str:
        """As many in a line as fit; one with a gloss has its own."""
        lines: list[tuple[str, int]] = []
        for item in items:
            value = self.formulas.value_of(item)
            said = " ".join(f"({self.said(text)})" for text in (item.note, item.comment) if text)
            line = rf"{value} \quad \text{{{said}}}" if said else value
            width = breadth(line)
            if lines and not said and lines[-1][1] + APART + width <= WIDEST:
                before, used = lines[-1]
                lines[-1] = (rf"{before} \qquad {line}", used + APART + width)
            else:
                lines.append((line, WIDEST if said else width))
        return _display("gather*", [line for line, _ in lines])

    def chain(self, chain: Chain) -> str:
        """The gloss, the equations, the note."""
        gloss = [rf"\emph{{{self.said(chain.comment)}}}"] if chain.comment else []
        note = [rf"({self.said(chain.note)})"] if chain.note else []
        rows = self.formulas.chain(chain)
        return "\n".join([*gloss, _display("align*", rows), *note])

    def table(self, table: Table) -> str:
        rows = [[in_text(text) for text in table.header]]
        rows += [[self.cell(cell) for cell in row] for row in table.rows]
        body = " \\\\\n".join(" & ".join(row) for row in rows)
        title = [rf"{in_text(table.title)}\\[1ex]"] if table.title else []
        start = rf"\begin{{tabular}}{{{'l' * len(table.header)}}}"
        return "\n".join([*title, start, body, r"\end{tabular}"])

    def cell(self, cell: str | Expr | Array) -> str:
        if isinstance(cell, str):
            return in_text(cell)
        shown = self.formulas.write(cell) if isinstance(cell, Expr) else self.formulas.row(cell)
        return f"${shown}$"


def _display(environment: str, rows: list[str]) -> str:
    """Equations that may go on on the next page."""
    body = " \\\\\n".join(f"  {row}" for row in rows)
    block = f"\\begin{{{environment}}}\n{body}\n\\end{{{environment}}}"
    broadest = max(map(breadth, rows))
    size = next(size for size, most in SIZES if broadest <= most)
    return f"{{{size}\\allowdisplaybreaks\n{block}}}"

"""A document as one HTML file: MathML, light and dark, without a script or anything to load."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources

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
from elman.trace.formats.mathml import GAP, MathML, sign
from elman.trace.formats.text import NUMBERED
from elman.trace.leaves import UPDATED, Dated
from elman.trace.numbers import Digits

TITLE = "Worked example"
ROOM = f'<div class="room">{"<div></div>" * 3}</div>'  # lines to write an answer on
# what a whole page has besides the style of a trace
PAGE_STYLE = """:root { color-scheme: light dark; }
body { margin: 0; background: light-dark(#fff, #16181c); color: light-dark(#1b1d21, #e6e6e6); }
main.elman-trace { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
@media print { :root { color-scheme: light; } main.elman-trace { max-width: none; padding: 0; } }
@page { margin: 18mm; }"""


@functools.cache
def style() -> str:
    """The style of a trace; it touches nothing outside of one."""
    return resources.files("elman.trace.formats").joinpath("page.css").read_text("utf-8").strip()


def write_html(document: Document, digits: Digits) -> str:
    """A whole page.

    >>> from elman.trace.document import Remark
    >>> page = write_html(Document((Section("step 1", (Remark("1 < 2"),)),)), Digits())
    >>> print(page[page.index("<main"):], end="")
    <main class="elman-trace">
    <h1>Worked example</h1>
    <section id="step-1">
    <h2>Step 1</h2>
    <p>1 &lt; 2</p>
    </section>
    </main>
    </body>
    </html>
    """
    title = escape(document.title or TITLE)
    shown = [section for section in document.sections if section.items]
    anchors = _anchors(shown)
    body = [f"<h1>{title}</h1>", *_contents(shown, anchors), *_sections(document, digits, anchors)]
    head = ['<meta charset="utf-8">']
    head += ['<meta name="viewport" content="width=device-width, initial-scale=1">']
    head += [f"<title>{title}</title>", f"<style>\n{PAGE_STYLE}\n{style()}\n</style>"]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>"]
    lines += ['<main class="elman-trace">', *body, "</main>", "</body>", "</html>"]
    return "\n".join(lines) + "\n"


def write_fragment(document: Document, digits: Digits) -> str:
    """The body with its style, to stand in another page, such as a notebook."""
    title = [f"<h1>{escape(document.title)}</h1>"] if document.title else []
    body = "\n".join([*title, *_sections(document, digits)])
    return f'<div class="elman-trace">\n<style>\n{style()}\n</style>\n{body}\n</div>\n'


def _anchors(sections: Iterable[Section]) -> list[str]:
    """An address for every section: `step-1`; another number where two are alike."""
    found: list[str] = []
    for section in sections:
        stem = re.sub(r"\W+", "-", section.title.lower()).strip("-") or "part"
        alike = sum(
            re.fullmatch(rf"{re.escape(stem)}(--\d+)?", other) is not None for other in found
        )
        found.append(f"{stem}--{alike + 1}" if alike else stem)
    return found


def _contents(sections: list[Section], anchors: list[str]) -> list[str]:
    if len(sections) < 3:
        return []
    links = (
        f'<li><a href="#{anchor}">{escape(_title(section))}</a></li>'
        for section, anchor in zip(sections, anchors, strict=True)
    )
    return ['<nav aria-label="Steps">', "<ul>", *links, "</ul>", "</nav>"]


def _title(section: Section) -> str:
    return section.title[:1].upper() + section.title[1:]


def _sections(
    document: Document, digits: Digits, anchors: Iterable[str] | None = None
) -> Iterator[str]:
    page = _Page(MathML(document, digits))
    shown = [section for section in document.sections if section.items]
    ids = [f' id="{anchor}"' for anchor in anchors] if anchors is not None else [""] * len(shown)
    for section, where in zip(shown, ids, strict=True):
        yield f"<section{where}>"
        yield f"<h2>{escape(_title(section))}</h2>"
        yield from blocks_of(section, page.given, page.item)
        yield "</section>"


class _Page:
    def __init__(self, maths: MathML) -> None:
        self.maths = maths

    def item(self, item: Item) -> str:
        match item:
            case Chain():
                return self.chain(item)
            case Table():
                return self.table(item)
            case Room():
                return ROOM
        assert isinstance(item, Remark), item
        what = ' class="numbered"' if NUMBERED.match(item.text) else ""
        return f"<p{what}>{self.said(item.text)}</p>"

    def said(self, text: str) -> str:
        return typeset(text, escape, lambda name: _math(self.maths.write(name)))

    def note(self, text: str) -> str:
        return f'<span class="note">{self.said(text)}</span>' if text else ""

    def gloss(self, text: str, tag: str) -> str:
        return f'<{tag} class="gloss">{self.said(text)}</{tag}>' if text else ""

    def given(self, items: Iterable[Given]) -> str:
        shown = []
        for item in items:
            value = self.maths.value(item.value, item.is_given).xml
            maths = _math(self.maths.write(item.left) + sign("=") + value)
            said = f"{self.note(item.note)} {self.gloss(item.comment, 'span')}".rstrip()
            shown.append(f"<div>{maths}{said}</div>")
        return "\n".join(['<div class="given scroll">', *shown, "</div>"])

    def chain(self, chain: Chain) -> str:
        """Its gloss, and its lines: a left side, and right sides under each other."""
        left, first = self.left(chain.left)
        looks = self.looks(chain)
        lines = []
        for k, look in enumerate(looks):
            is_last = k == len(looks) - 1
            said = self.note(chain.note) if is_last else ""
            what = "result" if is_last and k and GAP not in look else "look"
            before, equals = ("", "=") if k else (_math(left), first)
            lines.append(f'<div class="left">{before}</div>')
            right = _math(sign(equals, form="infix") + look)
            lines.append(f'<div class="{what}">{right}{said}</div>')
            lines += [self.beside(inner) for inner in chain.beside] if k == 0 else []
        gloss = [self.gloss(chain.comment, "p")] if chain.comment else []
        body = ['<div class="lines">', *lines, "</div>"]
        return "\n".join(['<div class="chain">', *gloss, *body, "</div>"])

    def left(self, left: Expr) -> tuple[str, str]:
        """A left side and its sign: a weight that is updated becomes something."""
        if isinstance(left, Dated) and left.kind == UPDATED:
            return self.maths.write(Dated(left.name, left.step)), "←"
        return self.maths.write(left), "="

    def looks(self, chain: Chain) -> list[str]:
        written = [self.maths.write(look) for look in chain.looks]
        return [look for k, look in enumerate(written) if k == 0 or look != written[k - 1]]

    def beside(self, chain: Chain) -> str:
        """A product worked beside its equation, further in."""
        first, *looks = self.looks(chain)
        line = _math(self.left(chain.left)[0] + sign("=") + first)
        line += "".join(_math(sign("=", form="infix") + look) for look in looks)
        own = f"{line}{self.note(chain.note)} {self.gloss(chain.comment, 'span')}".rstrip()
        return "\n".join([f'<div class="beside">{own}</div>', *map(self.beside, chain.beside)])

    def table(self, table: Table) -> str:
        title = [f"<caption>{escape(table.title)}</caption>"] if table.title else []
        head = "".join(f'<th scope="col">{escape(text)}</th>' for text in table.header)
        rows = ["".join(f"<td>{self.cell(cell)}</td>" for cell in row) for row in table.rows]
        lines = ["<table>", *title, f"<thead><tr>{head}</tr></thead>", "<tbody>"]
        lines += [*(f"<tr>{row}</tr>" for row in rows), "</tbody>", "</table>"]
        return "\n".join(['<div class="scroll">', *lines, "</div>"])

    def cell(self, cell: str | Expr | Array) -> str:
        if isinstance(cell, str):
            return self.said(cell)
        return _math(self.maths.write(cell) if isinstance(cell, Expr) else self.maths.lying(cell))


def _math(inner: str) -> str:
    return f'<math displaystyle="true"><mrow>{inner}</mrow></math>'

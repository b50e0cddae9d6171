"""A document on a terminal: the plain text with colours, as wide as the window."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from elman.trace.document import Document
from elman.trace.formats.text import (
    BLANK,
    COMMENT,
    FORMULA,
    HEADING,
    LABEL,
    NOTE,
    NUMBERS,
    PLAIN,
    RESULT,
    SIGN,
    write_rows,
)
from elman.trace.numbers import Digits

NARROW, WIDE = 80, 200  # columns that a page has at least and at most
STYLES = {
    HEADING: "bold underline",
    LABEL: "cyan",
    SIGN: "dim",
    FORMULA: "",
    NUMBERS: "",
    RESULT: "bold green",
    NOTE: "yellow",
    COMMENT: "dim italic",
    BLANK: "magenta",
    PLAIN: "",
}


def print_document(
    document: Document,
    digits: Digits,
    *,
    console: Console | None = None,
    width: int | None = None,
) -> None:
    """Print a document; without a terminal, or with NO_COLOR set, as plain text.

    >>> from elman.trace.document import Remark, Section
    >>> print_document(Document((Section("step 1", (Remark("Nothing moves."),)),)), Digits())
    step 1
      Nothing moves.
    """
    console = console or Console(highlight=False)
    room = width or min(max(console.width, NARROW), WIDE)
    for row in write_rows(document, digits, room):
        line = Text(no_wrap=True, overflow="ignore", end="")
        for text, what in row:
            line.append(text, STYLES[what])
        line.rstrip()
        console.print(line, soft_wrap=True, crop=False)

"""What reading a text gives: the cell, the syntax, and where each node stands in the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from elman.errors import Where
from elman.ir.cell import Cell
from elman.ir.node import Node
from elman.language.lower import lower
from elman.language.read_python import parse
from elman.language.source import Fault, Span, source
from elman.language.syntax import Remark, Return, Text


@dataclass(frozen=True)
class Reading:
    """A cell with the text that it was read from."""

    cell: Cell
    text: Text
    spans: Mapping[Node, Span] = field(repr=False, compare=False)

    def where(self, node: Node) -> Where | None:
        """Where a node first stands in the text; None for nodes that the text does not hold."""
        return self.text.source.where(self.spans[node]) if node in self.spans else None

    def quote(self, node: Node) -> str | None:
        """The user's own spelling of a node."""
        return self.text.source.quote(self.spans[node]) if node in self.spans else None

    @property
    def comments(self) -> dict[str, str]:
        """The comment at the end of each name's line: the gloss that traces show."""
        lines = [line for line in self.text.lines if not isinstance(line, Remark | Return)]
        return {line.name: line.comment for line in lines if line.comment}


def read(text: str, name: str | None = None) -> Reading:
    """Read a cell from equations in Python's notation.

    >>> read("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)  # Elman 1990").comments
    {'h': 'Elman 1990'}
    """
    given = source(text, name)
    try:
        syntax = parse(given)
        cell, spans = lower(syntax, name)
    except Fault as fault:
        raise given.place(fault) from None
    return Reading(cell, syntax, spans)

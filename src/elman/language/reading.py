"""What reading a text gives: the cell, the syntax, and where each node stands in the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from elman.errors import CellWarning, NameProblem, Where, nearest
from elman.ir.cell import Cell
from elman.ir.cell import Number as Literal
from elman.ir.node import Node
from elman.language.expand import Cells, expand
from elman.language.lower import lower
from elman.language.read_python import parse
from elman.language.source import NOWHERE, Fault, Span, source
from elman.language.syntax import Constant, Declaration, Equation, Expr, Text, Use
from elman.language.unlower import expression, names_of_values
from elman.language.write import write_expression


@dataclass(frozen=True)
class Reading:
    """A cell with the text that it was read from."""

    cell: Cell
    text: Text
    spans: Mapping[Node, Span] = field(repr=False, compare=False)
    expanded: Text = field(repr=False, compare=False)  # inner loops and cells written out
    notices: tuple[CellWarning, ...] = field(default=(), repr=False, compare=False)

    def where(self, node: Node) -> Where | None:
        """Where a node first stands in the text; None for nodes that the text does not hold."""
        return self.text.source.where(self.spans[node]) if node in self.spans else None

    def quote(self, node: Node) -> str | None:
        """The user's own spelling of a node; one of a cell that was put in is written anew."""
        if node not in self.spans:
            return None
        if self.spans[node] in self._inside:
            others = {n: name for n, name in self._named.items() if n is not node}
            return write_expression(expression(node, others))
        return self.text.source.quote(self.spans[node])

    @cached_property
    def _inside(self) -> set[Span]:
        return {line.span for line in self.text.lines if isinstance(line, Use)}

    @cached_property
    def _named(self) -> dict[Node, Expr]:
        return names_of_values(self.cell.equations)

    @property
    def comments(self) -> dict[str, str]:
        """The comment at the end of each name's line: the gloss that traces show."""
        named = [e for e in self.expanded.lines if isinstance(e, Constant | Declaration | Equation)]
        return {line.name: line.comment for line in named if line.comment}


def with_constants(text: Text, values: Mapping[str, Literal]) -> Text:
    """The text with other values for its constants.

    >>> with_constants(Text((Constant("L", 3.0),)), {"L": 5.0}).lines[0].value
    5.0
    """
    known = {line.name for line in text.lines if isinstance(line, Constant)}
    for name in values:
        if name not in known:
            headline = f"{name} is given a value, but the text has no constant of that name"
            fix = nearest(name, known) or f"Add the line {name} = ..."
            raise Fault(NameProblem, "E427", headline, NOWHERE, fix=fix)
    lines = (
        replace(line, value=_floats(values.get(line.name, line.value)))
        if isinstance(line, Constant)
        else line
        for line in text.lines
    )
    return Text(tuple(lines), text.source)


def _floats(value: Literal) -> Literal:
    return tuple(map(_floats, value)) if isinstance(value, tuple | list) else float(value)


def read(
    text: str,
    name: str | None = None,
    cells: Cells | None = None,
    constants: Mapping[str, Literal] | None = None,
) -> Reading:
    """Read a cell from equations in Python's notation.

    `cells` gives the text of a cell by its name, for lines such as `inner: lstm(x = g[t])`;
    `constants` are other values for those that the text gives, such as {"L": 5.0}.

    >>> read("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)  # Elman 1990").comments
    {'h': 'Elman 1990'}
    """
    given = source(text, name)
    try:
        syntax = with_constants(parse(given), constants or {})
        expanded = expand(syntax, cells)
        cell, spans = lower(expanded, name)
    except Fault as fault:
        raise given.place(fault) from None
    return Reading(cell, syntax, spans, expanded)

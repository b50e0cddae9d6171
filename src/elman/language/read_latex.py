r"""LaTeX, as papers, notes and docstrings print it -> a cell.

Formulas are found in what stands around them (latex_layout), cut into tokens (latex_tokens),
brackets (latex_tree) and statements (latex_lines); each side is read (latex_names,
latex_expression); then times are made even and products decided (latex_system, latex_products).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from elman.errors import NameProblem, SyntaxProblem, Where
from elman.language.functions import FUNCTIONS
from elman.language.latex_expression import ExpressionReader
from elman.language.latex_layout import formulas
from elman.language.latex_lines import Statement, statements
from elman.language.latex_names import NameReader
from elman.language.latex_page import (
    Meaning,
    Page,
    called,
    components,
    find_time,
    layers,
    lists,
    numbered,
    runs,
)
from elman.language.latex_prose import said_functions
from elman.language.latex_statements import StatementReader
from elman.language.latex_system import assembled
from elman.language.latex_tokens import tokens
from elman.language.latex_tree import Group, Item, is_sign, tree
from elman.language.lower import lower
from elman.language.reading import Reading
from elman.language.source import Fault, Source, Span
from elman.language.syntax import Text

_VALUE = re.compile(r"\\?(?P<name>\w+)(?P<step>\[t(?P<lag>[+-]\d{1,3})?\])?")


@dataclass(frozen=True)
class _Sheet(Source):
    """A page whose equations are counted by where they begin: several may share a line."""

    starts: tuple[Span, ...] = ()

    def where(self, span: Span) -> Where | None:
        place = super().where(span)
        before = [s for s in self.starts if (s.line, s.start) <= (span.line, span.start)]
        if place is None or not before:
            return place
        label = place.label.replace(f"line {span.line}", f"equation {len(before)}", 1)
        return Where(label, place.line, place.start, place.end)


def read_latex(
    text: str, symbols: Mapping[str, str | float] | None = None, name: str | None = None
) -> Reading:
    r"""Read a cell from LaTeX, from Unicode mathematics, or from a document that holds it.

    `symbols` says what letters are: functions, other names, values at a step, numbers.

    >>> reading = read_latex(r"h_t = \phi(W x_t + U h_{t-1} + b)", {r"\phi": "tanh"})
    >>> from elman.language import write
    >>> print(write(reading), end="")
    h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    """
    lines = tuple(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    source = _Sheet(name, lines)
    try:
        found = [
            statement
            for formula in formulas(lines)
            for statement in statements(tree(formula.tokens), source, formula.inline)
        ]
        starts = sorted((s.span for s in found if s.relation == "="), key=_place)
        source = _Sheet(name, lines, starts=tuple(starts))
        said = {_symbol_name(tex): word for tex, word in said_functions(lines)}
        page = _page(found, symbols or {}, said, source)
        reader = StatementReader(ExpressionReader(page, source), source)
        lines_of, notices = assembled(reader.read(found), page, source)
        syntax = Text(lines_of, source)
        _refuse_timeless(syntax, page, found)
        cell, spans = lower(syntax, name)
    except Fault as fault:
        raise source.place(fault) from None
    return Reading(cell, syntax, spans, syntax, notices)


def _place(span: Span) -> tuple[int, int]:
    return span.line, span.start


def _page(
    found: Sequence[Statement],
    symbols: Mapping[str, str | float],
    said: Mapping[str, str],
    source: Source,
) -> Page:
    """What the letters mean, found by a look at the whole page."""
    sides = [tuple(side) for s in found for side in (s.left, *s.rights)]
    inner = [each for side in sides for each in lists(side)]
    values = [items for items, is_index in inner if not is_index]
    lefts = [s.left for s in found if s.relation == "="]
    words = {word for left in lefts for _, word in list(runs(left))[:1] if len(word) > 1}
    letters = {word for items in values for _, word in runs(items) if len(word) == 1}
    time = find_time(sides)
    return Page(
        time=time,
        words=frozenset(word for word in words if called(word) is None),
        letters=frozenset(letters),
        components=frozenset(c for items in values for c in components(items)) - {time or ""},
        symbols=_meanings(symbols),
        said=said,
        macros={name: 1 for left in lefts if (name := _defined(left, time, source))},
        layers=frozenset(layer for items, _ in inner for layer in layers(items)),
        numbered=frozenset(n for items in values for n in numbered(items)),
        sigma="sigma" if any(_is_sigma(left) for left in lefts) else None,
        is_plain=not any("\\" in line or "{" in line for line in source.lines),
    )


def _defined(left: Sequence[Item], time: str | None, source: Source) -> str:
    """The name of a function that a left side defines: `g(x)`."""
    last = left[-1] if left else None
    if not (len(left) > 1 and isinstance(last, Group) and last.kind == "("):
        return ""
    names = NameReader(Page(time=time), source)
    arguments = "".join(str(getattr(item, "text", "?")) for item in last.items)
    try:
        found = names.read(left[:-1], 0)
    except Fault:
        return ""  # said when the line is read
    is_name = found is not None and found[1] == len(left) - 1 and found[0].time is None
    is_step = arguments.lstrip("-").isdecimal() or names.time(last.items) is not None
    if not is_name or found is None or is_step or found[0].name in ("sigma", "σ"):
        return ""
    return "" if called(found[0].name) and len(found[0].name) > 1 else found[0].name


def _is_sigma(left: Sequence[Item]) -> bool:
    return len(left) == 1 and is_sign(left[0], r"\sigma")


def _meanings(symbols: Mapping[str, str | float]) -> dict[str, Meaning]:
    made: dict[str, Meaning] = {}
    if not isinstance(symbols, Mapping):
        headline = f"symbols are given by letter, as a dict, not as {type(symbols).__name__}"
        fix = r'For instance symbols={r"\phi": "tanh", "s": "h", "d": 3}.'
        raise Fault(NameProblem, "E160", headline, Span(0, 0, 0), fix=fix)
    for key, value in symbols.items():
        name = _symbol_name(str(key))
        match = _VALUE.fullmatch(value) if isinstance(value, str) else None
        if name and isinstance(value, int | float) and not isinstance(value, bool):
            made[name] = Meaning(number=float(value))
        elif name and match and match["name"].isidentifier():
            word = match["name"]
            known = word if word in FUNCTIONS else called(word) if len(word) > 1 else None
            step = int(match["lag"] or 0) if match["step"] else None
            made[name] = Meaning(known if known and step is None else word, step)
        else:
            headline = f"symbols={{{key!r}: {value!r}}} is not understood"
            rule = "A letter as printed stands for a function, a name, a value at a step, a number."
            fix = r'For instance symbols={r"\phi": "tanh", "s": "h", "d": 3}.'
            raise Fault(NameProblem, "E160", headline, Span(0, 0, 0), rule=rule, fix=fix)
    return made


def _symbol_name(key: str) -> str:
    """The name that a printed letter becomes: `\\hat{\\sigma}` is sigma_hat."""
    page = Page(words=frozenset({key}) if key.isidentifier() else frozenset(), time="t")
    try:
        items = tree(tokens(key, 1, 0, len(key)))
        found = NameReader(page, Source(None, (key,))).read(items, 0) if items else None
    except Fault:
        return ""
    if found is None and len(items) == 1 and is_sign(items[0], getattr(items[0], "text", "")):
        return str(getattr(items[0], "text", "")).lstrip("\\")
    return found[0].name if found and found[1] == len(items) else ""


def _refuse_timeless(syntax: Text, page: Page, found: Sequence[Statement]) -> None:
    """A page of bare letters: which of them is the state is not said."""
    if any(equation.per_step for equation in syntax.equations):
        return
    if not syntax.equations:
        rule = "A page of formulas says what a step computes."
        fix = r"Write h_t = \tanh(W x_t + U h_{t-1} + b)."
        headline = "no equation of a step is found on the page"
        raise Fault(SyntaxProblem, "E101", headline, Span(0, 0, 0), rule=rule, fix=fix)
    headline = "no letter on this page is read as the time"
    rule = "An index such as t tells the states and inputs from the weights."
    fix = 'Write h_t and h_{t-1}, or say symbols={"h": "h[t-1]", "x": "x[t]"}.'
    span = syntax.equations[0].span
    raise Fault(SyntaxProblem, "E161", headline, span, rule=rule, fix=fix)

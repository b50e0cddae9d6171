"""Inner loops and cells in cells, written out: the lines that a short text stands for.

The user's text stays as it is; what is written out keeps its places in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from elman.errors import ElmanError, NameProblem, SyntaxProblem, nearest
from elman.language.named import Names, references
from elman.language.names import collect
from elman.language.read_python import is_literal, literal, parse
from elman.language.rounds import MOST_LINES, MOST_PARTS, two_lines, write_out
from elman.language.source import Fault, Span, source
from elman.language.syntax import (
    At,
    Constant,
    Declaration,
    Equation,
    Expr,
    Given,
    Initial,
    Line,
    Name,
    Range,
    Text,
    Use,
    fold,
    remake,
    walk,
)

DEEPEST = 8  # cells in cells
Cells = Callable[[str], str]  # the text of a cell by its name


def expand(text: Text, cells: Cells | None = None) -> Text:
    """The text with the cells that it uses put in, and its inner loops written out."""
    return _Expansion(cells).expand(text, ())


@dataclass
class _Expansion:
    """Cells are read once each, however often they are put in."""

    cells: Cells | None
    known: dict[str, tuple[Text, Names]] = field(default_factory=dict)

    def expand(self, text: Text, above: tuple[str, ...]) -> Text:
        if any(isinstance(line, Use) for line in text.lines):
            text = self.put_in(text, above)
        return write_out(text) if any(isinstance(line, Range) for line in text.lines) else text

    def put_in(self, text: Text, above: tuple[str, ...]) -> Text:
        """Every line that uses a cell becomes the lines of that cell."""
        _refuse_doubles(text)
        lines: list[Line] = []
        values: dict[str, list[str]] = {}  # the names that each use brings
        parts = 0
        for line in text.lines:
            if not isinstance(line, Use):
                lines.append(line)
                continue
            inner = list(_lines(line, *self.inner(line, above)))
            parts += sum(_parts(each) for each in inner)
            lines += inner
            if len(lines) > MOST_LINES or parts > MOST_PARTS:
                raise _too_much(line)
            values[line.name] = list(dict.fromkeys(_names_of(inner)))
        _refuse_unknown_values(text, values)
        return Text(tuple(lines), text.source)

    def inner(self, use: Use, above: tuple[str, ...]) -> tuple[Text, Names]:
        """A cell by its name, written out, with its names."""
        if use.cell in above or len(above) >= DEEPEST:
            raise _in_itself(use, above)
        if use.cell not in self.known:
            given = source(self.text_of(use), use.cell)
            try:
                text = self.expand(parse(given), (*above, use.cell))
                self.known[use.cell] = text, collect(text)
            except Fault as fault:
                raise given.place(fault) from None
        return self.known[use.cell]

    def text_of(self, use: Use) -> str:
        fix = "A cell of the library is put in by its name: inner: lstm(x = g[t])."
        try:
            if self.cells is not None:
                return self.cells(use.cell)
        except (ElmanError, KeyError) as error:
            fix = getattr(error, "fix", None) or fix
        headline = f"there is no cell {use.cell} to put in"
        raise Fault(NameProblem, "E420", headline, use.cell_span, fix=fix)


def _parts(line: Line) -> int:
    return sum(1 for _ in walk(line.value)) if isinstance(line, Equation | Initial) else 1


def _names_of(lines: list[Line]) -> Iterator[str]:
    """Every name that the lines give, then those that they read."""
    yield from (e.name for e in lines if isinstance(e, Equation | Constant | Declaration))
    for line in lines:
        if isinstance(line, Equation | Initial):
            yield from (ref.name for ref in references(line))


def _lines(use: Use, text: Text, names: Names) -> Iterator[Line]:
    """The lines of an inner cell under new names, after those that give it its values."""
    given = {each.name: each for each in use.given}
    _check_given(use, names, given)
    putting = _Putting(use, names, given)
    yield from (putting.giving(each) for each in use.given)
    for line in text.lines:
        yield from putting.line(line)


@dataclass(frozen=True)
class _Putting:
    """One use of a cell: how its names and lines are called outside."""

    use: Use
    names: Names
    given: dict[str, Given]

    def called(self, name: str) -> str:
        return f"{self.use.name}_{name}"

    def before(self, name: str) -> str:
        """The name of a state that is given: what stands where the cell reads it at [t-1]."""
        return f"{self.use.name}_{name}_in"

    def giving(self, each: Given) -> Line:
        """`inner_x[t] = i[t] * g[t]`: the line that gives an inner name its value."""
        name = self.before(each.name) if self.is_state(each.name) else self.called(each.name)
        if each.name in self.names.bare and is_literal(each.value):
            return Constant(name, literal(each.value), "", each.span)
        return Equation(name, self.at_step(each.name), each.value, "", each.span)

    def is_state(self, name: str) -> bool:
        return self.names.computed(name)

    def at_step(self, name: str) -> bool:
        """Is what is given for a name computed at every step?"""
        if self.is_state(name) or name in self.names.inputs:
            return True
        refs = (part for part in walk(self.given[name].value) if isinstance(part, At | Name))
        return any(isinstance(ref, At) or ref.name == "t" for ref in refs)

    def line(self, line: Line) -> Iterator[Line]:
        """A line of the inner cell as it stands outside; none where its value is given."""
        span = self.use.span
        match line:
            case Equation(name=name):
                value = fold(line.value, self.visit)
                yield replace(line, name=self.called(name), value=value, span=span)
            case Constant(name=name) if name not in self.given:
                yield replace(line, name=self.called(name), span=span)
            case Initial(name=name) if not (name in self.given and line.lag == 1):
                value = fold(line.value, self.initial)
                yield replace(line, name=self.called(name), value=value, span=span)
            case Declaration():
                yield from self.declaration(line)

    def visit(self, part: Expr, parts: list[Expr]) -> Expr:
        """A part of an inner right side, under its outer names."""
        span = self.use.span
        if not isinstance(part, At | Name):
            return remake(replace(part, span=span), parts)
        name = part.name
        if name == "t":
            return replace(part, span=span)
        lag = part.lag if isinstance(part, At) else 0
        if name in self.given and self.is_state(name) and lag == 1:
            return At(self.before(name), span=span)
        if name in self.given and isinstance(part, Name) and self.at_step(name):
            return At(self.called(name), span=span)
        return replace(part, name=self.called(name), span=span)

    def initial(self, part: Expr, parts: list[Expr]) -> Expr:
        """A part of what an inner state is before the first step."""
        if isinstance(part, Name) and part.name in self.given and part.name in self.names.inputs:
            return self.given[part.name].value
        return self.visit(part, parts)

    def declaration(self, line: Declaration) -> Iterator[Declaration]:
        """What an inner cell declares; of a name that is given, only its shape."""
        is_given = line.name in self.given and not self.is_state(line.name)
        shape = line.shape and tuple(self.size(size) for size in line.shape)
        chance = self.chance(line.bernoulli)
        if not is_given:
            name = self.called(line.name)
            yield replace(line, name=name, shape=shape, bernoulli=chance, span=self.use.span)
        elif shape is not None:
            yield Declaration(self.called(line.name), shape, span=self.use.span)

    def chance(self, chance: float | str | None) -> float | str | None:
        """The probability of an inner mask, under its outer name."""
        if not isinstance(chance, str):
            return chance
        value = self.given[chance].value if chance in self.given else None
        return value.name if isinstance(value, Name) else self.called(chance)

    def size(self, size: str) -> str:
        """`hidden + 3` of the inner cell: sizes that are declared are its own."""
        parts = size.split("+")
        return "+".join(part if part.isdigit() else self.called(part) for part in parts)


# ---- what can be wrong ----


def _check_given(use: Use, names: Names, given: dict[str, Given]) -> None:
    lags = [ref for line in names.lines for ref in references(line) if isinstance(ref, At)]
    states = list(dict.fromkeys(ref.name for ref in lags if ref.lag == 1))
    own = [name for name in states if names.computed(name)]
    known = [*names.inputs, *own, *names.bare]
    seen: set[str] = set()
    for each in use.given:
        if each.name in seen:
            headline = f"{each.name} is given twice to {use.cell}"
            raise Fault(NameProblem, "E402", headline, each.span, fix="Give it once.")
        seen.add(each.name)
        if each.name not in known:
            raise _no_such_name(use, each, names, own)
    for name in names.inputs:
        if name not in given:
            headline = f"{use.cell} reads {name}, which is not given"
            rule = f"Every input of a cell that is put in is given: {', '.join(names.inputs)}."
            values = [f"{each} = ..." for each in names.inputs]
            fix = f"Write {use.name}: {use.cell}({', '.join(values)})."
            raise Fault(NameProblem, "E425", headline, use.span, rule=rule, fix=fix)


def _no_such_name(use: Use, each: Given, names: Names, states: list[str]) -> Fault:
    headline = f"{use.cell} has no name {each.name}"
    if each.name in names.equations:
        headline = f"{use.cell} computes {each.name} itself"
    said = f"{use.cell} reads {', '.join(names.inputs) or 'nothing'}"
    if states:
        said += f"; its states are {', '.join(states)}"
    fix = nearest(each.name, [*names.inputs, *states, *names.bare])
    return Fault(NameProblem, "E424", headline, each.span, rule=f"{said}.", fix=fix or None)


def _refuse_doubles(text: Text) -> None:
    """A cell that is put in has a name of its own."""
    uses = {line.name for line in text.lines if isinstance(line, Use)}
    earlier: dict[str, Span] = {}
    for line in text.lines:
        if isinstance(line, Use | Equation | Constant) and line.name in uses:
            if line.name in earlier:
                raise two_lines(line.name, earlier[line.name], line.span, text.source)
            earlier[line.name] = line.span


def _refuse_unknown_values(text: Text, values: dict[str, list[str]]) -> None:
    """`inner_q[t]` is a value of the cell that is put in, or a mistake."""
    own = {line.name for line in text.lines if isinstance(line, Equation | Constant)}
    every = {name for names in values.values() for name in names} | own
    for line in text.lines:
        exprs = [each.value for each in line.given] if isinstance(line, Use) else []
        exprs += [line.value] if isinstance(line, Equation | Initial) else []
        for ref in (part for expr in exprs for part in walk(expr)):
            if not isinstance(ref, At | Name) or ref.name in every:
                continue
            user = next((name for name in values if _is_of(ref, name)), None)
            if user is not None:
                raise _no_such_value(ref, user, values[user])


def _is_of(ref: At | Name, user: str) -> bool:
    """Does a reference look like a value of the cell that is put in as `user`?"""
    return ref.name == user or (isinstance(ref, At) and ref.name.startswith(f"{user}_"))


def _no_such_value(ref: At | Name, user: str, known: list[str]) -> Fault:
    own = [name for name in known if name.startswith(f"{user}_")]
    fix = nearest(ref.name, own)
    headline = f"{user} is a cell, and has no value of the name {ref.name}"
    if ref.name == user:
        headline, fix = (
            f"{user} is a cell, not a value",
            f"Write {user}_h[t], if h is what you mean.",
        )
    rule = f"It has {', '.join(own[:9])}{', ...' * (len(own) > 9)}."
    return Fault(NameProblem, "E424", headline, ref.span, rule=rule, fix=fix or None)


def _in_itself(use: Use, above: tuple[str, ...]) -> Fault:
    if use.cell in above:
        chain = " in ".join([use.cell, *reversed(above[above.index(use.cell) :])])
        headline = f"{use.cell} is put into itself: {chain}"
        return Fault(NameProblem, "E426", headline, use.cell_span, fix="Put in another cell.")
    headline = f"cells are put into cells deeper than {DEEPEST}"
    fix = "Write an inner cell's equations out."
    return Fault(NameProblem, "E426", headline, use.cell_span, fix=fix)


def _too_much(use: Use) -> Fault:
    headline = "the cells that are put in make the cell too large"
    rule = f"Written out it may have {MOST_LINES} lines, of {MOST_PARTS} names and signs."
    fix = "Put in fewer cells."
    return Fault(SyntaxProblem, "E137", headline, use.span, rule=rule, fix=fix)

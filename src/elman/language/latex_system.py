"""Statements of a page -> the lines of a text: what holds at every step, what is given once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from elman.errors import CellWarning, NameProblem, SyntaxProblem, TimeProblem
from elman.language.latex_conventions import CONVENTIONS, letter_of, notices
from elman.language.latex_nodes import Applied, Product, Ref, changed, last_result
from elman.language.latex_page import Page
from elman.language.latex_products import MATRIX, NUMBER, VECTOR, Products
from elman.language.letters import GREEK
from elman.language.names import literal_shape
from elman.language.read_python import is_literal, literal
from elman.language.source import Fault, Source, Span
from elman.language.syntax import (
    At,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Initial,
    Join,
    Line,
    Name,
    Return,
    walk,
)

# letters that multiply a bracket as often as not; other small letters before one are functions
SCALES = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lam",
        "mu",
        "nu",
        "xi",
        "omega",
        "dt",
        "α",
        "β",
        "γ",
        "δ",
        "ε",
        "ζ",
        "η",
        "θ",
        "κ",
        "λ",
        "μ",
        "ν",
        "ξ",
        "ω",
    ]
)
_FUNCTION_CAPITALS = ("Phi", "Psi", "Φ", "Ψ")
_KINDS = {0: NUMBER, 1: VECTOR, 2: MATRIX, 3: MATRIX}


@dataclass(frozen=True)
class Given:
    """`name = value` as printed; `time` is that of the left side, None for a bare one."""

    name: str
    time: int | None
    value: Expr
    span: Span
    inline: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Macro:
    """`g(x) = ...`: a function that the page defines; `alias` is the known one that it is."""

    name: str
    arguments: tuple[str, ...]
    value: Expr


@dataclass
class System:
    """Everything that the page says, in its order."""

    lines: list[Given | Initial | Declaration | Return] = field(default_factory=list)
    macros: dict[str, Macro] = field(default_factory=dict)

    @property
    def given(self) -> list[Given]:
        return [line for line in self.lines if isinstance(line, Given)]


def assembled(
    system: System, page: Page, source: Source
) -> tuple[tuple[Line, ...], tuple[CellWarning, ...]]:
    """The lines of the text, their times and products decided, and what was read by convention."""
    system = _expanded(system)
    assumed: dict[str, Applied] = {}
    system = _applied(system, assumed, source)
    return _assembled(system, source), notices(assumed, source)


def _assembled(system: System, source: Source) -> tuple[Line, ...]:
    system = _without_identities(system)
    system = _parted(system)
    steps = _per_step(system)
    timed = _Timed(system, steps, source)
    lines = _decided([timed.line(line) for line in system.lines], source)
    steps_in_order = [line.name for line in lines if isinstance(line, Equation) and line.per_step]
    is_said = any(isinstance(line, Return) for line in lines)
    if is_said or not steps_in_order or last_result(lines) == steps_in_order[-1]:
        return lines
    return (*lines, Return((last_result(lines),)))


def _expanded(system: System) -> System:
    """The calls of the page's own functions, written out."""

    def expand(expr: Expr) -> Expr:
        macro = system.macros.get(getattr(expr, "function", ""))
        if macro is None:
            return expr
        if len(expr.parts) != len(macro.arguments):
            count = len(macro.arguments)
            headline = f"{macro.name} takes {count} argument{'s' * (count != 1)}"
            fix = f"Its definition reads {macro.name}({', '.join(macro.arguments)})."
            raise Fault(SyntaxProblem, "E115", headline, expr.span, fix=fix)
        values = dict(zip(macro.arguments, expr.parts, strict=True))

        def put(part: Expr) -> Expr:
            is_argument = isinstance(part, Ref) and part.time is None and part.name in values
            return values[part.name] if is_argument else replace(part, span=expr.span)  # type: ignore[attr-defined]

        return changed(macro.value, put)

    return _mapped(system, expand) if system.macros else system


def _mapped(system: System, change: Callable[[Expr], Expr]) -> System:
    lines = [
        replace(line, value=changed(line.value, change))
        if isinstance(line, Given | Initial)
        else line
        for line in system.lines
    ]
    return System(lines, system.macros)


# ---- letters before brackets ----


def _applied(system: System, assumed: dict[str, Applied], source: Source) -> System:
    """Every letter before a bracket is a factor, or a function: named, or usual (`assumed`)."""
    known = {line.name for line in system.lines if isinstance(line, Given | Declaration)}
    known |= {
        part.name
        for line in system.lines
        if isinstance(line, Given | Initial)
        for part in walk(line.value)
        if isinstance(part, Ref)
    }

    def decide(expr: Expr) -> Expr:
        if isinstance(expr, Product) and not expr.sign:
            parts = [
                piece
                for item in expr.items
                for piece in (
                    item.items if isinstance(item, Product) and item.sign == "a" else (item,)
                )
            ]
            return replace(expr, items=tuple(parts))
        if not isinstance(expr, Applied):
            return expr
        if expr.name not in known and expr.name in CONVENTIONS and len(expr.items) == 1:
            first = assumed.setdefault(expr.name, expr)
            if (expr.span.line, expr.span.start) < (first.span.line, first.span.start):
                assumed[expr.name] = expr
            return Call(CONVENTIONS[expr.name], expr.items, span=expr.span)
        if not (expr.name in known or _multiplies(expr)):
            raise _unknown_function(expr, source)
        name = Ref(expr.name, span=replace(expr.span, end=expr.items[0].span.start))
        from_list = expr.items if len(expr.items) > 1 else None
        argument = _joined(expr) if from_list else expr.items[0]
        return Product((name, argument), "a", span=expr.span)

    def settle(expr: Expr) -> Expr:
        is_lone = isinstance(expr, Product) and expr.sign == "a"
        return replace(expr, sign="") if is_lone else expr  # type: ignore[call-arg]

    return _mapped(_mapped(system, decide), settle)


def _joined(expr: Applied) -> Expr:
    return Join(expr.items, span=expr.span)


def _multiplies(expr: Applied) -> bool:
    """`\\alpha (a - b)`, `W (r \\odot h)`: letters that stand for numbers and matrices."""
    letter = expr.name.split("_")[0]
    if expr.bracket == "script" or letter in _FUNCTION_CAPITALS:
        return False
    if letter in SCALES:
        return True
    return letter[:1].isupper() and (len(letter) == 1 or letter in GREEK)


def _unknown_function(expr: Applied, source: Source) -> Fault:
    quoted, span = letter_of(expr, source)
    headline = f"{quoted} is not said to be a function that is known here"
    rule = "A page may mean any function by a letter; it is not guessed."
    fix = f'Say which: symbols={{r"{quoted}": "tanh"}}'
    if len(expr.name.split("_")[0]) > 1 and expr.name.split("_")[0] not in GREEK:
        fix = f'Write its equations, or say which one it is: symbols={{r"{quoted}": "tanh"}}'
    elif len(expr.name) == 1 and expr.name.islower() and expr.name not in ("f", "g"):
        fix += rf", or write {quoted} \odot (...) where it multiplies"
    return Fault(NameProblem, "E401", headline, span, rule=rule, fix=fix + ".")


# ---- the identity ----


def _without_identities(system: System) -> System:
    """`A = U - U^\\top - \\gamma I` put in where A is read: a value that holds I has no name."""
    defined = {line.name for line in system.lines if isinstance(line, Given | Declaration)}
    if "I" in defined:
        return system
    held = {
        line.name: line.value
        for line in system.given
        if line.time is None and _holds_identity(line.value)
    }
    if not held:
        return system

    def put(expr: Expr) -> Expr:
        is_held = isinstance(expr, Ref) and expr.time is None and expr.name in held
        return held[expr.name] if is_held else expr  # type: ignore[attr-defined]

    kept = [line for line in system.lines if not (isinstance(line, Given) and line.name in held)]
    return _mapped(System(kept, system.macros), put)


def _holds_identity(value: Expr) -> bool:
    parts = [part for part in walk(value) if isinstance(part, Ref)]
    has_time = any(part.time is not None for part in parts)
    return not has_time and any(part.name == "I" for part in parts)


# ---- times ----


def _parted(system: System) -> System:
    """A letter that is computed at every step and given once too: `a_t = a^{c r_t}`, `a = ...`.

    The bare one is called a_0; so is the step size of `\\Delta t_n = \\Delta t \\, \\sigma(...)`.
    """
    timed = {line.name for line in system.given if line.time is not None}
    bare = {line.name for line in system.given if line.time is None} | {"dt"}
    both = timed & bare
    if not both:
        return system

    def rename(expr: Expr) -> Expr:
        is_bare = isinstance(expr, Ref) and expr.time is None and expr.name in both
        return replace(expr, name=f"{expr.name}_0") if is_bare else expr  # type: ignore[attr-defined,call-arg]

    system = _mapped(system, rename)
    lines = [
        replace(line, name=f"{line.name}_0")
        if isinstance(line, Given) and line.time is None and line.name in both
        else line
        for line in system.lines
    ]
    return System(lines, system.macros)


def _per_step(system: System) -> set[str]:
    """The names that have a value at every step: by their left side, or by what they read."""
    over_rows = {line.name for line in system.lines if isinstance(line, Declaration) and line.over}
    steps = {line.name for line in system.given if line.time is not None}
    reads = {
        line.name: [part for part in walk(line.value) if isinstance(part, Ref | Name)]
        for line in system.given
    }
    users: dict[str, set[str]] = {}
    waiting = list(steps)
    for name, refs in reads.items():
        for ref in refs:
            users.setdefault(ref.name, set()).add(name)
        timed = any(isinstance(ref, Name) or ref.time is not None for ref in refs)
        if timed or any(ref.name in over_rows for ref in refs):
            waiting.append(name)
    while waiting:
        name = waiting.pop()
        steps.add(name)
        waiting += [user for user in users.get(name, ()) if user not in steps]
    return steps


class _Timed:
    """Turns names into values at steps; where left sides stand at t+1, the system is shifted."""

    def __init__(self, system: System, steps: set[str], source: Source) -> None:
        self.steps, self.source = steps, source
        self.given = {line.name for line in system.given}
        self.bare = {line.name for line in system.given if line.time is None}
        self.shifts = {line.name: line.time or 0 for line in system.given}
        if any(self.shifts.values()):
            for line in system.given:
                for part in walk(line.value):
                    if isinstance(part, Ref) and part.time is not None:
                        self.look_ahead(part.name, part.time)

    def look_ahead(self, name: str, time: int) -> None:
        """An input is shifted so that the latest step at which it is read becomes t."""
        if name not in self.given:
            self.shifts[name] = max(time, self.shifts.get(name, time))

    def line(self, line: Given | Initial | Declaration | Return) -> Line:
        match line:
            case Given(name=name, value=value) if name not in self.steps and is_literal(value):
                return Constant(name, literal(value), line.comment, line.span)
            case Given(name=name):
                value = changed(line.value, self.at_step)
                return Equation(name, name in self.steps, value, line.comment, line.span)
            case Initial():
                return replace(line, value=changed(line.value, self.at_step))
        return line

    def at_step(self, expr: Expr) -> Expr:
        if not isinstance(expr, Ref):
            return expr
        name = expr.name
        if expr.time is None:
            is_moving = name in self.steps and name in self.bare
            return At(name, 0, span=expr.span) if is_moving else Name(name, span=expr.span)
        lag = self.shifts.get(name, 0) - expr.time
        if lag < 0:
            written = self.source.quote(expr.span)
            headline = f"{written} is in the future"
            rule = "A step reads what is at t or before."
            fix = f"Shift the equation by {-lag}, or read {name} at t and reverse time."
            raise Fault(TimeProblem, "E302", headline, expr.span, rule=rule, fix=fix)
        return At(name, lag, span=expr.span)


# ---- products ----


def _decided(lines: Sequence[Line], source: Source) -> tuple[Line, ...]:
    """The lines with every product decided, and the letters declared that must be scalars."""
    equations = {line.name: line for line in lines if isinstance(line, Equation)}
    kinds = dict(_declared_kinds(lines))
    products = Products(equations, kinds, source)
    values = products.decide()
    made: list[Line] = []
    for line in lines:
        if isinstance(line, Equation):
            made.append(replace(line, value=values[line.name]))
        elif isinstance(line, Initial):
            made.append(replace(line, value=products.right(line.name, line.value)[0]))
        else:
            made.append(line)
    declared = {line.name for line in lines if isinstance(line, Declaration)}
    scalars = sorted(products.scalars - declared)
    return (*made, *(Declaration(name, (), span=_first(name, lines)) for name in scalars))


def _declared_kinds(lines: Iterable[Line]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if isinstance(line, Constant):
            yield line.name, _KINDS[len(literal_shape(line.value))]
        elif isinstance(line, Declaration) and line.shape is not None:
            yield line.name, _KINDS[min(len(line.shape), 3)]


def _first(name: str, lines: Iterable[Line]) -> Span:
    """Where a name is first read."""
    for line in lines:
        for part in walk(line.value) if isinstance(line, Equation | Initial) else ():
            if isinstance(part, Name) and part.name == name:
                return part.span
    return Span(0, 0, 0)

"""What every name of a text is: a step's value, an input, a parameter; and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from elman.errors import Fact, NameProblem, SyntaxProblem, TimeProblem, nearest
from elman.ir.cell import Number as Literal
from elman.ir.node import Node, Shape, leaf
from elman.language.foreign import FUNCTIONS as FOREIGN
from elman.language.functions import FUNCTIONS, arguments
from elman.language.source import NOWHERE, Fault, Span
from elman.language.syntax import (
    At,
    Call,
    Constant,
    Declaration,
    Equation,
    Name,
    Return,
    Text,
    walk,
)


@dataclass(frozen=True)
class Names:
    """Every name of a text by what it is."""

    equations: dict[str, Equation]
    constants: dict[str, Constant]
    declared: dict[str, Declaration]
    inputs: dict[str, Span]  # read at [t] (or per sequence), without an equation
    bare: dict[str, Span]  # read without [t]

    def computed(self, name: str) -> bool:
        """Does a line compute this name at [t]?"""
        return name in self.equations and self.equations[name].per_step

    def over(self, name: str) -> str | None:
        return self.declared[name].over if name in self.declared else None

    def shape(self, name: str) -> Shape | None:
        declared = self.declared[name].shape if name in self.declared else None
        if declared is None and name in self.constants:
            return literal_shape(self.constants[name].value)
        return declared

    def leaf(self, ref: At | Name) -> Node:
        """The leaf that a reference without an equation at its step stands for."""
        name, shape = ref.name, self.shape(ref.name)
        if isinstance(ref, At) and ref.lag:
            return leaf(name, "state", "tb", ref.lag, shape)
        if isinstance(ref, At) or name in self.inputs:
            return leaf(name, "input", self.over(name) or "tb", 0, shape)
        role = "constant" if name in self.constants else "parameter"
        return leaf(name, role, "", 0, shape)


def literal_shape(value: Literal) -> Shape:
    """The shape of a number, vector or matrix.

    >>> literal_shape(((0, 1, 2), (3, 4, 5)))
    ('2', '3')
    """
    sizes: list[str] = []
    while isinstance(value, tuple):
        sizes.append(str(len(value)))
        value = value[0]
    return tuple(sizes)


def references(equation: Equation) -> Iterator[At | Name]:
    """Every name that an equation reads, from left to right."""
    return (part for part in walk(equation.value) if isinstance(part, At | Name))


def collect(text: Text) -> Names:
    """The names of a text, checked."""
    equations, constants = _definitions(text)
    declared = _declarations(text)
    refs = [ref for equation in equations.values() for ref in references(equation)]
    inputs: dict[str, Span] = {}
    bare: dict[str, Span] = {}
    for ref in refs:
        if isinstance(ref, Name):
            bare.setdefault(ref.name, ref.span)
        stands = declared.get(ref.name)
        per_sequence = stands is not None and stands.over == "b"
        here = ref.lag == 0 if isinstance(ref, At) else per_sequence
        if here and ref.name not in equations and ref.name not in constants:
            inputs.setdefault(ref.name, ref.span)
    names = Names(equations, constants, declared, inputs, bare)
    _check_right_sides(names)
    _check_steps(text, names)
    _check_declared(names)
    return names


def _definitions(text: Text) -> tuple[dict[str, Equation], dict[str, Constant]]:
    equations: dict[str, Equation] = {}
    constants: dict[str, Constant] = {}
    for line in text.lines:
        if not isinstance(line, Equation | Constant):
            continue
        earlier = equations.get(line.name) or constants.get(line.name)
        if earlier:
            quote = text.source.quote
            headline = f"{line.name} is given by two lines"
            facts = [
                Fact(quote(earlier.span), "given first", f"on line {earlier.span.line}"),
                Fact(quote(line.span), "given again", f"on line {line.span.line}"),
            ]
            fix = f"Give one of them another name, such as {line.name}_2."
            raise Fault(NameProblem, "E402", headline, line.span, facts=facts, fix=fix)
        if line.name in FUNCTIONS:
            raise _function_as_name(line.name, line.span)
        if isinstance(line, Equation):
            equations[line.name] = line
        else:
            constants[line.name] = line
    return equations, constants


def _function_as_name(name: str, span: Span) -> Fault:
    headline = f"{name} is a function, but stands here as a name"
    fix = f"Call it, {FUNCTIONS[name].example}, or choose another name."
    return Fault(NameProblem, "E403", headline, span, fix=fix)


def _declarations(text: Text) -> dict[str, Declaration]:
    declared: dict[str, Declaration] = {}
    for line in text.lines:
        if not isinstance(line, Declaration):
            continue
        earlier = declared.get(line.name)
        if earlier:
            facts = [
                Fact(line.name, _declared_as(earlier), f"on line {earlier.span.line}"),
                Fact(line.name, _declared_as(line), f"on line {line.span.line}"),
            ]
            fix = f"Keep one line: {line.name}: {_declared_as(earlier)}."
            headline = f"{line.name} is declared twice"
            raise Fault(NameProblem, "E405", headline, line.span, facts=facts, fix=fix)
        if line.name in FUNCTIONS:
            raise _function_as_name(line.name, line.span)
        declared[line.name] = line
    return declared


def _declared_as(line: Declaration) -> str:
    over = {"b": ["per sequence"], "t": ["per step"], None: []}[line.over]
    sizes = [] if line.shape is None else list(line.shape) or ["scalar"]
    return ", ".join(sizes + over)


def _check_right_sides(names: Names) -> None:
    for equation in names.equations.values():
        for part in walk(equation.value):
            match part:
                case At():
                    _check_at(part, equation, names)
                case Name():
                    _check_bare(part, equation, names)
                case Call():
                    _check_call(part, names)


def _check_at(ref: At, equation: Equation, names: Names) -> None:
    name = ref.name
    if name in FUNCTIONS:
        raise _function_as_name(name, ref.span)
    written = _written(ref)
    if not equation.per_step:
        headline = f"{equation.name} depends on {written}"
        rule = f"What depends on a step is computed at every step: write {equation.name}[t] = ..."
        raise Fault(TimeProblem, "E304", headline, ref.span, rule=rule)
    if name in names.constants or (name in names.equations and not names.computed(name)):
        headline = f"{written} is read, but {name} is the same at every step"
        raise Fault(TimeProblem, "E307", headline, ref.span, fix=f"Write {name} without a step.")
    if ref.lag and names.over(name) == "b":
        headline = f"{written} is read, but {name} is the same at every step"
        rule = f"{name} is declared per sequence."
        raise Fault(TimeProblem, "E307", headline, ref.span, rule=rule, fix=f"Write {name}[t].")
    if ref.lag and name not in names.equations and name not in names.inputs:
        raise _no_such_stream(ref, names)


def _no_such_stream(ref: At, names: Names) -> Fault:
    streams = [name for name in names.equations if names.computed(name)] + list(names.inputs)
    headline = f"{_written(ref)} is read, but nothing gives {ref.name}[t]"
    rule = "A delay is of a name with an equation at [t], or of an input that is read at [t] too."
    close = nearest(ref.name, streams)
    fix = f"Add the line {ref.name}[t] = ..., or read {ref.name}[t] in another one."
    if close:
        near = close.split("'")[1]
        fix = f"Did you mean {near}[t-{ref.lag}]?"
    return Fault(TimeProblem, "E308", headline, ref.span, rule=rule, fix=fix)


def _written(ref: At) -> str:
    return f"{ref.name}[t-{ref.lag}]" if ref.lag else f"{ref.name}[t]"


def _check_bare(ref: Name, equation: Equation, names: Names) -> None:
    name = ref.name
    if name in FUNCTIONS:
        raise _function_as_name(name, ref.span)
    if names.over(name) == "b" and name in names.inputs:
        if not equation.per_step:
            headline = f"{equation.name} depends on {name}, which each sequence has its own of"
            fix = f"Write {equation.name}[t] = ..."
            raise Fault(TimeProblem, "E304", headline, ref.span, fix=fix)
        return
    if names.computed(name):
        headline = f"{name} is read without a step"
        rule = f"{name} has a value at every step."
        fix = f"Write {name}[t-1] for the step before, or {name}[t] for this one."
    elif name in names.inputs or (names.over(name) == "t" and _is_free(name, names)):
        headline = f"{name} is read without a step"
        rule = f"{name} is an input: it has a value at every step."
        fix = f"Write {name}[t]."
    elif name == "x" and not names.inputs and _is_free(name, names):
        headline = "x is read without a step, and the cell has no input"
        rule = "A bare name is a parameter; an input is read at a step."
        fix = "Write x[t]."
    else:
        return
    raise Fault(TimeProblem, "E305", headline, ref.span, rule=rule, fix=fix)


def _is_free(name: str, names: Names) -> bool:
    """Does no line give this name a value?"""
    return name not in names.equations and name not in names.constants


def _check_call(call: Call, names: Names) -> None:
    name, count = call.function, len(call.args)
    span = Span(call.span.line, call.span.start, call.span.start + len(name))
    function = FUNCTIONS.get(name)
    if function is None:
        raise _unknown_function(name, span, names)
    if not function.least <= count <= function.most:
        headline = f"{name} takes {arguments(name)}, not {count}"
        fix = f"Write {function.example}."
        raise Fault(SyntaxProblem, "E115", headline, call.span, fix=fix)


def _unknown_function(name: str, span: Span, names: Names) -> Fault:
    if names.computed(name) or name in names.inputs:
        headline = f"{name} is called like a function, but is a value"
        rule = "Time stands in square brackets."
        fix = f"Write {name}[t] or {name}[t-1]."
        return Fault(NameProblem, "E407", headline, span, rule=rule, fix=fix)
    is_letter = name[0].isupper() and name not in FOREIGN
    if name in names.bare or name in names.constants or is_letter:
        headline = f"{name} is called like a function, but is a parameter"
        fix = f"Write {name} @ (...) for a matrix, {name} * (...) for a vector."
        return Fault(NameProblem, "E407", headline, span, fix=fix)
    near = FOREIGN.get(name) or nearest(name.lower(), FUNCTIONS)
    known = None if near else f"Known are {', '.join(_common())}."
    headline = f"there is no function {name}"
    return Fault(NameProblem, "E401", headline, span, rule=known, fix=near)


def _common() -> list[str]:
    seen: dict[object, str] = {}
    for name, function in FUNCTIONS.items():
        seen.setdefault(function, name)
    return list(seen.values())


def _check_steps(text: Text, names: Names) -> None:
    if any(equation.per_step for equation in names.equations.values()):
        return
    rule = "A cell says what a step computes."
    fix = "Write h[t] = tanh(W @ x[t] + U @ h[t-1] + b)."
    if not names.equations and not names.constants:
        empty = not any(isinstance(line, Declaration | Return) for line in text.lines)
        headline = "the text is empty" if empty else "no equation is given"
        raise Fault(SyntaxProblem, "E101", headline, Span(0, 0, 0), rule=rule, fix=fix)
    lines: list[Constant | Equation] = [*names.constants.values(), *names.equations.values()]
    last = lines[-1]
    headline = "no equation is at [t]"
    fix = f"Write {last.name}[t] = ... where a value is computed at every step."
    raise Fault(SyntaxProblem, "E102", headline, last.span, rule=rule, fix=fix)


def _check_declared(names: Names) -> None:
    read = names.equations.keys() | names.inputs.keys() | names.bare.keys()
    for name, constant in names.constants.items():
        if name not in names.bare:
            raise _unread(name, "is given a value", constant.span, names)
    for name, line in names.declared.items():
        if name not in read:
            raise _unread(name, "is declared", line.span, names)
        what = "has an equation" if name in names.equations else "has a value"
        if line.over and name not in names.inputs:
            headline = f"{name} is declared {_declared_as(line)}, but {what}"
            rule = "Only an input varies per sequence or per step."
            raise Fault(NameProblem, "E405", headline, line.span, rule=rule)
        if name in names.constants and line.shape is not None:
            _check_constant(names.constants[name], line, line.shape)


def _check_constant(constant: Constant, line: Declaration, shape: Shape) -> None:
    given = literal_shape(constant.value)
    if len(given) != len(shape):
        facts = [
            Fact(line.name, _declared_as(line), f"on line {line.span.line}"),
            Fact(line.name, ", ".join(given) or "scalar", f"on line {constant.span.line}"),
        ]
        headline = f"{line.name} is declared with another shape than its value has"
        fix = f"Write {line.name}: {', '.join(given) or 'scalar'}."
        raise Fault(NameProblem, "E405", headline, line.span, facts=facts, fix=fix)


def _unread(name: str, what: str, span: Span, names: Names) -> Fault:
    others = [other for other in [*names.bare, *names.inputs, *names.equations] if other != name]
    headline = f"{name} {what}, but no equation reads it"
    fix = nearest(name, others) or "Remove the line."
    return Fault(NameProblem, "E406", headline, span, fix=fix)


def returned(text: Text, names: Names) -> tuple[str, ...]:
    """What the layer gives back: the names after `return`, else the last line at [t]."""
    lines = [line for line in text.lines if isinstance(line, Return)]
    steps = [name for name in names.equations if names.computed(name)]
    if not lines:
        return (steps[-1],)
    if len(lines) > 1:
        fix = f"Write return {', '.join(name for line in lines for name in line.names)}."
        spans = lines[1].spans or (NOWHERE,)
        raise Fault(NameProblem, "E404", "return is given twice", spans[0], fix=fix)
    (line,) = lines
    spans = line.spans or (NOWHERE,) * len(line.names)
    for index, (name, span) in enumerate(zip(line.names, spans, strict=True)):
        if name in line.names[:index]:
            raise Fault(NameProblem, "E404", f"{name} is returned twice", span, fix="Name it once.")
        if name not in steps:
            headline = f"{name} is returned, but no line computes {name}[t]"
            fix = nearest(name, steps) or f"The cell computes {', '.join(steps)}."
            raise Fault(NameProblem, "E404", headline, span, fix=fix)
    return line.names

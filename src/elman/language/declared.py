"""Is every name what a line of its own says: constants, declarations, masks, initial values."""

from __future__ import annotations

from elman.errors import Fact, NameProblem, TimeProblem, nearest
from elman.ir.node import Shape
from elman.language.functions import FUNCTIONS
from elman.language.named import (
    Names,
    declared_as,
    left_side,
    literal_shape,
    references,
    written,
)
from elman.language.read_declaration import probability
from elman.language.source import Fault, Source, Span
from elman.language.syntax import At, Constant, Declaration, Initial


def function_as_name(name: str, span: Span) -> Fault:
    headline = f"{name} is a function, but stands here as a name"
    fix = f"Call it, {FUNCTIONS[name].example}, or choose another name."
    return Fault(NameProblem, "E403", headline, span, fix=fix)


def check_declared(names: Names) -> None:
    """Every name that has a line of its own is read, and is what the line says."""
    read = names.equations.keys() | names.inputs.keys() | names.bare.keys() | names.masks.keys()
    for name, constant in names.constants.items():
        if name not in names.bare:
            raise _unread(name, "is given a value", constant.span, names)
    for name, line in names.declared.items():
        if name not in read:
            raise _unread(name, "is declared", line.span, names)
        _check_kind(name, line, names)
        _check_chance(line, names)
        if name in names.constants and line.shape is not None:
            _check_constant(names.constants[name], line, line.shape)


def _check_kind(name: str, line: Declaration, names: Names) -> None:
    """Only an input varies per sequence, only a parameter is frozen, only a mask is drawn."""
    is_given = name in names.equations or name in names.constants
    what = "has an equation" if name in names.equations else "has a value"
    if line.bernoulli is not None and is_given:
        rule = "A mask is drawn; no line gives it a value."
    elif line.frozen and (is_given or name in names.inputs):
        rule = "A parameter that is frozen keeps its value in training."
        what = what if is_given else "is an input"
    elif line.over and line.bernoulli is None and name not in names.inputs:
        rule = "Only an input varies per sequence or per step."
    elif line.role and (is_given or line.bernoulli is not None or name in names.inputs):
        rule = "Only a parameter has a role: it says how the parameter begins."
        what = what if is_given else "is an input"
    else:
        return
    headline = f"{name} is declared {declared_as(line)}, but {what}"
    fix = "Remove the line." if line.frozen or line.role else None
    raise Fault(NameProblem, "E405", headline, line.span, rule=rule, fix=fix)


def _check_chance(line: Declaration, names: Names) -> None:
    """`m: bernoulli(keep)` is of a constant, and its value a probability."""
    if not isinstance(line.bernoulli, str):
        return
    known = names.constants.get(line.bernoulli)
    if known is None:
        headline = f"{line.name} is 1 with probability {line.bernoulli}, which no line gives"
        rule = "In the brackets stands a number, or the name of a constant."
        fix = nearest(line.bernoulli, names.constants) or f"Add the line {line.bernoulli} = 0.9."
        raise Fault(NameProblem, "E421", headline, line.span, rule=rule, fix=fix)
    if isinstance(known.value, tuple):
        headline = f"{line.name} is 1 with probability {line.bernoulli}, which is not one number"
        raise Fault(NameProblem, "E421", headline, line.span, fix=f"Write {known.name} = 0.9.")
    probability(known.value, line.span, line.name, known.name)


def check_mask(ref: At, names: Names) -> None:
    """A mask has no past, and is drawn at every step or once, not both."""
    name = ref.name
    if ref.lag:
        headline = f"{written(ref)} is read, but a mask has no past"
        fix = f"Give it a line, k[t] = {name}[t], and read k[t-{ref.lag}]."
        raise Fault(TimeProblem, "E312", headline, ref.span, fix=fix)
    if name in names.bare and names.over(name) is None:
        headline = f"{name} is read with a step and without"
        rule = f"{name}[t] is drawn at every step and row, {name} once per call."
        fix = f"Use two masks, or declare {name} per sequence: once per row."
        raise Fault(TimeProblem, "E312", headline, ref.span, rule=rule, fix=fix)


def check_initial(names: Names, source: Source) -> None:
    """What stands before the first step is read through a delay, and given once."""
    lags: dict[str, int] = {}
    for equation in names.equations.values():
        for ref in references(equation):
            if isinstance(ref, At) and ref.lag:
                lags[ref.name] = max(ref.lag, lags.get(ref.name, 0))
    earlier: dict[str, Initial] = {}
    for line in names.initial:
        left = left_side(line)
        if lags.get(line.name, 0) < line.lag:
            headline = f"{left} is given, but no equation reads {line.name}[t-{line.lag}]"
            rule = "What a name is before the first step is read through its delay."
            fix = f"Read {line.name}[t-{line.lag}], or remove the line."
            if line.name not in lags:
                fix = nearest(line.name, lags) or fix
            raise Fault(TimeProblem, "E313", headline, line.span, rule=rule, fix=fix)
        if left in earlier:
            facts = [
                Fact(source.quote(each.span), when, f"on line {each.span.line}")
                for each, when in ((earlier[left], "given first"), (line, "given again"))
            ]
            headline, fix = f"{left} is given by two lines", "Keep one of them."
            raise Fault(NameProblem, "E402", headline, line.span, facts=facts, fix=fix)
        earlier[left] = line


def _check_constant(constant: Constant, line: Declaration, shape: Shape) -> None:
    given = literal_shape(constant.value)
    if len(given) != len(shape):
        facts = [
            Fact(line.name, declared_as(line), f"on line {line.span.line}"),
            Fact(line.name, ", ".join(given) or "scalar", f"on line {constant.span.line}"),
        ]
        headline = f"{line.name} is declared with another shape than its value has"
        fix = f"Write {line.name}: {', '.join(given) or 'scalar'}."
        raise Fault(NameProblem, "E405", headline, line.span, facts=facts, fix=fix)


def _unread(name: str, what: str, span: Span, names: Names) -> Fault:
    others = [
        other
        for other in [*names.bare, *names.inputs, *names.masks, *names.equations]
        if other != name
    ]
    headline = f"{name} {what}, but no equation reads it"
    fix = nearest(name, others) or "Remove the line."
    base = name.removesuffix("0").removesuffix("_")
    if name.endswith("0") and names.computed(base):
        fix = f"What {base} is before the first step is a line {base}[0] = ..."
    return Fault(NameProblem, "E406", headline, span, fix=fix)

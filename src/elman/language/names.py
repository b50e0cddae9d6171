"""What every name of a text is: a step's value, an input, a parameter; and what is wrong."""

from __future__ import annotations

from dataclasses import replace

from elman.errors import Fact, NameProblem, SyntaxProblem, TimeProblem, nearest
from elman.language.declared import check_declared, check_initial, check_mask, function_as_name
from elman.language.foreign import FUNCTIONS as FOREIGN
from elman.language.functions import FUNCTIONS, arguments
from elman.language.named import (
    Names,
    declared_as,
    left_side,
    literal_shape,
    references,
    written,
)
from elman.language.slips import refuse_t
from elman.language.source import NOWHERE, Fault, Span
from elman.language.syntax import (
    At,
    Call,
    Constant,
    Declaration,
    Equation,
    Initial,
    Name,
    Return,
    Text,
    walk,
)

STEPS = {"t": "t"} | dict.fromkeys(("prev", "old", "last", "tm1", "previous"), "t-1")  # h_prev

__all__ = ["Names", "collect", "literal_shape", "references", "returned"]


def collect(text: Text) -> Names:
    """The names of a text, checked."""
    equations, constants = _definitions(text)
    declared = _declarations(text)
    initial = tuple(line for line in text.lines if isinstance(line, Initial))
    names = Names(equations, constants, declared, initial, {}, {}, {})
    refs = [ref for line in names.lines for ref in references(line)]
    clock = next((ref.span for ref in refs if ref.name == "t"), None)
    for ref in refs:
        if ref.name != "t":
            _sort(ref, names)
    for mask in names.masks:
        chance = declared[mask].bernoulli
        if isinstance(chance, str):
            names.bare.setdefault(chance, declared[mask].span)
    names = replace(names, clock=clock)
    _check_right_sides(names)
    _check_steps(text, names)
    check_declared(names)
    check_initial(names, text.source)
    return names


def _sort(ref: At | Name, names: Names) -> None:
    """Note what a name is by how it is read."""
    name = ref.name
    if name in names.declared and names.declared[name].bernoulli is not None:
        names.masks.setdefault(name, ref.span)
    if isinstance(ref, Name):
        names.bare.setdefault(name, ref.span)
    here = ref.lag == 0 if isinstance(ref, At) else names.over(name) == "b"
    given = name in names.equations or name in names.constants or name in names.masks
    if here and not given:
        names.inputs.setdefault(name, ref.span)


def _definitions(text: Text) -> tuple[dict[str, Equation], dict[str, Constant]]:
    equations: dict[str, Equation] = {}
    constants: dict[str, Constant] = {}
    for line in text.lines:
        if isinstance(line, Equation | Constant | Initial) and line.name in FUNCTIONS:
            raise function_as_name(line.name, line.span)
        if not isinstance(line, Equation | Constant):
            continue
        refuse_t(line.name, line.span, "is given a value")
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
        if isinstance(line, Equation):
            equations[line.name] = line
        else:
            constants[line.name] = line
    return equations, constants


def _declarations(text: Text) -> dict[str, Declaration]:
    declared: dict[str, Declaration] = {}
    for line in text.lines:
        if not isinstance(line, Declaration):
            continue
        earlier = declared.get(line.name)
        if earlier:
            facts = [
                Fact(line.name, declared_as(earlier), f"on line {earlier.span.line}"),
                Fact(line.name, declared_as(line), f"on line {line.span.line}"),
            ]
            fix = f"Keep one line: {line.name}: {declared_as(earlier)}."
            headline = f"{line.name} is declared twice"
            raise Fault(NameProblem, "E405", headline, line.span, facts=facts, fix=fix)
        if line.name in FUNCTIONS:
            raise function_as_name(line.name, line.span)
        declared[line.name] = line
    return declared


def _check_right_sides(names: Names) -> None:
    for line in names.lines:
        for part in walk(line.value):
            match part:
                case At():
                    _check_at(part, line, names)
                case Name():
                    _check_bare(part, line, names)
                case Call():
                    _check_call(part, names)


def _check_at(ref: At, line: Equation | Initial, names: Names) -> None:
    name = ref.name
    if name in FUNCTIONS:
        raise function_as_name(name, ref.span)
    if isinstance(line, Initial) or not line.per_step:
        raise _depends(line, ref, names)
    if name in names.masks:
        check_mask(ref, names)
        return
    if name in names.constants or (name in names.equations and not names.computed(name)):
        headline = f"{written(ref)} is read, but {name} is the same at every step"
        raise Fault(TimeProblem, "E307", headline, ref.span, fix=f"Write {name} without a step.")
    if ref.lag and names.over(name) == "b":
        headline = f"{written(ref)} is read, but {name} is the same at every step"
        rule = f"{name} is declared per sequence."
        raise Fault(TimeProblem, "E307", headline, ref.span, rule=rule, fix=f"Write {name}[t].")
    if ref.lag and name not in names.equations and name not in names.inputs:
        raise _no_such_stream(ref, names)


def _depends(line: Equation | Initial, ref: At | Name, names: Names) -> Fault:
    """`A = x[t]`, `h[0] = x[t]`: a line outside of the steps that reads one."""
    headline = f"{left_side(line)} depends on {written(ref)}"
    fix = None
    if isinstance(line, Initial):
        rule = "Before the first step stand parameters, constants and streams per sequence."
        if names.over(ref.name) == "b":
            fix = f"Write {ref.name}."
    else:
        rule = f"What depends on a step is computed at every step: write {line.name}[t] = ..."
    return Fault(TimeProblem, "E304", headline, ref.span, rule=rule, fix=fix)


def _no_such_stream(ref: At, names: Names) -> Fault:
    streams = [name for name in names.equations if names.computed(name)] + list(names.inputs)
    headline = f"{written(ref)} is read, but nothing gives {ref.name}[t]"
    rule = "A delay is of a name with an equation at [t], or of an input that is read at [t] too."
    close = nearest(ref.name, streams)
    fix = f"Write {ref.name}[t] if {ref.name} is an input; if not, add the line {ref.name}[t] = ..."
    if close:
        near = close.split("'")[1]
        fix = f"Did you mean {near}[t-{ref.lag}]?"
    return Fault(TimeProblem, "E308", headline, ref.span, rule=rule, fix=fix)


def _check_bare(ref: Name, line: Equation | Initial, names: Names) -> None:
    name = ref.name
    if name in FUNCTIONS:
        raise function_as_name(name, ref.span)
    if name == "t" and (isinstance(line, Initial) or not line.per_step):
        raise _depends(line, ref, names)
    if names.over(name) == "b" and (name in names.inputs or name in names.masks):
        if isinstance(line, Equation) and not line.per_step:
            headline = f"{line.name} depends on {name}, which each sequence has its own of"
            fix = f"Write {line.name}[t] = ..."
            raise Fault(TimeProblem, "E304", headline, ref.span, fix=fix)
        return
    if isinstance(line, Initial) and (names.computed(name) or name in names.inputs):
        raise _depends(line, ref, names)
    _refuse_no_parameter(ref, line, names)
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


def _refuse_no_parameter(ref: Name, line: Equation | Initial, names: Names) -> None:
    """`h_prev` for h[t-1], `n_t` for n[t], `alpha = scalar`: E305, unless it is declared."""
    name = ref.name
    base, _, step = name.rpartition("_")
    is_stream = names.computed(base) or base in names.inputs
    if name in names.declared or not _is_free(name, names):
        return
    if step in STEPS and is_stream:
        headline = f"{name} would be a parameter, but {base} has a value at every step"
        rule, fix = "Time stands in brackets.", f"Write {base}[{STEPS[step]}]."
        fix += f" If {name} is a parameter, declare it: {name}: hidden."
    elif name in ("scalar", "frozen") and line.value is ref:
        headline = f"{name} is a word of declarations"
        rule, fix = "It says what a name is, after a colon.", f"Write {line.name}: {name}."
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
    if not function.least <= count <= function.most or (name == "einsum") != bool(call.spec):
        headline = f"{name} takes {arguments(name)}, not {count}"
        fix = f"Write {function.example}."
        raise Fault(SyntaxProblem, "E115", headline, call.span, fix=fix)


def _unknown_function(name: str, span: Span, names: Names) -> Fault:
    if names.computed(name) or name in names.inputs:
        headline = f"{name} is called like a function, but is a value"
        rule = "Time stands in square brackets."
        fix = f"Write {name}[t] or {name}[t-1]."
        return Fault(NameProblem, "E407", headline, span, rule=rule, fix=fix)
    is_letter = name[0].isupper() and name not in FOREIGN and not _is_other_case(name)
    if name in names.bare or name in names.constants or is_letter:
        headline = f"{name} is called like a function, but is a parameter"
        fix = f"Write {name} @ (...) for a matrix, {name} * (...) for a vector."
        return Fault(NameProblem, "E407", headline, span, fix=fix)
    near = FOREIGN.get(name) or nearest(name.lower(), FUNCTIONS)
    known = None if near else f"Known are {', '.join(_common())}."
    headline = f"there is no function {name}"
    return Fault(NameProblem, "E401", headline, span, rule=known, fix=near)


def _is_other_case(name: str) -> bool:
    """Is it a function in other letters: `Tanh`, `LayerNorm`?"""
    return name.lower().replace("_", "") in {known.replace("_", "") for known in FUNCTIONS}


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
        empty = not any(isinstance(line, Declaration | Initial | Return) for line in text.lines)
        headline = "the text is empty" if empty else "no equation is given"
        raise Fault(SyntaxProblem, "E101", headline, Span(0, 0, 0), rule=rule, fix=fix)
    lines: list[Constant | Equation] = [*names.constants.values(), *names.equations.values()]
    last = lines[-1]
    headline = "no equation is at [t]"
    fix = f"Write {last.name}[t] = ... where a value is computed at every step."
    stepped = next((n for n in [last.name, *names.bare] if n.endswith("_t") and len(n) > 2), None)
    if stepped:
        fix = f"Time stands in brackets: write {stepped[:-2]}[t] for {stepped}."
    raise Fault(SyntaxProblem, "E102", headline, last.span, rule=rule, fix=fix)


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
            if name == "t":
                headline, fix = "t is returned, but it is no value of a line", "Write n[t] = t."
            raise Fault(NameProblem, "E404", headline, span, fix=fix)
    return line.names

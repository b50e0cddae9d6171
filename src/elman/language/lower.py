"""Syntax -> `elman.ir.Cell`: names are resolved, equations put in order, macros expanded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from elman.errors import Fact, SyntaxProblem, TimeProblem
from elman.ir import cell as ir
from elman.ir.node import Node, const, leaf, node
from elman.language.functions import FUNCTIONS, OPERATORS, negative
from elman.language.named import CLOCK, Names, references
from elman.language.names import collect, returned
from elman.language.source import Fault, Span
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Equation,
    Expr,
    Initial,
    Join,
    Name,
    Number,
    Text,
    Transpose,
    Unary,
    fold,
)


def lower(text: Text, name: str | None = None) -> tuple[ir.Cell, dict[Node, Span]]:
    """The cell that a text means, and where each of its nodes first stands in the text."""
    names = collect(text)
    returns = returned(text, names)
    lowering = _Lowering(names)
    for equation in _in_order(names):
        lowering.equation(equation)
    equations = [
        ir.Equation(each.name, lowering.values[each.name], each.per_step)
        for each in names.equations.values()
    ]
    if names.clock:
        equations.append(ir.Equation("t", CLOCK))
    declared = names.declared.values()
    made = ir.Cell(
        tuple(equations),
        returns,
        tuple((each.name, each.value) for each in names.constants.values()),
        tuple((each.name, each.shape) for each in declared if each.shape is not None),
        tuple(lowering.initial(line) for line in names.initial),
        tuple(sorted(each.name for each in declared if each.frozen)),
        tuple(sorted((each.name, each.role) for each in declared if each.role)),
        name or "cell",
    )
    return made, lowering.spans


def _needs(equation: Equation, names: Names) -> Iterator[tuple[str, At | Name]]:
    """The equations that must be computed before this one, and where it reads them."""
    for ref in references(equation):
        if ref.name in names.equations and not (isinstance(ref, At) and ref.lag):
            yield ref.name, ref


def _in_order(names: Names) -> list[Equation]:
    """Every equation after those that it reads at the same step."""
    order: list[Equation] = []
    state: dict[str, str] = {}
    for start in names.equations.values():
        path = [start.name] if start.name not in state else []
        waiting = [_needs(start, names)]
        while path:
            state[path[-1]] = "open"
            for needed, _ in waiting[-1]:
                if state.get(needed) == "open":
                    raise _cycle(path[path.index(needed) :], names)
                if needed not in state:
                    path.append(needed)
                    waiting.append(_needs(names.equations[needed], names))
                    break
            else:
                state[path[-1]] = "done"
                order.append(names.equations[path.pop()])
                waiting.pop()
    return order


def _cycle(path: list[str], names: Names) -> Fault:
    """The error for names that need each other in one step; the caret is where one reads ahead."""
    if not names.computed(path[0]):
        return _invariant_cycle(path, names)
    place = {name: index for index, name in enumerate(names.equations)}
    pairs = list(zip(path, [*path[1:], path[0]], strict=True))
    reader, needed = min(
        (pair for pair in pairs if place[pair[1]] >= place[pair[0]]), key=lambda p: place[p[0]]
    )
    ref = next(ref for name, ref in _needs(names.equations[reader], names) if name == needed)
    headline = f"{reader}[t] depends on itself within one step"
    if len(path) == 1:
        rule, facts = f"{reader}[t] is the left side of this same equation.", []
    else:
        rule = f"{needed}[t] is computed from {reader}[t]."
        turn = path.index(reader)
        around = pairs[turn:] + pairs[:turn]
        facts = [_link(user, used, names) for user, used in around]
    fix = f"Did you mean {needed}[t-1]?"
    return Fault(TimeProblem, "E301", headline, ref.span, facts=facts, rule=rule, fix=fix)


def _link(user: str, used: str, names: Names) -> Fact:
    line = names.equations[user].span.line
    return Fact(f"{user}[t]", f"computed from {used}[t]", f"on line {line}")


def _invariant_cycle(path: list[str], names: Names) -> Fault:
    first = names.equations[path[0]]
    needed = path[1] if len(path) > 1 else path[0]
    ref = next(ref for name, ref in _needs(first, names) if name == needed)
    headline = f"{first.name} depends on itself"
    rule = "A line without [t] is computed once, before the first step."
    fix = f"Give the parameter on the right another name, or write {first.name}[t] = ..."
    return Fault(TimeProblem, "E310", headline, ref.span, rule=rule, fix=fix)


@dataclass
class _Lowering:
    """The nodes made so far: the values of equations, and where each node first stands."""

    names: Names
    values: dict[str, Node] = field(default_factory=dict)
    spans: dict[Node, Span] = field(default_factory=dict)

    def equation(self, equation: Equation) -> None:
        self.values[equation.name] = fold(equation.value, self.visit)

    def initial(self, line: Initial) -> tuple[str, Node]:
        """The key of the state that a line gives, and what it is before the first step."""
        state = leaf(line.name, "state", "tb", line.lag)
        return state.attr.key, fold(line.value, self.visit)

    def visit(self, expr: Expr, args: list[Node]) -> Node:
        if isinstance(expr, At | Name):
            return self.reference(expr)
        made = _BUILD[type(expr)](expr, args)
        self.mark(made, args, expr.span)
        return made

    def reference(self, ref: At | Name) -> Node:
        is_delay = isinstance(ref, At) and ref.lag > 0
        if ref.name in self.values and not is_delay:
            return self.values[ref.name]
        made = self.names.leaf(ref)
        self.mark(made, [], ref.span)
        return made

    def mark(self, made: Node, args: list[Node], span: Span) -> None:
        """Note the place of a node, and of those that a macro put between it and its arguments."""
        known = self.spans.get(made)
        if known is None or (span.line, span.start) < (known.line, known.start):
            self.spans[made] = span
        if known is not None:
            return
        inner = [arg for arg in made.args if arg not in self.spans]
        while inner:
            between = inner.pop()
            self.spans[between] = span
            inner += [arg for arg in between.args if arg not in self.spans]


def _number(expr: Expr, args: list[Node]) -> Node:
    assert isinstance(expr, Number)
    return const(expr.value)


def _unary(expr: Expr, args: list[Node]) -> Node:
    return negative(*args)


def _binary(expr: Expr, args: list[Node]) -> Node:
    assert isinstance(expr, Binary)
    return OPERATORS[expr.op](*args)


def _call(expr: Expr, args: list[Node]) -> Node:
    assert isinstance(expr, Call)
    return FUNCTIONS[expr.function].build(*args, **({"spec": expr.spec} if expr.spec else {}))


def _transpose(expr: Expr, args: list[Node]) -> Node:
    return node("transpose", args)


def _join(expr: Expr, args: list[Node]) -> Node:
    if any(isinstance(part, Join) for part in expr.parts):
        headline = "a list stands inside a list"
        fix = "Write one list: [a, b, c]; a matrix of numbers gets a name: P = [[0, 1], [1, 0]]."
        raise Fault(SyntaxProblem, "E117", headline, expr.span, fix=fix)
    if all(arg.op == "const" for arg in args):
        headline = "numbers in brackets stand inside an expression"
        fix = "Name them on a line of their own: k = [0.1, 0.2]."
        raise Fault(SyntaxProblem, "E117", headline, expr.span, fix=fix)
    return node("concat", [node("fill", (a,), ("1",)) if a.op == "const" else a for a in args])


_BUILD: dict[type[Expr], Callable[[Expr, list[Node]], Node]] = {
    Number: _number,
    Unary: _unary,
    Binary: _binary,
    Call: _call,
    Transpose: _transpose,
    Join: _join,
}

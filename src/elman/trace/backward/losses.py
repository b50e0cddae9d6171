"""A loss as one more equation of every step that has a target."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.functions import canonical
from elman.language.syntax import At, Binary, Call, Expr, Number, Text, Unary
from elman.trace.backward.goals import CROSS, HALF, SQUARED, goals_of
from elman.trace.leaves import GRADIENT, INNER, Dated
from elman.trace.work import values_in, work
from elman.trace.worked import Line, Read, Step, dated

Array = np.ndarray[Any, Any]
NAMES = ("E", "loss", "cost", "E_all")  # the first that the cell has not
WORDS = {SQUARED: "squared error", HALF: "half the squared error", CROSS: "cross-entropy"}


@dataclass(frozen=True, eq=False)
class Loss:
    """A run with its loss: the steps with their lines of it, and their sum."""

    name: str
    steps: tuple[Step, ...]
    total: Line
    known: Mapping[Dated, Array]
    targets: Mapping[str, str]  # of each output the name of its target

    @property
    def held(self) -> frozenset[str]:
        return frozenset(self.targets.values())


def with_loss(
    kind: str,
    target: object,
    steps: Sequence[Step],
    values: Mapping[str, Array],
    known: Mapping[Dated, Array],
    text: Text,
) -> Loss:
    """The steps of a run with the line `E[t] = sum((y[t] - target[t])**2)` where a target is.

    Errors: E463 to E467 for targets that cannot be those of the outputs.
    """
    goals = goals_of(kind, target, values)
    used = {name.name for name in known}
    name = _free(NAMES, used)
    targets = {
        output: _free(("target",) if len(goals) == 1 else (f"target_{output}",), {*used, name})
        for output in goals
    }
    terms = {
        output: _term(kind, output, targets[output], values[output][0].size == 1, text)
        for output in goals
    }
    found, worked = dict(known), []
    for step in steps:
        here = {output: rows[step.number - 1] for output, rows in goals.items()}
        given = {output: row for output, row in here.items() if row is not None}
        reads = [Read(Dated(targets[output], step.number), row) for output, row in given.items()]
        found |= {read.left: read.value for read in reads}
        lines = [_line(name, kind, [terms[o] for o in given], step.number, found)] if given else []
        found |= {line.left: line.value for line in lines}
        worked.append(replace(step, reads=(*step.reads, *reads), lines=(*step.lines, *lines)))
    total = _total(name, found)
    return Loss(name, tuple(worked), total, found | {total.left: total.value}, targets)


def _free(names: Sequence[str], used: Collection[str]) -> str:
    """The first name that is free; the last one may get a number."""
    longer = (f"{names[-1]}_{count}" for count in range(2, len(used) + 3))
    return next(name for name in (*names, *longer) if name not in used)


def _term(kind: str, output: str, target: str, is_scalar: bool, text: Text) -> Expr:
    y, goal = At(output), At(target)
    if kind == CROSS:
        return Unary("-", Call("sum", (Binary("*", goal, _logarithm(y, text)),)))
    square = Binary("**", Binary("-", y, goal), Number(2.0))
    squares = square if is_scalar else Call("sum", (square,))
    return Binary("/", squares, Number(2.0)) if kind == HALF else squares


def _logarithm(y: At, text: Text) -> Expr:
    """The logarithms of the probabilities, by what the output's equation makes of them."""
    lines = {equation.name: equation.value for equation in text.equations}
    value = lines[y.name]
    function = canonical(value.function) if isinstance(value, Call) else ""
    logarithms: dict[str, Callable[[Expr], Expr]] = {
        "softmax": lambda y: Call("log", (y,)),
        "log_softmax": lambda y: y,
    }
    return logarithms.get(function, lambda y: Call("log_softmax", (y,)))(y)


def _line(
    name: str, kind: str, terms: Sequence[Expr], step: int, known: Mapping[Dated, Array]
) -> Line:
    expr = functools.reduce(lambda a, b: Binary("+", a, b), terms)
    values = work(dated(expr, step), values_in(known))
    return Line(name, expr, values, step, WORDS[kind])


def _total(name: str, known: Mapping[Dated, Array]) -> Line:
    """`E = E[1] + E[2]`."""
    terms: list[Expr] = [each for each in known if each.name == name]
    expr = functools.reduce(lambda a, b: Binary("+", a, b), terms)
    return Line(name, expr, work(expr, values_in(known)))


def shortcut(line: Line, loss: Loss, known: Mapping[Dated, Array]) -> str:
    """`y[2] - target[2]` where softmax and cross-entropy together come to that."""
    goal = Dated(loss.targets.get(line.name, ""), line.step)
    gradient = Dated(line.name, line.step, GRADIENT)
    y = Dated(line.name, line.step)
    if line.kind != INNER or goal not in known or gradient not in known:
        return ""
    if not np.allclose(known[y] - known[goal], line.value, rtol=1e-9, atol=1e-9):
        return ""
    return f"with the cross-entropy that is {y.name}[{y.step}] - {goal.name}[{goal.step}]"

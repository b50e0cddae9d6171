"""Record every value of a run, down to the parts of each equation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.backends import call as calls
from elman.backends.interpret import USER, expand
from elman.backends.numpy_ import NUMPY
from elman.ir.node import Node, leaf, rebuild, topological
from elman.language import Reading
from elman.language.names import Names, collect, references
from elman.language.syntax import (
    At,
    Equation,
    Expr,
    Initial,
    Name,
    fold,
)
from elman.passes.randomness import SEED, STEPS_TAKEN, WORDS, averaged, drawn
from elman.passes.shapes import infer_shapes, lowered
from elman.trace.backward.paths import in_the_mean
from elman.trace.leaves import Dated
from elman.trace.trace import Trace, leaves_of
from elman.trace.work import build, values_in, work
from elman.trace.worked import Line, Read, Step, dated, exchange

Array = np.ndarray[Any, Any]
Env = dict[Node, Array]


def record(reading: Reading, call: calls.Call) -> Trace:
    """Work the equations of a call of one sequence step by step, on the nodes that are run."""
    recorder = _Recorder(reading, call)
    with np.errstate(all="ignore"):  # what overflows is shown as inf
        once = recorder.once()
        worked = tuple(recorder.step(t) for t in range(call.steps))
    values = {line.name: line.value for line in once.lines}
    for name, past in recorder.past.items():
        values[name] = np.concatenate(past)[:, 0]
    order = [equation.name for equation in reading.expanded.equations]
    return Trace({name: values[name] for name in order}, worked, once, reading.expanded)


@dataclass(frozen=True, eq=False)
class _Worksheet:
    """A line and the nodes that compute its parts, in the order of `fold`."""

    equation: Equation | Initial
    expr: Expr
    nodes: tuple[Node, ...]

    @property
    def step(self) -> int | None:
        """Of a line before the first step, its number."""
        return self.equation.step if isinstance(self.equation, Initial) else None

    @property
    def per_step(self) -> bool:
        return isinstance(self.equation, Equation) and self.equation.per_step


class _Recorder:
    def __init__(self, reading: Reading, call: calls.Call) -> None:
        self.comments, self.call, self.sizes = reading.comments, call, call.sizes
        nodes = _Nodes(reading, call)
        self.sheets, self.starts, self.masks = nodes.sheets(), nodes.starts(), nodes.masks
        order = topological(n for sheet in (*self.sheets, *self.starts) for n in sheet.nodes)
        self.leaves = [n for n in order if n.op == "leaf"]
        self.fixed = [n for n in order if "t" not in n.over]
        self.moving = [n for n in order if "t" in n.over and n.op != "leaf"]
        given = [n for n in self.leaves if n.attr.role in USER]
        self.env: Env = {n: expand(n.over, call.arrays[n.attr.name]) for n in given}
        self.streams = {n.attr.name: self.env.pop(n) for n in given if "t" in n.over}
        self.past: dict[str, list[Array]] = {
            sheet.equation.name: [] for sheet in self.sheets if sheet.per_step
        }

    def once(self) -> Step:
        """Constants, inputs and masks that no step changes, and the equations without [t]."""
        self.compute(self.fixed, self.env)
        reads = [
            self.read(n.attr.name, n)
            for n in self.leaves
            if n in self.env and n.attr.role != "parameter" and n.attr.name not in WORDS
        ]
        reads += [self.read(name, n) for name, n in self.masks.items() if "t" not in n.over]
        starts = [self.line(sheet, sheet.step, self.env) for sheet in self.starts]
        return Step(0, tuple(reads), (*self.lines(None, self.env), *starts))

    def read(self, name: str, n: Node) -> Read:
        return Read(Dated(name), self.env[n][0, 0], self.comments.get(name, ""))

    def step(self, t: int) -> Step:
        """Step t, counted from 0: its equations after what they read, inputs first."""
        env = dict(self.env)
        moving = [n for n in self.leaves if "t" in n.over]
        env |= {n: self.at(n, t) for n in moving}
        self.compute(self.moving, env)
        for sheet in self.sheets:
            if sheet.per_step:
                self.past[sheet.equation.name].append(env[sheet.nodes[-1]])
        reads = [
            Read(Dated(n.attr.name, t + 1 - n.attr.lag), env[n][0, 0])
            for n in sorted(moving, key=lambda n: n.attr.lag > 0)
            if n.attr.name not in (*WORDS, STEPS_TAKEN)
        ]
        drawn = {name: n for name, n in self.masks.items() if "t" in n.over}
        reads += [Read(Dated(name, t + 1), env[n][0, 0]) for name, n in drawn.items()]
        reads += [
            Read(Dated(STEPS_TAKEN), env[n][0, 0] + 1) for n in moving if n.attr.name == STEPS_TAKEN
        ]
        return Step(t + 1, tuple(reads), self.lines(t + 1, env))

    def at(self, n: Node, t: int) -> Array:
        """What a stream or state holds for step t: (1, 1, ...)."""
        when = t - n.attr.lag
        if n.attr.name == STEPS_TAKEN:
            return self.call.state[STEPS_TAKEN][None] + t
        if when < 0:
            return self.call.state[replace(n.attr, lag=-when).key][None]
        if n.attr.name in self.past:
            return self.past[n.attr.name][when]
        return self.streams[n.attr.name][when : when + 1]

    def compute(self, order: Iterable[Node], env: Env) -> None:
        for n in order:
            if n not in env:
                env[n] = NUMPY.apply[n.op](n, [env[arg] for arg in n.args], self.sizes)

    def lines(self, step: int | None, env: Env) -> tuple[Line, ...]:
        here = [sheet for sheet in self.sheets if sheet.per_step == (step is not None)]
        return tuple(self.line(sheet, step, env) for sheet in here)

    def line(self, sheet: _Worksheet, step: int | None, env: Env) -> Line:
        name, values = sheet.equation.name, tuple(env[n][0, 0] for n in sheet.nodes)
        line = Line(name, sheet.expr, values, step, self.comments.get(name, ""))
        return line if SEED.attr.name in self.call.arrays else _averaged(line, self.masks)


def _averaged(line: Line, masks: Collection[str]) -> Line:
    """A line that chooses by a mask which is not drawn, as the mean of both that it is."""
    told = dated(line.expr, line.step)
    expr = in_the_mean(told, masks) if masks else told
    if expr == told:
        return line
    values = work(expr, values_in(leaves_of(line)))
    if not np.allclose(values[-1], line.value, rtol=1e-12, atol=1e-12, equal_nan=True):
        return line
    comment = line.comment or "by the chance of each mask"
    return replace(line, expr=expr, values=(*values[:-1], line.value), comment=comment)


class _Nodes:
    """The typed nodes of all parts of a text's lines, with what is random as the call has it."""

    def __init__(self, reading: Reading, call: calls.Call) -> None:
        self.reading, self.call = reading, call
        self.names = collect(reading.expanded)
        self.masks: dict[str, Node] = {}  # by name, as the lines read it
        typed = infer_shapes(reading.cell).cell
        self.leaves = {(n.attr.name, n.attr.lag): n for n in typed.leaves}

    def sheets(self) -> list[_Worksheet]:
        """The equations in an order of computation."""
        return self._worked(_in_order(self.names.equations.values()))

    def starts(self) -> list[_Worksheet]:
        """The lines before the first step, of the states that the caller did not give."""
        used = self.call.start.outputs if self.call.start else ()
        keys = {line: leaf(line.name, "state", lag=line.lag) for line in self.names.initial}
        return self._worked(line for line, n in keys.items() if n.attr.key in used)

    def _worked(self, lines: Iterable[Equation | Initial]) -> list[_Worksheet]:
        parts = {line: self._parts(line.value) for line in lines}
        typed = self._typed(n for nodes in parts.values() for n in nodes)
        self.masks |= {name: typed[n] for name, n in self.masks.items() if n in typed}
        return [
            _Worksheet(line, _undated(line.value, self.names), tuple(typed[n] for n in nodes))
            for line, nodes in parts.items()
        ]

    def _parts(self, value: Expr) -> list[Node]:
        """The node of every part of a right side, before the shapes pass."""
        nodes: list[Node] = []

        def visit(expr: Expr, args: list[Node]) -> Node:
            nodes.append(self._leaf(expr) if isinstance(expr, At | Name) else build(expr, args))
            return nodes[-1]

        fold(value, visit)
        return nodes

    def _leaf(self, ref: At | Name) -> Node:
        delayed = isinstance(ref, At) and ref.lag
        if ref.name in self.names.equations and not delayed:
            return self.reading.cell.value(ref.name)
        found = self.names.leaf(ref)
        if ref.name in self.names.masks:
            self.masks[ref.name] = found
        return found

    def _typed(self, nodes: Iterable[Node]) -> dict[Node, Node]:
        """Every node as the shapes pass leaves it, and what is random as it was drawn."""
        random = drawn if SEED.attr.name in self.call.arrays else averaged

        def change(old: Node, args: tuple[Node, ...]) -> Node:
            if old.op == "leaf":
                return self.leaves[old.attr.name, old.attr.lag]
            return lowered(old, args)

        typed = rebuild(nodes, change)
        shown = rebuild(typed.values(), random)
        return {old: shown[new] for old, new in typed.items()}


def _in_order(equations: Iterable[Equation]) -> list[Equation]:
    """Every equation after those that it reads at the same step, else in the order of the text."""
    waiting = {equation.name: equation for equation in equations}
    needs = {
        name: {ref.name for ref in references(e) if not (isinstance(ref, At) and ref.lag)}
        for name, e in waiting.items()
    }
    order = []
    while waiting:
        ready = next(name for name in waiting if not needs[name] & waiting.keys())
        order.append(waiting.pop(ready))
    return order


def _undated(expr: Expr, names: Names) -> Expr:
    """`v[t]` as `v` where v is the same at every step."""

    def change(leaf: Expr) -> Expr:
        if isinstance(leaf, At) and names.over(leaf.name) == "b":
            return Name(leaf.name, span=leaf.span)
        return leaf

    return exchange(expr, change)

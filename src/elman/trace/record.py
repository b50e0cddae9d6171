"""Record every value of a run, down to the parts of each equation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman.backends.interpret import USER, expand
from elman.backends.numpy_ import NUMPY
from elman.ir.node import Node, const, node, rebuild, topological
from elman.language import Reading
from elman.language.functions import FUNCTIONS, OPERATORS
from elman.language.names import Names, collect, references
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Equation,
    Expr,
    Join,
    Name,
    Number,
    Transpose,
    Unary,
    fold,
)
from elman.passes.shapes import LOWER, infer_shapes
from elman.trace.text import write_text
from elman.trace.worked import Line, Read, Step, exchange

Array = np.ndarray[Any, Any]
Env = dict[Node, Array]


@dataclass(frozen=True, eq=False)
class Trace:
    """The values of every equation at every step, and of every part of it; exact, however shown.

    `values[name]` is (T, size), or without the T for what is computed once per sequence.

    >>> import elman
    >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
    >>> trace = cell.trace({"x": [1.0]}, {"w": 1, "u": 2})
    >>> print(trace.to_text(digits=2))
    step 1
      x[1] = 1
      h[0] = 0
      h[1] = tanh(w * x[1] + u * h[0])
           = tanh(1*1 + 2*0)
           = tanh(1)
           = 0.76
    >>> trace
    <Trace of 1 step: h (1, 1)>
    """

    values: Mapping[str, Array]
    steps: tuple[Step, ...]
    once: Step = field(default=Step(0, (), ()))

    def to_text(self, digits: int = 4) -> str:
        """As plain text: formula, numbers put in, result; at most `digits` decimals."""
        return write_text((self.once, *self.steps), digits)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        count = len(self.steps)
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.values.items())
        return f"<Trace of {count} step{'s' * (count != 1)}: {shapes}>"


def record(
    reading: Reading,
    arrays: Mapping[str, Array],
    state: Mapping[str, Array],
    sizes: Mapping[str, int],
    steps: int,
) -> Trace:
    """Work the equations step by step; the nodes are those that every backend runs.

    Shapes: `arrays` as `backends.call` prepares them, for one sequence; `state` {key: (1, size)}.
    """
    recorder = _Recorder(reading, arrays, state, sizes)
    with np.errstate(all="ignore"):  # what overflows is shown as inf
        once = recorder.once()
        worked = tuple(recorder.step(t) for t in range(steps))
    values = {line.name: line.value for line in once.lines}
    for name, past in recorder.past.items():
        values[name] = np.concatenate(past)[:, 0]
    order = [equation.name for equation in reading.text.equations]
    return Trace({name: values[name] for name in order}, worked, once)


@dataclass(frozen=True, eq=False)
class _Worksheet:
    """An equation and the nodes that compute its parts, in the order of `fold`."""

    equation: Equation
    expr: Expr
    nodes: tuple[Node, ...]


class _Recorder:
    def __init__(
        self,
        reading: Reading,
        arrays: Mapping[str, Array],
        state: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> None:
        self.reading, self.state, self.sizes = reading, state, sizes
        self.sheets = _worksheets(reading)
        order = topological(n for sheet in self.sheets for n in sheet.nodes)
        self.leaves = [n for n in order if n.op == "leaf"]
        self.fixed = [n for n in order if "t" not in n.over]
        self.moving = [n for n in order if "t" in n.over and n.op != "leaf"]
        given = [n for n in self.leaves if n.attr.role in USER]
        self.env: Env = {n: expand(n.over, arrays[n.attr.name]) for n in given}
        self.streams = {n.attr.name: self.env.pop(n) for n in given if "t" in n.over}
        self.past: dict[str, list[Array]] = {
            sheet.equation.name: [] for sheet in self.sheets if sheet.equation.per_step
        }

    def once(self) -> Step:
        """Constants, inputs that no step changes, and the equations without [t]."""
        self.compute(self.fixed, self.env)
        comments = self.reading.comments
        reads = [
            Read(n.attr.name, self.env[n][0, 0], comments.get(n.attr.name, ""))
            for n in self.leaves
            if n in self.env and n.attr.role != "parameter"
        ]
        return Step(0, tuple(reads), self.lines(None, self.env))

    def step(self, t: int) -> Step:
        """Step t, counted from 0: its equations after what they read, inputs first."""
        env = dict(self.env)
        moving = [n for n in self.leaves if "t" in n.over]
        env |= {n: self.at(n, t) for n in moving}
        self.compute(self.moving, env)
        for sheet in self.sheets:
            if sheet.equation.per_step:
                self.past[sheet.equation.name].append(env[sheet.nodes[-1]])
        reads = [
            Read(f"{n.attr.name}[{t + 1 - n.attr.lag}]", env[n][0, 0])
            for n in sorted(moving, key=lambda n: n.attr.lag > 0)
        ]
        return Step(t + 1, tuple(reads), self.lines(t + 1, env))

    def at(self, n: Node, t: int) -> Array:
        """What a stream or state holds for step t: (1, 1, ...)."""
        when = t - n.attr.lag
        if when < 0:
            return self.state[replace(n.attr, lag=-when).key][None]
        if n.attr.name in self.past:
            return self.past[n.attr.name][when]
        return self.streams[n.attr.name][when : when + 1]

    def compute(self, order: Iterable[Node], env: Env) -> None:
        for n in order:
            if n not in env:
                env[n] = NUMPY.apply[n.op](n, [env[arg] for arg in n.args], self.sizes)

    def lines(self, step: int | None, env: Env) -> tuple[Line, ...]:
        comments = self.reading.comments
        return tuple(
            Line(
                sheet.equation.name,
                sheet.expr,
                tuple(env[n][0, 0] for n in sheet.nodes),
                step,
                comments.get(sheet.equation.name, ""),
            )
            for sheet in self.sheets
            if sheet.equation.per_step == (step is not None)
        )


def _worksheets(reading: Reading) -> list[_Worksheet]:
    """The equations in an order of computation, with the typed nodes of all their parts."""
    names = collect(reading.text)
    ordered = _in_order(reading.text.equations)
    surface = [_parts(equation.value, names, reading) for equation in ordered]
    typed = _typed(reading, [n for nodes in surface for n in nodes])
    return [
        _Worksheet(e, _undated(e.value, names), tuple(typed[n] for n in nodes))
        for e, nodes in zip(ordered, surface, strict=True)
    ]


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


def _parts(value: Expr, names: Names, reading: Reading) -> list[Node]:
    """The node of every part of a right side, before the shapes pass."""
    nodes: list[Node] = []

    def visit(expr: Expr, args: list[Node]) -> Node:
        if isinstance(expr, At | Name):
            delayed = isinstance(expr, At) and expr.lag
            named = expr.name in names.equations and not delayed
            made = reading.cell.value(expr.name) if named else names.leaf(expr)
        else:
            made = _build(expr, args)
        nodes.append(made)
        return made

    fold(value, visit)
    return nodes


def _build(expr: Expr, args: list[Node]) -> Node:
    match expr:
        case Number(value=value):
            return const(value)
        case Unary():
            return const(-args[0].attr) if args[0].op == "const" else node("neg", args)
        case Binary(op=op):
            return OPERATORS[op](*args)
        case Call(function=function):
            return FUNCTIONS[function].build(*args)
        case Transpose():
            return node("transpose", args)
        case Join():
            return node(
                "concat", [node("fill", (a,), ("1",)) if a.op == "const" else a for a in args]
            )
    raise AssertionError(expr)


def _typed(reading: Reading, nodes: Iterable[Node]) -> dict[Node, Node]:
    """Every node as the shapes pass leaves it."""
    leaves = {(n.attr.name, n.attr.lag): n for n in infer_shapes(reading.cell).cell.leaves}

    def change(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op == "leaf":
            return leaves[old.attr.name, old.attr.lag]
        lower: Any = LOWER.get(old.op)
        return lower(*args) if lower else node(old.op, args, old.attr)

    return rebuild(nodes, change)


def _undated(expr: Expr, names: Names) -> Expr:
    """`v[t]` as `v` where v is the same at every step."""

    def change(leaf: Expr) -> Expr:
        if isinstance(leaf, At) and names.over(leaf.name) == "b":
            return Name(leaf.name, span=leaf.span)
        return leaf

    return exchange(expr, change)

"""Backpropagation through time, line by line, from the last step to the first.

The gradient of a value is the sum over the lines that read it. Each line of this pass is an
expression like those of the text, and its numbers come from working it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman.language.syntax import Binary, Number
from elman.trace.backward.factors import Factors, factors_of, reworked
from elman.trace.backward.flow import Flow, Shape, add, fitted, full
from elman.trace.backward.losses import Loss, shortcut
from elman.trace.backward.paths import Held, follow, part_of
from elman.trace.leaves import GRADIENT, UPDATED, Dated, Shown
from elman.trace.work import values_in, work
from elman.trace.worked import Line, Step, counted

Array = np.ndarray[Any, Any]
GIVEN, LOSS = "given", "the loss"  # where a gradient comes from that comes from no line


@dataclass(frozen=True)
class Slots:
    """Where a gradient stands among the lines: one after the other in an array of that shape."""

    names: tuple[Dated, ...]
    shape: Shape

    def read(self, known: Mapping[Dated, Array]) -> Array:
        zero = np.zeros(_count(self.shape) // len(self.names))
        found = [np.ravel(known.get(name, zero)) for name in self.names]
        return np.concatenate(found).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Backward:
    """The backward pass: its steps, the last one first, and what they add up to.

    Each step holds the gradients of its values (kind `gradient`), of the arguments of their
    functions (kind `inner`), and what the step adds to the gradient of each weight. `known` are
    all these values by their names.
    """

    steps: tuple[Step, ...]
    totals: tuple[Line, ...]
    loss: Line | None = None
    updates: tuple[Line, ...] = ()
    factors: tuple[Factors, ...] = ()
    known: Mapping[Dated, Array] = field(default_factory=dict, repr=False)
    slots: Mapping[str, Slots] = field(default_factory=dict, repr=False)  # of every gradient
    weights: Mapping[str, Array] = field(default_factory=dict, repr=False)  # that learn, before

    @property
    def gradients(self) -> dict[str, Array]:
        """By name, of inputs, weights and first states, as `Cell.gradients` has them."""
        return {name: slots.read(self.known) for name, slots in self.slots.items()}

    @property
    def updated(self) -> dict[str, Array]:
        """Every weight that learns after the step; one that no gradient reaches stays."""
        old = self.weights.items()
        return {name: self.known.get(Dated(name, None, UPDATED), a) for name, a in old}

    @property
    def lines(self) -> tuple[Line, ...]:
        """Every line but those of the factors, in the order in which it was worked."""
        first = [self.loss] if self.loss else []
        worked = [line for step in self.steps for line in step.lines]
        return (*first, *worked, *self.totals, *self.updates)

    def reworked(self, again: Callable[[Line], Line]) -> Backward:
        """The same pass with every line worked anew, in that order."""
        loss = self.loss and again(self.loss)
        steps = tuple(replace(s, lines=tuple(map(again, s.lines))) for s in self.steps)
        totals, updates = tuple(map(again, self.totals)), tuple(map(again, self.updates))
        factors = tuple(reworked(each, again) for each in self.factors)
        made = replace(
            self, steps=steps, totals=totals, loss=loss, updates=updates, factors=factors
        )
        known = {line.left: line.value for line in made.lines}
        return replace(made, known={**self.known, **known})


@dataclass(frozen=True, eq=False)
class Asked:
    """What is differentiated, which weights learn from it, and how far they go."""

    cotangents: Mapping[str, Array]
    loss: Loss | None
    learned: Sequence[str]
    lr: float | None


@dataclass(frozen=True, eq=False)
class Path:
    """What reaches a value from one of the lines that read it."""

    source: str
    flow: Flow


class Pass:
    """One backward pass over the steps of a run."""

    def __init__(self, known: Mapping[Dated, Array], held: Held, loss: str | None = None) -> None:
        self.known, self.held, self.loss = dict(known), held, loss
        self.reached: dict[Dated, list[Path]] = defaultdict(list)
        self.lines: list[Line] = []

    def give(self, name: Dated, cotangent: Array) -> None:
        """A cotangent from outside."""
        if np.any(cotangent):
            self.reached[name].append(Path(GIVEN, Flow(Shown(cotangent), cotangent.shape)))

    def step(self, step: Step) -> Step:
        """The lines of a step backwards, then what it reads."""
        self.lines = []
        weights: dict[Dated, list[Path]] = defaultdict(list)
        for line in reversed(step.lines):
            self.line(line, weights)
        for read in step.reads:
            if read.left.step == step.number and read.left.name not in self.held.names:
                self.gradient(read.left, self.reached.pop(read.left, []))
        for name, paths in weights.items():
            part = Dated(name.name, step.number, GRADIENT)
            self.work(part, paths, self.known[name].shape, len(paths) > 1)
            self.reached[name].append(Path("", Flow(part, self.known[name].shape)))
        return Step(step.number, (), tuple(self.lines))

    def line(self, line: Line, weights: dict[Dated, list[Path]] | None = None) -> None:
        """A line's cotangent, that of what stands in its functions, and what it hands on."""
        if line.name == self.loss and line.left not in self.reached:
            cotangent = Flow(Number(1.0))
        elif self.gradient(line.left, self.reached.pop(line.left, [])):
            cotangent = Flow(Dated(line.name, line.step, GRADIENT), self.known[line.left].shape)
        else:
            return
        root = part_of(line, self.known, self.held)

        def hear(name: Dated, flow: Flow) -> None:
            apart = weights is not None and name.step is None
            into = weights if weights is not None and apart else self.reached
            into[name].append(Path(_label(line, self.loss), flow))

        def worked(name: Dated, flow: Flow, shape: Shape, rule: str) -> None:
            self.add(name, full(flow, shape) if _count(shape) > 1 else flow, shape, rule)

        follow(root, fitted(cotangent, root.shape), line, hear, worked)

    def gradient(self, name: Dated, paths: list[Path]) -> bool:
        """Work the sum over all paths to a value; false where there is none."""
        if paths:
            self.work(Dated(name.name, name.step, GRADIENT), paths, self.known[name].shape)
        return bool(paths)

    def work(self, name: Dated, paths: list[Path], shape: Shape, told: bool = True) -> None:
        """Add up what all paths bring; `told`: the comment says by which ways."""
        flows = [fitted(path.flow, shape) for path in paths]
        if _count(shape) > 1 and all(flow.size == 1 for flow in flows):
            flows[0] = full(flows[0], shape)
        if len({flow.shape for flow in flows if flow.shape}) > 1:
            flows = [flow.strict or flow for flow in flows]
        total = flows[0]
        for flow in flows[1:]:
            total = add(total, flow)
        self.add(name, total, shape, _through(paths) if told else "")

    def add(self, name: Dated, flow: Flow, shape: Shape, comment: str = "") -> None:
        expr = counted(flow.expr, self.known)
        values = work(expr, values_in(self.known))
        last = values[-1]
        shaped = last.reshape(shape) if last.size == _count(shape) else np.broadcast_to(last, shape)
        self.known[name] = shaped
        line = Line(name.name, expr, (*values[:-1], shaped), name.step, comment, name.kind)
        self.lines.append(line)

    def take_lines(self) -> tuple[Line, ...]:
        taken, self.lines = tuple(self.lines), []
        return taken


def backward(
    once: Step,
    steps: Iterable[Step],
    known: Mapping[Dated, Array],
    held: Held,
    cotangents: Mapping[str, Array],
    loss: str | None = None,
) -> Backward:
    """The backward pass of a run whose outputs have these cotangents, (T, ...) each.

    `loss` names the line, if there is one, whose values add up to what is differentiated.
    """
    run = Pass(known, held, loss)
    for name, rows in cotangents.items():
        for number, row in enumerate(rows, 1):
            run.give(Dated(name, number), row)
    with np.errstate(all="ignore"):  # what overflows is shown as inf
        worked = [run.step(step) for step in reversed(tuple(steps))]
        first = _before(run, once)
        worked += [Step(0, (), first)] if first else []
        for weight in [name for name in known if name.step is None and name in run.reached]:
            run.gradient(weight, run.reached.pop(weight))
        totals = run.take_lines()
    clock = [path.flow for name, paths in run.reached.items() for path in paths]
    run.known |= {Dated("t", None, GRADIENT): _sum_of(run, clock)} if clock else {}
    return Backward(tuple(worked), totals, known=run.known)


def _before(run: Pass, once: Step) -> tuple[Line, ...]:
    """What reaches the states before step 1 and their lines, then the equations without a step."""
    run.lines = []
    starts = {line.left: line for line in once.lines if line.step is not None}
    earlier = [name for name in run.reached if name.step is not None and name.step < 1]
    for name in sorted(earlier, key=lambda name: -(name.step or 0)):
        if name in starts:
            run.line(starts[name])
        else:
            run.gradient(name, run.reached.pop(name))
    for line in reversed(once.lines):
        if line.step is None:
            run.line(line)
    return run.take_lines()


def _sum_of(run: Pass, flows: list[Flow]) -> Array:
    """Of the number of the step, which has no line: all that it hears."""
    return np.asarray(
        sum(np.sum(work(fitted(f, ()).expr, values_in(run.known))[-1]) for f in flows)
    )


def with_backward(
    once: Step,
    steps: Sequence[Step],
    known: Mapping[Dated, Array],
    held: Held,
    asked: Asked,
) -> Backward:
    """The backward pass with the loss, the step of learning and the factors that belong to it."""
    loss = asked.loss
    known = {**known, **(loss.known if loss else {})}
    loss_name = loss.name if loss else None
    found = backward(once, steps, known, held, asked.cotangents, loss_name)
    if loss is not None:
        found = replace(found, loss=loss.total, steps=_with_shortcuts(found, loss))
    if asked.lr is not None:
        learned = updates({**known, **found.known}, asked.learned, asked.lr)
        more = {line.left: line.value for line in learned}
        found = replace(found, updates=learned, known={**found.known, **more})

    def along_all(state: str) -> Array:
        """The derivative of a state's last value with respect to its first."""
        last = np.zeros((len(steps), *known[Dated(state, len(steps))].shape))
        last[-1] = 1
        apart = [replace(s, lines=tuple(n for n in s.lines if n.name != loss_name)) for s in steps]
        ways = backward(once, apart, known, held, {state: last}).known
        return ways.get(Dated(state, 0, GRADIENT), 0 * last[-1])

    return replace(found, factors=factors_of(steps, known, held, along_all))


def _with_shortcuts(found: Backward, loss: Loss) -> tuple[Step, ...]:
    """Beside the softmax of a cross-entropy, what the two come to."""

    def said(line: Line) -> Line:
        words = shortcut(line, loss, found.known)
        return replace(line, comment=words) if words else line

    return tuple(replace(step, lines=tuple(map(said, step.lines))) for step in found.steps)


def updates(known: Mapping[Dated, Array], weights: Iterable[str], lr: float) -> tuple[Line, ...]:
    """`U - 0.1 * d_U` for every weight that the loss reaches."""
    found = []
    for name in weights:
        gradient = Dated(name, None, GRADIENT)
        if gradient in known:
            step = Binary("-", Dated(name), Binary("*", Number(lr), gradient))
            values = work(step, values_in(known))
            found.append(Line(name, step, values, None, "", UPDATED))
    return tuple(found)


def _label(line: Line, loss: str | None) -> str:
    return line.name if line.step is None else f"{line.name}[{line.step}]"


def _through(paths: list[Path]) -> str:
    """`given, through h[3], z[3]`: where the terms of a sum come from, in their order."""
    sources = dict.fromkeys(path.source for path in paths if path.source)
    ways = [source for source in sources if source != GIVEN]
    words = [GIVEN] if GIVEN in sources else []
    return ", ".join([*words, *([f"through {', '.join(ways)}"] if ways else [])])


def _count(shape: Shape) -> int:
    return int(np.prod(shape))

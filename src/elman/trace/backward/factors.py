"""Why a gradient vanishes or grows: in a scalar cell a factor for every step, and their product."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.language.syntax import Binary, Expr, walk
from elman.trace.backward.flow import Flow, add, fitted, number
from elman.trace.backward.paths import Held, expand, part_of
from elman.trace.leaves import ALONE, SINCE, Dated
from elman.trace.work import values_in, work
from elman.trace.worked import Line, Step, counted, dated

Array = np.ndarray[Any, Any]
LONGEST = 60  # parts of a factor that is written out


@dataclass(frozen=True, eq=False)
class Factors:
    """dh[t]/dh[t-1] of one state at every step, the other states held, and their product.

    `along_all` is dh[T]/dh[0] by every path, also by those through the other states; None where
    there are no others, since it is the product then. Else the product has a name of its own.
    """

    state: str
    lines: tuple[Line, ...]
    product: Line | None
    along_all: Array | None = None
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is seen."""
        sizes = [abs(line.value.item()) for line in self.lines]
        name = f"{self.state}[0]"
        what = f"by this path alone {name} is" if self.others else f"{name} is"
        if not sizes:
            return ""
        if max(sizes) < 1:
            return f"Every factor is below 1 in size: {what} heard less with every step."
        if min(sizes) > 1:
            return f"Every factor is above 1 in size: {what} heard louder with every step."
        if min(sizes) == max(sizes) == 1:
            return f"Every factor is 1 in size: {what} heard as loud as at first."
        return "Some factors are below 1 in size and some are not: their product decides."


def factors_of(
    steps: Sequence[Step],
    known: Mapping[Dated, Array],
    held: Held,
    along_all: Callable[[str], Array],
) -> tuple[Factors, ...]:
    """The factors of every state of a scalar cell; none of other cells, or of a single step.

    `along_all(state)` is the derivative of its last value with respect to its first.
    """
    states = _states(steps)
    if len(steps) < 2 or any(known[Dated(name, 1)].size != 1 for name, _ in states):
        return ()
    names = [name for name, lag in states if lag == 1]
    found = []
    for name in names:
        lines = tuple(_factor(name, step, known, held) for step in steps)
        written = tuple(line for line in lines if line is not None)
        complete = len(written) == len(lines)
        others = tuple(dict.fromkeys(other for other, _ in states if other != name))
        others += tuple(f"{n}[t-{lag}]" for n, lag in states if n == name and lag > 1)
        product = _product(name, written, len(steps), bool(others)) if complete else None
        along = along_all(name) if others or not complete else None
        found.append(Factors(name, written if complete else (), product, along, others))
    return tuple(found)


def _states(steps: Sequence[Step]) -> list[tuple[str, int]]:
    """The names with a line that are read of an earlier step, and how much earlier."""
    computed = {line.name for step in steps for line in step.lines}
    found: dict[tuple[str, int], None] = {}
    for line in (line for step in steps for line in step.lines):
        for leaf in walk(dated(line.expr, line.step)):
            match leaf:
                case Dated(name=name, step=int(when), kind="") if name in computed:
                    if line.step is not None and when < line.step:
                        found[name, line.step - when] = None
    return list(found)


def _factor(name: str, step: Step, known: Mapping[Dated, Array], held: Held) -> Line | None:
    """dh[t]/dh[t-1], the sum over all paths within the step; None of one too long to write."""
    before = Dated(name, step.number - 1)
    reached: dict[Dated, list[Flow]] = defaultdict(list)
    reached[Dated(name, step.number)] = [number(1)]
    for line in reversed(step.lines):
        flows = reached.pop(line.left, [])
        if flows:
            whole = functools.reduce(add, flows)
            if _length(whole.expr) > LONGEST:
                return None
            for leaf, flow in expand(part_of(line, known, held), whole):
                if leaf.step == step.number or leaf == before:
                    reached[leaf].append(flow)
    flows = [fitted(flow, ()) for flow in reached.get(before, [])] or [number(0)]
    expr = counted(functools.reduce(add, flows).expr, known)
    if _length(expr) > LONGEST:
        return None
    values = work(expr, values_in(known))
    shaped = (*values[:-1], values[-1].reshape(known[before].shape))
    return Line(name, expr, shaped, step.number, "", f"{SINCE}{step.number - 1}")


def _length(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def _product(name: str, lines: Iterable[Line], last: int, is_alone: bool) -> Line:
    """dh[3]/dh[0] = dh[3]/dh[2] * dh[2]/dh[1] * dh[1]/dh[0].

    `is_alone`: other states lead there too, so that it is one path of several.
    """
    values = {line.left: line.value for line in lines}
    terms: list[Expr] = list(reversed(values))
    expr = functools.reduce(lambda a, b: Binary("*", a, b), terms)
    worked = work(expr, values_in(values))
    kind, said = f"{SINCE}0", ""
    if is_alone:
        kind, said = kind + ALONE, f"from step to step through {name} alone"
    return Line(name, expr, worked, last, said, kind)


def reworked(found: Factors, again: Callable[[Line], Line]) -> Factors:
    """The same with every line worked anew."""
    lines = tuple(map(again, found.lines))
    return replace(found, lines=lines, product=found.product and again(found.product))

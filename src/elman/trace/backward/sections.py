"""A backward pass as sections of a page."""

from __future__ import annotations

from collections.abc import Iterable

from elman.trace.backward.factors import Factors
from elman.trace.backward.steps import Backward
from elman.trace.board import Board, Manner
from elman.trace.document import Chain, Given, Item, Remark, Section
from elman.trace.leaves import SINCE, Dated
from elman.trace.selection import Selection
from elman.trace.worked import Line, Step


def backward_sections(
    found: Backward, selection: Selection, manner: Manner, count: int
) -> tuple[Section, ...]:
    """The loss, the steps from the last one, what they add up to, and what it means.

    `count` is the number of steps of the run.
    """

    def chains(lines: Iterable[Line]) -> tuple[Chain, ...]:
        return tuple(Board(line, manner).work() for line in selection.lines(lines))

    steps = selection.backwards(found.steps)
    sections = [
        Section("loss", (Board(found.loss, manner).work(),) if found.loss else ()),
        *(Section(_title(step), chains(step.lines)) for step in steps),
        Section("gradients", chains(found.totals)),
        Section("a step of learning", chains(found.updates)),
    ]
    factors = [each for each in found.factors if selection.names in (None, (each.state,))]
    items = tuple(item for each in factors for item in _factors(each, manner, count))
    return (*sections, Section("how the gradient fades or grows", items))


def _title(step: Step) -> str:
    return f"step {step.number}, backwards" if step.number else "before step 1, backwards"


def _factors(found: Factors, manner: Manner, count: int) -> Iterable[Item]:
    lines = [*found.lines, *([found.product] if found.product else [])]
    yield from (Board(line, manner).work() for line in lines)
    if found.along_all is not None:
        others = f"through {', '.join(found.others)} too" if found.others else "added up"
        left = Dated(found.state, count, f"{SINCE}0")
        yield Given(left, found.along_all, f"along all paths, {others}")
    if found.sentence:
        yield Remark(found.sentence)

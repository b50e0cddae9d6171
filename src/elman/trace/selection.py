"""Which steps and which equations of a worked run are shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from elman.errors import NameProblem, TimeProblem, nearest
from elman.language.syntax import walk
from elman.trace.leaves import Dated
from elman.trace.worked import Line, Read, Step, dated


@dataclass(frozen=True)
class Selection:
    """Equations by name, and a range of steps; None where nothing was asked for.

    >>> Selection(("z",), 2, 3)
    Selection(names=('z',), first=2, last=3)
    """

    names: tuple[str, ...] | None = None
    first: int | None = None
    last: int | None = None

    def of(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Those steps with those of their lines; what stands before step 1 belongs to all.

        What a shown line reads of one that is not shown is read, like what was given.
        """
        steps = tuple(steps)
        kept = [replace(s, lines=self.lines(s.lines)) for s in steps if self._has(s.number)]
        if self.names is None:
            return tuple(kept)
        used = [dict.fromkeys(leaf for line in s.lines for leaf in _read_by(line)) for s in kept]
        always = {leaf for leaves in used for leaf in leaves}  # a constant may be read by any step
        once = {line.left: line for s in steps for line in s.lines if not self._shows(line)}
        moving = {left: once.pop(left) for left in list(once) if left.step is not None}
        return tuple(
            replace(step, reads=_those(step.reads, own, moving))
            if step.number
            else replace(step, reads=_those(step.reads, always, once))
            for step, own in zip(kept, used, strict=True)
        )

    def backwards(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Those steps of a backward pass; what reaches the beginning belongs to step 1."""
        return self.of(step for step in steps if step.number or (self.first or 0) <= 1)

    def lines(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        """Those of some lines that are shown."""
        return tuple(filter(self._shows, lines))

    def _shows(self, line: Line) -> bool:
        return self.names is None or line.name in self.names

    def _has(self, number: int) -> bool:
        first, last = self.first or 0, self.last or number
        return number == 0 or first <= number <= last


def _those(
    reads: Iterable[Read], used: Collection[Dated], hidden: Mapping[Dated, Line]
) -> tuple[Read, ...]:
    """What is used: of the reads, and then of the lines that are not shown."""
    kept = [read for read in reads if read.left in used]
    known = {read.left for read in kept}
    lines = (hidden[leaf] for leaf in used if leaf in hidden and leaf not in known)
    return (*kept, *(Read(line.left, line.value, line.comment) for line in lines))


def _read_by(line: Line) -> list[Dated]:
    """What a line reads; the number of the step is one for all of them."""
    leaves = (leaf for leaf in walk(dated(line.expr, line.step)) if isinstance(leaf, Dated))
    return [replace(leaf, step=None) if leaf.name == "t" else leaf for leaf in leaves]


def chosen_names(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names as asked for; E407 for one that no equation computes, E445 for none at all."""
    if not names:
        raise NameProblem(
            "E445",
            "no equation is asked for",
            rule=f"The equations compute {', '.join(known)}.",
            fix=f'Name some, as in only("{known[-1]}").' if known else None,
        )
    wrong = [name for name in names if name not in known]
    if wrong:
        raise NameProblem(
            "E407",
            f"no equation computes {wrong[0]!r}",
            rule=f"The equations compute {', '.join(known)}.",
            fix=nearest(str(wrong[0]), known) or None,
        )
    return tuple(names)


def chosen_steps(first: object, last: object, count: int) -> tuple[int, int]:
    """The range as asked for; E441 where a run of `count` steps has no such steps."""
    end = count if last is None else last
    for number in (first, end):
        if not isinstance(number, int) or isinstance(number, bool):
            raise _no_steps(f"{number!r} is no step", count)
    assert isinstance(first, int) and isinstance(end, int)
    if first > end and last is not None:
        raise TimeProblem(
            "E441",
            f"the steps {first} to {end} run backwards",
            rule="A range goes from an earlier step to a later one.",
            fix=f"Did you mean {end} to {first}?",
        )
    if not 1 <= first <= end <= count:
        wrong = end if 1 <= first <= count else first
        raise _no_steps(f"there is no step {wrong}", count)
    return first, end


def _no_steps(headline: str, count: int) -> TimeProblem:
    steps = f"steps 1 to {count}" if count > 1 else "step 1 only"
    return TimeProblem("E441", headline, rule=f"The run has {steps}.")

"""Which steps and which equations of a worked run are shown."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from elman.errors import NameProblem, TimeProblem, nearest
from elman.language.syntax import walk
from elman.trace.leaves import Dated
from elman.trace.worked import Line, Read, Step, dated

Leaf = tuple[str, int | None]  # a name and its step


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
        """Those steps with those of their lines; what stands before step 1 belongs to all."""
        kept = [replace(s, lines=self.lines(s.lines)) for s in steps if self._has(s.number)]
        if self.names is None:
            return tuple(kept)
        used = [{leaf for line in step.lines for leaf in _read_by(line)} for step in kept]
        always = set().union(*used)  # a constant may be read by any step
        return tuple(
            replace(step, reads=_those(step.reads, own if step.number else always))
            for step, own in zip(kept, used, strict=True)
        )

    def backwards(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Those steps of a backward pass; what reaches the beginning belongs to step 1."""
        return self.of(step for step in steps if step.number or (self.first or 0) <= 1)

    def lines(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        """Those of some lines that are shown."""
        return tuple(line for line in lines if self.names is None or line.name in self.names)

    def _has(self, number: int) -> bool:
        first, last = self.first or 0, self.last or number
        return number == 0 or first <= number <= last


def _those(reads: Iterable[Read], used: Container[Leaf]) -> tuple[Read, ...]:
    return tuple(read for read in reads if (read.left.name, read.left.step) in used)


def _read_by(line: Line) -> set[Leaf]:
    """What a line reads, by name and step."""
    leaves = [leaf for leaf in walk(dated(line.expr, line.step)) if isinstance(leaf, Dated)]
    return {(leaf.name, None if leaf.name == "t" else leaf.step) for leaf in leaves}


def chosen_names(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The names as asked for; E407 for one that no equation computes, E442 for none at all."""
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

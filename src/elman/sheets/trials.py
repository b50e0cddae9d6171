"""The numbers that a claim would have after each single slip: in its line, or in one before it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.errors import ElmanError
from elman.language.syntax import Expr, walk
from elman.sheets.claims import Claim
from elman.sheets.page import Array, Page, Reckoning
from elman.sheets.slip import SIGN, TRANSPOSED, Slip, plain
from elman.sheets.slips import Slips
from elman.trace.leaves import Dated, Shown

OTHER_LINE, OTHER_ENTRY = "right number of the wrong line", "right number of the wrong entry"
# How often hands make them, one against the other; what is not named has OFTEN.
WEIGHT = {
    "term dropped": 10.0,
    "sign": 10.0,
    "z and 1 - z swapped": 9.0,
    "index shifted": 9.0,
    "other function": 8.0,
    "function left out": 7.0,
    "factor dropped": 6.0,
    "power": 6.0,
    "transposed": 5.0,
    "digits transposed": 5.0,
    OTHER_ENTRY: 5.0,
    OTHER_LINE: 4.0,
    "digit left out": 2.0,
    "order": 2.0,
    "operator": 1.5,
    "digit doubled": 1.0,
    "rounded up": 0.5,
}
OFTEN = 4.0
FURTHER, EVERY_STEP = 0.3, 0.5  # a slip in a line that is not printed; the same slip at every step
UNFIT = (ElmanError, ValueError, AssertionError, IndexError, KeyError, TypeError)
MOST_WORK = 12_000  # lines that are worked again for slips in what is not printed


@dataclass(frozen=True)
class Cause:
    """A slip and the number that it gives; `line` is the line as it was worked.

    `weight` says how likely it is beside others, `fit` how well the number is the printed one.
    """

    kind: str
    text: str
    weight: float
    value: Array = field(compare=False)
    line: str = ""
    label: tuple[object, ...] = ()  # the same for the same slip in other lines and at other steps
    fit: float = 1.0
    is_far: bool = (
        False  # of another line or of all steps: so many are tried that some fit by chance
    )


class Trials:
    """The slips that a claim may suffer from; `bases` are ways of working the page without one.

    The first base works on from what is printed.
    """

    def __init__(self, claim: Claim, page: Page, slips: Slips, bases: Sequence[Reckoning]) -> None:
        self.claim, self.page, self.slips, self.bases = claim, page, slips, bases
        self.body = page.body(claim.expr)
        self.printed = bases[0]

    @functools.cached_property
    def near(self) -> tuple[Cause, ...]:
        """Slips in the claim's own line."""
        found = []
        slips = self.slips.of(self.body, self.claim.expr)
        counts = Counter(slip.kind for slip in slips)
        for slip in slips:
            for base in self.bases:
                value = self.tried(base, slip.expr)
                if value is not None:
                    found.append(self.cause(slip, _often(slip, counts), value, self.claim.expr))
        return tuple(found)

    @functools.cached_property
    def others(self) -> tuple[Cause, ...]:
        """The values of other lines."""
        known = [(plain(n), line.value) for n, line in self.page.lines.items()]
        values = [(n, a) for n, a in known if n != plain(self.claim.expr) and not _is_trivial(a)]
        alike = [(n, a) for n, a in values if a.shape == self.claim.exact.shape]
        weight = WEIGHT[OTHER_LINE] / max(len(alike), 1) ** 0.5
        return tuple(
            Cause(OTHER_LINE, f"it is {n}", weight, a, label=(OTHER_LINE, n)) for n, a in alike
        )

    def of_entry(self, place: int) -> Iterator[Cause]:
        """Single entries of this value, and of others, in the place of one."""
        exact = self.claim.exact.ravel().tolist()
        own = [(f"entry {k + 1} of {plain(self.claim.expr)}", v) for k, v in enumerate(exact)]
        yield from _entries(OTHER_ENTRY, [*own[:place], *own[place + 1 :]], exact)
        lines = self.page.lines.items()
        wide = [(n, a.value) for n, a in lines if a.value.size > 1 and n != self.claim.expr]
        other = [
            (f"entry {k + 1} of {plain(n)}", v) for n, a in wide for k, v in enumerate(a.ravel())
        ]
        yield from _entries(OTHER_LINE, other, exact)

    @functools.cached_property
    def turned(self) -> tuple[Cause, ...]:
        """All signs changed, a vector's entries in reverse order, a matrix on its side."""
        exact, name = self.claim.exact, plain(self.claim.expr)
        if exact.size < 2:
            return ()
        text = f"the entries of {name} have the other sign"
        found = [Cause(SIGN, text, WEIGHT[OTHER_ENTRY], -exact, label=(SIGN, "all"))]
        if exact.ndim == 1:
            text = f"the entries of {name} stand in reverse order"
            label: tuple[object, ...] = (OTHER_ENTRY,)
            found.append(Cause(OTHER_ENTRY, text, WEIGHT[OTHER_ENTRY], exact[::-1], label=label))
        if exact.ndim == 2 and exact.shape[0] == exact.shape[1]:
            text, label = f"the rows of {name} stand as columns", (TRANSPOSED, "all")
            found.append(Cause(TRANSPOSED, text, WEIGHT[TRANSPOSED], exact.T, label=label))
        return tuple(found)

    @functools.cached_property
    def hidden(self) -> tuple[Cause, ...]:
        """Slips in the lines before that are not printed, the nearest first."""
        found: list[Cause] = []
        work = MOST_WORK
        for left in self.unprinted[::-1]:
            slips = self.slips.of(self.printed.right_side(left), left)
            counts = Counter(slip.kind for slip in slips)
            where, after = f" in the line of {plain(left)}", self.after(left)
            for slip in slips[: max(work, 0) // (len(after) + 1)]:
                value = self.changed({left: slip.expr}, after)
                if value is not None:
                    weight = FURTHER * _often(slip, counts)
                    found.append(self.cause(slip, weight, value, left, where))
            work -= len(slips) * (len(after) + 1)
        return tuple(found)

    @functools.cached_property
    def unprinted(self) -> list[Dated]:
        """The lines between the printed ones and this."""
        self.printed.value(self.claim.expr)
        return self.printed.upstream(self.body)

    def after(self, left: Dated) -> set[Dated]:
        """The unprinted lines that hear of a change in one."""
        hears = {left}
        for each in self.unprinted:  # in an order of computation
            if self.printed.reads(each) & hears:
                hears.add(each)
        return hears

    @functools.cached_property
    def every_step(self) -> tuple[Cause, ...]:
        """The same slip in a line at every step."""
        own = [self.claim.expr] if isinstance(self.claim.expr, Dated) else []
        by_name: dict[tuple[str, str], list[Dated]] = {}
        for left in (*self.unprinted, *own):
            if left.step is not None:
                by_name.setdefault((left.name, left.kind), []).append(left)
        repeated = (self.repeated(lines) for lines in by_name.values() if len(lines) > 1)
        return tuple(cause for causes in repeated for cause in causes)

    def repeated(self, lines: Sequence[Dated]) -> Iterator[Cause]:
        by_label: dict[tuple[object, ...], dict[Dated, Slip]] = {}
        for left in lines:
            for slip in self.slips.of(self.page.body(left), left):
                by_label.setdefault(slip.label, {})[left] = slip
        counts = Counter(label[0] for label in by_label)
        most = MOST_WORK // (len(self.unprinted) + 1)
        for slips in [slips for slips in by_label.values() if len(slips) > 1][:most]:
            changed = {left: slip.expr for left, slip in slips.items()}
            value = self.changed(changed, set(self.unprinted))
            if value is not None:
                last, slip = list(slips.items())[-1]
                weight = EVERY_STEP * _often(slip, counts)
                yield self.cause(slip, weight, value, last, " at every step")

    def changed(self, lines: Mapping[Dated, Expr], after: Iterable[Dated]) -> Array | None:
        """What the claim comes to with other lines; `after` are those to be worked again."""
        other = Reckoning(self.page, self.printed.put, lines=lines)
        other.found = dict(self.printed.found)
        again = set(after)
        try:
            for left in self.unprinted:
                if left in again:
                    work = other.worked if left in lines else other.work
                    other.keep(left, work(other.right_side(left)))
            own = other.right_side(self.claim.expr)
            return self.shaped(other.worked(own) if self.claim.expr in lines else other.work(own))
        except UNFIT:
            return None

    def tried(self, base: Reckoning, expr: Expr) -> Array | None:
        """The value of a changed expression; None where its shapes do not fit."""
        try:
            return self.shaped(base.worked(expr))
        except UNFIT:
            return None

    def shaped(self, found: Array) -> Array | None:
        """A value in the claim's shape; None where it has another size."""
        value, exact = np.asarray(found), self.claim.exact
        if value.size == exact.size:
            return value.reshape(exact.shape)
        return np.broadcast_to(value.ravel(), exact.shape) if value.size == 1 else None

    def cause(self, slip: Slip, weight: float, value: Array, left: Expr, where: str = "") -> Cause:
        name = left.name if isinstance(left, Dated) else ""
        is_shown = not any(isinstance(part, Shown) for part in walk(slip.expr))
        line = f"{plain(left)} = {plain(slip.expr)}" if is_shown else ""
        label = (name, *slip.label)
        return Cause(slip.kind, slip.text + where, weight, value, line, label, is_far=bool(where))


def _entries(kind: str, found: Sequence[tuple[str, Any]], exact: list[float]) -> Iterator[Cause]:
    weight = WEIGHT[kind] / max(len(found), 1) ** 0.5
    for name, value in found:
        if value != round(value):
            whole = np.full(len(exact), float(value))
            yield Cause(kind, f"it is {name}", weight, whole, label=(kind, name))


def _often(slip: Slip, counts: Mapping[Any, int]) -> float:
    """How likely a slip is: of a kind that has many, each is rarer."""
    return slip.share * WEIGHT.get(slip.kind, OFTEN) / counts[slip.kind] ** 0.5


def _is_trivial(value: Array) -> bool:
    """0, 1 and their like stand in many places."""
    return bool(np.all(value == np.round(value)))

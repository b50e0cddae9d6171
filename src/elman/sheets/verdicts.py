"""What is to be said of each claim: the first of six verdicts that is true of it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from elman.language.syntax import Expr, walk
from elman.sheets.claims import Claim
from elman.sheets.habits import ALL, BOARD, RESULTS, Habit, Settling, Slack, habits
from elman.sheets.page import Array, Page, Reckoning, names_in, shaped
from elman.sheets.printed import Printed
from elman.trace.rounding import Rounding

RIGHT, ROUNDED, CUT = "right", "rounded", "cut off"
ON_THE_WAY, FOLLOWS, WRONG = "rounded on the way", "follows", "wrong"
GENEROUS = 1.05  # the bound on rounding is of first order only
SEVERITY = (RIGHT, ROUNDED, CUT, ON_THE_WAY, FOLLOWS, WRONG)


@dataclass(frozen=True)
class Entry:
    """A printed number and what is said of it; `how` says more."""

    printed: Printed
    correct: float
    verdict: str
    how: str = ""
    digits: int | None = None  # kept on the way


@dataclass(frozen=True, eq=False)
class Judged:
    """A claim with a verdict for each of its numbers, None where none is printed."""

    claim: Claim
    entries: tuple[Entry | None, ...]

    @property
    def verdict(self) -> str:
        """The worst of its entries."""
        found = [entry.verdict for entry in self.entries if entry is not None]
        return max(found, key=SEVERITY.index, default=RIGHT)

    @property
    def wrong(self) -> list[int]:
        """The places of the wrong entries."""
        return [k for k, entry in enumerate(self.entries) if entry and entry.verdict == WRONG]


class Judge:
    """Judges the claims of a page, those that others depend on first."""

    def __init__(self, page: Page, claims: Sequence[Claim]) -> None:
        self.page = page
        self.numeric = tuple(claim for claim in claims if claim.word is None)
        self.judged: dict[Claim, Judged] = {}
        # the claimed values, which a person has used on
        self.put: dict[Expr, Array] = {
            claim.expr: claim.values
            for claim in self.numeric
            if claim.expr.parts or claim.expr in page.lines
        }
        self.as_printed = Reckoning(page, self.put)  # worked on from the printed values
        self.settling = Settling(page)
        self.by_habit = functools.lru_cache(maxsize=256)(self._by_habit)
        self.slack = functools.lru_cache(maxsize=256)(self._slack)

    def judge(self) -> dict[Claim, Judged]:
        """Every claim of numbers with its verdicts, in the order of the page."""
        for claim in sorted(self.numeric, key=self.depth):
            self.judged[claim] = self.verdict(claim)
        return {claim: self.judged[claim] for claim in self.numeric}

    def _by_habit(self, habit: Habit, from_claims: bool) -> Reckoning:
        return Reckoning(self.page, self.put if from_claims else None, self.settling.by(habit))

    def _slack(self, claim: Claim, decimals: int) -> Array:
        """How far rounding on the way, from the printed values on, can move a claim."""
        errors: dict[Expr, Array] = {}
        for other in self.numeric:
            known = self.judged.get(other)
            is_near = known is not None and SEVERITY.index(known.verdict) <= SEVERITY.index(CUT)
            off = np.abs(other.values - other.exact)
            # of what is not near the truth, the digits that were not printed may have been used
            errors[other.expr] = off if is_near else other.halves
        with np.errstate(invalid="ignore"):  # what overflows has no bound
            found = Slack(self.as_printed, errors, max(decimals, 0)).of(claim.expr)
        return shaped(found, claim.exact.shape)

    def depth(self, claim: Claim) -> tuple[int, int]:
        """A claim stands after all that it depends on."""
        order = self.page.order
        if claim.expr in order:
            return 2 * order[claim.expr], 0  # type: ignore[index]
        last = max((2 * order[n] for n in names_in(claim.expr) if n in order), default=-1)
        return last + 1, sum(1 for _ in walk(claim.expr))

    def sources(self, claim: Claim) -> list[Claim]:
        """The other claims that a claim's value is computed from."""
        body = self.page.body(claim.expr)
        lines = self.as_printed.upstream(body)
        parts = {p for e in (body, *map(self.page.body, lines)) for p in walk(e) if p is not body}
        return [other for other in self.numeric if other is not claim and other.expr in parts]

    def verdict(self, claim: Claim) -> Judged:
        """Right, rounded or cut off; else how it came about; else wrong."""
        exact = claim.exact.ravel().tolist()
        pairs = list(zip(claim.numbers, exact, strict=True))
        entries = [None if n is None else _plain(n, value) for n, value in pairs]
        if any(entry and entry.verdict in (WRONG, CUT) for entry in entries):
            entries = list(self.explained(claim, entries))
        return Judged(claim, tuple(entries))

    def explained(self, claim: Claim, entries: list[Entry | None]) -> Iterator[Entry | None]:
        sources = self.sources(claim)
        is_tainted = any(self.judged[each].verdict in (WRONG, FOLLOWS) for each in sources)
        ways = _Ways(self, claim, sources)
        for place, entry in enumerate(entries):
            if entry is None or entry.verdict in (RIGHT, ROUNDED):
                yield entry
            elif entry.verdict == CUT:
                yield ways.of_few_digits(place, entry)
            else:
                yield ways.of(place, entry, is_tainted)


class _Ways:
    """The ways in which a claim that is not simply right may have come about."""

    def __init__(self, judge: Judge, claim: Claim, sources: Sequence[Claim]) -> None:
        self.judge, self.claim, self.sources = judge, claim, sources

    def of(self, place: int, entry: Entry, is_tainted: bool) -> Entry:
        """An entry that is neither right nor cut off: it follows, was rounded, or is wrong."""
        number = entry.printed
        verdict = FOLLOWS if is_tainted else ON_THE_WAY
        found = self.from_claims(place, number) or self.by_habits(place, number, True)
        if found is None:
            found = self.by_habits(place, number, False)
            verdict = verdict if found is None else ON_THE_WAY
        if found is None and self.within_slack(place, number):
            digits = max(number.decimals, 0)
            found = f"within what rounding to {_decimals(digits)} on the way can do", digits
        return entry if found is None else Entry(number, entry.correct, verdict, *found)

    def of_few_digits(self, place: int, entry: Entry) -> Entry:
        """A number with zeros before its digits, `.076`: so few digits may have been kept.

        On a page whose other numbers have as few decimals it was cut off.
        """
        number = entry.printed
        others = [n for c in self.judge.numeric if c is not self.claim for n in c.numbers if n]
        is_shorter = all(other.decimals > number.decimals for other in others)
        if not (is_shorter and 2 <= number.significant < number.decimals):
            return entry
        kept = (number.decimals, number.significant)
        for digits, what, from_claims in itertools.product(
            kept, (BOARD, ALL, RESULTS), (False, True)
        ):
            habit = Habit(Rounding(digits), what)
            if number.rounds(self.value(habit, from_claims)[place]):
                return Entry(number, entry.correct, ON_THE_WAY, f"by {habit.words}", digits)
        return entry

    def from_claims(self, place: int, number: Printed) -> tuple[str, int | None] | None:
        """Worked on from the printed values."""
        value = self.as_printed.ravel()[place] if self.sources else np.nan
        if not number.fits(value):
            return None
        names = ", ".join(each.key for each in self.sources)
        cut = "" if number.rounds(value) else ", and cut off"
        digits = min((n.decimals for s in self.sources for n in s.numbers if n), default=None)
        return f"from the printed {names}{cut}", digits

    def by_habits(
        self, place: int, number: Printed, from_claims: bool
    ) -> tuple[str, int | None] | None:
        """Rounded as people round, from the printed values or from the beginning."""
        if from_claims and not self.sources:
            return None
        for habit in habits(max(number.decimals, 0)):
            is_coarse = habit.rounding.digits < number.decimals
            value = self.value(habit, from_claims)[place]
            source = " from the printed values" if from_claims else ""
            if number.rounds(value) or (number.cuts(value) and not is_coarse):
                return f"by {habit.words}{source}", habit.rounding.digits
            if not is_coarse and number.rounds(habit.rounding.number(value)):  # .3445, .345
                again = f" and then to {number.decimals}"
                return f"by {habit.words}{again}{source}", habit.rounding.digits
        return None

    @functools.cached_property
    def as_printed(self) -> Array:
        return self.judge.as_printed.value(self.claim.expr)

    def value(self, habit: Habit, from_claims: bool) -> list[float]:
        found = self.judge.by_habit(habit, from_claims).value(self.claim.expr)
        return list(shaped(found, self.claim.exact.shape).ravel().tolist())

    def within_slack(self, place: int, number: Printed) -> bool:
        slack = float(self.judge.slack(self.claim, number.decimals).ravel()[place])
        value = float(self.as_printed.ravel()[place])
        return bool(np.isfinite(slack)) and number.rounds(value, slack * GENEROUS)


def _plain(number: Printed, exact: float) -> Entry:
    """A number beside the exact value."""
    if number.equals(exact):
        return Entry(number, exact, RIGHT)
    if number.rounds(exact):
        return Entry(number, exact, ROUNDED)
    return Entry(number, exact, CUT if number.cuts(exact) else WRONG)


def _decimals(count: int) -> str:
    return f"{count} decimal{'s' * (count != 1)}"

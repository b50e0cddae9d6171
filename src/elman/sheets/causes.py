"""Why a claim is wrong: the single slips that give the very number that is printed.

Every slip is tried; a cause is named only where its number is the printed one. Of several the
likeliest stand first: a slip that hands make often, and one of few of its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from elman.sheets.claims import Claim
from elman.sheets.page import Array, Reckoning
from elman.sheets.slips import Slips
from elman.sheets.trials import OFTEN, WEIGHT, Cause, Trials
from elman.sheets.typos import SHORT, TWICE, UP, typos
from elman.sheets.verdicts import Judge, Judged

CUT, LOOSE = 0.5, 0.15  # how well a slip's number fits that is cut off, or rounded on the way
CLEAR = 0.25  # of the distance to the truth: no more may be laid to rounding beside a slip
SHOWN, ALIKE = 0.3, 0.1  # causes so likely beside the first are named too
MOST_SHOWN, MOST_ENTRIES = 4, 12
WEAK = (SHORT, TWICE, UP)  # so rare that a slip in another line may be likelier


class Finder:
    """Looks for the causes of the wrong claims of a page."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        claimed = {claim.expr for claim in judge.numeric if claim.expr.parts}
        self.slips = Slips(judge.page, frozenset(claimed))
        self.bases = (judge.as_printed, Reckoning(judge.page))
        self.trials: dict[Claim, Trials] = {}

    def causes(self, judged: Judged) -> tuple[Cause, ...]:
        """The causes of all that is wrong in a claim at once; none where no single slip fits."""
        printed = [k for k, entry in enumerate(judged.entries) if entry]
        found = self.search(judged.claim, printed)
        if any(cause.fit >= CUT for cause in found) or printed == judged.wrong:
            return found
        return _sorted([*found, *self.search(judged.claim, judged.wrong)])

    def causes_of_entries(self, judged: Judged) -> dict[int, tuple[Cause, ...]]:
        """The causes of each wrong entry alone."""
        wrong = judged.wrong[:MOST_ENTRIES]
        return {place: named(self.search(judged.claim, [place])) for place in wrong}

    def search(self, claim: Claim, places: Sequence[int]) -> tuple[Cause, ...]:
        """The slips that give the printed numbers at these places, the likeliest first."""
        if claim not in self.trials:
            self.trials[claim] = Trials(claim, self.judge.page, self.slips, self.bases)
        trials = self.trials[claim]
        near = [*trials.near, *trials.others, *trials.turned]
        if len(places) == 1:
            near += trials.of_entry(places[0])
        found = [*self.fitting(claim, places, near), *self.typed(claim, places)]
        if not any(cause.fit >= CUT and cause.kind not in WEAK for cause in found):
            found += self.fitting(claim, places, [*trials.hidden, *trials.every_step])
        return _sorted(found)

    def fitting(
        self, claim: Claim, places: Sequence[int], causes: Iterable[Cause]
    ) -> Iterator[Cause]:
        """The causes whose numbers are the printed ones at these places, the best of each."""
        best: dict[tuple[object, ...], Cause] = {}
        for cause in causes:
            flat = cause.value.ravel().tolist()
            fit = min((self.fit(claim, k, flat[k]) for k in places), default=0.0)
            known = best.get(cause.label)
            if fit and (known is None or fit > known.fit):
                best[cause.label] = replace(cause, fit=fit, weight=cause.weight * fit)
        yield from best.values()

    def fit(self, claim: Claim, place: int, value: float) -> float:
        """1 where the printed number is the value rounded, less where it is nearly so."""
        number = claim.numbers[place]
        if number is None or not np.isfinite(value):
            return 0.0
        if number.rounds(value):
            return 1.0
        if number.cuts(value):
            return CUT
        slack = float(self.judge.slack(claim, number.decimals).ravel()[place])
        off = abs(number.value - float(claim.exact.ravel()[place]))
        return LOOSE if slack < CLEAR * off and number.rounds(value, slack) else 0.0

    def typed(self, claim: Claim, places: Sequence[int]) -> Iterator[Cause]:
        """Slips in writing a number down."""
        number = claim.numbers[places[0]] if len(places) == 1 else None
        if number is None:
            return
        seen = set()
        for base in self.bases:
            value = float(base.value(claim.expr).ravel()[places[0]])
            for typo in typos(number, value):
                if typo.text not in seen:
                    seen.add(typo.text)
                    weight = typo.share * WEIGHT.get(typo.kind, OFTEN)
                    yield Cause(typo.kind, typo.text, weight, np.asarray(value), label=(typo.kind,))


def _sorted(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    return tuple(sorted(causes, key=lambda cause: -cause.weight))


def agreed(found: Mapping[Claim, tuple[Cause, ...]]) -> dict[Claim, tuple[Cause, ...]]:
    """The causes of each claim again, those likelier that explain other claims too."""
    seen = Counter(label for causes in found.values() for label in {c.label for c in causes})
    return {
        claim: _sorted(replace(c, weight=c.weight * seen[c.label] ** 2) for c in causes)
        for claim, causes in found.items()
    }


def named(causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """The causes worth naming: the likeliest, and what is hardly less likely.

    What comes to the same number as the likeliest cannot be told from it by any page.
    """
    kept: list[Cause] = []
    for cause in causes:
        least = ALIKE if _is_same(cause.value, causes[0].value) else SHOWN
        is_new = cause.text not in {each.text for each in kept}
        if is_new and cause.weight >= least * causes[0].weight and len(kept) < MOST_SHOWN:
            kept.append(cause)
    return tuple(kept)


def _is_same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-12, atol=1e-12))

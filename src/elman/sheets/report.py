"""What a check says of every claim of a sheet, as text and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.sheets.causes import Cause
from elman.sheets.printed import Printed, shown
from elman.sheets.verdicts import FOLLOWS, ON_THE_WAY, RIGHT, ROUNDED, SEVERITY, WRONG, Entry

TELLING = 3  # digits; a number of fewer is met by chance
NO_CAUSE = "no single slip that was tried gives this number"
NO_CAUSES = "no single slip that was tried gives these numbers"


@dataclass(frozen=True)
class Checked:
    """A claim as printed, its verdict, and of what is wrong the causes that fit.

    `correct` has the digits that the claim has. `of_entries` are the causes of single entries,
    where none explains them together.
    """

    key: str
    claimed: str
    correct: str
    verdict: str
    entries: tuple[Entry | None, ...] = ()
    causes: tuple[Cause, ...] = ()
    of_entries: dict[int, tuple[Cause, ...]] | None = None
    how: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        apart = (self.of_entries or {}).items()
        return {
            "claim": self.key,
            "claimed": self.claimed,
            "correct": self.correct,
            "verdict": self.verdict,
            "how": self.how,
            "entries": [entry and _entry(entry) for entry in self.entries],
            "causes": [_cause(cause) for cause in self.causes],
            "causes_of_entries": {str(k + 1): [_cause(c) for c in each] for k, each in apart},
        }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "claimed": entry.printed.text,
        "correct": shown(entry.correct, entry.printed),
        "exact": entry.correct if np.isfinite(entry.correct) else None,
        "verdict": entry.verdict,
        "how": entry.how,
        "digits": entry.digits,
    }


def _cause(cause: Cause) -> dict[str, Any]:
    value: Any = np.where(np.isfinite(cause.value), cause.value, np.nan).tolist()
    return {"kind": cause.kind, "text": cause.text, "line": cause.line, "value": value}


@dataclass(frozen=True)
class Report:
    """The verdicts on a sheet; true where no claim is wrong.

    >>> bool(Report("sheet", ()))
    True
    """

    title: str
    claims: tuple[Checked, ...]

    def __bool__(self) -> bool:
        return not self.wrong

    @property
    def wrong(self) -> tuple[Checked, ...]:
        """The claims that are wrong."""
        return tuple(claim for claim in self.claims if claim.verdict == WRONG)

    def __getitem__(self, key: str) -> Checked:
        """What is said of a claim, by its key."""
        return next(claim for claim in self.claims if claim.key == key)

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {
            "title": self.title,
            "right": bool(self),
            "summary": dict(self.counts),
            "claims": [claim.as_dict() for claim in self.claims],
        }

    @property
    def counts(self) -> Counter[str]:
        """How many claims have each verdict, the best first."""
        found = Counter(claim.verdict for claim in self.claims)
        return Counter({verdict: found[verdict] for verdict in SEVERITY if found[verdict]})

    @property
    def summary(self) -> str:
        """`7 claims: 5 rounded, 2 wrong`."""
        count = len(self.claims)
        kinds = ", ".join(f"{number} {verdict}" for verdict, number in self.counts.items())
        return f"{count} claim{'s' * (count != 1)}: {kinds}" if count else "no claims"

    def to_text(self) -> str:
        """A line for each claim, and under it what is to be said."""
        keys = max((len(claim.key) for claim in self.claims), default=0)
        numbers = max((len(_cut(claim.claimed)) for claim in self.claims), default=0)
        lines = [self.title] if self.title else []
        for claim in self.claims:
            line = f"  {claim.key:<{keys}} = {_cut(claim.claimed):<{numbers}}  {claim.verdict}"
            lines += [line.rstrip(), *(f"      {said}" for said in _said(claim))]
        return "\n".join([*lines, f"  {self.summary}"])

    def __str__(self) -> str:
        return self.to_text()


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _said(claim: Checked) -> Iterator[str]:
    """What stands under a claim that is not simply right."""
    if claim.correct != claim.claimed and claim.verdict not in (RIGHT, ROUNDED):
        yield f"correct: {claim.correct}"
    if len(claim.entries) > 1:
        yield from _said_of_entries(claim)
    elif claim.how and claim.verdict in (ON_THE_WAY, FOLLOWS):
        yield claim.how
    if claim.verdict == WRONG and not claim.of_entries:
        none = NO_CAUSES if len(claim.entries) > 1 else NO_CAUSE
        yield from _causes(claim.causes, _digits(claim.entries) or TELLING, none)


def _said_of_entries(claim: Checked) -> Iterator[str]:
    """What is said of the entries that are not simply right, alike ones together."""
    groups: dict[tuple[str, str], list[int]] = {}
    for k, entry in enumerate(claim.entries):
        if entry is not None and entry.verdict not in (RIGHT, ROUNDED):
            groups.setdefault((entry.verdict, entry.how), []).append(k)
    for (verdict, how), places in groups.items():
        if claim.of_entries and verdict == WRONG:
            for k in places:
                yield f"{_entries(claim, [k])}: {verdict}"
                found = claim.of_entries.get(k, ())
                digits = _digits([claim.entries[k]])
                said = _causes(found, digits, is_apart=len(claim.of_entries) > 1)
                yield from (f"  {line}" for line in said)
        elif len(places) < len(claim.entries):
            yield f"{_entries(claim, places)}: {verdict}{', ' * bool(how)}{how}"
        elif how:
            yield how


def _entries(claim: Checked, places: list[int]) -> str:
    """`entry 2, .1933`; `entries 1, 2 and 4`."""
    if len(places) == 1:
        entry = claim.entries[places[0]]
        return f"entry {places[0] + 1}" + (f", {entry.printed.text}" if entry else "")
    numbers = [str(k + 1) for k in places]
    return f"entries {', '.join(numbers[:-1])} and {numbers[-1]}"


def _causes(
    causes: Sequence[Cause], digits: int, none: str = NO_CAUSE, *, is_apart: bool = False
) -> Iterator[str]:
    """The causes, one a line; so many digits tell them from chance.

    Where several entries are wrong, each with a cause of its own (`is_apart`), chance is likelier.
    """
    if not causes:
        yield none
        return
    least = TELLING + causes[0].is_far + is_apart
    first = "likeliest cause" if digits >= least else "possible cause"
    for k, cause in enumerate(causes):
        label = "or" if k else first
        yield f"{label}: {cause.text}" + (f":  {cause.line}" if cause.line else "")


def _digits(entries: Iterable[Entry | None]) -> int:
    return sum(entry.printed.significant for entry in entries if entry is not None)


def list_of(
    numbers: tuple[Printed | None, ...],
    values: list[float] | None = None,
    digits: int | None = None,
) -> str:
    """Numbers as a page prints them, `(.29, ~, -.20)`; or `values` with their digits, or more."""
    if values is None:
        texts = ["~" if number is None else number.text for number in numbers]
    else:
        pairs = zip(numbers, values, strict=True)
        texts = ["~" if number is None else shown(value, number, digits) for number, value in pairs]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"

"""Check the claims of a page: verdicts, and the causes of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from elman.sheets.causes import Cause, Finder, agreed, named
from elman.sheets.claims import Claim
from elman.sheets.page import Page
from elman.sheets.report import Checked, Report, list_of
from elman.sheets.verdicts import WRONG, Judge, Judged
from elman.sheets.words import check_word

Names = Mapping[str, tuple[str, ...]]


def check(
    title: str, page: Page, claims: Sequence[Claim], names: Names, digits: int | None = None
) -> Report:
    """A verdict for every claim in the order of the page; `digits` are shown of correct values."""
    judge = Judge(page, claims)
    judged = judge.judge()
    finder = Finder(judge)
    wrong = {claim: found for claim, found in judged.items() if found.verdict == WRONG}
    causes = agreed({claim: finder.causes(found) for claim, found in wrong.items()})
    checked = []
    for claim in claims:
        if claim.word is not None:
            checked.append(check_word(claim, names, judge))
        else:
            checked.append(_checked(finder, judged[claim], causes.get(claim, ()), digits))
    return Report(title, tuple(checked))


def _checked(
    finder: Finder, judged: Judged, causes: tuple[Cause, ...], digits: int | None
) -> Checked:
    claim = judged.claim
    is_apart = judged.verdict == WRONG and not causes and len(claim.numbers) > 1
    of_entries = finder.causes_of_entries(judged) if is_apart else None
    hows = [entry.how for entry in judged.entries if entry is not None]
    exact = np.asarray(claim.exact).ravel().tolist()
    return Checked(
        claim.key,
        list_of(claim.numbers),
        list_of(claim.numbers, exact, digits),
        judged.verdict,
        judged.entries,
        named(causes),
        of_entries,
        hows[0] if len(hows) == 1 else "",
    )

"""Pages with one slip: it is found and named. Pages without one: nothing is called wrong."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from elman import sheets
from elman.sheets import Checked, Report
from tests.sheets.planted import KINDS, Sheet, correct, planted

SLIPS, CORRECT = 120, 300


def report(sheet: Sheet, folder: Path) -> Report:
    return sheets.load(sheet.write(folder / "exercise.sheet.yaml")).check()


def first_cause(claim: Checked) -> str:
    of_entries = (claim.of_entries or {}).values()
    found = [causes[0] for causes in (claim.causes, *of_entries) if causes]
    return found[0].kind if found else "none"


def test_nine_slips_in_ten_are_found_and_named(tmp_path):
    count, found, named = Counter(), Counter(), Counter()
    others = []
    for seed in range(SLIPS):
        sheet = planted(seed)
        checked = report(sheet, tmp_path)
        claim = checked[sheet.at]
        count[sheet.kind] += 1
        found[sheet.kind] += claim.verdict == "wrong"
        is_named = claim.verdict == "wrong" and first_cause(claim) in KINDS[sheet.kind]
        named[sheet.kind] += is_named
        others += [(seed, each.key) for each in checked.wrong if each.key != sheet.at]
    for kind in KINDS:
        print(f"{kind:<12} {count[kind]:>3} planted {found[kind]:>3} found {named[kind]:>3} named")
    assert named.total() >= 0.9 * SLIPS, (found, named)
    assert others == [], "a line that follows from the slip is not a slip of its own"
    assert set(count) == set(KINDS)


@pytest.mark.parametrize("half", [range(CORRECT // 2), range(CORRECT // 2, CORRECT)], ids="12")
def test_no_alarm_on_correct_pages(half, tmp_path):
    wrong = {}
    for seed in half:
        found = report(correct(seed), tmp_path)
        wrong |= {(seed, each.key): each.claimed for each in found.wrong}
    assert wrong == {}

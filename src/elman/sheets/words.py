"""A claimed word: the name of the largest entry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from elman.sheets.causes import Cause
from elman.sheets.claims import Claim
from elman.sheets.page import Array
from elman.sheets.report import Checked
from elman.sheets.slip import plain
from elman.sheets.verdicts import FOLLOWS, RIGHT, WRONG, Judge

EQUAL = 1e-12  # entries that differ by less are alike
OTHER_WORD = "other word"


def check_word(claim: Claim, names: Mapping[str, tuple[str, ...]], judge: Judge) -> Checked:
    """Right where its entry is the largest; it may follow from printed numbers that are wrong."""
    words = names[getattr(claim.expr, "name", "")]
    place = words.index(claim.word or "")
    correct = words[int(claim.exact.argmax())]
    as_printed = judge.put.get(claim.expr)
    if as_printed is None:
        as_printed = judge.as_printed.value(claim.expr)
    if _is_largest(claim.exact, place):
        return Checked(claim.key, words[place], words[place], RIGHT)
    if _is_largest(as_printed, place):
        how = f"it is the largest as printed, {as_printed.ravel()[place]:.4g}"
        return Checked(claim.key, words[place], correct, FOLLOWS, how=how)
    return Checked(
        claim.key, words[place], correct, WRONG, causes=(_cause(claim, words, place, as_printed),)
    )


def _is_largest(value: Array, place: int) -> bool:
    return bool(np.isclose(value.ravel()[place], value.max(), rtol=EQUAL, atol=0))


def _cause(claim: Claim, words: tuple[str, ...], place: int, as_printed: Array) -> Cause:
    largest = int(as_printed.argmax())
    text = (
        f"the largest entry of {plain(claim.expr)} is number {largest + 1}, "
        f'{as_printed.ravel()[largest]:.4g}, "{words[largest]}"; '
        f'"{words[place]}" is number {place + 1}, {as_printed.ravel()[place]:.4g}'
    )
    return Cause(OTHER_WORD, text, 1.0, np.asarray(as_printed))

"""Slips in writing a number down: digits turned round, a point elsewhere, a sign lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from elman.sheets.printed import Printed
from elman.trace.numbers import fixed

SWAPPED, POINT_MOVED, SIGN_LOST = "digits transposed", "decimal point", "sign"
UP, SHORT, TWICE = "rounded up", "digit left out", "digit doubled"
LEAST_DIGITS, UNSURE = 2, 0.3  # that must agree before a shifted point is believed
LOOSE = 1e-9  # half-way cases are rounded up or down


@dataclass(frozen=True)
class Typo:
    """What happened when the number was written; `share` says how sure that is."""

    kind: str
    text: str
    share: float = 1.0


def typos(number: Printed, value: float) -> Iterator[Typo]:
    """The slips that make a printed number of a value.

    >>> from elman.sheets.printed import printed
    >>> [typo.kind for typo in typos(printed(".4299"), 0.49288)]
    ['digits transposed']
    """
    if not math.isfinite(value) or value == 0:
        return
    if number.value:
        if number.value * value < 0 and number.fits(-value):
            share = 1.0 if number.significant >= LEAST_DIGITS else UNSURE
            yield Typo(SIGN_LOST, "its sign is wrong", share)
        yield from _moved_point(number, value)
    yield from _digits(number, value)
    past = (number.value - value) * math.copysign(1, value)
    if number.unit / 2 < past < number.unit and value * number.value > 0:
        yield Typo(UP, "it is rounded up, where the next digit says down")


def _moved_point(number: Printed, value: float) -> Iterator[Typo]:
    mantissa, _, exponent = number.text.lower().partition("e")
    kept = mantissa.rstrip("0") if "." in mantissa else mantissa  # 3.890 was .389
    short = len(mantissa) - len(kept)
    decimals = number.decimals - (0 if exponent else short)
    for power in (1, 2, 3, -1, -2, -3):
        unit = 10.0 ** (power - decimals)
        moved = Printed(number.text, number.value * 10.0**power, decimals - power, unit)
        if moved.rounds(value) or number.rounds(value / 10.0**power):
            share = 1.0 if number.significant >= LEAST_DIGITS else UNSURE
            yield Typo(POINT_MOVED, "the decimal point is shifted", share)


def _digits(number: Printed, value: float) -> Iterator[Typo]:
    """Digits turned round, left out or doubled, the rest as it should be."""
    if number.value * value <= 0 or "e" in number.text.lower() or number.decimals <= 0:
        return
    typed = _digits_of(abs(number.value), number.decimals)
    for right in _rounded(value, number):
        for k in range(len(right) - 1):
            turned = right[:k] + right[k + 1] + right[k] + right[k + 2 :]
            if turned == typed != right:
                yield Typo(SWAPPED, f"the digits {right[k]} and {right[k + 1]} are swapped")
    if number.significant < LEAST_DIGITS:
        return
    whole = len(f"{abs(value):.0f}")  # digits before the point, which nobody forgets
    longer = _digits_of(abs(value), number.decimals + 1)
    if typed in {longer[:k] + longer[k + 1 :] for k in range(whole, len(longer) - 1)}:
        yield Typo(SHORT, "a digit is left out")
    shorter = _digits_of(abs(value), number.decimals - 1)
    doubled = {shorter[:k] + shorter[k] + shorter[k:] for k in range(whole, len(shorter))}
    if typed in doubled and number.significant > LEAST_DIGITS:
        yield Typo(TWICE, "a digit is written twice")


def _rounded(value: float, number: Printed) -> list[str]:
    """The digits of a value, rounded to those that are printed, half-way up or down."""
    few = value * LOOSE
    near = (value, value - few, value + few)
    return list(dict.fromkeys(_digits_of(abs(each), number.decimals) for each in near))


def _digits_of(value: float, decimals: int) -> str:
    return fixed(value, decimals).replace(".", "")

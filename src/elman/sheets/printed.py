"""A number as a page prints it: the digits matter, the last one stands for all that follow.

`.8005` claims four decimals, `0.80` two; of a value .076958, `.077` is rounded and `.076` cut off.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal

from elman.trace.numbers import fixed, scientific

NUMBER = re.compile(r"[-+−]?(\d+\.?\d*|\.\d+)([eE][-+−]?\d+)?")
NEAR = 1e-12  # 0.1 + 0.2 is 0.3, whatever float64 makes of it
LOOSE = 1e-9  # of a last digit: half-way cases count as rounded, up or down
LARGEST = 300  # power of ten
FEW = 10  # a whole number below it on a page of decimals is meant exactly: 1 for 1.0000


@dataclass(frozen=True)
class Printed:
    """A number and where its last digit stands."""

    text: str
    value: float
    decimals: int  # of the last digit; negative for 1.2e5
    unit: float  # of the last digit

    @property
    def significant(self) -> int:
        """The digits from the first that is not 0."""
        return len(self.digits.lstrip("0"))

    @property
    def digits(self) -> str:
        """The digits without sign, point and exponent."""
        return re.sub(r"[-+−.]", "", re.split(r"[eE]", self.text)[0])

    def equals(self, value: float) -> bool:
        """All digits of the value, or the very number."""
        return math.isfinite(value) and abs(self.value - value) <= NEAR * max(1.0, abs(value))

    def rounds(self, value: float, slack: float = 0.0) -> bool:
        """Is it the value (give or take `slack`) rounded to its last digit?"""
        loose = self.unit * (0.5 + LOOSE) + slack + NEAR * abs(value)
        return math.isfinite(value) and abs(self.value - value) <= loose

    def cuts(self, value: float) -> bool:
        """Is it the value with its further digits cut off?"""
        more = (value - self.value) if self.value > 0 else (self.value - value)
        more = abs(value) if self.value == 0 else more
        least, most = -NEAR * max(1.0, abs(value)), self.unit * (1 - LOOSE)
        return math.isfinite(value) and least <= more < most

    def fits(self, value: float) -> bool:
        """Is it the value, rounded or cut off?"""
        return self.rounds(value) or self.cuts(value)


def printed(text: str, usual: int = 0) -> Printed | None:
    """The number that is typed, or None; `usual` are the decimals of the page's other numbers.

    >>> printed(".80").decimals, printed("1.2e5").unit, printed("love")
    (2, 10000.0, None)
    >>> printed("1").rounds(0.9), printed("1", usual=4).rounds(0.9)
    (True, False)
    """
    word = text.strip().replace("−", "-")
    if not NUMBER.fullmatch(word):
        return None
    exact = Decimal(word)
    exponent = exact.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else 0
    if max(abs(decimals), abs(exact.adjusted())) > LARGEST:
        return None
    if decimals <= 0 and abs(exact) < FEW and "e" not in word.lower():
        decimals = max(decimals, usual)
    return Printed(word, float(exact), decimals, 10.0**-decimals)


def shown(value: float, like: Printed, digits: int | None = None) -> str:
    """A value with the digits that a printed number has, or with so many decimals.

    >>> shown(0.800499, printed(".80")), shown(0.125, printed(".11")), shown(123456, printed("1e5"))
    ('0.80', '0.13', '1e5')
    """
    if not math.isfinite(value):
        return str(value)
    if "e" in like.text.lower() and digits is None:
        count = max(len(like.digits) - 1, 0)
        mantissa, power = scientific(value, count).split("e")
        return f"{mantissa}e{int(power)}"
    decimals = max(like.decimals, 0) if digits is None else digits
    text = fixed(value, decimals)
    return text.removeprefix("-") if float(text) == 0 else text

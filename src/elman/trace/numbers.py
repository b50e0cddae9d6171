"""Numbers as on a board: so many decimals, exact ones as short as they are, long vectors elided.

Zeros at the end say that a number was rounded: `1` is one, `1.0000` nearly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LONGEST = 8  # entries of a vector that are all shown
ENDS = 3  # entries shown at the beginning of a longer one
SMALL, LARGE = 1e-4, 1e9  # below and from here on with an exponent
KNOWN = 15  # digits of a float64 that mean something: 0.125 may be 0.12499..., 0.3 0.29999...
GUARD = 4  # of them that are left off at least, where a half is rounded up
TYPED = 6  # digits of a given number that is shown as it was typed, however few are asked for
EXACT = 1e-12  # 0.1 + 0.2 is 0.3, whatever float64 makes of it


@dataclass(frozen=True)
class Digits:
    """How numbers are shown: `count` decimals, or (`significant`) digits from the first not 0.

    >>> Digits(3).number(0.0123456), Digits(3, significant=True).number(0.0123456)
    ('0.012', '0.0123')
    """

    count: int = 4
    significant: bool = False
    limit: int = LONGEST  # entries of a vector that are all shown

    def number(self, value: float, given: bool = False) -> str:
        if given and _is_short(value):
            return _as_typed(value)
        if self.significant and math.isfinite(value) and value != 0:
            return _significant(value, self.count, given)
        return number(value, self.count, given)

    def array(self, value: Array, given: bool = False) -> str:
        """A value: a number, a vector in round brackets, a matrix in square ones by its rows."""
        if value.size == 1:
            return self.number(value.item(), given)
        if value.ndim >= 2 and max(value.shape) > self.limit:
            return f"[{' x '.join(map(str, value.shape))} values]"
        if value.ndim > 2:
            return "[" + ", ".join(self.array(each, given) for each in value) + "]"
        if value.ndim == 2:
            return "[" + ", ".join(f"[{self._entries(row, given)}]" for row in value) + "]"
        return f"({self._entries(value, given)})"

    def _entries(self, value: Array, given: bool) -> str:
        numbers = value.tolist()
        if len(numbers) <= self.limit:
            return ", ".join(self.number(each, given) for each in numbers)
        shown = ", ".join(self.number(each, given) for each in numbers[:ENDS])
        return f"{shown}, ..., {self.number(numbers[-1], given)}; {len(numbers)} values"


def _is_short(value: float) -> bool:
    """Was it hardly made by a computation? It has few digits, and no exponent."""
    if not math.isfinite(value) or not (value == 0 or SMALL <= abs(value) < LARGE):
        return False
    return len(Decimal(repr(value)).normalize().as_tuple().digits) <= TYPED


def _as_typed(value: float) -> str:
    return _trimmed(f"{Decimal(repr(value)):f}").removeprefix("-" if value == 0 else "")


def number(value: float, digits: int = 4, given: bool = False) -> str:
    """A number with at most so many decimals; a given one never becomes 0 by rounding.

    >>> number(0.80049902), number(1.1), number(-0.0), number(1.00001), number(1.23456e12)
    ('0.8005', '1.1', '0', '1.0000', '1.2346e12')
    >>> number(0.00001, given=True), number(0.125, digits=2)
    ('1e-5', '0.13')
    """
    if not math.isfinite(value):
        return str(float(value))
    if abs(value) >= LARGE:
        return _with_exponent(value, digits)
    text = fixed(value, digits)
    is_zero = float(text) == 0
    if given and is_zero and value:
        return f"{value:.2g}" if abs(value) >= SMALL else _with_exponent(value, 1)
    if is_zero:
        text = text.removeprefix("-")
    return _trimmed(text) if _is_exact(text, value) else text


def _significant(value: float, count: int, given: bool) -> str:
    """So many digits, the first of them not 0; one that was given and is short as it is."""
    count = max(count, 1)
    if not SMALL <= abs(value) < LARGE:
        return _with_exponent(value, count - 1)
    mantissa, power = scientific(value, count - 1).split("e")  # rounded: 0.9999 may become 1.00
    text = f"{float(f'{mantissa}e{power}'):.{max(count - 1 - int(power), 0)}f}"
    return _trimmed(text) if _is_exact(text, value) else text


def _is_exact(text: str, value: float) -> bool:
    return abs(float(text) - value) <= EXACT * max(1.0, abs(value))


def rounded(value: float, place: int, cut: bool = False) -> Decimal:
    """A number to the digit that counts 10**place, a 5 rounded up as on paper, or cut off there.

    >>> rounded(2.675, -2), rounded(2.675, -2, cut=True), rounded(0.1 + 0.2, -2, cut=True)
    (Decimal('2.68'), Decimal('2.67'), Decimal('0.30'))
    """
    known = Decimal(f"{value:.{KNOWN - 1}e}")
    digits = known.adjusted() - place + 1
    if digits > KNOWN:  # no digit that is known stands behind the place
        return Decimal(value)
    is_half_known = cut or digits <= KNOWN - GUARD + 1
    exact = known if is_half_known else Decimal(value)
    return exact.quantize(Decimal(1).scaleb(place), ROUND_DOWN if cut else ROUND_HALF_UP)


def first_place(value: float) -> int:
    """The power of ten that a number's first digit counts: 2 of 123.4, and -2 of 0.05."""
    return Decimal(f"{value:.{KNOWN - 1}e}").adjusted() if value else 0


def fixed(value: float, digits: int) -> str:
    """With so many decimals.

    >>> fixed(0.125, 2), fixed(2.675, 2), fixed(2, 1)
    ('0.13', '2.68', '2.0')
    """
    return f"{rounded(value, -digits):.{digits}f}"


def scientific(value: float, digits: int) -> str:
    """The same with an exponent: one digit before the point, so many behind it.

    >>> scientific(123500, 2), scientific(0, 1)
    ('1.24e+5', '0.0e+00')
    """
    text = f"{rounded(value, first_place(value) - digits):.{digits}e}"
    return text if value else f"{value:.{digits}e}"


def _with_exponent(value: float, digits: int) -> str:
    text = scientific(value, digits)
    mantissa, power = text.split("e")
    return f"{_trimmed(mantissa) if _is_exact(text, value) else mantissa}e{int(power)}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def array(value: Array, digits: int = 4, given: bool = False) -> str:
    """A value with at most so many decimals.

    >>> array(np.array([0.5])), array(np.array([1, 2])), array(np.eye(2))
    ('0.5', '(1, 2)', '[[1, 0], [0, 1]]')
    >>> array(np.arange(64) / 10)
    '(0, 0.1, 0.2, ..., 6.3; 64 values)'
    """
    return Digits(digits).array(value, given)

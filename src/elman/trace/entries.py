"""The entries of a value that are shown, for the formats that set them out in rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.trace.board import ENDS
from elman.trace.numbers import Digits

Array = np.ndarray[Any, Any]
TALL = 12  # entries that are set under each other; more stand in a row


@dataclass(frozen=True)
class Listed:
    """Numbers as texts; `left_out` of `count` stood before the last one.

    >>> entries(np.array([0.5, 1, 2]), Digits(limit=2))
    Listed(texts=('0.5', '1', '2', '2'), count=3, is_elided=True)
    """

    texts: tuple[str, ...]
    count: int
    is_elided: bool = False


def entries(vector: Array, digits: Digits, given: bool = False) -> Listed:
    """The entries of a vector, or the first and the last of a longer one."""
    numbers = vector.tolist()
    is_elided = len(numbers) > digits.limit
    shown = [*numbers[:ENDS], numbers[-1]] if is_elided else numbers
    return Listed(tuple(digits.number(n, given) for n in shown), len(numbers), is_elided)

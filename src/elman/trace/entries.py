"""The entries of a value that are shown, for the formats that set them out in rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.trace.board import ENDS
from elman.trace.numbers import Digits

Array = np.ndarray[Any, Any]
TALL = 12  # entries that are set under each other; more stand in a row
WIDE = 5  # gaps that fit beside each other


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


def laid_out(shape: tuple[int, ...] | None, limit: int) -> tuple[int, int]:
    """The rows and columns of gaps that a value of a shape is written into.

    >>> laid_out((3,), 8), laid_out((2, 4), 8), laid_out((20,), 8), laid_out(None, 8)
    ((3, 1), (2, 4), (1, 1), (1, 1))
    """
    if shape is None or len(shape) not in (1, 2) or max(shape) > min(limit, TALL):
        return 1, 1
    tall, wide = (*shape, 1)[:2]
    return (tall, wide) if wide <= WIDE else (1, 1)

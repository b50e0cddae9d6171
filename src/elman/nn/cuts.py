"""Where a batch of sequences of several lengths is cut into pieces that a kernel runs as a whole.

Ordered by length, the longest first, the sequences of a batch are a pile of dense pieces: some
steps of those that still run. A cut where a sequence ends costs a call more; none there costs the
steps that are computed behind the end and thrown away.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# microseconds, measured; what they decide is the speed, and never a result beyond its rounding
CALL, CALL_BACK = 100.0, 300.0  # of a call in inference, and of one there and back
SPEED, SPEED_BACK = 250e3, 100e3  # multiplications and additions in a microsecond
SUMMED = 2500.0  # values of a weight's gradient that are added in a microsecond
PARTS = 2  # no cut is tried that saves less than this part of a call
MASKED = 1.25  # how much longer a step takes that asks which sequences have ended


@dataclass(frozen=True)
class Piece:
    """Steps of the longest sequences; `is_whole` says that none of them ends before its stop."""

    start: int
    stop: int
    rows: int
    is_whole: bool

    @property
    def steps(self) -> slice:
        """Which steps."""
        return slice(self.start, self.stop)

    @property
    def lead(self) -> tuple[int, int]:
        """The number of steps and of sequences."""
        return self.stop - self.start, self.rows


@dataclass(frozen=True)
class Cost:
    """Microseconds of a call, and of each step of one sequence in it."""

    call: float
    row: float

    @staticmethod
    def of(weights: int, is_learned: bool) -> Cost:
        """The estimate for layers with so many numbers in their weights."""
        if is_learned:
            return Cost(CALL_BACK + weights / SUMMED, 2 * weights / SPEED_BACK)
        return Cost(CALL, 2 * weights / SPEED)


def cut(lengths: Sequence[int], cost: Cost) -> list[Piece]:
    """The pieces that take the least time, first to last; the longest sequence comes first.

    >>> cut([9, 9, 4, 0], Cost(call=1, row=1))
    [Piece(start=0, stop=4, rows=3, is_whole=True), Piece(start=4, stop=9, rows=2, is_whole=True)]
    >>> cut([9, 9, 8, 0], Cost(call=20, row=1))
    [Piece(start=0, stop=9, rows=3, is_whole=False)]
    """
    if _saves_nothing(lengths, cost):
        rows = len(lengths) - lengths.count(0)
        return [Piece(0, lengths[0], rows, lengths[rows - 1] == lengths[0])]
    ends = [0, *sorted({*lengths} - {0})]
    running = _running(lengths, ends)
    places = _worth_it(ends, running, cost)
    after = [0.0] * len(ends)  # what everything behind an end takes
    stops = [0] * len(ends)
    for number in reversed(range(len(places) - 1)):
        k, best = places[number], float("inf")
        useful = 0.0
        for count, (before, stop) in enumerate(itertools.pairwise(places[number:])):
            useful += (ends[stop] - ends[before]) * running[before] * cost.row
            time = (ends[stop] - ends[k]) * running[k] * cost.row
            time *= MASKED if stop > k + 1 else 1
            if cost.call + time + after[stop] < best:
                best, stops[k] = cost.call + time + after[stop], stop
            if time - useful > (count + 2) * cost.call:
                break  # more is thrown away than the calls would take
        after[k] = best
    return list(_pieces(ends, running, stops))


def _saves_nothing(lengths: Sequence[int], cost: Cost) -> bool:
    """Whether one call takes no longer than a second one more, whatever is cut off."""
    lost = lengths[0] * len(lengths) * MASKED - sum(lengths)
    return lost * cost.row <= cost.call


def _worth_it(ends: Sequence[int], running: Sequence[int], cost: Cost) -> list[int]:
    """The ends at which a cut may pay: without it, a part of a call is lost up to the next."""
    found, useful = [0], 0
    for k in range(1, len(ends) - 1):
        last = found[-1]
        useful += (ends[k] - ends[k - 1]) * running[k - 1]
        more = useful + (ends[k + 1] - ends[k]) * running[k]
        lost = (ends[k + 1] - ends[last]) * running[last] * MASKED - more
        if lost * cost.row * PARTS >= cost.call:
            found.append(k)
            useful = 0
    return [*found, len(ends) - 1]


def _running(lengths: Sequence[int], ends: Sequence[int]) -> list[int]:
    """How many sequences run on behind each end."""
    found, rows = [], len(lengths)
    for end in ends:
        while rows and lengths[rows - 1] <= end:
            rows -= 1
        found.append(rows)
    return found


def _pieces(ends: Sequence[int], running: Sequence[int], stops: Sequence[int]) -> Iterator[Piece]:
    k = 0
    while k < len(ends) - 1:
        stop = stops[k]
        yield Piece(ends[k], ends[stop], running[k], stop == k + 1)
        k = stop


def shortened(pieces: Iterable[Piece], steps: Sequence[int]) -> Iterator[Piece]:
    """The pieces, each cut into blocks of no more than so many steps."""
    for piece, most in zip(pieces, steps, strict=True):
        for start in range(piece.start, piece.stop, most):
            stop = min(start + most, piece.stop)
            yield Piece(start, stop, piece.rows, piece.is_whole)

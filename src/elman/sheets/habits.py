"""How a person rounds on the way: to how many digits, and which of the values written down."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from elman.language.syntax import Binary, Call, Expr
from elman.sheets.page import Array, Page, Reckoning, Settle, Settler, shaped
from elman.trace.backward.derivatives import canonical
from elman.trace.leaves import Dated
from elman.trace.rounding import Rounding, written_down
from elman.trace.work import work
from elman.trace.worked import Line, in_order

BOARD, ALL, RESULTS = "what the board shows", "every part", "the results of lines"
MOST_DIGITS, LEAST_DIGITS = 6, 2  # kept on the way; one digit alone would explain nearly anything
LIKELY = 2.3  # roots of the sum of squares: four deviations of evenly spread errors
FINER = 2  # further digits that a person keeps on the way


@dataclass(frozen=True)
class Habit:
    """Values of a kind are rounded (or cut off) before they are used on."""

    rounding: Rounding
    what: str = BOARD

    @property
    def words(self) -> str:
        """`rounding to 3 decimals`."""
        verb = self.rounding.words
        return verb.replace("rounded", "rounding").replace("cut off", "cutting off")


def habits(decimals: int) -> Iterator[Habit]:
    """How a number of so many decimals may have come about, the likeliest first.

    >>> [(h.rounding.digits, h.what) for h in habits(3)][:2]
    [(3, 'what the board shows'), (3, 'every part')]
    """
    finer = range(decimals, min(decimals + FINER, MOST_DIGITS) + 1)
    coarser = range(decimals - 1, LEAST_DIGITS - 1, -1)
    for digits in (*finer, *coarser):
        for cut in (False, True):
            for what in (BOARD, ALL, RESULTS):
                yield Habit(Rounding(digits, cut=cut), what)
    for digits in (3, 4, 2):
        yield Habit(Rounding(digits, significant=True))


class Settling:
    """Gives for the expressions of a page how their parts are rounded by a habit."""

    def __init__(self, page: Page) -> None:
        self.page, self.exact = page, Reckoning(page)
        self.places = functools.lru_cache(maxsize=4096)(self._places)

    def by(self, habit: Habit) -> Settler:
        def settler(expr: Expr, is_line: bool) -> Settle:
            flags = iter(self.places(expr, habit.what, is_line))

            def settle(_: Expr, value: Array) -> Array:
                return habit.rounding.array(np.asarray(value)) if next(flags) else value

            return settle

        return settler

    def _places(self, expr: Expr, what: str, is_line: bool) -> tuple[bool, ...]:
        """Of every part, in the order of work: is it rounded? The root only where it is a line."""
        parts = in_order(expr)
        if what == RESULTS:
            flags = [False] * len(parts)
        elif what == ALL:
            flags = [bool(part.parts) for part in parts]
        else:
            flags = list(written_down(Line("", expr, self.values(expr))))
        return (*flags[:-1], is_line and bool(expr.parts))

    def values(self, expr: Expr) -> tuple[Array, ...]:
        self.exact.worked(expr)
        return work(expr, self.exact.read)


@dataclass(frozen=True, eq=False)
class Error:
    """How far each entry of a value may be off: at most, and what is likely at most.

    Errors of either sign add up to all of them at worst, to the root of their squares as a rule.
    """

    most: Array
    usual: Array

    def plus(self, more: float) -> Error:
        return Error(self.most + more, np.hypot(self.usual, more))

    def shaped(self, shape: tuple[int, ...]) -> Error:
        """The same in the shape of the value: of one input, d_W is a column."""
        return Error(shaped(self.most, shape), shaped(self.usual, shape))


class Slack:
    """How far a value may be off when what is written down on the way has so many decimals.

    The bound is of first order: the share of each rounded part.
    """

    def __init__(self, base: Reckoning, errors: Mapping[Expr, Array], decimals: int) -> None:
        self.base, self.decimals = base, decimals
        self.unit = 0.5 * 10.0**-decimals
        self.errors = {expr: Error(a, a) for expr, a in errors.items()}  # of what is put in

    def of(self, expr: Expr) -> Array:
        """The bound for an expression, or for the line that a name names."""
        body = self.base.right_side(expr)
        self.base.value(expr)
        for left in self.base.upstream(body):
            if left not in self.errors:
                value = self.base.read(left)
                own = 0.0 if _is_short(value, self.decimals) else self.unit
                error = self.line(self.base.right_side(left)).plus(own)
                self.errors[left] = error.shaped(value.shape)
        found = self.line(body)
        return np.minimum(found.most, LIKELY * found.usual)

    def line(self, expr: Expr) -> Error:
        """The bound for an expression whose names have theirs."""
        none = Error(np.zeros(()), np.zeros(()))
        if isinstance(expr, Dated):
            return self.errors.get(expr, none)
        values = self.base.parts(expr)
        most = squares = np.zeros_like(np.asarray(values[-1], dtype=float))
        parts = in_order(expr)
        for place, part in enumerate(parts):
            share = self.errors.get(part, none) if isinstance(part, Dated) else None
            share = share or self.own(part, values, place, is_last=place == len(parts) - 1)
            size = np.broadcast_to(share.most, values[place].shape)
            usual = np.broadcast_to(share.usual, values[place].shape).ravel()
            for entry in np.flatnonzero(size):
                shift = np.zeros(size.size)
                shift[entry] = size.ravel()[entry]
                moved = self.moved(expr, place, shift.reshape(size.shape))
                effect = np.abs(moved - values[-1])
                most = most + effect
                squares = squares + (effect * usual[entry] / shift[entry]) ** 2
        return Error(np.nan_to_num(most, nan=np.inf), np.sqrt(np.nan_to_num(squares, nan=np.inf)))

    def moved(self, expr: Expr, place: int, shift: Array) -> Array:
        """The value where the part at a place is off by `shift`."""
        count = itertools.count()

        def shifted(_: Expr, value: Array) -> Array:
            return value + shift if next(count) == place else value

        return work(expr, self.base.read, self.base.settle(expr, shifted))[-1]

    def own(self, part: Expr, values: tuple[Array, ...], place: int, is_last: bool) -> Error:
        """How far an operation itself is off by rounding; of the last, what is in it alone."""
        value = np.asarray(values[place], dtype=float)
        is_sum = isinstance(part, Binary) and part.op in "+-"  # of terms that are rounded already
        if not part.parts or is_sum or _is_short(value, self.decimals):
            return Error(np.zeros(()), np.zeros(()))
        inside = self.inside(part, value, np.asarray(values[place - 1], dtype=float))
        return inside if is_last else inside.plus(self.unit)

    def inside(self, part: Expr, value: Array, operand: Array) -> Error:
        """What is written down within an operation: terms of a product, exponentials.

        `operand` is its last, worked just before it.
        """
        if isinstance(part, Binary) and part.op == "@":
            count = len(np.atleast_1d(operand))
            return Error(np.asarray(count * self.unit), np.asarray(count**0.5 * self.unit))
        name = canonical(part.function) if isinstance(part, Call) else ""
        if name == "sigmoid":  # 1 / (1 + e), of an e = exp(-a) that is rounded
            return Error(value**2 * self.unit, value**2 * self.unit)
        if name == "softmax":  # e / (e + others), of es that are rounded
            scale = self.unit / np.exp(operand).sum(axis=-1, keepdims=True)
            others = operand.shape[-1] - 1
            most = (1 - value) + others * value
            return Error(most * scale, np.hypot(1 - value, others**0.5 * value) * scale)
        return Error(np.zeros(()), np.zeros(()))


def _is_short(value: Array, decimals: int) -> bool:
    return bool(np.all(np.abs(value - np.round(value, decimals)) < 1e-12))

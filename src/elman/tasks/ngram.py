"""An interpolated modified Kneser-Ney model of characters: what counting alone can do.

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999),
section 3: discounts D1, D2, D3+ per order from the counts of counts; below the longest order, a
gram's count is the number of distinct characters seen to its left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Level:
    """Each gram's share of its context, and what each context hands down to the order below."""

    own: np.ndarray  # (grams,)
    handed_down: np.ndarray  # (contexts,)


@dataclass(frozen=True)
class Order:
    """All n-grams of one length; key = number of the context * vocabulary + last character."""

    keys: np.ndarray  # (grams,) sorted: a gram's number is its place here
    longest: Level  # from plain counts
    below: Level  # from continuation counts, where a longer order stands above

    def find(self, contexts: np.ndarray, characters: np.ndarray, size: int) -> np.ndarray:
        """The number of each gram, -1 where it (or its context) was never seen."""
        wanted = contexts * size + characters
        places = np.searchsorted(self.keys, wanted).clip(max=len(self.keys) - 1)
        return np.where((contexts >= 0) & (self.keys[places] == wanted), places, -1)


@dataclass(frozen=True)
class KneserNey:
    """A fitted model; one fit answers for every order up to its longest.

    >>> model = KneserNey.fit(np.array([0, 1, 0, 1, 0, 2]), vocabulary_size=3, order=2)
    >>> bool(abs(model.distribution(np.array([1])).sum() - 1) < 1e-12)
    True
    """

    orders: tuple[Order, ...]
    vocabulary_size: int

    @classmethod
    def fit(cls, ids: np.ndarray, *, vocabulary_size: int, order: int) -> KneserNey:
        """Count the n-grams of a text, given as character numbers (characters,), up to a length."""
        tables, ending = _count(ids, vocabulary_size, min(order, len(ids)))
        orders = []
        for length, (keys, _, counts) in enumerate(tables, start=1):
            contexts = keys // vocabulary_size
            longest = below = _level(contexts, counts)
            if length < len(tables):
                ends = tables[length][
                    1
                ]  # where each gram that is longer by one is first seen to end
                left = np.bincount(ending[length][ends], minlength=len(keys))
                below = _level(contexts, left)
            orders.append(Order(keys, longest, below))
        return cls(tuple(orders), vocabulary_size)

    def nats(self, ids: np.ndarray) -> np.ndarray:
        """Mean -log p of all characters but the first, for each order as the longest: (orders,)."""
        probabilities = self._probabilities(self._contexts(ids[:-1])[:, 1:], ids[1:])
        return -np.log(probabilities).mean(axis=1)

    def distribution(self, context: np.ndarray) -> np.ndarray:
        """Probability of every character after a context, from the longest order: (vocabulary,)."""
        contexts = self._contexts(context)[:, -1:].repeat(self.vocabulary_size, axis=1)
        return self._probabilities(contexts, np.arange(self.vocabulary_size))[-1]

    def _contexts(self, ids: np.ndarray) -> np.ndarray:
        """Number of the gram of length 0, 1, ... that ends before a place: (orders, places + 1)."""
        contexts = [np.zeros(len(ids) + 1, dtype=np.int64)]
        for order in self.orders[:-1]:
            found = order.find(contexts[-1][:-1], ids, self.vocabulary_size)
            contexts.append(np.concatenate([[-1], found]))
        return np.stack(contexts)

    def _probabilities(self, contexts: np.ndarray, characters: np.ndarray) -> np.ndarray:
        """p(character | context) with each order as the longest: (orders, places)."""
        lower = np.full(len(characters), 1.0 / self.vocabulary_size)
        rows = []
        for order, context in zip(self.orders, contexts, strict=True):
            grams = order.find(context, characters, self.vocabulary_size)
            rows.append(_interpolate(order.longest, context, grams, lower))
            lower = _interpolate(order.below, context, grams, lower)
        return np.stack(rows)


Table = tuple[np.ndarray, np.ndarray, np.ndarray]  # keys, first end, count of each gram


def _count(
    ids: np.ndarray, vocabulary_size: int, order: int
) -> tuple[list[Table], list[np.ndarray]]:
    """The grams of each length, and the number of the gram that ends before each place."""
    ending = [np.zeros(len(ids) + 1, dtype=np.int64)]
    tables: list[Table] = []
    for length in range(1, order + 1):
        keys, first, numbers, counts = np.unique(
            ending[-1][length - 1 : -1] * vocabulary_size + ids[length - 1 :],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        ending.append(np.concatenate([np.full(length, -1), numbers]))
        tables.append((keys, first + length, counts))
    return tables, ending


def _interpolate(
    level: Level, context: np.ndarray, grams: np.ndarray, lower: np.ndarray
) -> np.ndarray:
    own = np.where(grams >= 0, level.own[grams], 0.0)
    return np.where(context >= 0, own + level.handed_down[context] * lower, lower)


def _level(contexts: np.ndarray, counts: np.ndarray) -> Level:
    """Discount the counts and share each context's total between its grams and the order below."""
    discount = np.concatenate([[0.0], _discounts(counts)])[counts.clip(max=3)]
    totals = np.bincount(contexts, weights=counts)
    saved = np.bincount(contexts, weights=discount)
    seen = totals > 0
    handed_down = np.where(seen, saved / np.where(seen, totals, 1.0), 1.0)
    own = (counts - discount) / np.where(seen, totals, 1.0)[contexts]
    return Level(own, handed_down)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """D1, D2, D3+ from the counts of counts; 1/2 where those are too few to say."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:
        return np.full(3, 0.5)
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return discounts if ((discounts > 0) & (discounts < [1, 2, 3])).all() else np.full(3, 0.5)


@dataclass(frozen=True)
class Counted:
    """What counting reaches: the order that a tenth of the training text chose, and its loss."""

    order: int
    nats_per_char: float


def best_of_orders(
    train: np.ndarray, validation: np.ndarray, *, vocabulary_size: int, longest: int = 12
) -> Counted:
    """Loss on the validation text of the order that does best within the training text alone."""
    cut = len(train) - max(2, len(train) // 10)
    trial = KneserNey.fit(train[:cut], vocabulary_size=vocabulary_size, order=longest)
    order = int(trial.nats(train[cut:]).argmin()) + 1
    model = KneserNey.fit(train, vocabulary_size=vocabulary_size, order=order)
    return Counted(order, float(model.nats(validation)[-1]))

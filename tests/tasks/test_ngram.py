"""The n-gram model against a slow twin that counts as the paper writes it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from elman.tasks.ngram import KneserNey, best_of_orders


class SlowKneserNey:
    """Chen and Goodman (1999), equations 24-26, by dictionaries and recursion."""

    def __init__(self, ids, size, order):
        text = tuple(int(i) for i in ids)
        grams = {
            n: [text[i : i + n] for i in range(len(text) - n + 1)] for n in range(1, order + 1)
        }
        self.size = size
        self.counts = {order: Counter(grams[order])}
        for n in range(1, order):
            self.counts[n] = Counter(longer[1:] for longer in set(grams[n + 1]))
        self.discounts = {n: self.discount(counts) for n, counts in self.counts.items()}
        self.order = order

    @staticmethod
    def discount(counts):
        of = Counter(counts.values())
        if any(of[c] == 0 for c in (1, 2, 3, 4)):
            return (0, 0.5, 0.5, 0.5)
        y = of[1] / (of[1] + 2 * of[2])
        found = [c - (c + 1) * y * of[c + 1] / of[c] for c in (1, 2, 3)]
        ok = all(0 < d < c for c, d in enumerate(found, start=1))
        return (0, *found) if ok else (0, 0.5, 0.5, 0.5)

    def probability(self, context, character, n=None):
        n = self.order if n is None else n
        if n == 0:
            return 1 / self.size
        if len(context) < n - 1:
            return self.probability(context, character, n - 1)
        history = tuple(context[len(context) - n + 1 :])
        lower = self.probability(context, character, n - 1)
        followers = {g: c for g, c in self.counts[n].items() if g[:-1] == history}
        total = sum(followers.values())
        if total == 0:
            return lower
        d = self.discounts[n]
        handed_down = sum(d[min(c, 3)] for c in followers.values()) / total
        count = followers.get((*history, character), 0)
        return max(count - d[min(count, 3)], 0) / total + handed_down * lower


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [30, 400])
def test_equals_the_slow_twin(order, length):
    random = np.random.default_rng(order)
    ids = random.choice(6, size=length, p=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    size = 7  # one character is never seen
    fast = KneserNey.fit(ids, vocabulary_size=size, order=order)
    slow = SlowKneserNey(ids, size, order)
    held_out = random.choice(7, size=25)
    expected = -np.mean(
        [np.log(slow.probability(held_out[:i].tolist(), held_out[i])) for i in range(1, 25)]
    )
    assert fast.nats(held_out)[-1] == pytest.approx(expected, rel=1e-12)


def test_each_order_is_that_order_alone():
    ids = np.random.default_rng(0).choice(4, size=300)
    together = KneserNey.fit(ids, vocabulary_size=4, order=5).nats(ids[:100])
    alone = [
        KneserNey.fit(ids, vocabulary_size=4, order=n).nats(ids[:100])[-1] for n in range(1, 6)
    ]
    np.testing.assert_allclose(together, alone, rtol=1e-13)


def test_probabilities_sum_to_one():
    random = np.random.default_rng(1)
    text = random.choice(11, size=2000)
    model = KneserNey.fit(text, vocabulary_size=12, order=4)
    for length in [0, 1, 2, 3, 10]:
        for _ in range(20):
            chances = model.distribution(random.choice(12, size=length))
            assert (chances > 0).all()
            assert chances.sum() == pytest.approx(1, abs=1e-12)


def test_the_order_is_chosen_within_the_training_text():
    text = np.tile(np.arange(5), 100)
    found = best_of_orders(text[:450], text[450:], vocabulary_size=5)
    assert found.order >= 2
    assert found.nats_per_char < 0.1


@pytest.mark.parametrize("length", [7, 9, 20])
def test_very_short_texts_have_an_order(length):
    ids = np.arange(length) % 3
    found = best_of_orders(ids, ids[:2], vocabulary_size=3)
    assert np.isfinite(found.nats_per_char)

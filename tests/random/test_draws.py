"""The generator: the same bits everywhere, and nothing in them that a test of chance would find.

The bounds are those of the statistic itself, at five standard deviations or a chance of 1e-6: the
draws are fixed, so that a test is red or green for ever, and one of a million would be red by
chance.
"""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from elman.backends.c_compile import compile_library
from elman.backends.c_write import write_file
from elman.backends.draws import BITS, WORD, draw, mix, stream_number

FIVE_SIGMA = 5.0
REAL = {"float": np.float32, "double": np.float64}


def numbers(name="m", seed=0, rows=8, steps=50, entries=256):
    """Draws in [0, 1), (seeds, rows, steps, entries)."""
    seeds = np.atleast_1d(np.asarray(seed, dtype=np.int64))
    words = [np.arange(n, dtype=np.int64) for n in (rows, steps, entries)]
    grid = np.ix_(seeds, *words)
    return draw(stream_number(name), *grid) / 2**BITS


def test_mixing_is_one_to_one_on_words():
    words = np.concatenate([np.arange(2**16), WORD - np.arange(2**16)])
    mixed = mix(words)
    assert len(np.unique(mixed)) == len(words)
    assert mixed.min() >= 0
    assert mixed.max() <= WORD


def test_mean_and_variance():
    u = numbers(seed=range(20))
    n = u.size
    assert abs(u.mean() - 1 / 2) < FIVE_SIGMA / np.sqrt(12 * n)
    # the variance of (u - 1/2)^2 is 1/80 - 1/144
    assert abs(((u - 1 / 2) ** 2).mean() - 1 / 12) < FIVE_SIGMA * np.sqrt((1 / 80 - 1 / 144) / n)
    assert u.min() >= 0
    assert u.max() < 1


def test_the_means_over_many_seeds_spread_as_they_should():
    u = numbers(seed=range(400), steps=10)
    z = (u.mean(axis=(1, 2, 3)) - 1 / 2) * np.sqrt(12 * u[0].size)
    assert abs(z.mean()) < FIVE_SIGMA / np.sqrt(len(z))
    assert abs((z**2).mean() - 1) < FIVE_SIGMA * np.sqrt(2 / len(z))


def chi_square(found: np.ndarray, bins: int) -> float:
    """How far counts are from equal, in standard deviations (near normal for many bins)."""
    counts = np.bincount(found.ravel(), minlength=bins)
    expected = found.size / bins
    chi = ((counts - expected) ** 2 / expected).sum()
    return float((chi - (bins - 1)) / np.sqrt(2 * (bins - 1)))


@pytest.mark.parametrize("low", [0, 8, 16])
def test_every_byte_is_even(low):
    bits = (numbers(seed=range(10)) * 2**BITS).astype(np.int64)
    assert abs(chi_square((bits >> low) & 255, 256)) < FIVE_SIGMA


AXES = {"seeds": 0, "rows": 1, "steps": 2, "entries": 3}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("apart", [1, 2, 4, 5])
def test_neighbours_know_nothing_of_each_other(axis, apart):
    u = numbers(seed=range(8), rows=16, steps=40, entries=64)
    length = u.shape[AXES[axis]]
    one, other = (
        np.take(u, range(start, length - apart + start), AXES[axis]) for start in (0, apart)
    )
    correlation = 12 * ((one - 1 / 2) * (other - 1 / 2)).mean()
    assert abs(correlation) < FIVE_SIGMA / np.sqrt(one.size)
    pairs = (one * 16).astype(np.int64) * 16 + (other * 16).astype(np.int64)
    assert abs(chi_square(pairs, 256)) < FIVE_SIGMA


def test_streams_and_seeds_are_independent():
    drawn = [numbers(name, seed) for name in ("m", "k", "m_1", "M") for seed in (0, 1, 2**24 - 1)]
    for one, other in itertools.combinations(drawn, 2):
        correlation = 12 * ((one - 1 / 2) * (other - 1 / 2)).mean()
        assert abs(correlation) < FIVE_SIGMA / np.sqrt(one.size)
        assert (one == other).mean() < 1e-4


@pytest.mark.parametrize("word", range(4))
def test_one_bit_of_a_word_changes_half_the_bits(word):
    random = np.random.default_rng(word)
    words = [random.integers(0, 2**16, 20_000) for _ in range(4)]
    before = draw(stream_number("m"), *words)
    for bit in range(16):
        after = draw(
            stream_number("m"), *[w ^ (1 << bit) * (k == word) for k, w in enumerate(words)]
        )
        changed = [((before ^ after) >> k & 1).mean() for k in range(BITS)]
        assert np.max(np.abs(np.array(changed) - 1 / 2)) < FIVE_SIGMA / 2 / np.sqrt(20_000)


def test_nothing_repeats_that_should_not():
    """Among 2^16 draws of 24 bits pairs agree by chance only: 2^32 / 2 / 2^24 = 128 of them."""
    u = numbers(rows=16, steps=16, entries=256).ravel()
    repeats = u.size - len(np.unique(u))
    assert abs(repeats - 128) < FIVE_SIGMA * np.sqrt(128)


DRIVER = """
void draws(unsigned stream, real seed, real row, real step, real *out, long n) {
  for (long i = 0; i < n; i += LANES) {
    const long left = least(LANES, n - i);
    store(out + i, vrandom(stream, all(seed), all(row), all(step), i), left);
  }
}
"""


@pytest.mark.c
@pytest.mark.parametrize("real", REAL)
def test_c_draws_the_same_bits(real):
    library = compile_library([write_file([], real) + DRIVER], f"draws_{real}")
    c_real = ctypes.c_float if real == "float" else ctypes.c_double
    library.draws.argtypes = [ctypes.c_uint32, *[c_real] * 3, ctypes.c_void_p, ctypes.c_long]
    for name, seed, row, step in [("m", 0, 0, 0), ("ĥ", 2**24 - 1, 3, 7), ("k", 5, 511, 2**24 - 1)]:
        out = np.empty(1003, REAL[real])
        library.draws(stream_number(name), seed, row, step, out.ctypes.data, len(out))
        words = (np.full(1, word) for word in (seed, row, step))
        expected = draw(stream_number(name), *words, np.arange(len(out))) / 2**BITS
        assert np.array_equal(out, expected)


@pytest.mark.torch
def test_torch_draws_the_same_bits():
    torch = pytest.importorskip("torch")
    words = [np.array([[w]]) for w in (2**24 - 1, 63, 100_000)]
    entries = np.arange(4099)
    expected = draw(stream_number("m"), *words, entries)
    found = draw(stream_number("m"), *map(torch.from_numpy, (*words, entries)))
    assert np.array_equal(found.numpy(), expected)


def test_the_draws_are_these_for_ever():
    """A changed generator would change every trained model's run: the numbers stand here."""
    found = draw(stream_number("m"), *(np.full(1, w) for w in (1, 2, 3)), np.arange(4))
    assert found.tolist() == [11768311, 3248670, 15016192, 11501958]

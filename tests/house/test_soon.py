"""The clock of the tests that say "at once": it can fail, and it counts nobody else's memory."""

import gc

import pytest

from tests.soon import its_own_memory, soon


def test_what_is_not_done_soon_is_told():
    with pytest.raises(AssertionError, match=r"0\.001 allowed"), soon(0.001):
        sorted(range(2_000_000), key=lambda number: -number)


def test_the_collector_walks_what_is_made_within_alone():
    kept = [[] for _ in range(100_000)]
    with its_own_memory():
        assert len(gc.get_objects()) < len(kept)
    assert len(gc.get_objects()) > len(kept)

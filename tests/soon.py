"""How long a piece of work takes, whatever the tests before it left in memory."""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator


@contextlib.contextmanager
def its_own_memory() -> Iterator[None]:
    """The collector walks what is made in here alone.

    A worker of a long run holds millions of objects, and one walk over all of them may take a
    second and fall to whichever test comes next.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def soon(seconds: float) -> Iterator[None]:
    """What is done in here takes less than this of its thread's processor time."""
    with its_own_memory():
        start = time.thread_time()
        yield
        taken = time.thread_time() - start
    assert taken < seconds, f"{taken:.3f} s of the processor's time, {seconds} allowed"

"""Large memory that calls use again: each thread keeps its own from one call to the next.

What the C library has given back to the system comes again page by page, each to be cleared, and
that may take half as long as the kernels that fill it. What a call returns never lies here.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import torch

from elman.backends import c_run
from elman.nn.layers import Tensor

LARGE = 1 << 18  # values: what is smaller the C library keeps by itself
AGE = 256  # how often memory is asked for before a block that nobody needed is let go
LINE = 64  # bytes


class Block:
    """A piece of memory that one tensor at a time has."""

    __slots__ = ("last", "memory", "part", "size")

    def __init__(self, size: int) -> None:
        whole = np.empty(size + LINE, np.uint8)
        start = -whole.ctypes.data % LINE
        self.memory = whole[start : start + size]
        self.size, self.last = size, 0
        self.part: weakref.ref[Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing has the memory: no tensor, no view of one, no array, no graph."""
        return self.part is None or self.part() is None

    def tensor(self, count: int, dtype: torch.dtype) -> Tensor:
        """A tensor of so many values; torch holds the part until nothing has its memory."""
        part = self.memory[: count * dtype.itemsize]
        self.part = weakref.ref(part)
        found = torch.frombuffer(part, dtype=dtype)
        return found.fill_(torch.nan) if c_run.POISON else found


class Memory(threading.local):
    """The blocks of a thread: together never more than its calls once held at the same time."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.asked = 0

    def take(self, count: int, dtype: torch.dtype) -> Tensor:
        """Values as they come, in the smallest block that is free and large enough."""
        size = count * dtype.itemsize
        free = sorted((b for b in self.blocks if b.is_free), key=lambda b: b.size)
        found = next((b for b in free if b.size >= size), None)
        if found is None:
            found = self._new(size, free)
        self.asked += 1
        if found.size <= 2 * size:
            found.last = self.asked
        self.blocks = [b for b in self.blocks if self.asked - b.last < AGE]
        return found.tensor(count, dtype)

    def _new(self, size: int, smaller: list[Block]) -> Block:
        """A block instead of free ones that are too small, the largest of them first."""
        missing = size
        while smaller and missing > 0:
            missing -= smaller[-1].size
            self.blocks.remove(smaller.pop())
        found = Block(size)
        self.blocks.append(found)
        return found


_memory = Memory()
take = _memory.take


def release_memory() -> None:
    """Let go of the memory that calls of this thread have kept for the next ones.

    >>> import torch
    >>> from elman.nn import LSTM, release_memory
    >>> output, _ = LSTM(16, 128)(torch.zeros(100, 32, 16))
    >>> output.sum().backward()
    >>> release_memory()

    A layer keeps what its forward pass saves and what its backward pass works in, and uses it
    again with the next call, also of another layer. That is never more than the thread's calls
    once held at the same time; what outputs and gradients lie in is not among it. Nothing that
    still holds a graph is touched.
    """
    _memory.blocks = []
    c_run.release_scratch()

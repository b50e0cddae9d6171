"""Weights that are packed once, and a kernel's step of which everything is made beforehand."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from elman.backends.c_run import POISON, Kernel

Array = np.ndarray[Any, Any]
LINE = 64  # bytes of a line of the cache


def memory(count: int) -> Array:
    """So many bytes from the beginning of a cache line on."""
    held = np.empty(count + LINE, np.uint8)
    if POISON:
        held[:] = 0xFF  # NaN in every format
    first = -held.ctypes.data % LINE
    return held[first : first + count]


def packed_weights(kernel: Kernel, numbers: Any, addresses: Sequence[int]) -> Array:
    """The weights at these addresses as the kernel reads them; 0 is an array that is not given.

    A run that is given their address does not pack again, whatever becomes of the weights.
    """
    library, prefix = kernel.library, kernel.program.prefix
    arrays = _pointers(addresses)
    size = library[f"{prefix}_packed"]
    size.restype = ctypes.c_long
    found, scratch = memory(size(numbers)), _scratch(kernel, 0, numbers, arrays, 1)
    freeze = library[f"{prefix}_freeze"]
    freeze.restype = None
    freeze(numbers, arrays, *(ctypes.c_void_p(a.ctypes.data) for a in (scratch, found)))
    return found


class Steps:
    """A kernel's step on arrays that stay where they are; all that its call needs is held ready.

    Two threads may not call steps of one of these at the same time: they share their memory.
    """

    def __init__(self, kernel: Kernel, batch: int, numbers: Any, packed: Array) -> None:
        self._kernel, self._numbers, self._packed = kernel, numbers, packed
        self._batch = batch
        self._scratch = memory(0)

    def ready(self, addresses: Sequence[int], threads: int) -> Callable[[], object]:
        """The call, without an argument, of a step on the arrays at these addresses."""
        arrays, team = _pointers(addresses), ctypes.c_int(threads)
        if not self._scratch.size:
            sizes = self._batch, self._numbers, arrays, threads
            self._scratch = _scratch(self._kernel, *sizes, steps=1)
        function = self._kernel.library[self._kernel.program.prefix]
        function.restype = None  # and no argument is converted: all are what C takes
        lead = ctypes.c_long(1), ctypes.c_long(self._batch)
        places = [ctypes.c_void_p(a.ctypes.data) for a in (self._scratch, self._packed)]
        step = functools.partial(function, *lead, self._numbers, arrays, *places, team)
        return functools.partial(self._poisoned, step) if POISON else step

    def _poisoned(self, step: Callable[[], object]) -> None:
        self._scratch[:] = 0xFF
        step()


def _pointers(addresses: Sequence[int]) -> Any:
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _scratch(
    kernel: Kernel, batch: int, numbers: Any, arrays: Any, threads: int, steps: int = 0
) -> Array:
    needed = kernel.library[f"{kernel.program.prefix}_scratch"]
    needed.restype = ctypes.c_long
    sizes = ctypes.c_long(steps), ctypes.c_long(batch)
    return memory(needed(*sizes, numbers, arrays, ctypes.c_int(threads)))

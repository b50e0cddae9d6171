"""Random numbers as a pure function of where they stand: nothing is stored, nothing is in order.

A number in [0, 1) follows from the seed, the name of its stream, the row of the batch, the step
and the entry: two words of 32 bits mix the first four, the entry passes through both. The same
bits come out of NumPy, torch and C (`vrandom` in c_kernels.h), in any block and on any thread.
"""

from __future__ import annotations

import zlib
from typing import Any

WORD = 0xFFFFFFFF
BITS = 24  # of a draw: so many a float32 holds exactly


def stream_number(name: str) -> int:
    """What a stream's name adds to its draws."""
    return zlib.crc32(name.encode())


def mix(word: Any) -> Any:
    """Every bit of the result depends on every bit of the word (arrays of int64 below 2^32).

    The constants are those of the hash prospector (C. Wellons, 2018), behind a Weyl step.
    """
    word = (word + 0x9E3779B9) & WORD
    word = (word ^ (word >> 16)) * 0x21F0AAAD & WORD
    word = (word ^ (word >> 15)) * 0xD35A2D97 & WORD
    return word ^ (word >> 15)


def draw(stream: int, seed: Any, row: Any, step: Any, entry: Any) -> Any:
    """Whole numbers below 2^24, of int64 arrays that spread over each other."""
    one, other = (mix(mix(mix(mix(word) ^ stream) ^ row) ^ step) for word in (seed, seed ^ WORD))
    return mix(mix(entry ^ one) ^ other) >> (32 - BITS)

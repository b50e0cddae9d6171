"""The learning rate of a step: pure functions of where the training stands."""

from __future__ import annotations

import math


def cosine(step: int, total: int, *, floor: float = 0.02) -> float:
    """From 1 at the first step down half a cosine to `floor` at the last.

    >>> cosine(0, 100), round(cosine(99, 100), 3)
    (1.0, 0.02)

    Source: Loshchilov and Hutter, "SGDR" (2017), one period without restarts.
    """
    done = step / max(1, total - 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def warmup(step: int, steps: int) -> float:
    """A straight line up to 1 over the first steps.

    >>> warmup(0, 4), warmup(3, 4), warmup(9, 4)
    (0.25, 1.0, 1.0)
    """
    return min(1.0, (step + 1) / max(1, steps))


def factor(schedule: str, step: int, total: int, warmup_steps: int, plateau: float) -> float:
    """What the learning rate is multiplied by; `plateau` is the product of all drops so far."""
    shape = {"cosine": cosine(step, total), "plateau": plateau, "constant": 1.0}[schedule]
    return warmup(step, min(warmup_steps, total // 10)) * shape

"""A drop-in and torch's own with the same weights."""

from __future__ import annotations

import torch

import elman.nn


def pair(kind: str, *sizes: int, **options: object) -> tuple[torch.nn.Module, torch.nn.Module]:
    """torch's layer or cell and ours, drawn from the same seed."""
    options = {"dtype": torch.float64, **options}
    made = []
    for module in (getattr(torch.nn, kind), getattr(elman.nn, kind)):
        torch.manual_seed(7)
        made.append(module(*(sizes or (3, 5)), **options))
    return made[0], made[1]


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def tuples(state: object) -> tuple[torch.Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)

"""What a layer in training draws: a seed for each layer, and where every number stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch

from elman.backends.call import SEEDS
from elman.cell import Cell
from elman.passes.randomness import STEPS_TAKEN, counts_steps

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = Mapping[str, Tensor]
SEED = "random seed"  # the key under which a state remembers what its sequence draws from


def remembered(cells: Sequence[Cell]) -> tuple[str, ...]:
    """What the state of a stack in training holds beside the cells' own states."""
    if not any(cell.random for cell in cells):
        return ()
    counts = any(counts_steps(cell.typed.cell) for cell in cells)
    is_free = not any(STEPS_TAKEN in cell.states for cell in cells)
    return (SEED, *((STEPS_TAKEN,) if counts and is_free else ()))


def seeds(before: Sequence[State], continued: bool) -> Tensor:
    """One for each direction of each layer: those of the sequence that goes on, else new ones."""
    known = [state[SEED][0, :1] for state in before if SEED in state and state[SEED].numel()]
    if continued and len(known) == len(before):
        return torch.cat(known)
    return torch.randint(SEEDS, (len(before),), device="cpu")


def words(state: State, seed: Tensor, lead: tuple[int, int], like: Tensor) -> dict[str, Tensor]:
    """The arrays that a draw is a function of, by the names of `passes.randomness.WORDS`.

    Half precision counts no further than 256: they are then float32.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    steps = torch.arange(lead[0], dtype=dtype, device=like.device)
    before = state.get(STEPS_TAKEN)
    if before is not None and before.numel():
        steps = steps + before.detach().to(dtype).max()  # of the longest sequence
    return {
        "random seed": seed.to(like.device, dtype),
        "random row": torch.arange(lead[1], dtype=dtype, device=like.device),
        "random step": steps,
    }


def after(
    names: Iterable[str], state: State, seed: Tensor, lead: tuple[int, int], like: Tensor
) -> dict[str, Tensor]:
    """What the state remembers behind these steps, (1, B) each."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    found = {}
    if SEED in names:
        found[SEED] = seed.to(like.device, dtype).repeat(1, lead[1])
    if STEPS_TAKEN in names:
        zero = torch.zeros(1, lead[1], dtype=dtype, device=like.device)
        found[STEPS_TAKEN] = state.get(STEPS_TAKEN, zero) + lead[0]
    return found

"""What a layer in training draws: a seed for each layer, and where every number stands."""

from __future__ import annotations

from typing import TypeAlias

import torch

from elman.backends.call import SEEDS
from elman.cell import Cell
from elman.passes.randomness import STEPS_TAKEN, counts_steps

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Tensor]
SEED = "random seed"  # the key under which a state remembers what its sequence draws from


def remembered(cell: Cell) -> tuple[str, ...]:
    """What the state of a layer in training holds beside the cell's own states."""
    if not cell.random:
        return ()
    return (SEED, *((STEPS_TAKEN,) if counts_steps(cell.typed.cell) else ()))


def seeds(state: State, num_layers: int, continued: bool) -> Tensor:
    """One for each layer: those of the sequence that goes on, else from torch's generator."""
    known = state.get(SEED)
    if continued and known is not None and known.shape[1]:
        return known[:, 0]
    return torch.randint(SEEDS, (num_layers,))


def words(state: State, layer: int, seed: Tensor, lead: tuple[int, int], like: Tensor) -> State:
    """The arrays that a draw is a function of, by the names of `passes.randomness.WORDS`.

    Half precision counts no further than 256: they are then float32.
    """
    dtype = torch.promote_types(like.dtype, torch.float32)
    steps = torch.arange(lead[0], dtype=dtype, device=like.device)
    before = state.get(STEPS_TAKEN)
    if before is not None and before.shape[1]:
        steps = steps + before[layer].detach().to(dtype).max()  # of the longest sequence
    return {
        "random seed": seed.to(like.device, dtype),
        "random row": torch.arange(lead[1], dtype=dtype, device=like.device),
        "random step": steps,
    }


def after(cell: Cell, state: State, used: Tensor, lead: tuple[int, int], like: Tensor) -> State:
    """What the state remembers behind these steps, (num_layers, B) each."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    shape = (len(used), lead[1])
    found = {SEED: used.to(like.device, dtype)[:, None].repeat(1, lead[1])}
    if STEPS_TAKEN in remembered(cell) and STEPS_TAKEN not in cell.states:
        zero = torch.zeros(shape, dtype=dtype, device=like.device)
        found[STEPS_TAKEN] = state.get(STEPS_TAKEN, zero) + lead[0]
    return found

"""Layers whose sequences end before the last step, or begin anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch

from elman.backends.masks import check_lengths, check_reset
from elman.nn.counted import is_seen
from elman.nn.layers import Layer, Stack, Tensors, started
from elman.passes.masking import ANEW, MASKS, WITHIN, masked

Tensor: TypeAlias = torch.Tensor
NO_STATES: Mapping[str, Tensor] = {}
Kind = tuple[bool, bool]  # whether a kernel knows of lengths, and of resets


@dataclass(frozen=True)
class Masks:
    """Which steps count, and before which one a sequence begins anew: (T, B) of True and False."""

    steps: int
    ends: Tensor | None  # how many steps of each sequence count
    anew: Tensor | None
    lengths: np.ndarray[Any, Any] | None = None  # the same, where there are numbers to look at

    @property
    def kind(self) -> Kind:
        """What the kernels must know: the first step's resets change only what they start from."""
        return self.ends is not None, self.anew is not None and len(self.anew) > 1

    @property  # no cached one: torch.compile traces none
    def within(self) -> Tensor:
        """Which steps count."""
        assert self.ends is not None
        return _within(self.steps, self.ends)

    def cleared(self, inputs: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
        """The inputs, of which one, (T, B, size), is 0 behind the lengths whatever it holds."""
        if self.ends is None or name not in inputs:
            return {**inputs}
        return {**inputs, name: torch.where(self.within[:, :, None], inputs[name], 0)}

    def words(self, layer: Layer, like: Tensor) -> dict[str, Tensor]:
        """The streams of `passes.masking` that a layer reads, by their names, in its dtype."""
        found = {}
        for name in MASKS:
            if name in layer.names:
                mask = self._beginning() if name == ANEW.attr.name else self._over(name)
                found[name] = mask.to(like.dtype)
        return found

    def _over(self, name: str) -> Tensor:
        over = next(over for over, n in WITHIN.items() if n.attr.name == name)
        return self.within if over == "tb" else self.within.any(1 if over == "t" else 0)

    def _beginning(self) -> Tensor:
        """Whether the next step begins a sequence."""
        assert self.anew is not None
        return torch.cat([self.anew[1:], torch.zeros_like(self.anew[:1])])

    def without(
        self, state: Mapping[str, Tensor], fresh: Mapping[str, Tensor] = NO_STATES
    ) -> dict[str, Tensor]:
        """The states given, (layers, B, size), fresh or 0 for what begins at the first step."""
        if self.anew is None:
            return {**state}
        begins = self.anew[0]
        return {
            key: torch.where(begins.reshape(-1, *[1] * (given.dim() - 2)), fresh.get(key, 0), given)
            for key, given in state.items()
        }

    def begun(
        self,
        stack: Stack,
        lead: tuple[int, int],
        arrays: Tensors,
        state: Mapping[str, Tensor],
    ) -> Mapping[str, Tensor]:
        """The states given, but as a fresh sequence has them where one begins at the first step."""
        if (
            self.anew is None or not state or torch.compiler.is_compiling()
        ):  # in a graph the node does it
            return state
        return self.without(state, started(stack, lead[1], arrays, state))


@dataclass(frozen=True)
class Marks:
    """What a caller says of where sequences end and begin; for a single step, without time."""

    lengths: Any = None
    reset: Any = None
    is_step: bool = False

    @property
    def is_said(self) -> bool:
        """Whether anything is said."""
        return self.lengths is not None or self.reset is not None

    def checked(
        self, lead: tuple[int, int], batched: bool, batch_first: bool, device: torch.device
    ) -> Masks:
        """The masks of these T steps of B sequences; E428 and E429 where there are none such."""
        ends = anew = seen = None
        if self.lengths is not None:
            given = self.lengths
            if _is_read(given, device):
                given = seen = check_lengths(given, lead, batched)
            ends = torch.as_tensor(given, device=device).reshape(-1)
        if self.reset is not None:
            anew = self._anew(lead, batched, batch_first, device)
        found = Masks(lead[0], ends, anew, seen)
        if ends is None or anew is None:
            return found
        # behind its length no sequence begins
        return replace(found, anew=anew & _within(lead[0], ends))

    def _anew(
        self, lead: tuple[int, int], batched: bool, batch_first: bool, device: torch.device
    ) -> Tensor:
        sizes = dict(zip("TB", lead, strict=True))
        axes = ("BT" if batch_first else "TB").replace("T" if self.is_step else " ", "")
        axes = axes if batched else axes.replace("B", "")
        shape = tuple(sizes[axis] for axis in axes)
        given = self.reset
        is_known = isinstance(given, torch.Tensor) and given.dtype is torch.bool
        is_known = is_known and given.shape == shape and not given.is_meta
        if not is_known and _is_read(given, device):
            check_reset(given, shape, axes)
        found = torch.as_tensor(given, device=device) != 0
        return (found.T if axes == "BT" else found).reshape(lead)


def _within(steps: int, ends: Tensor) -> Tensor:
    return torch.arange(steps, device=ends.device)[:, None] < ends


def _is_read(given: Any, device: torch.device) -> bool:
    """Whether there are numbers to look at: not while torch traces a call, and not on "meta"."""
    if device.type == "meta" and isinstance(given, torch.Tensor) and given.is_meta:
        return False
    return is_seen()


def with_masks(layer: Layer, kind: Kind) -> Layer:
    """The layer that reads the masks of this kind too."""
    cell = masked(layer.cell, (), lengths=kind[0], resets=kind[1])
    read = [name for name in MASKS if name in cell.names("constant")]
    return replace(layer, cell=cell, names=(*layer.names, *read))

"""Torch's packed sequences: step behind step, of each those sequences that have it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from elman.errors import ShapeProblem
from elman.nn.layers import Lead, Tensor
from elman.nn.masked import Marks, Masks
from elman.nn.opaque import is_transformed


@dataclass(frozen=True, eq=False)
class Packing:
    """How many sequences each step has: never more than the step before."""

    sizes: np.ndarray[Any, Any]

    @staticmethod
    def of(packed: PackedSequence) -> Packing:
        """That of a packed sequence."""
        return Packing(packed.batch_sizes.numpy())

    def is_of(self, data: Tensor) -> bool:
        """Whether these are the numbers of sequences of this data."""
        falls = bool((self.sizes[1:] <= self.sizes[:-1]).all()) and bool(self.sizes[-1] > 0)
        return falls and int(self.sizes.sum()) == len(data)

    @property
    def lead(self) -> Lead:
        """The number of steps and of sequences."""
        return len(self.sizes), int(self.sizes[0])

    @functools.cached_property
    def places(self) -> Tensor:
        """Where each row of the data lies among the steps of all sequences, T * B."""
        before = np.cumsum(self.sizes) - self.sizes
        shift = np.arange(len(self.sizes)) * self.lead[1] - before
        return torch.from_numpy(np.repeat(shift, self.sizes) + np.arange(self.sizes.sum()))

    @functools.cached_property
    def lengths(self) -> np.ndarray[Any, Any]:
        """How many steps each sequence has."""
        return np.searchsorted(-self.sizes, -np.arange(self.lead[1]))

    def masks(self) -> Masks:
        """The same as what a layer is told of lengths."""
        return Masks(self.lead[0], torch.from_numpy(self.lengths), None, self.lengths)

    def padded(self, data: Tensor) -> Tensor:
        """(T, B, ...), 0 behind the end of each sequence."""
        if is_transformed():
            return _padded(data, self)
        found: Tensor = _Padded.apply(data, self)
        return found

    def packed(self, whole: Tensor) -> Tensor:
        """The data of (T, B, ...)."""
        if is_transformed():
            return _packed(whole, self)
        found: Tensor = _Packed.apply(whole, self)
        return found


def _padded(data: Tensor, packing: Packing) -> Tensor:
    steps, rows = packing.lead
    found = data.new_zeros((steps * rows, *data.shape[1:]))
    found.index_copy_(0, packing.places, data)
    return found.view(steps, rows, *data.shape[1:])


def _packed(whole: Tensor, packing: Packing) -> Tensor:
    return whole.reshape(-1, *whole.shape[2:]).index_select(0, packing.places)


def through(
    given: PackedSequence,
    batch_first: bool,
    marks: Marks,
    run: Callable[[Tensor, Any], tuple[Any, ...]],
) -> tuple[Any, ...]:
    """What `run(x, lengths)` gives for the padded sequences, in the order that was packed.

    Its output, or each of several, is packed again.
    """
    if marks.is_said:
        raise ShapeProblem(
            "E234",
            "a packed sequence with lengths or reset",
            rule="It is packed by its lengths.",
            fix="Pass the padded input: layer(x, lengths=lengths, reset=reset).",
        )
    packing = Packing.of(given)
    whole, lengths = _unpacked(given, packing)
    output, *more = run(whole.transpose(0, 1) if batch_first else whole, lengths)
    each = output if isinstance(output, tuple) else (output,)
    ahead = [o.transpose(0, 1) if batch_first else o for o in each]
    packs = tuple(_packed_as(given, packing, o) for o in ahead)
    return packs if isinstance(output, tuple) else packs[0], *more


def _unpacked(given: PackedSequence, packing: Packing) -> tuple[Tensor, np.ndarray[Any, Any]]:
    """(T, B, ...) and the lengths of the sequences, in the order that was packed."""
    back = given.unsorted_indices
    whole, lengths = packing.padded(given.data), packing.lengths
    if back is None:
        return whole, lengths
    return whole.index_select(1, back), lengths[back.cpu().numpy()]


def _packed_as(given: PackedSequence, packing: Packing, whole: Tensor) -> PackedSequence:
    """(T, B, ...) packed as another."""
    order = given.sorted_indices
    data = packing.packed(whole if order is None else whole.index_select(1, order))
    return PackedSequence(data, given.batch_sizes, order, given.unsorted_indices)


class _Padded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, data: Tensor, packing: Packing) -> Tensor:  # type: ignore[override]
        ctx.packing = packing
        return _padded(data, packing)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        return ctx.packing.packed(grad), None


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, packing: Packing) -> Tensor:  # type: ignore[override]
        ctx.packing = packing
        return _packed(whole, packing)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        return ctx.packing.padded(grad), None

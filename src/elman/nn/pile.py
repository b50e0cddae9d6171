"""A batch of sequences of several lengths as a pile of dense pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch

from elman.nn.cuts import Piece, shortened
from elman.nn.layers import Lead, Tensor
from elman.nn.remat import block_length

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Pile:
    """Sequences ordered by length, longest first, and the pieces that they are cut into."""

    lead: Lead
    order: Tensor | None  # None where they are in order
    pieces: tuple[Piece, ...]

    @staticmethod
    def of(lengths: Array, pieces: Sequence[Piece], lead: Lead) -> Pile:
        """The pile of T steps of sequences of these lengths, cut into these pieces."""
        order = np.argsort(-lengths, kind="stable")
        is_ordered = bool((order[1:] > order[:-1]).all())
        return Pile(lead, None if is_ordered else torch.from_numpy(order), tuple(pieces))

    def in_blocks(self, remat: int | None) -> Pile:
        """The pieces cut into the blocks that are run again to go back, if any are."""
        if remat is None:
            return self
        steps = [block_length(remat, piece.lead) for piece in self.pieces]
        return replace(self, pieces=tuple(shortened(self.pieces, steps)))

    @cached_property
    def _rows(self) -> dict[int, Tensor]:
        assert self.order is not None
        return {p.rows: self.order[: p.rows] for p in self.pieces}

    def take(self, whole: Tensor, piece: Piece) -> Tensor:
        """A piece of what varies over time and sequences."""
        steps = whole[piece.steps]
        if self.order is None:
            return steps[:, : piece.rows].contiguous()
        return steps.index_select(1, self._rows[piece.rows])

    def put(self, whole: Tensor, piece: Piece, values: Tensor) -> None:
        """Write a piece to its place."""
        steps = whole[piece.steps]
        if self.order is None:
            steps[:, : piece.rows] = values
        else:
            steps.index_copy_(1, self._rows[piece.rows], values)

    def ordered(self, tensor: Tensor, axis: int) -> Tensor:
        """The sequences along an axis, longest first."""
        return tensor if self.order is None else tensor.index_select(axis, self.order)

    def as_given(self, tensor: Tensor, axis: int) -> Tensor:
        """The same in the order in which they were given."""
        if self.order is None:
            return tensor
        return torch.empty_like(tensor).index_copy_(axis, self.order, tensor)

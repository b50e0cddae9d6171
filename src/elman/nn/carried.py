"""The state of a layer that is run step by step: from one step to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from elman.errors import ShapeProblem
from elman.nn.driven import Composed, along, is_drawing, kept_rows, kind_of, states_of
from elman.nn.torch_options import WithOptions

Tensor: TypeAlias = torch.Tensor


def remembering(layer: Any, state: Any) -> Any:
    """A state in the form in which steps hand it on: of a drop-in that draws, by name."""
    return layer.by_name(state) if is_drawing(layer) else state


def forgetting(layer: Any, state: Any) -> Any:
    """The inverse: a state in the layer's own form."""
    is_named = isinstance(layer, WithOptions) and isinstance(state, Mapping)
    return layer.by_place(state) if is_named else state


def kept(layer: Any, within: Tensor, after: Any, before: Any) -> Any:
    """The state after a step, of the sequences (B) within; of others as it was, 0 where None."""
    if isinstance(layer, Composed):
        triples = zip(layer.layers, after, states_of(layer, before), strict=True)
        return tuple(kept(each, within, *pair) for each, *pair in triples)
    return kept_rows(within, after, before, kind_of(layer).axis)


def rows_of(layer: Any, state: Any) -> int | None:
    """How many sequences a state holds; None where there is no state."""
    counts: list[int] = []

    def count(tensor: Tensor, axis: int) -> Tensor:
        if tensor.dim() < axis + 2:
            rule = "It is (layers, B, size), or of a cell (B, size)."
            raise ShapeProblem("E213", f"a state is {tuple(tensor.shape)}", rule=rule)
        counts.append(tensor.shape[axis])
        return tensor

    along(layer, state, count)
    return next(iter(counts), None)

"""What is to be seen of every step beside the output: states and gates, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from elman.nn.passage import Outputs
from elman.nn.rungs import Rung


def seen_of(
    rungs: Sequence[Rung], names: Sequence[str], given: Sequence[Outputs], form: tuple[bool, bool]
) -> dict[str, Any]:
    """(layers * directions, T, B, size) by name; a tuple by layer where these differ in size.

    `form` says whether there is a batch, and whether it comes first.
    """
    directions = 2 if rungs[-1].is_reverse else 1
    found = {}
    for name in names:
        each = []
        for rung, outputs in zip(rungs, given, strict=True):
            one = outputs[rung.average.cell.returns.index(name)]
            one = one if form[0] else one.squeeze(1)
            each.append(one.transpose(0, 1) if all(form) else one)
        if all(one.shape == each[0].shape for one in each):
            found[name] = torch.stack(each) if len(each) > 1 else each[0][None]
        else:
            starts = range(0, len(each), directions)
            found[name] = tuple(torch.stack(each[k : k + directions]) for k in starts)
    return found


def first_step(seen: Any) -> Any:
    """What is seen of a step of its own, without an axis of time."""
    return tuple(each[:, 0] for each in seen) if isinstance(seen, tuple) else seen[:, 0]

"""What all peers that are torch modules share: their call, and the gradients by Elman's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from elman.bench.case import Arrays
from elman.bench.job import Cannot, Job, Ready

Tensor: TypeAlias = torch.Tensor
Outputs: TypeAlias = Sequence[Tensor]


def ready(
    job: Job,
    run: Callable[[], tuple[Outputs, Any]],
    learned: Mapping[str, Tensor],
    named: Callable[[Arrays], Arrays] | None = None,
    note: str = "",
) -> Ready:
    """`run` gives the outputs, then what else the module has; `learned` wants gradients.

    `named` turns the gradients under the peer's own names into those of the cell's weights.
    """
    names = job.cell.returns
    if not job.case.is_training:

        def forward() -> Any:
            with torch.no_grad():
                return run()

        return Ready(forward, lambda found: _arrays(names, found[0]), note)
    wanted = list(learned.values())
    above = [torch.from_numpy(job.given.cotangents[name]) for name in names]

    def step() -> Any:
        outputs, _ = run()
        return outputs, gradients_of(outputs, wanted, above)

    def arrays(found: Any) -> Arrays:
        pairs = zip(learned, found[1], strict=True)
        own = {name: g.numpy() for name, g in pairs}
        gradients = own if named is None else named(own)
        return _arrays(names, found[0]) | {f"d_{name}": g for name, g in gradients.items()}

    return Ready(step, arrays, note)


def gradients_of(outputs: Outputs, wanted: list[Tensor], above: list[Tensor]) -> Outputs:
    """The gradients of what is wanted, zeros where none arrives."""
    live = [(o, a) for o, a in zip(outputs, above, strict=True) if o.requires_grad]
    if not live:
        raise Cannot("no gradient leaves its outputs")
    roots, cotangents = zip(*live, strict=True)
    found = torch.autograd.grad(roots, wanted, cotangents, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)]


def _arrays(names: Sequence[str], outputs: Outputs) -> Arrays:
    return {name: o.detach().numpy() for name, o in zip(names, outputs, strict=True)}


def leaf(array: Any, learned: bool) -> Tensor:
    """A tensor of an array, which may want a gradient."""
    return torch.from_numpy(array.copy()).requires_grad_(learned)

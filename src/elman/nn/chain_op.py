"""The sum over paths as one operation of torch.compile, which would unroll its loop over time."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from elman.nn import chain
from elman.nn.chain import Chain

Tensor: TypeAlias = torch.Tensor
SCORES = "Tensor emissions, Tensor start, Tensor transitions, Tensor end, Tensor? lengths"


@torch.library.custom_op("elman::log_partition", mutates_args=(), schema=f"({SCORES}) -> Tensor")
def log_partition(*given: Tensor) -> Tensor:
    """The logarithm of the sum over all paths, (B)."""
    with torch.no_grad():
        return chain.log_partition(Chain(*given))


@torch.library.custom_op(
    "elman::log_partition_backward",
    mutates_args=(),
    schema=f"(Tensor weights, {SCORES}) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _backward(weights: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
    leaves = [score.detach().requires_grad_() for score in given[:4]]
    with torch.enable_grad():
        total = chain.log_partition(Chain(*leaves, *given[4:]))
    return torch.autograd.grad(total, leaves, weights)


@log_partition.register_fake
def _shape(emissions: Tensor, *others: Any) -> Tensor:
    return emissions.new_empty(emissions.shape[1])


@_backward.register_fake
def _shapes(weights: Tensor, *given: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(score) for score in given[:4])


def _keep(ctx: Any, inputs: Any, output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, weights: Tensor) -> Any:
    return *_backward(weights, *ctx.saved_tensors), None


log_partition.register_autograd(_gradients, setup_context=_keep)

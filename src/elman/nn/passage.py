"""What runs through layers of one or two directions, and what happens between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeAlias

import torch

from elman.errors import ShapeProblem
from elman.nn.layers import Lead, Tensor
from elman.nn.masked import Masks
from elman.nn.opaque import is_transformed

Outputs: TypeAlias = tuple[Tensor, ...]
Run: TypeAlias = Callable[[Any], Outputs]  # a direction of a layer: what it gives for what it reads


@dataclass(frozen=True, eq=False)
class Turn:
    """Time reversed, of each sequence as far as it goes."""

    order: Tensor | None  # of the (T * B) steps of all sequences; None where all are as long

    @staticmethod
    def of(lead: Lead, masks: Masks | None) -> Turn:
        """That of T steps of B sequences."""
        if masks is None or masks.ends is None:
            return Turn(None)
        steps = torch.arange(lead[0], device=masks.ends.device)[:, None]
        ends = masks.ends.to(steps.dtype)
        turned = torch.where(steps < ends, ends - 1 - steps, steps)
        return Turn((turned * lead[1] + torch.arange(lead[1], device=steps.device)).reshape(-1))

    def __call__(self, whole: Tensor) -> Tensor:
        """(T, B, ...) from its other end; a second turn gives it back."""
        if self.order is None:
            return whole.flip(0)
        return turned(whole, self.order)

    def masks(self, masks: Masks) -> Masks:
        """What a layer is told that reads from the other end: what ended a part now begins it."""
        if masks.anew is None:
            return masks
        steps = torch.arange(masks.steps, device=masks.anew.device)[:, None]
        behind = masks.anew.roll(-1, 0) & (steps + 1 < masks.steps)  # for any number of steps
        return replace(masks, anew=self(behind))


def turned(whole: Tensor, order: Tensor) -> Tensor:
    """Each step from the place that `order` says, (T * B)."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return _picked(whole, order)
    found: Tensor = _Turned.apply(whole, order)
    return found


def _picked(whole: Tensor, order: Tensor) -> Tensor:
    return whole.reshape(-1, *whole.shape[2:]).index_select(0, order).view(whole.shape)


class _Turned(torch.autograd.Function):
    """Each step goes to a place of its own, so that the gradient is picked and not added up."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, order: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(order)
        ctx.save_for_forward(order)
        return _picked(whole, order)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        return turned(grad, ctx.saved_tensors[0]), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:  # type: ignore[override]
        return _picked(tangent, ctx.saved_tensors[0])


class LayerNorm(torch.nn.LayerNorm):
    """torch's own, but under transforms: its jvp of jvp and its third derivatives are wrong."""

    def forward(self, input: Tensor) -> Tensor:
        """The input (..., size) with mean 0 and variance 1, times the weight, plus the bias."""
        if torch.compiler.is_compiling() or not is_transformed():
            return super().forward(input)
        wide = input.to(torch.promote_types(input.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, -1, correction=0, keepdim=True)
        found: Tensor = (wide - mean) / torch.sqrt(variance + self.eps)
        found = found if self.weight is None else found * self.weight
        return (found if self.bias is None else found + self.bias).to(input.dtype)


@dataclass(frozen=True)
class Passage:
    """What happens before, between and behind layers."""

    norms: Sequence[torch.nn.Module] = ()  # of what each layer reads; none at all, or one a layer
    residual: bool = False

    def through(
        self,
        x: Tensor | None,
        layers: Sequence[Sequence[Run]],
        drop: Callable[[Tensor], Tensor] | None = None,
    ) -> Outputs:
        """What the last layer gives; `drop` is what befalls the output of all others."""
        below = x
        outputs: Outputs = ()
        for k, directions in enumerate(layers):
            read = self.norms[k](below) if self.norms else below
            first, *others = joined([run(read) for run in directions])
            if drop is not None and k + 1 < len(layers):
                first = drop(first)
            if self.residual and below is not None and first.shape == below.shape:
                first = first + below
            below = first
            outputs = (first, *others)
        return outputs


def is_dropping(layer: Any) -> bool:
    """Whether the dropout between the layers of a stack acts.

    The probability is looked at last: torch.compile traces a module anew that a float is read of.
    """
    return bool(layer.num_layers > 1 and layer.training and layer.dropout > 0)


def check_residual(widths: Sequence[int]) -> None:
    """E219 where no layer can add its input to its output: what each reads, and what comes out."""
    if all(a != b for a, b in pairwise(widths)):
        raise ShapeProblem(
            "E219",
            f"residual=True, and no layer has as many inputs as outputs: {list(widths)}",
            rule="A layer adds its input to its output where both have one size.",
            fix=f"Pass hidden_size={widths[0]}, or stack layers of one size.",
        )


def joined(directions: Sequence[Outputs]) -> Outputs:
    """What the directions of a layer give, side by side."""
    if len(directions) == 1:
        return directions[0]
    return tuple(torch.cat(both, dim=-1) for both in zip(*directions, strict=True))

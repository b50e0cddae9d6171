"""Training that keeps the states between blocks of time, and runs each block again to go back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from elman.nn.frozen import pack_back, pack_layers, starts
from elman.nn.kernels import addresses_of, kernels_of
from elman.nn.layers import Lead, Stack, Tensor, Tensors, differentiated
from elman.nn.opaque import is_derived

Block: TypeAlias = slice  # the steps of a block
ROWS = 512  # steps times sequences that the kernels have at once, and a block at least


def block_length(remat: int, lead: Lead) -> int:
    """The steps of a block: as asked for, else so many that states and blocks take as much.

    >>> block_length(7, (100, 32)), block_length(0, (100, 32)), block_length(0, (1000, 32))
    (7, 15, 31)
    """
    steps, rows = lead
    if remat:
        return min(remat, steps)
    wished = min(steps, max(-(-ROWS // rows), math.isqrt(steps)))
    return -(-steps // -(-steps // wished))  # all of nearly one length


def blocks(stack: Stack, lead: Lead) -> list[Block]:
    """The blocks of a call, first to last."""
    length = block_length(stack.remat or 0, lead)
    return [slice(k, min(k + length, lead[0])) for k in range(0, lead[0], length)]


class Rematerialized(torch.autograd.Function):
    """The kernels of a stack as one differentiable operation that keeps no more than it must."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, stack: Stack, lead: Lead, *given: Tensor | None
    ) -> tuple[Tensor, ...]:
        outputs, states = _forward(stack, lead, given)
        between = [tensor for state in states[:-1] for tensor in state]
        ctx.stack, ctx.lead = stack, lead
        ctx.save_for_backward(*given, *between)
        ctx.set_materialize_grads(False)
        return (*outputs, *states[-1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        stack, lead, saved, needed = ctx.stack, ctx.lead, ctx.saved_tensors, ctx.needs_input_grad
        find = differentiated if is_derived(grads) else _backward
        return (None, None, *find(stack, lead, saved, grads, needed[2:]))


def _forward(
    stack: Stack, lead: Lead, given: Tensors
) -> tuple[list[Tensor], list[Sequence[Tensor]]]:
    """Outputs, and the states behind every block."""
    kernels, steps = kernels_of(stack, given), blocks(stack, lead)
    packed = pack_layers(kernels, addresses_of(given)) if len(steps) > 1 else None
    weights = None if packed is None else starts(packed)
    outputs: list[Tensor] = []
    held: list[Tensor] = []  # all states in one block: singly they would break up freed memory
    states: list[Sequence[Tensor]] = []
    before: Tensors = given[stack.first_state :]
    for number, block in enumerate(steps):
        part = _part(stack, block, given, before)
        own = (block.stop - block.start, lead[1])
        found, after, _, _ = kernels.forward(own, part, addresses_of(part), False, weights)
        if len(steps) == 1:
            return found, [after]
        outputs = outputs or [each.new_empty((lead[0], *each.shape[1:])) for each in found]
        held = held or [each.new_empty((len(steps), *each.shape)) for each in after]
        for whole, each in zip(outputs, found, strict=True):
            whole[block] = each
        for whole, each in zip(held, after, strict=True):
            whole[number] = each
        before = [whole[number] for whole in held]
        states.append(before if number + 1 < len(steps) else after)
    return outputs, states


def _backward(
    stack: Stack, lead: Lead, saved: Tensors, grads: Tensors, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of what was given: block by block, the last first."""
    kernels, steps = kernels_of(stack, saved), blocks(stack, lead)
    given, first, count = saved[: stack.count], stack.first_state, len(stack.returns)
    pairs = (pack_layers, pack_back) if len(steps) > 1 else ()
    packed = [pack(kernels, addresses_of(given)) for pack in pairs] or [None, None]
    there, back = (None if arrays is None else starts(arrays) for arrays in packed)
    found: list[Tensor | None] = [None] * stack.count
    behind: Tensors = grads[count:]
    width = len(behind)
    for number in reversed(range(len(steps))):
        block, end = steps[number], stack.count + number * width
        part = _part(stack, block, given, saved[end - width : end])
        own = (block.stop - block.start, lead[1])
        _, _, kept, plan = kernels.forward(own, part, addresses_of(part), True, there)
        above = [grad if grad is None else grad[block] for grad in grads[:count]]
        wanted = (*needed[:first], *[True] * width) if number else tuple(needed)
        gradients = kernels.backward(plan, [*part, *kept], [*above, *behind], wanted, back)
        del kept
        _collect(found, gradients[:first], block, stack, given)
        behind = gradients[first:]
    return [*found[:first], *behind]


def _collect(
    found: list[Tensor | None], gradients: Tensors, block: Block, stack: Stack, given: Tensors
) -> None:
    """Put a block's gradients where its steps are, or add them to those of the blocks behind."""
    for k, gradient in enumerate(gradients):
        whole, tensor = found[k], given[k]
        if gradient is None or tensor is None:
            continue
        if "t" in stack.over[k] and gradient.shape != tensor.shape:
            if whole is None:
                whole = found[k] = torch.empty_like(tensor)
            whole[block] = gradient
        elif whole is None:
            found[k] = gradient
        else:
            whole += gradient


def _part(stack: Stack, block: Block, given: Tensors, before: Tensors) -> list[Tensor | None]:
    """What a block is given: its steps, the weights, and the states before it."""
    pairs = zip(given[: stack.first_state], stack.over, strict=False)
    part = [t if t is None or "t" not in over else t[block] for t, over in pairs]
    return [*part, *before]

"""Layers inside torch.compile and torch.export: one node of the graph, whatever the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from elman.backends import c_compile
from elman.errors import BackendProblem
from elman.nn.calls import DTYPES
from elman.nn.layers import Lead, Stack, Tensor, Tensors, while_compiling

if TYPE_CHECKING:
    from elman.nn.masked import Masks

Found: TypeAlias = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
is_batched = torch._C._functorch.is_legacy_batchedtensor  # of is_grads_batched; not torch.func's


def run(stack: Stack, lead: Lead, given: Tensors, masks: Masks | None = None) -> Found:
    """What a stack returns and its final states, as `fused.run_stack` and `piled.run_masked`."""
    if is_transformed():  # where torch.compile may break the graph, it runs this outside of one
        raise BackendProblem(
            "E823",
            "a layer within torch.func or forward-mode differentiation is no part of a graph",
            rule="In a graph it is one node, which has no rule for such transforms.",
            fix="Call torch.compile without fullgraph=True, or export the layer alone.",
        )
    present = [tensor.contiguous() for tensor in given if tensor is not None]
    places = [tensor is not None for tensor in given]
    is_learned = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in present)
    keep = False  # what the kernels keep: else the backward pass runs the layers again
    if is_learned and masks is None and stack.is_fresh and not torch.compiler.is_exporting():
        first = present[0]
        keep = first.device.type == "cpu" and first.dtype in DTYPES and compiles()
    ends = anew = None
    if masks is not None:
        ends, anew = masks.ends, masks.anew
    found = torch.ops.elman.run(stack.text(), *lead, present, places, ends, anew, keep)
    returned = len(stack.returns)
    behind = returned + len(stack.states)
    return tuple(found[:returned]), tuple(found[returned:behind])


def run_alike(stack: Stack, lead: Lead, given: Tensors) -> Found | None:
    """The same; None for tensors of several dtypes or devices, for which torch has words."""
    first = next(tensor for tensor in given if tensor is not None)
    if any(t is not None and (t.dtype, t.device) != (first.dtype, first.device) for t in given):
        return None
    return run(stack, lead, given)


def is_transformed() -> bool:
    """Whether torch makes another function of what is called."""
    level: int = torch.autograd.forward_ad._current_level
    return level >= 0 or torch._C._are_functorch_transforms_active()


def is_derived(grads: Tensors) -> bool:
    """Whether a backward pass is differentiated again, or transformed: many gradients at once."""
    if torch.is_grad_enabled() or is_transformed():
        return True
    for grad in grads:  # noqa: SIM110 (a generator is slower)
        if grad is not None and is_batched(grad):
            return True
    return False


@while_compiling
def compiles() -> bool:
    """Whether there are compiled kernels at all."""
    return c_compile.trouble() is None


def shapes_of(stack: Stack, lead: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The shapes of what a stack returns, and of its final states."""
    last, cell = stack.layers[-1], stack.layers[-1].cell
    found = [(*lead, *last.shape(cell.value(name).shape or ())) for name in cell.returns]
    return found + [(len(stack.layers), lead[1], *last.tails[key]) for key in stack.states]

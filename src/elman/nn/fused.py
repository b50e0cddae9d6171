"""The compiled kernels behind torch's autograd: a Function that saves the kernels' own buffers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from elman.backends import c_compile
from elman.nn import autocast, opaque
from elman.nn.autocast import lowered
from elman.nn.calls import DTYPES, HALF
from elman.nn.frozen import Frozen, Held
from elman.nn.kernels import addresses_of, kernels_of
from elman.nn.layers import (
    Lead,
    Stack,
    Tensor,
    Tensors,
    composite,
    differentiated,
    started,
)
from elman.nn.opaque import is_derived, is_transformed
from elman.nn.remat import Rematerialized

Found = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
PLAIN = (torch.Tensor, torch.nn.Parameter)  # other classes of tensors have ways of their own
STRIDED = torch.strided
is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # also one that outlives its transform


def why_not(tensors: Tensors) -> str | None:
    """Why the compiled kernels cannot serve these tensors here and now, or None."""
    return why_not_these(tensors) or why_not_now()


def explained(weights: Tensors, is_frozen: bool, *facts: str) -> str:
    """Which backend serves a layer with these weights, and why not another; then what else is so.

    Under torch.autocast a frozen layer's weights are not those that were packed.
    """
    first = next((tensor for tensor in weights if tensor is not None), None)
    dtype = None if first is None else first.dtype
    reason, cast = why_not(weights), ""
    if first is not None and reason is None and autocast.is_on() and autocast.lowers(first):
        dtype = torch.get_autocast_dtype(first.device.type)
        cast, is_frozen = " by torch.autocast", False
        if dtype not in DTYPES:
            reason = f"dtype {dtype}{cast}: the c backend has float32, float64 and bfloat16"
    if reason is not None:
        return "\n".join([f"torch: {reason}", *facts])
    half = f", products in bfloat16{cast}" if dtype is HALF else ""
    packed = ", weights packed once" if is_frozen else ""
    return "\n".join([f"c: compiled kernels{half}{packed}", *facts])


def why_not_these(tensors: Tensors) -> str | None:
    """Why the compiled kernels cannot serve these tensors, or None."""
    first: torch.dtype | None = None
    for tensor in tensors:
        if tensor is None:
            continue
        if type(tensor) not in PLAIN:
            return f"a tensor of the class {type(tensor).__name__}"
        if not tensor.is_cpu or tensor.layout is not STRIDED:
            return f"device {tensor.device}: the c backend has dense tensors on the CPU"
        if is_wrapped(tensor):
            return "a tensor of a torch.func transform"
        dtype = tensor.dtype
        if dtype not in DTYPES:
            return f"dtype {dtype}: the c backend has float32, float64 and bfloat16"
        if first not in (None, dtype):
            return "tensors of several dtypes"
        first = dtype
    return None


def why_not_now() -> str | None:
    """Why the compiled kernels cannot serve any call that is made now, or None."""
    if torch.compiler.is_compiling():
        return "inside torch.compile"
    if is_transformed():
        return "inside a torch.func transform or forward-mode differentiation"
    if torch._C._get_tracing_state() is not None:
        return "inside torch.jit.trace"
    if torch._C._len_torch_dispatch_stack():
        return "inside a mode that sees every operation"
    return c_compile.trouble()


def with_states(
    stack: Stack, lead: Lead, arrays: Tensors, state: Mapping[str, Tensor]
) -> list[Tensor | None]:
    """What the stack of a layer is given: its arrays, and the states before the first step."""
    initial = stack.layers[0].cell.initial
    if initial and not torch.compiler.is_compiling():  # in a graph the node does it
        missing = {key for key, _ in initial} - state.keys()
        state = {**started(stack, lead[1], arrays, missing), **state}
    return [*arrays, *map(state.get, stack.states)]


def run_stack(stack: Stack, lead: Lead, given: Tensors, frozen: Frozen | None = None) -> Found:
    """Outputs (T, B, size) in the order of the returns, final states (layers, B, size)."""
    if autocast.is_on():
        return lowered(_run_stack, stack, lead, given)
    return _run_stack(stack, lead, given, frozen)


def _run_stack(stack: Stack, lead: Lead, given: Tensors, frozen: Frozen | None = None) -> Found:
    found = None if 0 in lead else run_fused(stack, lead, given, frozen)
    if found is not None:
        return found
    otherwise = opaque.run if torch.compiler.is_compiling() else composite
    return otherwise(stack, lead, given)


def run_fused(
    stack: Stack, lead: Lead, given: Tensors, frozen: Frozen | None = None
) -> Found | None:
    """The same by the compiled kernels; None where they cannot serve, as `why_not` says."""
    dtype = None if given[0] is None else given[0].dtype
    if dtype not in DTYPES or why_not_now() is not None:
        return None
    found = addressed(given, stack.shapes, stack.words if dtype is HALF else ())
    if found is None:
        return None
    addresses, is_whole, is_learned = found
    held = None
    if frozen is not None and not (is_learned and torch.is_grad_enabled()):
        held = frozen.held(kernels_of(stack, given), given, addresses)
    if not is_whole:
        # before the Function, so that second derivatives know where the pieces come from
        given = [tensor if tensor is None else tensor.contiguous() for tensor in given]
        addresses = addresses_of(given)
    return _run(stack, lead, given, addresses, is_learned and torch.is_grad_enabled(), held)


def addressed(
    given: Tensors, shapes: Sequence[tuple[int, ...] | None], words: Collection[int] = ()
) -> tuple[list[int], bool, bool] | None:
    """Where the tensors lie, whether each in one piece, and whether any learns.

    None where a kernel cannot read them: of a wrong shape, dtype, class or place, or missing.
    `words`, which say what is drawn, are float32 beside bfloat16.
    """
    is_whole, is_learned, addresses = True, False, []
    dtype: Any = given[0].dtype  # type: ignore[union-attr]
    try:
        for tensor, shape in zip(given, shapes):  # noqa: B905 (a strict one is slower)
            if tensor is None:
                if shape:  # a weight that somebody took away, or half a state
                    return None
                addresses.append(0)
                continue
            if type(tensor) not in PLAIN or not tensor.is_cpu:
                return None
            if (tensor.dtype is not dtype or (shape and tensor.shape != shape)) and not (
                len(addresses) in words and tensor.dtype is torch.float32
            ):
                return None
            if not tensor.is_contiguous():
                is_whole = False
            if tensor.requires_grad:
                is_learned = True
            addresses.append(tensor.data_ptr())
    except RuntimeError:  # what is not dense, or outlives a transform, has no address
        return None
    return addresses, is_whole, is_learned


def _run(
    stack: Stack,
    lead: Lead,
    given: Tensors,
    addresses: list[int],
    is_learned: bool,
    held: Held | None,
) -> Found:
    """One differentiable operation, or none; without one, on weights that may be packed already."""
    if not is_learned:
        packed = None if held is None else held.packed
        kernels = kernels_of(stack, given)
        outputs, finals, _, _ = kernels.forward(lead, given, addresses, False, packed)
        return tuple(outputs), tuple(finals)
    if stack.remat is None:
        found = apply(stack, lead, addresses, *given)
    else:
        found = rematerialized(stack, lead, *given)
    count = len(stack.returns)
    return found[:count], found[count:]


class Fused(torch.autograd.Function):
    """The forward and backward kernels of a stack as one differentiable operation."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, stack: Stack, lead: Lead, addresses: list[int], *given: Tensor | None
    ) -> tuple[Tensor, ...]:
        kernels = kernels_of(stack, given)
        outputs, finals, kept, plan = kernels.forward(lead, given, addresses, True)
        if stack.apart:
            outputs = [output.clone() for output in outputs]
        ctx.kernels, ctx.plan = kernels, plan
        ctx.save_for_backward(*given, *kept)
        ctx.set_materialize_grads(False)
        return (*outputs, *finals)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        kernels, plan = ctx.kernels, ctx.plan
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad[3:]
        if is_derived(grads):
            return (
                None,
                None,
                None,
                *differentiated(kernels.stack, plan.lead, saved, grads, needed),
            )
        return (None, None, None, *kernels.backward(plan, saved, grads, needed))


# what Function.apply does outside of transforms, without its search for tensors that outlive one
apply = super(torch.autograd.Function, Fused).apply
rematerialized = super(torch.autograd.Function, Rematerialized).apply


def pack(frozen: Frozen, stack: Stack, given: Tensors) -> None:
    """Pack the weights among these tensors; inputs and states may be missing."""
    weights = [tensor for tensor in given if tensor is not None]
    if weights and why_not(weights) is None:
        frozen.held(kernels_of(stack, weights), given, addresses_of(given))

"""The operations `elman::run` and `elman::run_backward` of torch's graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from elman.backends.masks import check_lengths
from elman.nn.fused import run_stack, with_states
from elman.nn.kernels import addresses_of, kernels_of
from elman.nn.layers import Lead, Stack, Tensor, Tensors, apart, pulled_back, stack_from
from elman.nn.masked import Masks
from elman.nn.opaque import shapes_of
from elman.nn.piled import run_masked

# `present` says which of the stack's tensors the given ones are: autograd sees no list with gaps
CALL = "str made_of, SymInt steps, SymInt rows, Tensor[] given, bool[] present, "
CALL += "Tensor? ends, Tensor? anew"


@torch.library.custom_op("elman::run", mutates_args=(), schema=f"({CALL}, bool keep) -> Tensor[]")
def run(
    made_of: str,
    steps: int,
    rows: int,
    present: Sequence[Tensor],
    is_present: Sequence[bool],
    ends: Tensor | None,
    anew: Tensor | None,
    keep: bool,
) -> list[Tensor]:
    """What a stack returns, its final states, and what its backward kernels are to be given."""
    stack, lead, given = stack_from(made_of), (steps, rows), spread(present, is_present)
    if not keep:
        with torch.autocast(present[0].device.type, enabled=False):  # its casts are in the graph
            return _apart([*_run(stack, lead, given, ends, anew)])
    kernels, addresses = kernels_of(stack, given), addresses_of(given)
    outputs, finals, kept, _ = kernels.forward(lead, given, addresses, True)
    pool = given[0].new_empty(0) if kept[0] is None else kept[0]  # type: ignore[union-attr]
    if not kernels.is_apart:
        return [*outputs, *finals, pool]
    return [*(each.clone() for each in outputs), *finals, pool, *kept[1:]]  # type: ignore[list-item]


def _run(
    stack: Stack, lead: Lead, given: Tensors, ends: Tensor | None, anew: Tensor | None
) -> tuple[Tensor, ...]:
    """The same outside of a graph, from the first states on; autograd sees it."""
    masks = None
    if ends is not None or anew is not None:
        seen = None if ends is None else check_lengths(ends, lead, True)
        masks = Masks(lead[0], ends, anew, seen)
    if len(stack.layers) == 1 and (stack.layers[0].cell.initial or masks is not None):
        arrays = given[: stack.first_state]
        pairs = zip(stack.states, given[stack.first_state :], strict=True)
        own: Any = {key: tensor for key, tensor in pairs if tensor is not None}
        if masks is not None:
            own = masks.begun(stack, lead, arrays, own)
        given = with_states(stack, lead, arrays, own)
    if masks is None:
        outputs, finals = run_stack(stack, lead, given)
    else:
        outputs, finals = run_masked(stack, lead, given, masks)
    return *outputs, *finals


def _apart(tensors: list[Tensor]) -> list[Tensor]:
    """Each in one piece, and in memory of its own."""
    found: list[Tensor] = []
    for tensor in tensors:
        known = [each.untyped_storage().data_ptr() for each in found]
        whole = tensor.contiguous()
        is_own = whole.storage_offset() == 0 and whole.untyped_storage().data_ptr() not in known
        found.append(whole if is_own else whole.clone())
    return found


@run.register_fake
def _shapes(
    made_of: str, steps: Any, rows: Any, given: Any, present: Any, ends: Any, anew: Any, keep: bool
) -> list[Tensor]:
    stack = stack_from(made_of)
    shapes = shapes_of(stack, (steps, rows))
    if keep:
        shapes += kernels_of(stack, given).kept_shapes((steps, rows))
    return [given[0].new_empty(shape) for shape in shapes]


@torch.library.custom_op(
    "elman::run_backward",
    mutates_args=(),
    schema=f"({CALL}, Tensor[] kept, Tensor?[] grads, bool[] needed) -> Tensor[]",
)
def run_backward(
    made_of: str,
    steps: int,
    rows: int,
    present: Sequence[Tensor],
    is_present: Sequence[bool],
    ends: Tensor | None,
    anew: Tensor | None,
    kept: Sequence[Tensor],
    grads: Tensors,
    is_needed: Sequence[bool],
) -> list[Tensor]:
    """The gradients of those given tensors that need one."""
    stack, lead, given = stack_from(made_of), (steps, rows), spread(present, is_present)
    needed = [need is True for need in spread(is_needed, is_present)]
    if not kept:
        # autograd is off within an operation, and is needed to run the layers again
        seen = torch._C.DispatchKey.AutogradFunctionality
        device = present[0].device.type
        with (
            torch._C._SetExcludeDispatchKeyGuard(seen, False),
            torch.autocast(device, enabled=False),
        ):
            return _again(stack, lead, given, ends, anew, grads, needed, False)
    kernels = kernels_of(stack, given)
    plan = kernels.planned(lead, given, True)
    found = kernels.backward(plan, [*given, *kept], grads, tuple(needed))
    return [each for each in found if each is not None]


@run_backward.register_fake
def _gradient_shapes(
    made_of: str,
    steps: Any,
    rows: Any,
    given: Any,
    present: Any,
    ends: Any,
    anew: Any,
    kept: Any,
    grads: Any,
    needed: Sequence[bool],
) -> list[Tensor]:
    return [torch.empty_like(t) for t, need in zip(given, needed, strict=True) if need]


def _again(
    stack: Stack,
    lead: Lead,
    given: Tensors,
    ends: Tensor | None,
    anew: Tensor | None,
    grads: Tensors,
    needed: Sequence[bool],
    create_graph: bool,
) -> list[Tensor]:
    """The same by running the layers once more, seen by autograd."""
    with torch.enable_grad():
        if create_graph:
            given = apart(given, needed)
        else:
            given = [
                tensor if tensor is None else tensor.detach().requires_grad_(need)
                for tensor, need in zip(given, needed, strict=True)
            ]
        found = _run(stack, lead, given, ends, anew)
        how = {"create_graph": create_graph, "materialize_grads": True}
        return list(pulled_back(found, grads, given, needed, **how))


def _keep(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    made_of, steps, rows, given, present, ends, anew, keep = inputs
    stack = stack_from(made_of)
    count = len(stack.returns) + len(stack.states)
    kept: list[Tensor] = output[count:] if keep else []
    if keep and not kernels_of(stack, given).is_apart:
        kept = [*kept, *output[: len(stack.returns)]]
    ctx.call, ctx.present, ctx.count = (made_of, steps, rows), present, count
    ctx.save_for_backward(*given, ends, anew, *kept)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[count:])


def _gradients(ctx: Any, grads: list[Tensor | None]) -> Any:
    needed, above = list(ctx.needs_input_grad[3]), list(grads[: ctx.count])
    saved, number = ctx.saved_tensors, len(needed)
    given, (ends, anew), kept = saved[:number], saved[number : number + 2], saved[number + 2 :]
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        made_of, *lead = ctx.call
        wanted = [need is True for need in spread(needed, ctx.present)]
        whole = spread(given, ctx.present)
        found = _again(stack_from(made_of), (*lead,), whole, ends, anew, above, wanted, True)
    else:
        call = *ctx.call, list(given), ctx.present, ends, anew, list(kept)
        found = run_backward(*call, above, needed)
    rest = iter(found)
    each = [next(rest) if need else None for need in needed]
    return None, None, None, each, None, None, None, None


run.register_autograd(_gradients, setup_context=_keep)


def spread(found: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """What is there in its places, None in all others."""
    rest = iter(found)
    return [next(rest) if is_there else None for is_there in present]

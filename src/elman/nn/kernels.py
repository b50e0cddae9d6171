"""The compiled kernels of a stack: tensors in, tensors out; autograd is not asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import torch

from elman.backends.c_run import thread_count
from elman.backends.interpret import expand
from elman.nn.calls import BackwardPlanner, ForwardPlan, ForwardPlanner, LayerKernels, room
from elman.nn.layers import Lead, Stack, Tensor, Tensors
from elman.nn.memory import LARGE, take

PLANS = 256  # numbers of steps and rows for which the plans of calls are kept
empty_like = torch.empty_like


def kernels_of(stack: Stack, given: Tensors) -> StackKernels:
    """The compiled kernels of a stack for the dtype of what is given."""
    assert given[0] is not None
    dtype = given[0].dtype
    found: StackKernels | None = stack.kernels.get(dtype)
    if found is None:
        found = stack.kernels[dtype] = StackKernels(stack, dtype)
    return found


def addresses_of(given: Tensors) -> list[int]:
    """Where tensors lie in memory; 0 for what is None, which a kernel takes as not given."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in given]


class StackKernels:
    """The kernels of a stack for one dtype, and the plans of their calls, each made once."""

    def __init__(self, stack: Stack, dtype: torch.dtype) -> None:
        self.stack = stack
        self.layers = [LayerKernels(layer, dtype) for layer in stack.layers]
        self.plans: dict[Any, ForwardPlan] = {}
        last = self.layers[-1]
        self.over = [last.forward_arrays[key].over for key in last.returns]
        self.is_plain = {*self.over} <= {"tb"} and len({*last.returns}) == len(last.returns)
        # whether what is returned is not all that the backward kernels read of it
        self.is_apart = not self.is_plain or any(role == "states" for role, _ in last.returns)

    def planned(self, lead: Lead, given: Tensors, training: bool) -> ForwardPlan:
        """The plan of a call; which states are given decides it too."""
        absent = [tensor is None for tensor in given[self.stack.first_state :]]
        threads = thread_count()
        key = (lead, training, threads, *absent)
        plan = self.plans.get(key)
        if plan is None:
            planner = ForwardPlanner(self.stack, self.layers, lead, absent)
            if len(self.plans) > PLANS:
                self.plans.clear()
            plan = self.plans[key] = planner.plan(training, threads)
        return plan

    def kept_shapes(self, lead: Lead) -> list[tuple[int, ...]]:
        """The shapes of what a call in training keeps beside what it returns."""
        last = self.layers[-1]
        whole = [last.shape(last.forward_arrays[key], lead) for key in dict.fromkeys(last.returns)]
        return [(room(self.layers, lead),), *(whole if self.is_apart else ())]

    def forward(
        self,
        lead: Lead,
        given: Tensors,
        addresses: list[int],
        training: bool,
        packed: Sequence[int] | None = None,
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor | None], ForwardPlan]:
        """Outputs, final states, what the backward kernels are to be given, and the plan."""
        first = given[0]
        assert first is not None
        plan = self.planned(lead, given, training)
        make = first.new_empty_strided  # by far quicker than torch.empty
        pool = _values(first, plan.pool)
        new = [make(shape, strides) for shape, strides in plan.new]
        bases = [*addresses, 0 if pool is None else pool.data_ptr()]
        bases += [tensor.data_ptr() for tensor in new]
        bases.append(0)
        held = repeat(None) if packed is None else packed
        for call, weights in zip(plan.calls, held, strict=False):
            call.at(bases, weights)
        # beside an output, so that torch notices where that is changed in place
        kept = [pool, *[tensor.detach() for tensor in new[: plan.finals]]] if training else []
        for k, view in plan.shown:
            new[k].as_strided_(*view)  # a tensor of its own, no view: it may be changed in place
        outputs = [new[k] for k in plan.returns]
        return (
            outputs if self.is_plain else self._spread(outputs, lead),
            new[plan.finals :],
            kept,
            plan,
        )

    def _spread(self, outputs: list[Tensor], lead: Lead) -> list[Tensor]:
        """Outputs as (T, B, ...), also where a value varies over less, each a tensor of its own."""
        found = []
        for k, (tensor, over) in enumerate(zip(outputs, self.over, strict=True)):
            if over == "tb" and all(tensor is not other for other in outputs[:k]):
                found.append(tensor)
            else:
                tail = tensor.shape[len(over) :]
                found.append(expand(over, tensor).expand(*lead, *tail).clone())
        return found

    def backward(
        self,
        forward: ForwardPlan,
        saved: Tensors,
        grads: Tensors,
        needed: tuple[bool, ...],
        packed: Sequence[int] | None = None,
    ) -> list[Tensor | None]:
        """The gradients of what was given, None where none is needed."""
        first = saved[0]
        assert first is not None
        threads = thread_count()
        present = [tensor is not None for tensor in grads]
        key = (threads, needed, *present)
        plan = forward.backward.get(key)
        if plan is None:
            absent = [tensor is None for tensor in saved[self.stack.first_state : self.stack.count]]
            planner = BackwardPlanner(self.stack, self.layers, forward.lead, absent)
            plan = forward.backward[key] = planner.plan(forward, needed, present, threads)
        whole = [g if g is None or g.is_contiguous() else g.contiguous() for g in grads]
        work = _values(first, plan.work)
        zeros = first.new_zeros(plan.zeros) if plan.zeros else None
        made = [empty_like(saved[k]) for k in plan.gradients]
        for k in plan.unfilled:
            made[k].zero_()
        tensors = (*saved, *whole, work, zeros, None, *made)
        bases = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
        held = repeat(None) if packed is None else reversed(packed)  # the last layer first
        for call, weights in zip(plan.calls, held, strict=False):
            call.at(bases, weights)
        for to, other in plan.sums:
            made[to] += made[other]
        return [None if number is None else made[number] for number in plan.results]


def _values(first: Tensor, count: int) -> Tensor | None:
    """Memory for so many values of the dtype of `first`."""
    if not count:
        return None
    if count < LARGE:
        return first.new_empty_strided((count,), (1,))  # by far quicker than torch.empty
    return take(count, first.dtype)

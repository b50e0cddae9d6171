"""The compiled kernels behind torch's autograd: a Function that saves the kernels' own buffers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from elman.backends import c_compile, torch_
from elman.backends.c_layout import Buffer
from elman.backends.c_run import Compiled, compiled
from elman.backends.interpret import USER, expand
from elman.ir import Cell
from elman.ir.sizes import number
from elman.passes.initial import initial_cell
from elman.passes.transpose import past_name

Tensor: TypeAlias = torch.Tensor
Tensors: TypeAlias = Sequence[Tensor | None]
PLANS = 256  # numbers of steps and rows for which the plan of a call is kept

DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer's cell with shapes and the numbers of its sizes; `names` are its arrays."""

    cell: Cell
    sizes: Mapping[str, int]
    names: tuple[str, ...]  # inputs, parameters and constants
    states: tuple[str, ...]
    kernels: dict[torch.dtype, LayerKernels] = field(default_factory=dict, repr=False)

    def kernels_for(self, dtype: torch.dtype) -> LayerKernels:
        """The compiled kernels with everything about their calls that does not change."""
        if dtype not in self.kernels:
            self.kernels[dtype] = LayerKernels(self, dtype)
        return self.kernels[dtype]

    def __getstate__(self) -> dict[str, Any]:
        # the kernels are compiled again, or found in the cache, where the layer is loaded
        return {**self.__dict__, "kernels": {}}

    def __deepcopy__(self, memo: Any) -> Layer:
        return self


def why_not(tensors: Tensors) -> str | None:
    """Why the compiled kernels cannot serve these tensors, or None."""
    first: torch.dtype | None = None
    for tensor in tensors:
        if tensor is None:
            continue
        if not tensor.is_cpu or tensor.layout is not torch.strided:
            return f"device {tensor.device}: the c backend has dense tensors on the CPU"
        dtype = tensor.dtype
        if dtype is not first:
            if dtype not in DTYPES:
                return f"dtype {dtype}: the c backend has float32 and float64"
            if first is not None:
                return "tensors of several dtypes"
            first = dtype
    if torch.compiler.is_compiling():
        return "inside torch.compile"
    if torch._C._are_functorch_transforms_active():
        return "inside a torch.func transform"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    return c_compile.trouble()


def run_layer(
    layer: Layer, lead: tuple[int, int], arrays: Sequence[Tensor], state: Mapping[str, Tensor]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Outputs (T, B, size) in the order of the returns, final states (1, B, size); none is zero."""
    if layer.cell.initial:
        state = {**_started(layer, lead, arrays, state), **state}
    before = [state.get(key) for key in layer.states]
    if lead[1] and why_not([*arrays, *before]) is None:
        # in one piece before the Function, so that second derivatives know where they come from
        whole = [None if tensor is None else tensor.contiguous() for tensor in (*arrays, *before)]
        found = Fused.apply(layer, lead, *whole)  # type: ignore[no-untyped-call]
        count = len(layer.cell.returns)
        return found[:count], found[count:]
    return _composite(layer, lead, arrays, before)


def _started(
    layer: Layer, lead: tuple[int, int], arrays: Sequence[Tensor], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The states whose lines before the first step give them, seen by autograd."""
    start = initial_cell(layer.cell, state)
    if start is None:
        return {}
    named = dict(zip(layer.names, arrays, strict=True))
    found, _ = torch_.forward(start, named, {}, layer.sizes, (1, lead[1]), start.outputs)
    return {key: value[0] for key, value in found.items()}


def _composite(
    layer: Layer, lead: tuple[int, int], arrays: Sequence[Tensor], before: Tensors
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    named = dict(zip(layer.names, arrays, strict=True))
    state = {}
    for key, tensor in zip(layer.states, before, strict=True):
        shape = layer.cell.state_shape(key)
        tail = [number(size, layer.sizes) for size in shape]
        state[key] = arrays[0].new_zeros((lead[1], *tail)) if tensor is None else tensor
    outputs, final = torch_.forward(layer.cell, named, state, layer.sizes, lead, layer.cell.returns)
    found = tuple(final[key].unsqueeze(0) for key in layer.states)
    return tuple(outputs[name] for name in layer.cell.returns), found


class Fused(torch.autograd.Function):
    """Forward and backward kernels as one differentiable operation."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, layer: Layer, lead: tuple[int, int], *given: Tensor | None
    ) -> tuple[Tensor, ...]:
        assert given[0] is not None
        kernels = layer.kernels_for(given[0].dtype)
        training = any(ctx.needs_input_grad)
        outputs, kept = kernels.forward(lead, given, training)
        if training:
            returned = len(layer.cell.returns)
            ctx.layer, ctx.lead, ctx.kernels, ctx.counts = layer, lead, kernels, len(given)
            # the outputs too: torch then notices where one is changed in place
            ctx.save_for_backward(*given, *kept, *outputs[:returned])
            ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        saved = ctx.saved_tensors
        given, kept = saved[: ctx.counts], saved[ctx.counts :]
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # create_graph: the gradients are to be differentiated again
            return (None, None, *_again(ctx.layer, ctx.lead, given, grads, needed))
        return (None, None, *ctx.kernels.backward(ctx.lead, given, kept, grads, needed))


def _again(
    layer: Layer,
    lead: tuple[int, int],
    tensors: Tensors,
    grads: Tensors,
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients as a graph of their own (double backward): through the torch backend."""
    count = len(layer.names)
    arrays = [tensor for tensor in tensors[:count] if tensor is not None]
    outputs, final = _composite(layer, lead, arrays, tensors[count:])
    pairs = zip((*outputs, *final), grads, strict=True)
    live = [(root, g) for root, g in pairs if g is not None and root.requires_grad]
    wrt = [t for t, need in zip(tensors, needed, strict=True) if need and t is not None]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in live], wrt, [g for _, g in live], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if need else None for need in needed]


@dataclass(frozen=True)
class _Slot:
    """Where a kernel's array comes from: an index into what is given, or memory of its own."""

    source: str  # "given", "kept", "grad", "last", "new", "states", "final", "none"
    index: int
    over: str
    tail: tuple[int, ...]

    def shape(self, lead: tuple[int, int]) -> tuple[int, ...]:
        steps, batch = lead
        if self.source == "states":
            return (steps + 1, batch, *self.tail)
        if self.source == "final":
            return (1, batch, *self.tail)
        first = {"tb": lead, "t": (steps,), "b": (batch,), "": ()}[self.over]
        return (*first, *self.tail)


@dataclass(frozen=True)
class _ForwardCall:
    """The arrays of a forward call for one number of steps and rows, kernel argument by argument.

    ("given", index), ("new", shape), ("pool", byte) or ("none", None); all that only the backward
    kernel reads again lies in one tensor, the pool.
    """

    arrays: tuple[tuple[str, Any], ...]
    pool: int  # values
    kept: tuple[tuple[int, int], ...]  # per kept name: which kept tensor, and at which byte in it


class LayerKernels:
    """The kernels of one layer and dtype, and the plan of their calls, made once."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        cell = layer.cell
        self.layer, self.dtype = layer, dtype
        self.compiled: Compiled = compiled(cell, DTYPES[dtype], cell.returns)
        kernel = self.compiled.forward
        self.numbers = kernel.numbers(layer.sizes), self.compiled.backward.numbers(layer.sizes)
        self.given = {("user", name): k for k, name in enumerate(layer.names)}
        self.given |= {("init", key): len(layer.names) + k for k, key in enumerate(layer.states)}
        places = kernel.program.outputs
        self.outputs = [kernel.keys.index(places[name]) for name in cell.returns]
        self.finals = [kernel.keys.index(("final", key)) for key in layer.states]
        saved = self.compiled.derivation.saved
        self.saved = {name: kernel.keys.index(places[name]) for name in saved}
        self.past = {past_name(k): kernel.keys.index(("states", k)) for k in layer.states}
        self.on_slots = {k for k, key in enumerate(kernel.keys) if key[0] == "states"}
        # values that are returned and needed by the backward kernel: kept as tensors of their own
        alone = {*self.outputs} - {*self.past.values()}
        self.shared = [k for k in self.saved.values() if k in alone]
        self.slots = [self._forward_slot(k, b) for k, b in enumerate(kernel.buffers)]
        self.backward_slots = self._plan_backward()
        self._calls: dict[Any, Any] = {}

    # ---- made once ----

    def _tail(self, buffer: Buffer) -> tuple[int, ...]:
        return tuple(number(size, self.layer.sizes) for size in buffer.shape)

    def _forward_slot(self, k: int, buffer: Buffer) -> _Slot:
        role = "user" if buffer.role in USER else buffer.role
        if (role, buffer.key) in self.given:
            return _Slot("given", self.given[role, buffer.key], buffer.over, self._tail(buffer))
        source = buffer.role if buffer.role in ("states", "final") else "new"
        return _Slot(source, k, buffer.over, self._tail(buffer))

    def _plan_backward(self) -> list[_Slot]:
        kernel, cell, layer = self.compiled.backward, self.layer.cell, self.layer
        kept = {name: k for k, name in enumerate((*self.saved, *self.past))}
        grads = {f"d_{name}": k for k, name in enumerate(cell.returns)}
        last = {key: len(cell.returns) + k for k, key in enumerate(layer.states)}
        slots = []
        for k, buffer in enumerate(kernel.buffers):
            role = "user" if buffer.role in USER else buffer.role
            source, index = "new", k
            if role == "user":
                source, index = "given", self.given[role, buffer.key]
            elif role == "given":
                known = buffer.key in kept
                source, index = ("kept", kept[buffer.key]) if known else ("grad", grads[buffer.key])
            elif role == "init":
                source, index = "last", last[buffer.key]
            elif role == "states":
                source = "none"
            slots.append(_Slot(source, index, buffer.over, self._tail(buffer)))
        places = kernel.program.outputs
        names = [places.get(f"d_{name}") for name in layer.names]
        names += [("final", key) for key in layer.states]
        self.results = [None if name is None else kernel.keys.index(name) for name in names]
        # two biases that only ever add have one gradient: the second gets a copy
        first = {place: k for k, place in reversed(list(enumerate(self.results)))}
        self.repeated = [k for k, p in enumerate(self.results) if p is not None and first[p] != k]
        return slots

    def _planned(self, key: Any, make: Callable[[], Any]) -> Any:
        """The plan of a call, made on the first one of its kind."""
        if key not in self._calls:
            if len(self._calls) > PLANS:
                self._calls.clear()
            self._calls[key] = make()
        return self._calls[key]

    # ---- forward ----

    def forward(
        self, lead: tuple[int, int], given: Tensors, training: bool
    ) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """(outputs and final states, what the backward kernel is to be given)."""
        call: _ForwardCall = self._planned(
            (lead, training), lambda: self._forward_call(lead, training)
        )
        pool = torch.empty(call.pool, dtype=self.dtype)
        base, made = pool.data_ptr(), dict[int, Tensor]()
        addresses: list[int | None] = []
        for k, (source, value) in enumerate(call.arrays):
            if source == "given":
                tensor = given[value]
                addresses.append(None if tensor is None else tensor.data_ptr())
            elif source == "new":
                made[k] = torch.empty(value, dtype=self.dtype)
                addresses.append(made[k].data_ptr())
            else:
                addresses.append(base + value if source == "pool" else None)
        self.compiled.forward.run(*lead, self.numbers[0], addresses)
        outputs = [self._public(made, k, lead) for k in self.outputs]
        if not training:
            return (*outputs, *(made[k] for k in self.finals)), []
        kept = [pool, *(made[k] for k in (*self.past.values(), *self.shared))]
        return (*outputs, *(made[k] for k in self.finals)), kept

    def _forward_call(self, lead: tuple[int, int], training: bool) -> _ForwardCall:
        wanted = {*self.outputs, *self.finals, *(self.past.values() if training else ())}
        pooled = set(self.saved.values()) - wanted if training else set()
        arrays: list[tuple[str, Any]] = []
        at: dict[int, int] = {}
        size = 0
        for k, slot in enumerate(self.slots):
            if slot.source == "given":
                arrays.append(("given", slot.index))
            elif k in wanted:
                arrays.append(("new", slot.shape(lead)))
            elif k in pooled:
                at[k] = size * self.dtype.itemsize
                arrays.append(("pool", at[k]))
                size += -(-math.prod(slot.shape(lead)) // 64) * 64  # each on a cache line
            else:
                arrays.append(("none", None))
        return _ForwardCall(tuple(arrays), size, self._kept(lead, at) if training else ())

    def _kept(self, lead: tuple[int, int], at: Mapping[int, int]) -> tuple[tuple[int, int], ...]:
        whole = [*self.past.values(), *self.shared]
        found = []
        for k in self.saved.values():
            if k in at:
                found.append((0, at[k]))
            else:  # of a state, the slots behind the first
                step = math.prod(self.slots[k].shape(lead)[1:]) * self.dtype.itemsize
                found.append((1 + whole.index(k), step if k in self.on_slots else 0))
        return (*found, *((1 + k, 0) for k in range(len(self.past))))

    def _public(self, made: Mapping[int, Tensor], k: int, lead: tuple[int, int]) -> Tensor:
        """(T, B, ...), also where the value varies over less."""
        found, over = made[k], self.slots[k].over
        if k in self.on_slots:
            # a tensor of its own on the slots behind the first, no view: it may be changed in place
            shape = (found.shape[0] - 1, *found.shape[1:])
            fresh = torch.empty(0, dtype=found.dtype)
            return fresh.set_(found.untyped_storage(), found.stride(0), shape, found.stride())
        if over == "tb":
            return found
        spread = expand(over, found)
        return spread.expand(*lead, *spread.shape[2:]).clone()

    # ---- backward ----

    def backward(
        self,
        lead: tuple[int, int],
        given: Tensors,
        kept: Sequence[Tensor],
        grads: Tensors,
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        """The gradients of what was given, None where none is needed."""
        places = self._planned((lead, True), lambda: self._forward_call(lead, True)).kept
        plan = self._planned(
            (lead, tuple(needed)), lambda: self._backward_call(lead, tuple(needed))
        )
        made: dict[int, Tensor] = {}
        holding: list[Tensor] = []  # what the addresses point to, until the kernel is done
        addresses: list[int | None] = []
        for k, (source, index, shape) in enumerate(plan):
            if source == "kept":
                which, byte = places[index]
                addresses.append(kept[which].data_ptr() + byte)
                continue
            tensor: Tensor | None = None
            if source == "given":
                tensor = given[index]
            elif source == "like":
                tensor = made[k] = torch.empty_like(given[index])  # by far quicker than by shape
            elif source == "grad":
                tensor = grads[index]
                if tensor is not None:
                    tensor = tensor.contiguous()
                elif shape is not None:  # an output that nothing used
                    tensor = torch.zeros(shape, dtype=self.dtype)
                holding += [] if tensor is None else [tensor]
            addresses.append(None if tensor is None else tensor.data_ptr())
        self.compiled.backward.run(*lead, self.numbers[1], addresses)
        return self._gradients(made, needed)

    def _backward_call(self, lead: tuple[int, int], needed: tuple[bool, ...]) -> list[Any]:
        """For each array: where it comes from, its index there, and the shape where it is new."""
        like = {p: k for k, (p, need) in enumerate(zip(self.results, needed, strict=True)) if need}
        plan: list[tuple[str, int, tuple[int, ...] | None]] = []
        for k, slot in enumerate(self.backward_slots):
            match slot.source:
                case "new":  # in the shape of what it is the gradient of
                    plan.append(("like", like[k], None) if k in like else ("none", k, None))
                case "last":  # the cotangent of a final state is zero where there is none
                    plan.append(("grad", slot.index, None))
                case "grad":
                    plan.append(("grad", slot.index, slot.shape(lead)))
                case source:
                    plan.append((source, slot.index, None))
        return plan

    def _gradients(self, made: Mapping[int, Tensor], needed: Sequence[bool]) -> list[Tensor | None]:
        result = [
            made[place] if need and place is not None else None
            for place, need in zip(self.results, needed, strict=True)
        ]
        for k in self.repeated:
            found = result[k]
            result[k] = None if found is None else found.clone()
        return result

"""The compiled kernels behind torch's autograd: one Function, whose saved tensors are the kernel's own buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from elman.backends import c_compile, torch_
from elman.backends.c_run import Compiled, Kernel, compiled
from elman.backends.c_write import Buffer
from elman.ir import Cell
from elman.ir.sizes import number
from elman.passes.transpose import past_name

Tensor = torch.Tensor
DTYPES = {torch.float32: "float32", torch.float64: "float64"}


@dataclass(frozen=True)
class Layer:
    """One layer's cell with shapes, and the numbers of its sizes; `names` are its arrays in order."""

    cell: Cell
    sizes: Mapping[str, int]
    names: tuple[str, ...]  # inputs, parameters and constants
    states: tuple[str, ...]
    reasons: list[str] = field(default_factory=list)


def why_not(tensors: Sequence[Tensor]) -> str | None:
    """Why the compiled kernels cannot serve these tensors, or None."""
    first = tensors[0]
    if first.dtype not in DTYPES:
        return f"dtype {first.dtype}: the c backend has float32 and float64"
    if any(tensor.device.type != "cpu" for tensor in tensors):
        return f"device {first.device}: the c backend has the CPU"
    if any(tensor.dtype != first.dtype for tensor in tensors):
        return "tensors of several dtypes"
    if torch.compiler.is_compiling():
        return "inside torch.compile"
    if torch._C._are_functorch_transforms_active():
        return "inside a torch.func transform"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    if c_compile.find_compiler() is None:
        return "no C compiler (install gcc or clang, or name one in ELMAN_CC)"
    return None


def run_layer(
    layer: Layer, lead: tuple[int, int], arrays: Sequence[Tensor], state: Mapping[str, Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Outputs (T, B, size) in the order of the cell's returns, and final states (B, size)."""
    before = [state[key] for key in layer.states]
    if why_not([*arrays, *before]) is None and 0 not in lead:
        found = Fused.apply(layer, lead, *arrays, *before)  # type: ignore[no-untyped-call]
        count = len(layer.cell.returns)
        return found[:count], dict(zip(layer.states, found[count:], strict=True))
    return _composite(layer, lead, arrays, before)


def _composite(
    layer: Layer, lead: tuple[int, int], arrays: Sequence[Tensor], before: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    named = dict(zip(layer.names, arrays, strict=True))
    state = dict(zip(layer.states, before, strict=True))
    outputs, final = torch_.forward(
        layer.cell, named, state, layer.sizes, lead, layer.cell.returns
    )
    return tuple(outputs[name] for name in layer.cell.returns), final


class Fused(torch.autograd.Function):
    """Forward and backward kernels as one differentiable operation."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, layer: Layer, lead: tuple[int, int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        tensors = tuple(tensor.contiguous() for tensor in tensors)
        kernels = compiled(layer.cell, DTYPES[tensors[0].dtype], layer.cell.returns)
        call = _Call(layer, lead, kernels, tensors)
        wanted = any(ctx.needs_input_grad)
        outputs, kept = call.forward(wanted)
        if wanted:
            ctx.layer, ctx.lead, ctx.kernels = layer, lead, kernels
            ctx.kept = tuple(kept)
            ctx.save_for_backward(*tensors, *outputs, *kept.values())
            ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        layer: Layer = ctx.layer
        saved = ctx.saved_tensors
        count = len(layer.names) + len(layer.states)
        tensors = saved[:count]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return (None, None, *_again(layer, ctx.lead, tensors, grads, ctx.needs_input_grad[2:]))
        kept = dict(zip(ctx.kept, saved[len(saved) - len(ctx.kept) :], strict=True))
        call = _Call(layer, ctx.lead, ctx.kernels, tensors)
        return (None, None, *call.backward(kept, grads, ctx.needs_input_grad[2:]))


def _again(
    layer: Layer,
    lead: tuple[int, int],
    tensors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients as a graph of their own (double backward): through the torch backend."""
    count = len(layer.names)
    outputs, final = _composite(layer, lead, tensors[:count], tensors[count:])
    pairs = zip((*outputs, *final.values()), grads, strict=True)
    live = [(root, g) for root, g in pairs if g is not None and root.requires_grad]
    wrt = [tensor for tensor, need in zip(tensors, needed, strict=True) if need]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in live], wrt, [g for _, g in live], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if need else None for need in needed]


class _Call:
    """One call of a layer's kernels on tensors."""

    def __init__(
        self,
        layer: Layer,
        lead: tuple[int, int],
        kernels: Compiled,
        tensors: Sequence[Tensor],
    ) -> None:
        self.layer, self.lead, self.kernels = layer, lead, kernels
        count = len(layer.names)
        self.arrays = dict(zip(layer.names, tensors[:count], strict=True))
        self.before = dict(zip(layer.states, tensors[count:], strict=True))
        self.like = tensors[0]

    def _empty(self, buffer: Buffer, more: int = 0) -> Tensor:
        steps, batch = self.lead
        lead = {"tb": (steps + more, batch), "t": (steps,), "b": (batch,), "": ()}[buffer.over]
        shape = (number(size, self.layer.sizes) for size in buffer.shape)
        return torch.empty((*lead, *shape), dtype=self.like.dtype)

    def forward(self, training: bool) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """(outputs and final states, what the backward kernel is to be given by its name)."""
        kernel, cell = self.kernels.forward, self.layer.cell
        places = kernel.program.outputs
        wanted = {places[name] for name in cell.returns}
        if training:
            wanted |= {places[name] for name in self.kernels.derivation.saved}
        held: dict[tuple[str, str], Tensor] = {}
        for buffer in kernel.buffers:
            key = (buffer.role, buffer.key)
            if buffer.role in ("input", "parameter", "constant"):
                held[key] = self.arrays[buffer.key]
            elif buffer.role == "init":
                held[key] = self.before[buffer.key]
            elif buffer.role == "states":
                if training or key in wanted:
                    held[key] = self._empty(buffer, more=1)
            elif buffer.role == "final" or key in wanted:
                held[key] = self._empty(buffer)
        self._run(kernel, held)
        outputs = tuple(self._output(places[name], held) for name in cell.returns)
        final = tuple(held["final", key] for key in self.layer.states)
        kept: dict[str, Tensor] = {}
        if training:
            saved = self.kernels.derivation.saved
            kept = {name: self._output(places[name], held) for name in saved}
            kept |= {past_name(key): held["states", key] for key in self.layer.states}
        return (*outputs, *final), kept

    def _output(self, place: tuple[str, str], held: Mapping[tuple[str, str], Tensor]) -> Tensor:
        found = held[place]
        if place[0] != "states":
            return found
        # a tensor of its own on the slots behind the first, not a view: it may be changed in place
        shape = (found.shape[0] - 1, *found.shape[1:])
        return torch.empty(0, dtype=found.dtype).set_(
            found.untyped_storage(), found.stride(0), shape, found.stride()
        )

    def backward(
        self,
        kept: Mapping[str, Tensor],
        grads: Sequence[Tensor | None],
        needed: Sequence[bool],
    ) -> list[Tensor | None]:
        kernel, cell, layer = self.kernels.backward, self.layer.cell, self.layer
        given = dict(kept)
        count = len(cell.returns)
        for name, g in zip(cell.returns, grads[:count], strict=True):
            given[f"d_{name}"] = g if g is not None else self._zeros(name)
        last = dict(zip(layer.states, grads[count:], strict=True))
        names = [("output", f"d_{n}") for n in layer.names] + [("final", k) for k in layer.states]
        places = {("output", name): place for name, place in kernel.program.outputs.items()}
        needs = {places.get(key, key) for key, need in zip(names, needed, strict=True) if need}
        held: dict[tuple[str, str], Tensor] = {}
        for buffer in kernel.buffers:
            key = (buffer.role, buffer.key)
            found: Tensor | None = None
            if buffer.role in ("input", "parameter", "constant"):
                found = self.arrays[buffer.key]
            elif buffer.role == "given":
                found = given[buffer.key].contiguous()
            elif buffer.role == "init":
                g = last[buffer.key]
                found = None if g is None else g.contiguous()
            elif key in needs:
                found = self._empty(buffer)
            if found is not None:
                held[key] = found
        self._run(kernel, held)
        given_away: set[int] = set()
        result: list[Tensor | None] = []
        for key, need in zip(names, needed, strict=True):
            found = held.get(places.get(key, key)) if need else None
            if found is not None and id(found) in given_away:
                found = found.clone()  # two biases that only ever add have one gradient
            given_away.add(id(found))
            result.append(found)
        return result

    def _zeros(self, name: str) -> Tensor:
        value = self.layer.cell.value(name)
        shape = (number(size, self.layer.sizes) for size in value.shape or ())
        return torch.zeros((*self.lead, *shape), dtype=self.like.dtype)

    def _run(self, kernel: Kernel, held: Mapping[tuple[str, str], Tensor]) -> None:
        addresses = {key: tensor.data_ptr() for key, tensor in held.items()}
        kernel.run(*self.lead, self.layer.sizes, addresses)

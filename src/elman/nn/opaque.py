"""Layers inside torch.compile and torch.export: one node of the graph, whatever the steps."""

from __future__ import annotations

import functools
import json
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import torch

from elman.backends import c_compile
from elman.errors import BackendProblem
from elman.ir.data import from_data, to_data
from elman.nn.calls import DTYPES
from elman.nn.layers import Layer, Lead, Place, Stack, Tensor, Tensors

if TYPE_CHECKING:
    from elman.nn.masked import Masks

Known = TypeVar("Known", bound=Callable[..., Any])
Found: TypeAlias = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
LAYER = ("names", "states", "remat")
_stacks: weakref.WeakValueDictionary[str, Stack] = weakref.WeakValueDictionary()


def while_compiling(function: Known) -> Known:
    """A function that torch.compile calls while it compiles, and whose result it takes as it is.

    What `torch.compiler.assume_constant_result` says, which imports the compiler.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


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
    keep = False
    if is_learned and masks is None and not torch.compiler.is_exporting():
        keep = present[0].device.type == "cpu" and can_keep(stack, present[0].dtype)
    ends = anew = None
    if masks is not None:
        ends, anew = masks.ends, masks.anew
    found = torch.ops.elman.run(made_of(stack), *lead, present, places, ends, anew, keep)
    returned = number_of_returns(stack)
    behind = returned + number_of_states(stack)
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


@while_compiling
def can_keep(stack: Stack, dtype: torch.dtype) -> bool:
    """Whether the kernels serve, and can hand over what they keep for the backward pass.

    Else the backward pass runs the layers again.
    """
    is_fresh = stack.remat is None and not stack.layers[0].cell.initial
    return is_fresh and dtype in DTYPES and c_compile.trouble() is None


@while_compiling
def number_of_returns(stack: Stack) -> int:
    """How many names a stack returns."""
    return len(stack.returns)


@while_compiling
def number_of_states(stack: Stack) -> int:
    """How many states it has."""
    return len(stack.states)


@while_compiling
def made_of(stack: Stack) -> str:
    """All that a stack is, as a text from which another process makes the same one."""
    text = _written(stack)
    _stacks.setdefault(text, stack)
    return text


def stack_from(text: str) -> Stack:
    """The stack that is made of this."""
    found = _stacks.get(text)
    return _made(text) if found is None else found


@functools.lru_cache(maxsize=256)
def _written(stack: Stack) -> str:
    cells = list(dict.fromkeys(layer.cell for layer in stack.layers))
    layers = [
        {
            "cell": cells.index(layer.cell),
            "sizes": dict(layer.sizes),
            **{name: getattr(layer, name) for name in LAYER},
        }
        for layer in stack.layers
    ]
    return json.dumps(
        {
            "cells": [to_data(cell) for cell in cells],
            "layers": layers,
            "places": stack.places,
            "count": stack.count,
            "main": stack.main,
        },
        separators=(",", ":"),
    )


@functools.lru_cache(maxsize=256)
def _made(text: str) -> Stack:
    data = json.loads(text)
    cells = [from_data(cell) for cell in data["cells"]]
    layers = [
        Layer(
            cells[layer["cell"]],
            layer["sizes"],
            tuple(layer["names"]),
            tuple(layer["states"]),
            layer["remat"],
        )
        for layer in data["layers"]
    ]
    places = [{name: Place(*at) for name, at in own.items()} for own in data["places"]]
    return Stack(tuple(layers), tuple(places), data["count"], data["main"])


def shapes_of(stack: Stack, lead: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The shapes of what a stack returns, and of its final states."""
    last, cell = stack.layers[-1], stack.layers[-1].cell
    found = [(*lead, *last.shape(cell.value(name).shape or ())) for name in cell.returns]
    return found + [(len(stack.layers), lead[1], *last.tails[key]) for key in stack.states]

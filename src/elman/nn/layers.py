"""Layers upon each other, and where each finds its arrays among the tensors of a call."""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

import torch

from elman.backends import torch_
from elman.ir import Cell
from elman.ir.data import from_data, to_data
from elman.ir.sizes import number
from elman.passes.initial import initial_cell
from elman.passes.randomness import WORDS

Tensor: TypeAlias = torch.Tensor
Tensors: TypeAlias = Sequence[Tensor | None]
Lead: TypeAlias = tuple[int, int]  # the number of steps and of sequences
Known = TypeVar("Known", bound=Callable[..., Any])


def while_compiling(function: Known) -> Known:
    """Have torch.compile call this while it traces, and take the result for a constant.

    It is a method without arguments: with some, only certain versions of torch can do that. The
    same as `torch.compiler.assume_constant_result`, whose import would bring in the compiler.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer's cell with shapes and the numbers of its sizes; `names` are its arrays.

    `merged` has the tensors in which several of them lie, row upon row, as torch's gates do.
    """

    cell: Cell
    sizes: Mapping[str, int]
    names: tuple[str, ...]  # inputs, parameters and constants
    states: tuple[str, ...]
    remat: int | None = None  # steps of a block that the backward pass runs again; 0: that suit
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.stack  # found here, as torch.compile cannot look into a cached property

    @cached_property
    def tails(self) -> Mapping[str, tuple[int, ...]]:
        """What stands behind time and batch in the shape of every array and state."""
        shapes = {n.attr.name: n.shape or () for n in self.cell.leaves if n.attr.role != "state"}
        shapes |= {key: self.cell.state_shape(key) for key in self.states}
        return {name: self.shape(shape) for name, shape in shapes.items()}

    def shape(self, sizes: Sequence[str]) -> tuple[int, ...]:
        """The numbers of these sizes."""
        return tuple(number(size, self.sizes) for size in sizes)

    @cached_property
    def tensors(self) -> tuple[str, ...]:
        """The tensors in which the arrays lie, by the name of the array or of what is merged."""
        whole = {name: tensor for tensor, names in self.merged.items() for name in names}
        return tuple(dict.fromkeys(whole.get(name, name) for name in self.names))

    def places(self, tensors: Sequence[str], first: int) -> dict[str, Place]:
        """Where the arrays in these tensors lie, of which one is the tensor `first` of a call."""
        found = {}
        for k, tensor in enumerate(tensors, first):
            row = 0
            for name in self.merged.get(tensor, ()):
                found[name] = Place(k, row)
                row += self.tails[name][0]
            if tensor not in self.merged:
                found[tensor] = Place(k)
        return found

    @cached_property
    def stack(self) -> Stack:
        """The layer alone."""
        return stacked((self,), (), "")

    def __deepcopy__(self, memo: Any) -> Layer:
        return self


class Place(NamedTuple):
    """Where an array of a layer lies: in which of the given tensors, whole or from a row on."""

    given: int
    row: int | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """Layers of which each reads as `main` what the one below it returns first.

    A call gives `count` tensors, the last of them the states: (layers, B, size) each, or None.
    `places` says of each layer where its arrays lie among them.
    """

    layers: tuple[Layer, ...]
    places: tuple[Mapping[str, Place], ...]
    count: int
    main: str = ""
    apart: bool = False  # outputs may be changed in place before the backward pass
    kernels: dict[torch.dtype, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # found here, as torch.compile cannot look into cached properties
        _ = self.states, self.no_states, self.first_state, self.words, self.returns, self.is_fresh

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The keys of the states, the same in every layer."""
        return self.layers[0].states

    @property
    def remat(self) -> int | None:
        """As of its layers."""
        return self.layers[0].remat

    @cached_property
    def is_fresh(self) -> bool:
        """Whether the kernels can hand over what they keep for the backward pass."""
        return self.remat is None and not self.layers[0].cell.initial

    @cached_property
    def over(self) -> tuple[str, ...]:
        """What every given tensor varies over; nothing where it is a state."""
        found = [""] * self.count
        for layer, places in zip(self.layers, self.places, strict=True):
            leaves = {n.attr.name: n.over for n in layer.cell.leaves}
            for name, place in places.items():
                found[place.given] = leaves.get(name, "")
        return tuple(found)

    @cached_property
    def words(self) -> frozenset[int]:
        """Which of the given tensors say what is drawn: they are float32 beside bfloat16."""
        known = (own[name].given for own in self.places for name in WORDS if name in own)
        return frozenset(known)

    @cached_property
    def no_states(self) -> tuple[None, ...]:
        """What is given where every state begins at zero."""
        return (None,) * len(self.states)

    @cached_property
    def first_state(self) -> int:
        """Which of the given tensors is the first state."""
        return self.count - len(self.states)

    @cached_property
    def returns(self) -> tuple[str, ...]:
        """The names that the last layer returns."""
        return self.layers[-1].cell.returns

    @cached_property
    def weights(self) -> int:
        """How many numbers there are in the weights."""
        return sum(math.prod(shape) for shape in self.shapes if shape is not None)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...] | None, ...]:
        """Of every tensor that a call gives the shape, where it does not depend on the call."""
        found: list[tuple[int, ...] | None] = [None] * self.count
        for layer, places in zip(self.layers, self.places, strict=True):
            fixed = {n.attr.name for n in layer.cell.leaves if not n.over}
            for name, place in places.items():
                if name in fixed:
                    tail = layer.tails[name]
                    rows = (tail[0] + place.row, *tail[1:]) if place.row is not None else tail
                    found[place.given] = max(rows, found[place.given] or rows)
        return tuple(found)

    @while_compiling
    def text(self) -> str:
        """All that a stack is, from which `stack_from` makes the same one in another process."""
        text = _written(self)
        _known.setdefault(text, self)
        return text

    def __getstate__(self) -> dict[str, Any]:
        # the kernels are compiled again, or found in the cache, where the stack is loaded
        return {**self.__dict__, "kernels": {}}

    def __deepcopy__(self, memo: Any) -> Stack:
        return self


def stacked(
    layers: Sequence[Layer], inputs: Sequence[str], main: str, apart: bool = False
) -> Stack:
    """Layers of which each has weights of its own, and the inputs but `main` are everybody's.

    The tensors of a call: the inputs, the weights and constants of layer upon layer, the states.
    """
    shared = {name: Place(k) for k, name in enumerate(inputs)}
    above = {name: place for name, place in shared.items() if name != main}
    places: list[Mapping[str, Place]] = []
    count = len(inputs)
    for layer in layers:
        tensors = layer.tensors[len(inputs) :]
        places.append((above if places else shared) | layer.places(tensors, count))
        count += len(tensors)
    return Stack(tuple(layers), tuple(places), count + len(layers[0].states), main, apart)


def started(stack: Stack, rows: int, given: Tensors, wanted: Collection[str]) -> dict[str, Tensor]:
    """These states before the first step, (1, B, size), by equations as `h[0] = h_0`."""
    (layer,) = stack.layers
    initial = layer.cell.initial
    found = {
        key: _array(stack, 0, value.attr.name, given).expand(1, rows, *layer.tails[key])
        for key, value in initial
        if key in wanted
        and value.op == "leaf"
        and value.attr.name in layer.names
        and not value.over
    }
    start = initial_cell(layer.cell, [k for k, _ in initial if k in found or k not in wanted])
    if start is not None:
        named = {name: _array(stack, 0, name, given) for name in layer.names}
        more, _ = torch_.forward(start, named, {}, layer.sizes, (1, rows), start.outputs)
        found |= more
    return found


def composite(
    stack: Stack, lead: Lead, given: Tensors
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What a stack returns and its final states, (layers, B, size), by the torch backend."""
    below: dict[str, Tensor] = {}
    outputs: tuple[Tensor, ...] = ()
    finals: list[Mapping[str, Tensor]] = []
    for k, layer in enumerate(stack.layers):
        arrays = {name: _array(stack, k, name, given) for name in stack.places[k]} | below
        state = _states(stack, k, lead, given, next(iter(arrays.values())))
        cell = layer.cell
        found, final = torch_.forward(cell, arrays, state, layer.sizes, lead, cell.returns)
        outputs = tuple(found[name] for name in cell.returns)
        below = {stack.main: outputs[0]}
        finals.append(final)
    return outputs, tuple(torch.stack([f[key] for f in finals]) for key in stack.states)


def differentiated(
    stack: Stack, lead: Lead, given: Tensors, grads: Tensors, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients by the torch backend, which can be differentiated again or transformed.

    A double backward needs that, and one under `is_grads_batched` or forward mode.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        own = apart(given[: stack.count], needed)
        outputs, final = composite(stack, lead, own)
        roots = (*outputs, *final)
        found = iter(pulled_back(roots, grads, own, needed, create_graph=again, allow_unused=True))
    return [next(found) if need else None for need in needed]


def pulled_back(
    roots: Tensors, grads: Tensors, given: Tensors, needed: Sequence[bool], **how: bool
) -> tuple[Tensor, ...]:
    """The gradients of those given tensors that need one, by autograd, from those of the roots."""
    pairs = zip(roots, grads, strict=True)
    live = [(r, g) for r, g in pairs if r is not None and g is not None and r.requires_grad]
    wrt = [t for t, need in zip(given, needed, strict=True) if need and t is not None]
    return torch.autograd.grad([r for r, _ in live], wrt, [g for _, g in live], **how)


def apart(given: Tensors, needed: Sequence[bool]) -> list[Tensor | None]:
    """The tensors, with a view in place of each that needs a gradient: the graph ends there.

    One tensor may be computed from another, as a first state from the input. Its gradient goes on
    from it in the caller's graph, and would be counted twice if it went on in this one too.
    """
    pairs = zip(given, needed, strict=True)
    return [t.view_as(t) if t is not None and need else t for t, need in pairs]


def _array(stack: Stack, k: int, name: str, given: Tensors) -> Tensor:
    """An array of layer `k`, cut out of the tensor in which it lies."""
    place = stack.places[k][name]
    tensor = given[place.given]
    assert tensor is not None
    if place.row is None:
        return tensor
    return tensor.narrow(0, place.row, stack.layers[k].tails[name][0])


def _states(stack: Stack, k: int, lead: Lead, given: Tensors, like: Tensor) -> dict[str, Tensor]:
    """The states of layer `k` before the first step, zero where none is given."""
    found = {}
    for key, tensor in zip(stack.states, given[stack.first_state :], strict=True):
        zero = (lead[1], *stack.layers[k].tails[key])
        found[key] = like.new_zeros(zero) if tensor is None else tensor[k]
    return found


_known: weakref.WeakValueDictionary[str, Stack] = weakref.WeakValueDictionary()


def stack_from(text: str) -> Stack:
    """The stack whose text this is."""
    found = _known.get(text)
    return _made(text) if found is None else found


@lru_cache(maxsize=256)
def _written(stack: Stack) -> str:
    cells = list(dict.fromkeys(layer.cell for layer in stack.layers))
    layers = [
        {
            "cell": cells.index(layer.cell),
            "sizes": dict(layer.sizes),
            **{name: getattr(layer, name) for name in ("names", "states", "remat")},
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


@lru_cache(maxsize=256)
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

"""The plans of a stack's kernel calls: which address each of their arrays has.

An address is that of one of a call's tensors and a number of bytes. A plan says this for all arrays
of all layers; it is made once for a number of steps and sequences, and used again.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import add, itemgetter
from typing import Any, NamedTuple, TypeAlias

import torch

from elman.backends.c_layout import Buffer
from elman.backends.c_run import Run, compiled
from elman.backends.interpret import USER
from elman.ir.sizes import number
from elman.nn.layers import Layer, Lead, Place, Stack
from elman.passes.transpose import past_name

HALF = torch.bfloat16
DTYPES = {torch.float32: "float32", torch.float64: "float64", HALF: "bfloat16"}
LINE = 64  # values: what lies in one tensor with others begins on a cache line

Key: TypeAlias = tuple[str, str]  # role and name of a kernel's array
Shape: TypeAlias = tuple[int, ...]
View: TypeAlias = tuple[Shape, Shape, int]  # shape, strides, offset


class At(NamedTuple):
    """An address: a number of bytes behind the beginning of one of a call's tensors."""

    tensor: int
    byte: int = 0


Copy: TypeAlias = tuple[At, At, int]  # to, from, bytes


class Call:
    """A kernel's run, the addresses of its arrays, and what is copied when it is done."""

    __slots__ = ("copies", "offsets", "run", "tensors")

    def __init__(self, run: Run, arrays: Sequence[At], copies: Sequence[Copy] = ()) -> None:
        self.run = run
        self.tensors = itemgetter(*[at.tensor for at in arrays])
        self.offsets = [at.byte for at in arrays]
        self.copies = tuple(copies)

    def at(self, bases: Sequence[int], packed: int | None = None) -> None:
        """Run with a call's tensors, and weights that were packed before, at these addresses."""
        self.run(map(add, self.tensors(bases), self.offsets), packed)
        for to, source, count in self.copies:
            ctypes.memmove(bases[to.tensor] + to.byte, bases[source.tensor] + source.byte, count)


class Pool:
    """A tensor in which arrays lie one behind the other."""

    def __init__(self, tensor: int, itemsize: int) -> None:
        self.tensor, self.itemsize, self.values = tensor, itemsize, 0

    def room(self, count: int) -> At:
        """The address of memory for so many values."""
        found = At(self.tensor, self.values * self.itemsize)
        self.values += -(-count // LINE) * LINE
        return found


class LayerKernels:
    """The compiled kernels of a layer, and what their arrays are."""

    def __init__(self, layer: Layer, dtype: torch.dtype) -> None:
        cell = layer.cell
        found = compiled(cell, DTYPES[dtype], cell.returns)
        self.layer, self.itemsize = layer, dtype.itemsize
        self.wide = 2 if dtype is HALF else 1  # how much longer a value is that the kernels keep
        self.forward, self.backward = found.forward, found.backward
        self.numbers = [kernel.numbers(layer.sizes) for kernel in (found.forward, found.backward)]
        places = self.forward.program.outputs
        self.returns: tuple[Key, ...] = tuple(places[name] for name in cell.returns)
        # what the backward kernel is given, by the name that it has there
        self.saved: dict[str, Key] = {name: places[name] for name in found.derivation.saved}
        self.past: dict[str, Key] = {past_name(key): ("states", key) for key in layer.states}
        self.gradients: Mapping[str, Key] = self.backward.program.outputs
        self.forward_arrays = {(b.role, b.key): b for b in self.forward.buffers}
        self.backward_arrays = {(b.role, b.key): b for b in self.backward.buffers}

    def shape(self, buffer: Buffer, lead: Lead) -> Shape:
        """The shape of an array; that of a state has one slot more of time."""
        steps = lead[0] + 1 if buffer.role == "states" else lead[0]
        first = {"tb": (steps, lead[1]), "t": (steps,), "b": (lead[1],), "": ()}[buffer.over]
        return (*first, *(number(size, self.layer.sizes) for size in buffer.shape))

    def values(self, key: Key, lead: Lead) -> int:
        """How many values of the dtype take as much memory as an array of the forward kernel."""
        buffer = self.forward_arrays[key]
        return math.prod(self.shape(buffer, lead)) * (1 if buffer.half else self.wide)

    def behind(self, at: At, key: Key, lead: Lead) -> At:
        """Where the first step's value of an array lies: of a state, behind the one before it."""
        if key[0] != "states":
            return at
        slot = self.values(key, lead) // (lead[0] + 1)
        return At(at.tensor, at.byte + slot * self.itemsize)


def room(layers: Sequence[LayerKernels], lead: Lead) -> int:
    """The values of a pool in training: no fewer than the arrays in it take."""
    found = 0
    for kernels in layers:
        kept = dict.fromkeys((*kernels.saved.values(), *kernels.past.values(), kernels.returns[0]))
        inside = [k for k in kept if kernels is not layers[-1] or k not in kernels.returns]
        found += sum(kernels.values(key, lead) + LINE for key in inside)
    return found


@dataclass(frozen=True)
class ForwardPlan:
    """Of a call's tensors the given ones come first, then the pool, then the new ones."""

    lead: Lead
    calls: tuple[Call, ...]
    pool: int  # values
    new: tuple[tuple[Shape, Shape], ...]  # shape and strides: what is returned, then final states
    finals: int  # the number of the first final state among them
    shown: tuple[tuple[int, View], ...]  # which of them have slots that are not shown, and what is
    returns: tuple[int, ...]  # which of them each returned name is
    kept: tuple[Mapping[str, At], ...]  # by layer: what its backward kernel is given
    outputs: tuple[At, ...]  # by layer: what the one above reads
    backward: dict[Any, BackwardPlan] = field(default_factory=dict)  # by what is needed and given


@dataclass(frozen=True)
class BackwardPlan:
    """The given tensors, the pool, what was returned, cotangents; then work memory, gradients."""

    calls: tuple[Call, ...]
    work: int  # values
    zeros: int  # values
    gradients: tuple[int, ...]  # of which given tensors
    unfilled: tuple[int, ...]  # which of the gradients begin at 0
    sums: tuple[tuple[int, int], ...]  # to which of the gradients another one is added
    results: tuple[int | None, ...]  # for each given tensor the number of its gradient


class _Planner:
    """What the plans of both directions need to know."""

    def __init__(
        self, stack: Stack, layers: Sequence[LayerKernels], lead: Lead, absent: Sequence[bool]
    ) -> None:
        self.stack, self.layers, self.lead = stack, layers, lead
        self.itemsize = layers[0].itemsize
        self.last = len(layers) - 1
        self.absent = dict(zip(stack.states, absent, strict=True))
        self.state = {key: stack.first_state + j for j, key in enumerate(stack.states)}
        self.first_returned = stack.count + 1
        self.returned = {
            key: At(self.first_returned + j)
            for j, key in enumerate(dict.fromkeys(layers[-1].returns))
        }

    def own(self, tensor: int, k: int, key: str) -> At:
        """The part of layer `k` in a tensor (layers, B, size) of a state."""
        width = math.prod(self.stack.layers[k].tails[key])
        return At(tensor, k * self.lead[1] * width * self.itemsize)

    def within(self, tensor: int, k: int, name: str) -> At:
        """Where an array of layer `k` lies in the given tensor, or in one of its shape."""
        row = self.stack.places[k][name].row or 0
        width = math.prod(self.stack.layers[k].tails[name][1:])
        return At(tensor, row * width * self.itemsize)

    def user(self, k: int, name: str, outputs: Sequence[At]) -> At:
        """Where an input or a weight of layer `k` lies."""
        if k and name == self.stack.main:
            return outputs[k - 1]
        return self.within(self.stack.places[k][name].given, k, name)


class ForwardPlanner(_Planner):
    """Finds a place for all that the forward kernels read and write."""

    def plan(self, training: bool, threads: int) -> ForwardPlan:
        """The plan of a call; in training, what the backward kernels need is kept."""
        states = self.stack.states
        self.pool = Pool(self.stack.count, self.itemsize)
        self.passing: dict[tuple[int, int], At] = {}
        first_final = self.first_returned + len(self.returned)
        self.finals = {key: first_final + j for j, key in enumerate(states)}
        self.null = At(first_final + len(states))
        self.outputs: list[At] = []
        parts = [self._layer(k, training, threads) for k in range(len(self.layers))]
        last = self.layers[-1]
        new = [last.shape(last.forward_arrays[key], self.lead) for key in self.returned]
        new += [(len(parts), self.lead[1], *last.layer.tails[key]) for key in states]
        return ForwardPlan(
            self.lead,
            tuple(call for call, _ in parts),
            room(self.layers, self.lead) if training else self.pool.values,
            tuple((shape, _strides(shape)) for shape in new),
            len(self.returned),
            tuple(map(self._shown, (key for key in self.returned if key[0] == "states"))),
            tuple(self.returned[key].tensor - self.first_returned for key in last.returns),
            tuple(kept for _, kept in parts),
            tuple(self.outputs),
        )

    def _shown(self, key: Key) -> tuple[int, View]:
        """Which new tensor a state is, and the part of it behind the state before all steps."""
        last = self.layers[-1]
        shape = last.shape(last.forward_arrays[key], self.lead)
        steps = _strides(shape)
        number = self.returned[key].tensor - self.first_returned
        return number, ((self.lead[0], *shape[1:]), steps, steps[0])

    def _layer(self, k: int, training: bool, threads: int) -> tuple[Call, Mapping[str, At]]:
        """The call of a layer's kernel, and where what its backward kernel reads is kept."""
        kernels = self.layers[k]
        places = dict(self.returned) if k == self.last else {}
        if training:
            for key in (*kernels.saved.values(), *kernels.past.values()):
                if key not in places:
                    places[key] = self.pool.room(self._values(kernels, key))
        first = kernels.returns[0]
        if first not in places:
            places[first] = self._passed_on(k, self._values(kernels, first))
        self.outputs.append(kernels.behind(places[first], first, self.lead))
        arrays = tuple(self._array(k, key, places) for key in kernels.forward.keys)
        given = [at is not self.null for at in arrays]
        run = kernels.forward.planned(*self.lead, kernels.numbers[0], given, threads)
        kept = {}
        if training:
            kept = {
                name: kernels.behind(places[key], key, self.lead)
                for name, key in kernels.saved.items()
            }
            kept |= {name: places[key] for name, key in kernels.past.items()}
        return Call(run, arrays), kept

    def _values(self, kernels: LayerKernels, key: Key) -> int:
        return kernels.values(key, self.lead)

    def _passed_on(self, k: int, values: int) -> At:
        """Memory for what only the next layer reads: the one behind it takes it again."""
        found = self.passing.get((k % 2, values))
        if found is None:
            found = self.passing[k % 2, values] = self.pool.room(values)
        return found

    def _array(self, k: int, key: Key, places: Mapping[Key, At]) -> At:
        role, name = key
        if role in USER:
            return self.user(k, name, self.outputs)
        if role == "init":
            return self.null if self.absent[name] else self.own(self.state[name], k, name)
        if role == "final":
            return self.own(self.finals[name], k, name)
        return places.get(key, self.null)


class BackwardPlanner(_Planner):
    """Finds a place for all that the backward kernels read and write, from the last layer down."""

    def plan(
        self,
        forward: ForwardPlan,
        needed: Sequence[bool],
        present: Sequence[bool],
        threads: int,
    ) -> BackwardPlan:
        """The plan for the gradients `needed`, from the cotangents that are `present`."""
        self.forward, self.needed, self.present = forward, needed, present
        self.first_cotangent = self.first_returned + len(self.returned)
        work = self.first_cotangent + len(self.stack.returns) + len(self.stack.states)
        self.work, self.zeros = Pool(work, self.itemsize), At(work + 1)
        self.null, self.first_gradient = At(work + 2), work + 3
        self.zero_values = 0
        self.gradients: list[int] = []  # of which given tensors
        self.unfilled: set[int] = set()
        self.filled: set[Place] = set()
        self.sums: list[tuple[int, int]] = []
        self.passing: dict[tuple[int, int], At] = {}
        self.above: At | None = None  # the cotangent of a layer's output, from the one above
        lowest = self._lowest()
        calls = [self._layer(k, lowest, threads) for k in range(self.last, lowest - 1, -1)]
        first = {index: j for j, index in reversed(list(enumerate(self.gradients)))}
        return BackwardPlan(
            tuple(calls),
            self.work.values,
            self.zero_values,
            tuple(self.gradients),
            tuple(j for j, index in enumerate(self.gradients) if index in self.unfilled),
            tuple(self.sums),
            tuple(first.get(index) for index in range(self.stack.count)),
        )

    def _lowest(self) -> int:
        """The lowest layer that a gradient is wanted of."""
        if any(self.needed[index] for index in self.state.values()):
            return 0
        places = enumerate(self.stack.places)
        wanted = (k for k, own in places if any(self.needed[p.given] for p in own.values()))
        return next(wanted, len(self.layers))

    def _layer(self, k: int, lowest: int, threads: int) -> Call:
        kernels, above = self.layers[k], self.above
        self.above = None
        targets: dict[Key, At] = {}
        copies: list[Copy] = []
        for key, at in self._wanted(k, lowest):
            if key in targets:  # two biases that are only ever added have one gradient
                shape = kernels.shape(kernels.backward_arrays[key], self.lead)
                copies.append((at, targets[key], math.prod(shape) * self.itemsize))
            else:
                targets[key] = at
        arrays = tuple(self._array(k, key, targets, above) for key in kernels.backward.keys)
        given = [at is not self.null for at in arrays]
        run = kernels.backward.planned(*self.lead, kernels.numbers[1], given, threads)
        return Call(run, arrays, _joined(copies))

    def _wanted(self, k: int, lowest: int) -> Iterator[tuple[Key, At]]:
        """The arrays of a backward kernel that are wanted, and where they are to be."""
        kernels = self.layers[k]
        for name in self.stack.layers[k].names:
            key = kernels.gradients.get(f"d_{name}")
            place = self.stack.places[k].get(name)
            if place is None:  # what the layer below gave
                if key is not None and k > lowest:
                    self.above = self._passed_on(k, kernels, key)
                    yield key, self.above
            elif self.needed[place.given] and key is not None:
                yield key, self.within(self._gradient(place), k, name)
            elif self.needed[place.given] and place.row is not None:
                self.unfilled.add(place.given)
        for name, index in self.state.items():
            if self.needed[index]:
                yield ("final", name), self.own(self._gradient(Place(index, k)), k, name)

    def _passed_on(self, k: int, kernels: LayerKernels, key: Key) -> At:
        values = math.prod(kernels.shape(kernels.backward_arrays[key], self.lead))
        found = self.passing.get((k % 2, values))
        if found is None:
            found = self.passing[k % 2, values] = self.work.room(values)
        return found

    def _gradient(self, place: Place) -> int:
        """The tensor for a gradient; a second one where two layers read the same array."""
        if place.given not in self.gradients or place in self.filled:
            if place in self.filled:
                self.sums.append((self.gradients.index(place.given), len(self.gradients)))
            self.gradients.append(place.given)
            self.filled.add(place)
            return self.first_gradient + len(self.gradients) - 1
        self.filled.add(place)
        return self.first_gradient + self.gradients.index(place.given)

    def _array(self, k: int, key: Key, targets: Mapping[Key, At], above: At | None) -> At:
        role, name = key
        if role in USER:
            return self.user(k, name, self.forward.outputs)
        if role == "given":
            return self.forward.kept[k].get(name) or self._cotangent(k, key, above)
        if role == "init":
            number = len(self.stack.returns) + self.stack.states.index(name)
            tensor = self.first_cotangent + number
            return self.own(tensor, k, name) if self.present[number] else self.null
        return self.null if role == "states" else targets.get(key, self.null)

    def _cotangent(self, k: int, key: Key, above: At | None) -> At:
        """Where the cotangent of what a layer returns lies; of what nothing reads, it is 0."""
        kernels = self.layers[k]
        returned = kernels.layer.cell.returns.index(key[1].removeprefix("d_"))
        if k == self.last and self.present[returned]:
            return At(self.first_cotangent + returned)
        if k < self.last and returned == 0 and above is not None:
            return above
        values = math.prod(kernels.shape(kernels.backward_arrays[key], self.lead))
        self.zero_values = max(self.zero_values, values)
        return self.zeros


def _strides(shape: Shape) -> Shape:
    """Those of a tensor in one piece."""
    found = [1]
    for size in reversed(shape[1:]):
        found.append(found[-1] * max(size, 1))
    return tuple(reversed(found[: len(shape)]))


def _joined(copies: list[Copy]) -> list[Copy]:
    """The copies with those that lie side by side made one."""
    found: list[Copy] = []
    for to, source, count in sorted(copies):
        if found and _touch(found[-1], to, source):
            to, source, before = found.pop()
            count += before
        found.append((to, source, count))
    return found


def _touch(copy: Copy, to: At, source: At) -> bool:
    ends = (At(at.tensor, at.byte + copy[2]) for at in copy[:2])
    return tuple(ends) == (to, source)

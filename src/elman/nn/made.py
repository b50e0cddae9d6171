"""What a `Recurrent` is made of: its cells, the directions of its layers, its weights."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from elman.backends import c_compile
from elman.backends.notice import BackendNotice
from elman.cell import Cell
from elman.ir.sizes import number
from elman.nn import drawn
from elman.nn.frozen import CanFreeze, Frozen
from elman.nn.fused import pack
from elman.nn.given import (
    as_cell,
    check_made_with,
    check_names,
    check_switches,
    constant_tensors,
    remat_steps,
)
from elman.nn.input_form import InputForm
from elman.nn.layers import Stack, stacked
from elman.nn.passage import LayerNorm, Passage, check_residual
from elman.nn.refused_making import OPTIONS
from elman.nn.regularized import Drops
from elman.nn.rungs import check_two_ways, rung_of, with_learned_starts
from elman.nn.stack import each_layer, plan_sizes
from elman.nn.states import States

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Any]


class RecurrentParts(CanFreeze):
    """The parts of a `Recurrent`: how they are made and initialised, and found again in a call."""

    cells: tuple[Cell, ...]  # of each layer
    cell: Cell  # the first
    unmasked: tuple[Cell, ...]  # each before `drops` puts masks in; its weights are the same
    input_size: int
    hidden_size: int | Sequence[int]
    num_layers: int
    sizes: dict[str, int]
    batch_first: bool
    bidirectional: bool
    remat: bool | int
    return_states: tuple[str, ...]
    residual: bool
    layer_norm: bool
    skip_input: bool
    drops: Drops
    _stack: Stack | None
    _numbers: Mapping[str, Tensor] = {}  # of the constants, whatever befalls the buffers

    def __setattr__(self, name: str, value: Any) -> None:
        if "_rungs" in self.__dict__:
            check_made_with(name, OPTIONS)
        super().__setattr__(name, value)

    def _take_cells(self, given: Any, learn_initial_state: bool) -> None:
        """Read the cell of each layer, and put learned first states and dropout into it."""
        is_list = isinstance(given, list | tuple)
        cells = each_layer("cell", given if is_list else as_cell(given), self.num_layers)
        cells = [as_cell(each) for each in cells]
        if learn_initial_state:
            cells = with_learned_starts(cells)
        self.unmasked = tuple(cells)
        cells = self.drops.put_into(cells)
        self.cells, self.cell = tuple(cells), cells[0]
        self.learn_initial_state = learn_initial_state
        if not isinstance(self.hidden_size, int):
            self.hidden_size = tuple(each_layer("hidden_size", self.hidden_size, self.num_layers))

    def _make(self, constants: Mapping[str, Any], device: Any, dtype: torch.dtype | None) -> None:
        """Plan the layers, make their weights and constants, and initialise them as torch does."""
        check_switches(self)
        widths = self._plan()
        self._make_weights(device, dtype)
        self._keep_constants(constants, device, dtype)
        self._join(widths, device, dtype)
        self.reset_parameters()

    def _plan(self) -> list[int]:
        """Set the rungs and what inputs and states look like; the widths are of `plan_sizes`."""
        cells, directions = self.cells, 2 if self.bidirectional else 1
        check_names(cells)
        hidden = each_layer("hidden_size", self.hidden_size, self.num_layers)
        planned, widths = plan_sizes(cells, self.input_size, hidden, self.sizes, directions)
        if self.bidirectional:
            check_two_ways(cells)
        how: dict[str, Any] = {
            "seen": self.return_states,
            "remat": remat_steps(self.remat),
            "own_constants": any(cell != self.cell for cell in cells),
        }
        self._rungs = [
            rung_of(cell, numbers, (k, bool(d)), **how)
            for k, (cell, numbers) in enumerate(zip(cells, planned, strict=True))
            for d in range(directions)
        ]
        self._weights = [name for rung in self._rungs for name in rung.weights.values()]
        self._is_random = any(rung.chance is not None for rung in self._rungs)
        self.main = self._rungs[0].main
        self._form = InputForm.of(cells, planned)
        tails = {
            name: [each.tail(name) for each in self._rungs[::directions]]
            for name in dict.fromkeys(name for cell in cells for name in cell.states)
        }
        self._states = States(tails, drawn.remembered(cells), self.num_layers, directions)
        return widths

    def _join(self, widths: list[int], device: Any, dtype: torch.dtype | None) -> None:
        """What happens between layers."""
        if self.residual:
            check_residual(widths)
        for k, width in enumerate(widths[:-1] if self.layer_norm else ()):
            self.add_module(f"norm_l{k}", LayerNorm(width, device=device, dtype=dtype))
        self.output_size = widths[-1] + (self.input_size if self.skip_input else 0)
        self._stack = self._in_one()

    def _in_one(self) -> Stack | None:
        """All layers as one call of the kernels, where nothing happens between them."""
        first = self._rungs[0].average
        is_alike = all(cell == self.cell for cell in self.cells) and not self.bidirectional
        is_whole = all(self._states.is_whole(name) for name in self.cell.states)
        is_seen = self.num_layers > 1 and bool(self.return_states)
        is_apart = is_seen or self.residual or self.layer_norm
        # torch computes first states, and spreads what varies over less before a layer reads it
        is_simple = not first.cell.initial and first.cell.value(first.cell.returns[0]).over == "tb"
        if is_alike and is_whole and is_simple and not is_apart:
            layers = [each.average for each in self._rungs]
            return stacked(layers, self.cell.inputs, self.main or "")
        return None

    @property
    def _passage(self) -> Passage:
        count = self.num_layers if self.layer_norm else 0
        return Passage([getattr(self, f"norm_l{k}") for k in range(count)], self.residual)

    def _make_weights(self, device: Any, dtype: torch.dtype | None) -> None:
        """A parameter for every name of the equations and layer; a buffer where it is frozen."""
        for rung in self._rungs:
            cell = rung.cell
            for name in cell.parameters:
                shape = [number(size, rung.sizes) for size in cell.typed.shape(name)]
                empty = torch.empty(shape, device=device, dtype=dtype)
                if name in cell.frozen:
                    self.register_buffer(rung.weights[name], empty)
                else:
                    self.register_parameter(rung.weights[name], torch.nn.Parameter(empty))

    def _keep_constants(
        self, given: Mapping[str, Any], device: Any, dtype: torch.dtype | None
    ) -> None:
        """The constants of each layer, which are not saved with it."""
        constants = constant_tensors(self.cells, given)
        self._numbers = {
            rung.weights[name]: tensor
            for rung in self._rungs
            for name, tensor in constants[rung.number].items()
        }
        where = device or torch.get_default_device(), dtype or torch.get_default_dtype()
        for name, tensor in self._numbers.items():
            self.register_buffer(name, tensor.to(*where), persistent=False)

    def _hollow(self) -> list[str]:
        """The constants that are on "meta", without their numbers."""
        buffers = self._buffers.items()
        return [n for n, buffer in buffers if n in self._numbers and buffer.is_meta]  # type: ignore[union-attr]

    def _fill(self, hollow: Iterable[str]) -> None:
        """Give constants their numbers, which no checkpoint holds, where the weights are by now."""
        for name in hollow:
            weight = self._weight()
            like: Any = self._buffers[name] if weight is None else weight
            self._buffers[name] = self._numbers[name].to(like.device, like.dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> RecurrentParts:
        hollow = self._hollow()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._fill(hollow)
        return self

    def _load_from_state_dict(self, *given: Any) -> None:
        super()._load_from_state_dict(*given)
        self._fill(self._hollow())  # by assign=True the weights have left "meta" alone

    def reset_parameters(self) -> None:
        """torch's own rule: uniform within 1/sqrt(hidden_size); a learned initial state is 0."""
        hidden = each_layer("hidden_size", self.hidden_size, self.num_layers)
        with torch.no_grad():
            for rung in self._rungs:
                initial = rung.cell.typed.cell.initial
                starts = {value.attr.name for _, value in initial if value.op == "leaf"}
                bound = 1.0 / math.sqrt(hidden[rung.number])
                for name in rung.cell.parameters:
                    weight: Tensor = getattr(self, rung.weights[name])
                    weight.zero_() if name in starts else weight.uniform_(-bound, bound)
        for norm in self._passage.norms:
            norm.reset_parameters()  # type: ignore[operator]

    def _weight(self) -> Tensor | None:
        """One of the weights; None where there are none."""
        first = next(iter(self._parameters.values()), None)
        if first is None and self.cell.parameters:  # all are frozen
            first = getattr(self, self._rungs[0].weights[self.cell.parameters[0]])
        return first

    def _like(self, inputs: State) -> Tensor:
        """A tensor of the layer's dtype and device."""
        given = next(iter(inputs.values()), None)
        return self._array(next(iter(self._rungs[0].weights.values()))) if given is None else given

    def _array(self, name: str) -> Tensor:
        """A weight or a constant by the layer's name of it."""
        found = self._parameters.get(name)  # by far quicker than getattr
        array: Tensor = getattr(self, name) if found is None else found
        return array

    def _weight_names(self) -> Iterable[str]:
        return [rung.weights[name] for rung in self._rungs for name in rung.cell.parameters]

    def _pack(self, frozen: Frozen) -> None:
        if self._stack is not None:
            inputs = [None] * len(self.cell.inputs)
            given = [self._array(name) for name in self._weights]
            pack(frozen, self._stack, [*inputs, *given, *self._stack.no_states])
            return
        for rung in self._rungs:
            stack, inputs = rung.average.stack, [None] * len(rung.cell.inputs)
            given = [self._array(name) for name in rung.weights.values()]
            pack(frozen, stack, [*inputs, *given, *stack.no_states])


def notify() -> None:
    """Warn, in one line, whoever makes a layer on a machine without a compiler."""
    reason = c_compile.trouble()
    if reason is not None:
        warnings.warn(BackendNotice(reason), stacklevel=3)

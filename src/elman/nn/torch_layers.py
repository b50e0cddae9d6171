"""RNN, LSTM and GRU as torch has them, on compiled kernels made from their equations."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from elman.cell import Cell, published
from elman.library import cells
from elman.nn.frozen import CanFreeze, Frozen
from elman.nn.fused import PLAIN, composite, explained, is_transformed, pack, run_fused, why_not
from elman.nn.given import remat_steps
from elman.nn.layers import Layer, Lead, Place, Stack
from elman.nn.packed import Packing
from elman.nn.piled import run_packed
from elman.nn.torch_own import OnTorchs, served

Tensor: TypeAlias = torch.Tensor
Given: TypeAlias = tuple[Tensor | None, ...]
Found: TypeAlias = tuple[Tensor, tuple[Tensor, ...]]

# torch's name of a kind: the cell of its equations, the gates as torch stacks them, the states
KINDS = {
    "RNN_TANH": ("rnn_torch", "h", ("h",)),
    "RNN_RELU": ("rnn_torch", "h", ("h",)),
    "GRU": ("gru_reset_after", "rzn", ("h",)),
    "LSTM": ("lstm_torch", "ifgo", ("h", "c")),
}
WEIGHTS = ("W_i", "W_h", "b_i", "b_h")  # weight_ih, weight_hh, bias_ih, bias_hh; a gate's letter


@functools.cache
def equations(kind: str, bias: bool) -> Cell:
    """The cell that torch documents for a kind, without its biases where it has none.

    >>> equations("RNN_RELU", False)
    Cell('h[t] = relu(W_ih @ x[t] + W_hh @ h[t-1])  # the new state', name='rnn_torch')
    """
    name, _, _ = KINDS[kind]
    lines = [line for line in cells.text(name).splitlines() if not line.startswith("#")]
    text = "\n".join(lines).strip()
    text = text.replace("tanh", "relu") if kind == "RNN_RELU" else text
    return published(text if bias else re.sub(r" \+ b_\w+", "", text), name)


@functools.lru_cache(maxsize=64)
def stack_of(
    kind: str,
    bias: bool,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    remat: int | None = None,
) -> Stack:
    """The layers of a module: their tensors are x, the weights in torch's order, and the states."""
    cell = equations(kind, bias).typed.cell
    _, gates, states = KINDS[kind]
    letters = WEIGHTS if bias else WEIGHTS[:2]
    layers, places = [], []
    for k in range(num_layers):
        own = {
            letter + gate: Place(1 + k * len(letters) + j, row * hidden_size)
            for j, letter in enumerate(letters)
            for row, gate in enumerate(gates)
        }
        sizes = {"input": hidden_size if k else input_size, "hidden": hidden_size}
        layers.append(Layer(cell, sizes, ("x", *own), states, remat))
        places.append(own if k else {"x": Place(0), **own})
    count = 1 + num_layers * len(letters) + len(states)
    return Stack(tuple(layers), tuple(places), count, "x")


class _OnKernels(CanFreeze, OnTorchs, torch.nn.RNNBase):
    """What lets a layer of torch's run on compiled kernels wherever they can serve."""

    _stack: Stack | None = None
    remat: bool | int = False

    def __init__(self, *args: Any, remat: bool | int = False, **options: Any) -> None:
        remat_steps(remat)
        super().__init__(*args, **options)
        self.remat = remat

    def _prepare(self) -> Stack | None:
        """The layers as the kernels have them; None where torch's own must serve."""
        if self.bidirectional or self.proj_size:
            return None
        sizes = self.input_size, self.hidden_size, self.num_layers
        self._stack = stack_of(self.mode, self.bias, *sizes, remat_steps(self.remat))
        return self._stack

    def _run(self, input: Any, hx: Any) -> Found | None:
        """The output and the final states; None where torch's own layer must serve, or refuse."""
        if torch.compiler.is_compiling():
            return None
        if isinstance(input, PackedSequence):
            return self._run_packed(input, hx)
        if type(input) not in PLAIN:
            return None
        x, before, axes = input, hx, input.dim()
        if axes == 2:
            x = input.unsqueeze(1)
            before = None if hx is None else [state.unsqueeze(1) for state in hx]
        elif axes == 3 and self.batch_first:
            x = input.transpose(0, 1)
        is_served = axes in (2, 3) and self._gains(x)
        found = self._found(x, before) if is_served else None
        if found is None or (axes == 3 and not self.batch_first):
            return found
        output, states = found
        if axes == 3:
            return output.transpose(0, 1), states
        return output.squeeze(1), tuple([state.squeeze(1) for state in states])

    def _run_packed(self, input: PackedSequence, hx: Any) -> tuple[Any, Any] | None:
        """The same for a packed sequence."""
        data, order = input.data, input.sorted_indices
        if why_not((data, *self._weights())) is not None or data.dim() != 2 or not len(data):
            return None
        packing = Packing.of(input)
        try:
            before = hx if hx is None or order is None else [s.index_select(1, order) for s in hx]
        except (AttributeError, IndexError, RuntimeError):  # torch has words for it
            return None
        found = self._found(packing.padded(data), before, packing)
        if found is None:
            return None
        states = found[1]
        if order is not None:
            states = tuple([state.index_select(1, input.unsorted_indices) for state in states])
        output = PackedSequence(
            packing.packed(found[0]), input.batch_sizes, order, input.unsorted_indices
        )
        return output, states

    def _found(
        self, x: Tensor, hx: Sequence[Tensor] | None, packing: Packing | None = None
    ) -> Found | None:
        """The same for x (T, B, input_size) and states (layers, B, hidden_size)."""
        stack = self._stack or self._prepare()
        steps, rows, width = x.shape
        if stack is None or width != self.input_size or not steps or not rows:
            return None
        if torch._C._is_any_autocast_enabled():
            return None
        given: Given = (x, *self._weights(), *(stack.no_states if hx is None else hx))
        if len(given) != stack.count:
            return None
        if hx is not None:
            whole = (self.num_layers, rows, self.hidden_size)
            if any(type(state) not in PLAIN or state.shape != whole for state in hx):
                return None
        run: Any
        if packing is not None:
            run = functools.partial(run_packed, masks=packing.masks(), frozen=self._frozen)
        elif self._frozen is not None and not is_transformed():
            run = functools.partial(run_fused, frozen=self._frozen)
        else:
            run = composite if is_transformed() else run_fused
        if self.dropout and self.training and self.num_layers > 1:
            return self._with_dropout(run, (steps, rows), given, packing)
        found = run(stack, (steps, rows), given)
        return None if found is None else (found[0][0], found[1])

    def _weights(self) -> list[Any]:
        parameters, flat = self._parameters, self._flat_weights
        try:
            named = [parameters[name] for name in self._flat_weights_names]
        except KeyError:  # computed from others: a parametrization, a pruned weight
            return [getattr(self, name) for name in self._flat_weights_names]
        if [*map(id, named)] != [*map(id, flat)] and not self._weights_have_changed():
            return flat  # what torch's forward reads was replaced there alone
        return named

    def _weight_names(self) -> Iterable[str]:
        names: list[str] = self._flat_weights_names
        return names

    def _pack(self, frozen: Frozen) -> None:
        stack = self._stack or self._prepare()
        if stack is not None:
            pack(frozen, stack, (None, *self._weights(), *stack.no_states))

    def _with_dropout(
        self, run: Any, lead: Lead, given: Given, packing: Packing | None
    ) -> Found | None:
        """Layer by layer, with dropout on the output of each but the last, drawn as torch does."""
        finals = []
        remat = remat_steps(self.remat)
        below, weights, hx = given[0], iter(given[1:]), given[-len(KINDS[self.mode][2]) :]
        for k in range(self.num_layers):
            assert below is not None
            one = stack_of(self.mode, self.bias, below.shape[2], self.hidden_size, 1, remat)
            own = [next(weights) for _ in range(one.first_state - 1)]
            before = [state if state is None else state[k : k + 1] for state in hx]
            found = run(one, lead, (below, *own, *before))
            if found is None:
                return None
            (below,), final = found
            finals.append(final)
            if k + 1 < self.num_layers:
                below = below if packing is None else packing.packed(below)
                below = torch.nn.functional.dropout(below, self.dropout)
                below = below if packing is None else packing.padded(below)
        assert below is not None
        return below, tuple(torch.cat(each) for each in zip(*finals, strict=True))

    def explain(self) -> str:
        """Which code runs this layer in evaluation, and why not the compiled kernels."""
        if self.bidirectional or self.proj_size:
            return f"torch: {'bidirectional' if self.bidirectional else 'a projection'}"
        return explained(self._weights(), self.is_frozen)

    def extra_repr(self) -> str:
        """The arguments, as torch's layer shows them."""
        words: str = super().extra_repr()
        return f"{words}, remat={self.remat}" if self.remat else words

    def _gains(self, x: Tensor) -> bool:
        """Whether the kernels are quicker than torch's own, which needs no weights packed.

        A single step of few rows takes it less time than to pack large weights (measured:
        benchmarks/bench_torch_cells.py); its LSTM packs them too.
        """
        if len(x) > 1 or self.mode == "LSTM" or x.dtype is torch.bfloat16:
            return True
        if self._frozen is not None or is_transformed():
            return True
        gates = 3 if self.mode == "GRU" else 1
        weights = gates * self.hidden_size * (self.input_size + self.hidden_size)
        is_plain = torch.is_grad_enabled() and gates == 1  # quick by torch's own operations
        return weights <= x.shape[1] * (8000 if is_plain else 25000)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]
        state.pop("_stack", None)  # found again where the layer is loaded
        return state


class _OfOneState(_OnKernels):
    """A layer whose cell has one state, which stands alone."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Output of every step, and the final state (layers, B, hidden_size)."""
        found = self._run(input, None if hx is None else (hx,))
        if found is None:
            return served(super().forward, input, hx)
        return found[0], found[1][0]


class RNN(_OfOneState, torch.nn.RNN):
    """`torch.nn.RNN` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = RNN(3, 5, nonlinearity="relu", batch_first=True)
    >>> output, h = layer(torch.zeros(4, 7, 3))
    >>> output.shape, h.shape
    (torch.Size([4, 7, 5]), torch.Size([1, 4, 5]))

    With `remat` the backward pass runs blocks of time again, as in `Recurrent`. Two directions,
    float16 and other devices are served by torch's own.
    """


class GRU(_OfOneState, torch.nn.GRU):
    """`torch.nn.GRU` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = GRU(3, 5, num_layers=2)
    >>> output, h = layer(torch.zeros(7, 4, 3))
    >>> output.shape, h.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))

    With `remat` the backward pass runs blocks of time again, as in `Recurrent`. Two directions,
    float16 and other devices are served by torch's own.
    """


class LSTM(_OnKernels, torch.nn.LSTM):
    """`torch.nn.LSTM` on compiled kernels: its arguments, weights, results and errors.

    >>> import torch
    >>> layer = LSTM(3, 5)
    >>> layer.load_state_dict(torch.nn.LSTM(3, 5).state_dict())
    <All keys matched successfully>
    >>> output, (h, c) = layer(torch.zeros(7, 4, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([7, 4, 5]), torch.Size([1, 4, 5]), torch.Size([1, 4, 5]))

    With `remat` the backward pass runs blocks of time again, as in `Recurrent`. Two directions,
    projections, float16 and other devices are served by torch's own.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Output of every step, and the final states (layers, B, hidden_size)."""
        found = self._run(input, hx)
        return served(super().forward, input, hx) if found is None else found

"""Any cell as a torch layer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch

from elman.backends import c_compile
from elman.backends.notice import BackendNotice
from elman.cell import Cell
from elman.errors import ShapeProblem
from elman.ir.sizes import number
from elman.nn import drawn
from elman.nn.frozen import CanFreeze, Frozen
from elman.nn.fused import Found, explained, pack, run_stack, with_states
from elman.nn.given import (
    Form,
    as_cell,
    check_format,
    check_names,
    check_numbers,
    constant_tensors,
    remat_steps,
)
from elman.nn.layers import Layer, Stack, Tensors, stacked
from elman.nn.masked import Marks, Masks
from elman.nn.piled import run_masked
from elman.nn.stack import main_input, plan_sizes
from elman.passes.randomness import WORDS, evaluation, training

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Tensor]


class Recurrent(CanFreeze):
    """A cell run over sequences, layer upon layer, with fused kernels where they can serve.

    >>> import torch
    >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 3, 5, num_layers=2)
    >>> output, state = layer(torch.zeros(7, 4, 3))
    >>> output.shape, state["h"].shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    >>> sorted(name for name, _ in layer.named_parameters())
    ['U_l0', 'U_l1', 'W_l0', 'W_l1', 'b_l0', 'b_l1']

    Args:
        cell: a `Cell`, or its equations. Of its inputs that are no scalars and vary over time and
            batch, the one called x, else the first, is `x`; the others are given by name.
        input_size, hidden_size: the sizes of `x` and of the state, as in torch.
        num_layers: each further layer reads the output of the one below.
        sizes: further sizes of the cell by name, as `{"cell": 512}`.
        batch_first: `x` and the output are (B, T, size), not (T, B, size); states stay as they
            are.
        dropout: on the output of each layer but the last, while training.
        remat: keep for the backward pass no more than inputs, outputs and the states between blocks
            of time, and run each block again then: less memory, a forward pass more. A number is
            the steps of a block.
        constants: constants of the cell by name, with other values than in its equations.

    Frozen weights are buffers: saved with the layer, and never learned. What is random in a cell is
    drawn anew by each call while training (`torch.manual_seed` decides), and is its mean after
    `eval()`; the state says what was drawn, so that `step` goes on with the same masks. The step's
    number `t` is exact as far as the dtype counts: to 256 in bfloat16, 2048 in float16.

    In bfloat16 the kernels round what is multiplied and what they return, and only that; sums,
    states within a call, and what is kept for the backward pass but not returned, are float32.

    Shapes: `x` (T, B, input_size) or (T, input_size); output (T, B, hidden_size); every state
    (num_layers, B, size). A per-step input is (T, ...), a per-sequence input (B, ...).

    Sequences padded at their ends come with `lengths=`, those that begin within the steps with
    `reset=`; see `forward`.

    Errors: ShapeProblem where sizes clash; NameProblem for an input or state that the cell lacks.
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        sizes: Mapping[str, int] | None = None,
        constants: Mapping[str, Any] | None = None,
        batch_first: bool = False,
        dropout: float = 0.0,
        remat: bool | int = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = as_cell(cell)
        self.main = main_input(self.cell)
        check_names(self.cell, self.main)
        check_numbers(input_size, hidden_size, num_layers, dropout, sizes)
        check_format(dtype)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout = batch_first, float(dropout)
        self.sizes = dict(sizes or {})
        self.remat = remat
        self._plan()
        self._make_weights(device, dtype)
        for name, tensor in constant_tensors(self.cell, constants or {}).items():
            kept = tensor.to(device, dtype or torch.get_default_dtype())
            self.register_buffer(f"constant_{name}", kept, persistent=False)
        self.reset_parameters()
        reason = c_compile.trouble()
        if reason is not None:
            warnings.warn(BackendNotice(reason), stacklevel=2)

    def _plan(self) -> None:
        """The layers, in evaluation and where they are drawn, and the form of what they take."""
        cell, typed = self.cell, self.cell.typed
        planned, self.output_size = plan_sizes(
            cell, self.input_size, self.hidden_size, self.num_layers, self.sizes
        )
        names = (*cell.inputs, *cell.parameters, *cell.constants)
        average, chance = evaluation(typed.cell), training(typed.cell)
        kept = cell.states, remat_steps(self.remat)
        self._layers = [Layer(average, sizes, names, *kept) for sizes in planned]
        self._drawn = [
            Layer(chance, sizes, (*names, *WORDS), *kept) for sizes in planned if cell.random
        ]
        self._weights = [(k, n) for k in range(len(planned)) for n in names[len(cell.inputs) :]]
        # in one call, but where torch computes the first state or spreads what the next layer reads
        is_simple = not average.initial and average.value(average.returns[0]).over == "tb"
        self._stack = stacked(self._layers, cell.inputs, self.main or "") if is_simple else None
        tails = {
            name: tuple(number(size, planned[0]) for size in typed.shape(name))
            for name in (*cell.inputs, *cell.states)
        }
        remembered = (*cell.states, *drawn.remembered(cell))
        self._form = Form(cell, self.main, tails, remembered, self.num_layers)

    def _make_weights(self, device: Any, dtype: torch.dtype | None) -> None:
        """A parameter for every name of the equations and layer; a buffer where it is frozen."""
        for k, layer in enumerate(self._layers):
            for name in self.cell.parameters:
                shape = [number(size, layer.sizes) for size in self.cell.typed.shape(name)]
                empty = torch.empty(shape, device=device, dtype=dtype)
                if name in self.cell.frozen:
                    self.register_buffer(f"{name}_l{k}", empty)
                else:
                    self.register_parameter(f"{name}_l{k}", torch.nn.Parameter(empty))

    def reset_parameters(self) -> None:
        """torch's own rule: uniform within 1/sqrt(hidden_size); a learned initial state is 0."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        starts = {value.attr.name for _, value in self.cell.typed.cell.initial if not value.args}
        with torch.no_grad():
            for k in range(self.num_layers):
                for name in self.cell.parameters:
                    weight: Tensor = getattr(self, f"{name}_l{k}")
                    weight.zero_() if name in starts else weight.uniform_(-bound, bound)

    def forward(
        self,
        x: Tensor | None = None,
        state: State | None = None,
        *,
        lengths: Any = None,
        reset: Any = None,
        **others: Tensor,
    ) -> tuple[Any, State]:
        """Output and final state; the output is a tuple where the cell returns several names.

        `lengths`, B whole numbers: behind the length of a sequence its output is 0 whatever `x`
        holds there, and its final state is that of its last step. What is behind the lengths takes
        little time, in whatever order the sequences are. Where `reset`, (T, B) or with
        batch_first (B, T), is true, a sequence begins anew before that step, whatever state is
        given.
        """
        return self._run(x, state, others, self.batch_first, Marks(lengths, reset))

    def _run(
        self,
        x: Tensor | None,
        state: State | None,
        others: State,
        batch_first: bool,
        marks: Marks,
    ) -> tuple[Any, State]:
        """Steps of their own draw what their sequence has drawn before."""
        inputs, before, lead, batched = self._given(x, state, others, batch_first)
        chance = self.training and bool(self._drawn)
        seeds = drawn.seeds(before, self.num_layers, marks.is_step) if chance else None
        layers, masks = self._layers if seeds is None else self._drawn, None
        if marks.is_said:
            masks = marks.checked(lead, batched, batch_first, self._like(inputs).device)
        if seeds is None and self._is_simple():
            return self._at_once(inputs, before, lead, (batched, batch_first), masks)
        finals: list[tuple[Tensor, ...]] = []
        outputs: tuple[Tensor, ...] = ()
        for k, layer in enumerate(layers):
            if seeds is not None:
                inputs |= drawn.words(before, k, seeds[k], lead, self._like(inputs))
            arrays = [self._array(name, k, inputs) for name in layer.names]
            own: Mapping[str, Tensor] = {n: s[k] for n, s in before.items() if n in layer.states}
            if masks is not None:
                own = masks.begun(layer, lead, arrays, own)
            given = with_states(layer, lead, arrays, own)
            outputs, final = self._found(layer.stack, lead, given, masks)
            finals.append(final)
            if k + 1 < self.num_layers:
                below = outputs[0]
                if self.dropout:
                    below = torch.nn.functional.dropout(below, self.dropout, self.training)
                inputs = {**inputs, self.main or "": below}
        after = self._after(finals)
        if seeds is not None:
            after |= drawn.after(self.cell, before, seeds, lead, self._like(inputs))
        return self._shape_out(outputs, batched, batch_first), _rows(after, batched)

    def _is_simple(self) -> bool:
        """Whether nothing happens between layers that is no kernel's."""
        return self._stack is not None and not (self.dropout and self.training)

    def _at_once(
        self,
        inputs: State,
        before: State,
        lead: tuple[int, int],
        form: tuple[bool, bool],
        masks: Masks | None,
    ) -> tuple[Any, State]:
        """All layers in one call."""
        assert self._stack is not None
        given = [inputs[name] for name in self.cell.inputs]
        given += [self._array(name, k, inputs) for k, name in self._weights]
        before = before if masks is None else masks.without(before)
        states = [before.get(key) for key in self._stack.states]
        outputs, finals = self._found(self._stack, lead, [*given, *states], masks)
        after = dict(zip(self._stack.states, finals, strict=True))
        return self._shape_out(outputs, *form), _rows(after, form[0])

    def _after(self, finals: list[tuple[Tensor, ...]]) -> State:
        """The final states of all layers by name."""
        after = {}
        for k, name in enumerate(self.cell.states):
            layers = [final[k] for final in finals]
            after[name] = torch.cat(layers) if len(layers) > 1 else layers[0]
        return after

    def _found(
        self, stack: Stack, lead: tuple[int, int], given: Tensors, masks: Masks | None
    ) -> Found:
        """Outputs and final states of layers in one call."""
        if masks is None:
            return run_stack(stack, lead, given, self._frozen)
        return run_masked(stack, lead, given, masks, self._frozen)

    def _given(
        self, x: Tensor | None, state: State | None, others: State, batch_first: bool
    ) -> tuple[State, State, tuple[int, int], bool]:
        """Inputs and states by name, the numbers of steps and rows, and whether there are rows."""
        dtype = self._dtype()
        if x is not None and not others and not batch_first and self._form.is_plain(x, dtype):
            inputs, batched, lead = {self.main or "": x}, True, (x.shape[0], x.shape[1])
        else:
            steps = others.pop("steps", None) if self._form.is_uncounted else None
            inputs, batched = self._form.inputs(x, others, batch_first, dtype)
            rows = self._form.rows(state)
            batched = batched if rows is None else True
            lead = self._form.lead(inputs, steps, rows or 1)
        before = {} if state is None else self._form.state(state, lead[1], batched, dtype)
        return inputs, before, lead, batched

    def _dtype(self) -> torch.dtype | None:
        """That of the weights; None where there are none."""
        first = next(iter(self._parameters.values()), None)
        if first is None and self.cell.parameters:  # all are frozen
            first = getattr(self, f"{self.cell.parameters[0]}_l0")
        return None if first is None else first.dtype

    def _like(self, inputs: State) -> Tensor:
        """A tensor of the layer's dtype and device."""
        given = next(iter(inputs.values()), None)
        first = self._array(self._layers[0].names[0], 0, inputs) if given is None else given
        return first

    def step(
        self,
        x: Tensor | None = None,
        state: State | None = None,
        *,
        reset: Any = None,
        **others: Tensor,
    ) -> tuple[Any, State]:
        """One step: `x` is (B, input_size) or (input_size,), the output (B, hidden_size).

        The sequences of which `reset`, (B,), is true begin anew with it.

        >>> import torch
        >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1])", 3, 5)
        >>> h, state = layer.step(torch.zeros(4, 3))
        >>> h, state = layer.step(torch.zeros(4, 3), state)
        >>> h.shape
        torch.Size([4, 5])
        """
        over = self._form.over
        if isinstance(x, torch.Tensor) and x.dim() > 1 + len(self._form.tails[self.main or ""]):
            width = ", ".join(map(str, ("B", *self._form.tails[self.main or ""])))
            raise ShapeProblem(
                "E210",
                f"x is {tuple(x.shape)}, and one step needs ({width})",
                rule="A step has no axis of time.",
                fix="Pass x[0], or call layer(x) for all steps.",
            )
        stretched = {name: v if over(name) == "b" else v[None] for name, v in others.items()}
        more: Any = {"steps": 1} if self._form.is_uncounted else {}
        first = None if x is None else x[None]
        marks = Marks(reset=reset, is_step=True)
        output, after = self._run(first, state, {**stretched, **more}, False, marks)
        single = tuple(o[0] for o in output) if isinstance(output, tuple) else output[0]
        return single, after

    def _array(self, name: str, layer: int, inputs: State) -> Tensor:
        if name in inputs:
            return inputs[name]
        if name in self.cell.constants:
            constant: Tensor = getattr(self, f"constant_{name}")
            return constant
        full = f"{name}_l{layer}"
        found = self._parameters.get(full)  # by far quicker than getattr
        parameter: Tensor = getattr(self, full) if found is None else found
        return parameter

    def _shape_out(self, outputs: tuple[Tensor, ...], batched: bool, batch_first: bool) -> Any:
        if not batched:
            outputs = tuple(output.squeeze(1) for output in outputs)
        elif batch_first:
            outputs = tuple(output.transpose(0, 1) for output in outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _weight_names(self) -> Iterable[str]:
        return [f"{name}_l{k}" for k in range(self.num_layers) for name in self.cell.parameters]

    def _pack(self, frozen: Frozen) -> None:
        if self._stack is not None:
            given = [self._array(name, k, {}) for k, name in self._weights]
            pack(
                frozen,
                self._stack,
                [*[None] * len(self.cell.inputs), *given, *self._stack.no_states],
            )
        for k, layer in enumerate(self._layers if self._stack is None else ()):
            given = [None if n in self.cell.inputs else self._array(n, k, {}) for n in layer.names]
            pack(frozen, layer.stack, [*given, *layer.stack.no_states])

    def explain(self) -> str:
        """Which backend serves this layer's parameters, and why not another."""
        return explained(list(self.parameters()), self.is_frozen)

    def extra_repr(self) -> str:
        words = [f"{self.cell.name}, {self.input_size}, {self.hidden_size}"]
        words += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        words += [f"sizes={self.sizes}"] if self.sizes else []
        words += ["batch_first=True"] if self.batch_first else []
        words += [f"dropout={self.dropout}"] if self.dropout else []
        words += [f"remat={self.remat}"] if self.remat else []
        return ", ".join(words)


def _rows(state: State, batched: bool) -> State:
    """States as they are given: without an axis for the batch where there was none."""
    return state if batched else {name: tensor.squeeze(1) for name, tensor in state.items()}

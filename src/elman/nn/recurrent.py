"""Any cell as a torch layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from elman.cell import Cell
from elman.nn import drawn
from elman.nn.fused import Found, explained, run_stack
from elman.nn.given import (
    check_device,
    check_format,
    check_numbers,
    remat_facts,
)
from elman.nn.input_form import check_step
from elman.nn.layers import Stack, Tensors
from elman.nn.made import RecurrentParts, notify
from elman.nn.masked import Marks, Masks
from elman.nn.packed import through
from elman.nn.passage import Outputs, Turn, is_dropping
from elman.nn.piled import run_masked
from elman.nn.regularized import Drops, Variational, Zoneout
from elman.nn.rungs import Climb, check_seen
from elman.nn.seen import first_step, seen_of
from elman.nn.stack import count_layers
from elman.nn.states import without_batch

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Any]
SHOWN = (
    "sizes",
    "batch_first",
    "dropout",
    "bidirectional",
    "return_states",
    "learn_initial_state",
    "residual",
    "layer_norm",
    "skip_input",
    "remat",
)


class Recurrent(RecurrentParts):
    """A cell run over sequences, layer upon layer, with fused kernels where they can serve.

    >>> import torch
    >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 3, 5, num_layers=2)
    >>> output, state = layer(torch.zeros(7, 4, 3))
    >>> output.shape, state["h"].shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    >>> sorted(name for name, _ in layer.named_parameters())
    ['U_l0', 'U_l1', 'W_l0', 'W_l1', 'b_l0', 'b_l1']

    Args:
        cell: a `Cell`, its name in the library ("gru"), or its equations. Of its inputs that are no
            scalars and vary over time and batch, the one called x, else the first, is `x`; the
            others are given by name.
        input_size, hidden_size: the sizes of `x` and of the state, as in torch.
        num_layers: each further layer reads the output of the one below.
        sizes: further sizes of the cell by name, as `{"cell": 512}`.
        batch_first: `x` and the output are (B, T, size), not (T, B, size); states stay as they
            are.
        dropout: on the output of each layer but the last, while training.
        bidirectional: every layer has a second direction, with weights of its own (`W_l0_reverse`),
            that reads from the end of each sequence; both outputs stand side by side.
        return_states: names of states and gates, as ("c", "f"); a third result then holds them for
            every step, by name.
        learn_initial_state: states begin where weights say (`h[0] = h_0`), which begin at 0.
        residual: a layer adds its input to its output, where both have one size.
        layer_norm: each layer reads its input through a LayerNorm of its own (`norm_l0`).
        skip_input: `x` stands behind the output, for a read-out that sees both.
        zoneout, variational_dropout, recurrent_dropout, weight_drop: probabilities of what is drawn
            while training, as `Drops` has it; `layer.cell` shows the masks.
        remat: keep for the backward pass no more than inputs, outputs and the states between blocks
            of time, and run each block again then: less memory, a forward pass more. A number is
            the steps of a block.
        constants: constants of the cell by name, with other values than in its equations.

    Lists in place of `cell` and `hidden_size` have something for each layer.

    Frozen weights are buffers: saved with the layer, and never learned. What is random in a cell is
    drawn anew by each call while training (`torch.manual_seed` decides), and is its mean after
    `eval()`; the state says what was drawn, so that `step` goes on with the same masks. The step's
    number `t` is exact as far as the dtype counts: to 256 in bfloat16, 2048 in float16.

    In bfloat16 the kernels round what is multiplied and what they return, and only that; sums,
    states within a call, and what is kept for the backward pass but not returned, are float32.

    Shapes: `x` (T, B, input_size) or (T, input_size); output (T, B, directions * hidden_size);
    every state (num_layers * directions, B, size), what is returned of every step
    (num_layers * directions, T, B, size); a tuple by layer where layers have it in several sizes. A
    per-step input is (T, ...), a per-sequence input (B, ...).

    Sequences padded at their ends come with `lengths=`, those that begin within the steps with
    `reset=`; see `forward`.

    Errors: ShapeProblem where sizes clash; NameProblem for an input or state that the cell lacks.
    """

    def __init__(
        self,
        cell: Cell | str | Sequence[Cell | str],
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        *,
        sizes: Mapping[str, int] | None = None,
        constants: Mapping[str, Any] | None = None,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        return_states: Sequence[str] = (),
        learn_initial_state: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        skip_input: bool = False,
        zoneout: Zoneout = 0.0,
        variational_dropout: Variational = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        remat: bool | int = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.drops = Drops(zoneout, variational_dropout, recurrent_dropout, weight_drop)
        num_layers = count_layers(num_layers, cell=cell, hidden_size=hidden_size)
        check_numbers(input_size, hidden_size, num_layers, dropout, sizes)
        check_format(dtype)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self._take_cells(cell, learn_initial_state)
        self.sizes, self.remat, self.batch_first = dict(sizes or {}), remat, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.return_states = check_seen(self.cells, return_states)
        self.residual, self.layer_norm, self.skip_input = residual, layer_norm, skip_input
        self._make(constants or {}, device, dtype)
        notify()

    def forward(
        self,
        x: Tensor | PackedSequence | None = None,
        state: State | None = None,
        *,
        lengths: Any = None,
        reset: Any = None,
        **others: Tensor,
    ) -> tuple[Any, ...]:
        """Output and final state; the output is a tuple where the cell returns several names.

        `lengths`, B whole numbers: behind the length of a sequence its output is 0 whatever `x`
        holds there, and its final state is that of its last step. What is behind the lengths takes
        little time, in whatever order the sequences are. Where `reset`, (T, B) or with
        batch_first (B, T), is true, a sequence begins anew before that step, whatever state is
        given. A packed sequence comes back packed.
        """
        run = self._run_packed if isinstance(x, PackedSequence) else self._run
        return run(x, state, others, self.batch_first, Marks(lengths, reset))

    def _run_packed(
        self,
        x: PackedSequence,
        state: State | None,
        others: State,
        batch_first: bool,
        marks: Marks,
    ) -> tuple[Any, ...]:
        """The same for a packed sequence; states and other inputs in the order that was packed."""

        def run(whole: Tensor, lengths: Any) -> tuple[Any, ...]:
            return self._run(whole, state, others, batch_first, Marks(lengths))

        return through(x, batch_first, marks, run)

    def _run(
        self,
        x: Tensor | None,
        state: State | None,
        others: State,
        batch_first: bool,
        marks: Marks,
    ) -> tuple[Any, ...]:
        """The whole of a call; single steps go on with the dropout masks of their sequence."""
        inputs, before, lead, batched = self._given(x, state, others, batch_first)
        masks = None
        if marks.is_said:
            masks = marks.checked(lead, batched, batch_first, self._like(inputs).device)
            if self.residual or self.layer_norm or self.skip_input:
                inputs = masks.cleared(inputs, self.main or "")
        if not (self.training and self._is_random) and self._is_simple():
            outputs, after = self._at_once(inputs, before, lead, masks)
            seen = [outputs]
        else:
            outputs, after, seen = self._climbed(inputs, before, lead, masks, marks.is_step)
        outputs = outputs[: len(self.cells[-1].returns)]
        if self.skip_input:
            read = inputs[self.main or ""].to(outputs[0].dtype)  # which torch.autocast chose
            outputs = (torch.cat([outputs[0], read], dim=-1), *outputs[1:])
        output = self._shape_out(outputs, batched, batch_first)
        after = after if batched else without_batch(after)
        if not self.return_states:
            return output, after
        form = batched, batch_first
        return output, after, seen_of(self._rungs, self.return_states, seen, form)

    def _is_simple(self) -> bool:
        """Whether all layers are one call of the kernels, as nothing else happens between them."""
        return self._stack is not None and not is_dropping(self)

    def _at_once(
        self, inputs: State, before: State, lead: tuple[int, int], masks: Masks | None
    ) -> tuple[Outputs, State]:
        """All layers in one call."""
        stack = self._stack
        assert stack is not None
        given: list[Tensor | None] = [inputs[name] for name in self.cell.inputs]
        given += [self._array(name) for name in self._weights]
        before = before if masks is None else masks.without(before)
        states = [before.get(key) for key in stack.states]
        outputs, finals = self._found(stack, lead, [*given, *states], masks)
        return outputs, dict(zip(stack.states, finals, strict=True))

    def _climbed(
        self,
        inputs: State,
        before: State,
        lead: tuple[int, int],
        masks: Masks | None,
        is_step: bool,
    ) -> tuple[Outputs, State, list[Outputs]]:
        """Layer by layer, each direction in a call of its own."""
        rows, seeds = self._states.rows(before), None
        if self.training and self._is_random:
            seeds = drawn.seeds(rows, is_step)
        x, others = inputs.get(self.main or ""), dict(inputs)
        others.pop(self.main or "", None)
        climb = Climb(
            lead,
            others,
            rows,
            masks,
            self._array,
            self._found,
            turn=Turn.of(lead, masks) if self.bidirectional else None,
            seeds=seeds,
            remembered=self._states.remembered,
            is_seen=bool(self.return_states),
        )
        runs = [functools.partial(climb.run, rung) for rung in self._rungs]
        count = self._states.directions
        layers = [runs[k : k + count] for k in range(0, len(runs), count)]
        outputs = self._passage.through(x, layers, self._drop())
        return outputs, self._states.joined(climb.finals), climb.seen

    def _drop(self) -> Callable[[Tensor], Tensor] | None:
        """Dropout on what a layer reads of the one below; None where it does not act."""
        if not is_dropping(self):
            return None
        return functools.partial(torch.nn.functional.dropout, p=self.dropout)

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
        like = self._weight()
        dtype = None if like is None else like.dtype
        if x is not None and not others and not batch_first and self._form.is_plain(x, like):
            inputs, batched, lead = {self.main or "": x}, True, (x.shape[0], x.shape[1])
        else:
            steps = others.pop("steps", None) if self._form.is_uncounted else None
            inputs, batched = self._form.inputs(x, others, batch_first, dtype)
            check_device(inputs, like)
            rows = self._states.count(state) if self._form.is_unbatched else None
            batched = batched if rows is None else True
            lead = self._form.lead(inputs, steps, rows or 1)
        before = {} if state is None else self._states.checked(state, lead[1], batched, dtype)
        check_device(before, like, "the state ")
        return inputs, before, lead, batched

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
        check_step(x, self._form, self.bidirectional)
        over = self._form.over
        stretched = {name: v if over(name) == "b" else v[None] for name, v in others.items()}
        more: Any = {"steps": 1} if self._form.is_uncounted else {}
        first = None if x is None else x[None]
        marks = Marks(reset=reset, is_step=True)
        output, after, *seen = self._run(first, state, {**stretched, **more}, False, marks)
        single = tuple(o[0] for o in output) if isinstance(output, tuple) else output[0]
        return single, after, *[{n: first_step(v) for n, v in each.items()} for each in seen]

    def _shape_out(self, outputs: tuple[Tensor, ...], batched: bool, batch_first: bool) -> Any:
        if not batched:
            outputs = tuple(output.squeeze(1) for output in outputs)
        elif batch_first:
            outputs = tuple(output.transpose(0, 1) for output in outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def explain(self) -> str:
        """Which backend serves this layer here and now, and why not another; then what else is so.

        >>> cell = "h[t] = tanh(W @ x[t] + U @ h[t-1])"
        >>> print(Recurrent(cell, 3, 5, num_layers=2, bidirectional=True).explain())
        c: compiled kernels
        4 calls, one for each direction of each layer
        """
        return explained(list(self.parameters()), self.is_frozen, *self._facts())

    def _facts(self) -> Iterator[str]:
        """What the options change in how the layer runs, in words."""
        count = len(self._rungs)
        if count > 1 and not self._is_simple():
            each = "direction of each layer" if self.bidirectional else "layer"
            yield f"{count} calls, one for each {each}"
        if any(rung.average.cell.initial for rung in self._rungs):
            yield "the states before the first step: by torch"
        if self._is_random:
            yield "what is random: drawn while training, its mean in evaluation"
        yield from remat_facts(self.remat)

    def extra_repr(self) -> str:
        names = dict.fromkeys(cell.name for cell in self.cells)
        words = [f"{', '.join(names)}, {self.input_size}, {self.hidden_size}"]
        words += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        for name in SHOWN:
            value = getattr(self, name)
            words += [f"{name}={value}"] if value else []
        return ", ".join([*words, *self.drops.words()])

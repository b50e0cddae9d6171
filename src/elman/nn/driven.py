"""Layers of every kind under one set of calls: time first, and states by name where they must."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman.backends.masks import check_lengths
from elman.cell import Cell
from elman.errors import NameProblem, ShapeProblem
from elman.nn.counted import is_seen
from elman.nn.drawn import SEED
from elman.nn.given import check_tensor
from elman.nn.masked import Marks
from elman.nn.packed import through
from elman.nn.recurrent import Recurrent
from elman.nn.torch_options import WithOptions
from elman.nn.torch_stacks import KINDS as KINDS_OF_TORCH

Tensor: TypeAlias = torch.Tensor
Found: TypeAlias = tuple[Any, ...]  # output and state, and what is seen of every step, if asked
Inputs: TypeAlias = Mapping[str, Tensor]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
RESET = "reset"  # among the inputs by name: where a sequence begins anew, as the layer has its x


@dataclass(frozen=True)
class Kind:
    """How layers of a kind are run; their states are in the layer's own form."""

    run: Callable[[Any, Tensor, Any, Any, Inputs], Found]  # (layer, x, state, lengths, inputs)
    step: Callable[[Any, Tensor, Any, Inputs], Found]
    shapes: Callable[[Any], Shapes]  # of each state, (layers * directions, size)
    axis: int  # of a state on which the sequences lie
    size: Callable[[Any], int]  # of the output


def kind_of(layer: object) -> Kind:
    """The kind of a layer; E417 for what is none that can be driven."""
    for types, kind in KINDS:
        if isinstance(layer, types):
            return kind
    fix = "As in elman.nn.Recurrent(elman.cells['gru'], 64, 256), or elman.nn.LSTM(64, 256)."
    shown = type(layer).__name__
    if isinstance(layer, Cell):
        fix = "Make a layer of the cell: elman.nn.Recurrent(cell, input_size, hidden_size)."
    elif isinstance(layer, list | tuple):
        fix = "Pass its layers one by one: Stacked(*layers)."
    elif isinstance(layer, type):
        shown = f"the class {layer.__name__}"
        fix = f"Make the layer first: {layer.__name__}(input_size, hidden_size)."
    raise NameProblem(
        "E417",
        f"{shown} is no recurrent layer",
        rule="It is Recurrent, RNN, LSTM or GRU, or one of torch's layers or cells.",
        fix=fix,
    )


class Composed(torch.nn.Module):
    """A layer of layers: what it gives for x (T, B, size), and the states of its layers."""

    input_size: int
    output_size: int
    batch_first: bool
    layers: torch.nn.ModuleList

    def drive(self, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
        """As `Kind.run`; states and what is seen are tuples with those of each layer, or None."""
        raise NotImplementedError

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Any = None,
        *,
        lengths: Any = None,
        reset: Any = None,
        **inputs: Tensor,
    ) -> Found:
        """Output (T, B, output_size) and a tuple of the layers' final states.

        Where a layer has `return_states`, a third result is a tuple of what each of them gives of
        every step, None where one gives nothing. `lengths`, `reset` and packed sequences as of
        `Recurrent`; torch's own layers take no reset.
        """
        if isinstance(x, PackedSequence):
            return self._run_packed(x, state, inputs, Marks(lengths, reset))
        self._check_x(x)
        if x.dim() == 2:
            return self._alone(x, state, Marks(lengths, reset), inputs)
        if self.batch_first:
            x = x.transpose(0, 1)
        lead = x.shape[0], x.shape[1]
        if reset is not None:
            anew = Marks(lengths, reset).checked(lead, True, self.batch_first, x.device).anew
            assert anew is not None
            inputs[RESET] = anew.T if self.batch_first else anew
        elif lengths is not None and is_seen():
            check_lengths(lengths, lead, True)
        output, *rest = self.drive(x, state, lengths, inputs)
        return (output.transpose(0, 1) if self.batch_first else output), *rest

    def _check_x(self, x: object) -> None:
        """E504 for what is no tensor, E210 for one of another shape."""
        check_tensor("x", x)
        shape: Any = tuple(x.shape)  # type: ignore[attr-defined]
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            axes = "B, T" if self.batch_first else "T, B"
            fix = f"As in x = torch.zeros(10, 4, {self.input_size})."
            if len(shape) in (2, 3):
                fix = f"Make the first layer with input_size={shape[-1]}."
            raise ShapeProblem(
                "E210",
                f"x is {shape}, and {type(self).__name__} needs ({axes}, {self.input_size})",
                rule="T steps, B sequences, then the size of the first layer's input.",
                fix=fix,
            )

    def _run_packed(
        self, x: PackedSequence, state: Any, inputs: dict[str, Tensor], marks: Marks
    ) -> Found:
        def run(whole: Tensor, lengths: Any) -> Found:
            found: Found = self(whole, state, lengths=lengths, **inputs)
            return found

        return through(x, self.batch_first, marks, run)

    def explain(self) -> str:
        """Which backend serves each of the layers, and why not another."""
        lines = []
        for k, layer in enumerate(self.layers):
            explain: Any = getattr(layer, "explain", lambda: "torch's own")
            lines += [
                f"layer {k}, {type(layer).__name__}",
                *(f"  {w}" for w in explain().split("\n")),
            ]
        return "\n".join(lines)

    def _alone(self, x: Tensor, state: Any, marks: Marks, inputs: Inputs) -> Found:
        """One sequence without a batch: (T, size)."""
        if inputs:
            rule = "Inputs by name are given to a batch of sequences."
            raise ShapeProblem(
                "E210", "one sequence with inputs by name", rule=rule, fix="Pass x[:, None]."
            )
        lengths = None if marks.lengths is None else [marks.lengths]
        if marks.reset is not None:
            anew = marks.checked((x.shape[0], 1), False, False, x.device).anew
            assert anew is not None
            inputs = {RESET: anew.T if self.batch_first else anew}
        state = along(self, state, torch.unsqueeze)
        output, after, *seen = self.drive(x[:, None], state, lengths, inputs)
        alone = [map_state(each, lambda one: one.squeeze(rows_axis(self))) for each in seen]
        return output[:, 0], along(self, after, torch.squeeze), *alone


def states_of(layer: Composed, state: Any) -> Sequence[Any]:
    """The state of each layer of a layer of layers; E213 where there is not one for each."""
    count = len(layer.layers)
    if state is None:
        return (None,) * count
    if isinstance(state, tuple | list) and len(state) == count:
        return state
    sized = f" of {len(state)}" if isinstance(state, tuple | list) else ""
    raise ShapeProblem(
        "E213",
        f"the state of {type(layer).__name__} is {type(state).__name__}{sized}",
        rule=f"It is a tuple of {count}: the states of the layers, each in its layer's own form.",
        fix="None in it stands for a layer that begins anew.",
    )


def along(layer: Any, state: Any, change: Callable[[Tensor, int], Tensor]) -> Any:
    """A state changed on the axis of its sequences; None stays None."""
    if state is None:
        return None
    if isinstance(layer, Composed):
        pairs = zip(layer.layers, states_of(layer, state), strict=True)
        return tuple(along(*pair, change) for pair in pairs)
    axis = kind_of(layer).axis
    return map_state(state, lambda each: change(each, axis))


def check_driven(layer: Any, who: str) -> None:
    """E417 for a layer that reads no vector, or returns more than one value a step."""
    if isinstance(layer, Recurrent):
        outputs, main = layer.cell.returns, layer.main
        if len(outputs) != 1 or main is None:
            gives = f"returns {', '.join(outputs)}" if main else "has no input"
            raise NameProblem(
                "E417",
                f"the layer's cell {gives}",
                rule=f"{who} runs a cell with an input x, and reads one value at each step.",
            )


def is_batch_first(layer: Any) -> bool:
    """Whether sequences are (B, T, size); a torch cell, which has no time, says nothing."""
    return bool(getattr(layer, "batch_first", False))


def rows_axis(layer: Any) -> int:
    """Where the sequences lie in what is seen: (layers, T, B, size), or B before T."""
    return 1 if is_batch_first(layer) else 2


def map_state(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A state whose tensors are changed, in the same form."""
    if isinstance(state, torch.Tensor):
        return change(state)
    if isinstance(state, Mapping):
        return {name: map_state(each, change) for name, each in state.items()}
    if state is not None and not isinstance(state, tuple | list):
        rule = "It is a tensor, or tensors in a tuple or by name, as the layer gives it."
        raise ShapeProblem("E213", f"a state is {type(state).__name__}", rule=rule)
    return None if state is None else tuple(map_state(each, change) for each in state)


def is_drawing(layer: Any) -> bool:
    """Whether it is a drop-in that draws masks while it is run."""
    return isinstance(layer, WithOptions) and layer.is_drawing


def kept_rows(within: Tensor, after: Any, before: Any, axis: int) -> Any:
    """What `after` holds of the sequences (B) within, and `before` of others; 0 where None."""
    if isinstance(after, Mapping):
        known = {SEED: after.get(SEED), **(before or {})}  # one for all sequences
        return {n: kept_rows(within, each, known.get(n), axis) for n, each in after.items()}
    if isinstance(after, torch.Tensor):
        rows = within.reshape(-1, *[1] * (after.dim() - axis - 1))
        return torch.where(rows, after, 0 if before is None else before)
    pairs = zip(after or (), before or [None] * len(after or ()), strict=True)
    return None if after is None else tuple(kept_rows(within, *pair, axis) for pair in pairs)


@dataclass(frozen=True)
class StateForm:
    """What the states of a layer look like."""

    shapes: Shapes  # by name, (layers * directions, size); "h.1" is that of a layer of its own
    axis: int
    is_named: bool
    counts: Mapping[str, int]  # of states that differ from layer to layer, the number of layers
    parts: tuple[StateForm, ...] = ()  # of a layer of layers
    order: tuple[str, ...] = ()  # the states of a drop-in whose layers differ, which has no names

    @staticmethod
    def of(layer: Any) -> StateForm:
        """That of a layer."""
        kind = kind_of(layer)
        if isinstance(layer, Composed):
            parts = tuple(StateForm.of(each) for each in layer.layers)
            pairs = ((k, item) for k, part in enumerate(parts) for item in part.shapes.items())
            shapes = {f"{k}.{name}": shape for k, (name, shape) in pairs}
            return StateForm(shapes, kind.axis, False, {}, parts)
        named = _named(layer)
        counts = {} if named is None else named._states.ragged
        order = () if named in (None, layer) else KINDS_OF_TORCH[layer.mode][2]
        return StateForm(kind.shapes(layer), kind.axis, named is not None, counts, order=order)

    def read(self, state: Any) -> dict[str, Tensor]:
        """States by name, (layers * directions, B, size) each, from the layer's own form."""
        if self.parts:
            named = [part.read(each) for part, each in zip(self.parts, state, strict=True)]
            return {f"{k}.{name}": t for k, each in enumerate(named) for name, t in each.items()}
        if self.order:
            state = dict(zip(self.order, (state,) if len(self.order) == 1 else state, strict=True))
        if isinstance(state, Mapping):
            keys = {key: key.partition(".") for key in self.shapes}
            return {key: state[n][int(k)] if k else state[n] for key, (n, _, k) in keys.items()}
        pairs = zip(self.shapes, _tensors(state), strict=True)
        return {name: tensor if self.axis else tensor[None] for name, tensor in pairs}

    def write(self, named: Mapping[str, Tensor]) -> Any:
        """The inverse of `read`."""
        if self.parts:
            return tuple(
                part.write({name: named[f"{k}.{name}"] for name in part.shapes})
                for k, part in enumerate(self.parts)
            )
        if self.is_named:
            whole = {name: named[name] for name in self.shapes if "." not in name}
            whole |= {
                name: tuple(named.get(f"{name}.{k}") for k in range(count))
                for name, count in self.counts.items()
            }
            placed = tuple(whole[name] for name in self.order)
            return (placed[0] if len(placed) == 1 else placed) if placed else whole
        tensors = tuple(t if self.axis else t[0] for t in named.values())
        return tensors[0] if len(tensors) == 1 else tensors


def _run_recurrent(layer: Any, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
    given = x.transpose(0, 1) if layer.batch_first else x
    output, *rest = layer(given, state, lengths=lengths, **inputs)
    return (output.transpose(0, 1) if layer.batch_first else output), *rest


def _step_recurrent(layer: Any, x: Tensor, state: Any, inputs: Inputs) -> Found:
    output, after, *_ = layer.step(x, state, **inputs)
    return output, after


def _shapes_recurrent(layer: Any) -> Shapes:
    found: Shapes = layer._states.shapes()
    return found


def _size_recurrent(layer: Any) -> int:
    return int(layer.output_size)


def _run_drop_in(layer: Any, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
    _no_inputs(layer, {name: each for name, each in inputs.items() if name != RESET})
    return _run_recurrent(layer, x, state, lengths, inputs)


def _run_torch(layer: Any, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
    _no_inputs(layer, inputs)
    if lengths is not None:
        return _run_packed(layer, x, state, lengths)
    output, after = layer(x.transpose(0, 1) if layer.batch_first else x, state)
    return (output.transpose(0, 1) if layer.batch_first else output), after


def _run_packed(layer: Any, x: Tensor, state: Any, lengths: Any) -> Found:
    """Torch's own layer on sequences of several lengths, which it takes packed."""
    kept = torch.as_tensor(lengths).cpu()
    packed = pack_padded_sequence(x, kept.clamp(min=1), enforce_sorted=False)
    output, after = layer(packed, state)
    output, _ = pad_packed_sequence(output, total_length=x.shape[0])
    if kept.min() > 0:
        return output, after
    within = (kept > 0).to(x.device)[:, None]  # torch packs no sequence without a step
    before = map_state(after, torch.zeros_like) if state is None else state
    output = output.masked_fill(~within, 0.0)
    if isinstance(after, torch.Tensor):
        return output, torch.where(within, after, before)
    return output, tuple(torch.where(within, a, b) for a, b in zip(after, before, strict=True))


def _step_torch(layer: Any, x: Tensor, state: Any, inputs: Inputs) -> Found:
    if is_drawing(layer):
        _no_inputs(layer, inputs)
        found: Found = layer.step_by_name(x, layer.by_name(state))
        return found
    output, after, *_ = kind_of(layer).run(layer, x[None], state, None, inputs)
    return output[0], after


def _shapes_torch(layer: Any) -> Shapes:
    if (named := _named(layer)) is not None:
        return _shapes_recurrent(named)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h = (rows, layer.proj_size or layer.hidden_size)
    return {"h": h, "c": (rows, layer.hidden_size)} if layer.mode == "LSTM" else {"h": h}


def _named(layer: Any) -> Recurrent | None:
    """A layer whose states have names: it, or what a drop-in of several sizes is made of."""
    if isinstance(layer, WithOptions) and not isinstance(layer.hidden_size, int):
        return cast(Recurrent, cast(Any, layer)._now())
    return layer if isinstance(layer, Recurrent) else None


def _size_torch(layer: Any) -> int:
    if hasattr(layer, "output_size"):  # a drop-in with more than torch's has
        return int(layer.output_size)
    return (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)


def _run_cell(layer: Any, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
    outputs = []
    ends = None if lengths is None else torch.as_tensor(lengths, device=x.device)
    for t, x_t in enumerate(x):
        output, after = _step_cell(layer, x_t, state, inputs)
        if ends is not None:
            within = t < ends
            after = kept_rows(within, after, state, 0)
            output = output.masked_fill(~within[:, None], 0.0)
        outputs.append(output)
        state = after
    return torch.stack(outputs), state


def _step_cell(layer: Any, x: Tensor, state: Any, inputs: Inputs) -> Found:
    _no_inputs(layer, inputs)
    after = layer(x, state)
    return _tensors(after)[0], after


def _shapes_cell(layer: Any) -> Shapes:
    has_cell = layer.weight_ih.shape[0] == 4 * layer.hidden_size  # an LSTM's four gates
    names = ("h", "c") if has_cell else ("h",)
    return dict.fromkeys(names, (1, layer.hidden_size))


def _size_cell(layer: Any) -> int:
    return int(layer.hidden_size)


def _tensors(state: Any) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, torch.Tensor) else tuple(state)


def _no_inputs(layer: Any, inputs: Inputs) -> None:
    if inputs:
        raise NameProblem(
            "E405",
            f"{type(layer).__name__} has no input {next(iter(inputs))}",
            rule="Inputs by name are those of a cell's equations.",
            fix="Make the layer with elman.nn.Recurrent.",
        )


def _run_composed(layer: Any, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
    found: Found = layer.drive(x, state, lengths, inputs)
    return found


def _shapes_composed(layer: Any) -> Shapes:
    return StateForm.of(layer).shapes


def _step_composed(layer: Any, x: Tensor, state: Any, inputs: Inputs) -> Found:
    output, after, *_ = layer.drive(x[None], state, None, inputs)
    return output[0], after


KINDS: tuple[tuple[Any, Kind], ...] = (
    (Recurrent, Kind(_run_recurrent, _step_recurrent, _shapes_recurrent, 1, _size_recurrent)),
    (WithOptions, Kind(_run_drop_in, _step_torch, _shapes_torch, 1, _size_torch)),
    (torch.nn.RNNBase, Kind(_run_torch, _step_torch, _shapes_torch, 1, _size_torch)),
    (torch.nn.RNNCellBase, Kind(_run_cell, _step_cell, _shapes_cell, 0, _size_cell)),
    (Composed, Kind(_run_composed, _step_composed, _shapes_composed, 1, _size_recurrent)),
)

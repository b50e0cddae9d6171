"""Layers made of layers: one that reads both ways, and one upon another."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem, nearest
from elman.nn.driven import (
    RESET,
    Composed,
    Found,
    Inputs,
    check_driven,
    is_batch_first,
    kind_of,
    map_state,
    states_of,
)
from elman.nn.given import check_dropout, check_switches
from elman.nn.input_form import InputForm
from elman.nn.masked import Masks
from elman.nn.passage import Passage, Turn, check_residual
from elman.nn.pool import ReadOut
from elman.nn.recurrent import Recurrent
from elman.nn.rungs import turned_input

Tensor: TypeAlias = torch.Tensor
MERGED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda a, b: torch.cat([a, b], dim=-1),
    "sum": torch.add,
    "mean": lambda a, b: (a + b) / 2,
    "mul": torch.mul,
}


class Bidirectional(Composed):
    """Two layers of which one reads each sequence from its end; what they give is joined.

    >>> from elman.nn import GRU
    >>> layer = Bidirectional(GRU(3, 5), read_out=ReadOut(10, 4, input_size=3))
    >>> output, (ahead, back) = layer(torch.zeros(7, 2, 3), lengths=[7, 4])
    >>> output.shape, ahead.shape
    (torch.Size([7, 2, 4]), torch.Size([1, 2, 5]))

    Args:
        layer: `Recurrent`, `RNN`, `LSTM`, `GRU`, one of torch's layers, or a layer of layers.
        backward: the layer that reads from the end; None for a copy of `layer` with weights of its
            own.
        merge: "concat" puts both outputs side by side; "sum", "mean" or "mul" make one of them.
        read_out: a `ReadOut` of the joined output, and of the input where it has an input_size:
            y = g(W_y [a_forward, a_backward, x] + b_y).

    Shapes: as of the layers; the states are a tuple of both layers' own, and so is what their
    `return_states` give, a third result. Behind `lengths` the output is 0 (of a read-out, what
    it makes of zeros).

    Errors: E413 for a merge that does not exist, E218 where sizes clash.

    Source: Schuster and Paliwal, 1997, doi:10.1109/78.650093.
    """

    def __init__(
        self,
        layer: torch.nn.Module,
        backward: torch.nn.Module | None = None,
        merge: str = "concat",
        *,
        read_out: ReadOut | None = None,
    ) -> None:
        super().__init__()
        if merge not in MERGED:
            rule = f"It is {', '.join(MERGED)}."
            fix = nearest(str(merge), MERGED) or 'Pass merge="concat".'
            raise NameProblem("E413", f"merge={merge!r}", rule=rule, fix=fix)
        both = [layer, _another(layer) if backward is None else backward]
        self.batch_first, self.input_size = _order(both), layer.input_size
        if both[1].input_size != self.input_size:
            headline = f"one layer reads {self.input_size} numbers, the other {both[1].input_size}"
            rule = "Both directions read the same input."
            fix = f"Make both with input_size={self.input_size}."
            raise ShapeProblem("E218", headline, rule=rule, fix=fix)
        sizes = [kind_of(each).size(each) for each in both]
        if merge != "concat" and sizes[0] != sizes[1]:
            headline = f"merge={merge!r} of outputs of {sizes[0]} and {sizes[1]}"
            raise ShapeProblem("E218", headline, fix='Pass merge="concat".')
        self.layers, self.merge, self.read_out = torch.nn.ModuleList(both), merge, read_out
        joined = sum(sizes) if merge == "concat" else sizes[0]
        if read_out is not None:
            _check_read_out(read_out, joined, self.input_size)
        self.output_size = joined if read_out is None else read_out.output_size

    def drive(self, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
        """Output (T, B, output_size), and the states of both."""
        masks = _masks(x, lengths)
        x, turn = masks.cleared({"x": x}, "x")["x"], Turn.of((x.shape[0], x.shape[1]), masks)
        ahead, back = self.layers
        before = states_of(self, state)
        one, after, *seen = kind_of(ahead).run(ahead, x, before[0], lengths, inputs)
        turned = {name: _turned(back, name, each, turn) for name, each in inputs.items()}
        other, last, *behind = kind_of(back).run(back, turn(x), before[1], lengths, turned)
        output = MERGED[self.merge](one, turn(other))
        if self.read_out is not None:
            output = self.read_out(output, x if self.read_out.input_size else None)
        behind = [map_state(each, lambda one: _turned_seen(back, one, turn)) for each in behind]
        return output, (after, last), *_joined(seen, behind)

    def extra_repr(self) -> str:
        """What joins them."""
        return f"merge={self.merge!r}"


class Stacked(Composed):
    """Layers of any kinds, each of which reads what the one below gives.

    >>> from elman.nn import GRU, LSTM
    >>> layer = Stacked(Bidirectional(GRU(3, 5)), LSTM(10, 4), dropout=0.1)
    >>> output, states = layer(torch.zeros(7, 2, 3), lengths=[7, 4])
    >>> output.shape, len(states)
    (torch.Size([7, 2, 4]), 2)

    Args:
        layers: `Recurrent`, `RNN`, `LSTM`, `GRU`, torch's layers, or layers of layers.
        dropout: on the output of each layer but the last, while training.
        residual: a layer adds its input to its output, where both have one size.

    Shapes: as of the layers; the states are a tuple of the layers' own, and so is what their
    `return_states` give, a third result. Inputs by name go to every layer whose cell has them.

    Errors: E218 where sizes clash, E405 for an input that no layer has.
    """

    def __init__(
        self, *layers: torch.nn.Module, dropout: float = 0.0, residual: bool = False
    ) -> None:
        super().__init__()
        if not layers:
            raise ShapeProblem("E208", "a stack of no layers", fix="As in Stacked(GRU(3, 5)).")
        self.batch_first = _order(layers)
        self.layers = torch.nn.ModuleList(layers)
        check_dropout(dropout)
        self.dropout, self.residual = dropout, residual
        check_switches(self)
        widths: list[int] = [layers[0].input_size]
        for k, layer in enumerate(layers):
            reads, given = layer.input_size, widths[-1]
            if reads != given:
                headline = f"layer {k} reads {reads} numbers, and layer {k - 1} gives {given}"
                raise ShapeProblem("E218", headline, fix=f"Make layer {k} with input_size={given}.")
            widths.append(kind_of(layer).size(layer))
        if residual:
            check_residual(widths)
        self.input_size, self.output_size = widths[0], widths[-1]

    def drive(self, x: Tensor, state: Any, lengths: Any, inputs: Inputs) -> Found:
        """Output (T, B, output_size), and the states of all layers."""
        _check_inputs(self.layers, inputs)
        x = _masks(x, lengths).cleared({"x": x}, "x")["x"]
        found: list[Found] = []

        def run(layer: Any, before: Any, below: Tensor) -> tuple[Tensor]:
            own = _own(layer, inputs)
            found.append(kind_of(layer).run(layer, below, before, lengths, own))
            return (found[-1][0],)

        pairs = zip(self.layers, states_of(self, state), strict=True)
        runs = [[functools.partial(run, *pair)] for pair in pairs]
        drop = torch.nn.Dropout(self.dropout) if self.dropout and self.training else None
        (output,) = Passage((), self.residual).through(x, runs, drop)
        finals, seen = [each[1] for each in found], [each[2:] for each in found]
        return output, tuple(finals), *_joined(*seen)

    def extra_repr(self) -> str:
        """What happens between the layers."""
        words = [f"dropout={self.dropout}"] if self.dropout else []
        return ", ".join([*words, *(["residual=True"] if self.residual else [])])


def reads_backwards(layer: torch.nn.Module) -> bool:
    """Whether a layer, or one within it, reads from the end."""
    return any(
        isinstance(each, Bidirectional) or bool(getattr(each, "bidirectional", False))
        for each in layer.modules()
    )


def _order(layers: Sequence[Any]) -> bool:
    """Whether the batch comes first, which all layers say alike."""
    for layer in layers:
        kind_of(layer)  # E417
        check_driven(layer, "A layer of layers")
    if len({is_batch_first(layer) for layer in layers}) > 1:
        words = ", ".join(str(is_batch_first(layer)) for layer in layers)
        fix = "Make all of them with the same batch_first."
        raise ShapeProblem("E218", f"batch_first of the layers: {words}", fix=fix)
    return is_batch_first(layers[0])


def _check_read_out(read_out: object, joined: int, input_size: int) -> None:
    """E218 for a read-out of anything but what both directions and the input give."""
    if not isinstance(read_out, ReadOut):
        headline = f"read_out is {type(read_out).__name__}, no ReadOut"
        fix = f"Pass elman.nn.ReadOut({joined}, ...), or put the module behind the layer."
        raise ShapeProblem("E218", headline, fix=fix)
    if read_out.hidden_size != joined or read_out.input_size not in (0, input_size):
        raise ShapeProblem(
            "E218",
            f"the read-out reads {read_out.hidden_size} and {read_out.input_size}, and there "
            f"are {joined} of both directions and {input_size} of the input",
            fix=f"Pass ReadOut({joined}, ..., input_size={input_size}).",
        )


def _check_inputs(layers: Iterable[Any], inputs: Inputs) -> None:
    """E405 for an input by name that no layer has."""
    known = {name for layer in layers for name in _names(layer)}
    for name in inputs:
        if name != RESET and name not in known:
            raise NameProblem(
                "E405",
                f"no layer has an input {name}",
                rule=f"The layers have {', '.join(sorted(known)) or 'none'}.",
                fix=nearest(name, known) or None,
            )


def _another(layer: Any) -> Any:
    """A layer of the same kind, with weights of its own."""
    kind_of(layer)  # E417
    found = copy.deepcopy(layer)
    for module in found.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return found


def _joined(*seen: Sequence[Any]) -> list[Any]:
    """What is seen of each of the layers, in one tuple; nothing where no layer gives any."""
    return [tuple(each[0] if each else None for each in seen)] if any(seen) else []


def _turned_seen(layer: Any, seen: Tensor, turn: Turn) -> Tensor:
    """What is seen of every step, (layers, T, B, size) or B before T, from the other end."""
    axes = (2, 1) if is_batch_first(layer) else (1, 2)
    return turn(seen.movedim(axes, (0, 1))).movedim((0, 1), axes)


def _masks(x: Tensor, lengths: Any) -> Masks:
    """Where the sequences of x (T, B, size) end, by their lengths."""
    ends = None if lengths is None else torch.as_tensor(lengths, device=x.device)
    return Masks(x.shape[0], ends, None)


def _forms(layer: Any) -> Iterator[InputForm]:
    """Of a layer and all within it, what inputs by name look like."""
    if isinstance(layer, Recurrent):
        yield layer._form
    for each in layer.layers if isinstance(layer, Composed) else ():
        yield from _forms(each)


def _own(layer: Any, inputs: Inputs) -> Inputs:
    """Those of the inputs by name that a layer has; a reset is everybody's."""
    known = _names(layer) | {RESET}
    return {name: each for name, each in inputs.items() if name in known}


def _names(layer: Any) -> set[str]:
    """The inputs by name of a layer, and of all within it."""
    return {name for form in _forms(layer) for name in form.tails}


def _turned(layer: Any, name: str, value: Tensor, turn: Turn) -> Tensor:
    """An input by name, in the layer's own order of axes, as it is when read from the end."""
    if name == RESET:
        anew = value.T if is_batch_first(layer) else value
        found = turn.masks(Masks(anew.shape[0], None, anew)).anew
        assert found is not None
        return found.T if is_batch_first(layer) else found
    over = next((form.over(name) for form in _forms(layer) if name in form.tails), "")
    if over == "tb" and is_batch_first(layer):
        return turned_input(name, over, value.transpose(0, 1), turn).transpose(0, 1)
    return turned_input(name, over, value, turn)

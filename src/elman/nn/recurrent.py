"""Any cell as a torch layer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, TypeAlias

import torch

from elman.backends import c_compile
from elman.backends.notice import BackendNotice
from elman.cell import Cell
from elman.errors import NameProblem, ShapeProblem, WeightProblem, nearest
from elman.ir.sizes import number
from elman.nn.fused import Layer, run_layer, why_not

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Tensor]


class Recurrent(torch.nn.Module):
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

    Shapes: `x` (T, B, input_size) or (T, input_size); output (T, B, hidden_size); every state
    (num_layers, B, size). A per-step input is (T, ...), a per-sequence input (B, ...).

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
        batch_first: bool = False,
        dropout: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell if isinstance(cell, Cell) else Cell(cell)
        if "state" in self.cell.inputs:
            raise NameProblem(
                "E405",
                "an input called state cannot be given to a layer by name",
                rule="layer(x, state=...) is the state of the recurrence.",
                fix="Give the input another name in the equations.",
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout = batch_first, float(dropout)
        _check(input_size, hidden_size, num_layers, self.dropout)
        self.sizes = dict(sizes or {})
        self.main = _main_input(self.cell)
        self._layers = self._plan_layers()
        self._check_states()
        sizes, shape = self._layers[0].sizes, self.cell.typed.shape
        self._tails = {
            name: tuple(number(size, sizes) for size in shape(name))
            for name in (*self.cell.inputs, *self.cell.states)
        }
        self._make_parameters(device, dtype)
        self.reset_parameters()
        reason = c_compile.trouble()
        if reason is not None:
            warnings.warn(BackendNotice(reason), stacklevel=2)

    def _plan_layers(self) -> list[Layer]:
        layers, width = [], self.input_size
        typed = self.cell.typed
        output = self.cell.returns[0]
        for _ in range(self.num_layers):
            named = self._named(width)
            for name, value in self.sizes.items():
                if named.get(name, value) != value:
                    raise ShapeProblem(
                        "E203", f"{name} is {named[name]} in the layer and {value} in sizes"
                    )
            sizes = self.cell.numbers(
                {**named, **self.sizes}, by={self._size_of_main(): "input_size"}
            )
            names = (*self.cell.inputs, *self.cell.parameters, *self.cell.constants)
            layers.append(Layer(typed.cell, sizes, names, self.cell.states))
            shape = typed.shape(output)
            if len(shape) != 1 and self.num_layers > 1:
                raise ShapeProblem(
                    "E209",
                    f"{output} is no vector, so that no layer can read it",
                    rule="Stack one layer.",
                )
            width = number(shape[0], sizes) if shape else 1
        self.output_size = width
        return layers

    def _size_of_main(self) -> str:
        shape = self.cell.typed.shape(self.main) if self.main else ()
        return shape[0] if shape else "input"

    def _named(self, width: int) -> dict[str, int]:
        """The sizes that input_size and hidden_size stand for in this cell."""
        named = {"hidden": self.hidden_size} if "hidden" in self.cell.typed.aliases else {}
        size = self._size_of_main()
        if self.main is None:
            return named
        if not self.cell.typed.shape(self.main):
            self._check_number(width)
            return named
        if size.isdigit():
            if int(size) != width:
                raise ShapeProblem(
                    "E203",
                    f"{self.main} has {size} values in the equations, and input_size is {width}",
                )
            return named
        if named.get(size, width) != width:
            raise ShapeProblem(
                "E203",
                f"the cell needs {self.main} and its state to have one size, "
                f"not {width} and {self.hidden_size}",
                rule="They are added or multiplied elementwise in the equations.",
                fix=f"Pass input_size={self.hidden_size}.",
            )
        return {**named, size: width}

    def _check_number(self, width: int) -> None:
        """An input that is a number at each step has the size 1, and reads no layer."""
        if width != 1:
            raise ShapeProblem(
                "E203",
                f"{self.main} is a number in the equations, and input_size is {width}",
                fix="Pass input_size=1.",
            )
        if self.num_layers > 1:
            raise ShapeProblem(
                "E209",
                f"{self.main} is a number in the equations, so that it can read no layer",
                rule="Stack one layer.",
            )

    def _check_states(self) -> None:
        for key in self.cell.states:
            shape = self.cell.typed.shape(key)
            tails = [tuple(number(size, layer.sizes) for size in shape) for layer in self._layers]
            if len(set(tails)) > 1:
                raise ShapeProblem(
                    "E209",
                    f"the state {key} has not one size in all layers: it is "
                    + ", then ".join(str(tail) for tail in tails[:2]),
                    rule="The states of a stack are (num_layers, B, size).",
                    fix="Stack single layers, or give input and output one size.",
                )

    def _make_parameters(self, device: Any, dtype: torch.dtype | None) -> None:
        for k, layer in enumerate(self._layers):
            for name in self.cell.parameters:
                shape = [number(size, layer.sizes) for size in self.cell.typed.shape(name)]
                empty = torch.empty(shape, device=device, dtype=dtype)
                self.register_parameter(f"{name}_l{k}", torch.nn.Parameter(empty))
        for name, value in self.cell.constants.items():
            tensor = torch.tensor(value, device=device, dtype=dtype or torch.get_default_dtype())
            self.register_buffer(f"constant_{name}", tensor, persistent=False)

    def reset_parameters(self) -> None:
        """torch's own rule: uniform within 1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-bound, bound)

    def forward(
        self, x: Tensor | None = None, state: State | None = None, **others: Tensor
    ) -> tuple[Any, State]:
        """Output and final state; the output is a tuple where the cell returns several names."""
        return self._run(x, state, others, self.batch_first)

    def _run(
        self, x: Tensor | None, state: State | None, others: State, batch_first: bool
    ) -> tuple[Any, State]:
        if x is not None and not others and not batch_first and self._is_plain(x):
            inputs, batched, lead = {self.main or "": x}, True, (x.shape[0], x.shape[1])
        else:
            inputs, batched = self._check_inputs(x, others, batch_first)
            lead = self._lead(inputs)
        before = {} if state is None else self._check_state(state, lead[1], batched)
        finals: list[tuple[Tensor, ...]] = []
        outputs: tuple[Tensor, ...] = ()
        for k, layer in enumerate(self._layers):
            arrays = [self._array(name, k, inputs) for name in layer.names]
            outputs, final = run_layer(layer, lead, arrays, {n: s[k] for n, s in before.items()})
            finals.append(final)
            if k + 1 < self.num_layers:
                below = outputs[0]
                if self.dropout:
                    below = torch.nn.functional.dropout(below, self.dropout, self.training)
                inputs = {**inputs, self.main or "": below}
        after = {}
        for k, name in enumerate(self.cell.states):
            layers = [final[k] for final in finals]
            after[name] = torch.cat(layers) if len(layers) > 1 else layers[0]
        result = self._shape_out(outputs, batched, batch_first)
        return result, after if batched else _squeeze(after)

    def _is_plain(self, x: Tensor) -> bool:
        """Whether the one input is (T, B, size) as it should be: spares most calls the checks."""
        if not isinstance(x, torch.Tensor) or x.dim() != 3 or self.main is None:
            return False
        expected = self._tails[self.main]
        parameter = next(iter(self._parameters.values()), None)
        return (
            len(self.cell.inputs) == 1
            and (x.shape[2],) == expected
            and x.numel() > 0
            and self._over(self.main) == "tb"
            and parameter is not None
            and x.dtype is parameter.dtype
        )

    def step(
        self, x: Tensor | None = None, state: State | None = None, **others: Tensor
    ) -> tuple[Any, State]:
        """One step: `x` is (B, input_size) or (input_size,), the output (B, hidden_size).

        >>> import torch
        >>> layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1])", 3, 5)
        >>> h, state = layer.step(torch.zeros(4, 3))
        >>> h, state = layer.step(torch.zeros(4, 3), state)
        >>> h.shape
        torch.Size([4, 5])
        """
        stretched = {name: v if self._over(name) == "b" else v[None] for name, v in others.items()}
        output, after = self._run(None if x is None else x[None], state, stretched, False)
        single = tuple(o[0] for o in output) if isinstance(output, tuple) else output[0]
        return single, after

    # ---- what is given ----

    def _over(self, name: str) -> str:
        return self.cell.typed.over.get(name, "tb")

    def _check_inputs(
        self, x: Tensor | None, others: State, batch_first: bool
    ) -> tuple[State, bool]:
        given = dict(others)
        if self.main is not None and x is not None:
            given[self.main] = x
        missing = [name for name in self.cell.inputs if name not in given]
        extra = [name for name in given if name not in self.cell.inputs]
        if missing or extra:
            raise NameProblem(
                "E405",
                f"the cell needs the input {missing[0]}"
                if missing
                else f"the cell has no input {extra[0]}",
                rule=f"Its inputs are {', '.join(self.cell.inputs) or 'none'}.",
                fix=nearest(extra[0], self.cell.inputs) if extra else f"Pass {missing[0]}=...",
            )
        for name, tensor in given.items():
            _check_tensor(name, tensor)
        ranks = {n: given[n].dim() - len(self.cell.typed.shape(n)) for n in given}
        batched = any(r >= 2 for n, r in ranks.items() if self._over(n) == "tb")
        batched = batched or any(r == 1 for n, r in ranks.items() if self._over(n) == "b")
        for name, tensor in given.items():
            self._check_input(name, tensor, batched)
        spread = {n: self._spread(n, tensor, batched, batch_first) for n, tensor in given.items()}
        return spread, batched

    def _check_input(self, name: str, tensor: Tensor, batched: bool) -> None:
        over = self._over(name)
        shape = self.cell.typed.shape(name)
        lead = {"tb": 2 if batched else 1, "t": 1, "b": 1 if batched else 0}[over]
        width = self._tails[name]
        if tensor.dim() != lead + len(shape) or tuple(tensor.shape[lead:]) != width:
            words = [axis.upper() for axis in over if batched or axis == "t"]
            raise ShapeProblem(
                "E210",
                f"{name} is {tuple(tensor.shape)}, and the layer needs "
                f"({', '.join([*words, *map(str, width)])})",
                rule="T steps, B sequences (B, T with batch_first), then the size of the input.",
            )
        self._check_dtype(name, tensor)

    def _check_dtype(self, name: str, tensor: Tensor) -> None:
        parameter = next(iter(self.parameters()), tensor)
        if tensor.dtype != parameter.dtype:
            raise WeightProblem(
                "E505",
                f"{name} is {tensor.dtype}, and the layer's parameters are {parameter.dtype}",
                fix=f"Convert one: {name.split()[-1]}.to({parameter.dtype}), "
                f"or layer.to({tensor.dtype}).",
            )

    def _spread(self, name: str, tensor: Tensor, batched: bool, batch_first: bool) -> Tensor:
        """(T, B, ...) for what varies over both."""
        over = self._over(name)
        if over == "tb" and batched:
            return tensor.transpose(0, 1) if batch_first else tensor
        return tensor if over == "t" or batched else tensor.unsqueeze(1 if over == "tb" else 0)

    def _lead(self, inputs: State) -> tuple[int, int]:
        steps = {n: v.shape[0] for n, v in inputs.items() if "t" in self._over(n)}
        batch = {
            n: v.shape["tb".index("b") if self._over(n) == "tb" else 0]
            for n, v in inputs.items()
            if "b" in self._over(n)
        }
        for what, found in (("steps", steps), ("sequences", batch)):
            if len(set(found.values())) > 1:
                words = ", ".join(f"{name} has {count}" for name, count in found.items())
                raise ShapeProblem("E211", f"the inputs differ in {what}: {words}")
        if not steps or 0 in steps.values():
            raise ShapeProblem(
                "E212", "a sequence of no steps", rule="The layer needs one step or more."
            )
        return next(iter(steps.values())), next(iter(batch.values()), 1)

    def _check_state(self, state: State, batch: int, batched: bool) -> State:
        found: State = {}
        if not isinstance(state, Mapping):
            raise NameProblem(
                "E406",
                "states are given by name, as a dict",
                fix=f'As in {{"{self.cell.states[0]}": ...}}.' if self.cell.states else None,
            )
        for name, tensor in state.items():
            if name not in self.cell.states:
                raise NameProblem(
                    "E406",
                    f"the cell has no state {name}",
                    rule=f"Its states are {', '.join(self.cell.states)}.",
                    fix=nearest(name, self.cell.states) or None,
                )
            _check_tensor(f"the state {name}", tensor)
            self._check_dtype(f"the state {name}", tensor)
            tail = self._tails[name]
            wanted = (self.num_layers, batch, *tail) if batched else (self.num_layers, *tail)
            if tuple(tensor.shape) != wanted:
                raise ShapeProblem(
                    "E213",
                    f"the state {name} is {tuple(tensor.shape)}, and the layer needs {wanted}",
                    rule="(num_layers, B, size)."
                    if batched
                    else "(num_layers, size) without a batch.",
                )
            found[name] = tensor if batched else tensor.unsqueeze(1)
        return found

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

    def explain(self) -> str:
        """Which backend serves this layer's parameters, and why not another."""
        reason = why_not(list(self.parameters()))
        return "c: compiled kernels" if reason is None else f"torch: {reason}"

    def extra_repr(self) -> str:
        words = [f"{self.cell.name}, {self.input_size}, {self.hidden_size}"]
        words += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        words += [f"sizes={self.sizes}"] if self.sizes else []
        words += ["batch_first=True"] if self.batch_first else []
        words += [f"dropout={self.dropout}"] if self.dropout else []
        return ", ".join(words)


def _check_tensor(what: str, given: object) -> None:
    if not isinstance(given, torch.Tensor):
        raise WeightProblem(
            "E504", f"{what} is {type(given).__name__}, no tensor", fix="Pass torch.as_tensor(...)."
        )


def _check(input_size: int, hidden_size: int, num_layers: int, dropout: float) -> None:
    counts = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ShapeProblem("E208", f"{name}={count!r}", rule="It is a whole number, 1 or more.")
    if not 0.0 <= dropout <= 1.0:
        raise ShapeProblem("E214", f"dropout={dropout}", rule="A probability lies between 0 and 1.")
    if dropout and num_layers == 1:
        warnings.warn(
            "dropout acts between layers, and there is one layer: it does nothing", stacklevel=3
        )


def _main_input(cell: Cell) -> str | None:
    """The input that the layer's `x` is."""
    wide = [name for name in cell.inputs if cell.typed.shape(name)]
    wide.sort(key=lambda name: (cell.typed.over[name] != "tb", name != "x"))
    return wide[0] if wide else next(iter(cell.inputs), None)


def _squeeze(state: State) -> State:
    return {name: tensor.squeeze(1) for name, tensor in state.items()}

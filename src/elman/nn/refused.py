"""What torch refuses to its layers and cells, said with the argument, the layer and the way out.

Whatever is raised is of torch's class as well as of ours, and holds torch's words, so that code
which catches or reads torch's errors goes on. Nothing here runs before torch has refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from elman.errors import ElmanError, ShapeProblem, WeightProblem, again
from elman.nn.given import to_one_device, way_to
from elman.nn.torch_stacks import STACKED

Tensor: TypeAlias = torch.Tensor
Shape: TypeAlias = tuple[int, ...]


def torchs_own(module: torch.nn.Module) -> Any:
    """The class of torch's that a drop-in is made from."""
    return next(c for c in type(module).__mro__ if c.__module__ == "torch.nn.modules.rnn")


def refused(layer: Any, input: Any, hx: Any, problem: Exception) -> ElmanError | None:
    """What is wrong with a call that ended in torch's error; None where nothing is seen to be."""
    found = diagnosed(layer, input, hx)
    return None if found is None else in_torchs_words(found, problem)


def diagnosed(layer: Any, input: Any, hx: Any) -> ElmanError | None:
    """What is wrong with a call; None where nothing is seen to be."""
    call = Refused(layer, input, hx)
    return next((found for check in CHECKS if (found := check(call)) is not None), None)


def in_torchs_words(error: ElmanError, problem: Exception) -> ElmanError:
    """The same error, of torch's class too, with what torch says."""
    kind = _of_both(type(error), type(problem))
    found = kind(error.code, error.headline, rule=error.rule, fix=error.fix)
    found.torchs = str(problem)  # type: ignore[attr-defined]
    return found


_both: dict[tuple[type, type], type[ElmanError]] = {}


class _Quoting:
    """An error that ends with torch's words."""

    torchs = ""
    kinds: tuple[Any, Any]  # our class and torch's

    def __str__(self) -> str:
        return f"{super().__str__()}\n  torch: {self.torchs}"

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: tuple[Any, ...] = super().__reduce__()  # type: ignore[assignment]
        return _again, (self.kinds, *reduced[1][1:])


def _again(kinds: tuple[Any, Any], *rest: Any) -> Any:
    return again(_of_both(*kinds), *rest)


def _of_both(ours: type[ElmanError], theirs: type[Exception]) -> type[ElmanError]:
    if (ours, theirs) not in _both:
        bases = (_Quoting, ours) if issubclass(ours, theirs) else (_Quoting, ours, theirs)
        words: dict[str, Any] = {"__module__": ours.__module__, "__doc__": ours.__doc__}
        words["kinds"] = ours, theirs
        _both[ours, theirs] = type(ours.__name__, bases, words)
    return _both[ours, theirs]


@dataclass(frozen=True)
class Refused:
    """A call of a layer or a cell of torch's."""

    layer: Any
    input: Any
    hx: Any

    @property
    def name(self) -> str:
        """The layer as its user wrote it."""
        return f"{type(self.layer).__name__}({self.layer.extra_repr()})"

    @property
    def kind(self) -> str:
        """torch's name of it."""
        return str(torchs_own(self.layer).__name__)

    @property
    def is_cell(self) -> bool:
        return not isinstance(self.layer, torch.nn.RNNBase)

    @property
    def has_two_states(self) -> bool:
        return isinstance(self.layer, torch.nn.LSTM | torch.nn.LSTMCell)

    @property
    def x(self) -> Tensor:
        """The values of the input."""
        found: Tensor = self.input.data if self.is_packed else self.input
        return found

    @property
    def is_packed(self) -> bool:
        return isinstance(self.input, PackedSequence)

    @property
    def lead(self) -> tuple[str, ...]:
        """What stands before the size in the shape of a batch."""
        if self.is_cell:
            return ("B",)
        if self.is_packed:
            return ("steps of all sequences",)
        return ("B", "T") if self.layer.batch_first else ("T", "B")

    @property
    def taken(self) -> str:
        """The shapes that an input may have."""
        size = str(self.layer.input_size)
        whole = f"({', '.join([*self.lead, size])})"
        if self.is_packed:
            return whole
        return f"{whole}, or {f'({size},)' if self.is_cell else f'(T, {size})'} without a batch"

    @property
    def is_batched(self) -> bool:
        return self.is_packed or self.x.dim() == (2 if self.is_cell else 3)

    @property
    def rows(self) -> int:
        """How many sequences there are."""
        if self.is_packed:
            return int(self.input.batch_sizes[0])
        return int(self.x.shape[self.lead.index("B")]) if self.is_batched else 1

    def states(self) -> Iterator[tuple[str, Any, Shape]]:
        """Of each state its name, what is given, and the shape that it should have."""
        layer, many = self.layer, self.has_two_states
        sizes = [getattr(layer, "proj_size", 0) or layer.hidden_size, layer.hidden_size]
        given = () if self.hx is None else self.hx if many else (self.hx,)
        directions = 2 if getattr(layer, "bidirectional", False) else 1
        first = () if self.is_cell else (layer.num_layers * directions,)
        rows = (self.rows,) if self.is_batched else ()
        for k, (state, size) in enumerate(zip(given, sizes, strict=False)):
            yield f"hx[{k}]" if many else "hx", state, (*first, *rows, size)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """The weights by torch's names."""
        layer = self.layer
        for name in STACKED if self.is_cell else layer._flat_weights_names:
            weight = getattr(layer, name, None)
            if isinstance(weight, torch.Tensor):
                yield name, weight


def _what(given: object) -> str:
    """A value, or what it is."""
    if given is None or isinstance(given, int | float):
        return repr(given)
    name = type(given).__name__
    return f"an {name}" if name[0] in "aeiou" or name == "ndarray" else f"a {name}"


def _no_tensor(call: Refused) -> ElmanError | None:
    given = call.input
    if isinstance(given, torch.Tensor) or (call.is_packed and not call.is_cell):
        if _is_dense(call.x):
            return None
        return _not_dense(call, "input", call.x)
    tensors = isinstance(given, tuple | list) and any(isinstance(t, torch.Tensor) for t in given)
    fix = "Pass torch.as_tensor(input, dtype=torch.float32)."
    if call.is_packed:
        fix = f"A cell does one step: give all steps to {call.kind[:-4]}."
    elif tensors and isinstance(given, tuple):
        fix = "Pass input[0]: a layer returns its output and its state."
    elif tensors:
        pack = "torch.nn.utils.rnn.pack_sequence(input, enforce_sorted=False)"
        fix = "Pass torch.stack(input)." if call.is_cell else f"Pass {pack}."
    elif given is None:
        fix = f"Pass a tensor {call.taken}."
    return WeightProblem(
        "E545", f"input is {_what(given)}, and {call.name} reads a tensor", fix=fix
    )


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def _not_dense(call: Refused, name: str, tensor: Tensor) -> ElmanError:
    kind, fix = tensor.layout, f"Pass {name}.to_dense()."
    if tensor.is_nested:
        kind, fix = "nested", f"Pass torch.nested.to_padded_tensor({name}, 0.0)."
        if name == "input" and not call.is_cell:
            fix = f"{fix[:-1]} and lengths= to a layer with batch_first=True."
    return WeightProblem("E545", f"{name} is {kind}, and {call.name} reads dense tensors", fix=fix)


def _axes(call: Refused) -> ElmanError | None:
    count, shape = call.x.dim(), tuple(call.x.shape)
    if count in ((2,) if call.is_packed else (1, 2) if call.is_cell else (2, 3)):
        return None
    size, rest = call.layer.input_size, call.x[0].numel() if count and shape[0] else 0
    axes = ("-1",) if call.is_packed else call.lead
    fix = f"Reshape it, as in input.reshape({', '.join([*axes, str(size)])})."
    if call.is_cell and count == 3:
        fix = f"A cell does one step: pass input[0], or all steps to {call.kind[:-4]}."
    elif count == 1 and size == 1:
        fix = "Pass input[:, None]: one value at each step."
    elif count == 4 and shape[0] == 1:
        fix = "Pass input[0]."
    elif count > 3 and rest // max(shape[1], 1) == size:
        fix = "Pass input.flatten(2)."
    return ShapeProblem("E231", f"input is {shape}, and {call.name} reads {call.taken}", fix=fix)


def _size(call: Refused) -> ElmanError | None:
    shape, size = tuple(call.x.shape), call.layer.input_size
    if shape[-1] == size:
        return None
    way = f"ake the layer with input_size={shape[-1]}."
    fix = f"M{way}"
    if size in shape[:-1]:
        fix = f"Pass input.transpose({shape.index(size)}, -1), or m{way}"
    elif size == 1 and len(shape) == 2 and not call.is_packed:
        fix = "Pass input.unsqueeze(-1): one value at each step of each sequence."
    return ShapeProblem("E232", f"input is {shape}, and {call.name} reads {call.taken}", fix=fix)


def _no_steps(call: Refused) -> ElmanError | None:
    if call.is_cell:
        return None
    axis = call.lead.index("T") if call.is_batched and not call.is_packed else 0
    if call.x.shape[axis]:
        return None
    return ShapeProblem(
        "E235",
        f"input is {tuple(call.x.shape)}, and {call.name} needs one step or more",
        fix="Leave the call out where there are no steps.",
    )


def _packing(call: Refused) -> ElmanError | None:
    """Packed by hand: as many sequences in a step as in the one before, or fewer."""
    if not call.is_packed or call.is_cell:
        return None
    sizes = call.input.batch_sizes.tolist()
    falls = all(one >= other for one, other in pairwise(sizes))
    if falls and sum(sizes) == len(call.x) and all(size > 0 for size in sizes):
        return None
    wrong = f"{sum(sizes)} in all for {len(call.x)} rows of data" if falls else "which rise"
    return ShapeProblem(
        "E236",
        f"the packed input has batch_sizes {sizes}, {wrong}",
        rule=f"{call.name} reads a step of as many sequences as are that long, the longest first.",
        fix="Pass torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False), "
        "or the padded x and lengths=lengths.",
    )


def number_of_states(call: Refused) -> ElmanError | None:
    """One tensor, or two in a tuple or list."""
    hx, several = call.hx, isinstance(call.hx, tuple | list)
    if hx is None or (several and len(hx) == 2 if call.has_two_states else not several):
        return None
    if call.has_two_states:
        stacked = isinstance(hx, torch.Tensor) and len(hx.shape) > 2 and hx.shape[0] == 2
        alone = "Pass (hx, torch.zeros_like(hx))." if isinstance(hx, torch.Tensor) else None
        found = f"{len(hx)} of them" if several else _what(hx)
        return WeightProblem(
            "E548",
            f"hx is {found}, and {call.name} has two states, (h, c)",
            fix="Pass tuple(hx)." if stacked and hx.dim() == 4 else alone or "Pass (h, c).",
        )
    return WeightProblem(
        "E548",
        f"hx is {_what(hx)}, and {call.name} has one state, a tensor",
        fix="Pass hx[0].",
    )


def _states(call: Refused) -> ElmanError | None:
    if call.hx is None:
        return None
    for name, state, wanted in call.states():
        if not isinstance(state, torch.Tensor):
            shape = ", ".join(map(str, wanted))
            return WeightProblem(
                "E545",
                f"{name} is {_what(state)}, and {call.name} has tensors for states",
                fix=f"Pass torch.zeros({shape}), or leave hx out to begin from zero.",
            )
        if not _is_dense(state):
            return _not_dense(call, name, state)
        if tuple(state.shape) != wanted:
            return _shape_of_state(call, name, state, wanted)
    return None


def _shape_of_state(call: Refused, name: str, state: Tensor, wanted: Shape) -> ElmanError:
    given = tuple(state.shape)
    count = "num_layers * 2" if getattr(call.layer, "bidirectional", False) else "num_layers"
    words = [*([] if call.is_cell else [count]), *(["B"] if call.is_batched else [])]
    size = "proj_size" if wanted[-1] != call.layer.hidden_size else "hidden_size"
    also = ", with batch_first too" if getattr(call.layer, "batch_first", False) else ""
    return ShapeProblem(
        "E233",
        f"{name} is {given}, and {call.name} with this input needs {wanted}",
        rule=f"A state is ({', '.join([*words, size])}){also if call.is_batched else ''}.",
        fix=way_to(name, given, wanted) or "Leave hx out to begin from zero.",
    )


def _formats(call: Refused) -> ElmanError | None:
    """Of the input, the states and the weights one dtype, on one device."""
    tensors = [("input", call.x), *((n, s) for n, s, _ in call.states())]
    weights = list(call.weights())
    if not weights:
        return None
    (_, like), *others = weights
    by_itself = torch._C._is_any_autocast_enabled()
    for name, tensor in [*tensors, *others]:
        if tensor.device != like.device:
            return WeightProblem(
                "E547",
                f"{name} is on {tensor.device}, the weights of {call.name} are on {like.device}",
                fix=to_one_device(name, tensor, like),
            )
        if tensor.dtype != like.dtype and not by_itself:
            return _format(call, name, tensor, like.dtype)
    return None


def _format(call: Refused, name: str, tensor: Tensor, wanted: torch.dtype) -> ElmanError:
    fix = f"Convert one: {name}.to({wanted})"
    if tensor.dtype.is_floating_point:
        fix += f", or layer.to({tensor.dtype})"
    elif name == "input" and not tensor.dtype.is_complex:
        fix += (
            f"; numbers of words or classes first go through Embedding(n, {call.layer.input_size})"
        )
    return WeightProblem(
        "E546",
        f"{name} is {tensor.dtype}, and the weights of {call.name} are {wanted}",
        fix=f"{fix}.",
    )


def _weights(call: Refused) -> ElmanError | None:
    """A weight in another shape than the layer's sizes say."""
    with torch.device("meta"):
        plain = _twin(call.layer)
    for (name, weight), (_, own) in zip(
        call.weights(), Refused(plain, 0, 0).weights(), strict=False
    ):
        if weight.shape != own.shape:
            return ShapeProblem(
                "E237",
                f"{name} is {tuple(weight.shape)}, and {call.name} needs {tuple(own.shape)}",
                fix="Make the layer with the sizes of its weights, or put back its own.",
            )
    return None


def _twin(layer: Any) -> Any:
    """torch's own layer or cell of these arguments, without memory for its weights."""
    own = torchs_own(layer)
    named = {n: getattr(layer, n) for n in ("input_size", "hidden_size", "bias")}
    if isinstance(layer, torch.nn.RNNBase):
        named |= {n: getattr(layer, n) for n in ("num_layers", "bidirectional")}
        named |= {"proj_size": layer.proj_size} if layer.proj_size else {}
    return own(**named)


def _nonlinearity(call: Refused) -> ElmanError | None:
    given = getattr(call.layer, "nonlinearity", "tanh")
    if given in ("tanh", "relu"):
        return None
    return ShapeProblem(
        "E230", f"nonlinearity={given!r} in {call.name}", fix="Pass nonlinearity='tanh' or 'relu'."
    )


CHECKS: tuple[Callable[[Refused], ElmanError | None], ...] = (
    _no_tensor,
    _axes,
    _size,
    _no_steps,
    _packing,
    number_of_states,
    _states,
    _formats,
    _weights,
    _nonlinearity,
)

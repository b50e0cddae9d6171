"""What a layer is given, checked: a cell or its text, numbers, switches, constants, tensors."""

from __future__ import annotations

import warnings
from collections.abc import Container, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from elman import library
from elman.backends.call import number_array
from elman.cell import Cell, published
from elman.errors import NameProblem, ShapeProblem, WeightProblem, nearest
from elman.nn import autocast
from elman.nn.autocast import lowers
from elman.nn.stack import main_input

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Tensor]
Shape = tuple[int, ...]
TAKEN = {
    "state": "the state of the recurrence",
    "lengths": "how many steps of each sequence count",
    "reset": "where a sequence begins anew",
}


def as_cell(given: object) -> Cell:
    """A cell as it is, by its name in the library, or from its equations; E408 for what is none."""
    cell = given if isinstance(given, Cell) else _read(given)
    if not (cell.inputs or cell.parameters or cell.constants):
        raise NameProblem(
            "E408",
            f"the cell {cell.name} has no input and no weight",
            rule="A layer reads the one or learns the other.",
            fix="Run the cell itself: cell.run({}, {}, steps=10).",
        )
    return cell


def _read(given: object) -> Cell:
    if isinstance(given, str) and given.strip() in library.cells:
        return published(library.cells.text(given.strip()), given.strip())
    if isinstance(given, str) and "=" not in given:
        raise NameProblem(
            "E408",
            f"{given!r} is no equation, and no cell of the library",
            rule="A layer is made of a cell, of its name in the library or of its equations.",
            fix=nearest(given, library.cells) or "As in Recurrent(elman.cells['gru'], 64, 256).",
        )
    if not isinstance(given, str):
        raise NameProblem(
            "E408",
            f"a layer is made of a cell or of its equations, not from {type(given).__name__}",
            fix='Pass elman.cells["gru"], elman.Cell.load(path), or the text of the equations.',
        )
    return Cell(given)


def check_names(cells: Sequence[Cell]) -> None:
    """E405 for an input by name that a layer takes for something else."""
    for k, cell in enumerate(cells):
        main = main_input(cell)
        for name, meaning in TAKEN.items():
            is_x = name == main and (k or name != "state")  # which is given without its name
            if name in cell.inputs and not is_x:
                raise NameProblem(
                    "E405",
                    f"an input called {name} cannot be given to a layer by name",
                    rule=f"layer(x, {name}=...) is {meaning}.",
                    fix="Give the input another name in the equations.",
                )


def check_numbers(
    input_size: object, hidden_size: object, num_layers: object, dropout: object, sizes: object
) -> None:
    """Whole numbers, a probability, and sizes by name: E208, E214, E207."""
    hidden = hidden_size if isinstance(hidden_size, list | tuple) else [hidden_size]
    counts = [("input_size", input_size), *(("hidden_size", each) for each in hidden)]
    for name, count in (*counts, ("num_layers", num_layers)):
        check_size(name, count)
    check_dropout(dropout)
    if dropout and num_layers == 1:
        warnings.warn(
            "dropout acts between layers, and there is one layer: it does nothing", stacklevel=4
        )
    if sizes is not None and not isinstance(sizes, Mapping):
        raise ShapeProblem(
            "E207", "sizes are given by name, as a dict", fix='As in sizes={"cell": 512}.'
        )


def is_count(given: object, least: int = 1) -> TypeGuard[int]:
    """Whether it is a whole number, NumPy's too, of that many or more."""
    return isinstance(given, Integral) and not isinstance(given, bool) and int(given) >= least


def is_number(given: object) -> TypeGuard[float]:
    """Whether it is a real number; True and False are none."""
    return isinstance(given, Real) and not isinstance(given, bool)


def check_size(name: str, count: object, least: int = 1) -> None:
    """E208 for no whole number of that many or more."""
    if not is_count(count, least):
        rule = f"It is a whole number, {least} or more."
        raise ShapeProblem("E208", f"{name}={count!r}", rule=rule, fix=f"As in {name}=8.")


def check_made_with(name: str, options: Container[str]) -> None:
    """E244 for an option that is set on a layer whose equations are already made."""
    if name in options:
        raise ShapeProblem(
            "E244",
            f"{name} cannot be changed once the layer is made",
            rule="It is part of the equations that the layer's kernels compute.",
            fix=f"Make a layer with {name}=... and give it these weights: "
            "new.load_state_dict(old.state_dict(), strict=False).",
        )


def check_dropout(dropout: object) -> None:
    """E214 for no probability."""
    if not (is_number(dropout) and 0.0 <= dropout <= 1.0):
        raise ShapeProblem(
            "E214",
            f"dropout={dropout!r}",
            rule="A probability lies between 0 and 1.",
            fix="As in dropout=0.5.",
        )


SWITCHES = (
    "bias",
    "batch_first",
    "bidirectional",
    "learn_initial_state",
    "residual",
    "layer_norm",
    "skip_input",
    "input_feeding",
)


def check_switches(layer: object) -> None:
    """E214 for what is neither True nor False, nor 1 or 0, which numbers and NumPy have for it."""
    for name in SWITCHES:
        given = getattr(layer, name, False)
        is_one = isinstance(given, bool | int | np.bool_) and given in (0, 1)
        if not is_one:
            raise ShapeProblem(
                "E214", f"{name}={given!r}", rule="It is True or False.", fix=f"Pass {name}=True."
            )


def remat_steps(remat: object) -> int | None:
    """None to keep all for the backward pass, 0 for blocks that suit, else a block's steps; E214.

    >>> remat_steps(False), remat_steps(True), remat_steps(32)
    (None, 0, 32)
    """
    if isinstance(remat, bool):
        return 0 if remat else None
    if not is_count(remat):
        raise ShapeProblem(
            "E214",
            f"remat={remat!r}",
            rule="It is True, False, or how many steps are run again at once: 1 or more.",
            fix="Pass remat=True for blocks of a length that suits.",
        )
    return remat


def remat_facts(remat: bool | int) -> list[str]:
    """What recomputing means for how a layer runs, in words."""
    if not remat:
        return []
    steps = remat_steps(remat)
    return [f"the backward pass runs blocks of {f'{steps} steps' if steps else 'time'} again"]


def check_format(dtype: object) -> None:
    """E505 for what is no format of real numbers."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        rule = "Weights are real numbers in one of torch's formats."
        raise WeightProblem("E505", f"dtype={dtype!r}", rule=rule, fix="Pass dtype=torch.float32.")


def constant_tensors(cells: Sequence[Cell], given: object) -> list[State]:
    """Every constant of each cell: what the caller gives, else as the equations have it.

    Errors: NameProblem E502 for what is no constant, WeightProblem E503 for another shape.
    """
    if not isinstance(given, Mapping):
        raise NameProblem(
            "E502", "constants are given by name, as a dict", fix='As in constants={"alpha": 0.5}.'
        )
    known = list(dict.fromkeys(name for cell in cells for name in cell.constants))
    for name in given:
        if name not in known:
            raise NameProblem(
                "E502",
                f"the cell has no constant {name!r}",
                rule=f"It has {', '.join(known) or 'none'}.",
                fix=nearest(str(name), known) or None,
            )
    return [_constants(cell, given) for cell in cells]


def _constants(cell: Cell, given: Mapping[str, object]) -> State:
    cell.check_constants({n: v for n, v in given.items() if n in cell.constants})
    found = {}
    for name, default in cell.constants.items():
        value = number_array("constants", name, given.get(name, default))
        tensor = torch.as_tensor(value, dtype=torch.float64, device="cpu")
        if tuple(tensor.shape) != np.shape(default):
            raise WeightProblem(
                "E503",
                f"{name} is {tuple(tensor.shape)}, and the cell needs {np.shape(default)}",
                rule="A constant keeps the shape that it has in the equations.",
            )
        found[name] = tensor
    return found


def check_dtype(name: str, tensor: Tensor, dtype: torch.dtype | None) -> None:
    """E505 for a tensor of another dtype than the layer's."""
    if dtype is not None and tensor.dtype != dtype and not (autocast.is_on() and lowers(tensor)):
        raise WeightProblem(
            "E505",
            f"{name} is {tensor.dtype}, and the layer's parameters are {dtype}",
            fix=f"Convert one: {name.split()[-1]}.to({dtype})"
            + (f", or layer.to({tensor.dtype})." if tensor.dtype.is_floating_point else "."),
        )


def check_device(
    given: Mapping[str, Any],
    like: Tensor | None,
    what: str = "",
    whose: str = "the layer's weights",
) -> None:
    """E547 for tensors on another device than the layer's weights."""
    if like is None:
        return
    for name, each in given.items():
        for tensor in each if isinstance(each, tuple) else (each,):
            if tensor is None or tensor.device == like.device:
                continue
            raise WeightProblem(
                "E547",
                f"{what}{name} is on {tensor.device}, {whose} are on {like.device}",
                fix=to_one_device(name, tensor, like),
            )


def check_alike(given: Mapping[str, Tensor], like: Tensor | None, whose: str) -> None:
    """E547 and E546 for tensors elsewhere than `whose` numbers, or of another dtype."""
    for name, tensor in given.items():
        if like is None or tensor.device != like.device:
            check_device({name: tensor}, like, whose=whose)
        elif tensor.dtype != like.dtype and not (lowers(tensor) and lowers(like)):
            headline = f"{name} is {tensor.dtype}, and {whose} are {like.dtype}"
            raise WeightProblem("E546", headline, fix=f"Pass {name.split()[-1]}.to({like.dtype}).")


def to_one_device(name: str, tensor: Tensor, like: Tensor) -> str:
    """What to do about a tensor that is not where the weights are."""
    if "meta" in (tensor.device.type, like.device.type):
        return 'On "meta" there are shapes and no numbers: make both on "cpu".'
    return f'Pass {name}.to("{like.device}"), or move the layer: .to("{tensor.device}").'


def check_tensor(what: str, given: object) -> None:
    """E504 for what is no tensor."""
    if not isinstance(given, torch.Tensor):
        fix = "Pass torch.as_tensor(...)."
        if isinstance(given, PackedSequence):
            pad = "torch.nn.utils.rnn.pad_packed_sequence"
            fix = f"Pass it padded, with its lengths: {what}, lengths = {pad}({what})."
        raise WeightProblem("E504", f"{what} is {type(given).__name__}, no tensor", fix=fix)


def way_to(name: str, given: Shape, wanted: Shape) -> str | None:
    """What makes a tensor of one shape one of another: a fix to be shown, or None.

    >>> way_to("h", (4, 8), (1, 4, 8)), way_to("x", (4, 7, 3), (7, 4, 3))
    ('Pass h.unsqueeze(0).', 'Pass x.transpose(0, 1).')
    """
    like = torch.empty(given, device="meta")
    for word, numbers in (*WAYS, ("expand", wanted)):
        try:
            if getattr(like, word)(*numbers).shape == wanted:
                return f"Pass {name}.{word}({', '.join(map(str, numbers))})."
        except (IndexError, RuntimeError):
            continue
    return None


WAYS = (
    ("transpose", (0, 1)),
    ("squeeze", (0,)),
    ("squeeze", (-2,)),
    ("unsqueeze", (0,)),
    ("unsqueeze", (-2,)),
)

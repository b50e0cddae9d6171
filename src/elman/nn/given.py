"""What a layer is given, checked: a cell or its text, numbers, inputs by name, states."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence

from elman import library
from elman.backends.call import number_array
from elman.cell import Cell
from elman.errors import NameProblem, ShapeProblem, WeightProblem, nearest
from elman.ir.sizes import number
from elman.nn import autocast
from elman.nn.autocast import lowers
from elman.nn.stack import Sizes, main_input

Tensor: TypeAlias = torch.Tensor
State: TypeAlias = dict[str, Tensor]
Shape = tuple[int, ...]
TAKEN = {
    "state": "the state of the recurrence",
    "lengths": "how many steps of each sequence count",
    "reset": "where a sequence begins anew",
}


def as_cell(given: object) -> Cell:
    """A cell as it is, or from its equations; E408 for what is neither."""
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
    if isinstance(given, str) and "=" not in given:
        known = given.strip() in library.cells
        raise NameProblem(
            "E408",
            f"{given!r} is {'the name of a cell' if known else 'no equation'}",
            rule="A layer is made of a cell or of its equations.",
            fix=f'Pass elman.cells["{given.strip()}"].'
            if known
            else nearest(given, library.cells) or "As in Recurrent(elman.cells['gru'], 64, 256).",
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
            if (
                name in cell.inputs
                and (name == "state" or name != main)
                and not (k and name == main)
            ):
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
        raise ShapeProblem("E208", f"{name}={count!r}", rule=rule)


def check_dropout(dropout: object) -> None:
    """E214 for no probability."""
    if not (is_number(dropout) and 0.0 <= dropout <= 1.0):
        raise ShapeProblem(
            "E214", f"dropout={dropout!r}", rule="A probability lies between 0 and 1."
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
        tensor = torch.as_tensor(value, dtype=torch.float64)
        if tuple(tensor.shape) != np.shape(default):
            raise WeightProblem(
                "E503",
                f"{name} is {tuple(tensor.shape)}, and the cell needs {np.shape(default)}",
                rule="A constant keeps the shape that it has in the equations.",
            )
        found[name] = tensor
    return found


@dataclass(frozen=True)
class Form:
    """What the inputs of a layer look like: sizes behind time and batch, by name."""

    main: str | None  # the input that is `x`
    tails: Mapping[str, Shape]
    varies: Mapping[str, str]  # what each varies over: "tb", "t" or "b"

    @staticmethod
    def of(cells: Sequence[Cell], sizes: Sequence[Sizes]) -> Form:
        """That of layers upon each other: `x` is the first one's, every other input is everybody's.

        Errors: ShapeProblem E203 where layers differ about an input.
        """
        mains = [main_input(cell) for cell in cells]
        tails: dict[str, Shape] = {}
        varies: dict[str, str] = {}
        for k, (cell, numbers) in enumerate(zip(cells, sizes, strict=True)):
            for name in cell.inputs:
                if k and name == mains[k]:
                    continue
                tail = tuple(number(size, numbers) for size in cell.typed.shape(name))
                over = cell.typed.over.get(name, "tb")
                if (tails.setdefault(name, tail), varies.setdefault(name, over)) != (tail, over):
                    raise ShapeProblem(
                        "E203",
                        f"the input {name} is one thing in layer {k}, another in one below",
                        rule="An input has one size, and varies over the same, in all layers.",
                        fix="Give one of them another name in its equations.",
                    )
        return Form(mains[0], tails, varies)

    def over(self, name: str) -> str:
        """What an input varies over: "tb", "t" or "b"."""
        return self.varies.get(name, "tb")

    @property
    def is_uncounted(self) -> bool:
        """Whether no input at [t] counts the steps."""
        return not any("t" in self.over(name) for name in self.tails)

    @property
    def is_unbatched(self) -> bool:
        """Whether no input counts the sequences."""
        return not any("b" in over for over in self.varies.values())

    def is_plain(self, x: object, like: Tensor | None) -> bool:
        """Whether the one input is (T, B, size) as it should be: spares most calls the checks."""
        if not isinstance(x, torch.Tensor) or x.dim() != 3 or self.main is None or like is None:
            return False
        return (
            len(self.tails) == 1
            and (x.shape[2],) == self.tails[self.main]
            and x.numel() > 0
            and self.over(self.main) == "tb"
            and x.dtype is like.dtype
            and x.device == like.device
        )

    def inputs(
        self, x: Tensor | None, others: State, batch_first: bool, dtype: torch.dtype | None
    ) -> tuple[State, bool]:
        """(T, B, ...) by name, and whether there is a batch axis."""
        given = dict(others)
        if self.main is not None and x is not None:
            given[self.main] = x
        missing = [name for name in self.tails if name not in given]
        extra = [name for name in given if name not in self.tails]
        if missing or extra or (self.main is None and x is not None):
            raise NameProblem(
                "E405",
                f"the cell needs the input {missing[0]}"
                if missing
                else f"the cell has no input {extra[0] if extra else 'x'}",
                rule=f"Its inputs are {', '.join(self.tails) or 'none'}.",
                fix=nearest(extra[0], self._near(extra[0])) or None
                if extra
                else f"Pass {missing[0]}=..."
                if missing
                else None,
            )
        for name, tensor in given.items():
            check_tensor(name, tensor)
        ranks = {n: given[n].dim() - len(self.tails[n]) for n in given}
        batched = any(r >= 2 for n, r in ranks.items() if self.over(n) == "tb")
        batched = batched or any(r == 1 for n, r in ranks.items() if self.over(n) == "b")
        for name, tensor in given.items():
            self._check_input(name, tensor, batched, dtype)
        spread = {n: self._spread(n, tensor, batched, batch_first) for n, tensor in given.items()}
        return spread, batched

    def _near(self, name: str) -> tuple[str, ...]:
        """What a caller may have meant by a name that is no input's."""
        return (*self.tails, *(() if name in TAKEN else TAKEN))

    def _check_input(
        self, name: str, tensor: Tensor, batched: bool, dtype: torch.dtype | None
    ) -> None:
        over = self.over(name)
        lead = {"tb": 2 if batched else 1, "t": 1, "b": 1 if batched else 0}[over]
        width = self.tails[name]
        if tensor.dim() != lead + len(width) or tuple(tensor.shape[lead:]) != width:
            words = [axis.upper() for axis in over if batched or axis == "t"]
            raise ShapeProblem(
                "E210",
                f"{name} is {tuple(tensor.shape)}, and the layer needs "
                f"({', '.join([*words, *map(str, width)])})",
                rule="T steps, B sequences (B, T with batch_first), then the size of the input.",
            )
        check_dtype(name, tensor, dtype)

    def _spread(self, name: str, tensor: Tensor, batched: bool, batch_first: bool) -> Tensor:
        """(T, B, ...) for what varies over both."""
        over = self.over(name)
        if over == "tb" and batched:
            return tensor.transpose(0, 1) if batch_first else tensor
        return tensor if over == "t" or batched else tensor.unsqueeze(1 if over == "tb" else 0)

    def lead(self, inputs: State, steps: int | None, rows: int) -> tuple[int, int]:
        """The number of steps and of sequences; `steps` and `rows` where no input says them."""
        lengths = {n: v.shape[0] for n, v in inputs.items() if "t" in self.over(n)}
        batch = {
            n: v.shape[1 if self.over(n) == "tb" else 0]
            for n, v in inputs.items()
            if "b" in self.over(n)
        }
        for what, found in (("steps", lengths), ("sequences", batch)):
            counts = list(found.values())
            if any(count != counts[0] for count in counts):
                words = ", ".join(f"{name} has {count}" for name, count in found.items())
                raise ShapeProblem("E211", f"the inputs differ in {what}: {words}")
        length = next(iter(lengths.values()), steps)
        if not length:
            raise ShapeProblem(
                "E212",
                "a sequence of no steps",
                rule="The layer needs one step or more.",
                fix=None if lengths else "The cell has no input at [t]: pass steps=10.",
            )
        return length, next(iter(batch.values()), rows)


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


def check_step(x: object, form: Form, bidirectional: bool) -> None:
    """E219 where a layer cannot go step by step, E210 for an input of several steps."""
    if bidirectional:
        raise ShapeProblem(
            "E219",
            "a bidirectional layer has no single steps",
            rule="It reads what follows too.",
            fix="Pass the whole sequence: layer(x).",
        )
    tail = form.tails.get(form.main or "", ())
    if isinstance(x, torch.Tensor) and x.dim() > 1 + len(tail):
        raise ShapeProblem(
            "E210",
            f"x is {tuple(x.shape)}, and one step needs ({', '.join(map(str, ('B', *tail)))})",
            rule="A step has no axis of time.",
            fix="Pass x[0], or call layer(x) for all steps.",
        )

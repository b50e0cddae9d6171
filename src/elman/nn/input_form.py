"""What the inputs of a layer look like: names, axes and sizes; what is given is checked by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from elman.cell import Cell
from elman.errors import NameProblem, ShapeProblem, nearest
from elman.ir.sizes import number
from elman.nn.given import TAKEN, Shape, State, check_dtype, check_tensor
from elman.nn.stack import Sizes, main_input

Tensor: TypeAlias = torch.Tensor


@dataclass(frozen=True)
class InputForm:
    """What the inputs of a layer look like: sizes behind time and batch, by name."""

    main: str | None  # the input that is `x`
    tails: Mapping[str, Shape]
    varies: Mapping[str, str]  # what each varies over: "tb", "t" or "b"

    @staticmethod
    def of(cells: Sequence[Cell], sizes: Sequence[Sizes]) -> InputForm:
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
                known = tails.setdefault(name, tail), varies.setdefault(name, over)
                if known != (tail, over):
                    raise ShapeProblem(
                        "E203",
                        f"the input {name} is one thing in layer {k}, another in one below",
                        rule="An input has one size, and varies over the same, in all layers.",
                        fix="Give one of them another name in its equations.",
                    )
        return InputForm(mains[0], tails, varies)

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
        self._check_names([*given, *(("x",) if self.main is None and x is not None else ())])
        for name, tensor in given.items():
            check_tensor(name, tensor)
        ranks = {n: given[n].dim() - len(self.tails[n]) for n in given}
        batched = any(r >= 2 for n, r in ranks.items() if self.over(n) == "tb")
        batched = batched or any(r == 1 for n, r in ranks.items() if self.over(n) == "b")
        for name, tensor in given.items():
            self._check_shape(name, tensor, batched, batch_first)
            check_dtype(name, tensor, dtype)
        spread = {n: self._spread(n, tensor, batched, batch_first) for n, tensor in given.items()}
        return spread, batched

    def _check_names(self, given: Sequence[str]) -> None:
        """E405 for an input that is missing, and for one that no cell has."""
        missing = next((name for name in self.tails if name not in given), None)
        extra = next((name for name in given if name not in self.tails), None)
        fix = None
        if extra is not None:
            fix = nearest(extra, (*self.tails, *(() if extra in TAKEN else TAKEN)))
        if missing is not None:
            headline, otherwise = f"the cell needs the input {missing}", f"Pass {missing}=..."
        elif extra is not None:
            headline, otherwise = f"the cell has no input {extra}", f"Leave {extra} out."
        else:
            return
        rule = f"Its inputs are {', '.join(self.tails) or 'none'}."
        raise NameProblem("E405", headline, rule=rule, fix=fix or otherwise)

    def _check_shape(self, name: str, tensor: Tensor, batched: bool, batch_first: bool) -> None:
        """E210 for an input of other axes, or of another size."""
        axes = {"tb": "BT" if batch_first else "TB", "t": "T", "b": "B"}[self.over(name)]
        axes = axes if batched else axes.replace("B", "")
        given, size = tuple(tensor.shape), self.tails[name]
        if given[len(axes) :] == size and len(given) == len(axes) + len(size):
            return
        raise ShapeProblem(
            "E210",
            f"{name} is {given}, and the layer needs ({', '.join([*axes, *map(str, size)])})",
            rule="T is the number of steps, B that of sequences.",
            fix=self._fix(name, given, axes),
        )

    def _fix(self, name: str, given: Shape, axes: str) -> str:
        """What to do about an input of this shape that should have these axes before its size."""
        size = self.tails[name]
        if len(given) == len(axes) + len(size) == len(axes) + 1:
            if size[0] in given[:-1]:
                return f"Pass {name}.transpose({given.index(size[0])}, -1)."
            if name == self.main:
                return f"Make the layer with input_size={given[-1]}."
        if given == (*given[: len(axes)], 1) and not size:
            return f"Pass {name}.squeeze(-1)."
        if len(given) == len(axes) and size == (1,):
            return f"Pass {name}.unsqueeze(-1)."
        whole = [*(10 if axis == "T" else 4 for axis in axes), *size]
        return f"As in {name} = torch.zeros({', '.join(map(str, whole))})."

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
                rule = "All inputs are of the same steps of the same sequences."
                raise ShapeProblem("E211", f"the inputs differ in {what}: {words}", rule=rule)
        length = next(iter(lengths.values()), steps)
        if not length:
            raise ShapeProblem(
                "E212",
                "a sequence of no steps",
                rule="The layer needs one step or more.",
                fix=None if lengths else "The cell has no input at [t]: pass steps=10.",
            )
        return length, next(iter(batch.values()), rows)


def check_step(x: object, form: InputForm, bidirectional: bool) -> None:
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

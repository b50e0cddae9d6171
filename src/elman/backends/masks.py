"""The lengths of sequences and where they begin anew, as a user gives them: checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.errors import NameProblem
from elman.ir import Cell
from elman.passes.masking import ANEW, WITHIN, masked

Array = np.ndarray[Any, Any]
LENGTH = "A length says how many steps of a sequence count: a whole number from 0 to {}."
RESET = "It is True or 1 where a sequence begins anew before that step, else False or 0."


@dataclass(frozen=True)
class Masks:
    """Which steps count, and before which one a sequence begins anew: (T, B) of True and False."""

    within: Array | None
    anew: Array | None

    @property
    def first(self) -> Array | None:
        """The sequences that begin anew before the first step, (B,)."""
        return None if self.anew is None else self.anew[0]

    def cell(self, cell: Cell, named: tuple[str, ...]) -> Cell:
        """The cell that reads them."""
        lengths, resets = self.within is not None, self.anew is not None
        return masked(cell, named, lengths=lengths, resets=resets)

    def arrays(self) -> Mapping[str, Array]:
        """The streams of `passes.masking`, by their names."""
        found: dict[str, Array] = {}
        if self.within is not None:
            steps = {"tb": self.within, "t": self.within.any(axis=1), "b": self.within.any(axis=0)}
            found |= {WITHIN[over].attr.name: a for over, a in steps.items()}
        if self.anew is not None:
            later = np.zeros_like(self.anew)
            later[:-1] = self.anew[1:]
            found[ANEW.attr.name] = later
        return found


def masks_of(lengths: object, reset: object, lead: tuple[int, int], batched: bool) -> Masks | None:
    """What `lengths` and `reset` say of T steps of B sequences; None where neither is given."""
    if lengths is None and reset is None:
        return None
    within = anew = None
    if lengths is not None:
        counted = check_lengths(lengths, lead, batched)
        within = np.arange(lead[0])[:, None] < counted
    if reset is not None:
        shape = lead if batched else lead[:1]
        anew = check_reset(reset, shape, "TB" if batched else "T").reshape(lead)
        if within is not None:  # behind the length nothing begins
            anew = anew & within
    return Masks(within, anew)


def check_lengths(given: object, lead: tuple[int, int], batched: bool) -> Array:
    """A whole number for each sequence, (B,); E428 for anything else."""
    steps, batch = lead
    rule = LENGTH.format(f"the number of steps, {steps}")
    found = _numbers("E428", "lengths", given, rule)
    if found.dtype.kind == "b":
        headline = "lengths holds True and False"
        fix = "A mask m of the steps that count, (T, B), has the lengths m.sum(0)."
        raise NameProblem("E428", headline, rule=rule, fix=fix)
    if found.shape != ((batch,) if batched else ()):
        count = (
            f"there are {batch} sequences" if batched else "there is one sequence without a batch"
        )
        fix = f"Pass {batch} numbers, one for each." if batched else f"As in lengths={steps}."
        headline = f"lengths is {found.shape}, and {count}"
        raise NameProblem("E428", headline, rule=rule, fix=fix)
    is_right = (found >= 0) & (found <= steps)
    if found.dtype.kind == "f":
        is_right &= found == np.floor(found)
    if not is_right.all():
        at = tuple(map(int, np.argwhere(~is_right)[0]))
        count = f", and there {'is 1 step' if steps == 1 else f'are {steps} steps'}"
        headline = f"{_entry('lengths', at)} is {found[at]}{count * bool(found[at] > steps)}"
        raise NameProblem("E428", headline, rule=rule)
    return found.astype(np.int64).reshape(-1)


def check_reset(given: object, shape: tuple[int, ...], axes: str) -> Array:
    """True and False in the shape that `axes`, such as "TB", have; E429 for anything else."""
    found = _numbers("E429", "reset", given, RESET)
    if found.shape != shape:
        words = f"({', '.join(axes)}) is {shape}" if axes else "there is one sequence and one step"
        headline = f"reset is {found.shape}, and {words}"
        fix = "Exchange its axes: reset.T." if found.shape == shape[::-1] else None
        raise NameProblem("E429", headline, rule=RESET, fix=fix)
    wrong = np.argwhere((found != 0) & (found != 1))
    if len(wrong):
        at = tuple(map(int, wrong[0]))
        fix = "As in reset=(number > 0.5)."
        raise NameProblem("E429", f"{_entry('reset', at)} is {found[at]}", rule=RESET, fix=fix)
    return found != 0


def _entry(name: str, at: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, at))}]" if at else name


def _numpy(tensor: Any) -> Any:
    """A tensor's numbers; numpy has no bfloat16."""
    found = tensor.detach().cpu()
    return (found.float() if str(found.dtype) == "torch.bfloat16" else found).numpy()


def _numbers(code: str, name: str, given: Any, rule: str) -> Array:
    """A number array of whatever is array-like."""
    if getattr(given, "is_meta", False):
        headline = f'{name} is on "meta", where there are shapes and no numbers'
        raise NameProblem(code, headline, rule=rule)
    try:
        found = np.asarray(_numpy(given) if hasattr(given, "detach") else given)
    except (ValueError, TypeError):
        found = np.asarray(None)
    if found.dtype.kind not in "fiub":
        words = {"U": "text", "c": "complex numbers"}
        what = words.get(found.dtype.kind, type(given).__name__)
        raise NameProblem(code, f"{name} is {what}, no array of numbers", rule=rule)
    return found

"""Which steps of padded sequences count, from their lengths or from a mask."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch

from elman.backends.masks import check_lengths
from elman.errors import NameProblem

Tensor: TypeAlias = torch.Tensor
Lead: TypeAlias = tuple[int, int]
RULE = "A mask is True or 1 at each step that counts, else False or 0."


class MaskLaw(NamedTuple):
    """What is said of a mask that is none."""

    code: str
    name: str
    rule: str

    def broken(self, what: str) -> NameProblem:
        """The error: the mask and what is wrong with it."""
        fix = "As in mask=(tokens != padding)."
        return NameProblem(self.code, f"{self.name} {what}", rule=self.rule, fix=fix)


OF_STEPS = MaskLaw("E415", "the mask", RULE)


def counted(
    lead: Lead, lengths: Any, mask: Any, device: torch.device, *, is_turned: bool = False
) -> Tensor | None:
    """(T, B) of True and False; None where every step counts. A turned mask is (B, T).

    >>> counted((3, 2), [3, 1], None, torch.device("cpu")).int().tolist()
    [[1, 1], [1, 0], [1, 0]]

    Errors: E428 for lengths that are none, E415 for a mask that is none.
    """
    if lengths is None and mask is None:
        return None
    if lengths is not None and mask is not None:
        raise NameProblem(
            "E415", "lengths and a mask are both given", rule=RULE, fix="Give one of the two."
        )
    if lengths is not None:
        given = check_lengths(lengths, lead, True) if is_seen() else lengths
        ends = torch.as_tensor(given, device=device)
        return torch.arange(lead[0], device=device)[:, None] < ends
    return _mask(lead, mask, device, is_turned)


def as_mask(mask: Any, device: torch.device | None = None, law: MaskLaw = OF_STEPS) -> Tensor:
    """A tensor of what is given; the law's error where it holds no numbers."""
    try:
        return torch.as_tensor(mask, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise law.broken(f"is {type(mask).__name__}, no array of True and False") from None


def check_marks(mask: Tensor, law: MaskLaw = OF_STEPS) -> None:
    """The law's error for other numbers than 0 and 1."""
    if mask.dtype is not torch.bool and not ((mask == 0) | (mask == 1)).all():
        raise law.broken("holds other numbers than 0 and 1")


def _mask(lead: Lead, mask: Any, device: torch.device, is_turned: bool) -> Tensor:
    found = as_mask(mask, device)
    shape = lead[::-1] if is_turned else lead
    if tuple(found.shape) != shape:
        axes = "(B, T)" if is_turned else "(T, B)"
        fix = "Exchange its axes: mask.T." if tuple(found.shape) == shape[::-1] else None
        headline = f"the mask is {tuple(found.shape)}, and {axes} is {shape}"
        raise NameProblem("E415", headline, rule=RULE, fix=fix)
    if is_seen():
        check_marks(found)
    return (found.T if is_turned else found) != 0


def is_seen() -> bool:
    """Whether there are numbers to look at, and to go by: not while torch traces a call."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    return torch._C._get_tracing_state() is None and not torch._C._len_torch_dispatch_stack()


def masked_softmax(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax over the last axis; what does not count has weight 0, and where nothing does, all.

    >>> masked_softmax(torch.tensor([0.0, 0.0, 9.0]), torch.tensor([True, True, False]))
    tensor([0.5000, 0.5000, 0.0000])
    """
    if mask is None:
        return scores.softmax(-1)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(-1).masked_fill(~mask, 0.0)

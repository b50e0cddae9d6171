"""What a CRF is given, checked: scores, tags, masks, lengths, and which transitions are allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch

from elman.backends.masks import check_lengths
from elman.errors import DataProblem, NameProblem, ShapeProblem
from elman.nn.chain import is_plain
from elman.nn.counted import MaskLaw, as_mask, check_marks
from elman.nn.tag_schemes import Constraints

Tensor: TypeAlias = torch.Tensor
PREFIX = "A mask is on from a sequence's first step to its last one, and off behind it."
LAW = MaskLaw("E432", "mask", PREFIX)


@dataclass(frozen=True)
class Given:
    """Scores (T, B, K) whatever the caller's order, what is behind a length 0; tags (T, B)."""

    emissions: Tensor
    lengths: Tensor | None  # (B), None where all sequences have all steps
    batched: bool
    batch_first: bool
    tags: Tensor | None = None

    def returned(self, values: Tensor, at: int = 0) -> Tensor:
        """Values whose axes T and B stand at `at`, in the caller's order."""
        if not self.batched:
            return values.squeeze(at + 1)
        return values.transpose(at, at + 1) if self.batch_first else values


def read(
    num_tags: int, batch_first: bool, emissions: Any, mask: Any, lengths: Any, tags: Any = None
) -> Given:
    """Emissions, mask or lengths, and tags where given: E430, E431, E432, E428."""
    _check_emissions(emissions, num_tags, batch_first)
    batched = emissions.dim() == 3
    turn = batched and batch_first
    e = emissions if batched else emissions[:, None]
    e = e.transpose(0, 1) if turn else e
    given = Given(e, None, batched, batch_first)
    given = replace(given, lengths=_lengths(given, mask, lengths))
    if given.lengths is not None:
        within = torch.arange(len(e), device=e.device)[:, None] < given.lengths
        given = replace(given, emissions=torch.where(within[..., None], e, 0.0))
    return given if tags is None else replace(given, tags=_tags(given, tags, num_tags))


def _check_emissions(emissions: Any, num_tags: int, batch_first: bool) -> None:
    form = f"({'B, T' if batch_first else 'T, B'}, {num_tags})"
    rule = f"Emissions are scores {form}, or (T, {num_tags}) of one sequence."
    if not isinstance(emissions, torch.Tensor):
        headline = f"emissions is {type(emissions).__name__}, no tensor"
        raise ShapeProblem("E430", headline, rule=rule, fix="Pass torch.as_tensor(emissions).")
    if emissions.dim() not in (2, 3):
        headline = f"emissions is {tuple(emissions.shape)}, of {emissions.dim()} axes"
        raise ShapeProblem("E430", headline, rule=rule, fix="Pass one batch of sequences.")
    if emissions.shape[-1] != num_tags:
        headline = f"emissions is {tuple(emissions.shape)}, and the CRF has {num_tags} tags"
        fix = f"Make its last axis {num_tags} long, or the CRF with the number of tags it has."
        raise ShapeProblem("E430", headline, rule=rule, fix=fix)
    if not emissions.is_floating_point():
        headline = f"emissions holds {emissions.dtype}"
        raise ShapeProblem("E430", headline, rule=rule, fix="Convert it: emissions.float().")
    steps = emissions.shape[1 if batch_first and emissions.dim() == 3 else 0]
    if steps == 0:
        headline = f"emissions is {tuple(emissions.shape)}: no step"
        raise ShapeProblem("E430", headline, rule=rule, fix="A sequence has one step or more.")


def _form(given: Given) -> tuple[int, ...]:
    """The shape of tags and masks as the caller has them."""
    steps, rows = given.emissions.shape[:2]
    if not given.batched:
        return (steps,)
    return (rows, steps) if given.batch_first else (steps, rows)


def _wrong_form(code: str, name: str, shape: tuple[int, ...], given: Given) -> ShapeProblem:
    form, letters = _form(given), "B, T" if given.batch_first else "T, B"
    words = f"({letters})" if given.batched else "(T)"
    exchanged = given.batched and shape == form[::-1]
    fix = "Exchange its axes: {}.T." if exchanged else "Pass {} with one number for each step."
    return ShapeProblem(
        code,
        f"{name} is {shape}, and emissions has the steps {form}",
        rule=f"The shape of {name} is {words}, that of emissions without its tags.",
        fix=fix.format(name),
    )


def _ordered(values: Tensor, given: Given) -> Tensor:
    """(T, B) of what the caller gave in the order of emissions."""
    if not given.batched:
        return values[:, None]
    return values.T if given.batch_first else values


def _lengths(given: Given, mask: Any, lengths: Any) -> Tensor | None:
    """The length of each sequence, 1 or more; None where all have all steps."""
    device, (steps, rows) = given.emissions.device, given.emissions.shape[:2]
    if mask is not None and lengths is not None:
        rule = "They say the same: which steps of each sequence count."
        raise NameProblem("E432", "mask and lengths are given", rule=rule, fix="Pass one of them.")
    if mask is not None:
        counted = _counted(mask, given)
    elif lengths is None:
        return None
    else:
        seen = check_lengths(lengths, (steps, rows), given.batched) if is_plain() else lengths
        counted = torch.as_tensor(seen, device=device).reshape(-1)
    if is_plain(given.emissions) and rows:
        if counted.min() == steps:
            return None
        if counted.min() < 1:
            at = int(counted.argmin())
            headline = f"sequence {at} has no step" if given.batched else "there is no step"
            rule = "A path has one tag or more."
            raise NameProblem("E432", headline, rule=rule, fix="Leave empty sequences out.")
    return counted


def _counted(mask: Any, given: Given) -> Tensor:
    """How many steps of each sequence are on, (B)."""
    found = as_mask(mask, given.emissions.device, LAW)
    if found.shape != _form(given):
        raise _wrong_form("E432", "mask", tuple(found.shape), given)
    if is_plain(found):
        check_marks(found, LAW)
    on = _ordered(found != 0, given)
    if is_plain(found):
        late = (on[1:] & ~on[:-1]).nonzero()
        if len(late):
            t, b = map(int, late[0])
            where = (b, t + 1) if given.batch_first else (t + 1, b)
            entry = ", ".join(map(str, where if given.batched else (t + 1,)))
            headline = f"mask[{entry}] is on, and the step before it is off"
            fix = "Move padding behind the sequence, and leave out steps that do not count."
            raise NameProblem("E432", headline, rule=PREFIX, fix=fix)
    return on.sum(0)


def _tags(given: Given, tags: Any, num_tags: int) -> Tensor:
    """Whole numbers from 0 to num_tags - 1, (T, B); 0 behind a length, whatever stood there."""
    rule = f"A tag is a whole number from 0 to {num_tags - 1}."
    try:
        found = torch.as_tensor(tags, device=given.emissions.device)
    except (TypeError, ValueError, RuntimeError):
        what = f"tags is {type(tags).__name__}, no array of tags"
        raise NameProblem("E431", what, rule=rule) from None
    if found.shape != _form(given):
        raise _wrong_form("E431", "tags", tuple(found.shape), given)
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        fix = "Convert them: tags.long()."
        raise NameProblem("E431", f"tags holds {found.dtype}", rule=rule, fix=fix)
    found = _ordered(found.long(), given)
    if given.lengths is not None:
        steps = torch.arange(len(found), device=found.device)[:, None]
        found = torch.where(steps < given.lengths, found, 0)
    if is_plain(found) and found.numel():
        wrong = ((found < 0) | (found >= num_tags)).nonzero()
        if len(wrong):
            t, b = map(int, wrong[0])
            headline = f"{entry('tags', given, t, b)} is {int(found[t, b])}"
            fix = "Leave padding out with mask= or lengths=."
            raise NameProblem("E431", headline, rule=rule, fix=fix)
    return found


def entry(name: str, given: Given, t: int, b: int) -> str:
    """`tags[3, 0]`, as the caller would write it."""
    if not given.batched:
        return f"{name}[{t}]"
    return f"{name}[{b}, {t}]" if given.batch_first else f"{name}[{t}, {b}]"


@dataclass(frozen=True)
class Allowed:
    """Which tags may come first, after one another, and last; None where all may."""

    start: Tensor | None
    transitions: Tensor | None
    end: Tensor | None

    def check_tags(self, given: Given) -> None:
        """E433 for tags that have the probability 0."""
        tags, lengths = given.tags, given.lengths
        if tags is None or not tags.numel():
            return
        steps = torch.arange(len(tags), device=tags.device)[:, None]
        last = (len(tags) if lengths is None else lengths) - 1
        ends = (last - steps[:1, 0]).expand(tags.shape[1])
        if self.transitions is not None:
            wrong = ~self.transitions[tags[:-1], tags[1:]] & (steps[1:] <= last)
            if wrong.any():
                t, b = map(int, wrong.nonzero()[0])
                now, then = int(tags[t, b]), int(tags[t + 1, b])
                here, there = entry("tags", given, t, b), entry("tags", given, t + 1, b)
                raise _forbidden(f"{there} = {then} behind {here} = {now}")
        if self.start is not None and not self.start[tags[0]].all():
            b = int((~self.start[tags[0]]).nonzero()[0])
            raise _forbidden(f"{entry('tags', given, 0, b)} = {int(tags[0, b])} as the first tag")
        final = tags.gather(0, ends[None])[0]
        if self.end is not None and not self.end[final].all():
            b = int((~self.end[final]).nonzero()[0])
            here = entry("tags", given, int(ends[b]), b)
            raise _forbidden(f"{here} = {int(final[b])} as the last tag")


def _forbidden(headline: str) -> DataProblem:
    return DataProblem(
        "E433",
        f"{headline} is not allowed",
        rule="Such tags have the probability 0, so that nothing can be learned from them.",
        fix="Mend the tags, or allow it.",
    )


def read_allowed(num_tags: int, allowed: Any, start: Any, end: Any) -> Allowed:
    """Constraints, or a matrix and two vectors of True and False; E434 for anything else."""
    if isinstance(allowed, Constraints):
        start = allowed.start if start is None else start
        end = allowed.end if end is None else end
        allowed = allowed.transitions
    if isinstance(allowed, str):
        rule = "A scheme tells what may follow what only together with the labels of the tags."
        fix = f'Pass allowed=CRF.constraints(labels, "{allowed}").'
        raise NameProblem("E434", f"allowed is {allowed!r}", rule=rule, fix=fix)
    found = Allowed(
        _flags("allowed_start", start, (num_tags,)),
        _flags("allowed", allowed, (num_tags, num_tags)),
        _flags("allowed_end", end, (num_tags,)),
    )
    for name, flags in (("allowed_start", found.start), ("allowed_end", found.end)):
        if flags is not None and not flags.any():
            rule = "A path begins with some tag, and ends with some."
            raise NameProblem("E434", f"{name} allows no tag", rule=rule, fix="Allow one.")
    return found


def _flags(name: str, given: Any, shape: tuple[int, ...]) -> Tensor | None:
    if given is None:
        return None
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        found = torch.tensor(0)
    if found.shape != shape:
        headline = f"{name} is {tuple(found.shape)}, and there are {shape[0]} tags"
    elif ((found != 0) & (found != 1)).any():
        headline = f"{name} holds other numbers than 0 and 1"
    else:
        return found != 0
    words = "allowed[i, j] says whether tag j may follow tag i"
    rule = words if len(shape) == 2 else f"{name}[i] says whether tag i may stand there"
    fix = f"Pass True and False in the shape {shape}."
    raise NameProblem("E434", headline, rule=f"{rule}.", fix=fix)


def no_path(given: Given, b: int) -> NameProblem:
    """E434 for a sequence of so many steps that no path leads through it."""
    steps = len(given.emissions) if given.lengths is None else int(given.lengths[b])
    words = f"sequence {b}" if given.batched else "the sequence"
    has = f"{words} has {steps} {'step' if steps == 1 else 'steps'}"
    return NameProblem(
        "E434",
        f"{has}, and no path of so many is allowed",
        rule="Every path begins, goes on or ends with what is not allowed, or has the score -inf.",
        fix="Allow one, or leave the sequence out.",
    )


def no_number(given: Given, b: int) -> ShapeProblem:
    """E430 for a sequence that no path is the best of, as a score of it is NaN."""
    column = given.emissions[:, b]
    wrong = (column.isnan() | (column == torch.inf)).nonzero()
    headline = "a transition of the CRF is nan"
    if len(wrong):
        t, tag = map(int, wrong[0])
        headline = f"{entry('emissions', given, t, b)} holds {float(column[t, tag])}"
    return ShapeProblem(
        "E430",
        headline,
        rule="Paths are found by their scores, and a score is a number.",
        fix="Look where it comes from: (~emissions.isfinite()).nonzero(), crf.state_dict().",
    )

"""Sequences of several lengths by the compiled kernels: a pile of dense pieces, one call each."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import torch

from elman.nn import autocast, opaque
from elman.nn.autocast import lowered
from elman.nn.calls import ForwardPlan
from elman.nn.cuts import Cost, Piece, cut
from elman.nn.frozen import Frozen, Held, pack_back, pack_layers, starts
from elman.nn.fused import HALF, Found, run_stack, why_not
from elman.nn.kernels import addresses_of, kernels_of
from elman.nn.layers import Lead, Place, Stack, Tensor, Tensors, differentiated
from elman.nn.masked import Kind, Masks, with_masks
from elman.nn.pile import Pile
from elman.passes.masking import MASKS, WITHIN

LENGTHS = tuple(n.attr.name for n in WITHIN.values())
_masked: weakref.WeakKeyDictionary[Stack, dict[Kind, Stack]] = weakref.WeakKeyDictionary()


def masked_stack(stack: Stack, kind: Kind) -> Stack:
    """The stack that is given the masks of this kind too, behind all else but the states."""
    if not any(kind):
        return stack
    known = _masked.setdefault(stack, {})
    if kind not in known:
        layers = tuple(with_masks(layer, kind) for layer in stack.layers)
        read = [name for name in MASKS if name in layers[0].names]
        more = {name: Place(stack.first_state + j) for j, name in enumerate(read)}
        places = tuple({**own, **more} for own in stack.places)
        known[kind] = Stack(layers, places, stack.count + len(read), stack.main)
    return known[kind]


def run_masked(
    stack: Stack, lead: Lead, given: Tensors, masks: Masks, frozen: Frozen | None = None
) -> Found:
    """What a stack returns and its final states, with lengths and resets; `given` has no masks."""
    if autocast.is_on():
        return lowered(_run_masked, stack, lead, given, masks)
    return _run_masked(stack, lead, given, masks, frozen)


def _run_masked(
    stack: Stack, lead: Lead, given: Tensors, masks: Masks, frozen: Frozen | None = None
) -> Found:
    if torch.compiler.is_compiling():
        return opaque.run(stack, lead, given, masks)
    lengths = masks.lengths
    masked = masked_stack(stack, masks.kind)
    if lengths is None or 0 in lead or not lengths.any():
        return run_stack(masked, lead, _with_words(masked, given, masks), frozen)
    is_learned = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
    pieces = cut(sorted(lengths.tolist(), reverse=True), Cost.of(stack.weights, is_learned))
    if len(pieces) == 1:
        return _run_one(stack, pieces[0], lead, given, masks, frozen)
    if not _can_serve(stack, given):
        return run_stack(masked, lead, _with_words(masked, given, masks), frozen)
    pile = Pile.of(lengths, pieces, lead).in_blocks(stack.remat if is_learned else None)
    job = Job(pile, masked, masked_stack(stack, (False, masks.kind[1])))
    return _run(job, _with_words(masked, given, masks), is_learned, frozen)


def _with_words(stack: Stack, given: Tensors, masks: Masks) -> list[Tensor | None]:
    """What a stack that reads masks is given."""
    assert given[0] is not None
    words = masks.words(stack.layers[0], given[0])
    first = stack.first_state - len(words)
    return [*given[:first], *words.values(), *given[first:]]


def _run_one(
    stack: Stack, piece: Piece, lead: Lead, given: Tensors, masks: Masks, frozen: Frozen | None
) -> Found:
    """All sequences in one call, up to the end of the longest."""
    knows = not piece.is_whole or piece.rows < lead[1]
    stack = masked_stack(stack, (knows, masks.kind[1]))
    given = _with_words(stack, given, masks)
    if piece.stop == lead[0]:
        return run_stack(stack, lead, given, frozen)
    pairs = zip(given, stack.over, strict=True)
    given = [t if t is None or "t" not in over else t[piece.steps] for t, over in pairs]
    outputs, finals = run_stack(stack, (piece.stop, lead[1]), given, frozen)
    behind = lead[0] - piece.stop
    pad = torch.nn.functional.pad
    return tuple(pad(each, (0, 0) * (each.dim() - 1) + (0, behind)) for each in outputs), finals


def run_marked(
    stack: Stack, lead: Lead, given: Tensors, *, masks: Masks, frozen: Frozen | None
) -> Found | None:
    """The same, with the states as they are given; None where the compiled kernels cannot serve."""
    if not _can_serve(stack, given):
        return None
    first = stack.first_state
    pairs = zip(stack.states, given[first:], strict=True)
    before = masks.without({key: state for key, state in pairs if state is not None})
    given = [*given[:first], *(before.get(key) for key in stack.states)]
    return run_masked(stack, lead, given, masks, frozen)


def _can_serve(stack: Stack, given: Tensors) -> bool:
    """Whether these tensors are what the compiled kernels of a stack take."""
    is_half = given[0] is not None and given[0].dtype is HALF
    wide = stack.words if is_half else ()
    if why_not([tensor for k, tensor in enumerate(given) if k not in wide]) is not None:
        return False
    pairs = zip(given, stack.shapes, strict=True)
    return all(t is None or shape is None or t.shape == shape for t, shape in pairs)


def _run(job: Job, given: Tensors, is_learned: bool, frozen: Frozen | None) -> Found:
    """The pieces one after the other: a differentiable operation, or none."""
    # before the Function, so that second derivatives know where the pieces come from
    given = [
        tensor if tensor is None or over == "tb" else tensor.contiguous()
        for tensor, over in zip(given, job.masked.over, strict=True)
    ]
    held = {} if frozen is None or is_learned else job.held(given, frozen)
    if is_learned:
        found = apply(job, *given)
    else:
        outputs, finals, _ = _forward(job, given, job.sides(given, held), False)
        found = (*outputs, *finals)
    count = len(job.masked.returns)
    return found[:count], found[count:]


class Side:
    """The kernels for pieces of one kind, and their weights, packed once for all."""

    def __init__(self, stack: Stack, given: Tensors, several: bool, held: Held | None) -> None:
        self.stack, self.given, self.several, self.held = stack, given, several, held
        self.kernels = kernels_of(stack, given)
        self._packed: dict[Any, Any] = {}

    def packed(self, pack: Callable[..., Any]) -> list[int] | None:
        """The addresses of the weights as the kernels of a direction read them."""
        if self.held is not None:
            return self.held.packed
        if pack not in self._packed:
            addresses = addresses_of(self.given)
            self._packed[pack] = pack(self.kernels, addresses) if self.several else None
        found = self._packed[pack]
        return None if found is None else starts(found)


@dataclass(frozen=True, eq=False)
class Job:
    """A pile, the stack for pieces in which a sequence ends, and that for whole ones."""

    pile: Pile
    masked: Stack
    whole: Stack

    @cached_property
    def picks(self) -> list[int]:
        """Which of the tensors given to the one are given to the other."""
        places = self.masked.places[0]
        ends = {places[name].given for name in LENGTHS if name in places}
        return [k for k in range(self.masked.count) if k not in ends]

    def picked(self, tensors: Sequence[Any], is_whole: bool) -> list[Any]:
        """Of what stands for every tensor given, that which a piece of this kind is given."""
        return [tensors[k] for k in self.picks] if is_whole else [*tensors]

    def sides(self, given: Tensors, held: Mapping[bool, Held]) -> dict[bool, Side]:
        """The kernels for whole pieces and for others, as far as there are any."""
        counts = Counter(piece.is_whole for piece in self.pile.pieces)
        stacks = {True: self.whole, False: self.masked}
        return {
            k: Side(stacks[k], self.picked(given, k), count > 1, held.get(k))
            for k, count in counts.items()
        }

    def held(self, given: Tensors, frozen: Frozen) -> dict[bool, Held]:
        """The weights of a frozen layer, packed before."""
        found = {}
        for k, side in self.sides(given, {}).items():
            held = frozen.held(side.kernels, side.given, addresses_of(side.given))
            if held is not None:
                found[k] = held
        return found

    def ordered(self, given: Tensors) -> list[Tensor | None]:
        """What is given, longest sequence first where it varies over sequences alone."""
        found: list[Tensor | None] = []
        for k, tensor in enumerate(given):
            if tensor is not None and k >= self.masked.first_state:
                tensor = self.pile.ordered(tensor, 1)
            elif tensor is not None and self.masked.over[k] == "b":
                tensor = self.pile.ordered(tensor, 0)
            found.append(tensor)
        return found

    def part(self, piece: Piece, given: Tensors, before: Tensors) -> list[Tensor | None]:
        """What a piece is given: its steps and sequences, the weights, the states before it."""
        found = []
        for tensor, over in zip(given[: self.masked.first_state], self.masked.over, strict=False):
            if tensor is not None and over:
                if over == "tb":
                    tensor = self.pile.take(tensor, piece)
                else:
                    tensor = tensor[piece.steps] if over == "t" else tensor[: piece.rows]
            found.append(tensor)
        return self.picked([*found, *before], piece.is_whole)


@dataclass(frozen=True, eq=False)
class Trail:
    """What is kept of a piece for the backward pass; with `remat` the states before it alone."""

    before: Sequence[Tensor | None]
    kept: Sequence[Tensor | None]
    plan: ForwardPlan | None


def _forward(
    job: Job, given: Tensors, sides: Mapping[bool, Side], training: bool
) -> tuple[list[Tensor], list[Tensor], list[Trail]]:
    """Outputs, final states, and of every piece what is to be kept."""
    pile, stack = job.pile, job.masked
    ordered = job.ordered(given)
    before = ordered[stack.first_state :]
    like = given[0]
    assert like is not None
    outputs: list[Tensor] = []
    lasts: list[Tensor] = []
    trail: list[Trail] = []
    for piece in pile.pieces:
        side = sides[piece.is_whole]
        before = [_first_rows(state, piece.rows) for state in before]
        part = job.part(piece, ordered, before)
        keeps = training and stack.remat is None
        found, after, kept, plan = side.kernels.forward(
            piece.lead, part, addresses_of(part), keeps, side.packed(pack_layers)
        )
        if not outputs:
            outputs = [like.new_zeros((*pile.lead, *each.shape[2:])) for each in found]
            lasts = _started(ordered[stack.first_state :], after, pile.lead[1])
        for whole, each in zip(outputs, found, strict=True):
            pile.put(whole, piece, each)
        for last, each in zip(lasts, after, strict=True):
            last[:, : piece.rows] = each
        if training:
            trail.append(Trail(before, kept, plan) if keeps else Trail(before, (), None))
        before = after
    return outputs, [pile.as_given(last, 1) for last in lasts], trail


def _started(given: Tensors, like: Sequence[Tensor], rows: int) -> list[Tensor]:
    """The final states of sequences without a step: what was given, or zero."""
    return [
        one.new_zeros((one.shape[0], rows, *one.shape[2:])) if state is None else state.clone()
        for state, one in zip(given, like, strict=True)
    ]


def _first_rows(state: Tensor | None, rows: int) -> Tensor | None:
    """The states of the longest sequences, (layers, rows, size) in one piece."""
    return state if state is None else state[:, :rows].contiguous()


def _backward(
    job: Job, given: Tensors, trail: Sequence[Trail], grads: Tensors, needed: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients of what was given: piece by piece, the last first."""
    pile, stack, sides = job.pile, job.masked, job.sides(given, {})
    count, first = len(stack.returns), stack.first_state
    ordered, sums = job.ordered(given), Sums(job, given)
    finals = [grad if grad is None else pile.ordered(grad, 1) for grad in grads[count:]]
    behind: list[Tensor | None] = [None] * len(finals)
    for number in reversed(range(len(trail))):
        piece, step = pile.pieces[number], trail[number]
        side = sides[piece.is_whole]
        part = job.part(piece, ordered, step.before)
        kept, plan = step.kept, step.plan
        if plan is None:
            _, _, kept, plan = side.kernels.forward(
                piece.lead, part, addresses_of(part), True, side.packed(pack_layers)
            )
        above = [grad if grad is None else pile.take(grad, piece) for grad in grads[:count]]
        pairs = zip(finals, behind, strict=True)
        above += [_joined(final, back, piece.rows) for final, back in pairs]
        wanted = (*needed[:first], *[True] * len(finals)) if number else tuple(needed)
        wanted = tuple(job.picked(wanted, piece.is_whole))
        found = side.kernels.backward(plan, [*part, *kept], above, wanted, side.packed(pack_back))
        sums.add(piece, found)
        behind = found[len(found) - len(finals) :]
    for k, (final, back) in enumerate(zip(finals, behind, strict=True)):
        if needed[first + k]:
            whole = _joined(final, back, pile.lead[1])
            sums.found[first + k] = whole if whole is None else pile.as_given(whole, 1)
    return sums.result()


def _joined(final: Tensor | None, behind: Tensor | None, rows: int) -> Tensor | None:
    """The cotangents of states: of the first sequences from what follows, else of final ones."""
    if behind is None:
        return _first_rows(final, rows)
    run_on = behind.shape[1]
    if run_on == rows:
        return behind
    shape = (behind.shape[0], rows, *behind.shape[2:])
    found = behind.new_zeros(shape) if final is None else final[:, :rows].clone()
    found[:, :run_on] = behind
    return found


class Sums:
    """The gradients of what was given, as the pieces are added to them."""

    def __init__(self, job: Job, given: Tensors) -> None:
        self.job, self.given = job, given
        self.found: list[Tensor | None] = [None] * job.masked.count
        self.places = {k: job.picked(range(job.masked.count), k) for k in (True, False)}

    def add(self, piece: Piece, gradients: Tensors) -> None:
        """Put a piece's gradients where its steps are, or add them to those of other pieces."""
        wholes, parts = [], []
        for k, gradient in zip(self.places[piece.is_whole], gradients, strict=False):
            if gradient is None or k >= self.job.masked.first_state:
                continue
            over, whole = self.job.masked.over[k], self.found[k]
            if whole is None:
                whole = self.found[k] = self._begun(k, gradient)
                if not over:
                    continue
            if over == "tb":
                self.job.pile.put(whole, piece, gradient)
            elif over == "t":
                whole[piece.steps] = gradient
            elif over == "b":
                whole[: piece.rows] += gradient
            else:
                wholes.append(whole)
                parts.append(gradient.to(whole.dtype))
        if wholes:
            torch._foreach_add_(wholes, parts)

    def _begun(self, k: int, gradient: Tensor) -> Tensor:
        given = self.given[k]
        assert given is not None
        if self.job.masked.over[k]:
            return torch.zeros_like(given)
        return gradient.float() if gradient.dtype is HALF else gradient  # sums are not of bfloat16

    def result(self) -> list[Tensor | None]:
        """The gradients, in the order of the sequences that were given."""
        for k, (found, given) in enumerate(zip(self.found, self.given, strict=True)):
            if found is not None and self.job.masked.over[k] == "b":
                self.found[k] = self.job.pile.as_given(found, 0)
            elif found is not None and given is not None:
                self.found[k] = found.to(given.dtype)
        return self.found


class Piled(torch.autograd.Function):
    """The kernels of all pieces as one differentiable operation."""

    @staticmethod
    def forward(ctx: Any, job: Job, *given: Tensor | None) -> tuple[Tensor, ...]:  # type: ignore[override]
        outputs, finals, trail = _forward(job, given, job.sides(given, {}), True)
        ctx.job, ctx.plans = job, [(len(each.before), len(each.kept), each.plan) for each in trail]
        kept = (tensor for each in trail for tensor in (*each.before, *each.kept))
        ctx.save_for_backward(*given, *kept)
        ctx.set_materialize_grads(False)
        return (*outputs, *finals)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        job, saved, needed = ctx.job, ctx.saved_tensors, ctx.needs_input_grad[1:]
        count = job.masked.count
        if opaque.is_derived(grads):
            given = saved[:count]
            return (None, *differentiated(job.masked, job.pile.lead, given, grads, needed))
        rest, trail = iter(saved[count:]), []
        for before, kept, plan in ctx.plans:
            trail.append(Trail([*islice(rest, before)], [*islice(rest, kept)], plan))
        return (None, *_backward(job, saved[:count], trail, grads, needed))


# without Function.apply's search for tensors that outlive a transform
apply = super(torch.autograd.Function, Piled).apply

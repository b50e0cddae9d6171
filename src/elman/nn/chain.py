"""A linear chain: the sum over all its paths, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from elman.nn.fused import is_transformed
from elman.nn.layers import apart

Tensor: TypeAlias = torch.Tensor
NEVER = -1e30  # the score of what is forbidden: finite, so that no gradient is NaN


@dataclass(frozen=True)
class Chain:
    """Scores of T steps of B sequences over K tags, and the length of each where they differ.

    `emissions` is 0 behind a length; `transitions[i, j]` is the score of j after i.
    """

    emissions: Tensor  # (T, B, K)
    start: Tensor  # (K)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K)
    lengths: Tensor | None = None  # (B)

    @property
    def scores(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What can be differentiated."""
        return self.emissions, self.start, self.transitions, self.end

    def with_scores(
        self, emissions: Tensor, start: Tensor, transitions: Tensor, end: Tensor
    ) -> Chain:
        """A chain of the same lengths."""
        return Chain(emissions, start, transitions, end, self.lengths)

    @property
    def steps(self) -> Tensor:
        """0, 1, ... down the axis of time, (T, 1)."""
        return torch.arange(len(self.emissions), device=self.emissions.device)[:, None]

    @property
    def within(self) -> Tensor | None:
        """Which steps count, (T, B); None for all."""
        return None if self.lengths is None else self.steps < self.lengths

    @property
    def is_last(self) -> Tensor:
        """Which step is a sequence's last, (T, B) or (T, 1)."""
        return self.steps == (len(self.steps) if self.lengths is None else self.lengths) - 1

    @property
    def is_within(self) -> Tensor:
        """Which steps count, as a tensor in every case: (T, B) or (T, 1)."""
        return self.steps >= 0 if self.within is None else self.within

    def of_last(self, values: Tensor) -> Tensor:
        """The last step of each sequence: (B, ...) of (T, B, ...)."""
        if self.lengths is None:
            return values[-1]
        last = (self.lengths - 1).reshape(1, -1, *[1] * (values.dim() - 2))
        return values.gather(0, last.expand(1, *values.shape[1:]))[0]

    def turned(self, values: Tensor) -> Tensor:
        """Each sequence from its last step to its first, what is behind a length where it is."""
        if self.lengths is None:
            return values.flip(0)
        order = torch.where(self.steps < self.lengths, self.lengths - 1 - self.steps, self.steps)
        return values.gather(0, order[..., None].expand(values.shape))

    def only_within(self, values: Tensor, otherwise: float = 0.0) -> Tensor:
        """Values (T, B, ...) with a number in place of all that stands behind a length."""
        if self.within is None:
            return values
        shape = *self.within.shape, *[1] * (values.dim() - 2)
        return torch.where(self.within.reshape(shape), values, otherwise)


@dataclass(frozen=True)
class Paths:
    """Sums over paths: of all, (B); up to each tag and from each on, as shares of a scale.

    `before` excludes the step's emission, `until` and `since` include it.
    """

    chain: Chain
    log_partition: Tensor  # (B)
    before: Tensor  # (T, B, K)
    until: Tensor
    since: Tensor
    total: Tensor  # (T, B, 1): all paths' share, the product of both sides
    transitions: Tensor  # (K, K), exponentials over a scale

    def marginals(self) -> Tensor:
        """The probability of each tag, (T, B, K)."""
        return self.before * self.since / self.total

    def pairs(self) -> Tensor:
        """The probability of each tag and the next one, (T - 1, B, K, K)."""
        since = self.since[1:] / self.total[1:]
        return self.until[:-1, :, :, None] * self.transitions * since[:, :, None]

    def expected_transitions(self, weights: Tensor) -> Tensor:
        """How often j follows i, (K, K), each sequence with a weight (B, 1)."""
        tags = len(self.transitions)
        since = self.since[1:] * (weights / self.total[1:])
        return self.transitions * (self.until[:-1].reshape(-1, tags).T @ since.reshape(-1, tags))


def _exponentials(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Exponentials of scores over the largest one, and its logarithm."""
    top = scores.max().clamp(min=NEVER / 2)  # what is forbidden is 0 even where all is
    return (scores - top).exp(), top


@torch.no_grad()
def paths(chain: Chain) -> Paths | None:
    """Sums over paths by products of matrices; None where float64 is too narrow for the scores.

    Forwards and backwards at once: a sequence read from its end is a chain with the transposed
    transitions. Each step is divided by its sum, and the logarithms of these add up.
    """
    top = chain.emissions.amax(-1, keepdim=True)  # (T, B, 1)
    steps, *rest = chain.emissions.shape
    both = top.new_empty(steps, 2, *rest)  # (T, 2, B, K)
    torch.sub(chain.emissions, top, out=both[:, 0]).exp_()
    both[:, 1] = chain.turned(both[:, 0])
    transitions, middle = _exponentials(chain.transitions)
    (start, first), (end, last) = _exponentials(chain.start), _exponentials(chain.end)
    before, until, scales = _swept(
        torch.stack([start, end])[:, None], torch.stack([transitions, transitions.T]), both
    )
    came, until, since = before[:, 0], until[:, 0], chain.turned(until[:, 1])
    if chain.within is not None:
        for each in (came, until, since):
            each.masked_fill_(~chain.within[..., None], 0.0)
    total = chain.only_within((came * since).sum(-1, keepdim=True), 1.0)
    ends = (chain.of_last(until) * end).sum(-1)
    # A step loses what is below 1e-308. Relative to the sum over all paths that is so much over
    # the step's scale and the total behind it: 1e-31 at most, where both are above 1e-138.
    scales = chain.only_within(scales.transpose(1, 2), 1.0)  # (T, B, 2, 1)
    least = torch.finfo(top.dtype).tiny ** 0.45
    if not all((a > least).all() for a in (total, ends, scales)):
        return None
    scales = (scales[:, :, 0].log() + top)[..., 0].sum(0)
    between = (len(top) if chain.lengths is None else chain.lengths) - 1
    partition = ends.log() + scales + first + last + between * middle
    return Paths(chain, partition, came, until, since, total, transitions)


def _swept(first: Tensor, transitions: Tensor, emissions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Before and after each step's emission, (T, 2, B, K), and what it was divided by."""
    before, after = torch.empty_like(emissions), torch.empty_like(emissions)
    scales = torch.empty_like(emissions[..., :1])
    before[0] = first
    each = zip(*(a.unbind() for a in (before, after, scales, emissions)), strict=True)
    state = None
    for came, went, scale, emission in each:
        if state is not None:
            torch.bmm(state, transitions, out=came)
        torch.mul(came, emission, out=went)
        torch.sum(went, -1, keepdim=True, out=scale)
        state = went.div_(scale)
    return before, after, scales


def _log_swept(first: Tensor, transitions: Tensor, emissions: Tensor) -> tuple[Tensor, Tensor]:
    """The same in logarithms: of any range and any order of derivative, and slower."""
    came = first.expand(emissions.shape[1:])
    before, after = [came], [came + emissions[0]]
    for emission in emissions[1:]:
        came = torch.logsumexp(after[-1][..., None] + transitions, -2)
        before.append(came)
        after.append(came + emission)
    return torch.stack(before), torch.stack(after)


def log_until(chain: Chain) -> Tensor:
    """The logarithm of the sum over all paths up to each tag, (T, B, K)."""
    emissions = chain.emissions.clamp(min=NEVER)
    return _log_swept(chain.start, chain.transitions, emissions)[1]


def log_partition_in_logs(chain: Chain) -> Tensor:
    """The logarithm of the sum over all paths, (B), by plain operations of torch."""
    return torch.logsumexp(chain.of_last(log_until(chain)) + chain.end, -1)


def marginals_in_logs(chain: Chain, pairs: bool = False) -> Tensor:
    """The probabilities of tags, (T, B, K), or of each two in a row, by plain operations."""
    emissions = chain.emissions.clamp(min=NEVER)
    before, until = _log_swept(chain.start, chain.transitions, emissions)
    turned = _log_swept(chain.end, chain.transitions.T, chain.turned(emissions))[1]
    since = chain.turned(turned)
    total = torch.logsumexp(chain.of_last(until) + chain.end, -1)[:, None]
    if not pairs:
        return chain.only_within((before + since - total).exp())
    joint = until[:-1, :, :, None] + chain.transitions + since[1:, :, None]
    probabilities = (joint - total[..., None]).exp()
    if chain.within is None:
        return probabilities
    return torch.where(chain.within[1:, :, None, None], probabilities, 0.0)


class _Known(torch.autograd.Function):
    """A value that is known already; plain operations of torch that give it differentiate it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, slowly: Callable[..., Tensor], *scores: Tensor) -> Tensor:
        ctx.save_for_backward(*scores)
        ctx.slowly = slowly
        return value

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> Any:
        needed = ctx.needs_input_grad[2:]
        again = torch.is_grad_enabled()  # the gradient is to be differentiated
        with torch.enable_grad():
            scores = apart(ctx.saved_tensors, needed)
            of = [score for score, is_needed in zip(scores, needed, strict=True) if is_needed]
            value = ctx.slowly(*scores)
            how = {"create_graph": again, "allow_unused": True, "materialize_grads": True}
            # of one step, the transitions have no part in it
            grads = iter(torch.autograd.grad(value, of, weights, **how))
        return None, None, *(next(grads) if is_needed else None for is_needed in needed)


class _LogPartition(_Known):
    """The sum over paths that are known already: its gradient is their marginals."""

    @staticmethod
    def forward(ctx: Any, found: Paths, slowly: Callable[..., Tensor], *scores: Tensor) -> Tensor:
        ctx.found = found
        return _Known.forward(ctx, found.log_partition, slowly, *scores)

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> Any:
        if torch.is_grad_enabled():
            return _Known.backward(ctx, weights)
        found = ctx.found
        marginals = found.marginals() * weights[:, None]
        transitions = found.expected_transitions(weights[:, None])
        ends = found.chain.of_last(marginals)
        return None, None, marginals, marginals[0].sum(0), transitions, ends.sum(0)


def is_plain(numbers: Tensor | None = None) -> bool:
    """Whether numbers can be looked at: not while torch makes another function of a call."""
    if torch.compiler.is_compiling() or is_transformed() or torch._C._len_torch_dispatch_stack():
        return False
    return numbers is None or not numbers.is_meta


def log_partition(chain: Chain) -> Tensor:
    """The logarithm of the sum over all paths, (B)."""
    found = _found(chain)
    if found is None:
        return log_partition_in_logs(chain)
    total: Tensor = _LogPartition.apply(
        found, lambda *scores: log_partition_in_logs(chain.with_scores(*scores)), *chain.scores
    )
    return total


def marginals(chain: Chain, pairs: bool = False) -> Tensor:
    """The probability of each tag, (T, B, K); of each two in a row, (T - 1, B, K, K)."""
    found = _found(chain)
    if found is None:
        return marginals_in_logs(chain, pairs)
    value: Tensor = _Known.apply(
        found.pairs() if pairs else found.marginals(),
        lambda *scores: marginals_in_logs(chain.with_scores(*scores), pairs),
        *chain.scores,
    )
    return value


def _found(chain: Chain) -> Paths | None:
    if not is_plain(chain.emissions) or not chain.emissions.numel():
        return None
    return paths(chain)


@torch.no_grad()
def best(chain: Chain) -> tuple[Tensor, Tensor]:
    """The best path of each sequence, (T, B), and its score, (B); of equals the lowest tag's."""
    turned = chain.transitions.T
    scores = [chain.start + chain.emissions[0]]
    for emission in chain.emissions[1:]:
        scores.append((scores[-1][:, None] + turned).amax(-1) + emission)
    until = torch.stack(scores)
    score = (chain.of_last(until) + chain.end).amax(-1)
    if is_plain(chain.emissions):
        return _walked_on_host(chain, until), score
    return _walked_back(chain, scores, lambda ways: ways.argmax(-1)), score


@torch.no_grad()
def drawn(chain: Chain, count: int, generator: torch.Generator | None) -> Tensor:
    """So many paths of each sequence, (count, T, B), drawn with their probabilities."""

    def draw(ways: Tensor) -> Tensor:
        chances = torch.softmax(ways, -1)
        return torch.multinomial(chances, 1, generator=generator)[:, 0]

    scores = list(log_until(chain))
    return torch.stack([_walked_back(chain, scores, draw) for _ in range(count)])


def _walked_on_host(chain: Chain, until: Tensor) -> Tensor:
    """The best tags from the last step to the first, in NumPy: so little work is a call's cost."""
    onward = torch.cat([chain.transitions.T, chain.end[None]]).cpu().numpy()  # (K + 1, K)
    scores, is_last = until.cpu().numpy(), chain.is_last.cpu().numpy()
    found = np.empty(scores.shape[:2], np.int64)
    tags = np.zeros(scores.shape[1], np.int64)
    for t in range(len(scores) - 1, -1, -1):
        rows = np.where(is_last[t], len(onward) - 1, tags)
        tags = found[t] = (scores[t] + onward[rows]).argmax(-1)
    return torch.from_numpy(found).to(until.device)


def _walked_back(chain: Chain, scores: list[Tensor], choose: Callable[[Tensor], Tensor]) -> Tensor:
    """Tags from the last step to the first; `scores` (B, K) of each step are of all until it."""
    found: list[Tensor] = []
    for score, is_last in zip(reversed(scores), chain.is_last.flip(0), strict=True):
        onward = chain.end
        if found:
            onward = chain.transitions.T[found[-1]]
            onward = torch.where(is_last[:, None], chain.end, onward)
        found.append(choose(score + onward))
    return torch.stack(found[::-1])


@torch.no_grad()
def best_of(chain: Chain, count: int) -> tuple[Tensor, Tensor]:
    """The best paths, (count, T, B), and their scores, (count, B), falling; NEVER for no path."""
    steps, rows, tags = chain.emissions.shape
    score = torch.full((rows, tags, count), 2 * NEVER, dtype=chain.end.dtype).to(chain.end.device)
    score[..., 0] = chain.start + chain.emissions[0]  # (B, K, count): the best ones of each tag
    scores, came = [score], []
    for emission in chain.emissions[1:]:
        ways = (score[:, None] + chain.transitions.T[..., None]).flatten(2)  # (B, K, K * count)
        ways, origin = ways.sort(dim=-1, descending=True, stable=True)
        score = ways[..., :count] + emission[..., None]
        scores.append(score)
        came.append(origin[..., :count])
    ends = (chain.of_last(torch.stack(scores)) + chain.end[:, None]).flatten(1)
    final, at = ends.sort(dim=-1, descending=True, stable=True)
    final, last = final[:, :count], at[:, :count]  # (B, count): tag * count + rank
    here, found = last, [last // count]
    for t in range(steps - 2, -1, -1):
        here = came[t].flatten(1).gather(1, here)
        if chain.lengths is not None:
            here = torch.where(chain.lengths[:, None] - 1 > t, here, last)
        found.append(here // count)
    return torch.stack(found[::-1]).permute(2, 0, 1), final.T

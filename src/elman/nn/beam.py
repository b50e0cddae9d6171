"""Beam search: the sequences that a decoder thinks likeliest, several kept at each step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import torch

from elman.nn.driven import along
from elman.nn.search import BEAM_SIZE, Generated, Search, Writing, log_probs
from elman.nn.timed import widened

if TYPE_CHECKING:
    from elman.nn.decoder import Carry

Tensor: TypeAlias = torch.Tensor


@dataclass
class _Ended:
    """The best sequences that have ended, (B, K) each: by score, the best first."""

    score: Tensor  # what they compete by; -inf where there is none
    log_prob: Tensor
    length: Tensor
    slot: Tensor  # the beam in which the last step was taken
    token: Tensor  # what that step wrote

    @staticmethod
    def none(rows: int, count: int, like: Tensor) -> _Ended:
        """No sequence has ended yet."""
        no = like.new_full((rows, count), -torch.inf)
        zero = torch.zeros((rows, count), dtype=torch.long, device=like.device)
        return _Ended(no, no, zero, zero, zero)

    def parts(self) -> tuple[Tensor, ...]:
        """The fields in order."""
        return self.score, self.log_prob, self.length, self.slot, self.token

    def with_more(self, more: _Ended) -> _Ended:
        """The best of these and of others."""
        count = self.score.shape[1]
        pairs = zip(self.parts(), more.parts(), strict=True)
        joined = [torch.cat(pair, dim=1) for pair in pairs]
        best = joined[0].sort(dim=1, descending=True, stable=True).indices[:, :count]
        return _Ended(*[each.gather(1, best) for each in joined])


@dataclass
class _History:
    """What every step of every beam wrote, and from which beam before it came."""

    tokens: list[Tensor] = field(default_factory=list)  # (B, K), behind each step
    parents: list[Tensor] = field(default_factory=list)  # (B, K)
    weights: list[Tensor | None] = field(default_factory=list)  # (B, K, S), of the beams before

    def add(self, tokens: Tensor, parents: Tensor, weights: Tensor | None) -> None:
        """One step more."""
        self.tokens.append(tokens)
        self.parents.append(parents)
        self.weights.append(weights)

    def sequences(self, ended: _Ended, end: int | None) -> tuple[Tensor, Tensor | None]:
        """The tokens (T, B, K) and the attention's weights (T, B, K, S) of what has ended."""
        written, seen = [], []
        slot = ended.slot
        for t in reversed(range(max(1, int(ended.length.max())))):
            is_last, is_over = t == ended.length - 1, t >= ended.length
            token = self.tokens[t].gather(1, slot)
            parent = torch.where(is_last, ended.slot, self.parents[t].gather(1, slot))
            token = torch.where(is_last, ended.token, token)
            written.append(token if end is None else token.masked_fill(is_over, end))
            if (weights := self.weights[t]) is not None:
                index = parent[:, :, None].expand(-1, -1, weights.shape[2])
                seen.append(weights.gather(1, index).masked_fill(is_over[:, :, None], 0.0))
            slot = torch.where(is_over, slot, parent)
        weights = torch.stack(seen[::-1]) if seen else None
        return torch.stack(written[::-1]), weights


def beam_search(task: Writing, how: Search) -> Generated:
    """The best sequences of a beam.

    At each step a beam goes on with its likeliest continuations that do not end. One that ends is
    set aside, where it is among the `beam_size` likeliest; so is, at the last step, one that does
    not. The search of a sequence is over when `beam_size` are set aside, or when none that goes on
    could still be better. With as many beams as there are sequences nothing is lost.
    """
    size, rows = how.beam_size or BEAM_SIZE, len(task.first)
    task, token, carry = _widened(task, size)
    history, ended, going = _History(), None, None
    over = torch.zeros(rows, dtype=torch.bool, device=token.device)
    past: list[Tensor] = []  # of each beam that goes on, (B * K)
    for t in range(task.max_steps):
        logits, weights, carry = task.step(token, carry, t)
        found = how.allowed(log_probs(logits), task.end, past)
        found = found.unflatten(0, (rows, size))  # (B, K, tokens)
        if going is None or ended is None:
            going = found.new_full((rows, size), -torch.inf)
            going[:, 0] = 0.0  # the beams are still the same
            ended = _Ended.none(rows, size, found)
        step = _Step.of(going[:, :, None] + found, task, t)
        ended = ended.with_more(step.ended(over, how, t))
        parent, written, going = step.going_on(task.end)
        seen = None if weights is None else weights.unflatten(0, (rows, size))
        history.add(written, parent, seen)
        over = over | _is_over(ended, going, task, how, t)
        if over.all():
            break
        index = (torch.arange(rows, device=parent.device)[:, None] * size + parent).flatten()
        token, carry = written.flatten(), _picked(carry, index, task.decoder.layer)
        is_read = how.no_repeat_ngram_size is not None
        past = [*(each[index] if is_read else each for each in past), token]
    assert ended is not None
    return _best(ended, history, task, how)


@dataclass(frozen=True)
class _Step:
    """The likeliest continuations of a step, (B, 2 K), the best first."""

    log_prob: Tensor
    parent: Tensor  # the beam that goes on
    token: Tensor  # with this token
    is_end: Tensor
    size: int  # K

    @staticmethod
    def of(total: Tensor, task: Writing, t: int) -> _Step:
        """Those of (B, K, tokens) log probabilities."""
        _, size, tokens = total.shape
        best, index = total.flatten(1).topk(min(2 * size, size * tokens), dim=1)
        token = index % tokens
        is_end = torch.zeros_like(token, dtype=torch.bool)
        if task.end is not None:
            is_end = token == task.end
        if t + 1 == task.max_steps:
            is_end = torch.ones_like(is_end)
        return _Step(best, index // tokens, token, is_end, size)

    def ended(self, over: Tensor, how: Search, t: int) -> _Ended:
        """What ends here, of the sequences whose search is not over."""
        k = self.size
        is_ended = self.is_end[:, :k] & ~over[:, None] & (self.log_prob[:, :k] > -torch.inf)
        log_prob = self.log_prob[:, :k].masked_fill(~is_ended, -torch.inf)
        length = torch.where(is_ended, t + 1, 0)
        score = log_prob / how.divisor(t + 1)
        return _Ended(score, log_prob, length, self.parent[:, :k], self.token[:, :k])

    def going_on(self, end: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Parents, tokens and log probabilities (B, K) of the beams that do not end."""
        is_end = torch.zeros_like(self.is_end) if end is None else self.token == end
        on = is_end.int().sort(dim=1, stable=True).indices[:, : self.size]
        log_prob = self.log_prob.gather(1, on).masked_fill(is_end.gather(1, on), -torch.inf)
        return self.parent.gather(1, on), self.token.gather(1, on), log_prob


def _is_over(ended: _Ended, going: Tensor, task: Writing, how: Search, t: int) -> Tensor:
    """The sequences (B) for which enough has ended, or nothing better can."""
    longer = range(min(t + 2, task.max_steps), task.max_steps + 1)
    possible = going.amax(1) / max(how.divisor(length) for length in longer)
    wanted = ended.score[:, (how.n_best or 1) - 1]
    return (ended.length > 0).all(1) | ((wanted >= possible) & (wanted > -torch.inf))


def _widened(task: Writing, size: int) -> tuple[Writing, Tensor, Carry]:
    """The same for `size` beams of each sequence, side by side; the memory is shared."""
    layer = task.decoder.layer
    state = along(layer, task.carry.state, lambda s, axis: s.repeat_interleave(size, dim=axis))
    inputs = widened(layer, task.inputs, size)
    carry = task.carry._replace(state=state)
    return replace(task, inputs=inputs), task.first.repeat_interleave(size), carry


def _picked(carry: Carry, index: Tensor, layer: torch.nn.Module) -> Carry:
    """What the beams hand on, from the beams (B * K) that they come from."""
    state = along(layer, carry.state, lambda s, axis: s.index_select(axis, index))
    context = carry.context
    return carry._replace(
        state=state, context=None if context is None else context.index_select(0, index)
    )


def _best(ended: _Ended, history: _History, task: Writing, how: Search) -> Generated:
    """The best of what has ended, with an axis in front where several are asked for."""
    kept = _Ended(*[part[:, : how.n_best or 1] for part in ended.parts()])
    sequences, weights = history.sequences(kept, task.end)
    sequences = sequences.movedim(2, 0)  # (n_best, T, B)
    weights = None if weights is None else weights.movedim(2, 0)
    found = Generated(sequences, kept.length.T, kept.score.T, kept.log_prob.T, weights, task.end)
    return found if how.n_best is not None else found.best()

"""Sequences that a decoder writes token by token, or vector by vector."""

from __future__ import annotations

from typing import TypeAlias

import torch

from elman.errors import NameProblem
from elman.nn.beam import beam_search
from elman.nn.search import Generated, Search, Writing, log_probs

Tensor: TypeAlias = torch.Tensor


def written(task: Writing, how: Search) -> Generated:
    """What a decoder writes from its first token, or vector, and a state on."""
    if (how.min_steps or 0) > task.max_steps:
        headline = f"min_steps={how.min_steps}, and max_steps={task.max_steps}"
        rule = "What is written has min_steps steps at least, and max_steps at most."
        raise NameProblem("E419", headline, rule=rule)
    if task.decoder.embedding is None:
        given = [n for n in ("banned", "no_repeat_ngram_size") if getattr(how, n)]
        if how.method != "greedy" or given:
            rule = "A read-out of numbers has no tokens to choose from."
            fix = "Give the decoder an embedding."
            name = given[0] if given else "method"
            what = f"{name}={getattr(how, name)!r}"
            headline = f"{what} without an embedding"
            raise NameProblem("E413", headline, rule=rule, fix=fix)
        return _vectors(task)
    return beam_search(task, how) if how.method == "beam" else _tokens(task, how)


def _vectors(task: Writing) -> Generated:
    """The read-out of each step is what the next one reads; there is no end but max_steps."""
    value, carry = task.first, task.carry
    values, seen = [], []
    for t in range(task.max_steps):
        value, weights, carry = task.step(value, carry, t)
        values.append(value)
        seen.append(weights)
    lengths = torch.full((len(value),), task.max_steps, device=value.device)
    return Generated(torch.stack(values), lengths, None, None, stacked(seen))


def _tokens(task: Writing, how: Search) -> Generated:
    """One token at each step, the likeliest or a drawn one."""
    token, carry = task.first, task.carry
    rows = len(token)
    runs = torch.ones(rows, dtype=torch.bool, device=token.device)
    lengths = torch.zeros(rows, dtype=torch.long, device=token.device)
    tokens: list[Tensor] = []
    seen = []
    total: Tensor | None = None
    for t in range(task.max_steps):
        logits, weights, carry = task.step(token, carry, t)
        found, logits = log_probs(logits), how.allowed(logits, task.end, tokens)
        token = logits.argmax(-1) if how.method == "greedy" else draw(logits, how)
        step = found.gather(1, token[:, None])[:, 0].masked_fill(~runs, 0.0)
        total = step if total is None else total + step
        if task.end is not None:
            token = token.masked_fill(~runs, task.end)
        tokens.append(token)
        seen.append(None if weights is None else weights.masked_fill(~runs[:, None], 0.0))
        lengths += runs
        if task.end is not None:
            runs = runs & (token != task.end)
            if not runs.any():
                break
    return Generated(torch.stack(tokens), lengths, total, total, stacked(seen), task.end)


def stacked(weights: list[Tensor | None]) -> Tensor | None:
    """The attention's weights of all steps."""
    found = [each for each in weights if each is not None]
    return torch.stack(found) if found else None


def draw(logits: Tensor, how: Search) -> Tensor:
    """A token for each row of logits (B, tokens)."""
    if how.temperature is not None:  # the likeliest stays 0, whatever the others overflow to
        logits = (logits - logits.amax(-1, keepdim=True)).double() / how.temperature
    chances = log_probs(logits).exp()
    if how.top_k is not None and how.top_k < chances.shape[-1]:
        kept = torch.zeros_like(chances).scatter(1, chances.topk(how.top_k).indices, 1.0)
        chances = chances * kept / (chances * kept).sum(-1, keepdim=True)
    if how.top_p is not None:
        chances = chances * nucleus(chances, how.top_p)
    on = chances if how.generator is None else chances.to(how.generator.device)
    return torch.multinomial(on, 1, generator=how.generator)[:, 0].to(logits.device)


def nucleus(chances: Tensor, p: float) -> Tensor:
    """Which tokens make the smallest set whose probabilities together reach p.

    >>> nucleus(torch.tensor([[0.1, 0.5, 0.4]]), 0.6).tolist()
    [[False, True, True]]
    """
    ordered, places = chances.sort(dim=-1, descending=True, stable=True)
    before = ordered.double().cumsum(-1) - ordered
    is_kept = (before < p) & (ordered > 0)
    is_kept[..., 0] = True
    return torch.zeros_like(is_kept).scatter(-1, places, is_kept)

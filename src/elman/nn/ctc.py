"""From the scores of connectionist temporal classification to labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from elman.backends.masks import check_lengths
from elman.errors import NameProblem, ShapeProblem
from elman.nn.given import is_count

Array = np.ndarray[Any, Any]
Prefix = tuple[int, ...]
LanguageModel: TypeAlias = Callable[[Prefix], Any]
NONE = -np.inf


class Hypothesis(NamedTuple):
    """Labels, the logarithm of their probability, and that plus what a language model says."""

    tokens: list[int]
    log_prob: float
    score: float


def ctc_greedy(log_probs: Any, lengths: Any = None, blank: int = 0) -> list[Any]:
    """The labels of the best symbol of each step, repeats merged and blanks left out.

    >>> import torch
    >>> scores = torch.eye(3)[[1, 1, 0, 1, 2, 2]]  # (T, C): the best symbols are a a - a b b
    >>> ctc_greedy(scores)
    [1, 1, 2]

    `log_probs` is (T, B, C) as torch.nn.CTCLoss has it, which gives a list for each sequence, or
    (T, C). `lengths` (B) are torch's `input_lengths`. Of equals the lowest symbol is taken.
    Errors: E437, E438, E428.
    """
    scores, counted, batched = _read(log_probs, lengths, blank)
    found = []
    for b, length in enumerate(counted):
        path = scores[:length, b].argmax(-1)
        is_new = np.append(True, path[1:] != path[:-1])[: len(path)]
        found.append(path[is_new & (path != blank)].tolist())
    return found if batched else found[0]


def ctc_beam(
    log_probs: Any,
    lengths: Any = None,
    blank: int = 0,
    beam_width: int = 16,
    n_best: int = 1,
    *,
    language_model: LanguageModel | None = None,
) -> list[Any]:
    """The most probable labels, each the sum of all its alignments, by prefix beam search.

    >>> import torch
    >>> log_probs = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()  # (T, C)
    >>> ctc_greedy(log_probs)  # the best alignment, -, has 0.36; those of a have 0.64 together
    []
    >>> [(best,)] = [ctc_beam(log_probs)]
    >>> best.tokens, round(best.log_prob, 4)  # log(0.64)
    ([1], -0.4463)

    `log_probs` is (T, B, C) or (T, C), as the loss has them; each sequence gives a list of at most
    `n_best` hypotheses, the best first. A search keeps `beam_width` prefixes after each step; the
    probability of what it finds is summed over all alignments again, and is exactly that of
    torch.nn.functional.ctc_loss. Of equals the shorter comes first, then the lower.

    `language_model(prefix)` gives C numbers that are added to the score of the prefix, a tuple,
    where each symbol comes next; it is asked once a prefix. Errors: E437, E438, E428.

    Source: Hannun et al., "First-pass large vocabulary continuous speech recognition" (2014).
    """
    scores, counted, batched = _read(log_probs, lengths, blank)
    for name, number in (("beam_width", beam_width), ("n_best", n_best)):
        if not is_count(number):
            rule = "It is a whole number, 1 or more."
            raise NameProblem("E438", f"{name}={number!r}", rule=rule, fix=f"As in {name}=8.")
    model = None if language_model is None else _Remembered(language_model, scores.shape[2])
    found = []
    for b, length in enumerate(counted):
        beam = _search(scores[:length, b], blank, max(beam_width, n_best), model)
        found.append(_summed(scores[:length, b], blank, beam, model)[:n_best])
    return found if batched else found[0]


def _read(log_probs: Any, lengths: Any, blank: Any) -> tuple[Array, list[int], bool]:
    """Numbers (T, B, C), the length of each sequence, and whether there is a batch."""
    detach = getattr(log_probs, "detach", None)
    try:
        found = np.asarray(detach().cpu().double().numpy() if detach else log_probs, dtype=float)
    except (TypeError, ValueError):
        found = np.zeros(())
    rule = "It is (T, B, C) as torch.nn.CTCLoss has it, or (T, C) of one sequence."
    if found.ndim not in (2, 3) or not found.shape[-1]:
        shape = tuple(getattr(log_probs, "shape", found.shape))
        fix = "Pass log_softmax(scores, -1) of every step."
        raise ShapeProblem("E437", f"log_probs is {shape}", rule=rule, fix=fix)
    symbols = found.shape[-1]
    if not is_count(blank, least=0) or blank >= symbols:
        rule = f"It is the number of the blank symbol, from 0 to {symbols - 1}."
        raise NameProblem("E438", f"blank={blank!r}", rule=rule, fix="As in blank=0.")
    batched = found.ndim == 3
    found = found if batched else found[:, None]
    lead = found.shape[0], found.shape[1]
    counted = [lead[0]] * lead[1]
    if lengths is not None:
        counted = check_lengths(lengths, lead, batched).tolist()
    if any(np.isnan(found[:length, b]).any() for b, length in enumerate(counted)):
        fix = "Look where they come from: torch.isnan(log_probs).nonzero()."
        raise ShapeProblem("E437", "log_probs holds numbers that are none", rule=rule, fix=fix)
    return found, counted, batched


class _Remembered:
    """A language model that is asked once a prefix."""

    def __init__(self, model: LanguageModel, symbols: int) -> None:
        if not callable(model):
            fix = "As in language_model=lambda prefix: scores[prefix[-1] if prefix else 0]."
            raise NameProblem("E438", f"language_model={model!r}, no function", fix=fix)
        self.model, self.symbols = model, symbols
        self.scores: dict[Prefix, float] = {(): 0.0}
        self.rows: dict[Prefix, Array] = {}

    def row(self, prefix: Prefix) -> Array:
        """The score of a prefix with each symbol behind it, (C)."""
        if prefix not in self.rows:
            given: Any = self.model(prefix)
            detach = getattr(given, "detach", None)
            row = np.asarray(detach().cpu().double().numpy() if detach else given, dtype=float)
            if row.shape != (self.symbols,):
                headline = f"language_model({prefix}) gives {row.shape}"
                rule = f"It gives {self.symbols} numbers, one for each symbol that may come next."
                fix = "The blank has one too, which is not looked at."
                raise ShapeProblem("E437", headline, rule=rule, fix=fix)
            self.rows[prefix] = self.score(prefix) + row
        return self.rows[prefix]

    def score(self, prefix: Prefix) -> float:
        """The sum of what was said of each of a prefix's symbols."""
        if prefix not in self.scores:
            self.scores[prefix] = float(self.row(prefix[:-1])[prefix[-1]])
        return self.scores[prefix]


def _search(scores: Array, blank: int, width: int, model: _Remembered | None) -> list[Prefix]:
    """The prefixes that are left after the last of the steps (T, C)."""
    beam: list[Prefix] = [()]
    with_blank, without = np.zeros(1), np.full(1, NONE)  # of alignments that end so, in logarithms
    for step in scores:
        total = np.logaddexp(with_blank, without)
        last = np.array([prefix[-1] if prefix else blank for prefix in beam], dtype=int)
        longer = total[:, None] + step  # (n, C): the prefix and one symbol more
        rows = np.arange(len(beam))
        longer[rows, last] = with_blank + step[last]  # a repeat needs a blank between
        longer[:, blank] = NONE
        stays_without = np.where(last == blank, NONE, without + step[last])
        place = {prefix: at for at, prefix in enumerate(beam)}
        for at, prefix in enumerate(beam):  # a prefix of the beam that grows out of another one
            parent = place.get(prefix[:-1]) if prefix else None
            if parent is not None:
                grown = longer[parent, prefix[-1]]
                stays_without[at] = np.logaddexp(stays_without[at], grown)
                longer[parent, prefix[-1]] = NONE
        stays_blank = total + step[blank]
        ends = np.concatenate([stays_without, longer.ravel()])
        blanks = np.concatenate([stays_blank, np.full(longer.size, NONE)])
        chosen = _largest(np.logaddexp(ends, blanks) + _said(beam, longer.shape[1], model), width)
        with_blank, without = blanks[chosen], ends[chosen]
        beam = [_prefix(beam, at, longer.shape[1]) for at in chosen.tolist()]
    return beam


def _prefix(beam: list[Prefix], at: int, symbols: int) -> Prefix:
    """The candidate at a place: those that stay as they are, then those with a symbol more."""
    if at < len(beam):
        return beam[at]
    row, symbol = divmod(at - len(beam), symbols)
    return (*beam[row], symbol)


def _said(beam: list[Prefix], symbols: int, model: _Remembered | None) -> Array:
    """What the language model says of every candidate."""
    if model is None:
        return np.zeros(len(beam) * (symbols + 1))
    stays = [model.score(prefix) for prefix in beam]
    return np.concatenate([stays, *(model.row(prefix) for prefix in beam)])


def _largest(values: Array, count: int) -> Array:
    """Where the largest finite values stand, falling; of equals the first."""
    found = np.flatnonzero(values > NONE)
    if len(found) > count:
        least = np.partition(values[found], -count)[-count]
        found = found[values[found] >= least]
    return found[np.argsort(-values[found], kind="stable")][:count]


def _summed(
    scores: Array, blank: int, beam: list[Prefix], model: _Remembered | None
) -> list[Hypothesis]:
    """Each prefix with its probability over all alignments, the best first."""
    steps, rows = len(scores), len(beam)
    if not steps or not rows:
        return [Hypothesis([], 0.0, 0.0)][: rows or 0]
    targets = torch.tensor([symbol for prefix in beam for symbol in prefix], dtype=torch.long)
    losses = torch.nn.functional.ctc_loss(
        torch.from_numpy(scores)[:, None].expand(-1, rows, -1),
        targets,
        torch.full((rows,), steps),
        torch.tensor([len(prefix) for prefix in beam]),
        blank,
        reduction="none",
    )
    found = [
        Hypothesis(list(prefix), -loss, -loss + (0.0 if model is None else model.score(prefix)))
        for prefix, loss in zip(beam, losses.tolist(), strict=True)
    ]
    return sorted(found, key=lambda each: (-each.score, len(each.tokens), each.tokens))

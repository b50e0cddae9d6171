"""How a decoder writes: the likeliest token at each step, a drawn one, or a beam of sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from elman.errors import NameProblem, nearest
from elman.nn.attention import Memory
from elman.nn.driven import Inputs
from elman.nn.given import is_count, is_number
from elman.nn.timed import at_step, check_steps

if TYPE_CHECKING:
    from elman.nn.decoder import Carry, Decoder

Tensor: TypeAlias = torch.Tensor
METHODS = {
    "greedy": (),
    "sample": ("temperature", "top_k", "top_p", "generator"),
    "beam": ("beam_size", "length_penalty", "n_best"),
}


@dataclass(frozen=True)
class Search:
    """How the next token is chosen.

    >>> Search("sample", temperature=0.8, top_p=0.9)
    Search(method='sample', temperature=0.8, top_p=0.9)

    Args:
        method: "greedy", the likeliest token; "sample", one drawn; "beam", the likeliest sequences.
        temperature: logits are divided by it before a token is drawn.
        top_k: only the k likeliest tokens are drawn.
        top_p: only the likeliest tokens whose probabilities together reach p are drawn, the
            smallest such set; of what temperature and top_k leave.
        generator: what is drawn from.
        beam_size: how many sequences are kept at each step; 1 is greedy.
        length_penalty: sequences compete by log probability / length ** length_penalty; 0 for the
            likeliest, 1 for the likeliest per token. Or a function from the length to what it is
            divided by, as `lambda n: ((5 + n) / 6) ** 0.6`, that of Wu et al.
        n_best: how many sequences are given; None for the best one, without an axis.
        banned: tokens that are never written.
        min_steps: how many steps are written at least: the end token comes last of them at soonest.
        no_repeat_ngram_size: no so many tokens in a row come twice in a sequence, as long as
            another token is left to be written.

    Errors: E413 for an unknown method, E419 for a setting that cannot be.

    Source: top_k, Fan et al., arXiv:1805.04833; top_p, Holtzman et al., arXiv:1904.09751;
    the penalty as a function, Wu et al., arXiv:1609.08144, equation 14; no_repeat_ngram_size,
    Paulus et al., arXiv:1705.04304.
    """

    method: str = "greedy"
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    generator: torch.Generator | None = None
    beam_size: int | None = None
    length_penalty: float | Callable[[int], float] | None = None
    n_best: int | None = None
    banned: Sequence[int] | None = ()
    min_steps: int | None = None
    no_repeat_ngram_size: int | None = None

    @staticmethod
    def of(given: Mapping[str, Any]) -> Search:
        """The settings by name; E419 for what is none."""
        known = [each.name for each in fields(Search)]
        for name in given:
            if name not in known:
                rule = f"They are {', '.join(known)}."
                fix = nearest(name, known) or None
                raise NameProblem("E419", f"there is no setting {name}", rule=rule, fix=fix)
        return Search(**given)

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method not in METHODS:
            rule = f"A sequence is written by {', '.join(METHODS)}."
            fix = nearest(str(self.method), METHODS) or None
            raise NameProblem("E413", f"method={self.method!r}", rule=rule, fix=fix)
        for method, names in METHODS.items():
            for name in names:
                given = getattr(self, name)
                if given is not None and method != self.method:
                    headline = f"{name}={given!r}, with method={self.method!r}"
                    raise NameProblem("E419", headline, fix=f'Pass method="{method}".')
                if given is not None and name in LAWS and not LAWS[name][0](given):
                    raise NameProblem("E419", f"{name}={given!r}", rule=LAWS[name][1])
        check_generator(self.generator)
        for name in ("banned", "min_steps", "no_repeat_ngram_size"):
            given = getattr(self, name)
            if given is not None and not LAWS[name][0](given):
                raise NameProblem("E419", f"{name}={given!r}", rule=LAWS[name][1])
        if (self.n_best or 1) > (self.beam_size or BEAM_SIZE):
            rule = "A beam holds beam_size sequences."
            headline = f"n_best={self.n_best}, and beam_size={self.beam_size or BEAM_SIZE}"
            raise NameProblem("E419", headline, rule=rule)

    def divisor(self, length: int) -> float:
        """What the log probability of a sequence of this length is divided by."""
        a = self.length_penalty
        if not callable(a):
            return float(length) ** float(a or 0.0)
        found = float(a(length))
        if not 0.0 < found < float("inf"):
            rule = "Log probabilities are divided by it: it is a number above 0."
            raise NameProblem("E419", f"length_penalty gives {found} for {length}", rule=rule)
        return found

    def allowed(self, scores: Tensor, end: int | None, past: Sequence[Tensor]) -> Tensor:
        """Scores (R, tokens) of a step, -inf of what may not be written; E419 if all of it is.

        `past` are the tokens (R) of the steps before.
        """
        tokens, t = scores.shape[-1], len(past)
        not_yet = () if end is None or t + 1 >= (self.min_steps or 1) else (end,)
        hidden = sorted({*(self.banned or ()), *not_yet})
        size = self.no_repeat_ngram_size
        if not hidden:
            return scores if size is None else without_repeats(scores, past, size)
        if hidden[-1] >= tokens or len(hidden) == tokens:
            what = f"banned={self.banned!r}" + f", min_steps={self.min_steps}" * bool(not_yet)
            rule = f"There are {tokens} tokens, from 0 on, and one must be left to be written."
            raise NameProblem("E419", what, rule=rule)
        scores = scores.index_fill(-1, torch.tensor(hidden, device=scores.device), -torch.inf)
        return scores if size is None else without_repeats(scores, past, size)

    def __repr__(self) -> str:
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        words = [f"{n}={v!r}" for n, v in said.items() if v is not None and v != ()]
        return f"Search({', '.join(words)})"


def without_repeats(scores: Tensor, past: Sequence[Tensor], size: int) -> Tensor:
    """Scores (R, tokens), -inf where a token would end `size` in a row that stand in the past.

    >>> past = [torch.tensor([token]) for token in (0, 1, 2, 0)]
    >>> without_repeats(torch.zeros(1, 3), past, 2)
    tensor([[0., -inf, 0.]])
    """
    if len(past) < size:
        return scores
    written = torch.stack([*past], dim=1)
    runs = written.unfold(1, size, 1)  # (R, runs, size)
    is_begun = (runs[..., :-1] == written[:, None, len(past) - size + 1 :]).all(-1)
    row, run = is_begun.nonzero(as_tuple=True)
    found = scores.index_put((row, runs[row, run, -1]), scores.new_tensor(-torch.inf))
    return torch.where((found > -torch.inf).any(-1, keepdim=True), found, scores)


def check_generator(given: object) -> None:
    """E419 for what nothing can be drawn from."""
    if not isinstance(given, torch.Generator | None):
        rule = "It is one of torch's generators, as torch.Generator().manual_seed(5)."
        raise NameProblem("E419", f"generator={given!r}", rule=rule)


def all_tokens(given: Iterable[object]) -> bool:
    return all(type(token) is int and token >= 0 for token in given)


BEAM_SIZE = 5
COUNT = "It is a whole number, 1 or more."
LAWS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "temperature": (
        lambda t: is_number(t) and 0 < t < float("inf"),
        'It is a number above 0; method="greedy" is its limit.',
    ),
    "top_k": (is_count, COUNT),
    "top_p": (
        lambda p: is_number(p) and 0 < p <= 1,
        "It is a probability above 0, and at most 1.",
    ),
    "beam_size": (is_count, COUNT),
    "n_best": (is_count, COUNT),
    "length_penalty": (
        lambda a: callable(a) or (is_number(a) and abs(a) < float("inf")),
        "It is a number, 0 for none, or a function of the length.",
    ),
    "min_steps": (is_count, COUNT),
    "no_repeat_ngram_size": (is_count, COUNT),
    "banned": (
        lambda given: isinstance(given, list | tuple | set) and all_tokens(given),
        "It is a list of tokens: whole numbers from 0 on.",
    ),
}


@dataclass(frozen=True)
class Writing:
    """What is to be written: by which decoder, from where on, and how long."""

    decoder: Decoder
    first: Tensor  # (B) tokens, or (B, size) vectors
    carry: Carry
    memory: Memory | None
    inputs: Inputs
    max_steps: int
    end: int | None

    def __post_init__(self) -> None:
        if not is_count(self.max_steps):
            raise NameProblem("E419", f"max_steps={self.max_steps!r}", rule=COUNT)
        check_steps(self.decoder.layer, self.inputs, self.max_steps, is_most=True)

    def step(self, token: Tensor, carry: Carry, t: int) -> tuple[Tensor, Tensor | None, Carry]:
        """What is read out at step t, the attention's weights, and what the next step needs."""
        now = at_step(self.decoder.layer, self.inputs, t)
        feature, weights, carry = self.decoder.advance(token, carry, self.memory, now)
        return self.decoder.read_out(feature), weights, carry


@dataclass(frozen=True)
class Generated:
    """What a decoder wrote: (T, B), or (B, T) where its layer is batch_first; n_best in front."""

    sequences: Tensor  # tokens, filled up with `end`; or vectors, (T, B, size)
    lengths: Tensor  # (B), how many steps were written, the end token among them
    scores: Tensor | None  # (B), log_probs / lengths ** length_penalty; None of vectors
    log_probs: Tensor | None  # (B), of the sequences, as the decoder has them
    weights: Tensor | None  # (T, B, S), where the attention looked; 0 behind the length
    end: int | None = None
    _is_turned: bool = field(default=False, repr=False)

    def best(self) -> Generated:
        """The first of n_best, without their axis; where there is none, all of it."""
        if self.lengths.dim() == 1:
            return self
        names = ("sequences", "lengths", "scores", "log_probs", "weights")
        parts: dict[str, Any] = {name: getattr(self, name) for name in names}
        parts = {name: None if part is None else part[0] for name, part in parts.items()}
        return replace(self, **parts)

    def turned(self) -> Generated:
        """With the batch before the steps."""
        axis = self.lengths.dim() - 1
        weights = None if self.weights is None else self.weights.transpose(axis, axis + 1)
        sequences = self.sequences.transpose(axis, axis + 1)
        return replace(self, sequences=sequences, weights=weights, _is_turned=True)

    def tokens(self) -> list[Any]:
        """The sequences as lists without the end token; with n_best, lists of lists.

        >>> written = torch.tensor([[5, 6], [1, 7], [1, 1]])
        >>> Generated(written, torch.tensor([2, 3]), None, None, None, end=1).tokens()
        [[5], [6, 7]]
        """
        if self.sequences.is_floating_point():
            fix = "Read its sequences."
            raise NameProblem("E413", "vectors were written, and no tokens", fix=fix)
        rows = self.sequences if self._is_turned else self.sequences.transpose(-2, -1)
        return self._cut(rows.tolist(), self.lengths.tolist())

    def _cut(self, rows: list[Any], lengths: list[Any]) -> list[Any]:
        if lengths and isinstance(lengths[0], list):
            return [self._cut(*pair) for pair in zip(rows, lengths, strict=True)]
        cut = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return [row[:-1] if row and row[-1] == self.end else row for row in cut]


def log_probs(logits: Tensor) -> Tensor:
    """Log-softmax over the tokens, in float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

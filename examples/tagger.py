"""Two taggers that differ in a CRF alone, on a task where most tags may not follow one another.

python examples/tagger.py        about 20 seconds on one core

A text of 30 tokens holds spans of three types, tagged B-x I-x I-x. One token of a span, anywhere in
it, tells the type; the others look alike, and one token in ten is replaced by another. A tag for
each token by itself then makes spans that begin with I-x, or that change their type on the way: the
LSTM has not read what comes, while a path of tags knows it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

import elman

TYPES = ("PER", "ORG", "LOC")
LABELS = ["O", *(f"{letter}-{kind}" for kind in TYPES for letter in "BI")]
WORDS, STEPS, NOISE = 30, 30, 0.1


def texts(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and tags, (T, B) each."""
    drawn = torch.Generator().manual_seed(seed)

    def below(n: int) -> int:
        return int(torch.randint(n, (1,), generator=drawn))

    tokens, tags = torch.zeros(STEPS, count).long(), torch.zeros(STEPS, count).long()
    for b in range(count):
        t = 0
        while t < STEPS:
            kind, length = below(len(TYPES)), 1 + below(4)
            if below(2):
                telling = t + below(length)
                for at in range(t, min(t + length, STEPS)):
                    tags[at, b] = 1 + 2 * kind + (at > t)
                    tokens[at, b] = 3 * kind + below(3) if at == telling else 9 + below(9)
            else:
                for at in range(t, min(t + length, STEPS)):
                    tokens[at, b] = 18 + below(12)
            t += length
    is_noise = torch.rand(tokens.shape, generator=drawn) < NOISE
    return torch.where(is_noise, torch.randint(WORDS, tokens.shape, generator=drawn), tokens), tags


class Tagger(torch.nn.Module):
    """Scores of each tag at each token, by an LSTM; with a CRF on top, or without."""

    def __init__(self, has_crf: bool) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(WORDS, 16)
        self.lstm = elman.nn.LSTM(16, 32)
        self.read_out = torch.nn.Linear(32, len(LABELS))
        allowed = elman.nn.CRF.constraints(LABELS, "BIO")
        self.crf = elman.nn.CRF(len(LABELS), allowed=allowed) if has_crf else None

    def scores(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.read_out(self.lstm(self.embedding(tokens))[0])

    def loss(self, tokens: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        scores = self.scores(tokens)
        if self.crf is None:
            return torch.nn.functional.cross_entropy(scores.flatten(0, 1), tags.flatten())
        return -self.crf(scores, tags, reduction="token_mean")

    @torch.no_grad()
    def tags(self, tokens: torch.Tensor) -> torch.Tensor:
        scores = self.scores(tokens)
        return scores.argmax(-1) if self.crf is None else self.crf.viterbi(scores)[0]


def train(has_crf: bool, steps: int, data: tuple[torch.Tensor, torch.Tensor]) -> Tagger:
    torch.manual_seed(0)
    tagger = Tagger(has_crf)
    optimizer = torch.optim.Adam(tagger.parameters(), lr=0.01)
    tokens, tags = data
    order = torch.Generator().manual_seed(0)
    for _ in range(steps):
        some = torch.randint(tokens.shape[1], (32,), generator=order)
        optimizer.zero_grad()
        tagger.loss(tokens[:, some], tags[:, some]).backward()
        optimizer.step()
    return tagger


def spans(tags: torch.Tensor) -> set[tuple[int, int, int, int]]:
    """(sequence, first step, last step, type) of what begins with B-x and goes on with I-x."""
    found = set()
    for b, column in enumerate(tags.T.tolist()):
        for t, tag in enumerate(column):
            if tag % 2:
                end = t
                while end + 1 < len(column) and column[end + 1] == tag + 1:
                    end += 1
                found.add((b, t, end, tag))
    return found


@dataclass(frozen=True)
class Result:
    """How many tags and spans are right, and how many transitions no text can have."""

    accuracy: float
    f1: float
    illegal: int


def test(tagger: Tagger, data: tuple[torch.Tensor, torch.Tensor]) -> Result:
    tokens, tags = data
    found = tagger.tags(tokens)
    ours, theirs = spans(found), spans(tags)
    rules = elman.nn.CRF.constraints(LABELS, "BIO")
    illegal = ~torch.tensor(rules.transitions)[found[:-1], found[1:]]
    first = ~torch.tensor(rules.start)[found[0]]
    return Result(
        (found == tags).double().mean().item(),
        2 * len(ours & theirs) / (len(ours) + len(theirs)),
        int(illegal.sum() + first.sum()),
    )


def compare(steps: int = 400, texts_in_all: int = 1000) -> tuple[Result, Result]:
    """The results on unseen texts, without a CRF and with one."""
    seen, unseen = texts(texts_in_all, 1), texts(texts_in_all // 2, 2)
    without, with_crf = (test(train(has, steps, seen), unseen) for has in (False, True))
    return without, with_crf


if __name__ == "__main__":
    begun = time.perf_counter()
    for name, result in zip(("without CRF", "with CRF"), compare(), strict=True):
        print(
            f"{name:<12} {result.accuracy:.1%} of tags, F1 of spans {result.f1:.3f}, "
            f"{result.illegal} illegal transitions"
        )
    print(f"in {time.perf_counter() - begun:.0f} seconds")

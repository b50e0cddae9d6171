"""CTC decoding against sums over all alignments, and torch's loss."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from elman.nn import ctc_beam, ctc_greedy  # noqa: E402

pytestmark = pytest.mark.torch


def drawn(steps, rows, symbols, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(steps, rows, symbols, generator=generator, dtype=torch.float64) * scale
    return scores.log_softmax(-1)


def merged(path, blank):
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol != blank)


def all_alignments(log_probs, blank, model=None):
    """Labels with their log-probability and score, the best first, summed over every alignment."""
    steps, symbols = log_probs.shape
    found = {}
    for path in itertools.product(range(symbols), repeat=steps):
        score = sum(float(log_probs[t, symbol]) for t, symbol in enumerate(path))
        labels = merged(path, blank)
        found[labels] = np.logaddexp(found.get(labels, -math.inf), score)
    ways = [
        (labels, p, p + sum(model(labels[:k])[c] for k, c in enumerate(labels)) if model else p)
        for labels, p in found.items()
    ]
    return sorted(ways, key=lambda way: -way[2])


@st.composite
def problems(draw):
    symbols = draw(st.integers(1, 4))
    steps, rows = draw(st.integers(1, 5)), draw(st.integers(1, 2))
    lengths = draw(st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    log_probs = drawn(
        steps, rows, symbols, draw(st.integers(0, 999)), draw(st.sampled_from([1, 5]))
    )
    return log_probs, lengths, draw(st.integers(0, symbols - 1))


@settings(max_examples=40)
@given(problems())
def test_a_wide_beam_is_the_sum_over_all_alignments(problem):
    log_probs, lengths, blank = problem
    found = ctc_beam(log_probs, lengths, blank, beam_width=1000, n_best=1000)
    for b, length in enumerate(lengths):
        ways = all_alignments(log_probs[:length, b], blank)
        assert [h.score for h in found[b]] == pytest.approx([p for _, p, _ in ways], abs=1e-9)
        assert {tuple(h.tokens) for h in found[b]} == {labels for labels, _, _ in ways}
        assert tuple(found[b][0].tokens) == ways[0][0]


@settings(max_examples=40)
@given(problems(), st.integers(1, 4))
def test_a_score_is_torchs_loss_whatever_the_width(problem, width):
    log_probs, lengths, blank = problem
    for b, hypotheses in enumerate(ctc_beam(log_probs, lengths, blank, width, n_best=2)):
        assert len(hypotheses) <= 2 and hypotheses == sorted(hypotheses, key=lambda h: -h.score)
        for h in hypotheses:
            assert blank not in h.tokens
            if lengths[b]:
                size = (torch.tensor([lengths[b]]), torch.tensor([len(h.tokens)]))
                one = log_probs[:, b : b + 1], torch.tensor([h.tokens], dtype=torch.long)
                loss = torch.nn.functional.ctc_loss(*one, *size, blank, reduction="sum")
                assert h.log_prob == pytest.approx(-loss.item(), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_language_model_is_added(seed):
    log_probs = drawn(5, 1, 3, seed)

    def model(prefix):
        return np.log([1.0, 0.9, 0.1] if len(prefix) % 2 else [1.0, 0.1, 0.9])

    (found,) = ctc_beam(log_probs, beam_width=1000, n_best=1000, language_model=model)
    ways = all_alignments(log_probs[:, 0], 0, model)
    assert [h.score for h in found] == pytest.approx([score for _, _, score in ways], abs=1e-9)
    assert [h.log_prob for h in found] == pytest.approx([p for _, p, _ in ways], abs=1e-9)
    assert [tuple(h.tokens) for h in found] == [labels for labels, _, _ in ways]


def test_a_language_model_is_asked_once_a_prefix_and_may_be_torchs():
    asked = []

    def model(prefix):
        asked.append(prefix)
        return torch.zeros(3)

    log_probs = drawn(20, 2, 3)
    found = ctc_beam(log_probs, language_model=model)
    assert len(asked) == len(set(asked)) and () in asked
    assert found == ctc_beam(log_probs)


def test_what_a_language_model_rules_out_is_not_found():
    log_probs = drawn(6, 1, 3)
    never = np.array([0.0, 0.0, -np.inf])
    (found,) = ctc_beam(log_probs, n_best=50, beam_width=50, language_model=lambda _: never)
    assert found and all(2 not in h.tokens for h in found)


@settings(max_examples=40)
@given(problems())
def test_greedy_is_the_best_alignment(problem):
    log_probs, lengths, blank = problem
    found = ctc_greedy(log_probs, lengths, blank)
    for b, length in enumerate(lengths):
        assert tuple(found[b]) == merged(log_probs[:length, b].argmax(-1).tolist(), blank)


def test_equals_take_the_lowest_symbol_and_the_fewest():
    equal = torch.zeros(3, 1, 3)
    assert ctc_greedy(equal, blank=2) == [[0]]
    (found,) = ctc_beam(equal.log_softmax(-1), n_best=20, beam_width=20)
    scores = [round(h.score, 9) for h in found]
    for score, group in itertools.groupby(zip(scores, found, strict=True), key=lambda x: x[0]):
        tokens = [h.tokens for _, h in group]
        assert tokens == sorted(tokens, key=lambda t: (len(t), t)), score


def test_what_stands_behind_a_length_counts_nowhere():
    log_probs = drawn(6, 3, 4)
    dirty = log_probs.clone()
    dirty[4:, 1] = torch.nan
    for decode in (ctc_greedy, ctc_beam):
        assert decode(dirty, [6, 4, 0])[1] == decode(log_probs[:4, 1])
        assert decode(log_probs, torch.tensor([6, 4, 0]))[0] == decode(log_probs)[0]
    assert ctc_greedy(log_probs, [6, 4, 0])[2] == []
    assert ctc_beam(log_probs, [6, 4, 0])[2] == [([], 0.0, 0.0)]


def test_repeats_need_a_blank_between():
    a, b, blank = (torch.tensor(row).log() for row in ([0.0, 1, 0], [0.0, 0, 1], [1.0, 0, 0]))
    certain = torch.stack([a, a, blank, a, b, b, blank])
    assert ctc_greedy(certain) == [1, 1, 2]
    ((tokens, log_prob, _),) = ctc_beam(certain, n_best=5)  # nothing else is possible
    assert tokens == [1, 1, 2] and log_prob == 0.0


def test_no_symbol_is_possible():
    assert ctc_beam(torch.full((3, 4), -math.inf)) == []
    assert ctc_beam(drawn(3, 0, 4)) == [] and ctc_greedy(drawn(3, 0, 4)) == []


def test_whatever_is_array_like():
    log_probs = drawn(5, 2, 3)
    for given_ in (log_probs.numpy(), log_probs.tolist(), log_probs.clone().requires_grad_()):
        assert ctc_greedy(given_) == ctc_greedy(log_probs)
        assert ctc_beam(given_) == ctc_beam(log_probs)
    half = log_probs.bfloat16()
    assert ctc_beam(half) == ctc_beam(half.double())

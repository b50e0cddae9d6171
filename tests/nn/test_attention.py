"""Attention against its formulas written out, and what does not count."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from elman.nn import Attention  # noqa: E402 - after torch is known to be there
from elman.nn.attention import SCORES  # noqa: E402

pytestmark = pytest.mark.torch
S, B, T, Q = 5, 3, 4, 6
LENGTHS = [5, 1, 3]


def made(score, **more):
    torch.manual_seed(0)
    return Attention(Q, Q, score, dtype=torch.float64, **more)


def numbers(*shape, **more):
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64, **more)


def score(attention, q, k):
    """Of one query and one key, as the papers print it."""
    if attention.score == "additive":
        return attention.v.weight[0] @ torch.tanh(
            attention.W.weight @ q + attention.U.weight @ k + attention.U.bias
        )
    if attention.score == "general":
        return q @ (attention.W.weight @ k)
    return q @ k / (math.sqrt(len(k)) if attention.score == "scaled_dot" else 1.0)


@pytest.mark.parametrize("name", SCORES)
def test_it_is_the_printed_formula(name):
    attention, query, keys = made(name), numbers(T, B, Q), numbers(S, B, Q) + 1.0
    values = numbers(S, B, 2)
    context, weights = attention(query, keys, values, lengths=LENGTHS)
    assert context.shape == (T, B, 2) and weights.shape == (T, B, S)
    for t in range(T):
        for b, n in enumerate(LENGTHS):
            scores = torch.stack([score(attention, query[t, b], keys[s, b]) for s in range(n)])
            wanted = scores.exp() / scores.exp().sum()
            torch.testing.assert_close(weights[t, b, :n], wanted)
            assert (weights[t, b, n:] == 0).all()
            torch.testing.assert_close(context[t, b], wanted @ values[:n, b])


def test_scaled_dot_is_that_of_torch():
    query, keys = numbers(T, B, Q), numbers(S, B, Q) + 1.0
    context, _ = made("scaled_dot")(query, keys)
    turned = (query.transpose(0, 1), keys.transpose(0, 1), keys.transpose(0, 1))
    wanted = torch.nn.functional.scaled_dot_product_attention(*turned)
    torch.testing.assert_close(context, wanted.transpose(0, 1))


@pytest.mark.parametrize("name", SCORES)
def test_one_step_a_prepared_memory_and_other_layouts_are_the_same(name):
    attention, query, keys = made(name), numbers(T, B, Q), numbers(S, B, Q) + 1.0
    context, weights = attention(query, keys, lengths=LENGTHS)
    memory = attention.prepare(keys, lengths=LENGTHS)
    torch.testing.assert_close(attention(query, memory)[0], context)
    for t in range(T):
        one, seen = attention(query[t], memory)
        torch.testing.assert_close(one, context[t])
        torch.testing.assert_close(seen, weights[t])
    turned = made(name, batch_first=True)
    found, seen = turned(query.transpose(0, 1), keys.transpose(0, 1), lengths=LENGTHS)
    torch.testing.assert_close(found.transpose(0, 1), context)
    torch.testing.assert_close(seen.transpose(0, 1), weights)
    alone, seen = attention(query[:, 2], keys[:, 2], lengths=LENGTHS[2])
    torch.testing.assert_close(alone, context[:, 2])
    torch.testing.assert_close(seen, weights[:, 2])
    assert attention(query[0, 2], keys[:, 2])[0].shape == (Q,)


@pytest.mark.parametrize("name", SCORES)
def test_what_does_not_count_may_hold_anything(name):
    attention = made(name)
    query, keys = numbers(T, B, Q, requires_grad=True), numbers(S, B, Q) + 1.0
    mask = torch.arange(S)[:, None] < torch.tensor([5, 0, 3])
    spoiled = keys.masked_fill(~mask[:, :, None], math.nan).requires_grad_()
    context, weights = attention(query, spoiled, mask=mask)
    assert (context[:, 1] == 0).all() and (weights[:, 1] == 0).all()
    torch.testing.assert_close(context, attention(query, keys, lengths=[5, 0, 3])[0])
    context.square().sum().backward()
    assert spoiled.grad.isfinite().all() and query.grad.isfinite().all()
    assert (spoiled.grad[~mask] == 0).all()
    assert all(p.grad.isfinite().all() for p in attention.parameters())


@pytest.mark.parametrize("name", SCORES)
def test_derivatives(name):
    attention = made(name)
    query, keys = numbers(2, B, Q, requires_grad=True), numbers(S, B, Q) + 1.0

    def both(q, k):
        return attention(q, k, lengths=LENGTHS)

    assert torch.autograd.gradcheck(both, (query, keys.requires_grad_()))


@pytest.mark.parametrize("is_autocast", [False, True])
@pytest.mark.parametrize("name", ["general", "dot", "scaled_dot"])
def test_scores_may_pass_the_end_of_float16(name, is_autocast):
    attention = made(name).half()
    query = (200 * numbers(T, B, Q)).half().requires_grad_()
    keys = (200 * numbers(S, B, Q)).half().requires_grad_()
    expected, weights = attention.double()(query.double(), keys.double(), lengths=LENGTHS)
    products = query.double().transpose(0, 1) @ keys.double().permute(1, 2, 0)
    assert products.abs().max() > 65504
    attention = attention.float() if is_autocast else attention.half()
    given = (query.float(), keys.float()) if is_autocast else (query, keys)
    with torch.autocast("cpu", dtype=torch.float16, enabled=is_autocast):
        context, seen = attention(*given, lengths=LENGTHS)
    assert context.dtype == torch.float16
    assert seen.dtype == (torch.float32 if is_autocast else torch.float16)
    (context.float().sum() + seen.float().sum()).backward()
    assert query.grad.isfinite().all() and keys.grad.isfinite().all()
    bound = 2 * torch.finfo(torch.float16).eps * keys.detach().abs().max()  # rounded once or twice
    assert (context - expected).abs().max() < bound or name == "general"  # W k is rounded too
    assert (seen - weights).abs().max() < (0.1 if name == "general" else 1e-3)


def test_half_precision_and_other_sizes():
    attention = Attention(4, 6, "general", dtype=torch.bfloat16)
    keys = torch.zeros(S, B, 6, dtype=torch.bfloat16)
    context, weights = attention(torch.zeros(B, 4, dtype=torch.bfloat16), keys, lengths=LENGTHS)
    assert context.dtype is weights.dtype is torch.bfloat16
    assert Attention(4, 6, hidden_size=9).v.in_features == 9
    assert repr(Attention(4, 6, "general")).startswith("Attention(\n  4, 6, 'general'")

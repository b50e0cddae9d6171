"""Sequences run piece by piece: the numbers of the whole run, and gradients of each piece."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import GRU, LSTM, RNN, Recurrent, Stacked, detach, truncated  # noqa: E402
from tests.nn.pairs import drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
STEPS, BATCH = 7, 3
DOUBLE = {"dtype": torch.float64}
STREAMS = """
    m: scalar, per step
    v: per sequence
    h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ v + m[t] * a[t]) + t / 10
"""
LAYERS = {
    "recurrent": lambda **more: Recurrent(elman.cells["lstm"], 4, 5, 2, **more),
    "delays": lambda **more: Recurrent(
        "h[t] = tanh(W @ x[t] + V @ x[t-2] + U @ h[t-3])", 4, 5, **more
    ),
    "lstm": lambda **more: LSTM(4, 5, 2, **more),
    "gru": lambda **more: GRU(4, 5, **more),
    "rnn": lambda **more: RNN(4, 5, remat=2, **more),
    "cells": lambda **more: Recurrent(
        [elman.cells["gru"], elman.cells["lstm"]], 4, [5, 6], learn_initial_state=True, **more
    ),
    "stacked": lambda **more: Stacked(
        Recurrent(elman.cells["gru"], 4, 5, **more), LSTM(5, 5, **more), residual=True
    ),
    "torch": lambda **more: torch.nn.LSTM(4, 5, proj_size=3, **more),
}


def leaves(state):
    if isinstance(state, torch.Tensor):
        return [state]
    values = state.values() if isinstance(state, dict) else state or ()
    return [tensor for value in values for tensor in leaves(value)]


def losses(outputs):
    return [(o * drawn(*o.shape, seed=k)).sum() for k, o in enumerate(outputs)]


def gradients(layer):
    found = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    return found


def by_hand(state):
    if isinstance(state, dict):
        return {name: by_hand(each) for name, each in state.items()}
    if isinstance(state, tuple):
        return tuple(map(by_hand, state))
    return None if state is None else state.detach()


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_pieces_are_the_whole_forwards_and_a_loop_by_hand_backwards(kind, batch_first, steps):
    layer = LAYERS[kind](batch_first=batch_first, **DOUBLE)
    x = drawn(STEPS, BATCH, 4)
    x = x.transpose(0, 1).contiguous() if batch_first else x
    time = 1 if batch_first else 0
    whole, after = layer(x)
    pieces = list(truncated(layer, x, steps))
    torch.testing.assert_close(torch.cat([output for output, _ in pieces], time), whole)
    torch.testing.assert_close(leaves(pieces[-1][1]), leaves(after))
    assert not any(tensor.requires_grad for _, state in pieces for tensor in leaves(state))
    sum(losses([output for output, _ in pieces])).backward()
    found = gradients(layer)
    state, outputs = None, []
    for part in x.split(steps, time):
        output, state = layer(part, state)
        outputs.append(output)
        state = by_hand(state)
    sum(losses(outputs)).backward()
    torch.testing.assert_close(found, gradients(layer))


@pytest.mark.parametrize("kind", LAYERS)
def test_one_piece_is_backpropagation_through_all_of_time(kind):
    layer, x = LAYERS[kind](**DOUBLE), drawn(STEPS, BATCH, 4)
    sum(losses([layer(x)[0]])).backward()
    full = gradients(layer)
    ((output, _),) = truncated(layer, x, STEPS)
    sum(losses([output])).backward()
    torch.testing.assert_close(gradients(layer), full)
    sum(losses([torch.cat([output for output, _ in truncated(layer, x, 3)])])).backward()
    parts = gradients(layer)
    assert any(not torch.allclose(a, b) for a, b in zip(parts, full, strict=True))


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_has_steps_is_cut_and_what_has_none_is_not(batch_first):
    layer = Recurrent(STREAMS, 4, 5, sizes={"a": 5, "v": 2}, batch_first=batch_first, **DOUBLE)
    x, a = drawn(STEPS, BATCH, 4), drawn(STEPS, BATCH, 5, seed=1)
    reset = drawn(STEPS, BATCH, seed=2) > 0.5
    turned = [x, a, reset]
    if batch_first:
        turned = [given.transpose(0, 1) for given in turned]
    others = {"a": turned[1], "m": drawn(STEPS), "v": drawn(BATCH, 2), "reset": turned[2]}
    others["lengths"] = torch.tensor([7, 2, 5])
    whole, after = layer(turned[0], **others)
    for steps in (1, 2, 3, 6, 7):
        pieces = list(truncated(layer, turned[0], steps, **others))
        assert len(pieces) == -(-STEPS // steps)
        joined = torch.cat([output for output, _ in pieces], 1 if batch_first else 0)
        torch.testing.assert_close(joined, whole)
        torch.testing.assert_close(pieces[-1][1]["h"], after["h"])


def test_one_sequence_without_a_batch():
    layer = Recurrent(STREAMS, 4, 5, sizes={"a": 5, "v": 2}, batch_first=True, **DOUBLE)
    others = {"a": drawn(STEPS, 5), "m": drawn(STEPS), "v": drawn(2), "lengths": 4}
    others["reset"] = [0, 0, 1, 0, 0, 1, 0]
    whole, after = layer(drawn(STEPS, 4), **others)
    pieces = list(truncated(layer, drawn(STEPS, 4), 3, **others))
    torch.testing.assert_close(torch.cat([output for output, _ in pieces]), whole)
    torch.testing.assert_close(pieces[-1][1]["h"], after["h"])


def test_an_input_by_name_alone():
    layer = Recurrent("m: scalar, per step\nh[t] = tanh(U @ h[t-1] + m[t] * b)", 1, 5, **DOUBLE)
    m = drawn(STEPS)
    for x, others in ((m, {}), (None, {"m": m})):
        pieces = [output for output, _ in truncated(layer, x, 2, **others)]
        torch.testing.assert_close(torch.cat(pieces), layer(m=m)[0])


def test_states_of_every_step_and_stacked_sequences_that_end():
    layer = Recurrent(elman.cells["lstm"], 4, 5, 2, return_states=("c", "f"), **DOUBLE)
    x, lengths = drawn(STEPS, BATCH, 4), torch.tensor([7, 2, 5])
    _, _, whole = layer(x, lengths=lengths)
    pieces = [seen for _, _, seen in truncated(layer, x, 3, lengths=lengths)]
    for name in ("c", "f"):
        torch.testing.assert_close(torch.cat([seen[name] for seen in pieces], 1), whole[name])
    stacked = Stacked(Recurrent(elman.cells["gru"], 4, 5, **DOUBLE), torch.nn.LSTM(5, 3, **DOUBLE))
    whole, after = stacked(x, lengths=lengths)
    *_, (_, last) = pieces = list(truncated(stacked, x, 2, lengths=lengths))
    torch.testing.assert_close(torch.cat([output for output, _ in pieces]), whole)
    torch.testing.assert_close(leaves(last), leaves(after))


def test_the_given_state_is_learned_through_the_first_piece_alone():
    layer, x = GRU(4, 5, **DOUBLE), drawn(STEPS, BATCH, 4)
    first = drawn(1, BATCH, 5).requires_grad_()
    outputs = [output for output, _ in truncated(layer, x, 3, first)]
    (found,) = torch.autograd.grad(losses(outputs)[0], first)
    (whole,) = torch.autograd.grad(losses([layer(x[:3], first)[0]])[0], first)
    torch.testing.assert_close(found, whole)
    outputs = [output for output, _ in truncated(layer, x, 3, first)]
    assert torch.autograd.grad(outputs[1].sum(), first, allow_unused=True) == (None,)
    outputs = [output for output, _ in truncated(layer, x, 3, detach(first))]
    assert torch.autograd.grad(outputs[0].sum(), layer.weight_hh_l0) is not None


def test_training_piece_by_piece():
    """Weights change between pieces, and the state goes on from text to text."""
    torch.manual_seed(0)
    layer = LSTM(1, 8)
    read_out = torch.nn.Linear(8, 1)
    weights = [*layer.parameters(), *read_out.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.03)
    x, state, found = (torch.rand(60, 4, 1) > 0.5).float(), None, []  # from text to text
    wanted = torch.cat([torch.zeros(2, 4, 1), x[:-2]])  # what was said two steps before
    for _ in range(50):
        pieces = truncated(layer, x, 20, state)
        for (output, after), target in zip(pieces, wanted.split(20), strict=True):
            state = after
            loss = torch.nn.functional.mse_loss(read_out(output), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    assert found[0] > 0.2 and max(found[-3:]) < 0.1


def test_states_of_every_form_lose_their_history():
    h = drawn(1, 2, 3).requires_grad_()
    state = {"h": h * 2, "all": [(h * 3, None), {"c": h * 4}], "seed": torch.tensor(1), "n": 5}
    found = detach(state)
    assert found["n"] == 5 and found["all"][0][1] is None and type(found["all"]) is list
    assert not any(t.requires_grad for t in (found["h"], found["all"][0][0], found["all"][1]["c"]))
    torch.testing.assert_close(found["all"][0][0], 3 * h.detach())
    assert found["h"].data_ptr() == state["h"].data_ptr()
    assert detach(None) is None


def test_what_is_wrong_is_said_before_anything_runs():
    layer = GRU(4, 5)
    with pytest.raises(elman.ElmanError, match="E240"):
        truncated(layer, torch.zeros(7, 3, 4), True)
    with pytest.raises(elman.ElmanError, match="E212"):
        list(truncated(Recurrent(elman.cells["gru"], 4, 5), torch.zeros(0, 3, 4), 2))


def test_a_module_of_ones_own_and_its_tokens():
    class Model(torch.nn.Module):
        batch_first = True

        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 4, dtype=torch.float64)
            self.layer = Recurrent(
                STREAMS, 4, 5, sizes={"a": 5, "v": 2}, batch_first=True, **DOUBLE
            )

        def forward(self, tokens, state=None, **others):
            return self.layer(self.embedding(tokens), state, **others)

    model, tokens = Model(), torch.randint(9, (BATCH, STEPS))
    others = {"a": drawn(BATCH, STEPS, 5), "m": drawn(STEPS), "v": drawn(BATCH, 2)}
    others["lengths"] = [4, 7, 1]
    pieces = [output for output, _ in truncated(model, tokens, 3, **others)]
    torch.testing.assert_close(torch.cat(pieces, 1), model(tokens, **others)[0])

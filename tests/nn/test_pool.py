"""Pools against each sequence taken by itself, and read-outs against their formula."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import Pool, ReadOut  # noqa: E402
from elman.nn.pool import WAYS  # noqa: E402

pytestmark = pytest.mark.torch
T, B, H = 6, 4, 8
LENGTHS = [6, 1, 3, 2]


def numbers(*shape):
    torch.manual_seed(1)
    return torch.randn(*shape, dtype=torch.float64)


def made(how, **more):
    torch.manual_seed(0)
    return Pool(how, H if how == "attention" else None, **more).double()


def test_weights_are_made_in_a_dtype_and_on_a_device():
    where = {"device": "meta", "dtype": torch.float64}
    for module in (Pool("attention", H, **where), ReadOut(H, 2, input_size=3, **where)):
        assert {(p.device.type, p.dtype) for p in module.parameters()} == {("meta", torch.float64)}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("is_mask", [False, True])
def test_a_padded_batch_is_each_sequence_alone(how, is_mask):
    pool, output = made(how, bidirectional=how == "last"), numbers(T, B, H)
    within = torch.arange(T)[:, None] < torch.tensor(LENGTHS)
    spoiled = output.masked_fill(~within[:, :, None], math.nan).requires_grad_()
    found = pool(spoiled, mask=within) if is_mask else pool(spoiled, LENGTHS)
    for b, n in enumerate(LENGTHS):
        torch.testing.assert_close(found[b], pool(output[:n, b]))
    found.square().sum().backward()
    assert spoiled.grad.isfinite().all() and (spoiled.grad[~within] == 0).all()
    turned = made(how, bidirectional=how == "last", batch_first=True)
    torch.testing.assert_close(turned(spoiled.transpose(0, 1), LENGTHS), found)
    turned_mask = turned(spoiled.transpose(0, 1), mask=within.T)
    torch.testing.assert_close(turned_mask, found)


def test_what_each_way_is():
    output = numbers(T, B, H)
    torch.testing.assert_close(made("last")(output), output[-1])
    torch.testing.assert_close(made("mean")(output), output.mean(0))
    torch.testing.assert_close(made("max")(output), output.amax(0))
    pool = made("attention")
    weights = pool.weights(output)
    scores = torch.tanh(output @ pool.W.weight.T + pool.W.bias) @ pool.v.weight[0]
    torch.testing.assert_close(weights, scores.softmax(0))
    torch.testing.assert_close(pool(output), (weights[..., None] * output).sum(0))
    assert pool.weights(output[:, 0]).shape == (T,)


def test_last_of_two_directions_is_the_final_state():
    layer = torch.nn.GRU(3, H // 2, bidirectional=True).double()
    x = numbers(T, B, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    output, state = layer(packed)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(output)
    found = made("last", bidirectional=True)(output, LENGTHS)
    torch.testing.assert_close(found, torch.cat([state[0], state[1]], dim=1))


@pytest.mark.parametrize("how", WAYS)
def test_a_sequence_of_no_steps_gives_0(how):
    output = numbers(T, B, H).requires_grad_()
    found = made(how)(output, [0, 6, 6, 6])
    assert (found[0] == 0).all()
    found.sum().backward()
    assert output.grad.isfinite().all()
    assert made(how)(output[:0]).tolist() == [[0.0] * H] * B


def test_a_mask_need_not_be_one_piece():
    output = numbers(T, B, H)
    mask = torch.zeros(T, B)
    mask[[1, 4]] = 1
    torch.testing.assert_close(made("last")(output, mask=mask), output[4])
    torch.testing.assert_close(made("mean")(output, mask=mask), output[[1, 4]].mean(0))
    assert repr(made("last", batch_first=True)) == "Pool('last', batch_first=True)"


def test_the_read_out_of_two_directions_and_the_input():
    read_out = ReadOut(4, 2, input_size=3, activation=torch.sigmoid).double()
    a, x = numbers(T, B, 4), numbers(T, B, 3)
    weight, bias = read_out.linear.weight, read_out.linear.bias
    wanted = torch.sigmoid(torch.cat([a, x], -1) @ weight.T + bias)
    torch.testing.assert_close(read_out(a, x), wanted)
    assert ReadOut(4, 2, bias=False)(torch.zeros(5, 4)).shape == (5, 2)


def test_the_read_out_is_the_cell_of_the_library():
    forward, backward, x = numbers(T, B, 2), numbers(T, B, 2) + 1.0, numbers(T, B, 3)
    read_out = ReadOut(4, 5, input_size=3, activation=lambda y: y.softmax(-1)).double()
    weights = {"W_y": read_out.linear.weight, "b_y": read_out.linear.bias}
    inputs = {"a_forward": forward, "a_backward": backward, "x": x}
    given = {name: tensor.detach().numpy() for name, tensor in weights.items()}
    run = elman.cells["bidirectional_read_out"].run(inputs, given)
    found = read_out(torch.cat([forward, backward], -1), x)
    torch.testing.assert_close(found.detach(), torch.as_tensor(run["y"]))


@pytest.mark.c
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["recurrent", "bidirectional", "torch"])
def test_layers_of_two_directions_on_padded_sequences(how, batch_first, kind):
    """Many to one, and each step with its input: a padded batch is each sequence alone."""
    torch.manual_seed(0)
    options = {"batch_first": batch_first, "dtype": torch.float64}
    if kind == "recurrent":
        cell = elman.cells["gru"]
        layer = elman.nn.Recurrent(cell, 3, H // 2, 2, bidirectional=True, **options)
    elif kind == "bidirectional":
        layer = elman.nn.Bidirectional(torch.nn.LSTM(3, H // 2, **options))
    else:
        layer = elman.nn.Bidirectional(torch.nn.GRU(3, H // 2, **options), merge="concat")
    pool = made(how, bidirectional=True, batch_first=batch_first)
    tags = ReadOut(H, 5, input_size=3).double()
    x = numbers(T, B, 3)
    for b, n in enumerate(LENGTHS):
        x[n:, b] = 7.0
    turn = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
    output, _ = layer(turn(x), lengths=torch.tensor(LENGTHS))
    found, said = pool(output, LENGTHS), turn(tags(output, turn(x)))
    for b, n in enumerate(LENGTHS):
        own = turn(x[:n, b : b + 1])
        alone, _ = layer(own)
        torch.testing.assert_close(found[b], pool(alone)[0])
        torch.testing.assert_close(said[:n, b], turn(tags(alone, own))[:, 0])


def test_a_mean_is_right_where_its_sum_passes_the_end_of_float16():
    output = numbers(500, 2, 3).abs().half() * 1000
    found = Pool("mean")(output, lengths=[500, 400])
    expected = torch.stack([output[:500, 0].double().mean(0), output[:400, 1].double().mean(0)])
    assert found.dtype == torch.float16
    torch.testing.assert_close(found, expected.half())


def test_a_read_out_takes_what_numbers_go_together():
    read_out, output, x = ReadOut(4, 2, input_size=3), torch.rand(5, 4), torch.rand(5, 3)
    torch.testing.assert_close(
        read_out(output, (x > 0.5).long()), read_out(output, (x > 0.5) * 1.0)
    )
    torch.testing.assert_close(read_out(output, x.half()), read_out(output, x.half().float()))

"""Layers of layers: both ways through a sequence, and one upon another, of every kind."""

from __future__ import annotations

import copy
import itertools

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils import rnn  # noqa: E402

from elman import cells  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import (  # noqa: E402
    GRU,
    LSTM,
    Attention,
    Bidirectional,
    Decoder,
    Encoder,
    EncoderDecoder,
    ReadOut,
    Recurrent,
    Stacked,
)
from tests.nn.pairs import drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
STEPS, BATCH, LENGTHS = 6, 4, [6, 2, 0, 4]
KINDS = {
    "Recurrent": lambda i, o, **more: Recurrent(cells["lstm"], i, o, dtype=torch.float64, **more),
    "drop-in": lambda i, o, **more: GRU(i, o, dtype=torch.float64, **more),
    "torch": lambda i, o, **more: torch.nn.LSTM(i, o, dtype=torch.float64, **more),
}


def near(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_is_what_torch_has(kind):
    make = KINDS[kind]
    layer = Bidirectional(make(3, 5))
    x = drawn(STEPS, BATCH, 3)
    output, (ahead, back) = layer(x)
    near(output[..., :5], layer.layers[0](x)[0])
    near(output[..., 5:], layer.layers[1](x.flip(0))[0].flip(0))
    assert not torch.equal(*(next(each.parameters()) for each in layer.layers))
    near(layer(x, (ahead, back))[0][..., :5], layer.layers[0](x, ahead)[0])


def test_the_read_out_of_the_lecture_sees_both_directions_and_the_input():
    read_out = ReadOut(10, 4, input_size=3, activation=torch.sigmoid).double()
    layer = Bidirectional(KINDS["drop-in"](3, 5), read_out=read_out)
    x = drawn(STEPS, BATCH, 3)
    both = Bidirectional(*layer.layers)(x)[0]
    weight, bias = read_out.linear.weight, read_out.linear.bias
    near(layer(x)[0], torch.sigmoid(torch.cat([both, x], -1) @ weight.T + bias))
    cell = cells["bidirectional_read_out_sigmoid"]
    arrays = {"a_forward": both[..., :5], "a_backward": both[..., 5:], "x": x}
    run = cell.run(
        {name: each.detach().numpy() for name, each in arrays.items()},
        {"W_y": weight.detach().numpy(), "b_y": bias.detach().numpy()},
    )
    near(layer(x)[0], torch.from_numpy(run["y"]))


@pytest.mark.parametrize("merge", ["sum", "mean", "mul"])
def test_both_are_merged(merge):
    layer = Bidirectional(KINDS["torch"](3, 5), merge=merge)
    x = drawn(STEPS, BATCH, 3)
    one, other = Bidirectional(*layer.layers)(x)[0].split(5, dim=-1)
    near(layer(x)[0], {"sum": one + other, "mean": (one + other) / 2, "mul": one * other}[merge])
    assert layer.output_size == 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_with_lengths_each_sequence_is_as_alone(kind, batch_first):
    make = KINDS[kind]
    more = {"batch_first": batch_first}
    layer = Stacked(
        Bidirectional(make(3, 4, **more)), make(8, 8, **more), make(8, 8, **more), residual=True
    )
    x = drawn(STEPS, BATCH, 3)
    alone = {r: layer(x[:n, r]) for r, n in enumerate(LENGTHS) if n}
    for row, length in enumerate(LENGTHS):
        x[length:, row] = torch.nan
    x.requires_grad_()
    output, states = layer(x.transpose(0, 1) if batch_first else x, lengths=LENGTHS)
    output = output.transpose(0, 1) if batch_first else output
    for row, (own, after) in alone.items():
        near(output[: LENGTHS[row], row], own)
        assert not output[LENGTHS[row] :, row].any()
        last = states[2]["h"] if kind == "Recurrent" else states[2]
        mine = after[2]["h"] if kind == "Recurrent" else after[2]
        last = last if torch.is_tensor(last) else last[0]
        near(last[:, row], mine if torch.is_tensor(mine) else mine[0])
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_a_stack_is_its_layers_one_after_the_other():
    layers = [Recurrent(cells["gru"], 3, 5), LSTM(5, 4), torch.nn.GRU(4, 4)]
    x = drawn(STEPS, BATCH, 3).float()
    expected = x
    for layer in layers:
        expected, _ = layer(expected)
    stack = Stacked(*layers)
    output, states = stack(x)
    torch.testing.assert_close(output, expected)
    halves, after = stack(x[:2])
    torch.testing.assert_close(torch.cat([halves, stack(x[2:], after)[0]]), expected)
    assert len(states) == 3
    torch.testing.assert_close(copy.deepcopy(stack)(x)[0], expected)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_what_is_seen_of_every_step_is_given_for_each_layer(batch_first, lengths):
    """Of a layer read backwards each step stands where it was read; torch's own give nothing."""
    same = {"batch_first": batch_first, "dtype": torch.float64}
    named = {"return_states": ("c", "f"), **same}
    whole = Recurrent(cells["lstm"], 3, 5, bidirectional=True, **named)
    ahead, back = (Recurrent(cells["lstm"], 3, 5, **named) for _ in range(2))
    for name, weight in ahead.named_parameters():
        weight.data.copy_(getattr(whole, name))
        getattr(back, name).data.copy_(getattr(whole, f"{name}_reverse"))
    top = LSTM(4, [3, 2], return_states=("c",), **same)
    stack = Stacked(Bidirectional(ahead, back), torch.nn.GRU(10, 4, **same), top)
    x = drawn(STEPS, BATCH, 3)
    x = x.transpose(0, 1) if batch_first else x
    output, states, seen = stack(x, lengths=lengths)
    (both, none, above), expected = seen, whole(x, lengths=lengths)[2]
    for name in ("c", "f"):
        near(torch.cat([each[name] for each in both]), expected[name])
    assert none is None and len(states) == 3
    assert [each.shape[-1] for each in above["c"]] == [3, 2]
    if lengths is None:
        near(above["c"][1][0, :, -1] if batch_first else above["c"][1][0, -1], states[2][1][1][0])
        alone, _, (one, _, last) = stack(x[1] if batch_first else x[:, 1])
        near(alone, output[1] if batch_first else output[:, 1])
        near(one[1]["c"], both[1]["c"].select(1 if batch_first else 2, 1))
        near(last["c"][0], above["c"][0].select(1 if batch_first else 2, 1))
        assert len(Encoder(stack)(x)) == 2


@pytest.mark.parametrize("kind", ["Recurrent", "drop-in"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_reset_parts_every_layer(kind, batch_first, lengths):
    make, more = KINDS[kind], {"batch_first": batch_first}
    layer = Stacked(Bidirectional(make(3, 4, **more)), make(8, 5, **more))
    x, reset = drawn(STEPS, BATCH, 3), torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[0, 1] = reset[2, 0] = reset[2, 1] = reset[4, 3] = True
    turned = [each.transpose(0, 1) if batch_first else each for each in (x, reset)]
    output, _ = layer(turned[0], reset=turned[1], lengths=lengths)
    output = output.transpose(0, 1) if batch_first else output
    for row in range(BATCH):
        length = lengths[row] if lengths else STEPS
        cuts = [0, *(t for t in range(1, length) if reset[t, row]), length]
        parts = [layer(x[a:b, row])[0] for a, b in itertools.pairwise(cuts) if b > a]
        if parts:
            near(output[:length, row], torch.cat(parts))
            near(layer(x[:length, row], reset=reset[:length, row])[0], torch.cat(parts))
    before = layer(turned[0])[1]
    again = layer(turned[0], before, reset=turned[1], lengths=lengths)[0]
    assert not torch.equal(again, layer(turned[0], reset=turned[1], lengths=lengths)[0])


def test_it_says_how_each_layer_runs():
    stack = Stacked(Bidirectional(Recurrent(cells["gru"], 3, 5)), torch.nn.GRU(10, 4))
    assert stack.explain().splitlines() == [
        "layer 0, Bidirectional",
        "  layer 0, Recurrent",
        "    c: compiled kernels",
        "  layer 1, Recurrent",
        "    c: compiled kernels",
        "layer 1, GRU",
        "  torch's own",
    ]


def test_dropout_acts_between_and_in_training_only():
    stack = Stacked(GRU(3, 3), GRU(3, 3), dropout=0.5)
    x = drawn(STEPS, BATCH, 3).float()
    assert not torch.equal(stack(x)[0], stack(x)[0])
    torch.testing.assert_close(stack.eval()(x)[0], stack.layers[1](stack.layers[0](x)[0])[0])


def test_inputs_by_name_reach_the_layers_that_have_them():
    text = "v: per sequence\nh[t] = tanh(W @ x[t] + U @ h[t-1] + m[t] * (V @ v))"
    make = lambda i: Recurrent(text, i, 5, sizes={"v": 2, "m": 5}, dtype=torch.float64)  # noqa: E731
    layer = Stacked(Bidirectional(make(3)), KINDS["drop-in"](10, 4))
    x, v, m = drawn(STEPS, BATCH, 3), drawn(BATCH, 2), drawn(STEPS, BATCH, 5)
    output, _ = layer(x, v=v, m=m)
    both = layer.layers[0]
    ahead, back = both.layers
    parts = [ahead(x, v=v, m=m)[0], back(x.flip(0), v=v, m=m.flip(0))[0].flip(0)]
    near(output, layer.layers[1](torch.cat(parts, -1))[0])
    with pytest.raises(ElmanError, match="no layer has an input w"):
        layer(x, w=v)


def test_they_are_encoders_and_their_states_are_bridged():
    encoder = Encoder(Stacked(Bidirectional(GRU(3, 5)), LSTM(10, 4)))
    several = Recurrent([cells["gru"], cells["lstm"]], 3, [6, 4])
    decoder = Decoder(several, attention=Attention(4, 4), start=torch.zeros(3))
    model = EncoderDecoder(encoder, decoder)
    x = drawn(STEPS, BATCH, 3).float()
    found, state, weights = model(x, x[:3], lengths=[6, 2, 1, 4])
    assert found.shape == (3, BATCH, 3) and weights.shape == (3, BATCH, STEPS)
    assert state["h"][1].shape == (1, BATCH, 4) and state["c"][0] is None
    assert model.generate(x, [6, 2, 1, 4], max_steps=5).lengths.shape == (BATCH,)


X = torch.zeros(2, 1, 3)


def test_a_sequence_without_a_batch_goes_on_from_some_states():
    torch.manual_seed(0)
    layer = Stacked(Stacked(GRU(3, 5), torch.nn.GRUCell(5, 4)), LSTM(4, 2)).double()
    x = drawn(STEPS, 3)
    _, (inner, last) = layer(x)
    assert inner[1].shape == (4,)
    for before in ((None, last), (inner, None), ((None, inner[1]), None), None):
        whole = before and tuple(
            each and tuple(None if t is None else t.unsqueeze(t.dim() - 1) for t in each)
            for each in before
        )
        torch.testing.assert_close(layer(x, before)[0], layer(x[:, None], whole)[0][:, 0])


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: Bidirectional(GRU(3, 5), GRU(4, 5)), "E218", "one layer reads 3 numbers"),
        (lambda: Bidirectional(GRU(3, 5), merge="add"), "E413", "concat, sum, mean, mul"),
        (lambda: Bidirectional(GRU(3, 5), GRU(3, 4), "sum"), "E218", "outputs of 5 and 4"),
        (lambda: Bidirectional(GRU(3, 5), read_out=ReadOut(5, 2)), "E218", r"ReadOut\(10"),
        (lambda: Bidirectional(cells["gru"]), "E417", "no recurrent layer"),
        (
            lambda: Stacked(torch.nn.GRU(3, 5))(torch.zeros(2, 1, 3), reset=torch.ones(2, 1)),
            "E405",
            "GRU has no input reset",
        ),
        (lambda: Stacked(GRU(3, 5))(torch.zeros(2, 1, 3), reset=[1, 0, 1]), "E429", "reset"),
        (lambda: Stacked(), "E208", "no layers"),
        (lambda: Stacked(GRU(3, 5), GRU(4, 5)), "E218", "layer 1 reads 4 .* layer 0 gives 5"),
        (lambda: Stacked(GRU(3, 5), GRU(5, 5, batch_first=True)), "E218", "batch_first"),
        (lambda: Stacked(GRU(3, 5), torch.nn.Linear(5, 5)), "E417", "Linear is no recurrent"),
        (lambda: Stacked(GRU(3, 5))(torch.zeros(2, 1, 4)), "E210", r"\(T, B, 3\)"),
        (lambda: Stacked(GRU(3, 5))(torch.zeros(2, 1, 3), lengths=[3]), "E428", "3"),
        (lambda: Stacked(GRU(3, 5))([[1.0]]), "E504", "no tensor"),
        (lambda: Stacked(GRU(3, 5))(rnn.pack_sequence([X[:, 0]]), lengths=[2]), "E234", "lengths"),
        (lambda: Stacked(GRU(4, 5))(rnn.pack_sequence([X[:, 0]])), "E210", "GRU|Stacked"),
        (lambda: Bidirectional(GRU(3, 5), merge="summ"), "E413", "Did you mean 'sum'"),
        (lambda: Stacked(GRU(3, 5))(X, torch.zeros(1, 1, 5)), "E213", "a tuple of 1"),
        (lambda: Stacked(GRU(3, 5))(X, (None, None)), "E213", "is tuple of 2"),
        (lambda: Bidirectional(GRU(3, 5))(X, {"h": None}), "E213", "of Bidirectional is dict"),
        (lambda: Stacked(Stacked(GRU(3, 5)))(X[:, 0], (X,)), "E213", "Stacked is Tensor"),
        (lambda: Stacked(GRU(3, 5))(X, cat=X), "E405", "The layers have none"),
        (lambda: Stacked(GRU(3, 5), GRU(5, 4), dropout=2), "E214", "dropout=2"),
        (lambda: Stacked(GRU(3, 5), GRU(5, 4), residual=True), "E219", r"\[3, 5, 4\]"),
        (lambda: Bidirectional(GRU(3, 5), read_out=torch.nn.Linear(10, 2)), "E218", "is Linear"),
    ],
)
def test_a_mistake_is_named(call, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        call()
    assert caught.value.code == code

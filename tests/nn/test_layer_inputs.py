"""What layers are given in other forms than a tensor (T, B, size), and options that are none."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

import elman  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Bidirectional, ReadOut, Recurrent, Stacked  # noqa: E402
from tests.nn.pairs import drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

LENGTHS = [2, 7, 5]
CELLS = {"gru": elman.cells["gru"], "lstm": elman.cells["lstm"]}
OPTIONS = {
    "plain": {},
    "batch first": {"batch_first": True, "num_layers": 2, "return_states": ("h",)},
    "two ways": {"bidirectional": True, "residual": True, "layer_norm": True},
    "sizes": {"hidden_size": [5, 4], "num_layers": 2, "skip_input": True},
    "masks": {"zoneout": 0.3, "variational_dropout": 0.2, "weight_drop": 0.3},
}


def made(cell, **options):
    options = {"hidden_size": 4, "dtype": torch.float64, **options}
    size = 8 if options.get("residual") else 3
    torch.manual_seed(3)
    return Recurrent(cell, size, **options)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_packed_sequence_is_the_padded_one_with_lengths(cell, name):
    layer = made(CELLS[cell], **OPTIONS[name])
    results = []
    for is_packed in (False, True):
        x = drawn(7, 3, layer.input_size).requires_grad_()
        given = x.transpose(0, 1) if layer.batch_first else x
        torch.manual_seed(11)
        if is_packed:
            packed = pack_padded_sequence(given, LENGTHS, layer.batch_first, enforce_sorted=False)
            output, state, *seen = layer(packed)
            output = pad_packed_sequence(output, layer.batch_first)[0]
        else:
            output, state, *seen = layer(given, lengths=LENGTHS)
        states = [s for v in state.values() for s in (v if isinstance(v, tuple) else (v,))]
        found = [output, *states, *(v for each in seen for v in each.values())]
        loss = sum((t * drawn(*t.shape, seed=k)).sum() for k, t in enumerate(found))
        found += torch.autograd.grad(loss, [x, *layer.parameters()])
        results.append(found)
    for padded, packed in zip(*results, strict=True):
        assert torch.allclose(padded, packed, rtol=1e-12, atol=1e-12)


def test_states_and_inputs_beside_a_packed_sequence_are_in_the_order_that_was_packed():
    layer = Recurrent(
        "s: per sequence\nh[t] = tanh(W @ x[t] + U @ h[t-1] + s + k[t])\n"
        "a[t] = h[t] + 1\nreturn h, a",
        3,
        4,
        dtype=torch.float64,
    )
    x, state, more = drawn(7, 3, 3), {"h": drawn(1, 3, 4)}, {"s": drawn(3, 4), "k": drawn(7, 3, 4)}
    outputs, after = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False), state, **more)
    wholes, final = layer(x, state, lengths=LENGTHS, **more)
    for packed, whole in zip(outputs, wholes, strict=True):
        assert torch.allclose(pad_packed_sequence(packed)[0], whole, atol=1e-12)
    assert torch.allclose(after["h"], final["h"], atol=1e-12)
    _, again = layer(pack_padded_sequence(x, LENGTHS, enforce_sorted=False), after, **more)
    assert torch.allclose(again["h"], layer(x, final, lengths=LENGTHS, **more)[1]["h"], atol=1e-12)


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_of_layers_take_packed_sequences(batch_first):
    torch.manual_seed(0)
    form = {"batch_first": batch_first, "dtype": torch.float64}
    both = Bidirectional(Recurrent(CELLS["gru"], 3, 4, **form), read_out=ReadOut(8, 5).double())
    own, seeing = torch.nn.LSTM(5, 5, **form), LSTM(5, 2, return_states=("f",), **form)
    layer = Stacked(both, own, seeing, residual=True)
    x = drawn(7, 3, 3).requires_grad_()
    given = x.transpose(0, 1) if batch_first else x
    for before in (None, elman.nn.detach(layer(given)[1])):
        whole, after, seen = layer(given, before, lengths=LENGTHS)
        packed = pack_padded_sequence(given, LENGTHS, batch_first, enforce_sorted=False)
        output, *rest = layer(packed, before)
        found = [[pad_packed_sequence(output, batch_first)[0], *rest], [whole, after, seen]]
        torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)
        slopes = [torch.autograd.grad(each[0].square().sum(), x)[0] for each in found]
        torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make", [made, lambda cell: Stacked(made(cell))])
def test_a_packed_sequence_has_its_lengths(make):
    packed = pack_padded_sequence(drawn(7, 3, 3), [7, 5, 2])
    for more in ({"lengths": [7, 5, 2]}, {"reset": torch.zeros(7, 3)}):
        with pytest.raises(ElmanError, match="packed sequence with lengths or reset") as caught:
            make(CELLS["gru"])(packed, **more)
        assert caught.value.code == "E234"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LSTM, {"bidirectional": True, "num_layers": 2}),
        (LSTM, {"proj_size": 2}),
        (GRU, {"batch_first": True}),
        (RNN, {"bias": False, "num_layers": 2, "nonlinearity": "relu"}),
        (GRU, {"zoneout": 0.2, "learn_initial_state": True}),
        (LSTM, {"remat": 3, "bidirectional": True}),
    ],
)
@pytest.mark.parametrize("marks", ["lengths", "reset", "both"])
def test_frozen_drop_ins_read_the_weights_of_now(kind, options, marks):
    layer = kind(3, 4, **options).double().eval()
    reset = torch.zeros(7, 3, dtype=torch.bool)
    reset[[0, 3, 6], [0, 1, 1]] = True
    x, is_first = drawn(7, 3, 3), layer.batch_first
    more = {"lengths": LENGTHS, "reset": reset.T if is_first else reset}
    more = more if marks == "both" else {marks: more[marks]}
    given = x.transpose(0, 1) if is_first else x
    frozen = kind(3, 4, **options).double().freeze()
    changes = (
        lambda: layer.weight_hh_l0.data.mul_(1),
        lambda: layer.weight_hh_l0.copy_(drawn(*layer.weight_hh_l0.shape, seed=5)),
        lambda: setattr(layer, "weight_ih_l0", torch.nn.Parameter(layer.weight_ih_l0 * 2)),
    )
    before = layer(given)[1]
    for change in changes:
        with torch.no_grad():
            change()
        frozen.load_state_dict(layer.state_dict())
        for state in (None, before):
            wanted, got = layer(given, state, **more), frozen(given, state, **more)
            for one, other in zip(leaves(wanted), leaves(got), strict=True):
                assert torch.allclose(one, other, rtol=1e-12, atol=1e-12)
    with torch.no_grad():
        frozen.weight_hh_l0.mul_(3)
        layer.weight_hh_l0.mul_(3)
        frozen.weight_ih_l0 = torch.nn.Parameter(layer.weight_ih_l0 * 2, requires_grad=False)
        layer.weight_ih_l0.mul_(2)
        assert torch.allclose(layer(given, **more)[0], frozen(given, **more)[0], atol=1e-12)
    assert "weights packed once" in frozen.explain()


def leaves(found):
    if isinstance(found, torch.Tensor):
        return [found]
    return [leaf for each in found for leaf in leaves(each)]


def test_a_frozen_drop_in_with_options_packs_once(monkeypatch):
    from elman.nn import frozen as room

    layer = LSTM(3, 4, zoneout=0.2).freeze()
    count = []
    pack = room.pack_layers
    monkeypatch.setattr(room, "pack_layers", lambda *given: count.append(1) or pack(*given))
    for _ in range(3):
        with torch.no_grad():
            layer(drawn(2, 1, 3).float())
    with torch.inference_mode():
        layer(drawn(2, 1, 3).float())
    assert not count
    x = drawn(2, 1, 3).float().requires_grad_()
    layer(x)[0].sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("kind", [Recurrent, LSTM])
@pytest.mark.parametrize("given", ["yes", ("h",), [True, False], 2, None])
@pytest.mark.parametrize("name", ["learn_initial_state", "residual", "layer_norm", "skip_input"])
def test_a_switch_is_true_or_false(kind, name, given):
    with pytest.raises(ElmanError, match=f"{name}=.*\n  It is True or False.") as caught:
        kind(
            CELLS["lstm"] if kind is Recurrent else 4,
            4,
            *((4,) if kind is Recurrent else ()),
            **{name: given},
        )
    assert caught.value.code == "E214"


def test_switches_of_every_kind_of_true_and_false():
    import numpy as np

    layer = made(CELLS["gru"], skip_input=1, layer_norm=np.True_, bidirectional=0)
    assert layer(drawn(2, 3, 3))[0].shape == (2, 3, 7)
    with pytest.raises(ElmanError, match="bidirectional='no'"):
        made(CELLS["gru"], bidirectional="no")


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.1}, {"learn_initial_state": True}])
def test_tensors_on_another_device_are_named(options):
    x, far = torch.zeros(5, 2, 3), torch.zeros(5, 2, 3, device="meta")
    state = torch.zeros(1, 2, 4, device="meta")
    recurrent, lstm = Recurrent(CELLS["lstm"], 3, 4, **options), LSTM(3, 4, **options)
    for call, words in (
        (lambda: recurrent(far), "x is on meta, the layer's weights are on cpu"),
        (lambda: recurrent(x, {"h": state}), "the state h is on meta"),
        (lambda: Recurrent(CELLS["gru"], 3, 4, device="meta")(x), "x is on cpu.*on meta"),
        (lambda: Stacked(recurrent)(far), "x is on meta"),
        (lambda: lstm(far, lengths=[5, 3]), "input is on meta, the weights of LSTM"),
        (lambda: lstm(x, (state, state), lengths=[5, 3]), r"hx\[0\] is on meta"),
    ):
        with pytest.raises(ElmanError, match=words) as caught:
            call()
        assert caught.value.code == "E547"


def test_marks_without_numbers_and_in_bfloat16():
    layer, x = made(CELLS["gru"]), drawn(5, 2, 3)
    lengths, reset = torch.tensor([5, 3]), torch.zeros(5, 2)
    reset[2, 0] = 1
    for more, code in (({"lengths": lengths}, "E428"), ({"reset": reset > 0}, "E429")):
        with pytest.raises(ElmanError, match='is on "meta", where there are shapes') as caught:
            layer(x, **{name: given.to("meta") for name, given in more.items()})
        assert caught.value.code == code
    half = layer(x, lengths=lengths.bfloat16(), reset=reset.bfloat16())[0]
    assert torch.equal(half, layer(x, lengths=lengths, reset=reset)[0])
    shapes = Recurrent(CELLS["gru"], 3, 4, device="meta")
    far = torch.zeros(5, 2, 3, device="meta")
    assert shapes(far, lengths=[5, 3], reset=reset.to("meta"))[0].shape == (5, 2, 4)
    assert shapes(far, lengths=lengths.to("meta"))[0].shape == (5, 2, 4)


@pytest.mark.parametrize("options", [{}, {"zoneout": 0.1}, {"residual": True, "num_layers": 2}])
def test_errors_are_torchs_with_options_too(options):
    layer = LSTM(3, 4, **options)
    x, pair = torch.zeros(5, 2, 3), (torch.zeros(1, 2, 5),) * 2
    for given in ((torch.zeros(5, 2, 4),), (x, pair), (x.double(),), (torch.zeros(0, 2, 3),)):
        with pytest.raises(Exception) as torchs:
            torch.nn.LSTM(3, 4, layer.num_layers)(*given)
        with pytest.raises(ElmanError) as caught:
            layer(*given, lengths=[5, 3])
        assert isinstance(caught.value, type(torchs.value))
        assert str(torchs.value) in str(caught.value)


def test_a_name_that_is_nearly_lengths():
    with pytest.raises(ElmanError, match=r"no input length\n.*Did you mean 'lengths'"):
        made(CELLS["gru"])(drawn(5, 2, 3), length=[5, 3])


def test_a_first_state_that_is_no_leaf_and_one_that_is():
    steps = "h[t] = tanh(W @ x[t] + U @ h[t-1])\nc[t] = c[t-1] + h[t]\n"
    layer = Recurrent(f"{steps}h[0] = tanh(a)\nc[0] = b\nb: hidden", 3, 4, dtype=torch.float64)
    with torch.no_grad():
        layer.a_l0.copy_(drawn(*layer.a_l0.shape)), layer.b_l0.copy_(drawn(4, seed=2))
    x, reset = drawn(5, 2, 3), torch.zeros(5, 2, dtype=torch.bool)
    start = {"h": layer.a_l0.tanh().expand(1, 2, 4), "c": layer.b_l0.expand(1, 2, 4)}
    want, after = layer(x, start)
    found, final = layer(x)
    assert torch.allclose(found, want, atol=1e-12)
    assert torch.allclose(final["c"], after["c"], atol=1e-12)
    reset[0] = True
    again, final = layer(x, {"h": drawn(1, 2, 4), "c": drawn(1, 2, 4)}, reset=reset)
    assert torch.allclose(again, want, atol=1e-12)
    assert torch.allclose(final["c"], after["c"], atol=1e-12)
    partly = layer(x, {"c": start["c"]})
    assert torch.allclose(partly[1]["c"], after["c"], atol=1e-12)
    loss = found.sum() + final["c"].sum()
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(loss, [layer.a_l0, layer.b_l0]))

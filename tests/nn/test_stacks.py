"""Stacks of any cells: two directions, layers of several kinds and sizes, what is between them."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from elman import cells  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from tests.nn.pairs import drawn, tuples  # noqa: E402
from tests.nn.torch_twins import stacked_gradients, twins  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

GRU, LSTM = cells["gru"], cells["lstm"]
STEPS, BATCH = 7, 4
LENGTHS = [7, 2, 1, 5]
TWO = {"num_layers": 2, "bidirectional": True}


def made(cell, *sizes, **options):
    torch.manual_seed(3)
    return Recurrent(cell, *(sizes or (3, 5)), dtype=torch.float64, **options)


def own(layer, k):
    """The weights of a layer of a stack, as a layer alone calls them."""
    known = layer.state_dict().items()
    return {n.replace(f"_l{k}", "_l0"): w for n, w in known if n.endswith(f"_l{k}")}


def near(found, expected, tolerance=1e-12):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_two_directions_are_those_of_torch(kind, batch_first):
    theirs, ours = twins(kind, batch_first=batch_first, **TWO)
    x = drawn(*((BATCH, STEPS, 3) if batch_first else (STEPS, BATCH, 3)))
    before = [drawn(4, BATCH, 5, seed=k) for k in (1, 2)]
    given = tuple(before) if kind == "LSTM" else before[0]
    expected, last = theirs(x, given)
    output, state = ours(
        x, dict(zip("hc", before, strict=False)) if kind == "LSTM" else {"h": given}
    )
    near(output, expected)
    near(tuple(state.values()), tuples(last))
    output.square().sum().backward()
    expected.square().sum().backward()
    gradients = stacked_gradients(kind, ours, theirs)
    for name, parameter in theirs.named_parameters():
        near(gradients[name], parameter.grad)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_two_directions_with_lengths_are_those_of_a_packed_sequence(kind):
    theirs, ours = twins(kind, **TWO)
    x, mine = drawn(STEPS, BATCH, 3).requires_grad_(), drawn(STEPS, BATCH, 3)
    for row, length in enumerate(LENGTHS):
        mine[length:, row] = torch.nan
    mine.requires_grad_()
    packed, last = theirs(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    expected = pad_packed_sequence(packed)[0]
    output, state = ours(mine, lengths=LENGTHS)
    near(output, expected)
    near(tuple(state.values()), tuples(last))
    output.square().sum().backward()
    expected.square().sum().backward()
    near(mine.grad, x.grad)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_a_reset_parts_both_directions(lengths):
    layer = made(LSTM, bidirectional=True)
    x, reset = drawn(STEPS, BATCH, 3), torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[3, :2] = True
    whole, _ = layer(x, reset=reset, lengths=lengths)
    for row in range(BATCH):
        length = lengths[row] if lengths else STEPS
        cut = min(3, length) if row < 2 else length
        parts = [x[:cut, row], *([x[cut:length, row]] if cut < length else [])]
        near(whole[:length, row], torch.cat([layer(part)[0] for part in parts]))


def test_inputs_of_every_kind_are_turned():
    text = "h[t] = tanh(W @ x[t] + m[t] * (U @ h[t-1]) + s * v)\ns: scalar\nv: per sequence"
    text = text.replace("s: scalar\n", "m: per step\n").replace("s * v", "V @ v")
    layer = made(text, bidirectional=True, sizes={"v": 2})
    x, m, v = drawn(STEPS, BATCH, 3), drawn(STEPS, 5), drawn(BATCH, 2)
    output, state = layer(x, m=m, v=v)
    back = made(text, sizes={"v": 2})
    own = {k.removesuffix("_reverse"): w for k, w in layer.state_dict().items() if "reverse" in k}
    back.load_state_dict(own)
    expected, last = back(x.flip(0), m=m.flip(0), v=v)
    near(output[..., 5:], expected.flip(0))
    near(state["h"][1:], last["h"])
    with pytest.raises(ElmanError, match="m is one stream for all sequences") as caught:
        layer(x, m=m, v=v, lengths=LENGTHS)
    assert caught.value.code == "E219"


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, TWO, {"remat": 2}, {"batch_first": True}]
)
def test_states_and_gates_of_every_step(options):
    layer = made(LSTM, return_states=("c", "f", "h"), **options)
    plain = made(LSTM, **options)
    x = drawn(STEPS, BATCH, 3)
    first = options.get("batch_first", False)
    given = x.transpose(0, 1) if first else x
    output, state, seen = layer(given)
    near(output, plain(given)[0])
    if first:
        seen = {name: each.transpose(1, 2) for name, each in seen.items()}
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    assert {name: tuple(each.shape) for name, each in seen.items()} == dict.fromkeys(
        ("c", "f", "h"), (rows, STEPS, BATCH, 5)
    )
    for row in range(rows):
        end = 0 if layer.bidirectional and row % 2 else -1
        near(seen["c"][row, end], state["c"][row])
        near(seen["h"][row, end], state["h"][row])
    run = LSTM.run(
        {"x": x.numpy()},
        {
            n.removesuffix("_l0"): p.detach().numpy()
            for n, p in layer.named_parameters()
            if n.endswith("_l0")
        },
    )
    near(seen["f"][0], torch.from_numpy(run["f"]))
    near(seen["c"][0], torch.from_numpy(run["c"]))
    (seen["c"].sum() + seen["f"].square().sum()).backward()
    assert all(p.grad.abs().sum() > 0 for n, p in layer.named_parameters() if "_f" in n)


def test_gates_behind_the_lengths_and_of_a_step():
    layer = made(GRU, return_states="z")
    x = drawn(STEPS, BATCH, 3)
    whole = layer(x, lengths=LENGTHS)[2]["z"]
    for row, length in enumerate(LENGTHS):
        near(whole[0, :length, row], layer(x[:length, row])[2]["z"][0])
    _, _, seen = layer.step(x[0])
    near(seen["z"], whole[:, 0])
    assert layer(x[:, 0])[2]["z"].shape == (1, STEPS, 5)


def test_layers_of_several_sizes():
    layer = made(GRU, 3, [5, 4, 6])
    x = drawn(STEPS, BATCH, 3)
    output, state = layer(x)
    below = x
    for k, (width, hidden) in enumerate([(3, 5), (5, 4), (4, 6)]):
        one = made(GRU, width, hidden)
        own = {
            n.replace(f"_l{k}", "_l0"): w for n, w in layer.state_dict().items() if f"_l{k}" in n
        }
        one.load_state_dict(own)
        below, last = one(below)
        near(state["h"][k], last["h"])
    near(output, below)
    assert layer.output_size == 6
    again, _ = layer(drawn(2, BATCH, 3, seed=1), state)
    halves = torch.cat([layer(x[:3])[0], layer(x[3:], layer(x[:3])[1])[0]])
    near(halves, output)
    assert again.shape == (2, BATCH, 6)


def test_layers_of_several_cells():
    layer = made([GRU, LSTM, GRU], 3, 5)
    x = drawn(STEPS, BATCH, 3)
    output, state = layer(x)
    assert state["h"].shape == (3, BATCH, 5)
    assert [None if c is None else tuple(c.shape) for c in state["c"]] == [
        None,
        (1, BATCH, 5),
        None,
    ]
    near(torch.cat([layer(x[:3])[0], layer(x[3:], layer(x[:3])[1])[0]]), output)
    h, _ = layer.step(x[0], state)
    near(h, layer(x[:1], state)[0][0])
    one, last = layer(x[:, 0])
    near(one, output[:, 0])
    assert last["c"][1].shape == (1, 5)
    near(
        layer(x[:, 0], last)[0],
        layer(x[:, :1], {"h": state["h"][:, :1], "c": (None, state["c"][1][:, :1], None)})[0][:, 0],
    )


def test_sizes_go_to_the_cells_that_have_them():
    layer = made([GRU, cells["lstmp"], GRU], 3, 4, sizes={"cell": 6})
    output, state = layer(drawn(STEPS, BATCH, 3))
    assert output.shape == (STEPS, BATCH, 4) and state["c"][1].shape == (1, BATCH, 6)
    with pytest.raises(ElmanError, match="no size 'sell'"):
        made([GRU, cells["lstmp"]], 3, 4, sizes={"sell": 6})


def test_constants_of_several_cells_are_their_own():
    slow, fast = (f"a = {a}\nh[t] = a * h[t-1] + (1 - a) * tanh(W @ x[t])" for a in (0.9, 0.1))
    layer = made([slow, fast], 3, 3)
    one, other = made(slow, 3, 3), made(fast, 3, 3)
    state = layer.state_dict()
    one.load_state_dict({"W_l0": state["W_l0"]})
    other.load_state_dict({"W_l0": state["W_l1"]})
    x = drawn(STEPS, BATCH, 3)
    near(layer(x)[0], other(one(x)[0])[0])


def test_residual_and_normalised():
    layer = made(GRU, 5, 5, 3, residual=True, layer_norm=True, skip_input=True)
    x = drawn(STEPS, BATCH, 5)
    below = x
    for k in range(3):
        one = made(GRU, 5, 5)
        one.load_state_dict(
            {
                n.replace(f"_l{k}", "_l0"): w
                for n, w in layer.state_dict().items()
                if n.endswith(f"_l{k}")
            }
        )
        below = below + one(torch.nn.functional.layer_norm(below, (5,)))[0]
    output, _ = layer(x)
    near(output, torch.cat([below, x], dim=-1))
    assert layer.output_size == 10
    assert layer.norm_l0.weight.dtype is torch.float64


@pytest.mark.parametrize(
    "options",
    [{"residual": True}, {"layer_norm": True}, {"skip_input": True}, {"learn_initial_state": True}],
)
def test_what_is_behind_the_lengths_is_in_nothing(options):
    layer = made(GRU, 5, 5, 2, **options)
    x = drawn(STEPS, BATCH, 5)
    parts = [layer(x[:length, row])[0] for row, length in enumerate(LENGTHS)]
    for row, length in enumerate(LENGTHS):
        x[length:, row] = torch.nan
    output, _ = layer(x, lengths=LENGTHS)
    for row, (length, part) in enumerate(zip(LENGTHS, parts, strict=True)):
        near(output[:length, row], part)
        assert not output[length:, row].any()
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("name", ["clockwork", "mlstm", "skip_rnn"])
def test_first_states_of_every_form_are_learned(name):
    sizes = {"key": 4} if name == "mlstm" else {}
    layer = made(cells[name], 4, 4, learn_initial_state=True, sizes=sizes)
    x = drawn(STEPS, BATCH, 4)
    torch.testing.assert_close(layer(x)[0][:, 1], layer(x[:, 1])[0])
    shapes = {n: tuple(p.shape) for n, p in layer.named_parameters() if "_0_l0" in n}
    expected = {
        "clockwork": {"h_0_l0": (4,)},
        "mlstm": {"C_0_l0": (4, 4), "n_0_l0": (4,), "m_0_l0": ()},
        "skip_rnn": {"h_0_l0": (4,)},  # p begins where its line says
    }
    assert shapes == expected[name]


@pytest.mark.parametrize("name", ["lstm", "narx_rnn", "slstm"])
def test_the_first_state_is_learned(name):
    layer = made(cells[name], num_layers=2, learn_initial_state=True)
    plain = made(cells[name], num_layers=2)
    starts = [n for n in layer.state_dict() if n not in plain.state_dict()]
    count = {"lstm": 2, "narx_rnn": 4, "slstm": 3}[name]  # m of slstm begins where its line says
    assert len(starts) == 2 * count
    x = drawn(STEPS, BATCH, 3)
    plain.load_state_dict({n: w for n, w in layer.state_dict().items() if n not in starts})
    near(layer(x)[0], plain(x)[0])  # they begin at 0
    with torch.no_grad():
        for n in starts:
            getattr(layer, n).copy_(drawn(5, seed=len(n)).abs())
    output, _ = layer(x)
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[3] = True
    near(layer(x, reset=reset)[0][3:], layer(x[3:])[0])
    output.square().sum().backward()
    felt = [n for n in starts if n.endswith("_l0") and getattr(layer, n).grad.any()]
    assert (
        len(felt) == {"lstm": 2, "narx_rnn": 4, "slstm": 1}[name]
    )  # slstm forgets c and n at first


def test_dropout_and_draws_of_both_directions():
    layer = made(GRU, 3, 5, dropout=0.5, **TWO)
    x = drawn(STEPS, BATCH, 3)
    torch.manual_seed(1)
    one = layer(x)[0]
    torch.manual_seed(1)
    near(layer(x)[0], one)
    assert not torch.equal(layer(x)[0], one)
    near(layer.eval()(x)[0], made(GRU, 3, 5, **TWO)(x)[0])
    random = made(cells["zoneout_lstm"], 3, 5, bidirectional=True)
    _, state = random(x)
    assert state["random seed"][0, 0] != state["random seed"][1, 0]


def test_copies_files_and_words():
    layer = made([GRU, LSTM], 3, [5, 4], bidirectional=True, return_states="h", residual=False)
    x = drawn(STEPS, BATCH, 3)
    expected = layer(x)[0]
    near(copy.deepcopy(layer)(x)[0], expected)
    kept = io.BytesIO()
    torch.save(layer, kept)
    kept.seek(0)
    near(torch.load(kept, weights_only=False)(x)[0], expected)
    near(layer.freeze()(x)[0], expected)
    words = "gru, lstm, 3, (5, 4), num_layers=2, bidirectional=True, return_states=('h',)"
    assert layer.extra_repr() == words


NUMBER = "h[t] = u[t] + 0.5 * h[t-1]\nu: scalar\nh: scalar"


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: made(GRU, return_states=("c", "q")), "E407", "computes no c"),
        (lambda: made(GRU, return_states=1), "E407", "return_states=1"),
        (lambda: made([GRU, LSTM], 3, 5, return_states="c"), "E407", "cell gru computes no c"),
        (lambda: made(GRU, 3, 5, residual=True), "E219", r"hidden_size=3"),
        (lambda: made(NUMBER, 1, 1, bidirectional=True), "E219", "no vector"),
        (lambda: made(GRU, bidirectional=True).step(drawn(4, 3)), "E219", "no single steps"),
        (lambda: made(GRU, 3, [5, 4], num_layers=3), "E208", "list of 2, and there are 3"),
        (lambda: made([GRU, LSTM], 3, [5, 4, 3]), "E208", "list of 3, and there are 2"),
        (lambda: made(GRU, **TWO)(drawn(2, 4, 3), {"h": drawn(2, 4, 5)}), "E213", r"\(4, 4, 5\)"),
        (lambda: made(GRU, 3, [5, 4])(drawn(2, 4, 3), {"h": drawn(2, 4, 5)}), "E213", "tuple of 2"),
        (
            lambda: made(GRU, 3, [5, 4])(drawn(2, 4, 3), {"h": (None, drawn(1, 4, 5))}),
            "E213",
            r"h of layer 1 is \(1, 4, 5\), and the layer needs \(1, 4, 4\)",
        ),
    ],
)
def test_a_mistake_is_named(call, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        call()
    assert caught.value.code == code

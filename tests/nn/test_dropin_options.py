"""What the drop-ins have beside torch's arguments: against `Recurrent` on the same equations."""

from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

import elman  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import LSTM, Recurrent  # noqa: E402
from elman.nn.driven import StateForm  # noqa: E402
from elman.nn.torch_stacks import equations  # noqa: E402
from tests.nn.pairs import drawn, pair, tuples  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

KINDS = ("RNN", "LSTM", "GRU")
OPTIONS = {
    "none": {},
    "all states": {"return_states": ("h",), "num_layers": 2, "bidirectional": True},
    "learned states": {"learn_initial_state": True, "num_layers": 2},
    "residual": {"residual": True, "num_layers": 3, "batch_first": True},
    "norm": {"layer_norm": True, "num_layers": 2, "bidirectional": True},
    "input too": {"skip_input": True, "batch_first": True},
    "sizes": {"hidden_size": [6, 4], "num_layers": 2, "bidirectional": True, "bias": False},
    "blocks": {"residual": True, "num_layers": 2, "remat": 2},
    "zoneout": {"zoneout": 0.3, "weight_drop": 0.25, "num_layers": 2, "bidirectional": True},
    "masks": {"variational_dropout": (0.2, 0.5), "recurrent_dropout": 0.1},
}
LENGTHS = [7, 3, 5, 1]
RESET = torch.zeros(7, 4, dtype=torch.bool)
RESET[[0, 2, 3, 6], [0, 1, 2, 0]] = True


LETTERS = {"weight_ih": "W_i", "weight_hh": "W_h", "bias_ih": "b_i", "bias_hh": "b_h"}
GATES = {"RNN": "h", "LSTM": "ifgo", "GRU": "rzn"}


def rows_of(ours):
    """Of each weight of torch's, what its rows are called in the equations."""
    for own in ours._flat_weights_names:
        kind, _, layer = own.partition("_l")
        yield own, [f"{LETTERS[kind]}{gate}_l{layer}" for gate in GATES[type(ours).__name__]]


def both(kind, name):
    """The drop-in, and a layer of the same equations with the same weights."""
    torch.manual_seed(7)
    options = {"hidden_size": 5, **OPTIONS[name], "dtype": torch.float64}
    ours = getattr(elman.nn, kind)(3, **options)
    bias = options.pop("bias", True)
    layer = Recurrent(equations(ours.mode, bias), 3, **options)
    weights = dict(layer.named_parameters())
    with torch.no_grad():
        for own, rows in rows_of(ours):
            for row, part in zip(rows, getattr(ours, own).chunk(len(rows)), strict=True):
                weights[row].copy_(part)
        for own, parameter in ours.named_parameters():
            if own not in ours._flat_weights_names:
                weights[own].copy_(parameter.normal_())
    return ours, layer


def leaves(found):
    """Every tensor of what a layer gives."""
    if isinstance(found, dict):
        found = tuple(found.values())
    if isinstance(found, torch.Tensor):
        return [found]
    return [leaf for each in found for leaf in leaves(each)]


def assert_same(found, expected, near=1e-12):
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=near)


def _seeded(layer, x, said):
    """What is drawn is the same for both."""
    torch.manual_seed(3)
    return layer(x, **said)


@pytest.mark.parametrize("marks", ["", "lengths, reset"])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_as_recurrent(kind, name, marks):
    ours, layer = both(kind, name)
    x = drawn(7, 4, 3).requires_grad_()
    given = x.transpose(0, 1) if ours.batch_first else x
    said = {"lengths": LENGTHS, "reset": RESET.T if ours.batch_first else RESET}
    said = {k: v for k, v in said.items() if k in marks}
    found, expected = (_seeded(each, given, said) for each in (ours, layer))
    expected = expected[0], [expected[1][n] for n in ("h", "c") if n in expected[1]], *expected[2:]
    assert_same(found, expected)
    total = sum((leaf * drawn(*leaf.shape)).sum() for leaf in leaves(found))
    (by_x,) = torch.autograd.grad(total, x, retain_graph=True)
    total.backward()
    x.grad = None
    sum((leaf * drawn(*leaf.shape)).sum() for leaf in leaves(expected)).backward()
    assert_same(by_x, x.grad)
    grads = {n: p.grad for n, p in layer.named_parameters()}
    for own, rows in rows_of(ours):
        assert_same(getattr(ours, own).grad, torch.cat([grads[row] for row in rows]))
    for own, parameter in ours.named_parameters():
        if own not in ours._flat_weights_names:
            assert_same(parameter.grad, grads[own])


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_states_go_on_and_packed_sequences(kind, name):
    ours, layer = (each.eval() for each in both(kind, name))
    x = drawn(7, 4, 3)

    def given(x):
        return x.transpose(0, 1) if ours.batch_first else x

    if not ours.bidirectional:
        _, state, *_ = ours(given(x[:3]), reset=given(RESET[:3]))
        _, after, *_ = ours(given(x[3:]), state, reset=given(RESET[3:]))
        assert_same(after, ours(given(x), reset=given(RESET))[1])
    packed, state, *seen = ours(pack_padded_sequence(x, LENGTHS, enforce_sorted=False))
    whole, after, *all_seen = ours(given(x), lengths=LENGTHS)
    assert_same(given(pad_packed_sequence(packed)[0]), whole)
    assert_same([state, *seen], [after, *all_seen])
    alone, after, *_ = ours(x[:, 1])
    assert_same(alone, layer(x[:, 1])[0])
    assert_same(ours(x[:, 1], after)[0], layer(x[:, 1], named(ours, after))[0])


def named(layer, state):
    return dict(zip("hc", state if layer.mode == "LSTM" else (state,), strict=False))


@pytest.mark.parametrize("name", ["all states", "norm", "learned states", "sizes"])
@pytest.mark.parametrize("kind", KINDS)
def test_copies_files_and_formats(kind, name):
    ours, _ = both(kind, name)
    x = drawn(7, 4, 3)
    expected = ours(x)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert_same(twin(x), expected, 0)
        with torch.no_grad():
            twin.weight_hh_l1.zero_()
        assert not torch.equal(twin(x)[0], expected[0])
    other, _ = both(kind, name)
    other.reset_parameters()
    assert_same(ours(x), expected, 0)
    other.load_state_dict(ours.state_dict())
    assert_same(other(x), expected, 0)
    own = {n: 2 * p for n, p in ours.named_parameters()}
    doubled = torch.func.functional_call(ours, own, (x,))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    assert_same(doubled, other(x))
    half = copy.deepcopy(ours).half()
    assert half(x.half())[0].dtype is torch.float16
    assert_same(half(x.half())[0].double(), expected[0], 0.1)
    frozen = copy.deepcopy(ours).freeze()
    assert_same(frozen(x), expected, 0)


def test_dropout_between_layers_is_drawn_as_torch_draws_it():
    theirs, ours = pair("GRU", num_layers=3, dropout=0.5, bidirectional=True)
    for told in ({"lengths": [4] * 7}, {"reset": torch.zeros(4, 7, dtype=torch.bool)}):
        found = []
        for layer, said in ((theirs, {}), (ours, told)):
            torch.manual_seed(3)
            found.append(layer(drawn(4, 7, 3), **said))
        assert_same(*found)


def test_dropout_may_be_changed_later():
    ours = elman.nn.GRU(3, 5, num_layers=2, dropout=0.9, return_states=("z",))
    ours.dropout, x = 0.0, drawn(4, 7, 3).float()
    (output, *_), (again, *_) = ours(x), ours(x)
    assert torch.equal(output, again)
    ours.dropout = 0.5
    assert not torch.equal(ours(x)[0], output)


def test_the_gates_of_every_step():
    layer = LSTM(3, 5, return_states=("c", "f", "h"), dtype=torch.float64)
    x = drawn(7, 4, 3)
    output, (_, c), seen = layer(x)
    assert list(seen) == ["c", "f", "h"]
    assert seen["f"].shape == (1, 7, 4, 5)
    assert_same([seen["h"][0], seen["c"][0, -1]], [output, c[0]])
    before = torch.cat([torch.zeros(1, 4, 5, dtype=x.dtype), output[:-1]])
    rows = slice(5, 10)
    f = x @ layer.weight_ih_l0[rows].T + before @ layer.weight_hh_l0[rows].T
    f = torch.sigmoid(f + layer.bias_ih_l0[rows] + layer.bias_hh_l0[rows])
    assert_same(seen["f"][0], f)
    assert repr(layer) == "LSTM(3, 5, return_states=('c', 'f', 'h'))"


def test_a_projection_with_options():
    layer = LSTM(3, 5, 2, proj_size=2, return_states="c", residual=True, dtype=torch.float64)
    output, (h, c), seen = layer(drawn(7, 4, 3))
    assert (output.shape, h.shape, c.shape) == ((7, 4, 2), (2, 4, 2), (2, 4, 5))
    assert seen["c"].shape == (2, 7, 4, 5)
    assert_same(seen["c"][:, -1], c)
    plain = LSTM(3, 5, 2, proj_size=2, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    assert_same(output - plain(drawn(7, 4, 3))[0], seen_below(plain))


def seen_below(layer):
    """The output of the first of two layers."""
    first = LSTM(3, 5, proj_size=2, dtype=torch.float64)
    first.load_state_dict({k: v for k, v in layer.state_dict().items() if "l0" in k})
    return first(drawn(7, 4, 3))[0]


def test_a_layer_that_was_torchs_has_lengths_too():
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, 5, 2, bidirectional=True)})
    packed = pack_padded_sequence(torch.randn(7, 4, 3), LENGTHS, enforce_sorted=False)
    expected, (h, _) = model["rnn"](packed)
    elman.accelerate(model)
    output, (last, _) = model["rnn"](pad_packed_sequence(packed)[0], lengths=LENGTHS)
    assert_same([output, last], [pad_packed_sequence(expected)[0], h], 1e-6)


def test_a_first_state_is_learned():
    layer = LSTM(3, 5, learn_initial_state=True)
    assert [n for n, _ in layer.named_parameters()][-2:] == ["h_0_l0", "c_0_l0"]
    assert not layer.h_0_l0.any()
    layer(torch.zeros(4, 2, 3))[0].sum().backward()
    assert layer.h_0_l0.grad.any() and layer.c_0_l0.grad.any()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_what_torchs_compilers_are_told():
    class Model(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x)[0]

    layer, x = LSTM(3, 5, 2, residual=True), torch.randn(4, 2, 3)
    graph = torch.fx.symbolic_trace(Model(layer))
    assert_same(graph(x), layer(x)[0])
    with pytest.raises(ElmanError, match="E549"):
        torch.jit.script(Model(layer))


def test_states_of_several_sizes_by_name_and_back():
    form, state = StateForm.of(LSTM(3, [5, 6])), ((drawn(1, 2, 5), drawn(1, 2, 6)),) * 2
    assert list(form.read(state)) == ["h.0", "h.1", "c.0", "c.1"]
    assert form.write(form.read(state)) == state
    alone = StateForm.of(elman.nn.GRU(3, [5, 6]))
    assert alone.write(alone.read(state[0])) == state[0]


def test_options_that_cannot_be():
    packed = pack_padded_sequence(drawn(4, 2, 3), [4, 2])
    for wrong, code in (
        (lambda: LSTM(3, 5, return_states=("q",)), "E407"),
        (lambda: LSTM(3, [5, 6], num_layers=3), "E234"),
        (lambda: LSTM(3, [5, 0]), "E234"),
        (lambda: LSTM(3, [5, 6], proj_size=2), "E234"),
        (lambda: LSTM(3, 5, residual=True), "E219"),
        (lambda: LSTM(3, 5)(drawn(4, 2, 2), lengths=[4, 2]), "E232"),
        (lambda: LSTM(3, 5).double()(drawn(4, 2, 3), drawn(2, 1, 2, 5), lengths=[4, 2]), "E548"),
        (lambda: LSTM(3, [5]).double()(drawn(4, 2, 3), drawn(2, 1, 2, 5)), "E548"),
        (lambda: LSTM(3, [5]).double()(drawn(4, 2, 3), (drawn(1, 2, 5),) * 3), "E548"),
        (lambda: LSTM(3, 5)(drawn(4, 2, 3), lengths=[4, 2]), "E546"),
        (lambda: LSTM(3, 5)(drawn(4, 2, 3).float(), lengths=[5, 2]), "E428"),
        (lambda: LSTM(3, 5).double()(packed, lengths=[4, 2]), "E234"),
        (lambda: LSTM(3, 5)(drawn(4, 2, 3), tuples(drawn(1, 2, 5)), reset=RESET[:4, :2]), "E548"),
    ):
        with pytest.raises(ElmanError, match=code):
            wrong()


def test_what_is_drawn_while_training_alone():
    layer = LSTM(3, 5, zoneout={"c": 0.5}, variational_dropout=0.2, dtype=torch.float64)
    plain = LSTM(3, 5, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = drawn(7, 4, 3)
    one, other = layer(x)[0], layer(x)[0]
    assert not torch.equal(one, other)
    layer.eval()
    assert_same(layer(x), layer(x), 0)
    masked = LSTM(3, 5, variational_dropout=0.2, dtype=torch.float64).eval()
    masked.load_state_dict(layer.state_dict())
    assert_same(masked(x), plain(x))
    assert "zoneout={'c': 0.5}, variational_dropout=0.2" in repr(layer)
    with pytest.raises(ElmanError, match="E229"):
        LSTM(3, 5, zoneout={"q": 0.5})

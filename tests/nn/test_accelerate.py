"""elman.accelerate: models of the usual style before and after, and what becomes of their parts."""

from __future__ import annotations

import copy
import io
import pickle
import types

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils import parametrizations, parametrize, prune  # noqa: E402

import elman  # noqa: E402
from elman.backends import c_compile  # noqa: E402
from tests.nn.models import policy, sentiment, translation  # noqa: E402
from tests.nn.pairs import drawn  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own tools
]

KINDS = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")
SMALL = {
    "sentiment": (
        lambda: sentiment.SentimentLSTM(50, 6, 8),
        lambda model: sentiment.loss(model, 5, 9, 50),
        {"rnn": "LSTM"},
    ),
    "translation": (
        lambda: translation.Seq2Seq(40, 30, 8),
        lambda model: translation.loss(model, 4, 5, 30),
        {"encoder.gru": "GRU", "decoder.gru": "GRU"},
    ),
    "policy": (
        lambda: policy.RecurrentQNetwork(6, 3, 16),
        lambda model: policy.loss(model, 4, 30, 60, 6),
        {"lstm": "LSTM"},
    ),
}


def made(name):
    torch.manual_seed(1)
    model, loss, swaps = SMALL[name]
    return model().double(), loss, swaps


def learned(model, loss):
    """Its loss and gradients; what is dropped is drawn from one seed."""
    torch.manual_seed(2)
    model.zero_grad()
    found = loss(model)
    found.backward()
    return [found.detach(), *(parameter.grad for parameter in model.parameters())]


def classes(report):
    assert all(getattr(elman.nn, ours.__name__) is ours for ours in report.swapped.values())
    return {path: ours.__name__ for path, ours in report.swapped.items()}


# ---- models ----


def test_it_is_found_beside_the_classes_too():
    assert elman.nn.accelerate is elman.accelerate


@pytest.mark.parametrize("name", SMALL)
def test_a_model_gives_and_learns_what_it_did(name):
    model, loss, swaps = made(name)
    before, names = learned(model, loss), list(model.state_dict())
    objects = [*model.parameters(), *model.modules()]
    report = elman.accelerate(model)
    assert classes(report) == swaps
    assert report.kept == {}
    assert all(
        a is b for a, b in zip(objects, [*model.parameters(), *model.modules()], strict=True)
    )
    assert list(model.state_dict()) == names
    torch.testing.assert_close(learned(model, loss), before, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_training_goes_on_where_it_was(name):
    """The optimizer made before goes on, and a checkpoint of each fits the other."""
    losses = []
    for swaps in (False, True):
        model, loss, _ = made(name)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        own = []
        for k in range(6):
            if swaps and k == 3:
                assert elman.accelerate(model)
            torch.manual_seed(k)
            optimizer.zero_grad()
            own.append(loss(model))
            own[-1].backward()
            optimizer.step()
        losses.append(torch.stack(own).detach())
    torch.testing.assert_close(*losses, rtol=1e-9, atol=0)
    fresh, _, _ = made(name)
    assert str(fresh.load_state_dict(model.state_dict())) == "<All keys matched successfully>"


def test_a_policy_acts_as_before():
    model, _, _ = made("policy")
    obs, done = drawn(5, 6), torch.tensor([0.0, 1, 0, 0, 1], dtype=torch.float64)
    state = tuple(drawn(1, 5, 16, seed=k) for k in (1, 2))
    before = model.act(obs, done, state)
    elman.accelerate(model)
    torch.testing.assert_close(model.act(obs, done, state), before, rtol=1e-11, atol=1e-12)


# ---- what is swapped ----


@pytest.mark.parametrize("kind", KINDS)
def test_each_class_as_the_model_itself(kind):
    layer = getattr(torch.nn, kind)(3, 5, dtype=torch.float64)
    x = drawn(4, 3)
    before = layer(x)
    report = elman.accelerate(layer)
    assert classes(report) == {"": kind}
    assert type(layer) is getattr(elman.nn, kind)
    assert repr(layer) == repr(getattr(torch.nn, kind)(3, 5))
    torch.testing.assert_close(layer(x), before, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True, "num_layers": 2},
        {"proj_size": 2},
        {"bias": False, "batch_first": True},
        {"num_layers": 2, "dropout": 0.5},
    ],
    ids=str,
)
def test_every_option_of_torchs(options):
    layer = torch.nn.LSTM(3, 5, dtype=torch.float64, **options)
    x, before = drawn(4, 2, 3), []
    for swap in (False, True):
        assert not swap or elman.accelerate(layer)
        torch.manual_seed(1)
        output, (h, c) = layer(x)
        grads = torch.autograd.grad(output.square().sum() + h.sum() + c.sum(), layer.parameters())
        found = [output, h, c, *grads]
        torch.testing.assert_close(found, before or found, rtol=1e-10, atol=1e-12)
        before = found


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_drop_in_sets_beside_torch_has_a_default(kind):
    """So that a layer of torch's that becomes one, without a constructor, has it too."""
    theirs, ours = (getattr(whose, kind)(3, 5) for whose in (torch.nn, elman.nn))
    for name in vars(ours).keys() - vars(theirs).keys():
        assert getattr(type(ours), name) == getattr(ours, name), name


class Own(torch.nn.LSTM):
    """As users derive them."""


def test_the_report():
    replaced = torch.nn.GRU(3, 5)
    replaced.forward = types.MethodType(lambda self, x: x, replaced)
    shared = torch.nn.GRU(3, 5)
    model = torch.nn.ModuleDict(
        {
            "words": torch.nn.Embedding(9, 3),
            "rnn": torch.nn.Sequential(torch.nn.LSTM(3, 5), torch.nn.RNNCell(3, 5)),
            "shared": shared,
            "again": shared,
            "hollow": torch.nn.GRUCell(3, 5, device="meta"),
            "attention": torch.nn.MultiheadAttention(4, 1),
            "float16": torch.nn.LSTM(3, 5).half(),
            "ours": elman.nn.LSTM(3, 5),
            "own": Own(3, 5),
            "replaced": replaced,
            "scripted": torch.jit.script(torch.nn.GRU(3, 5)),
            "quantized": torch.ao.nn.quantized.dynamic.LSTM(3, 5),
        }
    )
    report = elman.accelerate(model)
    assert str(report) == (
        "4 swapped, 6 kept\n"
        "  rnn.0      now elman.nn.LSTM\n"
        "  rnn.1      now elman.nn.RNNCell\n"
        "  shared     now elman.nn.GRU\n"
        "  hollow     now elman.nn.GRUCell\n"
        "  float16    kept: dtype torch.float16: the c backend has float32, float64 and bfloat16\n"
        "  ours       kept: Elman's already\n"
        "  own        kept: a class of its own: derive Own from elman.nn.LSTM\n"
        "  replaced   kept: its forward is replaced on the object itself\n"
        "  scripted   kept: compiled by torch.jit.script: accelerate first\n"
        "  quantized  kept: quantized"
    )
    assert report and len(report) == 4 and repr(report) == str(report)
    again = elman.accelerate(model)
    assert not again and len(again) == 0
    assert set(again.kept) == set(report.kept) | set(report.swapped)
    assert str(again).startswith("nothing swapped, 10 kept\n  rnn.0      kept: Elman's already\n")


def test_nothing_to_swap():
    report = elman.accelerate(torch.nn.Linear(3, 5))
    assert not report
    assert str(report).startswith("nothing swapped: none of torch.nn's RNN, LSTM, GRU, ")
    assert str(elman.accelerate(torch.nn.GRU(3, 5))).endswith(
        "\n  (the model itself)  now elman.nn.GRU"
    )


def test_without_a_compiler_all_is_kept(monkeypatch):
    monkeypatch.setattr(c_compile, "trouble", lambda: "there is no compiler")
    layer = torch.nn.LSTM(3, 5)
    report = elman.accelerate(layer)
    assert type(layer) is torch.nn.LSTM
    assert report.kept == {"": "there is no compiler"}


def test_in_a_fresh_model_of_no_memory():
    model = torch.nn.GRU(3, 5, device="meta", dtype=torch.float64)
    elman.accelerate(model)
    twin = torch.nn.GRU(3, 5, dtype=torch.float64)
    model.to_empty(device="cpu").load_state_dict(twin.state_dict())
    torch.testing.assert_close(model(drawn(4, 2, 3)), twin(drawn(4, 2, 3)), rtol=1e-11, atol=1e-12)


# ---- what was done to the layers before ----

CHANGES = {
    "weight_norm": lambda each, name: parametrizations.weight_norm(each, name),
    "orthogonal": lambda each, name: parametrizations.orthogonal(each, name),
    "old_weight_norm": lambda each, name: torch.nn.utils.weight_norm(each, name),
    "pruned": lambda each, name: prune.l1_unstructured(each, name, 0.5),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["GRU", "LSTMCell"])
def test_a_changed_weight_stays_changed(kind, change):
    torch.manual_seed(3)
    layer = getattr(torch.nn, kind)(3, 5, dtype=torch.float64)
    CHANGES[change](layer, "weight_hh" if "Cell" in kind else "weight_hh_l0")
    x, names = drawn(40, 3), list(layer.state_dict())
    before = [layer(x)[0], *torch.autograd.grad(layer(x)[0].square().sum(), layer.parameters())]
    assert classes(elman.accelerate(layer)) == {"": kind}
    assert isinstance(layer, getattr(elman.nn, kind))
    found = [layer(x)[0], *torch.autograd.grad(layer(x)[0].square().sum(), layer.parameters())]
    torch.testing.assert_close(found, before, rtol=1e-10, atol=1e-12)
    assert list(layer.state_dict()) == names


def test_a_parametrization_is_removed_as_ever():
    torch.manual_seed(3)
    layer = parametrizations.weight_norm(torch.nn.GRU(3, 5), "weight_hh_l0")
    twin = copy.deepcopy(layer)  # which shares the class that torch made for it
    elman.accelerate(layer)
    assert not isinstance(twin, elman.nn.GRU)
    assert type(copy.deepcopy(layer)) is type(layer)
    assert list(elman.accelerate(layer).kept.values()) == ["Elman's already"]
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)
    before = layer(torch.ones(4, 3))[0]
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    parametrize.remove_parametrizations(twin, "weight_hh_l0")
    assert (type(layer), type(twin)) == (elman.nn.GRU, torch.nn.GRU)
    torch.testing.assert_close(layer(torch.ones(4, 3))[0], before)


def test_hooks_and_flags_stay():
    layer, seen = torch.nn.GRU(3, 5), []
    layer.register_forward_pre_hook(lambda *given: seen.append("before"))
    layer.register_forward_hook(lambda *given: seen.append("after"))
    layer.register_full_backward_hook(lambda *given: seen.append("back"))
    layer.weight_hh_l0.requires_grad_(False)
    layer.register_buffer("scale", torch.ones(2))
    layer.own = "kept"
    layer.eval()
    elman.accelerate(layer)
    layer(torch.ones(4, 2, 3, requires_grad=True))[0].sum().backward()
    assert seen == ["before", "after", "back"]
    assert not layer.training and layer.own == "kept" and layer.scale is layer.get_buffer("scale")
    assert layer.weight_hh_l0.grad is None and layer.weight_ih_l0.grad is not None


def test_tied_weights_stay_tied():
    model = torch.nn.ModuleList([torch.nn.LSTM(5, 5), torch.nn.LSTM(5, 5)]).double()
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    x = drawn(4, 2, 5)

    def gradient():
        model.zero_grad()
        model[1](model[0](x)[0])[0].square().sum().backward()
        return model[0].weight_hh_l0.grad.clone()

    before = gradient()
    elman.accelerate(model)
    assert len([*model.parameters()]) == 7 and model[1].weight_hh_l0 is model[0].weight_hh_l0
    torch.testing.assert_close(gradient(), before, rtol=1e-10, atol=1e-12)


# ---- what is done with the model after ----


def test_copies_and_files():
    model, loss, swaps = made("translation")
    elman.accelerate(model)
    model.eval()
    expected = loss(model)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for twin in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(file, weights_only=False),
    ):
        assert type(twin.encoder.gru) is elman.nn.GRU
        assert torch.equal(loss(twin), expected)
        assert len(elman.accelerate(twin).kept) == len(swaps)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    plain, _, _ = made("translation")
    plain.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(loss(plain.eval()), expected, rtol=1e-11, atol=0)


def test_weights_given_from_outside():
    model, _, _ = made("policy")
    elman.accelerate(model)
    doubled = {name: 2 * each.detach() for name, each in model.named_parameters()}
    given = (drawn(4, 3, 6), torch.zeros(4, 3, dtype=torch.float64), model.initial_state(3))
    found, _ = torch.func.functional_call(model, doubled, given)
    assert not torch.equal(found, model(*given)[0])
    model.load_state_dict(doubled)
    torch.testing.assert_close(model(*given)[0], found, rtol=1e-11, atol=1e-12)


def test_in_a_wrapped_model():
    wraps = {
        "module.lstm": torch.nn.DataParallel,
        "_orig_mod.lstm": lambda model: torch.compile(model, backend="eager"),
    }
    for path, wrap in wraps.items():
        model, _, _ = made("policy")
        assert classes(elman.accelerate(wrap(model))) == {path: "LSTM"}

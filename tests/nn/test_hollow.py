"""Layers made without numbers: on "meta", emptied and filled again, where only shapes are seen."""

from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import elman.nn  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
DROPS = {
    "zoneout": {"zoneout": 0.1},
    "variational": {"variational_dropout": 0.2},
    "recurrent": {"recurrent_dropout": 0.2},
    "weight drop": {"weight_drop": 0.2},
    "all": {
        "zoneout": 0.1,
        "variational_dropout": 0.2,
        "weight_drop": 0.2,
        "num_layers": 2,
        "bidirectional": True,
        "layer_norm": True,
        "learn_initial_state": True,
    },
}
LEAKY = "a = 0.3\nk = [1, 2, 3, 4]\nh[t] = a * h[t-1] + k * tanh(W @ x[t] + U @ h[t-1])"
KINDS = {
    "LSTM": LSTM,
    "GRU": GRU,
    "RNN": RNN,
    "Recurrent": lambda *sizes, **options: Recurrent(elman.cells["gru"], *sizes, **options),
    "constants": lambda *sizes, **options: Recurrent(
        LEAKY, *sizes, constants={"a": 0.7}, **options
    ),
}
QUICK = [("LSTM", "zoneout"), ("Recurrent", "variational"), ("constants", "zoneout")]
CASES = [
    *QUICK,
    *(
        pytest.param(kind, drops, marks=pytest.mark.slow)
        for kind in KINDS
        for drops in DROPS
        if (kind, drops) not in QUICK
    ),
]


def x_of(**options):
    return torch.linspace(-1, 1, 5 * 2 * 3, **options).view(5, 2, 3)


def step_of(layer, x):
    """A call in training with its gradients, and one in evaluation."""
    output = layer.train()(x)[0]
    output.sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in layer.parameters())
    return output, layer.eval()(x)[0]


def same(one, other):
    x = x_of()
    torch.testing.assert_close(one.eval()(x)[0], other.eval()(x)[0], rtol=0, atol=0)
    found = []
    for layer in (one, other):
        torch.manual_seed(3)
        found.append(layer.train()(x)[0])
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "drops"), CASES)
def test_shapes_without_numbers(kind, drops):
    make = lambda **more: KINDS[kind](3, 4, **DROPS[drops], **more)  # noqa: E731
    with torch.device("meta"):
        layers = [make()]
        assert all(each.is_meta for each in (*layers[0].buffers(), *step_of(layers[0], x_of())))
    layers += [make(device="meta"), make().to("meta")]
    for layer in layers:
        assert all(each.is_meta for each in step_of(layer, x_of(device="meta")))
    with FakeTensorMode():
        outputs = step_of(make(), x_of())
    assert {tuple(each.shape[:2]) for each in outputs} == {(5, 2)}
    with FlopCounterMode(display=False) as counted:
        step_of(make(), x_of())
    with FlopCounterMode(display=False) as on_meta:
        step_of(layers[0], x_of(device="meta"))
    assert counted.get_total_flops() == on_meta.get_total_flops() > 0


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize(("kind", "drops"), CASES)
def test_numbers_come_with_the_weights(kind, drops, assign):
    """Constants are in no checkpoint, and neither emptied memory nor "meta" has them."""
    full = KINDS[kind](3, 4, **DROPS[drops])
    with torch.device("meta"):
        model = torch.nn.Sequential(KINDS[kind](3, 4, **DROPS[drops]))
    if not assign:
        model.to_empty(device="cpu")
    model[0].load_state_dict(full.state_dict(), assign=assign)
    assert not any(each.is_meta for each in (*model.parameters(), *model.buffers()))
    same(model[0], full)
    same(pickle.loads(pickle.dumps(model[0])), copy.deepcopy(full))


def test_constants_go_where_the_weights_go_and_stay_what_one_makes_of_them():
    layer = KINDS["constants"](3, 4, device="meta", dtype=torch.float64)
    layer = torch.nn.Sequential(layer).to_empty(device="cpu")[0]
    assert {layer.constant_a.dtype, layer.constant_k.dtype} == {torch.float64}
    assert (layer.constant_a.item(), layer.constant_k.tolist()) == (0.7, [1, 2, 3, 4])
    layer.constant_a.fill_(0.5)
    assert layer.float().constant_a.item() == 0.5
    assert copy.deepcopy(layer).constant_a.item() == 0.5
    hollow = layer.to("meta").half()
    assert hollow.constant_k.is_meta
    assert hollow.to_empty(device="cpu").constant_k.dtype is torch.float16
    alone = Recurrent("a = 0.3\nh[t] = a * h[t-1] + x[t]", 4, 4, device="meta")
    assert alone.to_empty(device="cpu").constant_a.item() == pytest.approx(0.3)


def test_a_layer_of_the_cpu_draws_there_whatever_new_tensors_are_made_on():
    layer, x = LSTM(3, 4, zoneout=0.1), x_of()
    with torch.device("meta"):
        assert layer(x)[0].device.type == "cpu"

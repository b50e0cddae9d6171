"""A frozen layer packs its weights once, and is never wrong about them."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest

from elman import cells
from elman.errors import ElmanError

torch = pytest.importorskip("torch")
nn = pytest.importorskip("elman.nn")
frozen = pytest.importorskip("elman.nn.frozen")
c_frozen = pytest.importorskip("elman.backends.c_frozen")

pytestmark = [pytest.mark.torch, pytest.mark.c]
MASKED = (
    "h[0] = h0\nh[t] = tanh(W @ (m[t] * x[t]) + k * (U @ h[t-1]) + b)\nk = 2\nm: bernoulli(0.5)"
)
LAYERS: dict[str, Callable[[], Any]] = {
    "RNN": lambda: nn.RNN(5, 7, num_layers=2, nonlinearity="relu"),
    "GRU": lambda: nn.GRU(5, 7, bias=False),
    "LSTM": lambda: nn.LSTM(5, 7, num_layers=3, dropout=0.5),
    "LSTM_batch_first": lambda: nn.LSTM(5, 7, batch_first=True),
    "Recurrent_lstm": lambda: nn.Recurrent(cells["lstm"], 5, 7, num_layers=2),
    "Recurrent_gru": lambda: nn.Recurrent(cells["gru"], 5, 7, batch_first=True),
    "Recurrent_invariant": lambda: nn.Recurrent(cells["antisymmetric_rnn"], 5, 7),
    "Recurrent_masked": lambda: nn.Recurrent(MASKED, 5, 7),
}


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(c_frozen, "POISON", True)


@pytest.fixture
def packings(monkeypatch):
    """How often weights are packed."""
    counted: list[int] = []
    pack = frozen.packed_weights

    def packed(*given: Any) -> Any:
        counted.append(1)
        return pack(*given)

    monkeypatch.setattr(frozen, "packed_weights", packed)
    return counted


def made(name: str) -> Any:
    layer = LAYERS[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.5, 0.5)
    return layer


def flat(found: Any) -> list[Any]:
    """Every tensor of an output and its states."""
    if isinstance(found, torch.Tensor):
        return [found]
    values = found.values() if isinstance(found, dict) else found
    return [tensor for value in values for tensor in flat(value)]


def output(layer: Any, x: Any, **more: Any) -> list[Any]:
    with torch.no_grad():
        return flat(layer(x, **more))


def equal(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def fresh(layer: Any, x: Any) -> list[Any]:
    """What a layer that was never frozen gives on the same weights."""
    other = copy.deepcopy(layer).unfreeze().eval()
    return output(other, x)


@pytest.mark.parametrize("name", LAYERS)
def test_the_numbers_are_those_of_the_layer(name, packings):
    layer = made(name).eval()
    for steps, rows in ((1, 1), (4, 3), (300, 2)):
        x = torch.randn(steps, rows, 5)
        expected = output(layer, x)
        assert not packings
        assert layer.freeze() is layer
        assert equal(output(layer, x), expected)
        assert equal(output(layer, x), expected)
        assert len(packings) == layer.num_layers, "once"
        layer.unfreeze()
        packings.clear()


def test_freezing_twice_packs_once(packings):
    layer = made("LSTM").freeze().freeze()
    assert len(packings) == 3
    output(layer, torch.randn(2, 1, 5))
    assert len(packings) == 3
    assert layer.explain() == "c: compiled kernels, weights packed once"
    assert layer.unfreeze().explain() == "c: compiled kernels"


def test_lengths_resets_and_single_steps():
    layer = made("Recurrent_lstm").eval()
    x, lengths = torch.randn(6, 3, 5), [6, 2, 4]
    reset = torch.rand(6, 3) < 0.4
    calls: list[Callable[[], Any]] = [
        lambda: layer(x, lengths=lengths),
        lambda: layer(x, reset=reset),
        lambda: layer(x, lengths=lengths, reset=reset),
        lambda: layer.step(x[0]),
        lambda: layer(x, layer(x)[1]),
    ]
    with torch.no_grad():
        expected = [flat(call()) for call in calls]
        layer.freeze()
        for _ in range(2):
            assert all(equal(flat(call()), e) for call, e in zip(calls, expected, strict=True))


def test_it_is_in_evaluation_and_requires_no_gradient():
    layer = made("LSTM")
    layer.bias_hh_l1.requires_grad_(False)
    layer.freeze()
    assert not layer.training and layer.is_frozen
    assert not any(p.requires_grad for p in layer.parameters())
    layer.unfreeze()
    assert not layer.is_frozen and not layer.training
    assert [n for n, p in layer.named_parameters() if not p.requires_grad] == ["bias_hh_l1"]


@pytest.mark.parametrize("name", ["LSTM", "Recurrent_lstm"])
def test_train_ends_it_and_eval_does_not(name):
    model = torch.nn.Sequential(made(name))
    model[0].freeze()
    model.eval()
    assert model[0].is_frozen
    model.train()
    assert not model[0].is_frozen and model[0].training
    assert all(p.requires_grad for p in model.parameters())


def test_a_gradient_of_the_input_goes_through():
    layer = made("LSTM").eval()
    x = torch.randn(4, 3, 5, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x)[0].square().sum(), x)
    layer.freeze()
    (found,) = torch.autograd.grad(layer(x)[0].square().sum(), x)
    assert torch.equal(found, expected)
    assert layer(x.detach())[0].grad_fn is None


def add(layer: Any) -> None:
    with torch.no_grad():
        next(layer.parameters()).add_(0.25)


def add_in_inference(layer: Any) -> None:
    with torch.inference_mode():
        next(layer.parameters()).mul_(0.5)


def load(layer: Any, assign: bool) -> None:
    torch.manual_seed(1)
    state = {name: torch.rand_like(a) for name, a in layer.state_dict().items()}
    layer.load_state_dict(state, assign=assign)


def replace(layer: Any) -> None:
    name, parameter = next(layer.named_parameters())
    setattr(layer, name, torch.nn.Parameter(torch.rand_like(parameter), requires_grad=False))


def new_data(layer: Any) -> None:
    for parameter in layer.parameters():
        parameter.data = parameter.data * 2


def double_and_back(layer: Any) -> None:
    layer.double().float()
    new_data(layer)
    layer.half().float()


def from_vector(layer: Any) -> None:
    vector = torch.nn.utils.parameters_to_vector(layer.parameters())
    torch.nn.utils.vector_to_parameters(vector * 2, layer.parameters())


def optimizer(kind: str, **more: Any) -> Callable[[Any], None]:
    """A step with gradients that were there before the layer was frozen."""

    def step(layer: Any) -> None:
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        getattr(torch.optim, kind)(layer.parameters(), lr=0.1, **more).step()

    return step


def trained_elsewhere(layer: Any) -> None:
    """A weight that another module learns too."""
    first = next(layer.parameters())
    first.requires_grad_(True)
    learner = torch.optim.Adam([first], lr=0.1, fused=True)
    first.square().sum().backward()
    learner.step()
    first.requires_grad_(False)


def shared_with_another_process(layer: Any) -> None:
    """As another process would write to it: torch counts nothing in this one."""
    layer.share_memory()
    output(layer, torch.zeros(1, 1, 5))
    for parameter in layer.parameters():
        parameter.data.add_(0.25)


CHANGES: dict[str, Callable[[Any], None]] = {
    "in place": add,
    "in inference": add_in_inference,
    "load_state_dict": lambda layer: load(layer, False),
    "load_state_dict(assign)": lambda layer: load(layer, True),
    "another parameter": replace,
    "weight.data = ...": new_data,
    "double, half and back": double_and_back,
    "vector_to_parameters": from_vector,
    "init": lambda layer: [torch.nn.init.uniform_(p) for p in layer.parameters()] and None,
    "reset_parameters": lambda layer: layer.reset_parameters(),
    "SGD": optimizer("SGD", foreach=False),
    "SGD(foreach)": optimizer("SGD", foreach=True),
    "Adam(fused)": optimizer("Adam", fused=True),
    "AdamW(foreach)": optimizer("AdamW", foreach=True),
    "trained elsewhere": trained_elsewhere,
    "shared memory": shared_with_another_process,
}


@pytest.mark.parametrize("name", ["LSTM", "Recurrent_gru"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_weights_is_never_overlooked(change, name):
    layer, x = made(name).freeze(), torch.randn(3, 2, 5)
    before = output(layer, x)
    CHANGES[change](layer)
    for _ in range(2):
        found = output(layer, x)
        assert not equal(found, before)
        assert equal(found, fresh(layer, x))


def test_every_weight_and_every_buffer_is_watched():
    layer, x = made("LSTM").freeze(), torch.randn(3, 2, 5)
    for parameter in layer.parameters():
        before = output(layer, x)
        with torch.no_grad():
            parameter.add_(0.25)
        assert not equal(output(layer, x), before)
    masked = made("Recurrent_masked").freeze()
    before = output(masked, x)
    masked.constant_k.mul_(0.5)
    assert not equal(output(masked, x), before)
    assert equal(output(masked, x), fresh(masked, x))


def test_another_optimizer_packs_nothing_anew(packings):
    layer, other = made("LSTM").freeze(), torch.nn.Linear(3, 3)
    learner = torch.optim.SGD(other.parameters(), lr=0.1)
    other(torch.ones(3)).sum().backward()
    count = len(packings)
    learner.step()
    output(layer, torch.randn(2, 1, 5))
    assert len(packings) == count


def test_the_address_of_a_weight_that_went_is_not_taken_for_its_own():
    layer, x = made("LSTM").freeze(), torch.randn(3, 2, 5)
    for k in range(20):  # memory that is freed is soon given out again
        for parameter in layer.parameters():
            parameter.data = torch.full_like(parameter, k / 20)
        assert equal(output(layer, x), fresh(layer, x))


def test_what_torch_cannot_notice_is_the_users(packings):
    layer, x = made("LSTM").freeze(), torch.randn(3, 2, 5)
    before = output(layer, x)
    layer.weight_ih_l0.data.add_(0.25)
    assert equal(output(layer, x), before)  # as freeze() says
    layer.unfreeze().freeze()
    assert not equal(output(layer, x), before)
    assert equal(output(layer, x), fresh(layer, x))


def through_pickle(layer: Any) -> Any:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("name", ["LSTM", "Recurrent_lstm", "Recurrent_masked"])
@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, through_pickle])
def test_copies_are_right(way, name):
    layer, x = made(name).freeze(), torch.randn(3, 2, 5)
    expected = output(layer, x)
    other = way(layer)
    assert other.is_frozen
    assert equal(output(other, x), expected)
    if way is not copy.copy:  # which shares the parameters
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
        assert equal(output(other, x), expected)
        other.train()
        assert all(p.requires_grad for p in other.parameters())
        assert layer.is_frozen


def test_the_state_dict_is_that_of_the_layer():
    layer = made("LSTM")
    names = list(layer.state_dict())
    assert list(layer.freeze().state_dict()) == names


@pytest.mark.parametrize("name", ["LSTM", "Recurrent_gru"])
def test_what_the_kernels_cannot_serve_is_right_too(name):
    layer, x = made(name).freeze(), torch.randn(3, 2, 5)
    expected = output(layer, x)
    half = copy.deepcopy(layer).half()
    found = output(half, x.half())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.float(), other, atol=0.1, rtol=0.1)
    assert half.freeze().explain().startswith("torch: dtype")
    empty = output(layer, x[:0] if layer.batch_first else x[:, :0])
    assert empty[0].numel() == 0
    if name == "LSTM":
        given = torch.nn.utils.rnn.pack_padded_sequence(x, [3, 2])
        assert isinstance(layer(given)[0], torch.nn.utils.rnn.PackedSequence)
    jacobian = torch.func.jacrev(lambda a: flat(layer(a))[0].sum())(x)
    assert jacobian.shape == x.shape


def test_a_layer_made_in_inference_mode_packs_with_every_call(packings):
    with torch.inference_mode():
        layer = made("LSTM").freeze()
        x = torch.randn(3, 2, 5)
        before = output(layer, x)
        layer.weight_ih_l0.add_(0.25)
        assert not equal(output(layer, x), before)
    assert not packings


def test_weights_that_lie_askew_are_right(packings):
    layer, x = made("LSTM"), torch.randn(3, 2, 5)
    turned = layer.weight_hh_l0.detach().T.contiguous().T
    layer.weight_hh_l0 = torch.nn.Parameter(turned)
    expected = fresh(layer, x)
    layer.freeze()
    assert equal(output(layer, x), expected)
    wide = torch.randn(3, 2, 10)[..., ::2]
    assert equal(output(layer, wide), output(layer, wide.contiguous()))
    assert not packings


def test_a_computed_weight_is_refused():
    layer = made("LSTM")
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    with pytest.raises(ElmanError, match=r"E544.*weight_hh_l0"):  # golden: tests/errors/given
        layer.freeze()
    assert not layer.is_frozen and layer.training


def test_two_threads_while_the_weights_change():
    layer, x = made("LSTM").freeze(), torch.randn(20, 2, 5)
    first = output(layer, x)
    with torch.no_grad():
        layer.weight_ih_l0.mul_(2)
        second = output(layer, x)
        layer.weight_ih_l0.mul_(0.5)
    wrong: list[int] = []

    def work() -> None:
        for _ in range(200):
            found = output(layer, x)[0]
            if not torch.isfinite(found).all():
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for k in range(40):
        with torch.no_grad():
            layer.weight_ih_l0.mul_(2 if k % 2 == 0 else 0.5)
    for worker in workers:
        worker.join()
    assert not wrong
    assert equal(output(layer, x), first)
    assert not equal(first, second)

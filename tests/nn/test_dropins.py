"""elman.nn.RNN, LSTM and GRU against torch's own: the same weights, results, gradients, manners."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
import threading

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.parametrize import register_parametrization  # noqa: E402
from torch.nn.utils.prune import l1_unstructured  # noqa: E402

import elman.nn  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import LSTM, RNN, fused  # noqa: E402
from tests.backends.table import tolerance  # noqa: E402
from tests.nn.pairs import drawn, pair, tuples  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

KINDS = ("RNN", "LSTM", "GRU")


def test_torch_nn_may_be_imported_from_here():
    from elman import nn

    for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
        assert getattr(nn, name).__module__.startswith("elman.nn")
    others = ("Module", "Linear", "Parameter", "functional", "init", "utils", "ModuleList")
    assert all(getattr(nn, name) is getattr(torch.nn, name) for name in others)
    for wrong in ("Recurent", "__wrapped__"):
        with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'") as caught:
            getattr(elman.nn, wrong)
        assert (caught.value.name, caught.value.obj) == (wrong, elman.nn)  # Python asks for these


@pytest.mark.parametrize("kind", KINDS)
def test_tools_see_the_arguments_of_a_constructor(kind):
    cell = inspect.signature(getattr(elman.nn, f"{kind}Cell")).parameters
    theirs = inspect.signature(getattr(torch.nn, f"{kind}Cell")).parameters
    assert {name: each.default for name, each in cell.items()} == {
        name: each.default for name, each in theirs.items()
    }
    layer = getattr(elman.nn, kind)
    names = [*inspect.signature(layer).parameters]
    assert names[:3] == ["input_size", "hidden_size", "num_layers"]
    bound = inspect.signature(layer).bind(3, 5, 2, dropout=0.5, remat=True)
    made = layer(*bound.args, **bound.kwargs)
    assert (made.num_layers, made.dropout, made.remat) == (2, 0.5, True)


def given(kind: str, layers: int, batch: int, hidden: int, dtype: torch.dtype) -> object:
    """An initial state that is to be differentiated."""
    states = [drawn(layers, batch, hidden, dtype=dtype, seed=k).requires_grad_() for k in (1, 2)]
    return tuple(states) if kind == "LSTM" else states[0]


def results(layer: torch.nn.Module, x: torch.Tensor, hx: object = None) -> list[torch.Tensor]:
    """Output, states, and the gradients of x, of every weight and of the initial state."""
    x = x.detach().requires_grad_()
    output, state = layer(x, hx)
    found = [output, *tuples(state)]
    total = sum(
        (each * drawn(*each.shape, dtype=x.dtype, seed=k)).sum() for k, each in enumerate(found)
    )
    wrt = [x, *layer.parameters(), *(() if hx is None else tuples(hx))]
    return [*found, *torch.autograd.grad(total, wrt)]


def assert_near(found: list[torch.Tensor], expected: list[torch.Tensor], near: float) -> None:
    for k, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.shape == other.shape, k
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=near * scale)


# ---- the same as torch ----


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_torch_gives(kind, layers, dtype):
    near = tolerance(str(dtype).removeprefix("torch."), 9, 17)
    theirs, ours = pair(kind, 4, 17, num_layers=layers, dtype=dtype)
    x = drawn(9, 6, 4, dtype=dtype)
    hx = given(kind, layers, 6, 17, dtype)
    for state in (None, hx):
        assert_near(results(ours, x, state), results(theirs, x, state), near)


@pytest.mark.parametrize("bias", [True, False])
def test_weights_that_caches_lose_before_they_are_read(bias):
    """Large packed weights are written past the caches; these are of 6.3 MB and more."""
    theirs, ours = pair("GRU", 530, 515, bias=bias)
    x, hx = drawn(2, 3, 530), drawn(1, 3, 515).requires_grad_()
    assert_near(results(ours, x, hx), results(theirs, x, hx), tolerance("float64", 2, 530))


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_few_rows_goes_where_it_is_quicker(kind):
    """Torch's own GRU and RNN take less time for it than packing their large weights does."""
    theirs, ours = pair(kind, 96, 96)
    for rows in (1, 40):
        x, hx = drawn(1, rows, 96), given(kind, 1, rows, 96, torch.float64)
        assert_near(results(ours, x, hx), results(theirs, x, hx), 1e-12)
        by_kernels = type(ours(x, hx)[0].grad_fn).__name__ == "FusedBackward"
        assert by_kernels == (rows == 40 or kind == "LSTM")
    frozen, x = ours.freeze(), drawn(1, 1, 96)
    assert_near([frozen(x)[0]], [theirs(x)[0]], 1e-12)


@pytest.mark.parametrize(
    "options",
    [{"bias": False}, {"batch_first": True}, {"bias": False, "batch_first": True, "num_layers": 2}],
    ids=str,
)
@pytest.mark.parametrize("kind", KINDS)
def test_options(kind, options):
    theirs, ours = pair(kind, **options)
    x = drawn(4, 7, 3)
    batch = 4 if "batch_first" in options else 7
    hx = given(kind, options.get("num_layers", 1), batch, 5, torch.float64)
    assert_near(results(ours, x, hx), results(theirs, x, hx), 1e-12)
    assert repr(ours) == repr(theirs)


def test_relu():
    theirs, ours = pair("RNN", 3, 5, 2, "relu")  # the fourth argument, as torch has it
    assert_near(results(ours, drawn(4, 7, 3)), results(theirs, drawn(4, 7, 3)), 1e-12)
    with pytest.raises(ValueError, match="Unknown nonlinearity 'sin'"):
        RNN(3, 5, nonlinearity="sin")


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_batch(kind, batch_first):
    theirs, ours = pair(kind, num_layers=2, batch_first=batch_first)
    x = drawn(7, 3)
    hx = tuple(state[:, 0] for state in tuples(given(kind, 2, 1, 5, torch.float64)))
    hx = hx if kind == "LSTM" else hx[0]
    assert_near(results(ours, x, hx), results(theirs, x, hx), 1e-12)
    assert_near(results(ours, x), results(theirs, x), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_have_torchs_names_and_go_both_ways(kind):
    theirs, ours = pair(kind, num_layers=2)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)  # the same draws in the same order
    x = drawn(4, 7, 3)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.mul_(1.5)
    assert not torch.allclose(ours(x)[0], theirs(x)[0])
    ours.load_state_dict(theirs.state_dict())
    assert_near([ours(x)[0]], [theirs(x)[0]], 1e-12)
    fresh = getattr(torch.nn, kind)(3, 5, 2, dtype=torch.float64)
    fresh.load_state_dict(ours.state_dict())
    assert_near([ours(x)[0]], [fresh(x)[0]], 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_drawn_as_torch_draws_it(kind):
    theirs, ours = pair(kind, num_layers=3, dropout=0.5)
    x = drawn(6, 7, 3)
    hx = given(kind, 3, 7, 5, torch.float64)
    for mode in (True, False):
        found = []
        for layer in (ours.train(mode), theirs.train(mode)):
            torch.manual_seed(3)
            found.append(results(layer, x, hx))
        assert_near(*found, 1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_without_gradients_the_same_bits(kind, layers):
    _, ours = pair(kind, num_layers=layers, dtype=torch.float32)
    x = drawn(9, 4, 3, dtype=torch.float32)
    hx = given(kind, layers, 4, 5, torch.float32)
    output, state = ours(x, hx)
    assert output.requires_grad
    for nothing in (torch.no_grad, torch.inference_mode):
        with nothing():
            again, after = ours(x, hx)
        assert not again.requires_grad
        for one, other in zip((again, *tuples(after)), (output, *tuples(state)), strict=True):
            assert torch.equal(one, other)
    ours.requires_grad_(False)
    again, _ = ours(x)
    assert again.grad_fn is None


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_some_only(kind):
    layer = pair(kind, num_layers=2)[1]
    x = drawn(4, 7, 3).requires_grad_()
    hx = given(kind, 2, 7, 5, torch.float64)
    wrt = {**dict(layer.named_parameters()), "x": x}
    wrt |= {f"state {k}": each for k, each in enumerate(tuples(hx))}
    weights = drawn(4, 7, 5)

    def total() -> torch.Tensor:
        return (layer(x, hx)[0] * weights).sum()

    every = dict(zip(wrt, torch.autograd.grad(total(), list(wrt.values())), strict=True))
    for name in wrt:
        for other, tensor in wrt.items():
            tensor.requires_grad_(other == name)
        (alone,) = torch.autograd.grad(total(), wrt[name])
        assert torch.equal(alone, every[name]), name
    for tensor in wrt.values():
        tensor.requires_grad_()
    names = ["bias_hh_l1", "weight_ih_l0"]
    some = torch.autograd.grad(total(), [wrt[name] for name in names])
    assert all(torch.equal(one, every[name]) for one, name in zip(some, names, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_tensors_of_their_own(kind):
    layer = pair(kind)[1]
    layer(drawn(4, 7, 3))[0].sum().backward()
    grads = [weight.grad for weight in layer.parameters()]
    places = [grad.untyped_storage().data_ptr() for grad in grads]
    assert len({*places}) == len(places)
    for grad in grads:
        assert grad.untyped_storage().nbytes() == grad.nbytes
        assert grad.is_contiguous()


@pytest.mark.parametrize("what", ["only the final state", "only the first layer's state"])
def test_gradients_from_some_only(what):
    theirs, ours = pair("LSTM", num_layers=2)
    found = []
    for layer in (ours, theirs):
        _, (h, c) = layer(drawn(4, 7, 3))
        total = c.sum() if what == "only the final state" else h[0].square().sum()
        found.append(torch.autograd.grad(total, list(layer.parameters()), allow_unused=True))
    for weight, one, other in zip(ours.parameters(), *found, strict=True):
        zero = torch.zeros_like(weight)
        both = [zero if grad is None else grad for grad in (one, other)]
        torch.testing.assert_close(*both, rtol=0, atol=1e-12)


# ---- what is wrong, and what is not there ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recorded", [True, False])
def test_no_steps_and_no_sequences(kind, recorded):
    theirs, ours = pair(kind)
    with torch.set_grad_enabled(recorded):
        for layer in (ours, theirs):
            with pytest.raises(RuntimeError, match="sequence length to be larger than 0"):
                layer(drawn(0, 2, 3))
            output, state = layer(drawn(4, 0, 3))
            assert output.shape == (4, 0, 5)
            assert all(each.shape == (1, 0, 5) for each in tuples(state))
            if recorded:
                output.sum().backward()
                assert all(not weight.grad.any() for weight in layer.parameters())


WRONG = {
    "axes": lambda layer: layer(drawn(1, 4, 7, 3)),
    "size": lambda layer: layer(drawn(4, 7, 2)),
    "dtype": lambda layer: layer(drawn(4, 7, 3).float()),
    "state's batch": lambda layer: layer(drawn(4, 7, 3), states(layer, 1, 6, 5)),
    "state's layers": lambda layer: layer(drawn(4, 7, 3), states(layer, 2, 7, 5)),
    "state's axes": lambda layer: layer(drawn(4, 7, 3), states(layer, 7, 5)),
    "state's dtype": lambda layer: layer(
        drawn(4, 7, 3), states(layer, 1, 7, 5, dtype=torch.float32)
    ),
    "state of no batch": lambda layer: layer(drawn(4, 3), states(layer, 1, 1, 5)),
    "no tensor": lambda layer: layer([[1.0]]),
}


def states(layer: torch.nn.Module, *shape: int, dtype: torch.dtype = torch.float64) -> object:
    state = drawn(*shape, dtype=dtype)
    return (state, state) if isinstance(layer, torch.nn.LSTM) else state


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("kind", KINDS)
def test_what_torch_refuses_is_refused_in_its_words(kind, what):
    theirs, ours = pair(kind)
    with pytest.raises(Exception) as expected:
        WRONG[what](theirs)
    with pytest.raises(type(expected.value)) as found:
        WRONG[what](ours)
    assert isinstance(found.value, ElmanError)
    assert str(expected.value) in str(found.value)
    assert ours.extra_repr() in str(found.value)


@pytest.mark.parametrize("shapes", [((2, 2, 5), (1, 2, 5)), ((1, 2, 5), (3, 2, 5))], ids=str)
def test_states_beside_a_packed_sequence_are_looked_at(shapes):
    """torch's LSTM does not, reads what is there, and may crash."""
    packed = torch.nn.utils.rnn.pack_padded_sequence(drawn(4, 2, 3), [4, 2])
    words = r"Expected hidden\[[01]\] size \(1, 2, 5\)"
    with pytest.raises(RuntimeError, match=words) as caught:
        pair("LSTM")[1](packed, tuple(drawn(*shape) for shape in shapes))
    assert caught.value.code == "E233"


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}], ids=str)
@pytest.mark.parametrize("width", (2, 4))
def test_a_packed_sequence_of_another_width_is_looked_at(options, width):
    """Of sequences of one length torch's LSTM reads other numbers than theirs."""
    packed = torch.nn.utils.rnn.pack_sequence([drawn(6, width), drawn(6, width)])
    with pytest.raises(RuntimeError, match=f"Expected 3, got {width}") as caught:
        pair("LSTM", **options)[1](packed)
    assert caught.value.code == "E232"


def test_a_weight_of_a_wrong_shape_is_never_read_past_its_end():
    layer = pair("LSTM")[1]
    layer.weight_hh_l0 = torch.nn.Parameter(drawn(3, 5))
    with pytest.raises(RuntimeError):
        layer(drawn(4, 7, 3))


# ---- what the kernels leave to torch ----


@pytest.mark.parametrize("kind", KINDS)
def test_what_torch_serves(kind):
    x = drawn(6, 4, 3)
    theirs, ours = pair(kind)
    assert ours.explain() == "c: compiled kernels"
    for each in (theirs, ours):
        each.half()
    assert torch.equal(ours(x.half())[0], theirs(x.half())[0])
    types = "float32, float64 and bfloat16"
    assert ours.explain() == f"torch: dtype torch.float16: the c backend has {types}"


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(kind):
    theirs, ours = pair(kind, dtype=torch.float32)
    x = drawn(6, 4, 3, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        for each in (x, x.bfloat16()):
            found, expected = ours(each)[0], theirs(each)[0]
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)


def test_without_a_compiler_torch_serves(monkeypatch):
    from elman.backends import c_compile

    theirs, ours = pair("LSTM")
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    assert torch.equal(ours(drawn(4, 7, 3))[0], theirs(drawn(4, 7, 3))[0])
    assert ours.explain().startswith("torch: no C compiler")


def test_a_mode_that_sees_every_operation_sees_torchs():
    from torch.utils.flop_counter import FlopCounterMode

    theirs, ours = pair("LSTM")
    counts = []
    for layer in (ours, theirs):
        with FlopCounterMode(display=False) as counter:
            layer(drawn(4, 7, 3))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1]


def test_on_the_meta_device():
    layer = LSTM(3, 5, device="meta")
    assert layer(torch.zeros(4, 7, 3, device="meta"))[0].shape == (4, 7, 5)
    layer, x = pair("GRU")[1], drawn(4, 7, 3)
    expected = layer(x)[0]
    with torch.device("meta"):  # where new tensors are made, but not those of a layer on the CPU
        found = layer(x)[0]
    assert torch.equal(found, expected)


# ---- autograd ----


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_derivatives(kind, layers):
    layer = pair(kind, 2, 2, num_layers=layers)[1]
    names = [name for name, _ in layer.named_parameters()]
    weights = [weight.detach().clone().requires_grad_() for weight in layer.parameters()]
    x = drawn(3, 2, 2).requires_grad_()
    hx = tuples(given(kind, layers, 2, 2, torch.float64))

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own, state = dict(zip(names, rest, strict=False)), rest[len(names) :]
        state = state if kind == "LSTM" else state[0]
        output, after = torch.func.functional_call(layer, own, (x, state))
        return output, *tuples(after)

    assert torch.autograd.gradcheck(run, (x, *weights, *hx))
    assert torch.autograd.gradgradcheck(run, (x, *weights, *hx))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("kind", KINDS)
def test_transforms(kind):
    layer = pair(kind, num_layers=2)[1]
    x, v = drawn(6, 4, 2, 3), drawn(4, 2, 3, seed=1)
    expected = torch.stack([layer(each)[0] for each in x])
    mapped = torch.func.vmap(lambda each: layer(each)[0])(x)
    torch.testing.assert_close(mapped, expected, rtol=0, atol=1e-12)
    _, along = torch.func.jvp(lambda each: layer(each)[0], (x[0],), (v,))
    step = 1e-6
    slope = (layer(x[0] + step * v)[0] - layer(x[0] - step * v)[0]) / (2 * step)
    torch.testing.assert_close(along, slope, rtol=0, atol=1e-8)
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}

    def loss(own: dict[str, torch.Tensor], each: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, own, (each,))[0].square().sum()

    by_sample = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, x)
    one = torch.autograd.grad(layer(x[1])[0].square().sum(), list(layer.parameters()))
    for name, expected in zip(weights, one, strict=True):
        torch.testing.assert_close(by_sample[name][1], expected, rtol=0, atol=1e-12)


def test_a_tensor_that_outlives_its_transform():
    theirs, ours = pair("LSTM")
    kept = []
    torch.func.grad(lambda x: kept.append(2 * x) or (x * x).sum())(drawn(4, 7, 3))
    with torch.no_grad():
        assert_near([ours(kept[0])[0]], [theirs(2 * drawn(4, 7, 3))[0]], 1e-12)


@pytest.mark.parametrize("what", ["x", "weight", "output", "output, detached", "final state"])
def test_what_is_changed_in_place_before_the_backward_pass(what):
    layer = pair("LSTM")[1]
    x = drawn(4, 7, 3).requires_grad_()
    expected = torch.autograd.grad(layer(x)[0].square().sum(), x)[0]
    inner = x * 1
    output, (_, c) = layer(inner)
    total = output.square().sum()
    with torch.no_grad():
        changed = {"x": inner, "weight": layer.weight_hh_l0, "final state": c, "output": output}
        changed.get(what, output.detach()).zero_()
    if what == "final state":
        assert torch.equal(torch.autograd.grad(total, x)[0], expected)
    else:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(total, x)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "dropout": 0.5}, {"batch_first": True}])
def test_an_output_is_changed_in_place_where_torchs_may_be(kind, options):
    options |= {"proj_size": 2} if kind == "LSTM" else {}
    found = []
    for layer in pair(kind, **options):
        x = drawn(4, 7, 3).requires_grad_()
        torch.manual_seed(1)
        output, _ = layer(x)
        torch.relu_(output)
        output.square().sum().backward()
        found.append([output, x.grad, *(p.grad for p in layer.parameters())])
    assert_near(*found, 1e-12)


def test_an_output_may_be_changed_in_place():
    layer = pair("LSTM")[1]
    with torch.no_grad():
        output, _ = layer(drawn(4, 7, 3))
    factor = drawn(5).requires_grad_()
    output *= factor  # recorded from here on
    assert torch.autograd.grad(output.sum(), factor)[0].shape == (5,)
    recorded, _ = layer(drawn(4, 7, 3))
    assert not recorded._is_view()
    recorded *= 2  # the backward kernel reads it: torch says so
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        recorded.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_tensors_may_be_held_elsewhere(kind):
    layer = pair(kind, num_layers=2)[1]
    x = drawn(4, 7, 3).requires_grad_()
    expected = torch.autograd.grad(layer(x)[0].square().sum(), [x, *layer.parameters()])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        output, _ = layer(x)
    found = torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])
    assert all(torch.equal(*both) for both in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_memory_in_other_orders(kind):
    theirs, ours = pair(kind, num_layers=2)
    x = drawn(7, 4, 3).transpose(0, 1)
    hx = tuple(drawn(7, 2, 5, seed=k).transpose(0, 1) for k in (1, 2))
    hx = hx if kind == "LSTM" else hx[0]
    found = []
    for layer in (ours, theirs):
        output, state = layer(x, hx)
        total = output.sum() + sum(each.transpose(0, 1).sum() for each in tuples(state))
        found.append([output, *torch.autograd.grad(total, list(layer.parameters()))])
    assert_near(*found, 1e-12)
    with torch.no_grad():  # no strides of its own
        ours.weight_hh_l0.data = ours.weight_hh_l0.t().contiguous().t()
    assert_near(results(ours, x), results(theirs, x), 1e-12)
    same = x[:, :1].expand(4, 7, 3)
    assert_near(results(ours, same), results(theirs, same), 1e-12)


# ---- what people do with modules ----


@pytest.mark.parametrize("kind", KINDS)
def test_copies(kind, tmp_path):
    layer = pair(kind, num_layers=2)[1]
    x = drawn(4, 7, 3)
    expected = layer(x)[0]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x)[0], expected)
        with torch.no_grad():
            twin.weight_hh_l1.zero_()
        assert not torch.equal(twin(x)[0], expected)
        assert torch.equal(layer(x)[0], expected)
    torch.save(layer, tmp_path / "layer.pt")
    assert torch.equal(torch.load(tmp_path / "layer.pt", weights_only=False)(x)[0], expected)
    assert isinstance(layer, getattr(torch.nn, kind))


def test_weights_that_are_computed_from_others():
    plain, layer = pair("LSTM")
    register_parametrization(layer, "weight_hh_l0", _Half())
    l1_unstructured(layer, "weight_ih_l0", 0.5)
    with torch.no_grad():
        plain.weight_hh_l0.mul_(0.5)
        plain.weight_ih_l0.mul_(layer.weight_ih_l0_mask)
    x = drawn(4, 7, 3)
    output, _ = layer(x)
    assert_near([output], [plain(x)[0]], 1e-12)
    output.sum().backward()
    plain(x)[0].sum().backward()
    inner = layer.parametrizations.weight_hh_l0.original
    assert_near([inner.grad], [0.5 * plain.weight_hh_l0.grad], 1e-12)


class _Half(torch.nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 0.5 * weight


def test_new_weights_are_seen_at_once():
    layer = pair("LSTM")[1]
    x = drawn(4, 7, 3)
    before = layer(x)[0]
    layer.weight_hh_l0.data.mul_(2)
    second = layer(x)[0]
    layer.weight_hh_l0 = torch.nn.Parameter(torch.zeros_like(layer.weight_hh_l0))
    third = layer(x)[0]
    assert not torch.equal(before, second)
    assert not torch.equal(second, third)
    assert layer.float()(x.float())[0].dtype is torch.float32


def test_hooks():
    layer = pair("GRU")[1]
    seen = []
    layer.register_forward_hook(lambda module, args, output: seen.append(output[0].shape))
    layer.weight_hh_l0.register_hook(lambda grad: seen.append(grad.shape))
    layer(drawn(4, 7, 3))[0].sum().backward()
    assert seen == [(4, 7, 5), (15, 5)]


def test_two_threads_call_one_layer():
    layer = pair("LSTM", num_layers=2)[1]
    x = [drawn(20 + k, 4, 3, seed=k).requires_grad_() for k in range(4)]

    def work(k: int) -> tuple[torch.Tensor, ...]:
        output, _ = layer(x[k])
        return output, *torch.autograd.grad(output.square().sum(), [x[k], *layer.parameters()])

    expected = [work(k) for k in range(4)]
    wrong = []

    def repeat(k: int) -> None:
        for _ in range(20):
            found = work(k)
            if not all(torch.equal(*both) for both in zip(found, expected[k], strict=True)):
                wrong.append(k)

    threads = [threading.Thread(target=repeat, args=(k,)) for k in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


FORK = """
import os, signal, torch
from elman.nn import LSTM
torch.set_num_threads(2)
layer, x = LSTM(128, 128), torch.randn(20, 64, 128)
with torch.no_grad():
    expected = layer(x)[0].numpy()
child = os.fork()
if not child:
    signal.alarm(20)  # rather than to wait forever for threads that stayed in the parent
    with torch.no_grad():
        found = layer(x)[0].numpy()
    os._exit(0 if abs(found - expected).max() < 1e-5 else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_use():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)


@pytest.mark.filterwarnings("ignore")
def test_inside_a_compiled_function():
    theirs, ours = pair("LSTM")
    compiled = torch.compile(lambda x: 2 * ours(x)[0], backend="eager")
    for steps in (4, 5):
        x = drawn(steps, 7, 3)
        assert_near([compiled(x)], [2 * theirs(x)[0]], 1e-12)
    torch._dynamo.reset()


def test_kernels_serve(monkeypatch):
    calls = []
    run = fused.run_fused
    monkeypatch.setattr(
        "elman.nn.torch_layers.run_fused", lambda *args: calls.append(1) or run(*args)
    )
    for kind in KINDS:
        ours = pair(kind, dtype=torch.float32)[1]
        for x in (drawn(4, 7, 3), drawn(4, 3)):
            assert ours(x.float())[0].isfinite().all()
    assert len(calls) == 6

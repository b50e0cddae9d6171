"""What people do with a torch layer besides calling it."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest

torch = pytest.importorskip("torch")

from elman.library import cells  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from tests.nn.test_recurrent import NEAR, drawn, small  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]


def gradient_of(layer, x):
    (found,) = torch.autograd.grad((layer(x)[0] ** 2).sum(), x)
    return found


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("what", ["output", "state", "after backward of another"])
def test_a_result_changed_in_place_gives_the_right_gradient_or_an_error(name, what):
    layer = small(cells.text(name))
    x = drawn(4, 2, 2).requires_grad_()
    weights = drawn(4, 2, 3)
    (expected,) = torch.autograd.grad((3 * layer(x)[0] * weights).sum(), x)
    output, state = layer(x)
    if what == "state":
        state["h"].mul_(5)
        total = 3 * (output * weights).sum()
    else:
        output.mul_(3)
        total = (output * weights).sum()
    try:
        (found,) = torch.autograd.grad(total, x)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        torch.testing.assert_close(found, expected, **NEAR)


def test_an_output_detached_and_changed_does_not_spoil_the_gradient():
    layer = small()
    x = drawn(4, 2, 2).requires_grad_()
    expected = gradient_of(layer, x)
    output, _ = layer(x)
    total = (output**2).sum()
    output.detach().zero_()  # shares memory and version with the output
    try:
        (found,) = torch.autograd.grad(total, x)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        torch.testing.assert_close(found, expected, **NEAR)


def test_a_weight_changed_between_forward_and_backward_is_an_error():
    layer = small()
    output, _ = layer(drawn(4, 2, 2))
    with torch.no_grad():
        layer.U_f_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_new_weights_are_seen_at_once():
    layer = small()
    x = drawn(4, 2, 2)
    before = layer(x)[0]
    layer.W_f_l0.data.mul_(2)  # torch's version counter does not see this
    assert not torch.equal(layer(x)[0], before)


def test_backward_twice():
    layer = small()
    x = drawn(4, 2, 2).requires_grad_()
    total = layer(x)[0].sum()
    total.backward(retain_graph=True)
    once = x.grad.clone()
    total.backward()
    torch.testing.assert_close(x.grad, 2 * once, **NEAR)
    with pytest.raises(RuntimeError, match="a second time"):
        total.backward()


def test_frozen_parameters_get_no_gradient():
    layer = small(cells.text("gru"))
    x = drawn(4, 2, 2).requires_grad_()
    gradient_of(layer, x)
    layer(x)[0].sum().backward()
    everything = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    for name in ("W_z_l0", "b_n_l0", "U_r_l0"):
        getattr(layer, name).requires_grad_(False)
    layer(x.detach())[0].sum().backward()
    for name, p in layer.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(p.grad, everything[name], **NEAR)
        else:
            assert p.grad is None
    for p in layer.parameters():
        p.requires_grad_(False)
    assert not layer(x.detach())[0].requires_grad
    torch.testing.assert_close(
        gradient_of(layer, x), gradient_of(small(cells.text("gru")), x), **NEAR
    )


def test_only_the_state_needs_a_gradient():
    layer = small().requires_grad_(False)
    h = drawn(1, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: layer(drawn(3, 2, 2), {"h": h})[0], (h,))


def test_no_grad_and_inference_mode():
    layer = small()
    x = drawn(4, 2, 2)
    expected = layer(x)[0].detach()
    with torch.no_grad():
        assert torch.equal(layer(x)[0], expected)
    with torch.inference_mode():
        assert torch.equal(layer(x)[0], expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_copies(layers, tmp_path):
    layer = small(num_layers=layers)
    x = drawn(4, 2, 2)
    expected = layer(x)[0]
    twin = copy.deepcopy(layer)
    assert torch.equal(twin(x)[0], expected)
    with torch.no_grad():
        twin.W_f_l0.zero_()
    assert torch.equal(layer(x)[0], expected)
    again = pickle.loads(pickle.dumps(layer))
    assert torch.equal(again(x)[0], expected)
    assert again.cell == layer.cell
    other = Recurrent(cells.text("lstm"), 2, 3, num_layers=layers, dtype=torch.float64)
    assert not torch.equal(other(x)[0], expected)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    other.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(other(x)[0], expected)


def test_two_threads_call_one_layer():
    layer = small()
    x = [drawn(50, 4, 2, seed=k).requires_grad_() for k in range(4)]
    expected = [(layer(each)[0].detach(), gradient_of(layer, each)) for each in x]
    wrong = []

    def work(k):
        for _ in range(20):
            if not torch.equal(layer(x[k])[0], expected[k][0]):
                wrong.append(("forward", k))
            if not torch.equal(gradient_of(layer, x[k]), expected[k][1]):
                wrong.append(("gradient", k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_two_threads_step_and_run_a_batch_first_layer():
    layer = small(batch_first=True)
    x = drawn(3, 50, 2)
    expected = layer(x)[0].detach()
    wrong, done = [], threading.Event()

    def step():
        while not done.is_set():
            layer.step(x[:, 0])

    stepping = threading.Thread(target=step)
    stepping.start()
    for _ in range(50):
        found = layer(x)[0]
        if found.shape != expected.shape or not torch.equal(found, expected):
            wrong.append(found.shape)
    done.set()
    stepping.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_functional_transforms():
    layer = small(cells.text("gru"))
    x, v = drawn(6, 4, 2, 2), drawn(4, 2, 2)
    expected = torch.stack([layer(each)[0] for each in x])
    mapped = torch.func.vmap(lambda each: layer(each)[0])(x)
    torch.testing.assert_close(mapped, expected, **NEAR)
    output, along = torch.func.jvp(lambda each: layer(each)[0], (x[0],), (v,))
    torch.testing.assert_close(output, expected[0], **NEAR)
    step = 1e-6
    slope = (layer(x[0] + step * v)[0] - layer(x[0] - step * v)[0]) / (2 * step)
    torch.testing.assert_close(along, slope, rtol=0, atol=1e-8)
    by_func = torch.func.grad(lambda each: (layer(each)[0] ** 2).sum())(x[0])
    torch.testing.assert_close(by_func, gradient_of(layer, x[0].clone().requires_grad_()), **NEAR)
    weights = dict(layer.named_parameters())
    moved = torch.func.functional_call(layer, {n: 2 * p for n, p in weights.items()}, (x[0],))[0]
    assert not torch.allclose(moved, expected[0])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_forward_mode_differentiation():
    layer = small()
    x, v = drawn(4, 2, 2), drawn(4, 2, 2, seed=1)
    _, expected = torch.func.jvp(lambda each: layer(each)[0], (x,), (v,))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        found = torch.autograd.forward_ad.unpack_dual(layer(dual)[0]).tangent
    torch.testing.assert_close(found, expected, **NEAR)


def test_c_and_torch_say_the_same(monkeypatch):
    from elman.backends import c_compile

    layer = small(cells.text("lstm_peephole"), num_layers=2)
    x = drawn(9, 3, 2).requires_grad_()
    assert layer.explain() == "c: compiled kernels"
    by_c = layer(x)[0], gradient_of(layer, x)
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    assert layer.explain().startswith("torch: no C compiler")
    torch.testing.assert_close(layer(x)[0], by_c[0], **NEAR)
    torch.testing.assert_close(gradient_of(layer, x), by_c[1], **NEAR)


def test_half_precision_goes_to_torch():
    layer = small().to(torch.float16)
    output, _ = layer(drawn(4, 2, 2).to(torch.float16))
    assert output.dtype == torch.float16
    assert layer.explain().startswith("torch: dtype torch.float16")


def test_no_sequences():
    layer = small()
    x = drawn(4, 0, 2).requires_grad_()
    output, state = layer(x)
    assert output.shape == (4, 0, 3)
    assert state["h"].shape == (1, 0, 3)
    output.sum().backward()
    assert x.grad.shape == x.shape

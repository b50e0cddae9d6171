"""Layers of cells that draw, learn their initial state, freeze weights or count steps."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

import elman  # noqa: E402
from elman.backends import c_compile  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from tests.nn.test_recurrent import NEAR, drawn, stepped  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
VARIATIONAL_LSTM = """
    m: bernoulli(0.75), per sequence
    n: bernoulli(0.75), per sequence
    f[t] = sigmoid(W_f @ (n * x[t] / 0.75) + U_f @ (m * h[t-1] / 0.75) + b_f)
    i[t] = sigmoid(W_i @ (n * x[t] / 0.75) + U_i @ (m * h[t-1] / 0.75) + b_i)
    o[t] = sigmoid(W_o @ (n * x[t] / 0.75) + U_o @ (m * h[t-1] / 0.75) + b_o)
    g[t] = tanh(W_g @ (n * x[t] / 0.75) + U_g @ (m * h[t-1] / 0.75) + b_g)
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
"""
ZONEOUT = """
    k: bernoulli(0.8)
    g[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    h[t] = k[t] * h[t-1] + (1 - k[t]) * g[t]
"""
BOTH = """
    m: bernoulli(0.7), per sequence
    k: bernoulli(0.8)
    D: bernoulli(0.8)
    h[0] = h0
    h[t] = k[t] * h[t-1] + (1 - k[t]) * tanh(W @ x[t] + (D * U) @ (m * h[t-1]) + b)
"""
# what is drawn is returned too, so that a twin may use it
SHOWN = BOTH + "    s[t] = m\n    z[t] = k[t]\n    return h, s, z\n"


def layer_of(text, *sizes, **options):
    torch.manual_seed(0)
    return Recurrent(text, *(sizes or (2, 3)), dtype=torch.float64, **options)


def test_a_variational_lstm_is_one_with_masks_by_hand():
    layer = layer_of(VARIATIONAL_LSTM, 4, 5)
    shown = layer_of(VARIATIONAL_LSTM + "    s[t] = m\n    r[t] = n\n    return h, s, r\n", 4, 5)
    shown.load_state_dict(layer.state_dict())
    x = drawn(6, 3, 4).requires_grad_()
    torch.manual_seed(7)
    output, _ = layer(x)
    torch.manual_seed(7)
    (same, m, n), _ = shown(x)
    torch.testing.assert_close(output, same, **NEAR)
    assert (m == m[:1]).all()
    w = dict(layer.named_parameters())
    h = c = torch.zeros(3, 5, dtype=torch.float64)
    steps = []
    for t in range(6):
        a = {
            gate: (n[t] * x[t] / 0.75) @ w[f"W_{gate}_l0"].T
            + (m[t] * h / 0.75) @ w[f"U_{gate}_l0"].T
            + w[f"b_{gate}_l0"]
            for gate in "fiog"
        }
        c = a["f"].sigmoid() * c + a["i"].sigmoid() * a["g"].tanh()
        h = a["o"].sigmoid() * c.tanh()
        steps.append(h)
    twin = torch.stack(steps)
    torch.testing.assert_close(output, twin, **NEAR)
    weight = drawn(6, 3, 5, seed=1)
    wrt = [x, *layer.parameters()]
    found = torch.autograd.grad((output * weight).sum(), wrt)
    for one, other in zip(found, torch.autograd.grad((twin * weight).sum(), wrt), strict=True):
        torch.testing.assert_close(one, other, **NEAR)


def test_zoneout_is_one_with_masks_by_hand_and_its_mean_in_evaluation():
    layer = layer_of(ZONEOUT + "    z[t] = k[t]\n    return h, z\n")
    x = drawn(6, 3, 2)
    w = dict(layer.named_parameters())
    for mode in (True, False):
        (output, k), _ = layer.train(mode)(x)
        assert set(k.unique().tolist()) == ({0.0, 1.0} if mode else {0.8})
        h = torch.zeros(3, 3, dtype=torch.float64)
        for t in range(6):
            g = (x[t] @ w["W_l0"].T + h @ w["U_l0"].T + w["b_l0"]).tanh()
            h = k[t] * h + (1 - k[t]) * g
            torch.testing.assert_close(output[t], h, **NEAR)


def test_manual_seed_decides_and_every_call_draws_anew():
    layer, x = layer_of(BOTH), drawn(5, 4, 2)
    torch.manual_seed(3)
    first, second = layer(x)[0], layer(x)[0]
    torch.manual_seed(3)
    again = layer(x)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_evaluation_draws_nothing_and_leaves_the_generator_alone():
    layer, x = layer_of(BOTH).eval(), drawn(5, 4, 2)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    output, state = layer(x)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(output, layer(x)[0])
    assert state.keys() == {"h"}
    cell = elman.Cell(BOTH)
    weights = {name: getattr(layer, f"{name}_l0") for name in cell.parameters}
    expected = torch.from_numpy(cell.run({"x": x}, weights, backend="numpy")["h"])
    torch.testing.assert_close(output.detach(), expected, **NEAR)


def test_training_is_the_run_with_the_seed_that_the_state_names():
    layer, x = layer_of(BOTH), drawn(5, 4, 2)
    output, state = layer(x)
    assert state.keys() == {"h", "t", "random seed"}
    seed = int(state["random seed"][0, 0])
    cell = elman.Cell(BOTH)
    weights = {name: getattr(layer, f"{name}_l0") for name in cell.parameters}
    run = cell.run({"x": x}, weights, seed=seed, backend="numpy")
    torch.testing.assert_close(output.detach(), torch.from_numpy(run["h"]), **NEAR)
    assert state["t"].tolist() == [[5, 5, 5, 5]]


def test_layers_of_a_stack_draw_differently():
    layer = layer_of(SHOWN.replace("return h, s, z", "return h"), 3, 3, num_layers=2)
    _, state = layer(drawn(4, 2, 3))
    assert state["random seed"].shape == (2, 2)
    assert state["random seed"][0, 0] != state["random seed"][1, 0]
    assert (state["random seed"] == state["random seed"][:, :1]).all()


@pytest.mark.parametrize("batched", [True, False])
def test_steps_go_on_with_the_masks_of_their_sequence(batched):
    layer = layer_of(SHOWN, 2, 24)
    x = drawn(6, 4, 2) if batched else drawn(6, 2)
    torch.manual_seed(5)
    whole, final = layer(x)
    torch.manual_seed(5)
    parts, state = stepped(layer, x)
    for one, many in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(torch.stack(many), one, **NEAR)
    for key in final:
        torch.testing.assert_close(state[key], final[key], **NEAR)
    # a call on the same state draws anew, its steps counted on; a step goes on
    (_, masks, _), after = layer(x, final)
    assert not torch.equal(masks[0], whole[1][0])
    assert (after["t"] == 12).all()
    (_, going_on, _), _ = layer.step(x[0], final)
    assert torch.equal(going_on, whole[1][0])


def test_a_state_of_training_serves_in_evaluation():
    layer, x = layer_of(BOTH), drawn(4, 2, 2)
    _, state = layer(x)
    layer.eval()
    output, after = layer(x, state)
    assert after.keys() == {"h"}
    torch.testing.assert_close(output, layer(x, {"h": state["h"]})[0], **NEAR)


def test_c_and_torch_draw_the_same(monkeypatch):
    layer, x = layer_of(BOTH), drawn(9, 3, 2).requires_grad_()

    def both():
        torch.manual_seed(1)
        output = layer(x)[0]
        return output, torch.autograd.grad((output**2).sum(), [x, *layer.parameters()])

    by_c = both()
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    by_torch = both()
    torch.testing.assert_close(by_c, by_torch, **NEAR)


def test_second_derivatives_see_the_same_masks():
    layer, x = layer_of(BOTH), drawn(3, 2, 2).requires_grad_()

    def gradient(x, create_graph=True):
        torch.manual_seed(2)
        output = layer(x)[0]
        return torch.autograd.grad((output**3).sum(), x, create_graph=create_graph)[0]

    once = gradient(x, create_graph=False)
    torch.testing.assert_close(gradient(x), once, **NEAR)
    way = drawn(3, 2, 2, seed=4)
    (found,) = torch.autograd.grad((gradient(x) * way).sum(), x)
    step = 1e-5
    slope = (gradient(x + step * way, False) - gradient(x - step * way, False)) / (2 * step)
    torch.testing.assert_close(found, slope, rtol=0, atol=1e-8)


def test_gradcheck_with_masks_and_learned_state():
    layer = layer_of(BOTH)
    with torch.no_grad():
        layer.h0_l0.copy_(drawn(3))
    names = [name for name, _ in layer.named_parameters()]

    def run(x, *weights):
        torch.manual_seed(2)
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(layer, named, (x,))[0]

    assert torch.autograd.gradcheck(run, (drawn(3, 2, 2).requires_grad_(), *layer.parameters()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_draws_and_keeps_its_dtype(dtype):
    layer = layer_of(SHOWN, 2, 16).to(dtype)
    (output, s, z), state = layer(drawn(300, 2, 2).to(dtype))
    assert output.dtype == s.dtype == z.dtype == state["h"].dtype == dtype
    assert set(z.unique().tolist()) == {0.0, 1.0}
    assert state["t"].dtype == torch.float32
    assert (state["t"] == 300).all()
    assert len({step.detach().float().numpy().tobytes() for step in z}) == 300  # 256 is not 257


def test_a_learned_state_is_a_parameter_that_starts_at_zero():
    layer = layer_of(ZONEOUT.replace("k: bern", "h[0] = h0\n    k: bern"))
    assert layer.h0_l0.shape == (3,)
    assert not layer.h0_l0.any()
    assert layer.b_l0.any()
    layer.eval()
    x = drawn(4, 2, 2)
    layer(x)[0].sum().backward()
    assert layer.h0_l0.grad.abs().min() > 0
    layer.zero_grad(set_to_none=True)
    layer(x, {"h": drawn(1, 2, 3)})[0].sum().backward()
    assert layer.h0_l0.grad is None or not layer.h0_l0.grad.any()


IMAGE = """
    v: per sequence
    h[0] = tanh(V @ v)
    h[t] = tanh(W @ x[t] + U @ h[t-1])
"""


def test_an_initial_state_made_from_a_stream_takes_gradients():
    layer = layer_of(IMAGE, sizes={"v": 4})
    x, v = drawn(4, 2, 2), drawn(2, 4).requires_grad_()
    output, _ = layer(x, v=v)
    h0 = (v @ layer.V_l0.T).tanh()
    expected = layer_of("h[t] = tanh(W @ x[t] + U @ h[t-1])")
    expected.load_state_dict({n: p for n, p in layer.state_dict().items() if n != "V_l0"})
    twin, _ = expected(x, {"h": h0[None]})
    torch.testing.assert_close(output, twin, **NEAR)
    found = torch.autograd.grad(output.sum(), [v, layer.V_l0])
    for one, other in zip(found, torch.autograd.grad(twin.sum(), [v, layer.V_l0]), strict=True):
        torch.testing.assert_close(one, other, **NEAR)


def test_frozen_weights_are_saved_and_not_learned():
    layer = layer_of("W: frozen\nh[t] = tanh(W @ x[t] + U @ h[t-1])")
    assert [name for name, _ in layer.named_parameters()] == ["U_l0"]
    assert layer.W_l0.any()
    assert layer.W_l0.abs().max() <= 3**-0.5
    assert set(layer.state_dict()) == {"U_l0", "W_l0"}
    other = layer_of("W: frozen\nh[t] = tanh(W @ x[t] + U @ h[t-1])")
    other.reset_parameters()
    x = drawn(4, 2, 2).requires_grad_()
    assert not torch.equal(other(x)[0], layer(x)[0])
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x)[0], layer(x)[0])
    layer(x)[0].sum().backward()
    assert layer.U_l0.grad.any()
    assert torch.equal(copy.deepcopy(layer)(x)[0], layer(x)[0])
    assert layer.float().W_l0.dtype == torch.float32


def test_all_weights_frozen():
    layer = layer_of("W: frozen\nU: frozen\nh[t] = tanh(W @ x[t] + U @ h[t-1])")
    x = drawn(4, 2, 2).requires_grad_()
    layer(x)[0].sum().backward()
    assert x.grad.any()
    with pytest.raises(ElmanError, match="Convert one"):
        layer(x.float())


def test_a_batch_of_functions_draws_as_torch_is_told():
    layer, x = layer_of(BOTH), drawn(6, 4, 3, 2)
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda each: layer(each)[0])(x)
    same = x[:1].expand(6, 4, 3, 2)
    for randomness, most in (("same", 1), ("different", 6)):
        found = torch.func.vmap(lambda each: layer(each)[0], randomness=randomness)(same)
        assert len({each.detach().numpy().tobytes() for each in found}) == most


CLOCK = "h[t] = tanh(W @ x[t] + exp(-t / 3) * (U @ h[t-1]))"


def test_the_step_number_goes_on_from_call_to_call():
    layer, x = layer_of(CLOCK), drawn(6, 2, 2)
    whole, final = layer(x)
    first, state = layer(x[:4])
    second, after = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **NEAR)
    assert after["t"].tolist() == final["t"].tolist() == [[6, 6]]
    state = None
    for each, expected in zip(x, whole, strict=True):
        output, state = layer.step(each, state)
        torch.testing.assert_close(output, expected, **NEAR)


def test_the_step_number_without_kernels(monkeypatch):
    layer, x = layer_of(CLOCK), drawn(6, 2, 2)
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    first, state = layer(x[:4])
    torch.testing.assert_close(torch.cat([first, layer(x[4:], state)[0]]), layer(x)[0], **NEAR)


def test_a_layer_without_inputs():
    layer = layer_of("h[0] = h0\nh[t] = tanh(U @ h[t-1] + b)")
    output, state = layer(steps=4)
    assert output.shape == (4, 3)
    assert state["h"].shape == (1, 3)
    h = drawn(1, 5, 3)
    output, _ = layer(state={"h": h}, steps=4)
    assert output.shape == (4, 5, 3)
    stepped, _ = layer.step(state={"h": h})
    torch.testing.assert_close(stepped, output[0], **NEAR)
    output.sum().backward()
    assert layer.U_l0.grad.any()
    with pytest.raises(ElmanError, match="pass steps=10"):
        layer()


def test_constants_of_a_layer():
    text = "alpha = 0.9\nk = [1, 2, 3]\nh[t] = alpha * h[t-1] + k * (W @ x[t])"
    layer = layer_of(text, constants={"alpha": 0.5})
    x = drawn(4, 2, 2)
    expected = elman.Cell(text).run({"x": x}, {"W": layer.W_l0, "alpha": 0.5}, backend="numpy")
    torch.testing.assert_close(layer(x)[0].detach(), torch.from_numpy(expected["h"]), **NEAR)
    assert "alpha" not in str(list(layer.state_dict()))


ELMAN = "a = 1\nh[t] = tanh(W @ x[t] + U @ h[t-1] + a)"


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (lambda: Recurrent("grru", 2, 3), "E408", "Did you mean 'gru'"),
        (lambda: Recurrent(torch.nn.GRU, 2, 3), "E408", "not from type"),
        (lambda: Recurrent("h[t] = 0.5 * h[t-1]", 2, 3), "E408", "Run the cell itself"),
        (lambda: Recurrent(ELMAN, 2, 3, sizes=[3]), "E207", "by name"),
        (lambda: Recurrent(ELMAN, 2, 3, num_layers=2, dropout="a"), "E214", "dropout='a'"),
        (lambda: Recurrent(ELMAN, 2, 3, constants=[1]), "E502", "by name"),
        (lambda: Recurrent(ELMAN, 2, 3, constants={"b": 1}), "E502", "It has a"),
        (lambda: Recurrent(ELMAN, 2, 3, constants={"a": [1, 2]}), "E503", r"a is \(2,\)"),
        (lambda: Recurrent(ELMAN, 2, 3, constants={"a": "x"}), "E504", "holds text"),
        (lambda: layer_of(ELMAN)(drawn(3, 2, 2), steps=3), "E405", "no input steps"),
    ],
)
def test_a_mistake_is_named(call, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        call()
    assert caught.value.code == code

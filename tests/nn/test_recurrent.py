"""Recurrent against torch's own layers, and against the rules of autograd."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from elman.cell import Cell  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from tests.nn.torch_twins import GATES, stacked_gradients, twins  # noqa: E402

pytestmark = pytest.mark.torch
KINDS = tuple(GATES)
NEAR = {"rtol": 1e-10, "atol": 1e-10}


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def stepped(layer: Recurrent, x: torch.Tensor) -> tuple[list[object], dict[str, torch.Tensor]]:
    """What each of a layer's steps gives, and the state after them."""
    state, found = None, []
    for each in x:
        output, state = layer.step(each, state)
        found.append(output)
    return found, state


def _state(kind: str, tensors: list[torch.Tensor]) -> tuple[object, dict[str, torch.Tensor]]:
    """The initial state as torch takes it and as Recurrent does."""
    if kind == "LSTM":
        return (tensors[0], tensors[1]), {"h": tensors[0], "c": tensors[1]}
    return tensors[0], {"h": tensors[0]}


OPTIONS = [
    {"num_layers": layers, "batch_first": first}
    for layers, first in itertools.product((1, 2), (False, True))
]


@pytest.mark.c
@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: f"{o['num_layers']}{'-batch_first' * o['batch_first']}"
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 7])
def test_torchs_own_layer_with_the_same_weights(kind, options, steps):
    theirs, ours = twins(kind, **options)
    results = []
    for layer in (theirs, ours):
        torch.manual_seed(1)
        x = (
            drawn(4, steps, 3).requires_grad_()
            if options["batch_first"]
            else drawn(steps, 4, 3).requires_grad_()
        )
        before = [drawn(options["num_layers"], 4, 5, seed=k).requires_grad_() for k in (1, 2)]
        given = _state(kind, before)[0 if layer is theirs else 1]
        output, state = layer(x, given)
        if layer is theirs:
            last = list(state) if kind == "LSTM" else [state]
        else:
            last = [state["h"], state["c"]] if kind == "LSTM" else [state["h"]]
        found = [output, *last]
        loss = sum((value * drawn(*value.shape, seed=9 + k)).sum() for k, value in enumerate(found))
        loss.backward()
        results.append([*found, x.grad, *(b.grad for b in before[: len(last)])])
    for ours_one, theirs_one in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(ours_one, theirs_one, **NEAR)
    found = stacked_gradients(kind, ours, theirs)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, **NEAR)


def test_a_cell_of_the_library_goes_by_its_name():
    torch.manual_seed(0)
    by_name = Recurrent(["gru", " lstm "], 3, 5, num_layers=2)
    torch.manual_seed(0)
    by_cell = Recurrent([cells["gru"], cells["lstm"]], 3, 5, num_layers=2)
    x = torch.randn(4, 2, 3)
    assert by_name.cells == by_cell.cells and torch.equal(by_name(x)[0], by_cell(x)[0])


@pytest.mark.c
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_batch_and_without_a_state(kind):
    theirs, ours = twins(kind, num_layers=2)
    x = drawn(6, 3)
    expected, last = theirs(x)
    output, state = ours(x)
    torch.testing.assert_close(output, expected, **NEAR)
    torch.testing.assert_close(state["h"], last[0] if kind == "LSTM" else last, **NEAR)
    again, _ = ours(x, state)
    torch.testing.assert_close(again, theirs(x, last)[0], **NEAR)


def small(text: str = cells.text("lstm"), **options: object) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(text, 2, 3, dtype=torch.float64, **options)


@pytest.mark.c
@pytest.mark.parametrize("name", ["lstm", "gru", "rhn", "antisymmetric_rnn"])
def test_first_and_second_derivatives(name):
    layer = small(cells.text(name))
    x, h = drawn(3, 2, 2).requires_grad_(), drawn(1, 2, 3).requires_grad_()
    parameters = list(layer.parameters())

    def run(x, h, *_):
        output, state = layer(x, {"h": h})
        return output, state["h"]

    assert torch.autograd.gradcheck(run, (x, h, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, h, *parameters[:3]))


@pytest.mark.c
@pytest.mark.parametrize("batch_first", [False, True])
def test_second_derivatives_of_what_does_not_lie_in_one_piece(batch_first):
    layer = small(batch_first=batch_first)
    whole = drawn(2, 2, 3, 2).requires_grad_()

    def run(whole):
        return layer(whole[:, :, ::2].transpose(0, 1)[1])[0]

    assert torch.autograd.gradcheck(run, (whole,))
    assert torch.autograd.gradgradcheck(run, (whole,))


@pytest.mark.c
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_relu", "lstm_peephole"])
@pytest.mark.parametrize("layers", [1, 2])
def test_step_by_step_is_forward(name, layers):
    layer = small(cells.text(name), num_layers=layers)
    x = drawn(5, 4, 2)
    output, last = layer(x)
    state, steps = None, []
    for t in range(5):
        y, state = layer.step(x[t], state)
        steps.append(y)
    torch.testing.assert_close(torch.stack(steps), output, rtol=1e-12, atol=1e-12)
    for key, value in last.items():
        torch.testing.assert_close(state[key], value, rtol=1e-12, atol=1e-12)
    single, _ = layer.step(x[0, 0])
    torch.testing.assert_close(single, output[0, 0], rtol=1e-12, atol=1e-12)


@pytest.mark.c
def test_the_gradient_flows_from_step_to_step():
    layer = small()
    x = drawn(4, 2, 2).requires_grad_()
    state, total = None, 0.0
    for t in range(4):
        y, state = layer.step(x[t], state)
        total = total + (y * (t + 1)).sum()
    (by_steps,) = torch.autograd.grad(total, x)
    output, _ = layer(x)
    weight = torch.arange(1, 5, dtype=torch.float64)[:, None, None]
    (at_once,) = torch.autograd.grad((output * weight).sum(), x)
    torch.testing.assert_close(by_steps, at_once, **NEAR)


@pytest.mark.c
def test_a_sequence_cut_in_two_is_the_sequence():
    layer = small(num_layers=2)
    x = drawn(7, 3, 2).requires_grad_()
    whole, last = layer(x)
    first, state = layer(x[:3])
    second, state = layer(x[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **NEAR)
    for key in last:
        torch.testing.assert_close(state[key], last[key], **NEAR)
    weights = drawn(*whole.shape)
    (one,) = torch.autograd.grad((whole * weights).sum(), x)
    (two,) = torch.autograd.grad((torch.cat([first, second]) * weights).sum(), x)
    torch.testing.assert_close(one, two, **NEAR)


MASKED = """
m: scalar
n[t] = tanh(W @ x[t] + U @ h[t-1] + b)
h[t] = m[t] * n[t] + (1 - m[t]) * h[t-1]
"""
STREAMS = """
v: per sequence
dt: scalar, per step
a[t] = tanh(W @ x[t] + U @ h[t-1] + V @ v)
h[t] = h[t-1] + dt[t] * (a[t] - h[t-1])
"""


@pytest.mark.c
def test_a_mask_by_name():
    layer = small(MASKED)
    x, m = drawn(5, 3, 2).requires_grad_(), torch.ones(5, 3, dtype=torch.float64)
    m[3:, 1] = 0
    output, state = layer(x, m=m)
    torch.testing.assert_close(output[4, 1], output[2, 1])
    torch.testing.assert_close(state["h"][0], output[4])
    output[:, 1].sum().backward()
    assert bool((x.grad[3:, 1] == 0).all())
    assert bool((x.grad[:3, 1] != 0).all())


@pytest.mark.c
@pytest.mark.parametrize("layers", [1, 2])
def test_streams_over_the_batch_only_and_over_time_only(layers):
    layer = Recurrent(STREAMS, 3, 3, num_layers=layers, sizes={"v": 4}, dtype=torch.float64)
    x, v, dt = (drawn(*s).requires_grad_() for s in [(5, 2, 3), (2, 4), (5,)])

    def run(x, v, dt):
        return layer(x, v=v, dt=dt)[0]

    assert torch.autograd.gradcheck(run, (x, v, dt))
    assert torch.autograd.gradgradcheck(run, (x, v, dt))
    alone = layer(x[:, 0], v=v[0], dt=dt)[0]
    torch.testing.assert_close(alone, run(x, v, dt)[:, 0], **NEAR)
    one, _ = layer.step(x[0], v=v, dt=dt[0])
    torch.testing.assert_close(one, run(x, v, dt)[0], **NEAR)


@pytest.mark.c
def test_values_that_vary_over_less_than_time_and_batch():
    text = """
    v: per sequence
    p[t] = tanh(V @ v)
    n[t] = tanh(b)
    h[t] = p[t] * tanh(U @ h[t-1] + x[t]) * n[t]
    return p, n, h
    """
    layer = Recurrent(text, 3, 3, sizes={"v": 2}, dtype=torch.float64)
    x, v = drawn(4, 2, 3).requires_grad_(), drawn(2, 2).requires_grad_()
    outputs, _ = layer(x, v=v)
    assert [tuple(o.shape) for o in outputs] == [(4, 2, 3)] * 3
    assert torch.autograd.gradcheck(lambda x, v, b: layer(x, v=v)[0], (x, v, layer.b_l0))


@pytest.mark.c
def test_dropout_between_layers_and_only_in_training():
    layer = small(num_layers=2, dropout=0.5)
    plain = small(num_layers=2)
    x = drawn(5, 3, 2)
    torch.manual_seed(3)
    first = layer(x)[0]
    torch.manual_seed(3)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x)[0], first)
    assert torch.equal(layer.eval()(x)[0], plain(x)[0])
    with pytest.warns(UserWarning, match="dropout acts between layers"):
        small(dropout=0.5)


@pytest.mark.c
def test_sizes_of_the_cell_by_name():
    layer = Recurrent(
        cells.text("lstmp"), 2, 3, num_layers=2, sizes={"cell": 5}, dtype=torch.float64
    )
    output, state = layer(drawn(4, 2, 2))
    assert output.shape == (4, 2, 3)
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        "h": (2, 2, 3),
        "c": (2, 2, 5),
    }
    theirs = torch.nn.LSTM(2, 5, proj_size=3, dtype=torch.float64)
    ours = Recurrent(cells.text("lstmp"), 2, 3, sizes={"cell": 5}, dtype=torch.float64)
    with torch.no_grad():
        for k, gate in enumerate("ifco"):
            getattr(ours, f"W_{gate}_l0").copy_(theirs.weight_ih_l0.chunk(4)[k])
            getattr(ours, f"U_{gate}_l0").copy_(theirs.weight_hh_l0.chunk(4)[k])
            getattr(ours, f"b_{gate}_l0").copy_(
                theirs.bias_ih_l0.chunk(4)[k] + theirs.bias_hh_l0.chunk(4)[k]
            )
        ours.P_l0.copy_(theirs.weight_hr_l0)
    x = drawn(4, 2, 2)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0], **NEAR)


@pytest.mark.c
def test_float32_is_near_float64():
    layer = small(cells.text("gru"), num_layers=2)
    x = drawn(20, 3, 2)
    expected = layer(x)[0]
    found = layer.float()(x.float())[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)


def test_an_input_called_x_is_x():
    cell = Cell("h[t] = tanh(V @ u[t] + W @ x[t] + U @ h[t-1])")
    layer = Recurrent(cell, 2, 3, sizes={"u": 4}, dtype=torch.float64)
    x, u = drawn(5, 2, 2), drawn(5, 2, 4)
    weights = {name: getattr(layer, f"{name}_l0") for name in cell.parameters}
    expected = cell.run({"x": x, "u": u}, weights, backend="numpy")["h"]
    torch.testing.assert_close(layer(x, u=u)[0].detach(), torch.from_numpy(expected))


def test_an_input_that_is_a_number():
    cell = Cell("x: scalar\nh[t] = tanh(w * x[t] + U @ h[t-1])")
    layer = Recurrent(cell, 1, 3, dtype=torch.float64)
    x = drawn(5, 2)
    weights = {name: getattr(layer, f"{name}_l0") for name in cell.parameters}
    expected = torch.from_numpy(cell.run({"x": x}, weights, backend="numpy")["h"])
    torch.testing.assert_close(layer(x)[0].detach(), expected)
    torch.testing.assert_close(layer(x[:, 0])[0].detach(), expected[:, 0])

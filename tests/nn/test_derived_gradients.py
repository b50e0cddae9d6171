"""Backward passes that are differentiated again, or are of many gradients at once."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from elman.library import cells  # noqa: E402
from elman.nn import CRF, Recurrent  # noqa: E402
from tests.nn.pairs import drawn, pair  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

LAYERS, CELLS = ("RNN", "LSTM", "GRU"), ("RNNCell", "LSTMCell", "GRUCell")
ROWS = 40  # so many that the kernels serve the cells too


def same(found, expected, near=1e-10):
    torch.testing.assert_close(found, expected, rtol=near, atol=near)


def first(found):
    return found[0] if isinstance(found, tuple) else found


def given(kind):
    x = drawn(ROWS, 3) if kind in CELLS else drawn(4, 2, 3)
    return x.requires_grad_()


def penalty(output, start):
    """A gradient, and those of its square: of `start` and of everything that has one."""
    (once,) = torch.autograd.grad(output.square().sum(), start, create_graph=True)
    return once, once.square().sum()


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_a_first_state_that_comes_from_the_input(kind):
    """What goes from the state to the input is counted once."""
    found = []
    for module in pair(kind):
        x, map_ = given(kind), drawn(3, 5, seed=9)
        h = x @ map_ if kind in CELLS else (x @ map_).mean(0, keepdim=True)
        output = first(module(x, (h, 2 * h) if "LSTM" in kind else h))
        once, total = penalty(output, x)
        total.backward()
        found.append([once, x.grad, *(p.grad for p in module.parameters())])
    same(*found)


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_weights_that_come_from_each_other(kind):
    found = []
    for module in pair(kind):
        scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        own = {name: scale * p for name, p in module.named_parameters()}
        matrix, bias = (n for n in own if n.startswith(("weight_hh", "bias_hh")))
        own[bias] = own[matrix].sum(1)
        output = first(torch.func.functional_call(module, own, (given(kind),)))
        once, total = penalty(output, scale)
        total.backward()
        found.append([once, scale.grad, getattr(module, matrix).grad])
    same(*found)


def test_a_first_state_from_the_input_of_any_cell():
    layer = Recurrent(cells.text("gru_reset_after"), 3, 5, dtype=torch.float64, remat=2)
    x = drawn(4, 2, 3).requires_grad_()

    def outputs(x):
        h = x.sum((0, 2))[:, None].expand(2, 5)[None]
        return layer(x, {"h": h})[0]

    assert torch.autograd.gradcheck(outputs, x)
    assert torch.autograd.gradgradcheck(outputs, x)


def test_scores_that_come_from_each_other():
    crf = CRF(3).double()
    bends = drawn(3, seed=3).requires_grad_()

    def total(bends):
        transitions = bends[:, None] * bends
        emissions = (bends @ transitions).expand(4, 2, 3)
        named = {"transitions": transitions}
        tags = torch.zeros(4, 2, dtype=torch.long)
        return torch.func.functional_call(crf, named, (emissions, tags)).sum()

    assert torch.autograd.gradcheck(total, bends)
    assert torch.autograd.gradgradcheck(total, bends)


# ---- many at once ----


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_many_gradients_at_once(kind):
    options = {} if kind in CELLS else {"num_layers": 2, "bidirectional": True}
    found = []
    for module in pair(kind, **options):
        x = given(kind)
        output = first(module(x))
        many = drawn(3, *output.shape, seed=4)
        wrt = [x, *module.parameters()]
        found.append(torch.autograd.grad(output, wrt, many, is_grads_batched=True))
    assert not found[1][0].requires_grad
    same(*found)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_many_gradients_of_packed_sequences(kind, bidirectional):
    found = []
    for module in pair(kind, bidirectional=bidirectional):
        x = drawn(5, 3, 3).requires_grad_()
        packed = pack_padded_sequence(x, [3, 5, 1], enforce_sorted=False)
        output = module(packed)[0].data
        many = drawn(3, *output.shape, seed=4)
        wrt = [x, *module.parameters()]
        found.append(torch.autograd.grad(output, wrt, many, is_grads_batched=True))
    same(*found)


@pytest.mark.parametrize("options", [{}, {"remat": 2}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("lengths", [None, [4, 2]])
def test_many_gradients_of_any_cell(options, lengths):
    layer = Recurrent(cells.text("lstm_torch"), 3, 5, dtype=torch.float64, **options)
    x = drawn(4, 2, 3).requires_grad_()
    wrt, output = [x, *layer.parameters()], layer(x, lengths=lengths)[0]
    many = drawn(3, *output.shape, seed=4)
    found = torch.autograd.grad(output, wrt, many, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(output, wrt, one, retain_graph=True) for one in many]
    same(found, tuple(map(torch.stack, zip(*each, strict=True))))


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_vectorized_derivatives(kind):
    found = []
    for module in pair(kind):
        x = given(kind)[:2].detach()
        functional = torch.autograd.functional

        def output(x, module=module):
            return first(module(x))

        def total(x, output=output):
            return output(x).square().sum()

        found.append(
            (
                functional.jacobian(output, x, vectorize=True),
                functional.hessian(total, x, vectorize=True),
            )
        )
    same(*found)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("kind", LAYERS)
def test_a_gradient_with_a_tangent(kind):
    """Forward mode through the backward pass of a call that was made before."""
    forward_ad = torch.autograd.forward_ad
    found = []
    for module in pair(kind):
        x = given(kind)
        output = first(module(x))
        with forward_ad.dual_level():
            above = forward_ad.make_dual(torch.ones_like(output), drawn(*output.shape, seed=4))
            (gradient,) = torch.autograd.grad(output, x, above)
            found.append(forward_ad.unpack_dual(gradient).tangent)
    same(*found)

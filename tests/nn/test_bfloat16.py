"""Layers in bfloat16: the kernels round what is multiplied, and what they are given and give."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from elman.backends import c_compile  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent  # noqa: E402
from tests.nn.test_random_layers import BOTH  # noqa: E402
from tests.nn.test_recurrent import drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
HALF = torch.bfloat16
UNIT = 2**-8
STEPS, BATCH, INPUT, HIDDEN = 6, 5, 12, 24
BY_C = "c: compiled kernels, products in bfloat16"


def made(name: str, **options: object) -> torch.nn.Module:
    """A layer of weights that bfloat16 holds."""
    torch.manual_seed(0)
    sizes = options.pop("sizes", (INPUT, HIDDEN))
    if name in KINDS:
        return KINDS[name](*sizes, **options).bfloat16()
    return Recurrent(cells.text(name), *sizes, **options).bfloat16()


def tuples(state: object) -> tuple[torch.Tensor, ...]:
    if isinstance(state, dict):
        return tuple(state.values())
    return state if isinstance(state, tuple) else (state,)


def inputs(*shape: int, seed: int = 0) -> torch.Tensor:
    return drawn(*shape, seed=seed).to(HALF)


def results(layer, x, before=None):
    """Output, states, and the gradients of x, of every weight and of the states before."""
    x = x.detach().requires_grad_()
    output, state = layer(x, before)
    found = [output, *tuples(state)]
    total = sum((t * inputs(*t.shape, seed=k).to(t.dtype)).sum() for k, t in enumerate(found))
    wrt = [x, *layer.parameters(), *(() if before is None else tuples(before))]
    return [*found, *torch.autograd.grad(total, wrt)]


def as_double(before: object) -> object:
    if before is None:
        return None
    wide = [t.detach().double().requires_grad_() for t in tuples(before)]
    if isinstance(before, dict):
        return dict(zip(before, wide, strict=True))
    return tuple(wide) if isinstance(before, tuple) else wide[0]


def errors(found, expected) -> list[float]:
    """The largest error of every array, relative to its largest value."""
    return [
        float((one.detach().double() - other.detach()).abs().max() / other.detach().abs().max())
        for one, other in zip(found, expected, strict=True)
    ]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("name", [*KINDS, "gru", "lstm", "layer_norm_lstm", "rhn", "min_gru"])
def test_near_the_float64_reference(name, state, layers):
    layer = made(name, num_layers=layers)
    twin = copy.deepcopy(layer).double()
    before = None
    if state:
        names = layer.cell.states if isinstance(layer, Recurrent) else "hc"[: 1 + (name == "LSTM")]
        tensors = [
            inputs(layers, BATCH, HIDDEN, seed=k).requires_grad_() for k in range(len(names))
        ]
        if isinstance(layer, Recurrent):
            before = dict(zip(names, tensors, strict=True))
        else:
            before = tuple(tensors) if name == "LSTM" else tensors[0]
    x = inputs(STEPS, BATCH, INPUT)
    found = results(layer, x, before)
    assert all(tensor.dtype == HALF for tensor in found)
    expected = results(twin, x.double(), as_double(before))
    # half a unit each: what is multiplied, once a step and layer and once back; and what is given
    bound = (STEPS * layers + 2) * UNIT
    assert max(errors(found, expected)) < bound


@pytest.mark.parametrize("kind", KINDS)
def test_nearer_than_torchs_own(kind):
    """torch rounds sums and states too: it is not right where ours is far from it."""
    ours = made(kind)
    theirs = getattr(torch.nn, kind)(INPUT, HIDDEN).bfloat16()
    theirs.load_state_dict(ours.state_dict())
    x = inputs(40, BATCH, INPUT)
    expected = results(copy.deepcopy(ours).double(), x.double())
    one, other = errors(results(ours, x), expected), errors(results(theirs, x), expected)
    assert sum(one) < sum(other)
    assert max(one) < 4 * UNIT


@pytest.mark.parametrize("name", ["LSTM", "gru"])
def test_it_is_the_kernels_that_serve(name):
    layer = made(name)
    assert layer.explain() == BY_C
    x = inputs(STEPS, BATCH, INPUT)
    output, state = layer(x)
    wide = copy.deepcopy(layer).float()
    exact, _ = wide(x.float())
    assert output.dtype == HALF
    assert all(tensor.dtype == HALF for tensor in tuples(state))
    assert not torch.equal(output, exact.to(HALF))  # the state is rounded where it is multiplied
    assert wide.explain() == "c: compiled kernels"


@pytest.mark.parametrize("name", ["LSTM", "gru"])
def test_nothing_is_converted_around_the_kernels(name):
    """A call makes what it returns, and one pool for what is kept: no copy of x or of a weight."""
    layer, x = made(name), inputs(STEPS, BATCH, INPUT)
    seen = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(t) or t, lambda t: t):
        output, state = layer(x)
    given = {t.data_ptr() for t in (x, *layer.parameters())}
    kept = [t for t in seen if t.data_ptr() not in given]
    assert all(t.dtype == HALF for t in seen)
    assert len(kept) <= 1 + 1 + len(tuples(state))
    # the gates and c are floats, which take two values of bfloat16 each
    assert sum(t.numel() for t in kept) < 16 * output.numel()


@pytest.mark.parametrize("options", [{"batch_first": True}, {"remat": 2}, {"num_layers": 2}])
@pytest.mark.parametrize("name", ["GRU", "lstm"])
def test_options(name, options):
    layer = made(name, **options)
    x = inputs(STEPS, BATCH, INPUT)
    found = results(layer, x)
    expected = results(copy.deepcopy(layer).double(), x.double())
    assert max(errors(found, expected)) < (2 * STEPS + 2) * UNIT


@pytest.mark.parametrize("name", ["LSTM", "gru", "rhn"])
def test_frozen(name):
    layer, x = made(name), inputs(STEPS, BATCH, INPUT)
    with torch.no_grad():
        expected = [each.clone() for each in (layer(x)[0], *tuples(layer(x)[1]))]
        frozen = copy.deepcopy(layer).freeze()
        assert frozen.explain() == f"{BY_C}, weights packed once"
        for _ in range(2):
            output, state = frozen(x)
            for one, other in zip((output, *tuples(state)), expected, strict=True):
                assert torch.equal(one, other)
        for parameter in (*frozen.parameters(), *layer.parameters()):
            parameter.mul_(0.5)
        assert torch.equal(frozen(x)[0], layer(x)[0])
    wanted = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(frozen(wanted)[0].sum(), wanted)
    assert torch.equal(gradient, torch.autograd.grad(layer(wanted)[0].sum(), wanted)[0])


def test_second_derivatives():
    layer = made("gru")
    x = inputs(3, 2, INPUT).requires_grad_()
    (first,) = torch.autograd.grad((layer(x)[0] ** 2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((first**2).sum(), x)
    twin, wide = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
    (first,) = torch.autograd.grad((twin(wide)[0] ** 2).sum(), wide, create_graph=True)
    (expected,) = torch.autograd.grad((first**2).sum(), wide)
    assert errors([second], [expected])[0] < 8 * 5 * UNIT


def test_lengths_and_resets():
    layer = made("gru")
    x, lengths = inputs(STEPS, BATCH, INPUT), [3, 6, 0, 5, 1]
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[2, 1] = reset[0, 3] = True
    found, state = layer(x, lengths=lengths, reset=reset)
    expected, last = copy.deepcopy(layer).double()(x.double(), lengths=lengths, reset=reset)
    pair = [found, state["h"]], [expected, last["h"]]
    assert max(errors(*pair)) < (STEPS + 2) * UNIT
    assert not found[3:, 0].any()


def test_what_is_random():
    torch.manual_seed(0)
    layer = Recurrent(BOTH, INPUT, HIDDEN, dtype=HALF)
    x = inputs(STEPS, BATCH, INPUT)
    both = []
    for each, given in ((layer, x), (copy.deepcopy(layer).double(), x.double())):
        torch.manual_seed(3)
        both.append([each(given)[0]])
    assert max(errors(*both)) < (STEPS + 2) * UNIT
    assert layer.explain().splitlines()[0] == BY_C


def test_changed_outputs_are_noticed():
    layer = made("LSTM")
    x = inputs(STEPS, BATCH, INPUT).requires_grad_()
    output, _ = layer(x)
    total = output.float().sum()
    output.detach().zero_()  # the backward pass reads it
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(total, x)


@pytest.mark.parametrize("name", ["LSTM", "gru"])
def test_no_steps_or_rows_and_an_optimizer(name):
    layer = made(name)
    assert layer(inputs(STEPS, 0, INPUT))[0].shape == (STEPS, 0, HIDDEN)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        loss = (layer(inputs(STEPS, BATCH, INPUT))[0].float() - 0.3).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.dtype == p.grad.dtype == HALF for p in layer.parameters())


def test_two_dtypes_are_refused_as_by_torch():
    for x, layer in ((inputs(3, 2, INPUT).float(), made("LSTM")), (inputs(3, 2, INPUT), None)):
        with pytest.raises((RuntimeError, ValueError)):
            (layer or LSTM(INPUT, HIDDEN))(x)
    mixed = made("LSTM")
    mixed.weight_hh_l0.data = mixed.weight_hh_l0.data.float()
    assert mixed.explain() == "torch: tensors of several dtypes"
    with pytest.raises((RuntimeError, ValueError)):
        mixed(inputs(3, 2, INPUT))


def test_without_a_compiler_torch_serves(monkeypatch):
    layer, x = made("gru"), inputs(STEPS, BATCH, INPUT)
    by_c = layer(x)[0]
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    assert layer.explain().startswith("torch: no C compiler")
    assert errors([layer(x)[0]], [by_c.double()])[0] < (STEPS + 2) * UNIT


def test_inside_a_transform_torch_serves():
    layer, x = made("gru"), inputs(STEPS, BATCH, INPUT)
    found = torch.func.vmap(lambda x: layer(x[:, None])[0][:, 0], 1, 1)(x)
    assert errors([found], [layer(x)[0].double()])[0] < (STEPS + 2) * UNIT


STREAMS = """
v: per sequence
m: per step
q[t] = tanh(C @ m[t])
h[t] = tanh(W @ x[t] + U @ h[t-1] + A @ v + q[t] * h[t-1] + b)
return h, q
"""


def test_what_varies_over_steps_or_sequences_alone():
    torch.manual_seed(0)
    layer = Recurrent(STREAMS, INPUT, HIDDEN, sizes={"v": 4, "m": 3}, dtype=HALF)
    given = {"x": (STEPS, BATCH, INPUT), "v": (BATCH, 4), "m": (STEPS, 3)}
    assert layer.explain() == BY_C
    both = []
    for each in (layer, copy.deepcopy(layer).double()):
        dtype = each.U_l0.dtype
        arrays = {
            name: inputs(*shape, seed=k).to(dtype).requires_grad_()
            for k, (name, shape) in enumerate(given.items())
        }
        x, *others = arrays.values()
        outputs, _ = each(x, **dict(zip(("v", "m"), others, strict=True)))
        total = sum((o * inputs(*o.shape, seed=9).to(dtype)).sum() for o in outputs)
        both.append([*outputs, *torch.autograd.grad(total, [*arrays.values(), *each.parameters()])])
    assert max(errors(*both)) < (STEPS + 2) * UNIT

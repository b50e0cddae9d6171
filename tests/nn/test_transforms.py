"""What torch makes of functions, made of layers of several cells: the same numbers on any path."""

from __future__ import annotations

import copy
import io
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from torch.func import (  # noqa: E402
    functional_call,
    grad,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vmap,
)
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402

import elman.nn  # noqa: E402
from elman.errors import BackendProblem, ElmanError  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import kernels, layers  # noqa: E402
from tests.one_thread import one_thread  # noqa: E402

__all__ = ["one_thread"]

pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore"),  # torch warns of its own tools
]
WIDE = torch.float64
CELLS = {
    "gru": cells.text("gru"),
    "lstm": cells.text("lstm"),
    "own": "g[t] = sigmoid(W_g @ x[t] + p_g * h[t-1] + b_g)\n"
    "h[t] = g[t] * h[t-1] + (1 - g[t]) * tanh(W @ [x[t], h[t-1]])",
    "random": "m: bernoulli(0.7)\nh[t] = tanh(W @ x[t] + U @ (m[t] * h[t-1]) + b)",
    "start": "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nh[0] = h_0",
}


def layer_of(name, **options):
    """In evaluation, where a random cell is its mean."""
    torch.manual_seed(5)
    made = elman.nn.Recurrent(CELLS[name], 3, 4, **{"dtype": WIDE, **options}).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-0.5, 0.5)
    return made


def drawn(*shape, seed=0):
    return torch.randn(shape, dtype=WIDE, generator=torch.Generator().manual_seed(seed))


def same(found, expected, near=1e-10):
    pairs = zip(pytree.tree_leaves(found), pytree.tree_leaves(expected), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=near, atol=near)


def weights_of(layer):
    return {name: weight.detach() for name, weight in layer.named_parameters()}


def called(layer):
    return lambda own, x: functional_call(layer, own, (x,))[0]


def squares(found):
    return sum(each.square().sum() for each in pytree.tree_leaves(found))


def by_kernels(layer, x):
    """The gradients of all weights, and of x, by the compiled kernels."""
    x = x.clone().requires_grad_()
    found = torch.autograd.grad(squares(layer(x)[0]), [x, *layer.parameters()])
    return found[0], dict(zip(weights_of(layer), found[1:], strict=True))


# ---- each is a function of a layer and x (T, B, 3): what is found, and what is expected ----


def over_x(layer, x):
    many = torch.stack([x, 2 * x, -x], 1)
    return vmap(layer, 1, 1)(many)[0], torch.stack([layer(k * x)[0] for k in (1, 2, -1)], 1)


def over_states(layer, x):
    name = layer.cell.states[0]
    states = drawn(3, 1, x.shape[1], 4, seed=3)
    found = vmap(lambda state: layer(x, {name: state})[0])(states)
    return found, torch.stack([layer(x, {name: state})[0] for state in states])


def gradient(layer, x):
    by_x = grad(lambda x: squares(layer(x)[0]))(x)
    by_weights = grad(lambda own: squares(called(layer)(own, x)))(weights_of(layer))
    return (by_x, by_weights), by_kernels(layer, x)


def per_sample(layer, x):
    found = vmap(grad(lambda own, x: squares(called(layer)(own, x))), (None, 1))(
        weights_of(layer), x
    )
    one = [by_kernels(layer, x[:, k])[1] for k in range(x.shape[1])]
    return found, {name: torch.stack([each[name] for each in one]) for name in found}


def ensemble(layer, x):
    models = [layer, copy.deepcopy(layer)]
    with torch.no_grad():
        for weight in models[1].parameters():
            weight.mul_(0.5)
    own, buffers = stack_module_state(models)
    found = vmap(lambda own, b: functional_call(layer, (own, b), (x,))[0])(own, buffers)
    return found, torch.stack([each(x)[0] for each in models])


def jacobians(layer, x):
    expected = torch.autograd.functional.jacobian(lambda x: layer(x)[0], x[:2])
    return [f(lambda x: layer(x)[0])(x[:2]) for f in (jacrev, jacfwd)], [expected] * 2


def forward_mode(layer, x):
    v = drawn(*x.shape, seed=4)
    _, expected = torch.autograd.functional.jvp(lambda x: layer(x)[0], x, v)
    with torch.autograd.forward_ad.dual_level():
        made = layer(torch.autograd.forward_ad.make_dual(x, v))[0]
        dual = torch.autograd.forward_ad.unpack_dual(made).tangent
    _, tangent = jvp(lambda x: layer(x)[0], (x,), (v,))
    return (tangent, dual), (expected,) * 2


def checkpointed(layer, x):
    found = []
    for again in (True, False):
        y = x.clone().requires_grad_()
        inner = torch.utils.checkpoint.checkpoint(lambda y: layer(y)[0], y, use_reentrant=again)
        squares(inner).backward()
        found.append(y.grad)
    layer.zero_grad()
    return found, [by_kernels(layer, x)[0]] * 2


def saved_elsewhere(layer, x):
    found = []
    for hooks in (
        torch.autograd.graph.save_on_cpu(),
        torch.autograd.graph.saved_tensors_hooks(lambda t: t.numpy(), torch.from_numpy),
    ):
        with hooks:
            found.append(by_kernels(layer, x))
    return found, [by_kernels(layer, x)] * 2


def traced(layer, x):
    whole = Model(layer)
    model = torch.jit.trace(whole, (x,), check_trace=False)
    return model(2 * x), whole(2 * x)


def inferred(layer, x):
    with torch.inference_mode():
        return layer(x)[0].clone(), layer.requires_grad_(False)(x)[0]


def parallel(layer, x):
    return torch.nn.DataParallel(layer)(x), layer(x)


def twice(layer, x):
    """Second derivatives: those of the kernels' gradients, as of the torch backend's."""
    few = x[:2, :1].clone().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], few)
    return x, x


TRANSFORMS = (
    over_x,
    over_states,
    gradient,
    per_sample,
    ensemble,
    jacobians,
    forward_mode,
    checkpointed,
    saved_elsewhere,
    traced,
    inferred,
    parallel,
    twice,
)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda f: f.__name__)
def test_a_transform(transform, name):
    same(*transform(layer_of(name), drawn(4, 2, 3)))


@pytest.mark.parametrize("both", [False, True])
def test_a_state_that_some_layers_lack_within_a_transform(both):
    """torch.func knows tensors alone: an empty one stands for None."""
    cell = [elman.cells["lstm"], elman.cells["gru"]]
    layer = elman.nn.Recurrent(cell, 3, [4, 5], 2, bidirectional=both, dtype=WIDE)
    x, directions = drawn(4, 2, 3), 1 + both
    many = torch.stack([x, 2 * x])
    output, state = vmap(layer)(many)
    assert state["c"][1].shape == (2, directions, 2, 0)
    again = vmap(layer)(many, state)[0]
    for k in (0, 1):
        found, after = layer(many[k])
        same((output[k], state["c"][0][k]), (found, after["c"][0]))
        assert after["c"][1] is None
        same(again[k], layer(many[k], after)[0])
    same(jvp(layer, (x,), (x,))[0][0], layer(x)[0])


BATCHED = {
    "plain": ({}, {}),
    "remat": ({"remat": 2}, {}),
    "lengths": ({}, {"lengths": [400, 90, 5]}),
    "two directions": ({"num_layers": 2, "bidirectional": True}, {}),
}


@pytest.mark.parametrize("kind", BATCHED)
def test_many_gradients_at_once(kind):
    """What torch.autograd vectorises: a batch of cotangents comes to the backward pass."""
    options, named = BATCHED[kind]
    layer, rows = layer_of("lstm", **options), 3 if named else 2
    x = drawn(400 if named else 3, rows, 3).requires_grad_()
    output, state = layer(x, **named)
    found = output[:3].square().sum((0, 1)) + state["c"].sum()
    wanted = [x, *layer.parameters()]
    above = drawn(3, len(found), seed=8)
    each = [torch.autograd.grad(found, wanted, v, retain_graph=True) for v in above]
    expected = [torch.stack(those) for those in zip(*each, strict=True)]
    more = {"retain_graph": True}
    same(torch.autograd.grad(found, wanted, above, is_grads_batched=True, **more), expected)
    same(vmap(lambda v: torch.autograd.grad(found, wanted, v, **more))(above), expected)
    if not named:
        jacobian = torch.autograd.functional.jacobian
        few = drawn(2, 2, 3)
        same(*(jacobian(lambda x: layer(x)[0], few, vectorize=v) for v in (True, False)))


def quick(names, *kept):
    """All of them, of which only these are no slow tests."""
    return [n if n in kept else pytest.param(n, marks=pytest.mark.slow) for n in names]


NORMALISED = {
    "Recurrent": lambda: layer_of("own", num_layers=2, layer_norm=True),
    "GRU": lambda: elman.nn.GRU(3, 4, 2, layer_norm=True, dtype=WIDE),
    "a cell": lambda: elman.nn.Recurrent("h[t] = layer_norm(W @ x[t] + U @ h[t-1])", 3, 4),
}


@pytest.mark.parametrize("kind", quick(NORMALISED, "Recurrent"))
def test_derivatives_of_every_order_and_mode_through_normalised_layers(kind):
    """torch's LayerNorm is wrong in some of them: of weights already the second, by any mode."""
    layer = NORMALISED[kind]().to(WIDE)
    own = weights_of(layer)
    x = drawn(2, 2, 3)

    def along(x, *steps):
        """Of a sum over all outputs, the derivative along each of the steps."""
        if not steps:
            return called(layer)(own, x).pow(3).sum()
        return jvp(lambda x: along(x, *steps[1:]), (x,), (steps[0],))[1]

    u, v, w = (drawn(*x.shape, seed=seed) for seed in (1, 2, 3))
    for steps in ((u,), (u, v), (u, v, w)):
        ahead, behind = (along(x + near * steps[0], *steps[1:]) for near in (1e-5, -1e-5))
        same(along(x, *steps), (ahead - behind) / 2e-5, near=1e-6)
    modes = (jacfwd, jacrev)
    same(*(f(f(grad(along)))(x[:, :1]) for f in modes))

    def loss(own):
        return squares(called(layer)(own, x))

    eager = torch.autograd.functional.hessian(
        lambda *weights: loss(dict(zip(own, weights, strict=True))), (*own.values(),)
    )
    for found in (outer(inner(loss))(own) for outer in modes for inner in modes):
        same([[found[a][b] for b in own] for a in own], eager)


def test_a_normalisation_is_torchs_in_any_dtype():
    layer = elman.nn.LSTM(3, 4, layer_norm=True).norm_l0
    assert isinstance(layer, torch.nn.LayerNorm)
    assert repr(layer) == repr(torch.nn.LayerNorm(3))
    torch.nn.init.uniform_(layer.bias)
    for dtype, near in ((WIDE, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        x = drawn(5, 2, 3).to(dtype)
        found = vmap(layer.to(dtype))(x)
        assert found.dtype is dtype
        same(found, layer(x), near)


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_linearize(name):
    layer, x, v = layer_of(name), drawn(4, 2, 3), drawn(4, 2, 3, seed=4)
    _, line = linearize(lambda x: layer(x)[0], x)
    same(line(v), jvp(lambda x: layer(x)[0], (x,), (v,))[1])


# ---- torch.autocast ----


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lengths", [None, [4, 2]])
@pytest.mark.parametrize("name", CELLS)
def test_autocast(name, lengths, dtype):
    """All is in the dtype of torch.autocast, as with torch's LSTM; gradients are float32."""
    layer, x = layer_of(name, dtype=torch.float32), drawn(4, 2, 3).float()
    expected = layer(x, lengths=lengths)[0]
    with torch.autocast("cpu", dtype):
        output, state = layer(x, lengths=lengths)
        again = layer(x.to(dtype), lengths=lengths)[0]
    assert {output.dtype, again.dtype, *(v.dtype for v in state.values())} == {dtype}
    if dtype is torch.bfloat16:  # torch's own fails in float16 on the CPU
        with torch.autocast("cpu", dtype):
            theirs, (h, c) = torch.nn.LSTM(3, 4)(x)
        assert theirs.dtype is h.dtype is c.dtype is dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.02)
    output.float().sum().backward()
    assert {weight.grad.dtype for weight in layer.parameters()} == {torch.float32}


@pytest.mark.parametrize("make", [elman.nn.LSTM, lambda *n, **o: layer_of("gru", **o)])
def test_autocast_with_what_stands_beside_the_output(make):
    layer, x = make(3, 4, skip_input=True, residual=False, dtype=torch.float32), drawn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(x.float(), lengths=[4, 2])[0]
    assert output.dtype is torch.bfloat16
    same(output.float(), layer(x.float(), lengths=[4, 2])[0], near=0.02)


def test_autocast_leaves_float64_and_what_is_outside_of_it():
    layer = layer_of("gru")
    with torch.autocast("cpu", torch.bfloat16):
        same(layer(drawn(4, 2, 3)), layer_of("gru")(drawn(4, 2, 3)))
        with torch.autocast("cpu", enabled=False):
            assert layer.float()(drawn(4, 2, 3).float())[0].dtype is torch.float32


# ---- torch.compile and torch.export ----

SHAPES = ((4, 2), (7, 2), (9, 5), (30, 3), (5, 8), (6, 6))
KINDS = {
    "two directions": lambda: layer_of("gru", num_layers=2, bidirectional=True),
    "states seen": lambda: layer_of("lstm", return_states=("c", "f")),
    "learned start": lambda: layer_of("gru", num_layers=2, learn_initial_state=True),
    "residual": lambda: layer_of("gru", num_layers=3, residual=True, layer_norm=True),
    "remat": lambda: layer_of("gru", num_layers=2, remat=True),
    "LSTM": lambda: elman.nn.LSTM(3, 4, 2, bidirectional=True, dtype=WIDE),
    "GRU": lambda: elman.nn.GRU(3, 4, 2, dropout=0.3, dtype=WIDE),
    "RNN": lambda: elman.nn.RNN(3, 4, batch_first=True, dtype=WIDE),
    "projection": lambda: elman.nn.LSTM(3, 4, proj_size=2, dtype=WIDE),
    **{name: lambda name=name: layer_of(name, num_layers=2).train() for name in CELLS},
}


def compiled(model, **options):
    torch._dynamo.reset()
    return torch.compile(model, **{"backend": "aot_eager", "fullgraph": True, **options})


def said_in_a_graph(words, kind):
    """Of an error within a whole graph torch before 2.12 says its class alone."""
    return words if torch.__version__ >= "2.12" else f"{words}|exception {kind}"


def trained(model, layer, x, **named):
    """What is found and all gradients, with the same draws each time."""
    torch.manual_seed(2)
    x = x.clone().requires_grad_()
    found = model(x, **named)
    return found, torch.autograd.grad(squares(found), [x, *layer.parameters()])


@pytest.mark.parametrize("kind", quick(KINDS, "gru"))
def test_one_graph_for_all_lengths_and_batches(kind):
    layer = KINDS[kind]()
    model = compiled(layer, dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for lead in SHAPES:
            x = drawn(*lead, 3)
            same(trained(model, layer, x), trained(layer, layer, x))


@pytest.mark.slow
def test_shapes_as_they_come_are_three_graphs():
    """The first, then one where the length is free, then one where the batch is too."""
    layer = layer_of("gru")
    model = compiled(layer)
    torch._dynamo.utils.counters.clear()
    for lead in SHAPES:
        same(trained(model, layer, drawn(*lead, 3)), trained(layer, layer, drawn(*lead, 3)))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 3


@pytest.mark.parametrize("make", [KINDS["states seen"], lambda: elman.nn.GRU(3, 4, dtype=WIDE)])
def test_one_layer_is_traced_once(make):
    """torch traces again what reads a float of a module, as its own Dropout does."""
    layer = make().train()
    graphs = []

    def counting(graph, given):
        graphs.append(graph)
        return torch._dynamo.backends.registry.lookup_backend("aot_eager")(graph, given)

    model = compiled(layer, backend=counting, dynamic=True)
    for lead in SHAPES[1:4]:
        trained(model, layer, drawn(*lead, 3))
    assert len(graphs) == 1


@pytest.mark.parametrize("name", quick(["gru", "start", "random"], "start"))
def test_masks_in_a_graph(name):
    layer = layer_of(name, num_layers=2).train()
    model = compiled(layer, dynamic=True)
    for lead in SHAPES[1:3]:
        generator = torch.Generator().manual_seed(1)
        given = {
            "lengths": torch.randint(0, lead[0] + 1, lead[1:], generator=generator),
            "reset": torch.rand(lead, generator=generator) < 0.2,
            "state": {"h": drawn(2, lead[1], 4, seed=9)},
        }
        x = drawn(*lead, 3)
        same(trained(model, layer, x, **given), trained(layer, layer, x, **given))


FIRST = {
    "between layers": lambda: layer_of("gru", num_layers=2, layer_norm=True),
    "drop-in": lambda: elman.nn.GRU(3, 4, dtype=WIDE),
    "layers of layers": lambda: elman.nn.Stacked(
        elman.nn.Bidirectional(elman.nn.GRU(3, 2, dtype=WIDE)), elman.nn.LSTM(4, 4, dtype=WIDE)
    ),
}


@pytest.mark.parametrize("kind", quick(FIRST, "layers of layers"))
def test_lengths_in_a_graph_that_no_call_came_before(kind):
    layer = FIRST[kind]()
    model = compiled(layer, dynamic=True)
    for steps, lengths in ((5, [5, 0]), (7, [2, 7])):
        given = drawn(steps, 2, 3), {"lengths": torch.tensor(lengths)}
        same(model(given[0], **given[1]), layer(given[0], **given[1]))


def test_forward_mode_through_sequences_that_are_read_from_their_ends():
    layer, x, v = layer_of("gru", bidirectional=True), drawn(5, 3, 3), drawn(5, 3, 3, seed=1)
    lengths = [5, 0, 2]
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, v)
        found = torch.autograd.forward_ad.unpack_dual(layer(dual, lengths=lengths)[0]).tangent
    same(found, jvp(lambda x: layer(x, lengths=lengths)[0], (x,), (v,))[1])
    ahead, behind = (layer(x + step * v, lengths=lengths)[0] for step in (1e-6, -1e-6))
    same(found, (ahead - behind) / 2e-6, near=1e-8)


def test_lengths_that_are_none_are_said_when_the_graph_runs():
    model = compiled(layer_of("gru"))
    with pytest.raises(ElmanError, match=r"E428.*lengths\[1\] is 9"):
        model(drawn(4, 2, 3), lengths=torch.tensor([1, 9]))


@pytest.mark.slow
@pytest.mark.parametrize("make", [KINDS["gru"], lambda: elman.nn.LSTM(3, 4, dtype=WIDE)])
def test_a_graph_is_differentiated_but_once_and_evaluation_keeps_nothing(make):
    layer = make().eval()
    with torch.no_grad():
        same(compiled(layer)(drawn(4, 2, 3)), layer(drawn(4, 2, 3)))
    x = drawn(4, 2, 3).requires_grad_()
    found = compiled(layer)(x)[0]
    (by_x,) = torch.autograd.grad(squares(found), x, create_graph=True)
    same(by_x.detach(), by_kernels(layer, x.detach())[0])
    with pytest.raises(RuntimeError, match="double backward"):
        by_x.sum().backward()


@pytest.mark.parametrize("fullgraph", [True, False])
@pytest.mark.parametrize("make", [KINDS["gru"], lambda: elman.nn.LSTM(3, 4, dtype=WIDE)])
def test_a_wrong_shape_is_said_in_a_graph(make, fullgraph):
    words = said_in_a_graph(r"needs \(T, B, 3\)|Expected 3, got 7", "ShapeProblem")
    with pytest.raises((ElmanError, RuntimeError), match=words):
        compiled(make(), fullgraph=fullgraph)(drawn(4, 2, 7))


def test_several_dtypes_are_refused_in_a_graph_as_by_torch():
    words = "does not match weight dtype|must have the type"  # the latter are those of torch 2.10
    with pytest.raises(ValueError, match=words):
        compiled(elman.nn.LSTM(3, 4), fullgraph=False)(drawn(4, 2, 3))


@pytest.mark.slow
@pytest.mark.parametrize("make", [KINDS["gru"], lambda: elman.nn.LSTM(3, 4, dtype=WIDE)])
def test_transforms_within_a_graph_run_outside_of_it(make):
    layer, x = make().eval(), drawn(4, 2, 3)
    for f in (
        lambda x: vmap(lambda x: layer(x)[0], 1, 1)(x),
        grad(lambda x: squares(layer(x)[0])),
        lambda x: jvp(lambda x: layer(x)[0], (x,), (x,))[1],
    ):
        same(compiled(f, fullgraph=False)(x), f(x))
        with pytest.raises(RuntimeError, match=said_in_a_graph("E823", "BackendProblem")):
            compiled(f)(x)


def test_torchs_own_layers_stay_outside_of_graphs():
    """What lets the drop-ins in is for them alone."""
    elman.nn.LSTM(3, 4)
    theirs = torch.nn.LSTM(3, 4)
    assert not torch._dynamo.config.allow_rnn
    with pytest.raises(RuntimeError, match="does not support RNN, GRU, or LSTM"):
        compiled(theirs)(torch.zeros(4, 2, 3))
    trained(compiled(theirs, fullgraph=False), theirs, torch.zeros(4, 2, 3))


PACKED = {
    "LSTM": lambda: elman.nn.LSTM(3, 4, 2, bidirectional=True, dtype=WIDE),
    "states seen": lambda: elman.nn.GRU(3, 4, return_states=("r",), dtype=WIDE),
    "Recurrent": lambda: layer_of("gru"),
    "layers of layers": lambda: elman.nn.Bidirectional(layer_of("gru")),
}


@pytest.mark.parametrize("kind", quick(PACKED, "LSTM", "Recurrent"))
def test_packed_sequences_run_outside_of_graphs_on_the_kernels(kind, monkeypatch):
    layer, ran = PACKED[kind](), []
    forward = kernels.StackKernels.forward

    def counted(*given):
        ran.append(torch.compiler.is_compiling())
        return forward(*given)

    monkeypatch.setattr(kernels.StackKernels, "forward", counted)

    def loss(model):
        x = drawn(5, 3, 3).requires_grad_()
        output, *rest = model(pack_padded_sequence(x, [2, 5, 4], enforce_sorted=False))
        found = output.data, *rest
        return found, torch.autograd.grad(squares(found), [x, *layer.parameters()])

    expected, count = loss(layer), len(ran)
    torch._dynamo.utils.counters.clear()
    same(loss(compiled(layer, fullgraph=False)), expected)
    assert ran == [False] * 2 * count
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0
    with pytest.raises(RuntimeError, match="a packed sequence"):
        loss(compiled(layer))


class Model(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, torch.nn.Linear(4, 2, dtype=WIDE)

    def forward(self, x):
        return self.out(self.layer(x)[0])


ANY = ({0: torch.export.Dim("steps", min=1), 1: torch.export.Dim("rows", min=1)},)


@pytest.mark.parametrize("strict", quick([False, True], False))
@pytest.mark.parametrize("kind", quick([*CELLS, "GRU"], "random"))
def test_an_exported_layer_is_any_length_and_batch_also_where_it_is_loaded(kind, strict):
    """Made anew from what is in the file; it may be differentiated, twice too."""
    layer = KINDS[kind]().eval()
    model, x = Model(layer), drawn(4, 2, 3)
    program = torch.export.export(model, (x,), dynamic_shapes=ANY, strict=strict)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    layers._known.clear()
    layers._made.cache_clear()
    loaded = torch.export.load(file).module()
    for lead in ((1, 1), (7, 5)):
        y = drawn(*lead, 3).requires_grad_()
        found = [loaded(y), *second(loaded, y)]
        same(found, [model(y), *second(model, y)])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_for_onnx_a_drop_in_is_torchs_own_layer(kind, options, monkeypatch):
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)  # as the exporter says
    layer = getattr(elman.nn, kind)(3, 4, dtype=WIDE, **options).eval()
    x = drawn(5, 2, 3)
    program = torch.export.export(torch.nn.Sequential(layer), (x,), strict=False)
    targets = [str(node.target) for node in program.graph.nodes]
    assert not any("elman" in target for target in targets)
    same(program.module()(x), layer(x))


def test_layers_of_layers_and_a_pool_are_exported_for_any_length_and_batch():
    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.pool = FIRST["layers of layers"](), elman.nn.Pool("last")

        def forward(self, x, lengths):
            return self.pool(self.layer(x, lengths=lengths)[0], lengths)

    model = Pooled().eval()
    shapes = {"x": ANY[0], "lengths": {0: ANY[0][1]}}
    given = drawn(4, 2, 3), torch.tensor([4, 0])
    program = torch.export.export(model, given, dynamic_shapes=shapes)
    for steps, lengths in ((7, [2, 0, 7]), (1, [1])):
        x, ends = drawn(steps, len(lengths), 3), torch.tensor(lengths)
        same(program.module()(x, ends), model(x, ends))


class Masked(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths, reset):
        return self.layer(x, lengths=lengths, reset=reset)[0]


def masked_inputs(steps, rows):
    generator = torch.Generator().manual_seed(steps)
    lengths = torch.randint(0, steps + 1, (rows,), generator=generator)
    return drawn(steps, rows, 3), lengths, torch.rand(steps, rows, generator=generator) < 0.3


@pytest.mark.parametrize("kind", quick(["two directions", "GRU", "LSTM"], "two directions"))
def test_lengths_and_resets_are_exported_for_any_number_of_steps(kind):
    """Also where no call came before; the layer itself stays as it was."""
    model = Masked(KINDS[kind]().eval())
    free = {"x": ANY[0], "lengths": {0: ANY[0][1]}, "reset": ANY[0]}
    program = torch.export.export(model, masked_inputs(4, 2), dynamic_shapes=free)
    for lead in ((1, 1), (2, 3), (7, 5)):
        given = masked_inputs(*lead)
        same(program.module()(*given), model(*given))


@pytest.mark.parametrize("kind", quick(["gru", "two directions", "GRU"], "gru"))
def test_lengths_are_inputs_of_what_is_traced(kind):
    model = Masked(KINDS[kind]().eval())
    first, other = masked_inputs(4, 2), (drawn(4, 2, 3), torch.tensor([1, 3]), torch.zeros(4, 2))
    for made in (make_fx(model)(*first), torch.jit.trace(model, first, check_trace=False)):
        same(made(*other), model(*other))


def first_of_all(kind, layer, x):
    """A call that torch looks on at, or has its own idea of tensors in."""
    if kind == "export":
        torch.export.export(layer, (x,), strict=False)
    elif kind == "vmap":
        vmap(lambda x: layer(x, lengths=[4, 2])[0])(torch.stack([x, 2 * x]))
    else:
        with torch.inference_mode():
            layer(x)


@pytest.mark.parametrize("kind", ["export", "vmap", "inference"])
@pytest.mark.parametrize("options", [{}, {"zoneout": 0.2, "num_layers": 2, "layer_norm": True}])
def test_a_copy_serves_whatever_its_first_call_is(kind, options):
    layer, x = elman.nn.LSTM(3, 4, **options, dtype=WIDE).eval(), drawn(4, 2, 3)
    again = copy.deepcopy(layer)
    first_of_all(kind, again, x)
    same(by_kernels(again, x), by_kernels(layer, x))


@pytest.mark.slow
def test_another_process_loads_it_with_elman_nn_alone(tmp_path):
    model, x = Model(layer_of("start", num_layers=2)), drawn(4, 2, 3)
    program = torch.export.export(model, (x,), dynamic_shapes=ANY)
    torch.export.save(program, tmp_path / "model.pt2")
    torch.save(drawn(9, 5, 3), tmp_path / "x.pt")
    code = f"""
import torch, elman.nn
model = torch.export.load({str(tmp_path / "model.pt2")!r}).module()
torch.save(model(torch.load({str(tmp_path / "x.pt")!r})).detach(), {str(tmp_path / "y.pt")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    same(torch.load(tmp_path / "y.pt"), model(drawn(9, 5, 3)).detach())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gru", "LSTM", "two directions"])
def test_the_default_backend(kind):
    layer = KINDS[kind]().float()
    model = compiled(layer, backend="inductor", dynamic=True)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for lead in SHAPES[:3]:
            x = drawn(*lead, 3).float()
            same(trained(model, layer, x), trained(layer, layer, x), 1e-4)


def _half_of(rank, folder):
    """One of two processes: the gradients of its half of the batch, averaged with the other's."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    layer = layer_of("lstm", num_layers=2).train()
    model = torch.nn.parallel.DistributedDataParallel(layer)
    squares(model(drawn(5, 6, 3)[:, 3 * rank : 3 * rank + 3])[0]).backward()
    if not rank:
        torch.save([weight.grad for weight in layer.parameters()], f"{folder}/found.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path):
    torch.multiprocessing.spawn(_half_of, (str(tmp_path),), nprocs=2)
    layer = layer_of("lstm", num_layers=2).train()
    (squares(layer(drawn(5, 6, 3))[0]) / 2).backward()
    same(torch.load(tmp_path / "found.pt"), [weight.grad for weight in layer.parameters()])


def second(model, x):
    (by_x,) = torch.autograd.grad(squares(model(x)), x, create_graph=True)
    return by_x, torch.autograd.grad(squares(by_x), x)[0]


def test_a_transform_is_not_exported():
    class Within(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer_of("gru")

        def forward(self, x):
            return vmap(lambda x: self.layer(x)[0], 1, 1)(x)

    with pytest.raises(BackendProblem, match="E823"):
        torch.export.export(Within(), (drawn(4, 2, 3),), strict=False)


# ---- what a layer says of itself ----

KERNELS = "c: compiled kernels"
SAID = [
    (lambda: layer_of("gru", num_layers=2), [KERNELS]),
    (
        lambda: layer_of("gru", num_layers=2, bidirectional=True),
        [KERNELS, "4 calls, one for each direction of each layer"],
    ),
    (
        lambda: layer_of("gru", num_layers=3, residual=True, remat=8),
        [
            KERNELS,
            "3 calls, one for each layer",
            "the backward pass runs blocks of 8 steps again",
        ],
    ),
    (
        lambda: layer_of("gru", num_layers=2, dropout=0.5).train(),
        [KERNELS, "2 calls, one for each layer"],
    ),
    (
        lambda: layer_of("random"),
        [KERNELS, "what is random: drawn while training, its mean in evaluation"],
    ),
    (lambda: layer_of("start"), [KERNELS, "the states before the first step: by torch"]),
    (lambda: layer_of("gru", num_layers=2, dropout=0.5), [KERNELS]),
    (lambda: layer_of("gru").freeze(), [f"{KERNELS}, weights packed once"]),
    (lambda: layer_of("gru").bfloat16(), [f"{KERNELS}, products in bfloat16"]),
    (
        lambda: layer_of("gru").half(),
        ["torch: dtype torch.float16: the c backend has float32, float64 and bfloat16"],
    ),
    (
        lambda: layer_of("gru").to("meta"),
        ["torch: device meta: the c backend has dense tensors on the CPU"],
    ),
    (
        lambda: elman.nn.LSTM(3, 4, 2, bidirectional=True),
        [KERNELS, "4 calls, one for each direction of each layer"],
    ),
    (
        lambda: elman.nn.LSTM(3, [4, 5], learn_initial_state=True, zoneout=0.1),
        [
            KERNELS,
            "2 calls, one for each layer",
            "the states before the first step: by torch",
            "what is random: drawn while training, its mean in evaluation",
        ],
    ),
    (
        lambda: elman.nn.GRU(3, 4, return_states="z").freeze(),
        [f"{KERNELS}, weights packed once"],
    ),
    (
        lambda: elman.nn.GRU(3, 4, 2, dropout=0.5, remat=True),
        [
            KERNELS,
            "2 calls, one for each layer",
            "the backward pass runs blocks of time again",
        ],
    ),
    (
        lambda: elman.nn.GRUCell(3, 4).half(),
        ["torch: dtype torch.float16: a step has kernels of float32 and float64"],
    ),
]


@pytest.mark.parametrize(("make", "lines"), SAID)
def test_a_layer_says_how_it_runs(make, lines):
    assert make().explain().splitlines() == lines


def test_a_layer_says_how_it_runs_here_and_now():
    layer, theirs = layer_of("gru", dtype=torch.float32), elman.nn.LSTM(3, 4)
    more = elman.nn.LSTM(3, 4, return_states="c")
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.explain() == f"{KERNELS}, products in bfloat16 by torch.autocast"
        assert more.explain() == layer.explain()
        assert theirs.explain() == "torch: torch's own layer serves under torch.autocast"
    with torch.autocast("cpu", torch.float16):
        assert layer.explain().startswith("torch: dtype torch.float16 by torch.autocast")
    said = []
    vmap(lambda x: said.append(layer.explain()) or x)(torch.zeros(2))
    with torch.autograd.forward_ad.dual_level():
        said.append(theirs.explain())
    assert {*said} == {"torch: inside a torch.func transform or forward-mode differentiation"}

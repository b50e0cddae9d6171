"""Two directions and projections of the drop-ins, on the kernels, against torch's own."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

import elman.nn  # noqa: E402
from elman.nn import frozen, torch_layers  # noqa: E402
from tests.nn.pairs import drawn, tuples  # noqa: E402
from tests.nn.test_dropins import assert_near  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
]

KINDS = ("RNN", "LSTM", "GRU")
TWO = {"bidirectional": True}
OPTIONS = {
    "two": TWO,
    "two, layers": TWO | {"num_layers": 3, "bias": False},
    "two, dropout": TWO | {"num_layers": 2, "dropout": 0.5},
    "projection": {"proj_size": 2},
    "projection, layers": {"proj_size": 2, "num_layers": 3, "bias": False},
    "projection, dropout": {"proj_size": 4, "num_layers": 2, "dropout": 0.5},
    "both": TWO | {"proj_size": 2, "num_layers": 2, "dropout": 0.3},
}
ROWS = [(k, n) for n, o in OPTIONS.items() for k in KINDS if k == "LSTM" or "proj_size" not in o]
FORMS = ("plain", "batch_first", "unbatched", "packed, unsorted")


@pytest.fixture
def on_kernels(monkeypatch):
    """A layer that torch's own would serve fails."""
    monkeypatch.setattr(torch_layers, "served", lambda *given: pytest.fail("torch's own serves"))


def pair(kind, name, **more):
    """torch's layer and ours from the same seed."""
    made = []
    for module in (torch.nn, elman.nn):
        torch.manual_seed(7)
        options = {"dtype": torch.float64, **OPTIONS[name], **more}
        made.append(getattr(module, kind)(3, 5, **options))
    return made


def states(layer, *rows):
    """States before the first step, which are to be differentiated."""
    count = layer.num_layers * (1 + layer.bidirectional)
    h = drawn(count, *rows, layer.proj_size or 5, seed=1).requires_grad_()
    if layer.mode != "LSTM":
        return h
    return h, drawn(count, *rows, 5, seed=2).requires_grad_()


def given(form):
    """What the layer reads, and the tensor that it is made from."""
    x = drawn(6, 3).requires_grad_() if form == "unbatched" else drawn(6, 4, 3).requires_grad_()
    if not form.startswith("packed"):
        return x, x
    return pack_padded_sequence(x, [4, 1, 6, 4], enforce_sorted=False), x


def results(layer, form, hx):
    """Output, states, and all gradients; the seed of the dropout is always the same."""
    packed, x = given(form)
    torch.manual_seed(3)
    output, after = layer(packed, hx)
    output = output.data if isinstance(output, PackedSequence) else output
    found = [output, *tuples(after)]
    total = sum((each * drawn(*each.shape, seed=k)).sum() for k, each in enumerate(found))
    wrt = [x, *layer.parameters(), *(() if hx is None else tuples(hx))]
    return [*found, *torch.autograd.grad(total, wrt)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_as_torch(kind, name, form, on_kernels):
    theirs, ours = pair(kind, name, batch_first=form == "batch_first")
    rows = () if form == "unbatched" else (6,) if form == "batch_first" else (4,)
    for hx in (None, states(theirs, *rows)):
        assert_near(results(ours, form, hx), results(theirs, form, hx), 1e-12)
    assert ours.explain().startswith("c: compiled kernels")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("form", ["plain", "packed, unsorted"])
@pytest.mark.parametrize(("kind", "name"), [row for row in ROWS if "layers" in row[1]])
def test_blocks_that_are_run_again(kind, name, form, on_kernels):
    theirs, ours = pair(kind, name)
    ours = getattr(elman.nn, kind)(3, 5, dtype=torch.float64, remat=2, **OPTIONS[name])
    ours.load_state_dict(theirs.state_dict())
    hx = states(theirs, 4)
    assert_near(results(ours, form, hx), results(theirs, form, hx), 1e-12)


@pytest.mark.parametrize("form", ["plain", "packed, unsorted"])
@pytest.mark.parametrize(("kind", "name"), [row for row in ROWS if "layers" in row[1]])
def test_frozen(kind, name, form, on_kernels, monkeypatch):
    """Every layer and direction holds packed weights of its own."""
    theirs, ours = pair(kind, name)
    expected = [each.detach() for each in results(theirs, form, None)[:2]]
    assert ours.freeze().explain().startswith("c: compiled kernels, weights packed once")
    for _ in range(2):
        with torch.no_grad():
            output, after = ours(given(form)[0])
        found = output.data if isinstance(output, PackedSequence) else output
        assert_near([found, tuples(after)[0]], expected, 1e-12)
        monkeypatch.setattr(frozen, "packed_weights", lambda *args: pytest.fail("packed again"))


@pytest.mark.parametrize(("kind", "name"), [("GRU", "two"), ("LSTM", "both")])
def test_second_derivatives_and_transforms(kind, name):
    theirs, ours = pair(kind, name)
    ours.eval(), theirs.eval()
    x = drawn(3, 2, 3)
    second = []
    for layer in (ours, theirs):
        y = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(layer(y)[0].square().sum(), y, create_graph=True)
        second.append(torch.autograd.grad(slope.square().sum(), [y, layer.weight_ih_l0_reverse]))
    assert_near(list(second[0]), list(second[1]), 1e-12)
    many = torch.stack([x, 2 * x])
    mapped = torch.func.vmap(lambda each: ours(each)[0])(many)
    assert_near([mapped], [torch.stack([theirs(each)[0] for each in many])], 1e-12)
    _, along = torch.func.jvp(lambda each: ours(each)[0], (x,), (drawn(3, 2, 3, seed=1),))
    there = torch.autograd.functional.jvp(lambda y: theirs(y)[0], x, drawn(3, 2, 3, seed=1))[1]
    assert_near([along], [there], 1e-12)


def test_what_is_left_to_torch():
    theirs, ours = pair("LSTM", "both")
    packed, _ = given("packed, unsorted")
    half = [copy.deepcopy(each).half().eval() for each in (theirs, ours)]
    found, expected = (each(packed.half())[0].data for each in half[::-1])
    assert torch.equal(found, expected)
    assert half[1].explain().startswith("torch: dtype")
    empty = [each(drawn(4, 0, 3))[0] for each in (ours, theirs)]
    assert empty[0].shape == empty[1].shape
    for each in (ours, theirs):
        with pytest.raises(RuntimeError, match=r"Expected hidden\[0\] size \(4, 4, 2\), got"):
            each(drawn(6, 4, 3), (drawn(4, 4, 5), drawn(4, 4, 5)))

"""Layers that run blocks of time again in the backward pass: the same numbers, less memory."""

from __future__ import annotations

import copy
import functools
import pickle

import pytest

torch = pytest.importorskip("torch")

import elman  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent, remat  # noqa: E402
from tests.nn.test_random_layers import BOTH, VARIATIONAL_LSTM  # noqa: E402
from tests.nn.test_recurrent import NEAR, STREAMS, drawn, small  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
STEPS, BATCH = 7, 5
LENGTHS = [3, 7, 0, 5, 1]
RESET = torch.zeros(STEPS, BATCH, dtype=torch.bool)
RESET[[0, 2, 3, 4, 6, 0, 4], [0, 1, 1, 1, 0, 2, 3]] = True  # on the edges of blocks, and within
BLOCKS = (True, 1, 2, 3, 6, 7, 100)


def leaves(given: object) -> list[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        return [given]
    if isinstance(given, dict):
        return leaves([*given.values()])
    values = given if isinstance(given, list | tuple) else ()
    return [tensor for value in values for tensor in leaves(value)]


def results(layer, x, *given, seed=0, **named):
    """Outputs, states, and the gradients of x, the weights and all else that is given."""
    torch.manual_seed(seed)
    x = x.detach().requires_grad_()
    found = [t for t in leaves(layer(x, *given, **named)) if t.requires_grad]
    total = sum((t * drawn(*t.shape, seed=k)).sum() for k, t in enumerate(found))
    others = [t for t in leaves((*given, named)) if t.requires_grad]
    weights = [p for p in layer.parameters() if p.requires_grad]
    wrt = [x, *weights, *others]
    return [*found, *torch.autograd.grad(total, wrt, allow_unused=True)]


def assert_same(found, expected, same_bits=False):
    for k, (one, other) in enumerate(zip(found, expected, strict=True)):
        if other is None:
            assert one is None, k
        elif same_bits:
            assert torch.equal(one, other), k
        else:
            torch.testing.assert_close(one, other, **NEAR)


def remat_of(layer, steps):
    """A layer with the weights of another."""
    made = Recurrent(
        layer.cell,
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        sizes=layer.sizes,
        batch_first=layer.batch_first,
        dropout=layer.dropout,
        dtype=torch.float64,
        remat=steps,
    )
    made.load_state_dict(layer.state_dict())
    return made


@pytest.mark.parametrize("steps", BLOCKS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"batch_first": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_of_torch(kind, options, steps):
    torch.manual_seed(0)
    plain = KINDS[kind](3, 5, dtype=torch.float64, **options)
    again = KINDS[kind](3, 5, dtype=torch.float64, remat=steps, **options)
    again.load_state_dict(plain.state_dict())
    shape = (BATCH, STEPS, 3) if options.get("batch_first") else (STEPS, BATCH, 3)
    states = [drawn(again.num_layers, BATCH, 5, seed=k).requires_grad_() for k in (1, 2)]
    for before in (None, tuple(states) if kind == "LSTM" else states[0]):
        found, expected = (results(each, drawn(*shape), before) for each in (again, plain))
        assert_same(found, expected, steps is True or steps >= STEPS)


CELLS = ["lstm_peephole", "rhn", "antisymmetric_rnn", "layer_norm_lstm", "min_gru", "janet"]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
def test_cells(name, layers, steps):
    plain = small(cells.text(name), num_layers=layers)
    again = remat_of(plain, steps)
    x = drawn(STEPS, BATCH, 2)
    state = {key: drawn(layers, BATCH, 3, seed=k) for k, key in enumerate(plain.cell.states)}
    given = {key: tensor.requires_grad_() for key, tensor in state.items()}
    assert_same(results(again, x, given), results(plain, x, given))
    assert_same(results(again, x), results(plain, x))


@pytest.mark.parametrize("steps", [1, 2, True])
@pytest.mark.parametrize("text", [VARIATIONAL_LSTM, BOTH])
def test_what_is_random_is_drawn_once(text, steps):
    plain = small(text)
    again = remat_of(plain, steps)
    x = drawn(STEPS, BATCH, 2)
    assert_same(results(again, x, seed=4), results(plain, x, seed=4), steps is True)
    parted = zip(results(again, x, seed=5), results(plain, x, seed=4), strict=True)
    assert any(not torch.allclose(one, other) for one, other in parted)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", ["lstm", "gru", "rhn"])
def test_lengths_and_resets(name, steps):
    plain = small(cells.text(name), num_layers=2)
    again = remat_of(plain, steps)
    x = drawn(STEPS, BATCH, 2)
    state = {key: drawn(2, BATCH, 3, seed=9).requires_grad_() for key in plain.cell.states}
    for marks in ({"lengths": LENGTHS}, {"reset": RESET}, {"lengths": LENGTHS, "reset": RESET}):
        found, expected = (results(each, x, state, **marks) for each in (again, plain))
        assert_same(found, expected)


def test_inputs_by_step_and_by_sequence():
    made = small(STREAMS, sizes={"v": 4})
    over = {name: made.cell.typed.over[name] for name in made.cell.inputs if name != made.main}
    assert {"t", "b"} <= set(over.values())
    tails = {name: [4] * len(made.cell.typed.shape(name)) for name in over}
    lead = {"tb": (STEPS, BATCH), "t": (STEPS,), "b": (BATCH,)}
    others = {n: drawn(*lead[over[n]], *tails[n]).requires_grad_() for n in over}
    x = drawn(STEPS, BATCH, 2)
    for steps in (1, 3, True):
        found, expected = (results(each, x, **others) for each in (remat_of(made, steps), made))
        assert_same(found, expected)


def test_only_some_gradients_are_wanted():
    plain = small(num_layers=2)
    plain.W_i_l0.requires_grad_(False)
    again = remat_of(plain, 2)
    again.W_i_l0.requires_grad_(False)
    x = drawn(STEPS, BATCH, 2)
    for use in (lambda y, s: y.sum(), lambda y, s: s["c"].sum(), lambda y, s: y[2].sum()):
        found = []
        for each in (again, plain):
            wrt = [p for p in each.parameters() if p.requires_grad]
            found.append(torch.autograd.grad(use(*each(x)), wrt, allow_unused=True))
        assert_same(*found)


def test_first_and_second_derivatives():
    layer = small(cells.text("gru"), remat=2)
    x, h = drawn(3, 2, 2).requires_grad_(), drawn(1, 2, 3).requires_grad_()
    parameters = list(layer.parameters())

    def run(x, h, *_):
        output, state = layer(x, {"h": h})
        return output, state["h"]

    assert torch.autograd.gradcheck(run, (x, h, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, h, *parameters[:2]))


def test_dropout_between_layers():
    for plain, again in (
        (small(num_layers=2, dropout=0.4), small(num_layers=2, dropout=0.4, remat=2)),
        tuple(
            LSTM(2, 3, 2, dropout=0.4, dtype=torch.float64, **more) for more in ({}, {"remat": 2})
        ),
    ):
        again.load_state_dict(plain.state_dict())
        x = drawn(STEPS, BATCH, 2)
        assert_same(results(again, x, seed=3), results(plain, x, seed=3))


@pytest.mark.parametrize("steps", [True, 2])
def test_what_is_saved(steps):
    layer = LSTM(3, 5, remat=steps)
    x = torch.zeros(7, 4, 3)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        layer(x)
    own = {x.data_ptr(), *(w.data_ptr() for w in layer.parameters())}
    others = [tuple(t.shape) for t in saved if t.data_ptr() not in own]
    assert others == [(1, 4, 5)] * (0 if steps is True else 2 * 3)


def test_an_output_changed_in_place_changes_no_gradient():
    layer = small(remat=2)
    x = drawn(STEPS, BATCH, 2).requires_grad_()
    (expected,) = torch.autograd.grad(layer(x)[0].sum(), x)
    output, _ = layer(x)
    total = output.sum()
    output.detach().zero_()
    assert torch.equal(torch.autograd.grad(total, x)[0], expected)


def test_a_weight_changed_in_place_is_noticed():
    layer = small(remat=2)
    total = layer(drawn(STEPS, BATCH, 2))[0].sum()
    with torch.no_grad():
        layer.U_i_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_copies_and_pickles_keep_it():
    for layer in (LSTM(2, 3, dtype=torch.float64, remat=2), small(remat=2)):
        for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert again.remat == 2
            assert "remat=2" in repr(again)
            output, _ = again(drawn(STEPS, BATCH, 2))
            assert output.grad_fn.name().startswith("Rematerialized")


def test_without_gradients_and_frozen():
    plain = LSTM(2, 3, dtype=torch.float64)
    again = LSTM(2, 3, dtype=torch.float64, remat=2)
    again.load_state_dict(plain.state_dict())
    x = drawn(STEPS, BATCH, 2)
    with torch.no_grad():
        assert torch.equal(again(x)[0], plain(x)[0])
        assert torch.equal(again.freeze()(x)[0], plain(x)[0])


@pytest.mark.parametrize("rows", [1, 3, 32, 600])
@pytest.mark.parametrize("steps", [1, 2, 99, 1000])
def test_blocks_cover_all_steps(steps, rows):
    for asked in (0, 1, 7, 5000):
        length = remat.block_length(asked, (steps, rows))
        assert 1 <= length <= steps
        assert asked == 0 or length == min(asked, steps)
    chosen = remat.block_length(0, (steps, rows))
    assert steps < 1000 or rows == 1 or chosen * 4 < steps


@pytest.mark.parametrize("given", [0, -1, 2.5, "yes", None])
@pytest.mark.parametrize("make", [LSTM, functools.partial(Recurrent, elman.cells["gru"])])
def test_a_wrong_remat_is_named(make, given):
    with pytest.raises(ElmanError) as caught:
        make(2, 3, remat=given)
    assert str(caught.value) == (
        f"ShapeProblem [E214]: remat={given!r}\n"
        "  It is True, False, or how many steps are run again at once: 1 or more. "
        "Pass remat=True for blocks of a length that suits."
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_long_sequence(kind):
    """Blocks of the length that suits, and a loss on the last output alone."""
    plain, long = KINDS[kind](4, 8, 2).double(), KINDS[kind](4, 8, 2, remat=True).double()
    long.load_state_dict(plain.state_dict())
    x = drawn(2000, 1, 4)
    for layer in (plain, long):
        layer(x)[0][-1].square().sum().backward()
    for one, other in zip(plain.parameters(), long.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, **NEAR)

"""elman.nn.RNNCell, LSTMCell and GRUCell against torch's own, with the same weights."""

from __future__ import annotations

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

from elman.errors import ElmanError  # noqa: E402
from elman.nn import GRUCell, LSTMCell, RNNCell, torch_cells  # noqa: E402
from tests.backends.table import tolerance  # noqa: E402
from tests.nn.pairs import drawn, pair, tuples  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]

OURS = {"RNNCell": RNNCell, "LSTMCell": LSTMCell, "GRUCell": GRUCell}
KINDS = tuple(OURS)


@pytest.fixture
def on_kernels(monkeypatch):
    """The kernels serve also where torch's own is quicker; how often they do."""
    calls = []
    for name in ("step", "_planned"):
        real = getattr(torch_cells, name)
        monkeypatch.setattr(
            torch_cells, name, lambda *given, real=real: calls.append(1) or real(*given)
        )
    for cls in OURS.values():
        monkeypatch.setattr(cls, "_gains", lambda self, rows: True)
    return calls


def given(kind: str, *shape: int, dtype: torch.dtype = torch.float64) -> object:
    """States before the step, which are to be differentiated."""
    states = [drawn(*shape, dtype=dtype, seed=k).requires_grad_() for k in (1, 2)]
    return tuple(states) if kind == "LSTMCell" else states[0]


def results(cell: torch.nn.Module, x: torch.Tensor, hx: object = None) -> list[torch.Tensor]:
    """The states after two steps, and the gradients of x, the weights and the states before."""
    x = x.detach().requires_grad_()
    found = tuples(cell(2 * x, cell(x, hx)))
    total = sum((each * drawn(*each.shape, dtype=x.dtype)).sum() for each in found)
    wrt = [x, *cell.parameters(), *(() if hx is None else tuples(hx))]
    return [*found, *torch.autograd.grad(total, wrt)]


def assert_near(found: list[torch.Tensor], expected: list[torch.Tensor], near: float) -> None:
    for k, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert one.shape == other.shape, k
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(one, other, rtol=0, atol=near * scale)


# ---- the same as torch ----


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("rows", "inner", "hidden"), [(1, 3, 5), (7, 4, 17), (33, 1, 64), (6, 9, 1)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_torch_gives(kind, rows, inner, hidden, dtype, on_kernels):
    near = tolerance(str(dtype).removeprefix("torch."), 9, hidden)
    theirs, ours = pair(kind, inner, hidden, dtype=dtype)
    x = drawn(rows, inner, dtype=dtype)
    for state in (None, given(kind, rows, hidden, dtype=dtype)):
        expected = results(theirs, x, state)
        assert_near(results(ours, x, state), expected, near)
        with torch.no_grad():
            found = tuples(ours(2 * x, ours(x, state)))
        assert_near(list(found), expected[: len(found)], near)
    assert on_kernels


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_batch(kind, bias, on_kernels):
    theirs, ours = pair(kind, bias=bias)
    for state in (None, given(kind, 5)):
        assert_near(results(ours, drawn(3), state), results(theirs, drawn(3), state), 1e-12)
    with torch.no_grad():
        assert_near([*tuples(ours(drawn(3)))], [*tuples(theirs(drawn(3)))], 1e-12)
    one, other = pair(kind, 1, 1)
    assert_near(results(other, drawn(1)), results(one, drawn(1)), 1e-12)
    assert on_kernels


def test_relu(on_kernels):
    theirs, ours = pair("RNNCell", 3, 5, True, "relu")  # the fourth argument, as torch has it
    assert_near(results(ours, drawn(4, 3)), results(theirs, drawn(4, 3)), 1e-12)
    assert repr(ours) == repr(theirs) == "RNNCell(3, 5, nonlinearity=relu)"
    theirs.nonlinearity = ours.nonlinearity = "tanh"
    assert_near(results(ours, drawn(4, 3)), results(theirs, drawn(4, 3)), 1e-12)
    wrong = RNNCell(3, 5, nonlinearity="sin")
    with pytest.raises(RuntimeError, match="Unknown nonlinearity: sin"):
        wrong(torch.zeros(4, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_have_torchs_names_and_go_both_ways(kind):
    theirs, ours = pair(kind)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)  # the same draws in the same order
    fresh = getattr(torch.nn, kind)(3, 5, dtype=torch.float64)
    assert not torch.equal(fresh.weight_ih, ours.weight_ih)
    fresh.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = drawn(20, 3)
    assert_near(results(ours, x), results(fresh, x), 1e-12)
    assert isinstance(ours, getattr(torch.nn, kind))
    assert repr(ours) == repr(theirs)
    assert repr(pair(kind, bias=False)[1]) == f"{kind}(3, 5, bias=False)"


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_is_what_the_layer_says(kind):
    layer = getattr(torch.nn, kind.removesuffix("Cell"))(3, 5, dtype=torch.float64)
    cell = pair(kind)[1]
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x, state, outputs = drawn(9, 4, 3), None, []
    for each in x:
        state = cell(each, state)
        outputs.append(tuples(state)[0])
    assert_near([torch.stack(outputs)], [layer(x)[0]], 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_a_training_are_torchs(kind, on_kernels):
    theirs, ours = pair(kind)
    losses = []
    for cell in (theirs, ours):
        optimizer, own = torch.optim.Adam(cell.parameters(), 0.02), []
        for k in range(25):
            state, total = None, 0
            for each in drawn(4, 6, 3, seed=k):
                state = cell(each, state)
                total = total + (tuples(state)[0] - each.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            own.append(total.item())
        losses.append(own)
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


# ---- gradients ----


@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_first_and_second_derivatives(kind, rows, on_kernels):
    cell, lead = pair(kind, 2, 2)[1], () if rows is None else (rows,)
    x, state = drawn(*lead, 2).requires_grad_(), tuples(given(kind, *lead, 2))

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuples(cell(x, rest if kind == "LSTMCell" else rest[0]))

    given_all = (x, *state)
    assert torch.autograd.gradcheck(run, given_all)
    assert torch.autograd.gradgradcheck(run, given_all)
    total = sum(each.square().sum() for each in run(*given_all))
    by_weight = torch.autograd.grad(total, cell.weight_hh, create_graph=True)[0]
    again = torch.autograd.grad(by_weight.square().sum(), [cell.weight_ih, x])
    theirs = pair(kind, 2, 2)[0]
    total = sum(
        each.square().sum() for each in tuples(theirs(x, state if kind == "LSTMCell" else state[0]))
    )
    by_weight = torch.autograd.grad(total, theirs.weight_hh, create_graph=True)[0]
    expected = torch.autograd.grad(by_weight.square().sum(), [theirs.weight_ih, x])
    assert_near(list(again), list(expected), 1e-12)


def test_one_of_the_two_states_is_differentiated(on_kernels):
    theirs, ours = pair("LSTMCell")
    for k in (0, 1):
        found = [
            torch.autograd.grad(
                cell(drawn(4, 3))[k].square().sum(), list(cell.parameters()), allow_unused=True
            )
            for cell in (ours, theirs)
        ]
        assert_near(list(found[0]), list(found[1]), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_of_some_only(kind, on_kernels):
    cell, x, state = pair(kind)[1], drawn(4, 3).requires_grad_(), given(kind, 4, 5)
    wrt = {**dict(cell.named_parameters()), "x": x}
    wrt |= {f"state {k}": each for k, each in enumerate(tuples(state))}

    def total() -> torch.Tensor:
        return sum((each * drawn(4, 5)).sum() for each in tuples(cell(x, state)))

    every = dict(zip(wrt, torch.autograd.grad(total(), list(wrt.values())), strict=True))
    for name in wrt:
        for other, tensor in wrt.items():
            tensor.requires_grad_(other == name)
        assert torch.equal(torch.autograd.grad(total(), wrt[name])[0], every[name]), name


def test_what_is_changed_in_place(on_kernels):
    """A state after the step may be; what the backward kernel reads may not."""
    cell, x = pair("LSTMCell")[1], drawn(4, 3).requires_grad_()
    expected = torch.autograd.grad(cell(x)[0].square().sum(), x)[0]
    h, c = cell(x)
    total = h.square().sum()
    with torch.no_grad():
        c.zero_()
    assert torch.equal(torch.autograd.grad(total, x)[0], expected)
    h, _ = cell(x)
    total = h.square().sum()
    with torch.no_grad():
        cell.weight_hh.mul_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_memory_in_other_orders(kind, on_kernels):
    theirs, ours = pair(kind)
    x, state = drawn(3, 6).t(), tuples(given(kind, 5, 6))
    state = tuple(each.detach().t() for each in state)
    state = state if kind == "LSTMCell" else state[0]
    with torch.no_grad():
        ours.weight_hh.data = ours.weight_hh.t().contiguous().t()
    found, expected = ([*tuples(cell(x, state))] for cell in (ours, theirs))
    assert_near(found, expected, 1e-12)
    for cell in (ours, theirs):
        sum(each.sum() for each in tuples(cell(x, state))).backward()
    grads = [[weight.grad for weight in cell.parameters()] for cell in (ours, theirs)]
    assert_near(*grads, 1e-12)
    with torch.no_grad():
        assert_near([*tuples(ours(x, state))], expected, 1e-12)


# ---- what is wrong ----

WRONG = {
    "x of another width": lambda cell, h: cell(drawn(4, 2)),
    "x of three axes": lambda cell, h: cell(drawn(4, 2, 3)),
    "x without axes": lambda cell, h: cell(drawn(1)[0]),
    "x of another type": lambda cell, h: cell(drawn(4, 3).float()),
    "x of whole numbers": lambda cell, h: cell(torch.ones(4, 3, dtype=torch.int64)),
    "a list": lambda cell, h: cell([[1.0, 2.0, 3.0]]),
    "another number of rows": lambda cell, h: cell(drawn(4, 3), h(3, 5)),
    "a state of another width": lambda cell, h: cell(drawn(4, 3), h(4, 6)),
    "a state of another type": lambda cell, h: cell(drawn(4, 3), h(4, 5, dtype=torch.float32)),
    "a state of three axes": lambda cell, h: cell(drawn(4, 3), h(1, 4, 5)),
    "a number for a state": lambda cell, h: cell(drawn(4, 3), 3.0),
    "rows of states for no rows": lambda cell, h: cell(drawn(3), h(4, 5)),
}


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_torchs(kind, what, recorded, on_kernels):
    theirs, ours = pair(kind)

    def state(*shape: int, **options: object) -> object:
        return given(kind, *shape, **options)

    with torch.set_grad_enabled(recorded):
        with pytest.raises(Exception) as expected:
            WRONG[what](theirs, state)
        with pytest.raises(type(expected.value)) as found:
            WRONG[what](ours, state)
    assert isinstance(found.value, ElmanError)
    assert str(expected.value) in str(found.value)


def test_states_of_a_wrong_number():
    theirs, ours = pair("LSTMCell")
    for wrong in ((drawn(4, 5),), (drawn(4, 5),) * 3, drawn(4, 5), drawn(2, 4, 5), 3.0, (3.0, 4.0)):
        with pytest.raises(Exception) as expected:
            theirs(drawn(4, 3), wrong)
        with pytest.raises(type(expected.value)) as found:
            ours(drawn(4, 3), wrong)
        assert isinstance(found.value, ElmanError)
        assert str(expected.value) in str(found.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", sorted(set(WRONG) - {"a list"}))
def test_errors_within_a_transform_are_torchs(kind, what):
    theirs, ours = pair(kind)

    def tried(cell: torch.nn.Module) -> Exception:
        def run(one: torch.Tensor) -> torch.Tensor:
            return tuples(WRONG[what](cell, lambda *shape, **o: given(kind, *shape, **o)))[0] + one

        with pytest.raises(Exception) as found:
            torch.func.grad(lambda one: run(one).sum())(drawn(1)[0])
        return found.value

    expected, found = tried(theirs), tried(ours)
    assert isinstance(found, type(expected))
    assert str(expected) in str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_a_wrong_shape_is_never_read_past_its_end(kind, on_kernels):
    cell = pair(kind)[1]
    cell.weight_hh = torch.nn.Parameter(drawn(3, 5))
    with pytest.raises(RuntimeError):
        cell(drawn(4, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_and_no_units(kind):
    theirs, ours = pair(kind)
    for one, other in zip(tuples(ours(drawn(0, 3))), tuples(theirs(drawn(0, 3))), strict=True):
        assert one.shape == other.shape == (0, 5)
    theirs, ours = pair(kind, 3, 0)
    assert tuples(ours(drawn(4, 3)))[0].shape == tuples(theirs(drawn(4, 3)))[0].shape == (4, 0)


# ---- which code serves ----


@pytest.mark.parametrize("kind", KINDS)
def test_types_that_torch_serves(kind):
    theirs, ours = pair(kind)
    for dtype in (torch.float16, torch.bfloat16):
        found, expected = (
            tuples(cell.to(dtype)(drawn(20, 3).to(dtype))) for cell in (ours, theirs)
        )
        assert all(torch.equal(*both) for both in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_torch_serves_where_it_is_quicker(kind):
    """Packing many weights for a step takes longer than torch's step; for fewer rows none is."""
    theirs, ours = pair(kind, 128, 128, dtype=torch.float32)
    x = drawn(6, 128, dtype=torch.float32)
    for nothing in (torch.no_grad, torch.enable_grad):
        with nothing():
            found, expected = tuples(ours(x)), tuples(theirs(x))
        assert all(torch.equal(*both) for both in zip(found, expected, strict=True))
    with torch.no_grad():
        ours(drawn(16, 128, dtype=torch.float32))
        assert len(ours._calls) == 1
        x = drawn(1, 128, dtype=torch.float32)
        found, expected = tuples(ours(x)), tuples(theirs(x))
    assert len(ours._calls) == 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("bias", [True, False])
def test_torchs_own_step(nonlinearity, bias):
    theirs, ours = pair("RNNCell", 3, 5, bias, nonlinearity)
    for state in (None, given("RNNCell", 4, 5)):
        for one, other in zip(
            results(ours, drawn(4, 3), state), results(theirs, drawn(4, 3), state), strict=True
        ):
            assert torch.equal(one, other)
    ours.freeze()
    assert torch.equal(ours(drawn(4, 3), drawn(4, 5)), theirs(drawn(4, 3), drawn(4, 5)))


@pytest.mark.parametrize("what", WRONG)
def test_errors_of_torchs_own_step(what):
    theirs, ours = pair("RNNCell")
    with pytest.raises(Exception) as expected:
        WRONG[what](theirs, lambda *shape, **options: given("RNNCell", *shape, **options))
    with pytest.raises(type(expected.value)) as found:
        WRONG[what](ours, lambda *shape, **options: given("RNNCell", *shape, **options))
    assert isinstance(found.value, ElmanError)
    assert str(expected.value) in str(found.value)


@pytest.mark.parametrize("kind", KINDS)
def test_frozen(kind):
    theirs, ours = pair(kind, 140, 128)
    x = drawn(1, 140)
    with torch.no_grad():
        expected = [*tuples(theirs(x))]
    assert ours.freeze() is ours
    assert ours.explain() == "c: compiled kernels, weights packed once"
    assert_near([*tuples(ours(x))], expected, 1e-12)
    assert not tuples(ours(x))[0].requires_grad
    with torch.no_grad():
        for cell in (theirs, ours):
            cell.weight_hh.mul_(2)  # seen, and packed anew
        assert_near([*tuples(ours(x))], [*tuples(theirs(x))], 1e-12)
    x.requires_grad_()
    found, expected = (
        torch.autograd.grad(tuples(cell(x))[0].sum(), x)[0] for cell in (ours, theirs)
    )
    assert_near([found], [expected], 1e-12)
    assert ours.train().weight_hh.requires_grad
    assert not ours.is_frozen


def test_without_a_compiler_torch_serves(monkeypatch):
    from elman.backends import c_compile

    theirs, ours = pair("LSTMCell")
    assert ours.explain() == "c: compiled kernels"
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    assert torch.equal(ours(drawn(4, 3))[0], theirs(drawn(4, 3))[0])
    assert ours.explain().startswith("torch: no C compiler")


@pytest.mark.parametrize("kind", KINDS)
def test_copies(kind, tmp_path):
    cell, x = pair(kind)[1], drawn(20, 3)
    expected = tuples(cell(x))[0]
    file = io.BytesIO()
    torch.save(cell, file)
    file.seek(0)
    for twin in (
        copy.deepcopy(cell),
        pickle.loads(pickle.dumps(cell)),
        torch.load(file, weights_only=False),
    ):
        assert torch.equal(tuples(twin(x))[0], expected)
        with torch.no_grad():
            twin.weight_hh.zero_()
            twin.weight_ih.zero_()
        assert not torch.equal(tuples(twin(x))[0], expected)
        assert torch.equal(tuples(cell(x))[0], expected)


def test_calls_do_not_pile_up(on_kernels, monkeypatch):
    monkeypatch.setattr(torch_cells, "PLANS", 8)
    cell = GRUCell(3, 5)
    with torch.no_grad():
        for rows in range(1, 40):
            assert cell(torch.zeros(rows, 3)).shape == (rows, 5)
    assert len(cell._calls) <= 9

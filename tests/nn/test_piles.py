"""Sequences of several lengths cut into pieces: against one masked call, alone, and torch's."""

from __future__ import annotations

import copy
import itertools
import pickle
import threading

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

from elman.library import cells  # noqa: E402
from elman.nn import GRU, LSTM, RNN, Recurrent, pile, piled  # noqa: E402
from elman.nn.cuts import Cost, Piece, cut, shortened  # noqa: E402
from tests.nn.test_recurrent import NEAR, STREAMS, drawn  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
NAN = float("nan")
EXACT, SOME, DEFAULT = Cost(0, 1), Cost(6, 1), None
COSTS = {"a cut at every end": EXACT, "some": SOME}
DRAWN = "k: bernoulli(0.5)\nh[t] = k[t] * h[t-1] + (1 - k[t]) * tanh(W @ x[t] + U @ h[t-1])"
CELLS = {
    "lstm": (cells.text("lstm"), {"num_layers": 2}),
    "gru": (cells.text("gru"), {}),
    "torch's gru": (cells.text("gru_reset_after"), {"num_layers": 3}),
    "peephole": (cells.text("lstm_peephole"), {}),
    "matrix": (cells.text("mlstm"), {"sizes": {"key": 4}}),
    "layer norm": (cells.text("layer_norm_lstm"), {}),
    "min_gru": (cells.text("min_gru"), {"num_layers": 2}),
    "delays": ("h[t] = tanh(W @ x[t] + V @ x[t-1] + U @ h[t-1] + a * h[t-3] + b)", {}),
    "learned start": ("h[0] = h0\nh[t] = tanh(W @ x[t] + U @ h[t-1])", {"num_layers": 2}),
    "two returns": ("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = exp(h[t])\nreturn y, h", {}),
    "rate": ("h[t] = h[t-1] + tanh(W @ x[t]) / t + 1 / sum(exp(x[t]))", {}),
    "one per sequence": ("A = U - U.T\nh[t] = tanh(W @ x[t] + A @ h[t-1])", {}),
    "drawn": (DRAWN, {"num_layers": 2, "dropout": 0.5}),
    "remat": (cells.text("lstm"), {"num_layers": 2, "remat": 3}),
}


def cut_for(monkeypatch, cost):
    """Cut as if calls and steps cost this."""
    if cost is not None:
        monkeypatch.setattr(Cost, "of", staticmethod(lambda weights, learned: cost))


def counted(monkeypatch):
    """Every pile that is made from now on."""
    found, of = [], pile.Pile.of

    def seen(*given):
        found.append(of(*given))
        return found[-1]

    monkeypatch.setattr(pile.Pile, "of", staticmethod(seen))
    return found


def layer_of(name, dtype=torch.float64, **more):
    text, options = CELLS[name]
    torch.manual_seed(0)
    layer = Recurrent(text, 2, 3, dtype=dtype, **options, **more)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.5, 0.5)
    return layer


def lengths_of(kind, steps, batch, seed=0):
    random = np.random.default_rng(seed)
    found = random.integers(1, steps + 1, batch)
    if kind == "with empty ones":
        found[random.integers(0, batch, 3)] = 0
    if kind == "one long":
        found = np.minimum(found, 3)
        found[batch // 2] = steps
    if kind == "all equal, short":
        found[:] = steps - 2
    if kind == "in order":
        found = np.sort(found)[::-1].copy()
    return found


DRAWS = ("any", "with empty ones", "one long", "all equal, short", "in order")


def results(layer, x, state, more, others=()):
    """Outputs, final states and all gradients."""
    x = x.detach().clone().requires_grad_()
    state = {n: s.detach().clone().requires_grad_(n != "t") for n, s in state.items()}
    torch.manual_seed(4)
    outputs, last = layer(x, state, **more)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    after = {n: s for n, s in last.items() if s.requires_grad}
    roots = [*outputs, *after.values()]
    total = sum((each * drawn(*each.shape, seed=5).to(x.dtype)).sum() for each in roots)
    wrt = {"x": x, **state, **dict(layer.named_parameters())}
    wrt |= {k: v for k, v in more.items() if k in others}
    wrt = {n: t for n, t in wrt.items() if t.requires_grad}
    grads = torch.autograd.grad(total, list(wrt.values()), allow_unused=True)
    named = zip(wrt, grads, strict=True)
    found = {f"output {k}": each for k, each in enumerate(outputs)}
    found |= {f"last {n}": s for n, s in last.items() if n in state}
    return found | {f"d_{n}": torch.zeros_like(wrt[n]) if g is None else g for n, g in named}


def states_of(layer, batch):
    """A state drawn for everything but `t`, which counts."""
    found = {}
    with torch.no_grad():
        shapes = {
            n: layer(drawn(1, batch, 2).to(p.dtype))[1][n]
            for n in layer.cell.states
            for p in [next(layer.parameters())]
        }
    for k, (name, value) in enumerate(shapes.items()):
        one = drawn(*value.shape, seed=20 + k).to(value.dtype)
        found[name] = value * 0 + 2 if name == "t" else one
    return found


def same(found, expected, **near):
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key], value, **near or NEAR, msg=lambda m, k=key: f"{k}: {m}"
        )


def both(monkeypatch, layer, x, state, more, cost, **near):
    """The same by pieces and by one call, and how many pieces there were."""
    with monkeypatch.context() as patch:
        patch.setattr(piled, "_can_serve", lambda *_: False)
        expected = results(layer, x, state, more)
    with monkeypatch.context() as patch:
        cut_for(patch, cost)
        piles = counted(patch)
        same(results(layer, x, state, more), expected, **near)
    return [len(each.pieces) for each in piles]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", CELLS)
def test_pieces_are_one_call(name, cost, monkeypatch):
    layer = layer_of(name)
    random, most = np.random.default_rng(1), 0
    for seed, draw in enumerate(DRAWS):
        steps, batch = random.integers(5, 20), random.integers(4, 12)
        x = drawn(steps, batch, 2, seed=seed)
        lengths = lengths_of(draw, steps, batch, seed)
        x[torch.arange(steps)[:, None] >= torch.from_numpy(lengths)] = NAN
        state = states_of(layer, batch) if seed % 2 else {}
        more = {"lengths": lengths}
        if seed == 1:
            more["reset"] = torch.from_numpy(random.random((steps, batch)) < 0.2)
        most = max([most, *both(monkeypatch, layer, x, state, more, COSTS[cost])])
    assert most > 1


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("draw", DRAWS)
def test_each_sequence_alone(draw, cost, monkeypatch):
    cut_for(monkeypatch, COSTS[cost])
    layer = layer_of("lstm")
    x, lengths = drawn(15, 9, 2), lengths_of(draw, 15, 9)
    state = states_of(layer, 9)
    output, last = layer(x, state, lengths=lengths)
    for row, length in enumerate(lengths):
        own = {n: s[:, row : row + 1] for n, s in state.items()}
        one, end = (x[:0, :1], own) if not length else layer(x[:length, row : row + 1], own)
        assert (output[length:, row] == 0).all()
        if length:
            torch.testing.assert_close(output[:length, row], one[:, 0], **NEAR)
        for name, value in end.items():
            torch.testing.assert_close(last[name][:, row], value[:, 0], **NEAR)


def test_a_batch_first(monkeypatch):
    cut_for(monkeypatch, SOME)
    layer, first = layer_of("lstm"), layer_of("lstm", batch_first=True)
    x, lengths = drawn(15, 9, 2), lengths_of("any", 15, 9)
    more = {"lengths": lengths}
    found = results(first, x.transpose(0, 1).contiguous(), {}, more)
    expected, _ = layer(x, lengths=lengths)
    torch.testing.assert_close(found["output 0"].transpose(0, 1), expected, **NEAR)


@pytest.mark.parametrize("cost", COSTS)
def test_inputs_over_time_or_batch_alone(cost, monkeypatch):
    layer = Recurrent(STREAMS, 2, 3, sizes={"v": 4}, dtype=torch.float64)
    lengths = lengths_of("with empty ones", 12, 7)
    v, dt = drawn(7, 4, seed=1), drawn(12, seed=2)
    v[lengths == 0], dt[lengths.max() :] = NAN, NAN
    more = {"lengths": lengths, "v": v.requires_grad_(), "dt": dt.requires_grad_()}
    x = drawn(12, 7, 2)
    with monkeypatch.context() as patch:
        patch.setattr(piled, "_can_serve", lambda *_: False)
        expected = results(layer, x, {}, more, ("v", "dt"))
    cut_for(monkeypatch, COSTS[cost])
    same(results(layer, x, {}, more, ("v", "dt")), expected)


@pytest.mark.parametrize("name", ["lstm", "learned start", "remat"])
def test_first_and_second_derivatives(name, monkeypatch):
    cut_for(monkeypatch, EXACT)
    layer = layer_of(name)
    names = list(layer.cell.states)
    state = [s.requires_grad_() for s in states_of(layer, 3).values()]
    x = drawn(4, 3, 2).requires_grad_()

    def run(x, *rest):
        output, last = layer(x, dict(zip(names, rest, strict=False)), lengths=[1, 4, 2])
        return output, *last.values()

    parameters = list(layer.parameters())[:3]
    assert torch.autograd.gradcheck(run, (x, *state, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, *state, *parameters[:1]))


def test_the_same_bits_without_gradients_again_and_frozen(monkeypatch):
    cut_for(monkeypatch, SOME)
    layer = layer_of("lstm")
    x, lengths = drawn(15, 9, 2), lengths_of("any", 15, 9)
    output, last = layer(x, lengths=lengths)
    assert output.requires_grad
    frozen = copy.deepcopy(layer).freeze()
    for each in (layer, frozen, pickle.loads(pickle.dumps(layer))):
        for _ in range(2):
            with torch.no_grad():
                again, after = each(x, lengths=lengths)
            assert torch.equal(again, output)
            assert all(torch.equal(after[n], last[n]) for n in last)
    with torch.no_grad():
        for parameter in frozen.parameters():
            parameter.mul_(0.5)  # a frozen weight that changes is packed anew
        for one, other in zip(layer.parameters(), frozen.parameters(), strict=True):
            one.copy_(other)
        assert torch.equal(frozen(x, lengths=lengths)[0], layer(x, lengths=lengths)[0])


def test_an_input_of_a_frozen_layer_has_its_gradient(monkeypatch):
    cut_for(monkeypatch, SOME)
    layer = layer_of("gru").freeze()
    x, lengths = drawn(15, 9, 2).requires_grad_(), lengths_of("any", 15, 9)
    (found,) = torch.autograd.grad(layer(x, lengths=lengths)[0].sum(), [x])
    layer.unfreeze()
    (expected,) = torch.autograd.grad(layer(x, lengths=lengths)[0].sum(), [x])
    torch.testing.assert_close(found, expected, **NEAR)


@pytest.mark.parametrize("name", ["lstm", "drawn"])
def test_bfloat16(name, monkeypatch):
    layer = layer_of(name, torch.bfloat16)
    x, lengths = drawn(15, 9, 2).bfloat16(), lengths_of("any", 15, 9)
    counts = both(monkeypatch, layer, x, {}, {"lengths": lengths}, SOME, rtol=0.05, atol=0.05)
    assert max(counts) > 1
    cut_for(monkeypatch, SOME)
    expected = layer.eval()(x, lengths=lengths)[0]
    assert torch.equal(layer.freeze()(x, lengths=lengths)[0], expected)


def test_float32(monkeypatch):
    layer = layer_of("lstm", torch.float32)
    x, lengths = drawn(15, 9, 2).float(), lengths_of("any", 15, 9)
    both(monkeypatch, layer, x, {}, {"lengths": lengths}, SOME, rtol=1e-5, atol=1e-5)


def test_some_gradients_only(monkeypatch):
    cut_for(monkeypatch, EXACT)
    layer = layer_of("lstm")
    x, lengths = drawn(9, 5, 2).requires_grad_(), lengths_of("with empty ones", 9, 5)
    output, last = layer(x, lengths=lengths)
    every = torch.autograd.grad(output.sum(), [x, *layer.parameters()], retain_graph=True)
    again = torch.autograd.grad(output.sum(), [x], retain_graph=True)
    assert torch.equal(again[0], every[0])
    only = torch.autograd.grad(last["c"].sum(), list(layer.parameters()), retain_graph=True)
    layer.zero_grad()
    last["c"].sum().backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(layer.parameters(), only, strict=True))
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    (found,) = torch.autograd.grad(layer(x, lengths=lengths)[0].sum(), [x])
    torch.testing.assert_close(found, every[0], **NEAR)


def test_an_output_may_be_changed_in_place(monkeypatch):
    cut_for(monkeypatch, EXACT)
    layer = layer_of("gru")
    x, lengths = drawn(9, 5, 2), lengths_of("any", 9, 5)
    output, _ = layer(x, lengths=lengths)
    expected = torch.autograd.grad((output * 2).sum(), list(layer.parameters()))
    output, _ = layer(x, lengths=lengths)
    found = torch.autograd.grad(output.mul_(2).sum(), list(layer.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_an_input_changed_in_place_is_noticed(monkeypatch):
    cut_for(monkeypatch, EXACT)
    layer, x = layer_of("gru"), drawn(9, 5, 2)
    output, _ = layer(x, lengths=lengths_of("any", 9, 5))
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_threads(monkeypatch):
    cut_for(monkeypatch, SOME)
    layer = layer_of("lstm")
    cases = [(drawn(20, 9, 2, seed=k), lengths_of("any", 20, 9, k)) for k in range(4)]
    expected = [results(layer, x, {}, {"lengths": n})["output 0"] for x, n in cases]
    found = [None] * 4

    def run(k):
        for _ in range(5):
            x, lengths = cases[k]
            found[k] = layer(x, lengths=lengths)[0]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


# ---- packed sequences ----

KINDS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}


def packed_results(layer, x, lengths, hx, batch_first, is_sorted):
    rnn = torch.nn.utils.rnn
    x = x.detach().clone().requires_grad_()
    hx = None if hx is None else [s.clone().requires_grad_() for s in hx]
    given = hx if hx is None or isinstance(layer, torch.nn.LSTM) else hx[0]
    packed = rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=is_sorted)
    torch.manual_seed(2)
    output, last = layer(packed, given)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    whole, ends = rnn.pad_packed_sequence(output, batch_first)
    assert ends.tolist() == [*lengths]
    last = last if isinstance(last, tuple) else (last,)
    roots = (whole, *last)
    total = sum((r * drawn(*r.shape, seed=3)).sum() for r in roots)
    wrt = [x, *(hx or []), *layer.parameters()]
    return [output.data, *roots, *torch.autograd.grad(total, wrt)]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "dropout": 0.5},
        {"batch_first": True},
        {"num_layers": 2, "bias": False},
        {"remat": 2},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_torchs_packed_sequences(kind, options, cost, monkeypatch):
    cut_for(monkeypatch, COSTS[cost])
    piles = counted(monkeypatch)
    torch.manual_seed(0)
    plain = {n: v for n, v in options.items() if n != "remat"}
    theirs = getattr(torch.nn, kind)(3, 5, dtype=torch.float64, **plain)
    ours = KINDS[kind](3, 5, dtype=torch.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    layers, batch_first = options.get("num_layers", 1), options.get("batch_first", False)
    x = drawn(*((8, 12, 3) if batch_first else (12, 8, 3)))
    count = 2 if kind == "LSTM" else 1
    for draw, hx in (
        ("any", None),
        ("in order", [drawn(layers, 8, 5, seed=k) for k in range(count)]),
    ):
        lengths = lengths_of(draw, 12, 8).tolist()
        given = (x, lengths, hx, batch_first, draw == "in order")
        pairs = zip(packed_results(ours, *given), packed_results(theirs, *given), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, **NEAR)
    assert max(len(each.pieces) for each in piles) > 1


def test_packed_sequences_twice_differentiated_and_frozen():
    rnn = torch.nn.utils.rnn
    layer = LSTM(2, 3, dtype=torch.float64)
    packed = rnn.pack_padded_sequence(drawn(5, 3, 2), [5, 3, 3])

    def run(data, *weights):
        output, (h, c) = layer(rnn.PackedSequence(data, packed.batch_sizes))
        return output.data, h, c

    weights = list(layer.parameters())
    data = packed.data.clone().requires_grad_()
    assert torch.autograd.gradcheck(run, (data, *weights))
    assert torch.autograd.gradgradcheck(run, (data, *weights))
    frozen = copy.deepcopy(layer).freeze()
    for one, other in zip(run(data), (lambda f: (f[0].data, *f[1]))(frozen(packed)), strict=True):
        torch.testing.assert_close(one, other, **NEAR)


def refused(layer, *given):
    with pytest.raises((RuntimeError, IndexError)) as caught:
        layer(*given)
    return str(caught.value)


def test_packed_sequences_that_torch_refuses_or_serves():
    rnn = torch.nn.utils.rnn
    x = drawn(5, 3, 2)
    options = {"dtype": torch.float64}
    for lengths, is_sorted in (([5, 3, 3], True), ([3, 5, 3], False)):
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=is_sorted)
        ours, theirs = LSTM(2, 3, **options), torch.nn.LSTM(2, 3, **options)
        hx = drawn(1, 2, 3), drawn(1, 2, 3)
        assert refused(theirs, packed, hx)  # in some operation of its own
        assert "hx[0] is (1, 2, 3), and LSTM(2, 3)" in refused(ours, packed, hx)
        wrong = LSTM(4, 3, **options), torch.nn.LSTM(4, 3, **options)
        assert refused(wrong[1], packed) in refused(wrong[0], packed)
    both = LSTM(2, 3, bidirectional=True, **options)
    assert both(packed)[0].data.shape == (11, 6)


# ---- where to cut ----


def test_pieces_hold_every_step_once():
    random = np.random.default_rng(0)
    for _ in range(300):
        steps, batch = random.integers(1, 60), random.integers(1, 40)
        lengths = np.sort(random.integers(0, steps + 1, batch))[::-1]
        if not lengths.any():
            continue
        cost = Cost(float(random.integers(0, 50)), 1.0)
        found = cut(lengths.tolist(), cost)
        assert found == cut(lengths.tolist(), cost)
        assert (found[0].start, found[-1].stop) == (0, lengths[0])
        for one, other in itertools.pairwise(found):
            assert one.stop == other.start
            assert one.rows > other.rows
        for piece in found:
            assert piece.rows == (lengths > piece.start).sum() > 0
            own = lengths[: piece.rows]
            assert piece.is_whole == bool((own >= piece.stop).all())
        blocks = [*shortened(found, [3] * len(found))]
        assert sum(b.stop - b.start for b in blocks) == lengths[0]
        assert all(b.stop - b.start <= 3 for b in blocks)


def test_calls_that_cost_much_are_few():
    lengths = list(range(50, 0, -1))
    counts = [len(cut(lengths, Cost(call, 1.0))) for call in (0, 5, 30, 200, 1e9)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (50, 1)
    assert cut([7, 7, 7], Cost(1e9, 1.0)) == [Piece(0, 7, 3, True)]

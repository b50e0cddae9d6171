"""Layers with lengths and resets: against torch's packed sequences, and each sequence alone."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest

torch = pytest.importorskip("torch")

from elman.backends import c_compile  # noqa: E402
from elman.errors import ElmanError  # noqa: E402
from elman.library import cells  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from elman.nn.piled import _masked  # noqa: E402
from elman.passes.masking import MASKS  # noqa: E402
from tests.nn.test_recurrent import MASKED, NEAR, STREAMS, drawn, small  # noqa: E402
from tests.nn.torch_twins import GATES, stacked_gradients, twins  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
NAN = float("nan")
LENGTHS = [3, 7, 0, 5, 1]
STEPS, BATCH = 7, 5
WITHIN = torch.arange(STEPS)[:, None] < torch.tensor(LENGTHS)
RESET = torch.zeros(STEPS, BATCH, dtype=torch.bool)
RESET[[0, 2, 3, 6, 6, 0, 4, 1], [0, 1, 1, 1, 0, 2, 3, 4]] = True


def padded(x, lengths, value=NAN):
    within = torch.arange(len(x))[:, None] < torch.tensor(lengths)
    return torch.where(within[..., None], x.detach(), value).requires_grad_()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_torchs_packed_sequences(kind, batch_first, layers):
    rnn = torch.nn.utils.rnn
    theirs, ours = twins(kind, num_layers=layers, batch_first=batch_first)
    lengths = [3, 7, 2, 5, 1]  # torch packs no empty sequence
    start = [drawn(layers, BATCH, 5, seed=k) for k in (1, 2)][: 2 if kind == "LSTM" else 1]
    names = ["h", "c"][: len(start)]
    weights = [drawn(STEPS, BATCH, 5, seed=9), *(drawn(layers, BATCH, 5, seed=8) for _ in names)]
    results = []
    for layer in (theirs, ours):
        x = drawn(STEPS, BATCH, 3)
        x = x.requires_grad_() if layer is theirs else padded(x, lengths)
        before = [s.clone().requires_grad_() for s in start]
        given = x.transpose(0, 1) if batch_first else x
        if layer is theirs:
            packed = rnn.pack_padded_sequence(given, lengths, batch_first, enforce_sorted=False)
            output, last = layer(packed, tuple(before) if kind == "LSTM" else before[0])
            output, _ = rnn.pad_packed_sequence(output, batch_first, total_length=STEPS)
            final = list(last) if kind == "LSTM" else [last]
        else:
            output, last = layer(given, dict(zip(names, before, strict=True)), lengths=lengths)
            final = [last[name] for name in names]
        output = output.transpose(0, 1) if batch_first else output
        sum((a * w).sum() for a, w in zip([output, *final], weights, strict=True)).backward()
        results.append([output, *final, x.grad, *(b.grad for b in before)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **NEAR)
    assert (results[1][0][~(torch.arange(STEPS)[:, None] < torch.tensor(lengths))] == 0).all()
    found = stacked_gradients(kind, ours, theirs)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, **NEAR)


LEARNED = "h[0] = h0\nh[t] = tanh(W @ x[t] + V @ x[t-1] + U @ h[t-1] + a * h[t-3] + b)"
RATE = "h[t] = h[t-1] + tanh(W @ x[t] + U @ h[t-1]) / t + 1 / sum(exp(x[t]))"
LAYERS = {
    "lstm": (cells.text("lstm"), 2),
    "gru": (cells.text("gru"), 2),
    "lstm_peephole": (cells.text("lstm_peephole"), 1),
    "matrix": (cells.text("mlstm"), 1),
    "learned and delayed": (LEARNED, 1),
    "rate": (RATE, 1),
}


def layer_of(name):
    text, layers = LAYERS[name]
    torch.manual_seed(0)
    sizes = {"key": 4} if name == "matrix" else None
    layer = Recurrent(text, 2, 3, num_layers=layers, sizes=sizes, dtype=torch.float64)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.5, 0.5)
    return layer


def states_of(layer, batch=BATCH):
    """A state drawn for everything but `t`, which counts."""
    found = {}
    for k, (name, value) in enumerate(layer(drawn(1, batch, 2))[1].items()):
        found[name] = value.detach() * 0 + 2 if name == "t" else drawn(*value.shape, seed=20 + k)
    return found


def alone(layer, x, state, lengths, reset):
    """Outputs and final states of each sequence by itself, cut where it begins anew."""
    outputs = [torch.zeros(0, BATCH, 3, dtype=x.dtype)]
    rows, lasts = [], []
    for row, length in enumerate(lengths):
        now = {n: s[:, row : row + 1] for n, s in state.items()}
        begins = sorted({0, *(t for t in range(length) if reset[t, row])})
        parts = [torch.zeros(0, 1, 3, dtype=x.dtype)]
        for start, stop in itertools.pairwise([*begins, length]):
            if start < stop:
                now = None if reset[start, row] else now
                output, now = layer(x[start:stop, row : row + 1], now)
                parts.append(output)
        whole = torch.cat(parts)
        rows.append(torch.nn.functional.pad(whole, (0, 0, 0, 0, 0, STEPS - len(whole))))
        lasts.append(now)
    outputs = torch.cat(rows, 1)
    return outputs, {n: torch.cat([last[n] for last in lasts], 1) for n in state}


def everything(layer, run, x, state):
    """Output, final states, and the gradients of all that was given."""
    output, last = run(x, state)
    total = (output * drawn(*output.shape, seed=5)).sum()
    total = total + sum((s * drawn(*s.shape, seed=6)).sum() for s in last.values())
    wrt = {"x": x, **{f"first {n}": s for n, s in state.items()}, **dict(layer.named_parameters())}
    found = torch.autograd.grad(total, list(wrt.values()), allow_unused=True)
    named = zip(wrt, found, strict=True)
    return {"output": output, **{f"last {n}": s for n, s in last.items()}} | {
        f"d_{n}": torch.zeros_like(wrt[n]) if g is None else g for n, g in named
    }


WAYS = {
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": RESET},
    "both": {"lengths": LENGTHS, "reset": RESET},
}


@pytest.mark.parametrize("compiler", [True, False], ids=["c", "torch"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LAYERS)
def test_each_sequence_alone(name, way, compiler, monkeypatch):
    layer, more = layer_of(name), WAYS[way]
    lengths = more.get("lengths", [STEPS] * BATCH)
    state = {n: s.requires_grad_() for n, s in states_of(layer).items()}
    x = drawn(STEPS, BATCH, 2).requires_grad_()
    expected = everything(
        layer,
        lambda x, s: alone(layer, x, s, lengths, more.get("reset", torch.zeros_like(RESET))),
        x,
        state,
    )
    if not compiler:
        monkeypatch.setattr(c_compile, "trouble", lambda: "there is none")
    assert layer.explain().startswith("c:" if compiler else "torch:")
    given = padded(x, lengths)
    found = everything(layer, lambda x, s: layer(x, s, **more), given, state)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, **NEAR, msg=lambda m, k=key: f"{k}: {m}")
    behind = ~(torch.arange(STEPS)[:, None] < torch.tensor(lengths))
    assert (found["output"][behind] == 0).all()
    assert (found["d_x"][behind] == 0).all()


@pytest.mark.parametrize("name", ["lstm", "learned and delayed", "rate"])
def test_first_and_second_derivatives(name):
    layer = layer_of(name)
    lengths, reset = [3, 1], torch.tensor([[0, 0], [0, 1], [1, 0]])
    x = drawn(3, 2, 2).requires_grad_()
    state = [s.requires_grad_() for n, s in states_of(layer, 2).items() if n != "t"]
    names = [n for n in layer.cell.states if n != "t"]

    def run(x, *rest):
        given = dict(zip(names, rest, strict=False))
        output, last = layer(x, given, lengths=lengths, reset=reset)
        return output, *last.values()

    parameters = list(layer.parameters())[:4]
    assert torch.autograd.gradcheck(run, (x, *state, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, *state, *parameters[:1]))


@pytest.mark.parametrize("name", ["lstm", "rate"])
def test_step_with_resets_is_forward(name):
    layer = layer_of(name)
    x, reset = drawn(STEPS, BATCH, 2), RESET
    given = states_of(layer)
    output, last = layer(x, given, reset=reset)
    state = given
    for t in range(STEPS):
        y, state = layer.step(x[t], state, reset=reset[t])
        torch.testing.assert_close(y, output[t], rtol=1e-12, atol=1e-12)
    for key, value in last.items():
        torch.testing.assert_close(state[key], value, rtol=1e-12, atol=1e-12)


def test_a_step_alone():
    layer = layer_of("learned and delayed")
    with torch.no_grad():
        _, state = layer.step(drawn(2), None)
        again, _ = layer.step(drawn(2, seed=3), state, reset=True)
        fresh, _ = layer.step(drawn(2, seed=3))
        torch.testing.assert_close(again, fresh)
        on, _ = layer.step(drawn(2, seed=3), state, reset=0)
        torch.testing.assert_close(on, layer.step(drawn(2, seed=3), state)[0])
        assert not torch.equal(on, fresh)


def test_a_step_compiles_nothing_new():
    layer = small(cells.text("rnn"))
    state = None
    for _ in range(3):
        _, state = layer.step(drawn(4, 2), state, reset=[1, 0, 0, 1])
    assert not _masked.get(layer._stack)


def test_a_layer_without_them_is_as_it_was():
    layer = small(cells.text("gru"))
    x = drawn(STEPS, BATCH, 2)
    plain = layer(x)[0]
    own = list(layer._rungs)
    layer(x, lengths=LENGTHS)
    layer(x, reset=RESET)
    layer(x, lengths=LENGTHS, reset=RESET)
    assert torch.equal(layer(x)[0], plain)
    assert all(one is other for one, other in zip(layer._rungs, own, strict=True))
    assert not any(set(MASKS) & set(each.average.names) for each in own)
    assert layer.explain() == "c: compiled kernels"
    assert set(layer.state_dict()) == set(small(cells.text("gru")).state_dict())
    assert len(_masked[layer._stack]) == 3
    again = pickle.loads(pickle.dumps(layer))
    for other in (again, copy.deepcopy(layer)):
        torch.testing.assert_close(
            other(x, lengths=LENGTHS)[0], layer(x, lengths=LENGTHS)[0], rtol=0, atol=0
        )


@pytest.mark.parametrize("as_what", [list, tuple, torch.tensor, "numpy", "int32", "float"])
def test_what_lengths_may_be(as_what):
    layer, x = small(cells.text("rnn")), drawn(STEPS, BATCH, 2)
    expected = layer(x, lengths=LENGTHS)[0]
    made = torch.tensor(LENGTHS)
    ways = {"numpy": made.numpy(), "int32": made.int(), "float": made.float()}
    given = ways[as_what] if isinstance(as_what, str) else as_what(LENGTHS)
    assert torch.equal(layer(x, lengths=given)[0], expected)


def test_without_a_batch_and_batch_first():
    layer = small()
    first = small(batch_first=True)
    x = drawn(STEPS, BATCH, 2)
    output, last = layer(x, lengths=LENGTHS, reset=RESET)
    turned, _ = first(x.transpose(0, 1), lengths=LENGTHS, reset=RESET.T)
    assert torch.equal(turned.transpose(0, 1), output)
    for row, length in enumerate(LENGTHS):
        one, state = layer(x[:, row], lengths=length, reset=RESET[:, row].tolist())
        torch.testing.assert_close(one, output[:, row], rtol=1e-12, atol=1e-12)
        for name, value in state.items():
            torch.testing.assert_close(value, last[name][:, row], rtol=1e-12, atol=1e-12)


def test_other_inputs_are_masked_too():
    layer = small(MASKED)
    x, m = drawn(STEPS, BATCH, 2), drawn(STEPS, BATCH, seed=4).sigmoid()
    expected = layer(x, m=m)[0]
    hidden = torch.where(WITHIN, m, NAN).requires_grad_()
    output, _ = layer(padded(x, LENGTHS), m=hidden, lengths=LENGTHS)
    torch.testing.assert_close(output[WITHIN], expected[WITHIN], **NEAR)
    output.sum().backward()
    assert (hidden.grad[~WITHIN] == 0).all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_inputs_over_time_or_batch_alone():
    layer = Recurrent(STREAMS, 3, 3, sizes={"v": 4}, dtype=torch.float64)
    lengths = [4, 0, 2]
    x, v, dt = drawn(6, 3, 3), drawn(3, 4, seed=1), drawn(6, seed=2)
    expected = layer(x, v=v, dt=dt)[0]
    v, dt = v.clone(), dt.clone()
    v[1], dt[4:] = NAN, NAN
    v.requires_grad_()
    dt.requires_grad_()
    output, _ = layer(padded(x, lengths), v=v, dt=dt, lengths=lengths)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(output[:length, row], expected[:length, row], **NEAR)
    output.sum().backward()
    assert (v.grad[1] == 0).all()
    assert (dt.grad[4:] == 0).all()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_cells_that_no_input_counts():
    layer = Recurrent("h[t] = tanh(U @ h[t-1] + b)", 1, 3, dtype=torch.float64)
    state = {"h": drawn(1, 2, 3)}
    whole, _ = layer(state=state, steps=5)
    output, last = layer(state=state, steps=5, lengths=[2, 5])
    assert torch.equal(output[:2], whole[:2])
    torch.testing.assert_close(last["h"][0], torch.stack([whole[1, 0], whole[4, 1]]))


def test_in_training_a_sequence_draws_what_it_draws_in_the_whole_batch():
    text = "k: bernoulli(0.5)\nh[t] = k[t] * h[t-1] + (1 - k[t]) * tanh(W @ x[t] + U @ h[t-1])"
    layer = small(text, num_layers=2, dropout=0.5)
    x = drawn(STEPS, BATCH, 2)
    torch.manual_seed(5)
    whole, _ = layer(x)
    torch.manual_seed(5)
    output, state = layer(padded(x, LENGTHS), lengths=LENGTHS)
    torch.testing.assert_close(output[WITHIN], whole[WITHIN], **NEAR)
    assert (output[~WITHIN] == 0).all()
    y, state = layer.step(x[0], state, reset=RESET[0])
    assert y.isfinite().all()
    layer.eval()
    torch.testing.assert_close(layer(x, lengths=LENGTHS)[0][WITHIN], layer(x)[0][WITHIN], **NEAR)


def test_a_reset_of_what_is_not_a_number():
    """A state that an environment left behind reaches nothing of the sequence that follows."""
    layer = small(num_layers=2)
    bad = {n: torch.full((2, 3, 3), NAN, dtype=torch.float64) for n in ("h", "c")}
    x, reset = drawn(4, 3, 2).requires_grad_(), torch.zeros(4, 3)
    reset[0] = 1
    output, _ = layer(x, bad, reset=reset)
    torch.testing.assert_close(output, layer(x)[0], **NEAR)
    output.sum().backward()
    assert all(p.grad.isfinite().all() for p in (x, *layer.parameters()))


def test_float32_and_bfloat16():
    layer = small(cells.text("gru"))
    x = drawn(STEPS, BATCH, 2)
    expected = layer(x, lengths=LENGTHS, reset=RESET)[0]
    single = copy.deepcopy(layer).float()
    found = single(padded(x.float(), LENGTHS), lengths=LENGTHS, reset=RESET)[0]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    half = copy.deepcopy(layer).bfloat16()
    found = half(padded(x.bfloat16(), LENGTHS), lengths=LENGTHS, reset=RESET)[0]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.05)


def test_over_a_batch_by_vmap():
    layer = small(cells.text("rnn"))
    x = drawn(3, STEPS, BATCH, 2)
    found = torch.func.vmap(lambda x: layer(x, lengths=LENGTHS)[0])(x)
    for one, several in zip(x, found, strict=True):
        torch.testing.assert_close(several, layer(one, lengths=LENGTHS)[0], **NEAR)
    lengths = torch.tensor([LENGTHS, [7] * 5, [1] * 5])
    found = torch.func.vmap(lambda x, n: layer(x, lengths=n)[0])(x, lengths)
    for one, n, several in zip(x, lengths, found, strict=True):
        torch.testing.assert_close(several, layer(one, lengths=n)[0], **NEAR)


NO_SHAPE = drawn(4, 2, 2)


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"lengths": [4, 5]}, "E428", r"lengths\[1\] is 5, and there are 4 steps"),
        ({"lengths": [-1, 4]}, "E428", r"lengths\[0\] is -1\n.*from 0 to the number of steps, 4"),
        ({"lengths": [4, 2.5]}, "E428", r"lengths\[1\] is 2.5"),
        ({"lengths": [4, NAN]}, "E428", r"lengths\[1\] is nan"),
        ({"lengths": 4}, "E428", r"lengths is \(\), and there are 2 sequences"),
        ({"lengths": [4, 4, 4]}, "E428", r"lengths is \(3,\), and there are 2 sequences"),
        ({"lengths": torch.ones(4, 2)}, "E428", r"lengths is \(4, 2\)"),
        ({"lengths": [True, False]}, "E428", r"True and False.*\n.*m.sum\(0\)"),
        ({"lengths": "44"}, "E428", "lengths is text"),
        ({"lengths": [[1], [1, 2]]}, "E428", "lengths is list, no array of numbers"),
        ({"reset": torch.ones(2, 4)}, "E429", r"and \(T, B\) is \(4, 2\)\n.*reset.T"),
        ({"reset": torch.ones(2, 4) > 0}, "E429", r"reset is \(2, 4\)"),
        ({"reset": True}, "E429", r"reset is \(\)"),
        ({"reset": drawn(4, 2)}, "E429", r"reset\[0, 0\] is .*\n.*True or 1"),
        ({"reset": "no"}, "E429", "reset is text"),
    ],
)
def test_a_mistake_is_named(more, code, words):
    with pytest.raises(ElmanError, match=words) as caught:
        small()(NO_SHAPE, **more)
    assert caught.value.code == code


def test_mistakes_of_other_forms():
    with pytest.raises(ElmanError, match=r"\(B, T\) is \(4, 2\)"):
        small(batch_first=True)(NO_SHAPE, reset=torch.ones(2, 4))
    with pytest.raises(ElmanError, match=r"reset is \(1, 2\), and \(B\) is \(2,\)"):
        small().step(NO_SHAPE[0], reset=torch.ones(1, 2))
    with pytest.raises(ElmanError, match="there is one sequence"):
        small()(NO_SHAPE[:, 0], lengths=[4])
    with pytest.raises(ElmanError, match="there is one sequence and one step"):
        small().step(NO_SHAPE[0, 0], reset=[1])
    with pytest.raises(ElmanError, match="no input lengths"):
        small().step(NO_SHAPE[0], lengths=torch.ones(2))
    with pytest.raises(ElmanError, match="an input called reset cannot be given") as caught:
        Recurrent("h[t] = tanh(W @ x[t] + V @ reset[t])", 2, 3, sizes={"reset": 2})
    assert caught.value.code == "E405"

"""A decoder in one call, step by step, and written out by hand."""

from __future__ import annotations

import copy
import functools

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import (  # noqa: E402
    GRU,
    LSTM,
    Attention,
    Decoder,
    GRUCell,
    LSTMCell,
    Recurrent,
    Stacked,
)
from elman.nn.decoder import Carry  # noqa: E402
from elman.nn.timed import at_step  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
TOKENS, WIDTH, HIDDEN, KEYS = 7, 4, 6, 5
T, B, S = 5, 3, 4
LENGTHS = [4, 1, 3]
LAYERS = {
    "recurrent": lambda n: Recurrent(elman.cells["gru"], n, HIDDEN, 2),
    "recurrent, several states": lambda n: Recurrent(elman.cells["lstm"], n, HIDDEN),
    "lstm": lambda n: LSTM(n, HIDDEN, num_layers=2),
    "gru": lambda n: GRU(n, HIDDEN),
    "torch": lambda n: torch.nn.LSTM(n, 9, proj_size=HIDDEN),
    "cell": lambda n: LSTMCell(n, HIDDEN),
    "cell, one state": lambda n: GRUCell(n, HIDDEN),
    "torch's cell": lambda n: torch.nn.LSTMCell(n, HIDDEN),
    "torch's cell, one state": lambda n: torch.nn.GRUCell(n, HIDDEN),
    "layers of layers": lambda n: Stacked(GRU(n, 4), torch.nn.GRUCell(4, HIDDEN)),
}


def decoder(layer="gru", score=None, feeding=False, **more):
    torch.manual_seed(0)
    attention = Attention(HIDDEN, KEYS, score) if score else None
    made = LAYERS[layer](WIDTH + KEYS * feeding)
    embedding = torch.nn.Embedding(TOKENS, WIDTH)
    options = {"attention": attention, "input_feeding": feeding, "start": 0, "end": 1} | more
    return Decoder(made, embedding, **options).double()


def given():
    torch.manual_seed(1)
    targets, memory = torch.randint(TOKENS, (T, B)), torch.randn(S, B, KEYS).double()
    return targets, memory


def by_hand(model, targets, memory=None):
    """Every step by itself, from its own parts."""
    carry, logits, weights = Carry(None), [], []
    asked = model.prepare(memory, LENGTHS if memory is not None else None)
    token = torch.zeros(B, dtype=torch.long)
    for target in targets:
        feature, seen, carry = model.advance(token, carry, asked, {})
        logits.append(model.read_out(feature))
        weights.append(seen)
        token = target
    return torch.stack(logits), carry.state, weights


def tensors(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return list(state.values() if isinstance(state, dict) else state)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("score", [None, "additive", "general"])
@pytest.mark.parametrize("feeding", [False, True])
def test_one_call_is_step_by_step(layer, score, feeding):
    if feeding and score is None:
        return
    model = decoder(layer, score, feeding)
    targets, memory = given()
    memory = memory if score else None
    lengths = LENGTHS if score else None
    logits, state, weights = model(targets, None, memory, memory_lengths=lengths)
    wanted, after, seen = by_hand(model, targets, memory)
    torch.testing.assert_close(logits, wanted)
    torch.testing.assert_close(tensors(state), tensors(after))
    if score:
        torch.testing.assert_close(weights, torch.stack(seen))
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(logits.square().sum(), parameters)
    hand = torch.autograd.grad(wanted.square().sum(), parameters)
    for name, one, other in zip(names, found, hand, strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_input_feeding_by_its_equations():
    model = Decoder(
        torch.nn.GRUCell(WIDTH + KEYS, HIDDEN),
        torch.nn.Embedding(TOKENS, WIDTH),
        attention=Attention(HIDDEN, KEYS, "general"),
        input_feeding=True,
        start=2,
    ).double()
    targets, memory = given()
    logits, _, weights = model(targets, None, memory)
    h, context = torch.zeros(B, HIDDEN).double(), torch.zeros(B, KEYS).double()
    token = torch.full((B,), 2)
    for t in range(T):
        h = model.layer(torch.cat([model.embedding(token), context], 1), h)
        context, seen = model.attention(h, memory)
        joined = torch.tanh(model.join[0](torch.cat([h, context], 1)))
        torch.testing.assert_close(logits[t], model.read_out(joined))
        torch.testing.assert_close(weights[t], seen)
        token = targets[t]


@pytest.mark.parametrize("feeding", [False, True])
def test_a_step_sees_only_targets_before_it(feeding):
    model, (targets, memory) = decoder("lstm", "general", feeding), given()
    before = model(targets, None, memory)[0]
    changed = targets.clone()
    changed[2] = (targets[2] + 1) % TOKENS
    after = model(changed, None, memory)[0]
    assert torch.equal(before[:3], after[:3]) and not torch.equal(before[3], after[3])


@pytest.mark.parametrize("feeding", [False, True])
def test_without_teacher_forcing_it_is_what_greedy_writes(feeding):
    model, (targets, memory) = decoder("gru", "general", feeding, end=None), given()
    logits, _, weights = model(targets, None, memory, teacher_forcing=0.0)
    written = model.generate(None, memory, max_steps=T)
    assert torch.equal(logits.argmax(-1), written.sequences)
    torch.testing.assert_close(weights, written.weights)
    best = logits.log_softmax(-1).amax(-1).sum(0)
    torch.testing.assert_close(written.log_probs, best)


def test_scheduled_sampling_draws_for_each_step_and_sequence():
    torch.manual_seed(0)
    steps, rows = 50, 40
    told, read = torch.full((steps, rows), 3), []
    model = decoder()
    model.read_out.weight.data.zero_()  # it always writes the token 5
    model.read_out.bias.data[5] = 9.0
    model.embedding.register_forward_hook(lambda _, token, __: read.append(token[0]))
    model(told, teacher_forcing=0.3, generator=torch.Generator().manual_seed(0))
    tokens = torch.stack(read)
    assert (tokens[0] == 0).all() and ((tokens[1:] == 3) | (tokens[1:] == 5)).all()
    share = (tokens[1:] == 3).double()
    assert abs(share.mean() - 0.3) < 0.05
    assert share.mean(0).std() > 0 and share.mean(1).std() > 0
    read.clear()
    model(told, teacher_forcing=0.3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.stack(read), tokens)


@pytest.mark.parametrize("lengths", [None, [T, 0, 2], [0, T, 2]])
@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (GRU, HIDDEN),
        (LSTM, [4, HIDDEN]),
        (functools.partial(Recurrent, elman.cells["gru"]), HIDDEN),
    ],
)
def test_steps_draw_what_one_call_draws(kind, sizes, is_given, lengths):
    drops = {"zoneout": 0.2, "variational_dropout": 0.4, "weight_drop": 0.3}
    layer = kind(WIDTH, sizes, dtype=torch.float64, **drops)
    model, targets = Decoder(layer, torch.nn.Embedding(TOKENS, WIDTH), start=0).double(), given()[0]
    state = model.eval()(targets)[1] if is_given else None
    told = []
    for share in (1.0, 1.0 - 1e-12):  # in one call of the layer, and step by step
        torch.manual_seed(1)
        own = torch.Generator().manual_seed(0)
        options = {"lengths": lengths, "teacher_forcing": share, "generator": own}
        logits, after, _ = model.train()(targets, state, **options)
        told.append((logits, after["h"] if isinstance(after, dict) else after))
    torch.testing.assert_close(*told, rtol=1e-10, atol=1e-12)
    assert not torch.equal(told[0][0], model.eval()(targets, state, lengths=lengths)[0])


def test_tied_weights():
    model = decoder(tie_weights=True, score="general")
    assert model.read_out.weight is model.embedding.weight
    assert copy.deepcopy(model).read_out.weight.shape == (TOKENS, WIDTH)
    plain = decoder(tie_weights=True)
    assert plain.join.out_features == WIDTH
    targets, _ = given()
    logits = plain(targets)[0]
    torch.testing.assert_close(logits, by_hand(plain, targets)[0])


def test_a_read_out_of_ones_own():
    own = torch.nn.Linear(HIDDEN + KEYS, TOKENS)
    model, (targets, memory) = decoder("gru", "general", read_out=own), given()
    logits, _, _ = model(targets, None, memory)
    assert model.read_out is own and logits.shape == (T, B, TOKENS)


def test_vectors_are_fed_back():
    torch.manual_seed(0)
    model = Decoder(GRU(3, HIDDEN)).double()
    targets = torch.randn(T, B, 3).double()
    values, state, _ = model(targets)
    assert values.shape == (T, B, 3)
    fed, _, _ = model(targets, teacher_forcing=0.0)
    written = model.generate(max_steps=T, start=torch.zeros(B, 3).double())
    torch.testing.assert_close(written.sequences, fed)
    assert written.scores is None and written.lengths.tolist() == [T] * B
    (gradient,) = torch.autograd.grad(fed[-1].sum(), model.read_out.bias)
    assert gradient.abs().sum() > 0
    on = model.generate(state, max_steps=2, start=targets[-1])
    whole = model(torch.cat([targets, on.sequences]))[0]
    torch.testing.assert_close(on.sequences, whole[-2:])


@pytest.mark.parametrize("kind", ["recurrent", "lstm"])
def test_batch_first(kind):
    makers = {
        "recurrent": lambda **o: Recurrent(elman.cells["gru"], WIDTH, HIDDEN, **o),
        "lstm": lambda **o: LSTM(WIDTH, HIDDEN, **o),
    }
    embedding = torch.nn.Embedding(TOKENS, WIDTH)
    attention = Attention(HIDDEN, KEYS)
    layer = makers[kind]()
    model = Decoder(layer, embedding, attention=attention, start=0, end=1)
    turned = Decoder(makers[kind](batch_first=True), embedding, attention=attention, start=0, end=1)
    turned.load_state_dict(model.state_dict())
    targets, memory = given()
    memory = memory.float()
    one = model(targets, None, memory, memory_lengths=LENGTHS)
    other = turned(targets.T, None, memory.transpose(0, 1), memory_lengths=LENGTHS)
    torch.testing.assert_close(other[0].transpose(0, 1), one[0])
    torch.testing.assert_close(other[2].transpose(0, 1), one[2])
    mask = torch.arange(S)[:, None] < torch.tensor(LENGTHS)
    masked = turned(targets.T, None, memory.transpose(0, 1), memory_mask=mask.T)
    torch.testing.assert_close(masked[0], other[0])
    for method in ("greedy", "beam"):
        a = model.generate(None, memory, max_steps=4, method=method)
        b = turned.generate(None, memory.transpose(0, 1), max_steps=4, method=method)
        assert torch.equal(a.sequences, b.sequences.T) and a.tokens() == b.tokens()


def test_an_input_for_the_whole_sequence():
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ v)\nv: per sequence"
    layer = Recurrent(text, WIDTH, HIDDEN, sizes={"v": 2})
    model = Decoder(layer, torch.nn.Embedding(TOKENS, WIDTH), start=0, end=1).eval()
    targets, image = given()[0], torch.randn(B, 2)
    logits, _, _ = model(targets, inputs={"v": image})
    stepped, _, _ = model(targets, inputs={"v": image}, teacher_forcing=1 - 1e-9)
    torch.testing.assert_close(logits, stepped)
    best = model.generate(inputs={"v": image}, max_steps=4, method="beam", beam_size=TOKENS**4)
    greedy = model.generate(inputs={"v": image}, max_steps=4)
    assert best.lengths.shape == (B,) and (best.scores >= greedy.scores - 1e-6).all()


def test_what_cross_entropy_ignores_is_read_as_a_token():
    model, (targets, _) = decoder(), given()
    targets[3:, 1] = -100
    logits, _, _ = model(targets)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert loss.isfinite()


def test_another_start_for_each_sequence():
    model, (targets, _) = decoder(), given()
    starts = torch.tensor([2, 0, 5])
    logits, _, _ = model(targets, start=starts)
    for b, start in enumerate(starts.tolist()):
        alone, _, _ = model(targets[:, b : b + 1], start=start)
        torch.testing.assert_close(logits[:, b : b + 1], alone)
    assert model.generate(start=starts, max_steps=2).sequences.shape[1] == B


def test_one_graph_of_torch_compile():
    model, (targets, memory) = decoder("torch's cell", "general"), given()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for lengths in (None, torch.tensor(LENGTHS)):
        found = compiled(targets, None, memory, memory_lengths=lengths)
        wanted = model(targets, None, memory, memory_lengths=lengths)
        torch.testing.assert_close(found[0], wanted[0])
        torch.testing.assert_close(found[2], wanted[2])


def made_of(kind, feeding, batch_first=False):
    """A decoder and what a cell's inputs by name are."""
    text = """
        m: scalar, per step
        v: per sequence
        h[t] = tanh(W @ x[t] + U @ h[t-1] + V @ v + m[t] * a[t])
    """
    sizes, width = {"a": HIDDEN, "v": 2}, WIDTH + KEYS * feeding
    torch.manual_seed(0)
    layer = Recurrent(text, width, HIDDEN, sizes=sizes, batch_first=batch_first)
    if kind == "stacked":
        layer = Stacked(layer, GRU(HIDDEN, HIDDEN, batch_first=batch_first))
    attention = Attention(HIDDEN, KEYS, "general")
    options = {"attention": attention, "input_feeding": feeding, "start": 0, "end": 1}
    model = Decoder(layer, torch.nn.Embedding(TOKENS, WIDTH), **options).double()
    torch.manual_seed(2)
    a = torch.randn(T, B, HIDDEN).double()
    inputs = {"a": a.transpose(0, 1) if batch_first else a, "m": torch.randn(T).double()}
    return model, {**inputs, "v": torch.randn(B, 2).double()}


@pytest.mark.parametrize("layer", [*LAYERS, "vectors"])
@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("p", [1.0, 0.0])
def test_padded_targets_are_each_sequence_alone(layer, feeding, p):
    targets, memory = given()
    lengths = [5, 1, 3]
    if layer == "vectors":
        torch.manual_seed(0)
        reads, attention = 3 + KEYS * feeding, Attention(HIDDEN, KEYS)
        more = {"attention": attention, "output_size": 3, "input_feeding": feeding}
        model = Decoder(GRU(reads, HIDDEN), **more).double()
        targets = torch.randn(T, B, 3).double()
        targets[1:, 1] = torch.nan
    else:
        model = decoder(layer, "general", feeding)
        targets[1:, 1] = TOKENS + 7  # no token
    logits, state, weights = model(
        targets, None, memory, memory_lengths=LENGTHS, lengths=lengths, teacher_forcing=p
    )
    total = 0.0
    for b, (n, seen) in enumerate(zip(lengths, LENGTHS, strict=True)):
        own, memories = targets[:n, b : b + 1], memory[:seen, b : b + 1]
        alone, after, looked = model(own, None, memories, teacher_forcing=p)
        torch.testing.assert_close(logits[:n, b], alone[:, 0])
        torch.testing.assert_close(weights[:n, b, :seen], looked[:, 0])
        assert (logits[n:, b] == 0).all() and (weights[n:, b] == 0).all()
        for one, other in zip(tensors(state), tensors(after), strict=True):
            axis = one.dim() - 2
            torch.testing.assert_close(one.select(axis, b), other.select(axis, 0))
        total = total + alone.square().sum()
    parameters = [*model.parameters()]
    found = torch.autograd.grad(logits.square().sum(), parameters, allow_unused=True)
    hand = torch.autograd.grad(total, parameters, allow_unused=True)
    torch.testing.assert_close(list(found), list(hand))


@pytest.mark.parametrize("kind", ["recurrent", "stacked"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_inputs_of_every_step(kind, batch_first):
    plain, inputs = made_of(kind, False, batch_first)
    targets, memory = given()
    turn = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
    whole, _, _ = plain(turn(targets), None, turn(memory), inputs=inputs)
    token, carry, asked = torch.zeros(B, dtype=torch.long), Carry(None), plain.prepare(turn(memory))
    for t in range(T):
        now = at_step(plain.layer, inputs, t)
        feature, _, carry = plain.advance(token, carry, asked, now)
        torch.testing.assert_close(turn(whole)[t], plain.read_out(feature))
        token = targets[t]
    for feeding in (False, True):
        model, inputs = made_of(kind, feeding, batch_first)
        logits, _, _ = model(turn(targets), None, turn(memory), inputs=inputs, teacher_forcing=0.0)
        given_to = {"inputs": inputs, "max_steps": T, "end": None}
        model.end = None
        greedy = model.generate(None, turn(memory), **given_to)
        assert torch.equal(logits.argmax(-1), greedy.sequences)
        beam = model.generate(None, turn(memory), method="beam", beam_size=1, **given_to)
        assert torch.equal(beam.sequences, greedy.sequences)
        for b in range(B):  # as if it were alone
            cut = {"a": turn(turn(inputs["a"])[:, b : b + 1]), "m": inputs["m"]}
            cut["v"] = inputs["v"][b : b + 1]
            keys = turn(memory[:, b : b + 1])
            wide = {"method": "beam", "beam_size": 4, "max_steps": T}
            alone = model.generate(None, keys, inputs=cut, **wide)
            together = model.generate(None, turn(memory), inputs=inputs, **wide)
            assert alone.tokens()[0] == together.tokens()[b]

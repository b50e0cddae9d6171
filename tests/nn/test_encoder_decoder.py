"""A padded batch is each sequence alone, whatever reads it and whatever writes."""

from __future__ import annotations

import copy
import io

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import (  # noqa: E402
    GRU,
    LSTM,
    Attention,
    Bidirectional,
    Bridge,
    Decoder,
    Encoder,
    EncoderDecoder,
    Recurrent,
    Stacked,
)

pytestmark = [pytest.mark.torch, pytest.mark.c]
TOKENS, WIDTH, S, T, B = 9, 4, 6, 5, 4
LENGTHS = [6, 1, 3, 5]

ENCODERS = {
    "gru": lambda: GRU(WIDTH, 6),
    "two directions": lambda: LSTM(WIDTH, 5, num_layers=2, bidirectional=True),
    "recurrent": lambda: Recurrent(elman.cells["lstm"], WIDTH, 6),
    "torch": lambda: torch.nn.GRU(WIDTH, 3, bidirectional=True),
    "sizes": lambda: LSTM(WIDTH, [4, 3], bidirectional=True),
    "cell": lambda: torch.nn.GRUCell(WIDTH, 6),
}
DECODERS = {
    "gru": lambda n: GRU(n, 6),
    "lstm": lambda n: LSTM(n, 7, num_layers=2),
    "sizes": lambda n: GRU(n, [4, 6]),
    "recurrent": lambda n: Recurrent(elman.cells["lstm"], n, 6),
    "cell": lambda n: torch.nn.LSTMCell(n, 6),
}


def network(encoder="gru", decoder="gru", score="additive", feeding=False, **options):
    torch.manual_seed(0)
    reads = Encoder(ENCODERS[encoder](), torch.nn.Embedding(TOKENS, WIDTH))
    keys = reads.output_size
    hidden = 7 if decoder == "lstm" else 6
    attention = Attention(hidden, keys, score) if score else None
    layer = DECODERS[decoder](WIDTH + keys * feeding)
    embedding = torch.nn.Embedding(TOKENS, WIDTH)
    parts = {"attention": attention, "input_feeding": feeding, "start": 0, "end": 1}
    return EncoderDecoder(reads, Decoder(layer, embedding, **parts), **options).double().eval()


def given():
    torch.manual_seed(1)
    return torch.randint(TOKENS, (S, B)), torch.randint(TOKENS, (T, B))


def flat(state):
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [tensor for part in parts for tensor in flat(part)]


@pytest.mark.parametrize("kind", ENCODERS)
def test_vectors_behind_a_length_may_hold_anything(kind):
    """Gradients too, and of a sequence without a step: its state is 0, and nothing is learned."""
    torch.manual_seed(0)
    encoder, lengths = Encoder(ENCODERS[kind]()).double(), torch.tensor([6, 0, 3, 5])
    x = torch.randn(S, B, WIDTH, dtype=torch.float64)
    behind = torch.arange(S)[:, None] >= lengths
    found = []
    for filled in (0.0, torch.nan):
        read = x.masked_fill(behind[:, :, None], filled).requires_grad_()
        memory, state = encoder(read, lengths)
        tensors = [memory, *flat(state)]
        total = sum(tensor.square().sum() for tensor in tensors)
        grads = torch.autograd.grad(total, [*encoder.parameters(), read])
        found.append([*tensors, *grads])
    assert all(each.isfinite().all() for each in found[1])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("score", [None, "additive", "general"])
def test_a_padded_batch_is_each_sequence_alone(encoder, decoder, score):
    model, (source, targets) = network(encoder, decoder, score, bool(score)), given()
    logits, _, weights = model(source, targets, LENGTHS)
    padding = torch.arange(S)[:, None] >= torch.tensor(LENGTHS)
    other = torch.where(padding, source + TOKENS, source)
    torch.testing.assert_close(model(other, targets, LENGTHS)[0], logits)
    written = model.generate(source, LENGTHS, max_steps=5, method="beam", beam_size=3)
    for b, n in enumerate(LENGTHS):
        own, told = source[:n, b : b + 1], targets[:, b : b + 1]
        alone, _, seen = model(own, told)
        torch.testing.assert_close(alone[:, 0], logits[:, b])
        if score:
            torch.testing.assert_close(seen[:, 0], weights[:, b, :n])
            assert (weights[:, b, n:] == 0).all()
        one = model.generate(own, max_steps=5, method="beam", beam_size=3)
        assert one.tokens()[0] == written.tokens()[b]
        torch.testing.assert_close(one.scores[0], written.scores[b])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_weight_learns(encoder):
    model, (source, targets) = network(encoder, "lstm"), given()
    model(source, targets, LENGTHS)[0].square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_bridge_stands_where_states_do_not_fit():
    assert network("gru", "gru").bridge is None
    assert network("recurrent", "recurrent").bridge is None
    for pair in (("two directions", "gru"), ("gru", "recurrent"), ("gru", "cell")):
        assert isinstance(network(*pair).bridge, Bridge)
    given, wanted = LSTM(3, 5, num_layers=2, bidirectional=True), GRU(3, 7, num_layers=3)
    bridge = Bridge(given, wanted)
    state = tuple(torch.randn(4, 2, 5) for _ in range(2))
    h = bridge(state)
    assert h.shape == (3, 2, 7)
    linear = bridge.maps["to_h"]
    rows = torch.cat(list(state[0]), dim=1)  # (B, 4 * 5)
    wanted = torch.tanh(linear(rows)).reshape(2, 3, 7).transpose(0, 1)
    torch.testing.assert_close(h, wanted)


def test_the_state_of_the_encoder_is_the_decoders():
    model, (source, targets) = network("gru", "gru", None), given()
    _, state = model.encoder(source, LENGTHS)
    torch.testing.assert_close(model(source, targets, LENGTHS)[0], model.decoder(targets, state)[0])
    blind = network("gru", "gru", "dot", bridge=False)
    memory, state = blind.encode(source, LENGTHS)
    assert state is None and memory.shape == (S, B, 6)


def test_sequences_without_a_step():
    model, (source, targets) = network("two directions", "lstm"), given()
    logits, _, weights = model(source, targets, [6, 0, 3, 5])
    assert logits.isfinite().all() and (weights[:, 1] == 0).all()
    logits.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    memory, state = Encoder(GRU(WIDTH, 6))(torch.randn(S, 2, WIDTH), [0, 2])
    assert (memory[:, 0] == 0).all() and (state[:, 0] == 0).all() and (state[:, 1] != 0).all()


def test_an_encoder_that_is_batch_first():
    source, targets = given()
    model = network()
    layer = GRU(WIDTH, 6, batch_first=True).double()
    layer.load_state_dict(model.encoder.layer.state_dict())
    turned = EncoderDecoder(Encoder(layer, model.encoder.embedding), model.decoder)
    found, _, weights = turned(source.T, targets, LENGTHS)
    wanted, _, seen = model(source, targets, LENGTHS)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(weights, seen)


def test_layers_of_layers_read_and_write():
    torch.manual_seed(0)
    reads = Stacked(Bidirectional(GRU(WIDTH, 3)), LSTM(6, 6))
    writes = Stacked(GRU(WIDTH, 6), LSTM(6, 7))
    attention, embedding = Attention(7, 6), torch.nn.Embedding(TOKENS, WIDTH)
    decoder = Decoder(writes, embedding, attention=attention, start=0, end=1)
    model, (_, targets) = EncoderDecoder(reads, decoder).double(), given()
    source = torch.randn(S, B, WIDTH).double()
    logits, _, weights = model(source, targets, LENGTHS)
    for b, n in enumerate(LENGTHS):
        alone, _, seen = model(source[:n, b : b + 1], targets[:, b : b + 1])
        torch.testing.assert_close(alone[:, 0], logits[:, b])
        torch.testing.assert_close(seen[:, 0], weights[:, b, :n])


@pytest.mark.parametrize("feeding", [False, True])
def test_targets_of_several_lengths(feeding):
    model, (source, targets) = network("two directions", "lstm", "general", feeding), given()
    ends = [2, 5, 1, 4]
    logits, state, weights = model(source, targets, LENGTHS, target_lengths=ends)
    for b, (n, end) in enumerate(zip(LENGTHS, ends, strict=True)):
        alone, after, seen = model(source[:n, b : b + 1], targets[:end, b : b + 1])
        torch.testing.assert_close(alone[:, 0], logits[:end, b])
        torch.testing.assert_close(seen[:, 0], weights[:end, b, :n])
        assert (logits[end:, b] == 0).all() and (weights[end:, b] == 0).all()
        for one, other in zip(state, after, strict=True):
            torch.testing.assert_close(one[:, b], other[:, 0])


def test_an_encoder_of_ones_own():
    class Reads(torch.nn.Module):
        def forward(self, source, lengths):
            return source * 2.0, source[-1:]

    decoder = Decoder(GRU(WIDTH, 6), torch.nn.Embedding(TOKENS, WIDTH), start=0, end=1)
    model = EncoderDecoder(Reads(), decoder)
    logits, _, _ = model(torch.randn(S, B, 6), given()[1])
    assert logits.shape == (T, B, TOKENS)


def test_copies_and_checkpoints():
    model, (source, targets) = network("two directions", "lstm"), given()
    wanted = model(source, targets, LENGTHS)[0]
    torch.testing.assert_close(copy.deepcopy(model)(source, targets, LENGTHS)[0], wanted)
    kept = io.BytesIO()
    torch.save(model, kept)
    kept.seek(0)
    again = torch.load(kept, weights_only=False)
    torch.testing.assert_close(again(source, targets, LENGTHS)[0], wanted)
    other = network("two directions", "lstm")
    for parameter in other.parameters():
        parameter.data.zero_()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(source, targets, LENGTHS)[0], wanted)


def test_shapes_alone_on_meta():
    encoder = Encoder(GRU(4, 6), torch.nn.Embedding(9, 4))
    decoder = Decoder(GRU(4, 6), torch.nn.Embedding(9, 4), attention=Attention(6, 6), start=0)
    model, tokens = EncoderDecoder(encoder, decoder).to("meta"), torch.zeros(5, 2, device="meta")
    logits, _, weights = model(tokens.long(), tokens.long(), [5, 2], target_lengths=[3, 5])
    assert logits.shape == (5, 2, 9) and weights.shape == (5, 2, 5) and logits.is_meta

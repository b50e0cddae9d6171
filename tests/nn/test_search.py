"""What a decoder writes, against every sequence that it could write."""

from __future__ import annotations

import copy
import itertools

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import GRU, LSTM, Attention, Decoder, Recurrent, Search  # noqa: E402
from elman.nn.generation import draw, nucleus  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
WIDTH, HIDDEN, KEYS, S = 4, 5, 3, 4
START, END = 0, 1
MAKERS = {
    "lstm": lambda n: LSTM(n, HIDDEN, num_layers=2),
    "recurrent": lambda n: Recurrent(elman.cells["gru"], n, HIDDEN),
    "cell": lambda n: torch.nn.LSTMCell(n, HIDDEN),
}


def decoder(tokens, layer="lstm", feeding=False, seed=0, end=END):
    torch.manual_seed(seed)
    attention = Attention(HIDDEN, KEYS, "general")
    embedding = torch.nn.Embedding(tokens, WIDTH)
    options = {"attention": attention, "input_feeding": feeding, "start": START, "end": end}
    model = Decoder(MAKERS[layer](WIDTH + KEYS * feeding), embedding, **options).double()
    model.read_out.weight.data *= 4.0  # so that the likeliest is not nearly a tie
    return model.eval()


def memory(rows):
    torch.manual_seed(9)
    return torch.randn(S, rows, KEYS).double() * 2.0


def every(tokens, steps):
    """Each sequence that ends with the end token, or has `steps` tokens and no end."""
    others = [token for token in range(tokens) if token != END]
    for length in range(steps):
        for text in itertools.product(others, repeat=length):
            yield (*text, END)
    yield from itertools.product(others, repeat=steps)


def likelihood(model, keys, text):
    """The log probability of a sequence with a memory (S, 1, K), and where it looked."""
    targets = torch.tensor(text)[:, None]
    logits, _, weights = model(targets, None, keys)
    chosen = logits.log_softmax(-1).gather(2, targets[:, :, None])
    return chosen.sum().item(), weights[:, 0]


@pytest.mark.parametrize("layer", MAKERS)
@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("penalty", [None, 0.7, 1.0, 1.5, -0.5])
def test_a_wide_beam_finds_what_brute_force_finds(layer, feeding, penalty):
    tokens, steps, rows = 4, 3, 2
    model, keys = decoder(tokens, layer, feeding), memory(rows)
    beam = {"beam_size": tokens**steps, "length_penalty": penalty, "n_best": 6}
    found = model.generate(None, keys, max_steps=steps, method="beam", **beam)
    assert found.sequences.shape[:1] == found.scores.shape[:1] == (6,)
    for b in range(rows):
        known = []
        for text in every(tokens, steps):
            log_prob, weights = likelihood(model, keys[:, b : b + 1], text)
            known.append((log_prob / len(text) ** (penalty or 0.0), log_prob, text, weights))
        known.sort(key=lambda one: -one[0])
        for n, (score, log_prob, text, weights) in enumerate(known[:6]):
            length = int(found.lengths[n, b])
            assert found.scores[n, b].item() == pytest.approx(score, rel=1e-9)
            assert found.log_probs[n, b].item() == pytest.approx(log_prob, rel=1e-9)
            assert list(text) == found.sequences[n, :length, b].tolist()
            assert (found.sequences[n, length:, b] == END).all()
            torch.testing.assert_close(found.weights[n, :length, b], weights)
            assert (found.weights[n, length:, b] == 0).all()


def plain_beam(model, keys, size, steps, penalty):
    """The same search with lists, for one sequence: (score, tokens), the best first."""
    going, ended = [(0.0, ())], []
    for t in range(steps):
        found = []
        for log_prob, text in going:
            targets = torch.tensor([*text, START])[:, None]
            after = model(targets, None, keys)[0][-1, 0].log_softmax(-1).tolist()
            found += [(log_prob + more, (*text, token)) for token, more in enumerate(after)]
        found.sort(reverse=True)
        for log_prob, text in found[:size]:
            if text[-1] == END or t + 1 == steps:
                ended.append((log_prob / len(text) ** (penalty or 0.0), text))
        going = [one for one in found if one[1][-1] != END][:size]
        if len(ended) >= size:
            break
    return sorted(ended, reverse=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("penalty", [None, 1.0, -0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_narrow_beam_is_the_plain_one(size, penalty, seed):
    model, keys = decoder(6, "recurrent", seed % 2 == 0, seed), memory(4)
    model.read_out.bias.data[END] += 2.0
    beam = {"beam_size": size, "length_penalty": penalty, "n_best": (size + 1) // 2}
    found = model.generate(None, keys, max_steps=5, method="beam", **beam)
    for b in range(4):
        known = plain_beam(model, keys[:, b : b + 1], size, 5, penalty)
        for n in range(beam["n_best"]):
            text = found.sequences[n, : int(found.lengths[n, b]), b].tolist()
            assert tuple(text) == known[n][1]
            assert found.scores[n, b].item() == pytest.approx(known[n][0], rel=1e-9)


@pytest.mark.parametrize("penalty", [None, 1.0, 2.0])
@pytest.mark.parametrize("layer", MAKERS)
@pytest.mark.parametrize("seed", range(4))
def test_one_beam_is_greedy(layer, penalty, seed):
    model, keys = decoder(6, layer, seed=seed), memory(5)
    greedy = model.generate(None, keys, max_steps=7)
    beam = {"beam_size": 1, "length_penalty": penalty}
    found = model.generate(None, keys, max_steps=7, method="beam", **beam)
    assert torch.equal(greedy.sequences, found.sequences)
    assert torch.equal(greedy.lengths, found.lengths)
    torch.testing.assert_close(greedy.log_probs, found.log_probs)
    torch.testing.assert_close(greedy.weights, found.weights)


@pytest.mark.parametrize("how", ["greedy", "sample", "beam"])
@pytest.mark.parametrize("feeding", [False, True])
def test_what_is_written_has_the_probability_it_says(how, feeding):
    model, keys = decoder(6, feeding=feeding, seed=3), memory(5)
    found = model.generate(None, keys, max_steps=6, method=how)
    for b in range(5):
        text = found.sequences[: int(found.lengths[b]), b]
        log_prob, weights = likelihood(model, keys[:, b : b + 1], tuple(text.tolist()))
        assert found.log_probs[b].item() == pytest.approx(log_prob, rel=1e-9)
        torch.testing.assert_close(found.weights[: len(text), b], weights)
        assert END not in text[:-1].tolist() and (found.sequences[len(text) :, b] == END).all()
        assert found.tokens()[b] == [token for token in text.tolist() if token != END]


@pytest.mark.parametrize("how", [{}, {"method": "beam"}, {"method": "beam", "beam_size": 2}])
def test_a_sequence_is_written_as_if_it_were_alone(how):
    model, keys = decoder(6, "lstm", True, seed=5), memory(6)
    torch.manual_seed(7)
    state = tuple(torch.randn(2, 6, HIDDEN).double() for _ in range(2))
    together = model.generate(state, keys, memory_lengths=[4, 1, 2, 4, 3, 4], max_steps=6, **how)
    for b, length in enumerate([4, 1, 2, 4, 3, 4]):
        own = tuple(part[:, b : b + 1].contiguous() for part in state)
        alone = model.generate(own, keys[:length, b : b + 1], max_steps=6, **how)
        assert alone.tokens()[0] == together.tokens()[b]
        torch.testing.assert_close(alone.scores[0], together.scores[b])


def test_a_wider_beam_is_no_worse_on_the_whole():
    scores = []
    for size in (1, 2, 4, 64):
        found = [
            decoder(8, seed=seed).generate(
                None, memory(8), max_steps=6, method="beam", beam_size=size
            )
            for seed in range(4)
        ]
        scores.append(torch.cat([each.scores for each in found]).mean().item())
    assert scores == sorted(scores) and scores[-1] > scores[0]


def test_without_an_end_every_sequence_is_full():
    model = decoder(5, end=None)
    for how in ("greedy", "sample", "beam"):
        found = model.generate(None, memory(3), max_steps=4, method=how)
        assert found.sequences.shape == (4, 3) and found.lengths.tolist() == [4] * 3
        assert [len(text) for text in found.tokens()] == [4] * 3


def test_fewer_sequences_than_asked_for():
    model = decoder(2)  # 0, and the end
    found = model.generate(None, memory(1), max_steps=2, method="beam", beam_size=9, n_best=9)
    assert (found.scores > -torch.inf).sum() == 3
    assert found.lengths[:, 0].tolist()[3:] == [0] * 6
    assert sorted(map(tuple, (t[0] for t in found.tokens()))) == [*[()] * 7, (0,), (0, 0)]


def test_sampling_draws_from_the_decoder():
    torch.manual_seed(0)
    layer, rows = GRU(WIDTH, HIDDEN), 40_000
    model = Decoder(layer, torch.nn.Embedding(5, WIDTH), start=START)
    logits, _, _ = model(torch.zeros(1, 1, dtype=torch.long))
    chances = logits[0, 0].softmax(-1)
    start = torch.zeros(rows, dtype=torch.long)
    for temperature in (1.0, 0.5, 2.0):
        drawn = torch.Generator().manual_seed(0)
        how = {"method": "sample", "temperature": temperature, "generator": drawn}
        found = model.generate(start=start, max_steps=1, **how)
        share = found.sequences[0].bincount(minlength=5) / rows
        wanted = (chances.log() / temperature).softmax(-1)
        assert (share - wanted).abs().max() < 0.01
        taken = chances.log()[found.sequences[0]]
        torch.testing.assert_close(found.log_probs, taken)  # of the decoder, not of the draw
        drawn.manual_seed(0)
        again = model.generate(start=start, max_steps=1, **how)
        assert torch.equal(found.sequences, again.sequences)


def test_top_k_and_top_p():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(20_000, 4)
    torch.manual_seed(0)

    def shares(**how):
        return draw(logits, Search("sample", **how)).bincount(minlength=4) / len(logits)

    torch.testing.assert_close(shares(top_k=1), torch.tensor([1.0, 0, 0, 0]))
    wanted = {
        (2, None): [0.625, 0.375, 0, 0],
        (9, None): [0.5, 0.3, 0.15, 0.05],
        (None, 0.49): [1, 0, 0, 0],
        (None, 0.51): [0.625, 0.375, 0, 0],
        (None, 1.0): [0.5, 0.3, 0.15, 0.05],
        (3, 0.6): [0.625, 0.375, 0, 0],  # of 0.526, 0.316, 0.158: two of them reach 0.6
        (2, 0.62): [1, 0, 0, 0],
        (None, 1e-9): [1, 0, 0, 0],
    }
    for (k, p), share in wanted.items():
        assert (shares(top_k=k, top_p=p) - torch.tensor(share)).abs().max() < 0.02, (k, p)


@pytest.mark.parametrize("p", [0.1, 0.35, 0.6, 0.9, 0.999])
def test_the_nucleus_is_the_smallest_set_that_reaches_p(p):
    torch.manual_seed(0)
    chances = torch.randn(50, 7).double().softmax(-1)
    kept = nucleus(chances, p)
    for row, mine in zip(chances, kept, strict=True):
        sets = [
            set(chosen)
            for n in range(1, 8)
            for chosen in itertools.combinations(range(7), n)
            if row[list(chosen)].sum() >= p
        ]
        best = max((s for s in sets if len(s) == len(sets[0])), key=lambda s: row[list(s)].sum())
        assert set(mine.nonzero().flatten().tolist()) == best


def test_top_k_of_one_is_greedy():
    model, keys = decoder(6, seed=2), memory(5)
    one = model.generate(None, keys, max_steps=6, method="sample", top_k=1)
    greedy = model.generate(None, keys, max_steps=6, banned=None)
    assert torch.equal(one.sequences, greedy.sequences)
    assert repr(Search("beam", beam_size=3)) == "Search(method='beam', beam_size=3)"


@pytest.mark.parametrize("banned, min_steps", [([], 2), ([2], 1), ((START, 3), 3), ({2}, 3)])
@pytest.mark.parametrize("penalty", [None, lambda n: ((5 + n) / 6) ** 0.9, lambda n: 1 + (n == 2)])
def test_bans_and_penalties_by_brute_force(banned, min_steps, penalty):
    """A beam as wide as all there is, on what may be written; its penalties are any function."""
    tokens, steps = 5, 3
    model, keys = decoder(tokens), memory(1)
    asked = {"banned": banned, "min_steps": min_steps, "max_steps": steps}
    beam = {"method": "beam", "beam_size": tokens**steps, "length_penalty": penalty}
    found = model.generate(None, keys, n_best=4, **beam, **asked)
    known = []
    for text in every(tokens, steps):
        is_early = END in text and len(text) < min_steps
        if not is_early and not set(text) & set(banned):
            log_prob, _ = likelihood(model, keys, text)
            known.append((log_prob / (penalty or (lambda n: 1.0))(len(text)), log_prob, text))
    known.sort(reverse=True)
    for n, (score, log_prob, text) in enumerate(known[:4]):
        assert tuple(found.sequences[n, : int(found.lengths[n, 0]), 0].tolist()) == text
        assert found.scores[n, 0].item() == pytest.approx(score, rel=1e-9)
        assert found.log_probs[n, 0].item() == pytest.approx(log_prob, rel=1e-9)


@pytest.mark.parametrize("how", ["greedy", "sample", "beam"])
def test_what_is_banned_is_never_written(how):
    model, keys = decoder(6, seed=1), memory(7)
    model.read_out.bias.data[[2, END]] += 9.0
    torch.manual_seed(0)
    found = model.generate(None, keys, method=how, banned=[2, 4], min_steps=4, max_steps=8)
    assert found.lengths.min() >= 4 and not torch.isin(found.sequences, torch.tensor([2, 4])).any()
    for b, text in enumerate(found.tokens()):
        whole = (*text, END) if int(found.lengths[b]) > len(text) else tuple(text)
        log_prob, _ = likelihood(model, keys[:, b : b + 1], whole)
        assert found.log_probs[b].item() == pytest.approx(log_prob, rel=1e-9)
    assert torch.equal(found.best().sequences, found.sequences)
    if how == "greedy":
        one = {"method": "beam", "beam_size": 1, "banned": [2, 4], "min_steps": 4, "max_steps": 8}
        assert torch.equal(model.generate(None, keys, **one).sequences, found.sequences)


def test_edges_of_sampling():
    logits = torch.tensor([[0.0, -torch.inf, 5.0]]).expand(4000, 3)
    torch.manual_seed(0)
    for how in ({"temperature": 1e-6}, {"temperature": 1e-40}, {"top_k": 1}, {"top_p": 1e-12}):
        assert (draw(logits, Search("sample", **how)) == 2).all(), how
    for how in ({"temperature": 1e6}, {"top_k": 3}, {"top_p": 1.0}, {"top_k": 100, "top_p": 0.999}):
        drawn = draw(logits, Search("sample", **how)).bincount(minlength=3)
        assert drawn[1] == 0 and drawn.sum() == 4000, how
    ties = torch.zeros(4000, 3)
    kept = draw(ties, Search("sample", top_k=2)).bincount(minlength=3)
    assert (kept > 0).sum() == 2
    assert (draw(ties, Search("sample", temperature=1e30)).bincount(minlength=3) > 1000).all()


@pytest.mark.parametrize("layer", [*MAKERS, "parametrized", "frozen"])
def test_weights_are_packed_once_for_what_is_written_and_no_longer(layer):
    own = decoder(6, "lstm" if layer in ("parametrized", "frozen") else layer)
    plain, keys = copy.deepcopy(own), memory(3)
    if layer == "parametrized":
        torch.nn.utils.parametrizations.weight_norm(own.layer, "weight_hh_l0")
    if layer == "frozen":
        own.layer.freeze()
    for _ in range(2):
        found = own.generate(None, keys, max_steps=6)
        wanted = plain(found.sequences, None, keys)[0].log_softmax(-1)
        wanted = wanted.gather(2, found.sequences[:, :, None])[:, :, 0]
        within = torch.arange(len(wanted))[:, None] < found.lengths
        torch.testing.assert_close(found.log_probs, (wanted * within).sum(0))
        assert getattr(own.layer, "is_frozen", False) == (layer == "frozen")
        assert all(p.requires_grad for p in own.layer.parameters()) == (layer != "frozen")
        if layer != "parametrized":
            for model in (own, plain):  # changed between calls
                next(model.layer.parameters()).detach().mul_(-1.5)


def repeats(text, size):
    """Whether so many tokens in a row come twice."""
    runs = [text[k : k + size] for k in range(len(text) - size + 1)]
    return len(runs) > len(set(runs))


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("how", ["greedy", "sample", "beam"])
def test_no_tokens_in_a_row_come_twice(how, size):
    torch.manual_seed(3)
    model, keys = decoder(7, end=None), memory(3)
    options = {"method": how, "max_steps": 7, "banned": [6] if size > 1 else None}
    plain = model.generate(None, keys, **options).tokens()
    found = model.generate(None, keys, no_repeat_ngram_size=size, **options)
    assert how == "sample" or any(repeats(tuple(text), size) for text in plain)
    assert not any(repeats(tuple(text), size) for text in found.tokens())
    for b, text in enumerate(found.tokens()):
        own, _ = likelihood(model, keys[:, b : b + 1], text)
        assert found.log_probs[b].item() == pytest.approx(own, rel=1e-9)


def test_a_wide_beam_without_repeats_finds_what_brute_force_finds():
    tokens, steps = 3, 5
    model, keys = decoder(tokens, seed=2), memory(1)
    beam = {"method": "beam", "beam_size": tokens**steps, "no_repeat_ngram_size": 2}
    for length_penalty in (0.0, 1.0):
        found = model.generate(None, keys, max_steps=steps, length_penalty=length_penalty, **beam)
        texts = [text for text in every(tokens, steps) if not repeats(text, 2)]
        scores = [likelihood(model, keys, text)[0] / len(text) ** length_penalty for text in texts]
        assert found.scores.item() == pytest.approx(max(scores), rel=1e-9)


@pytest.mark.parametrize("how", ["greedy", "sample", "beam"])
def test_where_every_token_would_be_a_repeat_none_is_barred(how):
    model, keys = decoder(3, end=None), memory(2)
    found = model.generate(None, keys, method=how, max_steps=6, no_repeat_ngram_size=1, banned=[2])
    assert all(set(text[:2]) == {0, 1} and set(text) == {0, 1} for text in found.tokens())
    assert found.log_probs.isfinite().all()

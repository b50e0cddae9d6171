"""The CRF against sums over all paths, pytorch-crf and torch-struct."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from elman.errors import ElmanError  # noqa: E402
from elman.nn import CRF, chain  # noqa: E402
from elman.nn.tag_schemes import SCHEMES, constraints  # noqa: E402

pytestmark = pytest.mark.torch
BIO = ["O", "B-a", "I-a", "B-b", "I-b"]
T, B, K = 5, 4, 3
LENGTHS = [5, 2, 1, 4]
WITHIN = torch.arange(T)[:, None] < torch.tensor(LENGTHS)


def drawn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def small(seed=0, tags=K, **more):
    torch.manual_seed(seed)
    crf = CRF(tags, **{"dtype": torch.float64} | more)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def is_legal(crf, path):
    start, allowed, end = crf.allowed_start, crf.allowed, crf.allowed_end
    return (
        (start is None or bool(start[path[0]]))
        and (end is None or bool(end[path[-1]]))
        and (allowed is None or all(allowed[i, j] for i, j in itertools.pairwise(path)))
    )


def scored(crf, emissions):
    """Every legal path of one sequence (T, K) with its score, in the order of their reverses."""
    found = []
    start, end = crf.start_transitions.detach(), crf.end_transitions.detach()
    transitions = crf.transitions.detach()
    for turned in itertools.product(range(crf.num_tags), repeat=len(emissions)):
        path = turned[::-1]
        if is_legal(crf, path):
            score = start[path[0]] + end[path[-1]]
            score = score + sum(emissions[t, tag] for t, tag in enumerate(path))
            score = score + sum(transitions[i, j] for i, j in itertools.pairwise(path))
            found.append((list(path), float(score)))
    return found


def brute(crf, emissions):
    """log Z, marginals (T, K), pairs (T - 1, K, K) and the paths from the best to the worst."""
    ways = scored(crf, emissions)
    total = float(torch.tensor([score for _, score in ways], dtype=torch.float64).logsumexp(0))
    marginals = torch.zeros_like(emissions)
    pairs = emissions.new_zeros(len(emissions) - 1, crf.num_tags, crf.num_tags)
    for path, score in ways:
        for t, tag in enumerate(path):
            marginals[t, tag] += math.exp(score - total)
        for t, (i, j) in enumerate(itertools.pairwise(path)):
            pairs[t, i, j] += math.exp(score - total)
    return total, marginals, pairs, sorted(ways, key=lambda way: -way[1])


@st.composite
def problems(draw):
    tags = draw(st.integers(1, 4))
    steps, rows = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, steps), min_size=rows, max_size=rows))
    seed = draw(st.integers(0, 10**6))
    generator = torch.Generator().manual_seed(seed)
    flags = {}
    if draw(st.booleans()):
        some = torch.rand(tags, tags, generator=generator) < 0.6
        flags = {"allowed": some | torch.eye(tags, dtype=torch.bool)}  # to stay is a path
        flags["allowed_start"] = torch.arange(tags) <= draw(st.integers(0, tags - 1))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    crf = small(seed, tags, batch_first=draw(st.booleans()), **flags)
    return crf, drawn(steps, rows, tags, seed=seed) * scale, lengths


@settings(max_examples=60)
@given(problems())
def test_every_answer_is_that_of_all_paths(problem):
    crf, emissions, lengths = problem
    e = emissions.transpose(0, 1) if crf.batch_first else emissions
    marginals, pairs = crf.marginals(e, lengths=lengths), crf.pairwise_marginals(e, lengths=lengths)
    if crf.batch_first:
        marginals, pairs = marginals.transpose(0, 1), pairs.transpose(0, 1)
    totals = crf.log_partition(e, lengths=lengths)
    best = crf.decode(e, lengths=lengths)
    several = crf.decode(e, lengths=lengths, n_best=4)
    _, scores = crf.viterbi(e, lengths=lengths, n_best=4)
    for b, length in enumerate(lengths):
        total, one, two, ways = brute(crf, emissions[:length, b])
        near = 1e-12 * max(1.0, emissions.abs().max().item())
        assert abs(totals[b].item() - total) < 10 * near
        assert torch.allclose(marginals[:length, b], one, rtol=0, atol=100 * near)
        assert torch.allclose(pairs[: length - 1, b], two, rtol=0, atol=100 * near)
        assert not marginals[length:, b].any() and not pairs[max(length - 1, 0) :, b].any()
        assert best[b] == ways[0][0]
        assert several[b] == [path for path, _ in ways[:4]]
        wanted = [score for _, score in ways[:4]] + [-math.inf] * (4 - len(ways))
        assert scores[:, b].tolist() == pytest.approx(wanted, abs=10 * near)


@settings(max_examples=30)
@given(problems())
def test_likelihoods_are_those_of_all_paths(problem):
    crf, emissions, lengths = problem
    batch_first, crf.batch_first = crf.batch_first, False
    ways = [brute(crf, emissions[:n, b])[::3] for b, n in enumerate(lengths)]
    for rank in (0, -1):
        tags = torch.full(emissions.shape[:2], -100)  # behind a length stands what nobody reads
        for b, (_, paths) in enumerate(ways):
            tags[: lengths[b], b] = torch.tensor(paths[rank][0])
        wanted = [paths[rank][1] - total for total, paths in ways]
        crf.batch_first = batch_first
        given_ = (emissions.transpose(0, 1), tags.T) if batch_first else (emissions, tags)
        for reduction in ("none", "sum", "mean", "token_mean"):
            found = crf(*given_, reduction=reduction, lengths=lengths)
            expected = {
                "none": wanted,
                "sum": sum(wanted),
                "mean": sum(wanted) / len(wanted),
                "token_mean": sum(wanted) / sum(lengths),
            }[reduction]
            assert found.tolist() == pytest.approx(expected, abs=1e-9)
        crf.batch_first = False


@pytest.mark.parametrize("seed", range(5))
def test_equal_paths_come_in_the_order_of_their_last_tags(seed):
    crf = small()
    generator = torch.Generator().manual_seed(seed)
    for parameter in crf.parameters():  # whole numbers: sums are exact, and many are equal
        parameter.data = torch.randint(0, 2, parameter.shape, generator=generator).double()
    emissions = torch.randint(0, 2, (4, 1, K), generator=generator).double()
    ways = sorted(scored(crf, emissions[:, 0]), key=lambda way: -way[1])
    assert len({score for _, score in ways}) < len(ways) / 4
    assert crf.decode(emissions, n_best=len(ways))[0] == [path for path, _ in ways]
    assert crf.decode(emissions)[0] == ways[0][0]


def test_a_mask_is_as_good_as_lengths():
    crf, e, tags = small(), drawn(T, B, K), torch.randint(K, (T, B))
    for mask in (WITHIN, WITHIN.to(torch.uint8), WITHIN.double()):
        assert crf(e, tags, mask) == crf(e, tags, lengths=LENGTHS)
        assert crf.decode(e, mask) == crf.decode(e, lengths=torch.tensor(LENGTHS))
    assert crf(e, tags, torch.ones(T, B)) == crf(e, tags) == crf(e, tags, lengths=[T] * B)


def test_what_stands_behind_a_length_counts_nowhere():
    crf, e, tags = small(), drawn(T, B, K), torch.randint(K, (T, B))
    dirty = torch.where(WITHIN[..., None], e, float("nan")).requires_grad_()
    clean = e.clone().requires_grad_()
    for emissions in (dirty, clean):
        (crf(emissions, tags, WITHIN) + crf.marginals(emissions, WITHIN)[0, 0, 0]).backward()
    assert torch.equal(dirty.grad, clean.grad)
    assert not clean.grad[~WITHIN].any()
    assert crf.decode(dirty, WITHIN) == crf.decode(clean, WITHIN)


def test_a_sequence_does_not_depend_on_its_neighbours():
    crf, e = small(allowed=constraints(BIO), tags=5), drawn(T, B, 5)
    together = crf.marginals(e, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        alone = crf.marginals(e[:length, b])
        assert torch.allclose(together[:length, b], alone, rtol=0, atol=1e-12)
        assert crf.decode(e[:length, b]) == crf.decode(e, lengths=LENGTHS)[b]
        assert crf.log_partition(e[:length, b]).shape == ()


def test_marginals_are_the_gradient_of_the_log_partition():
    crf, e = small(), drawn(T, B, K).requires_grad_()
    total = crf.log_partition(e, lengths=LENGTHS).sum()
    grads = torch.autograd.grad(total, [e, crf.transitions])
    marginals = crf.marginals(e, lengths=LENGTHS)
    pairs = crf.pairwise_marginals(e, lengths=LENGTHS)
    assert torch.allclose(grads[0], marginals, rtol=0, atol=1e-12)
    assert torch.allclose(grads[1], pairs.sum((0, 1)), rtol=0, atol=1e-12)
    assert torch.allclose(marginals.sum(-1), WITHIN.double(), rtol=0, atol=1e-12)
    assert torch.allclose(pairs.sum(-1)[:, 0], marginals[:-1, 0], rtol=0, atol=1e-12)


FLAGS = {
    "all": {},
    "some": {"allowed": [[1, 1, 0], [0, 1, 1], [1, 0, 1]], "allowed_end": [1, 1, 0]},
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("flags", FLAGS)
def test_derivatives_of_every_order(flags):
    crf, tags = small(**FLAGS[flags]), torch.zeros(3, 2, dtype=torch.long)
    names = [name for name, _ in crf.named_parameters()]

    def call(what):
        def function(e, *values):
            given_ = dict(zip(names, values, strict=True))
            with torch.nn.utils.stateless._reparametrize_module(crf, given_):
                if what == "forward":
                    return crf(e, tags, lengths=[3, 2], reduction="none")
                return getattr(crf, what)(e, lengths=[3, 2])

        return function

    inputs = [drawn(3, 2, K).requires_grad_(), *crf.parameters()]
    for what in ("forward", "marginals", "pairwise_marginals"):
        assert torch.autograd.gradcheck(call(what), inputs, check_forward_ad=what == "forward")
        assert torch.autograd.gradgradcheck(call(what), inputs)


def test_derivatives_where_no_tag_follows_another():
    crf, e, tags = small(), drawn(1, 2, K).requires_grad_(), torch.zeros(1, 2).long()
    for what in (lambda e: crf(e, tags), crf.log_partition, crf.marginals):
        assert torch.autograd.gradcheck(what, e) and torch.autograd.gradgradcheck(what, e)
    grads = torch.autograd.grad(crf(e, tags), [*crf.parameters()], create_graph=True)
    plain = torch.autograd.grad(crf(e, tags), [*crf.parameters()])
    assert all(map(torch.allclose, grads, plain))


def test_what_is_forbidden_has_probability_zero():
    crf = small(allowed=CRF.constraints(BIO), tags=5)
    e = (drawn(T, B, 5) * 20).requires_grad_()
    crf(e, torch.zeros(T, B, dtype=torch.long), lengths=LENGTHS).backward()
    forbidden = ~crf.allowed
    assert not crf.transitions.grad[forbidden].any()
    assert all(p.grad.isfinite().all() for p in [e, *crf.parameters()])
    with torch.no_grad():
        pairs = crf.pairwise_marginals(e, lengths=LENGTHS)
        assert not pairs[:, :, forbidden].any()
        assert not crf.marginals(e, lengths=LENGTHS)[0][:, ~crf.allowed_start].any()
        found = (
            crf.decode(e, lengths=LENGTHS) + crf.sample(e[:, :1], num_samples=50)[..., 0].tolist()
        )
    assert all(is_legal(crf, path) for path in found)


@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_scores_that_no_exponential_can_hold(scale):
    crf = small(allowed=[[1, 0, 0], [1, 1, 0], [0, 1, 1]], allowed_end=[1, 0, 0])
    e = (drawn(6, 2, K) * scale).requires_grad_()
    assert chain.paths(crf._chain(crf._read(e.detach(), None, None))) is None  # too far apart
    found = crf.log_partition(e)
    found.sum().backward()
    for b in range(2):
        total, one, _, _ = brute(crf, e.detach()[:, b])
        assert found[b].item() == pytest.approx(total, rel=1e-12)
        assert torch.allclose(e.grad[:, b], one, rtol=0, atol=1e-8)


def test_scores_of_any_size_are_right():
    ways = {True: 0, False: 0}
    for seed in range(150):
        generator = torch.Generator().manual_seed(seed)
        tags, steps = (int(torch.randint(1, n, (), generator=generator)) for n in (6, 12))
        scale = 10 ** (3.2 * torch.rand((), generator=generator).item())
        some = torch.rand(tags, tags, generator=generator) < 0.4  # some chains never meet
        crf = small(seed, tags, allowed=(some | torch.eye(tags).bool()) if seed % 3 else None)
        for parameter in crf.parameters() if seed % 2 else ():
            torch.nn.init.normal_(parameter, std=scale, generator=generator)
        e, lengths = drawn(steps, 3, tags, seed=seed) * scale, [steps, 1, (steps + 1) // 2]
        one = crf._chain(crf._read(e, None, lengths))
        fast = chain.paths(one)
        ways[fast is None] += 1
        if fast is not None:
            slow = chain.log_partition_in_logs(one)
            assert torch.allclose(fast.log_partition, slow, rtol=1e-12, atol=1e-12 * scale), seed
            slow = chain.marginals_in_logs(one)
            assert torch.allclose(fast.marginals(), slow, rtol=0, atol=1e-9), seed
    assert min(ways.values()) > 10, ways


def test_the_fast_sum_is_that_of_logarithms():
    crf, e = small(tags=7), drawn(40, 6, 7) * 10
    one = crf._chain(crf._read(e, None, [40, 3, 1, 8, 9, 2]))
    fast = chain.paths(one)
    assert fast is not None
    assert torch.allclose(fast.log_partition, chain.log_partition_in_logs(one), rtol=1e-13)
    for pairs in (False, True):
        slow = chain.marginals_in_logs(one, pairs)
        quick = fast.pairs() if pairs else fast.marginals()
        assert torch.allclose(quick, slow, rtol=0, atol=1e-12)


def test_emissions_of_minus_infinity_forbid_a_tag():
    crf, e = small(), drawn(T, B, K)
    e[2, :, 1] = -math.inf
    e.requires_grad_()
    crf.log_partition(e).sum().backward()
    assert e.grad.isfinite().all() and not e.grad[2, :, 1].any()
    assert all(path[2] != 1 for path in crf.decode(e))
    double = torch.autograd.functional.hessian(lambda e: crf.log_partition(e).sum(), e.detach())
    assert double.isfinite().all()


def test_samples_come_as_often_as_they_are_probable():
    crf, e = small(), drawn(T, B, K)
    paths = crf.sample(e, lengths=LENGTHS, num_samples=2000, generator=torch.Generator())
    assert paths.shape == (2000, T, B) and (paths[:, ~WITHIN] == -1).all()
    often = torch.nn.functional.one_hot(paths.clamp(min=0), K).double().mean(0)
    marginals = crf.marginals(e, lengths=LENGTHS)
    assert torch.allclose(often[WITHIN], marginals[WITHIN], rtol=0, atol=0.05)
    together = ((paths[:, 0, 0] == 1) & (paths[:, 1, 0] == 1)).double().mean()
    assert abs(together - crf.pairwise_marginals(e)[0, 0, 1, 1]) < 0.05


def test_a_number_of_tags_may_be_one_of_numpys():
    crf = CRF(np.int64(3))
    assert repr(crf) == "CRF(num_tags=3)" and type(crf.num_tags) is int


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_numbers_are_summed_wide(dtype):
    crf = small(dtype=dtype)
    wide = copy.deepcopy(crf).double()
    e, tags = drawn(200, B, K, dtype=dtype).requires_grad_(), torch.zeros(200, B).long()
    found, wanted = crf(e, tags), wide(e.double(), tags)
    assert found.dtype == torch.float32
    assert abs(found / wanted - 1) < 1e-6
    found.backward()
    assert e.grad.dtype == dtype and crf.transitions.grad.dtype == dtype
    assert crf.marginals(e).dtype == torch.float32


def test_nothing_and_one_of_all():
    crf, none = small(), drawn(T, 0, K)
    assert crf(none, torch.zeros(T, 0).long()) == 0
    assert crf.decode(none) == [] and crf.marginals(none).shape == (T, 0, K)
    assert crf.sample(none).shape == (T, 0) and crf.viterbi(none, n_best=2)[0].shape == (2, T, 0)
    alone = small(tags=1)
    assert alone(drawn(T, B, 1), torch.zeros(T, B).long()).item() == pytest.approx(0.0, abs=1e-12)
    assert crf.pairwise_marginals(drawn(1, B, K)).shape == (0, B, K, K)


def test_one_sequence_without_a_batch():
    crf, e = small(batch_first=True), drawn(T, K)
    tags = torch.tensor([0, 1, 2, 1, 0])
    assert crf(e, tags, reduction="none") == crf(e[None], tags[None], reduction="none")[0]
    assert crf.decode(e) == crf.decode(e[None])[0] and crf.score(e, tags).shape == ()
    path, score = crf.viterbi(e, lengths=3)
    assert path.shape == (T,) and path[3:].tolist() == [-1, -1] and score.shape == ()
    assert crf.viterbi(e, n_best=2)[0].shape == (2, T)
    assert crf.sample(e, num_samples=3).shape == (3, T) and crf.marginals(e).shape == (T, K)


def test_vmap_gives_the_gradients_of_each_sequence():
    crf, e = small(), drawn(T, B, K)
    tags = torch.randint(K, (T, B), generator=torch.Generator().manual_seed(1))
    of_one = torch.func.grad(lambda p, *one: torch.func.functional_call(crf, p, one))
    each = torch.func.vmap(of_one, in_dims=(None, 1, 1))(dict(crf.named_parameters()), e, tags)
    for b in range(B):
        grads = torch.autograd.grad(crf(e[:, b], tags[:, b]), list(crf.parameters()))
        for one, wanted in zip(each.values(), grads, strict=True):
            assert torch.allclose(one[b], wanted, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.c
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_without_unrolling_or_compiling_again():
    crf = small()
    compiled = torch.compile(crf, fullgraph=True, dynamic=True)
    for steps, rows in ((6, 3), (90, 4), (41, 7)):
        e, tags = drawn(steps, rows, K).requires_grad_(), torch.ones(steps, rows).long()
        lengths = torch.randint(1, steps, (rows,))
        found, wanted = (f(e, tags, lengths=lengths) for f in (compiled, crf))
        assert abs(found - wanted) < 1e-9
        assert torch.allclose(*(torch.autograd.grad(f, e)[0] for f in (found, wanted)), atol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_exported_with_any_length_and_batch():
    crf, (t, b) = small(), (torch.export.Dim(name, min=3, max=100) for name in "TB")
    given_ = drawn(5, 4, K), torch.ones(5, 4).long()
    exported = torch.export.export(crf, given_, dynamic_shapes=({0: t, 1: b},) * 2).module()
    other = drawn(9, 7, K), torch.zeros(9, 7).long()
    assert abs(exported(*other) - crf(*other)) < 1e-12


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch 2.15 warns of its own check
def test_an_operation_of_torch_library():
    from torch.library import opcheck

    crf, e = small(), drawn(T, B, K).requires_grad_()
    for lengths in (None, torch.tensor(LENGTHS)):
        scores = [s.detach().requires_grad_() for s in crf._chain(crf._read(e, None, None)).scores]
        opcheck(torch.ops.elman.log_partition.default, (*scores, lengths))


def test_a_state_dict_is_pytorch_crfs_whatever_is_allowed():
    crf = small(allowed=constraints(BIO), tags=5)
    names = ["start_transitions", "end_transitions", "transitions"]
    assert list(crf.state_dict()) == names
    twin = copy.deepcopy(crf)
    assert torch.equal(twin.allowed, crf.allowed)
    assert repr(crf) == "CRF(num_tags=5, allowed=19 of 25 transitions)"
    assert repr(CRF(2, batch_first=True)) == "CRF(num_tags=2, batch_first=True)"


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_pytorch_crf(seed, batch_first):
    torchcrf = pytest.importorskip("torchcrf", reason="pytorch-crf is not installed")
    ours, theirs = small(seed, 9, batch_first=batch_first), torchcrf.CRF(9, batch_first)
    theirs.double().load_state_dict(ours.state_dict())
    lengths = torch.randint(1, 13, (6,), generator=torch.Generator().manual_seed(seed))
    lengths[0] = 12
    mask = torch.arange(12)[:, None] < lengths
    e, tags = drawn(12, 6, 9, seed=seed), torch.randint(9, (12, 6))
    if batch_first:
        e, tags, mask = e.transpose(0, 1), tags.T, mask.T
    for reduction in ("none", "sum", "mean", "token_mean"):
        results = []
        for crf in (ours, theirs):
            x = e.clone().requires_grad_()
            value = crf(x, tags, mask, reduction)
            grads = torch.autograd.grad(value.sum(), [x, *crf.parameters()])
            results.append((value, *grads))
        for mine, wanted in zip(*results, strict=True):
            # pytorch-crf divides by the number of steps in float32
            assert torch.allclose(mine, wanted, rtol=1e-6 if reduction == "token_mean" else 1e-10)
    assert ours.decode(e, mask) == theirs.decode(e, mask)


@pytest.mark.filterwarnings("ignore:.*arg_constraints")
def test_torch_struct():
    struct = pytest.importorskip("torch_struct", reason="torch-struct is not installed")
    crf, e, lengths = small(), drawn(T, B, K), torch.tensor(LENGTHS).clamp(min=2)
    edges = crf.transitions.T + e.transpose(0, 1)[:, 1:, :, None]  # (B, T - 1, now, before)
    edges = edges.clone()
    edges[:, 0] += (crf.start_transitions + e[0])[:, None]
    for b, length in enumerate(lengths):
        edges[b, length - 2] += crf.end_transitions[:, None]
    theirs = struct.LinearChainCRF(edges.detach().requires_grad_(), lengths=lengths)
    assert torch.allclose(theirs.partition, crf.log_partition(e, lengths=lengths), atol=1e-9)
    pairs = crf.pairwise_marginals(e, lengths=lengths)
    assert torch.allclose(theirs.marginals.transpose(-1, -2), pairs.transpose(0, 1), atol=1e-9)


def spans(tags, scheme):
    """Whether tags can be read as spans in a scheme, told from its definition in words."""
    letters = {"L": "E", "U": "S", "M": "I", "W": "S"}
    read = [(letters.get(tag[0], tag[0]), tag[2:]) for tag in tags]
    for at, (letter, kind) in enumerate(read):
        before = read[at - 1] if at else ("O", "")
        after = read[at + 1] if at + 1 < len(read) else ("O", "")
        if scheme in ("BIO", "IOB2") and letter == "I" and before[1] != kind:
            return False
        if scheme == "IOB1" and letter == "B" and before[1] != kind:
            return False  # B only parts a span from one of its type before it
        if scheme not in ("BIO", "IOB2", "IOB1"):
            is_open = before[0] in "BI"
            if is_open != (letter in "IE") or (is_open and before[1] != kind):
                return False
            if letter in "BI" and after[0] not in "IE":
                return False
    return True


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_allow_what_their_words_say(scheme):
    letters = {"BMEWO": "BMEW", "BMES": "BMES", "BILOU": "BILU", "BIOUL": "BILU"}.get(scheme)
    letters = letters or ("BIES" if "S" in scheme else "BI")
    labels = ["O"] * (scheme != "BMES") + [
        f"{letter}-{kind}" for kind in "xy" for letter in letters
    ]
    crf = CRF(len(labels), allowed=CRF.constraints(labels, scheme.lower()))
    for length in (1, 2, 3):
        for path in itertools.product(range(len(labels)), repeat=length):
            tags = [labels[tag] for tag in path]
            assert is_legal(crf, path) == spans(tags, scheme), tags


def test_types_with_hyphens_and_labels_without_a_type():
    found = constraints(["O", "B-a-b", "I-a-b", "B-a-c", "I-a-c"])
    assert found.transitions[1] == (True, True, True, True, False)
    assert constraints(["B", "I", "O"]).start == (True, False, True)


def test_no_path_is_an_error_only_where_there_is_none():
    crf = CRF(2, allowed=[[0, 1], [0, 0]])  # of at most two steps
    first = torch.tensor([1.0, 0.0]).expand(2, 2, 2)
    assert crf.decode(first, lengths=[1, 2]) == [[0], [0, 1]]
    calls = (crf.decode, crf.viterbi, crf.log_partition, crf.marginals, crf.sample)
    for call in (*calls, crf.pairwise_marginals):
        with pytest.raises(ElmanError, match="sequence 1 has 3 steps, and no path"):
            call(torch.zeros(3, 2, 2), lengths=[1, 3])
    free = CRF(2)
    never = torch.zeros(3, 2, 2)
    never[1, 1] = -torch.inf
    for call in (free.decode, free.viterbi, free.marginals, free.sample, free.pairwise_marginals):
        assert len(call(never, lengths=[3, 1]))
        with pytest.raises(ElmanError, match="sequence 1 has 3 steps, and no path"):
            call(never)


def test_the_best_of_numbers_that_are_none_is_an_error():
    crf, emissions = CRF(3, batch_first=True), torch.zeros(2, 4, 3)
    emissions[1, 2, 0] = torch.nan
    for n_best in (None, 1, 2):
        assert len(crf.decode(emissions, lengths=[4, 2], n_best=n_best)) == 2
        with pytest.raises(ElmanError, match=r"emissions\[1, 2\] holds nan"):
            crf.decode(emissions, n_best=n_best)
    crf.transitions.data[0, 1] = torch.nan
    with pytest.raises(ElmanError, match="a transition of the CRF is nan"):
        crf.viterbi(emissions[:1])


@pytest.mark.parametrize("lengths", [None, [4, 2]])
def test_shapes_alone(lengths):
    labels = ["O", "B-PER", "I-PER"]
    crf = CRF(3, allowed=constraints(labels), device="meta", dtype=torch.float32)
    emissions = torch.zeros(4, 2, 3, device="meta", requires_grad=True)
    tags = torch.zeros(4, 2, dtype=torch.long, device="meta")
    crf(emissions, tags, lengths=lengths).backward()
    assert emissions.grad.shape == (4, 2, 3) and crf.transitions.grad.shape == (3, 3)
    assert crf.marginals(emissions, lengths=lengths).shape == (4, 2, 3)
    with torch._subclasses.fake_tensor.FakeTensorMode():
        found = CRF(3)(torch.zeros(4, 2, 3), torch.zeros(4, 2, dtype=torch.long), lengths=lengths)
    assert found.shape == ()

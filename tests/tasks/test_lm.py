"""The character language model: evaluation carries the state, generation repeats itself."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

import elman
from elman.errors import DataProblem, NameProblem
from elman.tasks import lm, lm_training
from elman.tasks.progress import Silent
from tests.tasks.small import start, write_text

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    start(folder, steps=40, validate_every=40)
    return lm.load(folder / "run")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return ("the tide was a boat\n" * 1000)[:15000]


def test_evaluate_equals_one_step_at_a_time(model, text):
    text = text[:200]
    ids = torch.from_numpy(model.vocabulary.encode(text))
    total, state = 0.0, None
    with torch.no_grad():
        for now, after in itertools.pairwise(ids):
            logits, state = model.step(now[None], state)
            total += float(F.cross_entropy(logits.double(), after[None]))
    found = lm.evaluate(model, text)
    assert found.characters == 199
    assert found.nats_per_char == pytest.approx(total / 199, rel=1e-5)
    assert found.bits_per_char == pytest.approx(found.nats_per_char / math.log(2))
    assert found.perplexity == pytest.approx(math.exp(found.nats_per_char))


@pytest.mark.parametrize("length", [8193, 8194, 10001, 12345])
def test_streams_change_next_to_nothing(model, text, length):
    alone = lm.evaluate(model, text[:length], streams=1)
    several = lm.evaluate(model, text[:length])
    assert several.characters == alone.characters == length - 1
    assert several.nats_per_char == pytest.approx(alone.nats_per_char, rel=1e-5)


def test_evaluate_leaves_the_mode_as_it_was(model):
    model.train()
    lm.evaluate(model, "the boat")
    assert model.training
    model.eval()


@pytest.mark.parametrize("text", ["", "t"])
def test_nothing_to_foretell(model, text):
    with pytest.raises(DataProblem, match="too short") as caught:
        lm.evaluate(model, text)
    assert caught.value.code == "E703"


def test_one_seed_one_text(model):
    first, again, other = (
        "".join(lm.generate(model, "the ", length=60, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 60
    assert set(first) <= set(model.vocabulary.characters)


def test_no_chance_at_temperature_zero(model):
    texts = {
        "".join(lm.generate(model, "a", length=30, temperature=t, top_k=k, seed=s))
        for t, k, s in [(0, None, 1), (0, 3, 2), (1.0, 1, 3)]
    }
    assert len(texts) == 1


def test_streaming_equals_reading_all_again(model):
    prompt = "the tide "
    written = "".join(lm.generate(model, prompt, length=12, temperature=0))
    again = ""
    for _ in range(12):
        again += "".join(lm.generate(model, prompt + again, length=1, temperature=0))
    assert written == again


def test_generate_names_what_it_cannot_read(model):
    with pytest.raises(DataProblem, match=r"never seen the character 'Q'"):
        list(lm.generate(model, "Quay"))
    with pytest.raises(DataProblem, match="temperature"):
        lm.generate(model, "a", temperature=-1)
    with pytest.raises(DataProblem, match="temperature"):
        lm.generate(model, "a", temperature=math.nan)
    with pytest.raises(DataProblem, match="seed"):
        lm.generate(model, "a", seed=2**63)


def test_the_smallest_temperature_leaves_no_chance(model):
    cold = "".join(lm.generate(model, "a", length=9, temperature=5e-324, seed=1))
    assert cold == "".join(lm.generate(model, "a", length=9, temperature=0))


@pytest.mark.parametrize(
    ("equations", "named"),
    [
        ("h[t] = tanh(W @ x[t] + V @ m[t] + U @ h[t-1])", "m"),
        ("h[t] = tanh(U @ h[t-1] + b)", "none"),
        ("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = sum(h[t])", "y is none"),
        ("x: per sequence\ns: per step\nh[t] = tanh(W @ x[t] + s[t] + U @ h[t-1])", "2 inputs"),
    ],
)
def test_a_cell_that_reads_something_else_is_named(tmp_path, equations, named):
    with pytest.raises(NameProblem, match="one stream in and one out") as caught:
        lm_training.start(
            write_text(tmp_path), elman.Cell(equations), tmp_path / "run", display=Silent()
        )
    assert named in str(caught.value)
    assert not (tmp_path / "run").exists()

"""Every peer computes the case's own function, forward and gradient, or says why it cannot."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import elman
from elman.bench.job import Cannot
from elman.bench.peers import ELMAN, FROZEN, PEERS, RECURRENT, RIVALS, missing, why_not
from elman.bench.peers.published import ONNX, TORCH
from elman.bench.reference import furthest, tolerance
from tests.bench.near import found_by, job_of, small_case

pytestmark = pytest.mark.torch
needs_onnx = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="onnx and onnxruntime are not installed: pip install 'elman[bench]'",
)


def check(module: str, name: str, task: str, dtype: str = "float64") -> None:
    job, expected = job_of(case := small_case(name, task, dtype=dtype))
    found = found_by(module, job)
    assert set(found) == set(expected)
    assert furthest(found, expected)[1] <= tolerance(case)


@pytest.mark.parametrize("task", ["inference", "training"])
@pytest.mark.parametrize("name", ["lstm_torch", "lem", "lstmp"])
def test_elman(name, task):
    check("elman_", name, task)


@pytest.mark.parametrize("name", ["lstm_torch", "lem"])
def test_elman_frozen(name):
    if not hasattr(elman.nn.Recurrent, "freeze"):
        pytest.skip("layers cannot be frozen")
    check("elman_frozen", name, "inference")


def test_elman_is_the_drop_in_where_torch_has_the_layer():
    job, _ = job_of(small_case("lstm_torch", "inference"))
    ready = importlib.import_module("elman.bench.peers.elman_").prepare(job)
    assert ready.note == "elman.nn.LSTM"


@pytest.mark.parametrize("task", ["inference", "training"])
@pytest.mark.parametrize("name", TORCH)
def test_torch_nn(name, task):
    check("torch_nn", name, task)


@needs_onnx
@pytest.mark.parametrize("name", ONNX)
def test_onnx_runtime(name):
    check("onnx_", name, "inference", "float32")


@pytest.mark.parametrize(
    "name",
    ["mgu", "li_gru", "ugrnn", "lstm_peephole", "indrnn", "nbrc", "multiplicative_lstm"],
)
def test_torchrecurrent(name):
    pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
    check("torchrecurrent_", name, "training")


@pytest.mark.parametrize("module", ["torch_nn", "torchrecurrent_"])
def test_a_cell_that_a_peer_has_not_is_refused_with_a_reason(module):
    if module == "torchrecurrent_":
        pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed")
    job, _ = job_of(small_case("lem", "inference"))
    with pytest.raises(Cannot, match=r"no .*cell"):
        found_by(module, job)


def test_another_text_by_the_name_of_a_published_cell_is_not_that_cell():
    cell = elman.Cell("h[t] = relu(W @ x[t] + U @ h[t-1] + b)", "rnn")
    job, _ = job_of(small_case(cell, "inference"))
    with pytest.raises(Cannot):
        found_by("torch_nn", job)


def test_a_cell_without_gradients_is_refused():
    job, _ = job_of(small_case("perceptron", "training", (3, 2, 3, 3)))
    with pytest.raises(Cannot, match="no gradient"):
        found_by("torch_loop", job)


def test_streams_over_the_batch_only_and_over_time_only():
    cell = elman.Cell(
        "v: per sequence\nm: per step\nh[t] = tanh(W @ x[t] + V @ v[t] + M @ m[t] + U @ h[t-1])",
        "streams",
    )
    case = small_case(cell, "training")
    job, expected = job_of(case)
    assert job.given.inputs["v"].shape == (2, 4) and job.given.inputs["m"].shape == (6, 5)
    for module in ("elman_", "torch_loop"):
        assert furthest(found_by(module, job), expected)[1] <= tolerance(case), module


def test_what_is_wrong_is_further_than_the_tolerance():
    job, expected = job_of(case := small_case("gru", "training", dtype="float32"))
    found = found_by("torch_loop", job)
    assert furthest(found, expected)[1] <= tolerance(case)
    for name, array in found.items():
        wrong = {**found, name: array + 1e-3 * np.abs(array).max()}
        worst, far = furthest(wrong, expected)
        assert worst == name and far > tolerance(case)
    assert furthest({**found, "h": np.full_like(found["h"], np.nan)}, expected)[1] == np.inf
    assert furthest({n: a for n, a in found.items() if n != "d_x"}, expected) == ("d_x", np.inf)


def test_a_peer_that_is_not_installed_or_has_no_training_says_so(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("jax", "onnx") else real(name)
    )
    case = small_case("rnn", "training")
    assert why_not(PEERS["JAX scan"], case) == "jax not installed"
    assert missing(["JAX scan", "ONNX Runtime", "torch.nn"])[0] == "jax"
    monkeypatch.undo()
    if not PEERS["ONNX Runtime"].missing:
        assert why_not(PEERS["ONNX Runtime"], case) == "has no training"


def test_rivals_are_all_but_elman():
    assert {ELMAN, RECURRENT, FROZEN} == PEERS.keys() - set(RIVALS)

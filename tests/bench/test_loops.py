"""The loops that peers run: as one would write them by hand, and right."""

from __future__ import annotations

import numpy as np
import pytest

import elman
from elman.bench.dialects import JAX, JAX_LOOP, TORCH, TORCH_LOOP
from elman.bench.loop_graph import STEP, loop_of
from elman.bench.loop_write import Extent, write_loop
from elman.bench.reference import furthest, tolerance
from elman.bench.stacks import find_stacks, order_of
from elman.ir.ops import POINTWISE
from elman.passes.randomness import evaluation
from tests.bench.near import found_by, job_of, small_case

pytestmark = pytest.mark.torch

# what each of them has that the others have not
CELLS = {
    "lstm_torch": "two biases",
    "gru": "a product of the same step",
    "gru_reset_after": "a bias inside",
    "layer_norm_lstm": "means and variances of joined vectors",
    "lstm_peephole": "the new memory in a gate",
    "lstmp": "a size of its own",
    "rhn": "three products one after the other",
    "min_gru": "nothing but a sum in the loop",
    "phased_lstm": "choices, and an input that is a number",
    "slstm": "a state that does not begin as zero",
    "on_lstm": "sums from one end",
    "fast_weights": "a matrix as its state",
    "narx_rnn": "four delays",
    "clockwork": "the number of the step",
    "zoneout_lstm": "what is random, as its mean",
    "rwkv4": "a maximum",
    "multiplicative_lstm": "products of products",
}


def text_of(name: str, dialect=TORCH_LOOP, shape=(6, 2, 3, 5)) -> str:
    case = small_case(name, "inference", shape)
    cell = case.made()
    numbers = {k: float(v) for k, v in cell.constants.items() if np.ndim(v) == 0}
    loop = loop_of(evaluation(cell.typed.cell))
    return write_loop(loop, Extent(*shape[:2], case.sizes), dialect, numbers).text


def step_of(text: str) -> list[str]:
    """The lines of `step` that compute something."""
    body = text.partition("def step(")[2].partition("\n    return")[0]
    return [line.strip() for line in body.splitlines()[1:] if not line.strip().startswith("(")]


def test_both_dialects_spell_every_pointwise_op():
    assert TORCH.keys() == JAX.keys() == set(POINTWISE)


@pytest.mark.parametrize("task", ["inference", "training"])
@pytest.mark.parametrize("name", CELLS)
def test_the_torch_loop_is_right(name, task):
    case = small_case(name, task, (6, 2, 5, 5) if name in ("rwkv4",) else (6, 2, 3, 5))
    job, expected = job_of(case)
    assert furthest(found_by("torch_loop", job), expected)[1] <= tolerance(case)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 3), (7, 1, 3, 17)])
def test_the_torch_loop_is_right_on_odd_shapes(shape):
    job, expected = job_of(case := small_case("gru", "training", shape))
    assert furthest(found_by("torch_loop", job), expected)[1] <= tolerance(case)


@pytest.mark.parametrize(("name", "task"), [("mgu", "training"), ("layer_norm_lstm", "inference")])
def test_the_jax_loop_is_right(name, task, needs_jax, monkeypatch):
    from elman.bench.peers import jax_scan

    monkeypatch.setattr(jax_scan, "UNROLLS", (1,))
    job, expected = job_of(case := small_case(name, task, (3, 2, 3, 5), "float32"))
    assert furthest(found_by("jax_scan", job), expected)[1] <= tolerance(case)


def test_an_lstm_has_one_product_and_one_sigmoid_a_step():
    step = "\n".join(step_of(text_of("lstm_torch")))
    assert step.count("torch.addmm") == 1 and "F.linear" not in step
    assert step.count("torch.sigmoid") == 1 and step.count("torch.tanh") == 2
    assert len(step_of(text_of("lstm_torch"))) == 7


def test_inputs_are_multiplied_before_the_loop_and_once():
    for name in ("lstm_torch", "gru", "lem", "mgu"):
        text = text_of(name)
        before = text.partition("def before")[2].partition("def step")[0]
        assert before.count("F.linear(x, W") == 1, name
        assert "x" not in text.partition("def step")[2].partition("def after")[0].split(), name


def test_weights_are_given_stacked_as_a_layer_holds_them():
    case = small_case("lstm_torch", "inference")
    text = write_loop(loop_of(case.made().typed.cell), Extent(6, 2, case.sizes), TORCH_LOOP, {})
    stacked = {given.parts for given in text.given if len(given.parts) > 1}
    letters = [tuple(part.removeprefix("W_")[0] for part in parts) for parts in stacked]
    assert sorted(letters) == [("h",) * 4, ("i",) * 4]
    assert "torch.cat([W" not in text.text


def test_a_mean_and_a_variance_are_called_so():
    step = "\n".join(step_of(text_of("layer_norm_lstm")))
    assert step.count(".mean(-1)") == 2 and step.count(".var(-1, correction=0)") == 2


def test_peepholes_come_onto_the_product_of_all_gates():
    step = "\n".join(step_of(text_of("lstm_peephole")))
    assert step.count("torch.addmm") == 1


def test_the_same_cell_gives_the_same_text():
    assert text_of("lem") == text_of("lem")
    assert "torch" not in text_of("lem", JAX_LOOP)


@pytest.mark.parametrize("name", ["lstm_torch", "lem", "nbrc", "mogrifier_lstm", "nested_lstm"])
def test_stacks_wait_for_nothing_of_their_own(name):
    cell = elman.cells[name]
    loop = loop_of(evaluation(cell.typed.cell))
    stacks = find_stacks(loop)
    members = [n for stack in stacks for n in stack.members]
    assert len(members) == len(set(members)), "a vector is in one stack"
    place = {n: k for k, u in enumerate(order_of(loop, stacks)) for n in getattr(u, "members", [u])}
    assert all(place[arg] < place[n] for n in place for arg in n.args)
    assert any(loop.phase[stack.members[0]] == STEP for stack in stacks)


def test_names_that_python_or_the_text_has_are_others():
    cell = elman.Cell("carry[t] = tanh(torch @ x[t] + given * carry[t-1] + lax)", "odd")
    job, expected = job_of(case := small_case(cell, "training"))
    assert furthest(found_by("torch_loop", job), expected)[1] <= tolerance(case)


def test_numbers_are_written_out():
    cell = elman.Cell("a = 0.5\nh[t] = (1 - a) * h[t-1] + tanh(a * x[t])\nh: input", "leak")
    job, expected = job_of(case := small_case(cell, "inference", (6, 2, 5, 5)))
    assert furthest(found_by("torch_loop", job), expected)[1] <= tolerance(case)

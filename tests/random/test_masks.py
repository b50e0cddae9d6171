"""Random masks in cells: one meaning on every backend, in training and in evaluation."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import elman
from elman.backends import c_run
from elman.errors import ElmanError
from elman.passes import show_stage
from elman.passes.derive import derive
from elman.passes.randomness import evaluation, training

VARIATIONAL = """
    m: bernoulli(0.8), per sequence
    n: bernoulli(0.7), per sequence
    z[t] = sigmoid(W_z @ (n * x[t]) + U_z @ (m * h[t-1]) + b_z)
    h[t] = z[t] * h[t-1] + (1 - z[t]) * tanh(W @ (n * x[t]) + U @ (m * h[t-1]) + b)
"""
ZONEOUT = """
    k: bernoulli(0.9)
    g[t] = tanh(W @ x[t] + U @ h[t-1] + b)
    h[t] = k[t] * h[t-1] + (1 - k[t]) * g[t]
"""
DROPCONNECT = """
    D: bernoulli(0.6)
    h[t] = tanh(W @ x[t] + (D * U) @ h[t-1] / 0.6 + b)
"""
EVERY = """
    keep = 0.75
    m: bernoulli(keep), per sequence
    k: bernoulli(0.5)
    s: scalar, bernoulli(0.5)
    D: bernoulli(0.8)
    v: per sequence
    h[0] = tanh(m * (V @ v))
    j[t] = [k[t] * h[t-1], x[t]]
    r[t] = k[t]
    h[t] = tanh(Q @ j[t] + (D * U) @ (m * h[t-1])) + s[t] * exp(-t / 4) * b
    return r, h
"""
CELLS = {"variational": VARIATIONAL, "zoneout": ZONEOUT, "dropconnect": DROPCONNECT, "all": EVERY}
BACKENDS = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("c", marks=pytest.mark.c),
]


@functools.cache
def cell(name):
    return elman.Cell(CELLS[name], name)


def data(name, steps=7, batch=3, hidden=5):
    made, random = cell(name), np.random.default_rng(0)
    sizes = {"x": 2, "v": 3} if name == "all" else {"input": 2}
    shapes = made.shapes(**sizes, hidden=hidden)
    # within 1/sqrt(fan-in): a net with large weights is chaotic
    scale = {n: np.sqrt(shapes[n][-1]) for n in made.parameters}
    weights = {n: random.uniform(-1, 1, shapes[n]) / scale[n] for n in made.parameters}
    inputs = {n: random.normal(size=(steps, batch, *shapes[n])) for n in made.inputs if n == "x"}
    if name == "all":
        inputs["v"] = random.normal(size=(batch, 3))
    return inputs, weights


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("seed", [None, 0, 2**24 - 1])
def test_every_backend_runs_and_differentiates_the_same(name, backend, dtype, seed):
    inputs, weights = data(name)
    random = np.random.default_rng(1)
    cotangents = {"h": random.normal(size=(7, 3, 5))}
    most = 1e-13 if dtype == "float64" else 1e-5
    expected = cell(name).run(inputs, weights, seed=seed, backend="numpy")
    run = cell(name).run(inputs, weights, seed=seed, backend=backend, dtype=dtype)
    for value in expected.values:
        assert np.max(np.abs(run[value] - expected[value])) < most
    given = {"cotangents": cotangents, "seed": seed}
    slopes = cell(name).gradients(inputs, weights, **given, backend="numpy")
    found = cell(name).gradients(inputs, weights, **given, backend=backend, dtype=dtype)
    assert found.keys() == slopes.keys()
    for value in slopes:
        assert np.max(np.abs(found[value] - slopes[value])) < 20 * most


def everything(name, inputs, weights, cotangents, **how):
    """Values, and under d_ gradients."""
    run = cell(name).run(inputs, weights, **how)
    slopes = cell(name).gradients(inputs, weights, cotangents=cotangents, **how)
    return {**run.values, **{f"d_{key}": a for key, a in slopes.items()}}


@pytest.mark.c
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 17), (63, 1, 64), (400, 2, 3)], ids=str)
def test_c_on_odd_sizes(shape, monkeypatch):
    """Several blocks of time, parts of a vector, and scratch memory full of NaN."""
    monkeypatch.setattr(c_run, "POISON", True)
    steps, batch, hidden = shape
    inputs, weights = data("all", *shape)
    weight = {"h": np.random.default_rng(1).normal(size=(steps, batch, hidden))}
    for dtype, eps in (("float64", 2e-16), ("float32", 1.2e-7)):
        most = 4 * eps * (steps + hidden + 16)
        expected, found = (
            everything("all", inputs, weights, weight, seed=6, backend=backend, dtype=kind)
            for backend, kind in (("numpy", "float64"), ("c", dtype))
        )
        for name, value in expected.items():
            scale = max(np.max(np.abs(value)), 1)
            assert np.max(np.abs(found[name] - value)) <= most * scale, name


@pytest.mark.parametrize("backend", BACKENDS)
def test_masks_are_the_same_bits_in_every_dtype(backend):
    inputs, weights = data("all", steps=40, batch=9, hidden=33)
    expected = cell("all").run(inputs, weights, seed=4, backend="numpy")["r"]
    assert set(np.unique(expected)) == {0, 1}
    for dtype in ("float64", "float32"):
        run = cell("all").run(inputs, weights, seed=4, backend=backend, dtype=dtype)
        assert np.array_equal(run["r"], expected)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_against_central_differences(name):
    """With one seed the masks are fixed, so that the cell is smooth."""
    inputs, weights = data(name, steps=4, batch=2, hidden=3)
    weight = np.random.default_rng(2).normal(size=(4, 2, 3))
    found = cell(name).gradients(inputs, weights, cotangents={"h": weight}, seed=11)
    step = np.finfo(float).eps ** (1 / 3)
    for group in (inputs, weights):
        for key, array in group.items():
            slopes = np.zeros_like(array)
            for place in np.ndindex(array.shape):
                moved = []
                for way in (step, -step):
                    changed = array.copy()
                    changed[place] += way
                    given = [{**g, key: changed} if g is group else g for g in (inputs, weights)]
                    moved.append(np.sum(weight * cell(name).run(*given, seed=11)["h"]))
                slopes[place] = (moved[0] - moved[1]) / (2 * step)
            assert np.allclose(found[key], slopes, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CELLS)
def test_pieces_of_a_sequence_are_the_sequence(name, backend):
    inputs, weights = data(name, steps=9)
    whole = cell(name).run(inputs, weights, seed=3, backend=backend)
    state, parts = None, []
    for start, stop in [(0, 4), (4, 5), (5, 9)]:
        piece = {n: a[start:stop] if n == "x" else a for n, a in inputs.items()}
        run = cell(name).run(piece, weights, state, seed=3, backend=backend)
        state = run.final
        parts.append(run["h"])
    assert np.array_equal(np.concatenate(parts), whole["h"])
    assert {key: a.tolist() for key, a in state.items()} == {
        key: a.tolist() for key, a in whole.final.items()
    }


def test_the_steps_taken_are_in_the_state_of_what_is_drawn_by_the_step_alone():
    for name, counted in {"variational": False, "dropconnect": False, "zoneout": True}.items():
        inputs, weights = data(name)
        final = cell(name).run(inputs, weights, seed=0).final
        assert ("t" in final) == counted
        assert cell(name).run(inputs, weights).final.keys() == {"h"}
    assert final["t"].tolist() == [7, 7, 7]
    # evaluation takes such a state, and counts on
    assert cell(name).run(inputs, weights, final).final["t"].tolist() == [14, 14, 14]


@pytest.mark.c
@pytest.mark.parametrize("batch", [1, 32])
def test_any_number_of_threads_and_any_block_draws_the_same(batch, monkeypatch):
    inputs, weights = data("all", steps=600 // batch, batch=batch, hidden=160)
    expected = cell("all").run(inputs, weights, seed=3, backend="numpy")
    for threads in (1, 2, 3):
        monkeypatch.setattr(c_run, "thread_count", lambda threads=threads: threads)
        run = cell("all").run(inputs, weights, seed=3, backend="c")
        assert np.array_equal(run["r"], expected["r"])
        assert np.allclose(run["h"], expected["h"], atol=1e-10)


def test_what_varies_over_what():
    values = elman.Cell(
        """
        m: bernoulli(0.75), per sequence
        k: bernoulli(0.5)
        D: bernoulli(0.8)
        a[t] = m + 0 * x[t]
        b[t] = k[t] + 0 * x[t]
        c[t] = D + 0 * x[t]
        h[t] = h[t-1] + x[t]
        """
    ).run({"x": np.zeros((200, 40, 100))}, {}, seed=1)
    m, k, d = (values[name] for name in "abc")
    assert (m == m[:1]).all()
    assert (d == d[:1, :1]).all()
    assert len({row.tobytes() for row in m[0]}) == 40
    assert len({step.tobytes() for step in k}) == 200
    for mask, mean in ((m[0], 0.75), (k, 0.5), (d[0, 0], 0.8)):
        assert abs(mask.mean() - mean) < 5 * np.sqrt(mean * (1 - mean) / mask.size)


def test_seeds_and_streams_differ():
    inputs, weights = data("variational", hidden=50)
    runs = [cell("variational").run(inputs, weights, seed=seed)["h"] for seed in (0, 1, 0)]
    assert np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], runs[1])


def test_a_seed_for_a_cell_without_masks_is_fine():
    gru = elman.cells["gru"]
    shapes = gru.shapes(input=2, hidden=3)
    weights = {n: np.ones(shapes[n]) / 4 for n in gru.parameters}
    x = {"x": np.ones((3, 2))}
    assert np.array_equal(gru.run(x, weights, seed=5)["h"], gru.run(x, weights)["h"])


@pytest.mark.parametrize("seed", [-1, 2**24, 0.5, "1", True])
def test_a_seed_is_a_whole_number_below_2_to_24(seed):
    inputs, weights = data("zoneout")
    with pytest.raises(ElmanError, match="is no seed") as caught:
        cell("zoneout").run(inputs, weights, seed=seed)
    assert caught.value.code == "E507"


def written(text):
    """A cell's plan as text, without its name."""
    return show_stage(elman.Cell(text)._reading.cell, "schedule")


def test_evaluation_is_the_cell_with_the_means_written_in_and_products_wait_for_nothing():
    assert written(ZONEOUT.replace("0.9", "0.75")) == written(
        """
        g[t] = tanh(W @ x[t] + U @ h[t-1] + b)
        h[t] = 0.75 * h[t-1] + 0.25 * g[t]
        """
    )
    assert "m" not in written("m: bernoulli(1), per sequence\nh[t] = m * x[t] + m * h[t-1]")
    plain = written("h[t] = tanh(W @ x[t] + 0.8 * (U @ h[t-1]))")
    for masked in ("U @ (m * h[t-1])", "(U * m) @ h[t-1]"):
        over = ", per sequence" if "(m" in masked else ""
        text = f"m: bernoulli(0.8){over}\nh[t] = tanh(W @ x[t] + {masked})"
        assert written(text) == plain


CHOICES = {
    "k[t]": 0.75,
    "k[t] > 0": 0.75,
    "k[t] >= 1": 0.75,
    "k[t] == 1": 0.75,
    "k[t] == 0": 0.25,
    "1 - k[t]": 0.25,
    "k[t] < 0.5": 0.25,
    "k[t] != 1": 0.25,
    "1 - (k[t] <= 0)": 0.75,
}


@pytest.mark.parametrize("condition", CHOICES)
def test_a_choice_by_a_mask_is_the_mean_of_both_in_evaluation(condition):
    """`where(k, a, b)` is `k * a + (1 - k) * b`, and not a wherever k is likely at all."""
    p, x = CHOICES[condition], {"x": [[1.0, -2.0], [3.0, 0.5]]}
    chosen = elman.Cell(f"k: bernoulli(0.75)\nh[t] = where({condition}, h[t-1], x[t])")
    mean = elman.Cell(f"h[t] = {p} * h[t-1] + {1 - p} * x[t]").run(x, {})["h"]
    assert np.allclose(chosen.run(x, {})["h"], mean)
    assert np.allclose(chosen.trace(x, {}).values["h"], mean)
    one, other = ("k[t]", "(1 - k[t])") if p == 0.75 else ("(1 - k[t])", "k[t]")
    blended = elman.Cell(f"k: bernoulli(0.75)\nh[t] = {one} * h[t-1] + {other} * x[t]")
    for seed in range(4):
        drawn = [made.run(x, {}, seed=seed)["h"] for made in (chosen, blended)]
        assert np.array_equal(*drawn)


def test_no_mask_is_stored():
    """What the backward step is given from the forward step holds no draw, and it draws again."""
    for name in CELLS:
        drawn = training(cell(name).typed.cell)
        found = derive(drawn, ("h",))
        values = {v.name: v.node for _, stage in found.forward.stages() for v in stage}
        for saved in found.saved:
            assert values[saved].op not in ("random", "less"), f"{name} saves {saved}"


def test_evaluation_has_no_draw_and_training_no_undrawn_stream():
    for name in CELLS:
        typed = cell(name).typed.cell
        for made, absent in ((evaluation(typed), "random"), (training(typed), "leaf")):
            roles = [n.attr.role for n in made.leaves]
            assert "random" not in roles
            if absent == "random":
                assert not any("random" in n.attr.name for n in made.leaves)

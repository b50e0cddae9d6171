"""Dropout put into cells: against the library's cells by hand, in layers, and how often it acts."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import elman  # noqa: E402
from elman.backends import c_compile  # noqa: E402
from elman.nn import Recurrent  # noqa: E402
from elman.nn.regularized import Drops, regularized  # noqa: E402
from elman.nn.torch_stacks import equations  # noqa: E402
from elman.passes.randomness import evaluation  # noqa: E402
from elman.passes.simplify import simplify  # noqa: E402
from tests.nn.test_recurrent import NEAR, drawn, stepped  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.c]
ALL = {
    "zoneout": 0.2,
    "variational_dropout": (0.3, 0.2),
    "recurrent_dropout": 0.25,
    "weight_drop": 0.4,
}
DROPOUT = {name: value for name, value in ALL.items() if name != "zoneout"}


def lines(name, *changes):
    """A cell of the library with other spellings."""
    text = "\n".join(line for line in str(elman.cells[name]).splitlines() if line[:1] != "#")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


BY_HAND = {  # a cell without masks, what is put in, and the published cell with the same names
    "zoneout": (
        elman.cells["lstm"],
        {"zoneout": {"c": 0.5, "h": 0.05}},
        lines("zoneout_lstm", ("d_c", "stay_c"), ("d_h", "stay_h"), ("W_g", "W_c"), ("U_g", "U_c"))
        .replace("b_g", "b_c"),
    ),
    "variational": (
        elman.cells["lstm"],
        {"variational_dropout": 0.25},
        lines("variational_dropout_lstm", ("m_x *", "m_x / keep *"), ("m_h *", "m_h / keep *")),
    ),
    "recurrent": (
        elman.cells["lstm"],
        {"recurrent_dropout": 0.25},
        lines("recurrent_dropout_lstm", ("m:", "m_c_new:"), ("m[t]", "m_c_new[t] / keep"))
        .replace("W_g", "W_c").replace("U_g", "U_c").replace("b_g", "b_c"),
    ),
    "weight_drop": (
        elman.cells["lstm"],
        {"weight_drop": 0.5},
        lines("weight_drop_lstm", *((f"m_{g}", f"m_U_{g}") for g in "fioc")),
    ),
}  # fmt: skip


def weights_of(cell, **sizes):
    random = np.random.default_rng(0)
    shapes = cell.shapes(**sizes)
    return {name: random.normal(0, 0.5, shapes[name]) for name in cell.parameters}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_published_cell_by_hand_draws_and_computes_the_same(name):
    cell, drops, text = BY_HAND[name]
    made, twin = regularized(cell, **drops), elman.Cell(text)
    weights = weights_of(cell, input=2, hidden=6)
    x = np.random.default_rng(1).normal(size=(9, 4, 2))
    for seed in (None, 3, 4):
        ours, theirs = (each.run({"x": x}, weights, seed=seed) for each in (made, twin))
        for state in ("h", "c"):
            np.testing.assert_allclose(ours[state], theirs[state], rtol=0, atol=1e-14)
    plain = cell.run({"x": x}, weights)
    assert np.abs(ours["h"] - plain["h"]).max() > 1e-3


CANDIDATE = """\
n[t] = tanh(W @ [x[t], r[t] * h[t-1]])  # new
r[t] = sigmoid(p * h[t-1])
h[t] = (1 - z) * h[t-1] + z * n[t]
z: scalar
"""
MASKED = """\
keep_weights = 0.6
keep_x = 0.7
keep_h = 0.8
keep_new = 0.75
zoneout_h = 0.2
z: scalar
m_W: hidden, input + hidden, bernoulli(keep_weights)
m_x: bernoulli(keep_x), per sequence
m_h: bernoulli(keep_h), per sequence
m_h_new: bernoulli(keep_new)
stay_h: bernoulli(zoneout_h)
n[t] = tanh(W @ [x_left[t], 0 * v[t]] + W_left @ [0 * x_left[t], v[t]])  # new
r[t] = sigmoid(p * h[t-1])
h_new[t] = (1 - z) * h[t-1] + m_h_new[t] / keep_new * (z * n[t])
h[t] = stay_h[t] * h[t-1] + (1 - stay_h[t]) * h_new[t]
W_left = m_W / keep_weights * W
x_left[t] = m_x / keep_x * x[t]
h_left[t] = m_h / keep_h * h[t-1]
return h
"""


def test_the_masks_stand_in_the_text_and_its_comments_stay():
    made = regularized(elman.Cell(CANDIDATE), **ALL)
    text = MASKED.replace("0 * v[t]", "0 * (v[t])").replace("v[t]", "r[t] * h_left[t]")
    assert str(made) == text
    assert made == elman.Cell(text)


def test_new_names_never_meet_the_users():
    text = (
        "h[t] = tanh(keep_h * x[t] + U @ m_h[t])\nm_h[t] = h[t-1] * h_left\nh_new[t] = h[t-1] + 1"
    )
    made = regularized(elman.Cell(text), variational_dropout=(0, 0.5), zoneout={"h": 0.1})
    assert {"m_h_2", "keep_h_2", "h_new_2", "h_left"} <= {
        *made.random,
        *made.constants,
        *made.outputs,
        *made.parameters,
    }
    assert "m_h_2 / keep_h_2 * m_h[t]" in str(made)


READS = {  # what stands behind U, and what is left of it
    "h[t-1]": "h_left[t]",
    "(V @ h[t-1])": "V @ h_left[t]",
    "tanh(h[t-1])": "m_h / keep_h * tanh(h[t-1])",
    "(h[t-1] + v * h[t-2])": "h_left[t] + v * h_left_2[t]",
    "(h[t-1] * h[t-1])": "h_left[t] * h[t-1]",
    "(sigmoid(V @ h[t-1]) * h[t-1])": "sigmoid(V @ h_left[t]) * h_left[t]",
    "where(x[t] > 0, h[t-1], 1)": "where(0 < x[t], h_left[t], 1)",
}


@pytest.mark.parametrize("read", READS)
def test_what_a_product_reads_of_a_state(read):
    made = regularized(
        elman.Cell(f"h: input\nx: input\nh[t] = tanh(U @ {read} + x[t])"),
        variational_dropout=(0, 0.5),
    )
    body = next(line for line in str(made).splitlines() if line.startswith("h[t] ="))
    found = body.removeprefix("h[t] = tanh(U @ ").removesuffix(" + x[t])")
    assert found.removeprefix("(").removesuffix(")") in (READS[read], READS[read][:-1])


def test_the_new_state_within_its_step_is_nothing_that_a_mask_is_put_on():
    made = regularized(elman.cells["rnn_read_out"], variational_dropout=0.5, weight_drop=0.5)
    assert "y[t] = W_hy @ h[t] + b_y" in str(made)
    made = regularized(elman.cells["rnn_read_out"], zoneout=0.5)
    w = weights_of(made, input=2, hidden=50, y=2) | {"W_hy": np.ones((2, 50)), "b_y": np.zeros(2)}
    run = made.run({"x": np.ones((4, 2))}, w, seed=1)
    np.testing.assert_allclose(run["y"][:, 0], run["h"].sum(-1), rtol=1e-12)  # of what is carried


WEIGHTS = {  # a right side, and what of it is dropped
    "U @ h[t-1] + W @ x[t]": {"U_left = m_U / keep_weights * U"},
    "U @ (V @ h[t-1])": {"V_left = m_V / keep_weights * V"},
    "(U - U.T) @ tanh(h[t-1])": {"U_left = m_U / keep_weights * (U - U.T)"},
    "U @ (x[t] + h[t-1]) + U @ x[t]": {"U_left = m_U / keep_weights * U"},
    "U @ (r * h[t-2]) + U @ x[t-1]": {"U_left = m_U / keep_weights * U"},
    'einsum("ji,j->i", U, h[t-1]) + outer(b, h[t-1]) @ b': {"U_left = m_U / keep_weights * U"},
    "W @ [x[t], h[t-1], h[t-2]]": {"W_left = m_W / keep_weights * W"},
}


@pytest.mark.parametrize("side", WEIGHTS)
def test_the_matrices_that_multiply_a_state(side):
    made = regularized(elman.Cell(f"x: hidden\nh[t] = tanh({side} + x[t])"), weight_drop=0.5)
    assert {line for line in str(made).splitlines() if "_left =" in line} == WEIGHTS[side]
    (weight,) = (line[0] for line in WEIGHTS[side])
    body = next(line for line in str(made).splitlines() if line.startswith("h[t] ="))
    assert (f"{weight} @ x[t" in body) == (f"{weight} @ x[t" in side)


MEMORIES = {  # an equation, and what is new in it
    "z * h[t-1] + n[t]": "z * h[t-1] + m / keep * n[t]",
    "h[t-1] + z * (n[t] - h[t-1])": "h[t-1] + z * (m / keep * n[t] - h[t-1])",
    "n[t] + h[t-1] * z + b": "m / keep * n[t] + h[t-1] * z + m / keep * b",
    "where(z < 0.5, n[t], h[t-1])": "where(z < 0.5, m / keep * n[t], h[t-1])",
    "-(n[t] - h[t-1] / 2)": "-(m / keep * n[t] - h[t-1] / 2)",
}


@pytest.mark.parametrize("line", MEMORIES)
def test_what_is_newly_added_to_a_memory(line):
    made = regularized(elman.Cell(f"n[t] = W @ x[t]\nh[t] = {line}"), recurrent_dropout=0.5)
    expected = MEMORIES[line].replace("m /", "m_h_new[t] /").replace("keep", "keep_new")
    assert f"h[t] = {expected}\n" in str(made)


def test_a_sum_by_the_way_is_masked_for_everybody_who_reads_it():
    made = regularized(elman.cells["rhn"], recurrent_dropout=0.2)
    assert str(made).count("m_h_new[t] / keep_new") == 3
    assert "g_3[t] = sigmoid(R_g_3 @ s_2[t] + b_g_3)" in str(made)


SOME = ("lstm", "gru", "lstm_concatenated", "mogrifier_lstm", "slstm_heads", "rhn", "narx_rnn")
EVERY = [
    pytest.param(name, marks=() if name in SOME else pytest.mark.slow)
    for name in elman.cells
    if elman.cells[name].name == name
]


@pytest.mark.parametrize("name", EVERY)
def test_evaluation_is_the_cell_without_masks(name):
    cell = elman.cells[name]
    made, acted = cell, set()
    for option, value in ALL.items():
        for given in (value, value[0]) if isinstance(value, tuple) else (value,):
            try:
                made = regularized(cell, **{option: given})
            except elman.errors.ElmanError as error:
                assert "[E228]" in str(error)
                continue
            acted.add(option)
            for what in ("inputs", "states", "parameters", "returns"):
                assert getattr(made, what) == getattr(cell, what)
            assert {n: made.typed.shape(n) for n in cell.parameters} == {
                n: cell.typed.shape(n) for n in cell.parameters
            }
            if option != "zoneout":
                ours, plain = evaluation(made.typed.cell), evaluation(cell.typed.cell)
                simple = simplify((*ours.roots, *plain.roots))
                assert all(simple[ours.value(n)] is simple[plain.value(n)] for n in cell.outputs)
    assert "zoneout" in acted or not cell.states


# ---- layers ----


def layers_of(cell="lstm", *sizes, **options):
    torch.manual_seed(0)
    drops = {name: options.pop(name) for name in ALL if name in options} or ALL
    cell = elman.cells[cell] if isinstance(cell, str) else cell
    return Recurrent(cell, *(sizes or (3, 4)), dtype=torch.float64, **drops, **options)


def test_a_layer_shows_what_it_drops_and_begins_with_the_weights_of_one_that_does_not():
    layer = layers_of(zoneout={"c": 0.5}, weight_drop=0.5)
    torch.manual_seed(0)
    plain = Recurrent(elman.cells["lstm"], 3, 4, dtype=torch.float64)
    assert repr(layer).endswith("4, zoneout={'c': 0.5}, weight_drop=0.5)")
    assert [name for name, _ in layer.named_parameters()] == [
        n for n, _ in plain.named_parameters()
    ]
    for name, weight in plain.named_parameters():
        assert torch.equal(weight, layer.get_parameter(name))
    assert Drops().put_into([plain.cell]) == [plain.cell]


@pytest.mark.parametrize("cell", ["lstm_concatenated", "lstm_no_forget", "lstmp"])
def test_weights_are_for_what_they_are_for_without_masks(cell):
    sizes = {"sizes": {"cell": 6}} if cell == "lstmp" else {}
    masked = layers_of(cell, num_layers=2, **sizes)
    assert elman.nn.roles(masked) == elman.nn.roles(Recurrent(elman.cells[cell], 3, 4, 2, **sizes))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN_RELU"])
def test_evaluation_of_a_layer_is_exactly_the_plain_one(kind):
    layer = layers_of(equations(kind, True), num_layers=2, **DROPOUT).eval()
    plain = Recurrent(equations(kind, True), 3, 4, 2, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = drawn(6, 5, 3)
    assert torch.equal(layer(x)[0], plain(x)[0])
    assert not torch.equal(layer.train()(x)[0], plain(x)[0])


def test_one_seed_one_result_on_both_backends(monkeypatch):
    layer, x = layers_of(num_layers=2), drawn(9, 3, 3).requires_grad_()

    def both(seed=1):
        torch.manual_seed(seed)
        output = layer(x)[0]
        return output, *torch.autograd.grad((output**2).sum(), [x, *layer.parameters()])

    by_c, again, other = both(), both(), both(2)
    assert all(map(torch.equal, by_c, again))
    assert not torch.equal(by_c[0], other[0])
    monkeypatch.setattr(c_compile, "find_compiler", lambda: None)
    torch.testing.assert_close(by_c, both(), **NEAR)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_gradients_of_all_four_are_those_of_finite_differences(cell):
    layer = layers_of(cell, 2, 3)
    names = [name for name, _ in layer.named_parameters()]
    x, start = drawn(4, 2, 2).requires_grad_(), drawn(1, 2, 3, seed=1).requires_grad_()

    def run(x, start, *weights):
        torch.manual_seed(3)
        output, state = torch.func.functional_call(
            layer, dict(zip(names, weights, strict=True)), (x, {"h": start})
        )
        return output, state["h"]

    given = [p.detach().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (x, start, *given), fast_mode=True)


def test_steps_go_on_with_their_masks():
    layer, x = layers_of("lstm", 3, 16), drawn(6, 4, 3)
    torch.manual_seed(5)
    whole, final = layer(x)
    torch.manual_seed(5)
    parts, state = stepped(layer, x)
    torch.testing.assert_close(torch.stack(parts), whole, **NEAR)
    torch.testing.assert_close(state, final, **NEAR)


def test_lengths_and_resets_with_masks():
    layer, x = layers_of("gru", 3, 8), drawn(7, 3, 3)
    torch.manual_seed(2)
    whole, _ = layer(x)
    torch.manual_seed(2)
    output, state = layer(x, lengths=[7, 2, 4])
    for row, length in enumerate((7, 2, 4)):
        torch.testing.assert_close(output[:length, row], whole[:length, row], **NEAR)
        assert not output[length:, row].any()
        torch.testing.assert_close(state["h"][0, row], whole[length - 1, row], **NEAR)
    reset = torch.zeros(7, 3, dtype=torch.bool)
    reset[3] = True
    torch.manual_seed(2)
    anew, _ = layer(x, reset=reset)
    torch.testing.assert_close(anew[:3], whole[:3], **NEAR)
    torch.manual_seed(2)
    _, state = layer(x[:3])
    state["h"] = torch.zeros_like(state["h"])
    parts = []
    for each in x[3:]:
        output, state = layer.step(each, state)
        parts.append(output)
    torch.testing.assert_close(anew[3:], torch.stack(parts), **NEAR)


def test_blocks_that_run_again_draw_the_same():
    results = []
    for remat in (False, 3):
        layer, x = layers_of(num_layers=2, remat=remat), drawn(10, 2, 3).requires_grad_()
        torch.manual_seed(4)
        output, _ = layer(x)
        results.append((output, *torch.autograd.grad((output**2).sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(*results, **NEAR)


def test_bfloat16_draws_the_masks_of_float32():
    drops = {"zoneout": 0.125, "recurrent_dropout": 0.25, "weight_drop": 0.5}  # exact there
    outputs = []
    for dtype in (torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        layer = Recurrent(elman.cells["lstm"], 3, 32, variational_dropout=0.5, **drops)
        torch.manual_seed(1)
        output, _ = layer.to(dtype)(drawn(12, 4, 3).to(dtype))
        outputs.append(output.float())
    gap = (outputs[0] - outputs[1]).abs().max()
    assert gap < 0.05 * outputs[0].abs().max()  # one mask that differs moves a unit by far more


# ---- how often ----


def is_likely(count, total, chance):
    """Within five standard deviations of a binomial."""
    return abs(count - total * chance) < 5 * (total * chance * (1 - chance)) ** 0.5


def test_units_stay_as_often_as_zoneout_says():
    made = regularized(elman.cells["lstm"], zoneout={"c": 0.5, "h": 0.05})
    x = np.random.default_rng(1).normal(size=(60, 8, 2))
    run = made.run({"x": x}, weights_of(made, input=2, hidden=32), seed=7)
    for state, chance in (("c", 0.5), ("h", 0.05)):
        values = run[state]
        stays = values[1:] == values[:-1]
        assert is_likely(stays.sum(), stays.size, chance)
        assert is_likely((stays[1:] & stays[:-1]).sum(), stays[1:].size, chance**2)  # by itself


def test_a_variational_mask_is_one_for_all_steps_and_differs_from_row_to_row():
    made = regularized(elman.cells["gru"], variational_dropout=(0.5, 0.25))
    x = np.ones((20, 16, 40))
    run = made.run({"x": x}, weights_of(made, input=40, hidden=40), seed=7)
    left = run["x_left"]
    assert (left == left[:1]).all() and set(np.unique(left)) == {0, 2}
    assert is_likely((left[0] == 0).sum(), left[0].size, 0.5)
    gone = run["h_left"][1:] == 0
    assert (gone == gone[:1]).all() and is_likely(gone[0].sum(), gone[0].size, 0.25)
    assert not (gone[0, 0] == gone[0, 1]).all()


def test_weights_are_dropped_alike_for_the_whole_call():
    made = regularized(elman.Cell("h[t] = U @ h[t-1] + 0 * x[t]"), weight_drop=0.25)
    start = np.eye(50)[:, :50]  # rows read the columns of U
    run = made.run({"x": np.zeros((1, 50, 50))}, {"U": np.ones((50, 50))}, {"h": start}, seed=3)
    assert set(np.unique(run["h"])) == {0, 1 / 0.75}
    assert is_likely((run["h"] == 0).sum(), 2500, 0.25)


def test_means_over_draws_are_the_values_without():
    made = regularized(elman.Cell("h[t] = 0.5 * h[t-1] + W @ x[t]"), recurrent_dropout=0.5)
    x = np.ones((1, 4000, 1))
    run = made.run({"x": x}, {"W": np.ones((1, 1))}, seed=2)
    assert set(np.unique(run["h"])) == {0, 2}
    assert is_likely((run["h"] == 2).sum(), 4000, 0.5)

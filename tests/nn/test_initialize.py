"""Initialisation by roles: what the weights are afterwards, and what the gates then do."""

from __future__ import annotations

import functools
import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from elman.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell, initialize, roles  # noqa: E402

pytestmark = pytest.mark.torch
X, H = 3, 6


def recurrent(name, *, layers=1, **more):
    return Recurrent(elman.cells[name], X, H, layers, **more)


def is_orthogonal(matrix):
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    return torch.allclose(product, torch.eye(min(rows, columns)), atol=1e-5)


def mixed():
    """Two cells, two directions, a size for each layer."""
    cells = [elman.cells["lstm"], elman.cells["gru_gamma"]]
    more = {"bidirectional": True, "learn_initial_state": True, "layer_norm": True}
    return Recurrent(cells, X, [H, 4], 2, **more)


LAYERS = {
    "mixed": mixed,
    "lstm": lambda: recurrent("lstm", layers=2),
    "gru": lambda: recurrent("gru"),
    "concatenated": lambda: recurrent("lstm_concatenated"),
    "LSTM": lambda: LSTM(X, H, 2, bidirectional=True),
    "projected": lambda: LSTM(X, H, proj_size=2),
    "GRU": lambda: GRU(X, H, bias=False),
    "RNN": lambda: RNN(X, H, nonlinearity="relu"),
    "cells": lambda: torch.nn.ModuleList([LSTMCell(X, H), GRUCell(X, H), RNNCell(X, H)]),
    "torchs": lambda: torch.nn.Sequential(torch.nn.Linear(2, X), torch.nn.LSTM(X, H)),
    "indrnn": lambda: recurrent("indrnn"),
}


def weights(model):
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


@pytest.mark.parametrize("name", LAYERS)
def test_the_scheme_of_torch_draws_what_reset_parameters_draws(name):
    model = LAYERS[name]()
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, Recurrent | torch.nn.RNNBase | torch.nn.RNNCellBase):
            module.reset_parameters()
    wanted = weights(model)
    torch.manual_seed(5)
    initialize(model)
    assert all(torch.equal(weight, wanted[n]) for n, weight in weights(model).items())
    initialize(model)
    assert not all(torch.equal(weight, wanted[n]) for n, weight in weights(model).items())


@pytest.mark.parametrize("name", ["lstm", "gru", "LSTM", "projected", "GRU", "RNN", "cells"])
def test_keras_draws_gate_by_gate(name):
    model = LAYERS[name]()
    initialize(model, "keras")
    for full, weight in weights(model).items():
        part = full.rpartition(".")[2]
        if part.startswith(("weight_hh", "U_")):
            assert all(is_orthogonal(gate) for gate in weight.split(H)), full
        elif part.startswith(("weight_ih", "W_")):
            for gate in weight.split(H):
                bound = math.sqrt(6 / sum(gate.shape))
                assert 0.5 * bound < gate.abs().max() <= bound
        elif not part.startswith("weight_hr"):
            assert set(weight.unique().tolist()) <= {0.0, 1.0}


def test_the_columns_of_a_concatenation_are_matrices_of_their_own():
    layer = recurrent("lstm_concatenated")
    done = initialize(layer, "keras")
    assert done["W_f_l0[:, 0:6]"] == ("recurrent", "orthogonal")
    assert done["W_f_l0[:, 6:9]"] == ("input", "xavier_uniform")
    assert is_orthogonal(layer.W_f_l0[:, :H])
    assert not is_orthogonal(layer.W_f_l0)


def test_layers_of_several_cells_sizes_and_directions():
    layer = mixed()
    done = initialize(layer, "keras")
    assert done["b_f_l0_reverse"] == ("forget bias", "1")
    assert done["b_u_l1"] == done["b_u_l1_reverse"] == ("forget bias", "-1")
    assert done["W_u_l1_reverse[:, 4:16]"] == ("input", "xavier_uniform")
    assert is_orthogonal(layer.W_u_l1_reverse[:, :4])
    assert is_orthogonal(layer.U_o_l0_reverse)
    assert done["h_0_l0"] == ("initial state", "torch")
    assert not layer.h_0_l0.any()
    names = {row.partition("[")[0] for row in done}
    assert names == {n for n, _ in layer.named_parameters() if not n.startswith("norm")}


def test_layers_within_layers():
    model = elman.nn.Stacked(GRU(X, H), elman.nn.Bidirectional(torch.nn.LSTM(H, 4)))
    done = initialize(model, "keras")
    assert {row.partition("[")[0] for row in done} == {n for n, _ in model.named_parameters()}
    lstms = [module for module in model.modules() if isinstance(module, torch.nn.LSTM)]
    assert len(lstms) == 2
    assert all(lstm.bias_ih_l0.sum() == 4 for lstm in lstms)
    assert not torch.equal(lstms[0].weight_hh_l0, lstms[1].weight_hh_l0)


def test_a_forget_bias_is_set_once_where_torch_has_two():
    for layer in (LSTM(X, H, 2, bidirectional=True, proj_size=2), LSTMCell(X, H)):
        initialize(layer, "keras")
        for name, bias in layer.named_parameters():
            if name.startswith("bias"):
                wanted = torch.zeros(4 * H)
                wanted[H : 2 * H] = 1.0 if "ih" in name else 0.0
                assert torch.equal(bias, wanted), name


@pytest.mark.parametrize(
    ("cell", "state", "convention"),
    [
        *(("lstm", "c", 1), ("cifg", "c", 1), ("gru", "h", 1), ("gru_take_new", "h", 1)),
        *(("mgu", "h", 1), ("star", "h", 1), ("min_gru", "h", 1), ("lem", "z", 1)),
        *(("layer_norm_lstm_torch", "c", 0), ("slstm", "c", 1), ("ran", "c", 1)),
    ],
)
def test_whatever_the_convention_the_gate_keeps_sigmoid_of_1(cell, state, convention):
    layer = recurrent(cell, dtype=torch.float64)
    initialize(layer, "keras")
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if weight.dim() > 1 or name.startswith("p_"):
                weight.zero_()
    before = {n: torch.zeros(1, 1, H, dtype=torch.float64) for n in layer.cell.states}
    tiny = 1e-6
    before[state] += tiny
    x = torch.zeros(1, 1, X, dtype=torch.float64)
    after = layer(x, before)[1][state]
    before[state] -= tiny
    kept = (after - layer(x, before)[1][state]) / tiny
    if convention:
        assert torch.allclose(kept, torch.sigmoid(torch.ones_like(kept)), atol=1e-5)
    else:  # what is normalised keeps no number of its own, but the bias is there
        assert torch.equal(layer.b_f_l0, torch.ones_like(layer.b_f_l0))


def test_torchs_lstm_and_gru_keep_sigmoid_of_1():
    kept = 1 / (1 + math.exp(-1))
    lstm = LSTM(X, H)
    initialize(lstm, input="zeros", recurrent="zeros", bias=0.0, forget_bias=1.0)
    _, (_, c) = lstm(torch.zeros(1, 1, X), (torch.zeros(1, 1, H), torch.ones(1, 1, H)))
    assert torch.allclose(c, torch.full_like(c, kept))
    gru = GRUCell(X, H)
    initialize(gru, input="zeros", recurrent="zeros", bias=0.0, forget_bias=1.0)
    assert torch.allclose(gru(torch.zeros(1, X), torch.ones(1, H)), torch.tensor(kept))


@pytest.mark.parametrize("is_torchs", [True, False])
def test_chrono_spreads_the_times_evenly(is_torchs):
    n, t_max = 1500, 50
    layer = LSTM(2, n) if is_torchs else Recurrent(elman.cells["lstm"], 2, n)
    torch.manual_seed(0)
    done = initialize(layer, "chrono", t_max=t_max, input="torch", recurrent="torch")
    if isinstance(layer, LSTM):
        i, f, g, o = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().split(n)
        assert done["bias_ih_l0[f]"] == ("forget bias", "log(U(1, 49))")
    else:
        i, f, g, o = (getattr(layer, f"b_{gate}_l0").detach() for gate in "ifco")
    times = f.exp()
    assert torch.equal(i, -f)
    assert not g.any()
    assert not o.any()
    assert times.min() >= 1 - 1e-4
    assert times.max() <= t_max - 1 + 1e-2
    spread = (t_max - 2) / math.sqrt(12)  # of a uniform variable
    assert abs(times.mean() - t_max / 2) < 4 * spread / math.sqrt(n)
    quarters = torch.histc(times, 4, 1, t_max - 1) / n
    assert (quarters - 0.25).abs().max() < 4 * math.sqrt(0.25 * 0.75 / n)


def test_chrono_of_a_gru_goes_by_its_convention():
    for name, sign in (("gru", 1), ("gru_take_new", -1), ("gru_reset_after_take_new", -1)):
        layer = recurrent(name)
        initialize(layer, "chrono", t_max=1000)
        bias = layer.b_iz_l0 if "after" in name else layer.b_z_l0
        assert (sign * bias > 0).all()
        assert not (layer.b_ir_l0 if "after" in name else layer.b_r_l0).any()
    gru = GRU(X, H)
    initialize(gru, "chrono", t_max=1000)
    assert (gru.bias_ih_l0[H : 2 * H] > 0).all()
    assert not gru.bias_hh_l0.any()


def test_irnn_is_the_identity_and_carries_its_state():
    for layer in (RNN(X, H, nonlinearity="relu"), recurrent("rnn_relu")):
        done = initialize(layer, "irnn")
        assert "normal_(std=0.001)" in repr(done)
        matrices = [weight for weight in layer.parameters() if weight.dim() == 2]
        (own,) = [weight for weight in matrices if weight.shape == (H, H)]
        assert torch.equal(own, torch.eye(H))
        (first,) = [weight for weight in matrices if weight.shape == (H, X)]
        assert 0 < first.abs().max() < 0.006
        state = torch.rand(1, 1, H)
        given = state if isinstance(layer, RNN) else {"h": state}
        output, _ = layer(torch.zeros(30, 1, X), given)
        assert torch.allclose(output[-1], state[0], atol=1e-6)
    diagonal = recurrent("indrnn")
    initialize(diagonal, "irnn")
    assert torch.equal(diagonal.u_l0, torch.ones(H))


def test_heads_and_products_from_the_right_are_matrices_one_by_one():
    layer = Recurrent(elman.cells["slstm_heads"], X, 4, sizes={"heads": 2, "head": 4})
    initialize(layer, "keras")
    assert all(is_orthogonal(head) for head in layer.R_z_l0)
    text = "W: input, hidden\nU: hidden, hidden\nh[t] = tanh(x[t] @ W + U @ h[t-1])"
    turned = Recurrent(text, 50, 8)
    initialize(turned, input="kaiming_normal")  # by the fan in: 50, not 8
    assert 0.12 < turned.W_l0.std() < 0.28


def test_a_seed_or_a_generator_decides():
    layer = LSTM(X, H)
    torch.manual_seed(3)
    initialize(layer, "keras")
    wanted = weights(layer)
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(3)
    initialize(layer, "keras", generator=generator)
    assert all(torch.equal(weight, wanted[n]) for n, weight in weights(layer).items())
    assert torch.equal(before, torch.get_rng_state())
    initialize(layer, "keras", generator=generator)
    assert not torch.equal(layer.weight_hh_l0, wanted["weight_hh_l0"])


def test_a_layer_of_bfloat16_is_drawn_in_float32():
    torch.manual_seed(1)
    narrow = recurrent("lstm", dtype=torch.bfloat16)
    initialize(narrow, "keras")
    assert narrow.U_f_l0.dtype is torch.bfloat16
    assert torch.allclose(narrow.U_f_l0.float() @ narrow.U_f_l0.float().T, torch.eye(H), atol=0.03)
    wide = recurrent("lstm", dtype=torch.float64)
    initialize(wide, "keras")
    exact = wide.U_f_l0 @ wide.U_f_l0.T
    assert torch.allclose(exact, torch.eye(H, dtype=torch.float64), atol=1e-14)


def test_functions_numbers_and_roles_of_every_kind():
    layer = recurrent("lstm_peephole")
    small = functools.partial(torch.nn.init.normal_, std=0.01)
    done = initialize(layer, peephole=0.0, input=small, recurrent=torch.nn.init.ones_)
    assert not layer.p_f_l0.any()
    assert layer.U_i_l0.eq(1).all()
    assert layer.W_o_l0.abs().max() < 0.06
    assert done["W_f_l0"] == ("input", "normal_(std=0.01)")
    assert done["b_f_l0"] == ("forget bias", "torch")
    started = Recurrent("h[0] = h_0\nh[t] = tanh(W @ x[t] + U @ h[t-1])", X, H)
    initialize(started, initial_state=0.5)
    assert started.h_0_l0.eq(0.5).all()


def test_a_declared_role_decides():
    text = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\nb: role forget bias\nU: role other"
    layer = Recurrent(text, X, H)
    initialize(layer, "keras")
    assert layer.b_l0.eq(1).all()
    assert not is_orthogonal(layer.U_l0)
    assert roles(layer) == {"W_l0": "input", "U_l0": "other", "b_l0": "forget bias"}
    assert roles(text) == {"W": "input", "U": "other", "b": "forget bias"}


def test_a_weight_that_is_parametrized_is_set_through_its_inverse():
    layer = torch.nn.utils.parametrizations.weight_norm(LSTM(X, H), "weight_hh_l0")
    initialize(layer, "keras")
    assert all(is_orthogonal(gate) for gate in layer.weight_hh_l0.detach().split(H))
    assert set(dict(layer.named_parameters())) > {"parametrizations.weight_hh_l0.original0"}


def test_frozen_weights_are_drawn_too_and_packed_ones_are_packed_again():
    reservoir = Recurrent(elman.cells["esn"], X, H, sizes={"y": 2})
    initialize(reservoir, recurrent="orthogonal")
    assert is_orthogonal(reservoir.W_l0)
    layer = LSTM(X, H)
    x = torch.randn(4, 2, X)
    with torch.no_grad():
        layer.freeze()(x)
        initialize(layer, "keras")
        assert torch.equal(layer(x)[0], layer.unfreeze()(x)[0])


def test_every_published_layer_can_be_initialised():
    count = 0
    for name in elman.cells:
        cell = elman.cells[name]
        sizes = {n: H for n in cell.typed.aliases.values() if n not in ("hidden", "input", "3")}
        sizes |= {"heads": 2, "head": 3} if "heads" in sizes else {}
        try:
            layer = Recurrent(cell, H, H, sizes=sizes)
        except elman.ElmanError:  # its input is a number, or it has none
            continue
        done = initialize(layer, "keras")
        names = {row.partition("[")[0] for row in done}
        assert names == {f"{each}_l0" for each in cell.parameters}, name
        assert all(weight.isfinite().all() for weight in layer.state_dict().values())
        count += 1
    assert count > 100

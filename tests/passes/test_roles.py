"""The roles of parameters: by hand for some cells, and of every published one."""

from __future__ import annotations

import pytest

import elman
from elman.errors import NameProblem, SyntaxProblem
from elman.ir.cell import ROLES
from elman.passes.roles import ORDER, kinds_of, roles_of

BY_HAND = {  # i input, r recurrent, o read out, b bias, f+ and f- forget bias with its sign, ...
    "rnn": "W=i U=r b=b",
    "elman": "W=i U=r b=b V=o c=b",
    "jordan": "W=i U=r b=b V=o c=b",
    "lstm": "W_f=i U_f=r b_f=f+ W_i=i U_i=r b_i=n+ W_o=i U_o=r b_o=b W_c=i U_c=r b_c=b",
    "lstm_torch": "W_ii=i b_ii=n+ W_hi=r b_hi=n+ W_if=i b_if=f+ W_hf=r b_hf=f+ "
    "W_ig=i b_ig=b W_hg=r b_hg=b W_io=i b_io=b W_ho=r b_ho=b",
    "lstm_peephole": "W_f=i U_f=r p_f=p b_f=f+ W_i=i U_i=r p_i=p b_i=n+ W_c=i U_c=r b_c=b "
    "W_o=i U_o=r p_o=p b_o=b",
    "lstm_no_forget": "W_i=i U_i=r b_i=n+ W_o=i U_o=r b_o=b W_c=i U_c=r b_c=b",
    "cifg_no_peepholes": "W_i=i U_i=r b_i=f- W_o=i U_o=r b_o=b W_c=i U_c=r b_c=b",
    "lstmp": "W_f=i U_f=r b_f=f+ W_i=i U_i=r b_i=n+ W_o=i U_o=r b_o=b W_c=i U_c=r b_c=b P=o",
    "layer_norm_lstm_per_gate": "W_f=i U_f=r gain_f=g shift_f=f+ W_i=i U_i=r gain_i=g shift_i=n+ "
    "W_o=i U_o=r gain_o=g shift_o=b W_g=i U_g=r gain_g=g shift_g=b gain_c=g shift_c=b",
    "gru": "W_z=i U_z=r b_z=f+ W_r=i U_r=r b_r=b W_n=i U_n=r b_n=b",
    "gru_take_new": "W_z=i U_z=r b_z=f- W_r=i U_r=r b_r=b W_n=i U_n=r b_n=b",
    "gru_reset_after": "W_ir=i b_ir=b W_hr=r b_hr=b W_iz=i b_iz=f+ W_hz=r b_hz=f+ "
    "W_in=i b_in=b W_hn=r b_hn=b",
    "gru_ode": "W_z=i U_z=r b_z=f+ W_r=i U_r=r b_r=b W_n=i U_n=r b_n=b",
    "mgu": "W_f=i U_f=r b_f=f- W_n=i U_n=r b_n=b",
    "ugrnn": "W_g=i U_g=r b_g=f+ W_c=i U_c=r b_c=b",
    "janet": "W_f=i U_f=r b_f=f+ W_c=i U_c=r b_c=b",
    "lem": "W_1=i U_1=r b_1=f- W_2=i U_2=r b_2=f- W_z=i U_z=r b_z=b W_h=i U_h=r b_h=b",
    "star": "W_z=i b_z=b W_k=i U_k=r b_k=f-",
    "slstm": "W_z=i R_z=r b_z=b W_o=i R_o=r b_o=b W_i=i R_i=r b_i=b W_f=i R_f=r b_f=f+",
    "mlstm": "b_k=b W_q=i b_q=b W_k=i W_v=i b_v=b W_o=i b_o=b w_i=i b_i=b w_f=i b_f=f+",
    "rhn": "W_n=i R_n_1=r b_n_1=b W_g=i R_g_1=r b_g_1=f- R_n_2=r b_n_2=b R_g_2=r b_g_2=f- "
    "R_n_3=r b_n_3=b R_g_3=r b_g_3=f-",
    "indrnn": "W=i u=r b=b",
    "antisymmetric_rnn": "U=r W=i b=b",
    "fast_grnn_low_rank": "W_1=i W_2=i U_1=r U_2=r b_z=f+ b_n=b zeta=? nu=?",
    "stacked_rnn": "lower_W=i lower_U=r lower_b=b upper_W=i upper_U=r upper_b=b",
    "esn": "W_in=i W=r W_back=r W_out=o",
    "residual_lstm": "W_i=i U_i=r p_i=p b_i=n+ W_f=i U_f=r p_f=p b_f=f+ W_c=i U_c=r b_c=b "
    "W_o=i U_o=r p_o=p b_o=b W_p=o W_r=i",
    "lstm_gamma": "W_c=ri b_c=b W_u=ri b_u=n+ W_f=ri b_f=f+ W_o=ri b_o=b",
    "lru": "nu=? theta=? gamma=? B_re=i B_im=i C_re=o C_im=o d=s",
    "sru": "W_f=i v_f=r b_f=f+ W=i W_r=i v_r=r b_r=b",
    "weight_drop_lstm": "U_f=r U_i=r U_o=r U_c=r W_f=i b_f=f+ W_i=i b_i=n+ W_o=i b_o=b W_c=i b_c=b",
}
LETTERS = {
    "input": "i",
    "recurrent": "r",
    "read out": "o",
    "bias": "b",
    "forget bias": "f",
    "input bias": "n",
    "peephole": "p",
    "gain": "g",
    "scale": "s",
    "other": "?",
}
WITHOUT = {  # what acts through an exponential, a sigmoid or a remainder
    "fast_grnn": "zeta nu",
    "fast_grnn_low_rank": "zeta nu",
    "fast_rnn": "alpha beta",
    "gated_delta_net": "a_log",
    "hidden_markov_model": "A B",
    "lru": "nu theta gamma",
    "ltc": "tau_log",
    "mamba_s6": "A_log",
    "markov_chain": "A",
    "phased_lstm": "tau_log s",
    "radial_basis": "beta",
    "rg_lru": "l",
    "rwkv4": "w",
    "unicornn": "c",
}


def letters(name: str) -> str:
    found = []
    for parameter, roles in roles_of(elman.cells[name].typed.cell).items():
        said = "".join(LETTERS[kind] for kind in dict.fromkeys(role.kind for role in roles))
        said += {"f": "-+"[roles[0].sign > 0], "n": "-+"[roles[0].sign > 0]}.get(said, "")
        found.append(f"{parameter}={said}")
    return " ".join(found)


def test_a_text_may_say_every_role():
    assert sorted(ORDER) == sorted(ROLES)


@pytest.mark.parametrize("name", BY_HAND)
def test_roles_are_those_found_by_hand(name):
    assert letters(name) == BY_HAND[name]


def test_every_parameter_of_the_library_has_a_role_but_those_of_a_kind_of_their_own():
    for name in elman.cells:
        cell = elman.cells[name]
        found = roles_of(cell.typed.cell)
        assert list(found) == list(cell.typed.cell.names("parameter"))
        others = {n for n, roles in found.items() if any(r.kind == "other" for r in roles)}
        assert others == set(WITHOUT.get(name, "").split()), name


@pytest.mark.parametrize(
    ("last", "sign"),
    [
        ("h[t] = z[t] * h[t-1] + (1 - z[t]) * n[t]", 1),
        ("h[t] = (1 - z[t]) * h[t-1] + z[t] * n[t]", -1),
        ("h[t] = h[t-1] + z[t] * (n[t] - h[t-1])", -1),
        ("h[t] = h[t-1] - z[t] * (h[t-1] - n[t])", -1),
        ("h[t] = n[t] + z[t] * (h[t-1] - n[t])", 1),
        ("h[t] = h[t-1] + 0.5 * ((1 - z[t]) * (n[t] - h[t-1]))", 1),
        ("h[t] = tanh(h[t-1] * z[t] + n[t])", 1),
        ("h[t] = where(x[t] > 0, n[t], z[t] * h[t-1])", 1),
    ],
)
@pytest.mark.parametrize(
    ("gate", "side"),
    [
        ("sigmoid(W @ x[t] + U @ h[t-1] + b)", 1),
        ("sigmoid(W @ x[t] - (b + U @ h[t-1]))", -1),
        ("sigmoid(-(W @ x[t] + b))", -1),
        ("1 - sigmoid(W @ x[t] + b)", -1),
        ("exp(log_sigmoid(W @ x[t] + b))", 1),
    ],
)
def test_the_sign_of_a_forget_bias_follows_from_how_the_gate_is_written(last, sign, gate, side):
    cell = elman.Cell(f"z[t] = {gate}\nn[t] = tanh(V @ x[t] + c)\n{last}")
    found = roles_of(cell.typed.cell)
    assert (found["b"][0].kind, found["b"][0].sign) == ("forget bias", sign * side)
    assert found["c"][0].kind == "bias"


def kinds(text: str) -> dict[str, str]:
    return kinds_of(elman.Cell(text).typed.cell)


def test_a_gate_that_multiplies_no_past_or_a_bias_of_two_minds_is_no_forget_gate():
    assert kinds("r[t] = sigmoid(W @ x[t] + b)\nh[t] = tanh(U @ (r[t] * h[t-1]))")["b"] == "bias"
    torn = "p[t] = W @ x[t] + b\nh[t] = sigmoid(p[t]) * h[t-1] + sigmoid(-p[t]) * h[t-1] + x[t]"
    assert kinds(torn)["b"] == "bias"
    assert kinds("h[t] = (2 * sigmoid(W @ x[t] + b) - 1) * h[t-1] + x[t]")["b"] == "bias"
    assert kinds("h[t] = tanh(W @ x[t] + b) * h[t-1] + x[t]")["b"] == "bias"


def test_what_a_matrix_multiplies_decides():
    turned = "W: input, hidden\nU: hidden, hidden\nh: hidden\nh[t] = tanh(x[t] @ W + h[t-1] @ U)"
    assert kinds(turned) == {"W": "input", "U": "recurrent"}
    delayed = kinds("h[t] = tanh(W @ x[t] + V @ x[t-1] + R @ h[t-2])")
    assert delayed == {"W": "input", "V": "input", "R": "recurrent"}
    assert kinds("h[0] = h_0\nh[t] = tanh(W @ x[t] + U @ h[t-1])")["h_0"] == "initial state"
    assert kinds("h[t] = rms_norm(W @ x[t], g) + U @ h[t-1]")["g"] == "gain"
    assert kinds("h[t] = a * x[t] + U @ h[t-1]")["a"] == "scale"


def test_columns_of_one_role_are_one_matrix_but_each_state_has_its_own():
    text = "h: hidden\nh[t] = tanh(W @ [h[t-1], x[t], x[t-1]])\ny[t] = V @ [h[t], x[t], y[t-1]]"
    found = roles_of(elman.Cell(text).typed.cell)
    cuts = [(role.kind, role.cut) for role in found["W"]]
    assert cuts == [
        ("recurrent", (1, "0", "hidden")),
        ("input", (1, "hidden", "input")),
        ("input", (1, "hidden+input", "input")),
    ]
    declared = roles_of(elman.Cell(f"{text}\nV: role read out").typed.cell)["V"]
    assert [(role.kind, role.cut) for role in declared] == [("read out", None)]
    (whole,) = roles_of(elman.cells["bidirectional_read_out"].typed.cell)["W_y"]
    assert (whole.kind, whole.cut) == ("input", None)


def test_a_declared_role_has_the_last_word_and_is_part_of_the_cell():
    text = "h[t] = tanh(W @ [h[t-1], x[t]] + b)\nb: hidden, role gain\nW: role read out"
    cell = elman.Cell(text)
    assert kinds_of(cell.typed.cell) == {"W": "read out", "b": "gain"}
    assert cell == elman.Cell(str(cell)) == elman.Cell.from_latex(cell.to_latex())
    assert cell != elman.Cell(text.partition("\n")[0])
    assert elman.same(cell, text.partition("\n")[0])
    assert kinds("h[t] = a * x[t] + h[t-1]\na: role")  # a size may have that name


def test_a_declared_role_goes_with_a_cell_that_is_put_in_and_with_rounds():
    rounds = "l = 1..2\ns[t,0] = h[t-1]\ns[t,l] = tanh(R[l] @ s[t,l-1] + W @ x[t])\nh[t] = s[t,2]"
    found = kinds(f"{rounds}\nR: role other")
    assert found == {"R_1": "other", "W": "input", "R_2": "other"}
    nested = kinds_of(elman.cells["nested_lstm"].typed.cell)
    assert nested["b_f"] == nested["inner_b_f"] == "forget bias"


def test_of_a_declared_forget_bias_the_sign_is_still_derived():
    text = "z[t] = sigmoid(W @ x[t] + b)\nh[t] = (1 - z[t]) * h[t-1] + z[t] * x[t]"
    (derived,) = roles_of(elman.Cell(text).typed.cell)["b"]
    (declared,) = roles_of(elman.Cell(f"{text}\nb: role forget bias").typed.cell)["b"]
    assert declared == derived
    (kept,) = roles_of(elman.Cell("h[t] = tanh(W @ x[t] + b)\nb: role forget bias").typed.cell)["b"]
    assert (kept.kind, kept.sign) == ("forget bias", 1)


def test_two_roles_or_one_of_a_stream_are_errors():
    with pytest.raises(SyntaxProblem, match="not understood"):
        elman.Cell("h[t] = W @ x[t]\nW: role input, role gain")
    with pytest.raises(NameProblem, match="has an equation"):
        elman.Cell("h[t] = W @ x[t] + h[t-1]\nh: role gain")

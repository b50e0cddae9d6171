"""What is said of a single number, and why."""

from __future__ import annotations

from math import cos, exp, log, log10, radians, sin, tanh

import numpy as np
import pytest

import elman
from elman import sheets
from elman.sheets.printed import printed

ALONE = ""
GRU = """cell: gru
weights:
  {W_r: [.2, .4], U_r: .5, b_r: .1, W_z: [.3, .7], U_z: .6, b_z: .2,
   W_n: [.6, .9], U_n: .4, b_n: .3}
inputs: {x: [[-1, 1], [1, -1]]}
state: {h: .4}
"""
TWO = """equations: h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
weights: {W: [[.5, -.3], [.2, .9]], U: [[.4, .2], [-.6, .7]], b: [.1, -.2]}
inputs: {x: [[1, 2], [-1, .5]]}
state: {h: [.3, -.4]}
"""
LEARNS = """equations: |
  h[t] = tanh(w * x[t] + u * h[t-1])
  y[t] = v * h[t]
weights: {w: .5, u: .3, v: 2}
inputs: {x: [1, 2]}
loss: {kind: squared_error, target: {y: [1, .5]}, lr: .1}
"""


def verdict(check, claim: str, head: str = ALONE) -> str:
    return check(claim, head).claims[0].verdict


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("2.1 - .001: 2.099", "right"),
        ("2.1 - .001: 2.0990", "right"),  # zeros at the end are digits like others
        ("1 - .5: .5", "right"),
        ("2 / 3: .6667", "rounded"),
        ("2 / 3: .667", "rounded"),
        ("2 / 3: .7", "rounded"),
        ("2 / 3: .6666", "cut off"),
        ("2 / 3: .66", "cut off"),
        ("2 / 3: 0.6666666666666666", "right"),
        ("2 / 3: .670", "wrong"),
        ("-2 / 3: -.6666", "cut off"),
        ("-2 / 3: -.6668", "wrong"),
        ("1 / 8: .12", "rounded"),  # half-way, up or down
        ("1 / 8: .13", "rounded"),
        (".1 + .2: .3", "right"),
        ("exp(10): 2.2e4", "rounded"),
        ("exp(10): 2.20e4", "rounded"),
        ("exp(10): 2.203e4", "rounded"),
        ("exp(10): 22026", "rounded"),
        ("exp(-10): 4.5e-5", "rounded"),
        ("exp(-10): 4.6e-5", "wrong"),
        ("exp(-10): 0.0000", "rounded"),
        ("0 * 3: 0", "right"),
        ("tanh(9): 1", "rounded"),
        ("0 - 1 / 3: −.3333", "rounded"),  # a minus sign as pages print it
    ],
)
def test_a_number_is_compared_at_its_own_digits(check, claim, expected):
    assert verdict(check, claim) == expected


def test_a_small_whole_number_among_decimals_is_meant_exactly(check):
    found = check("tanh(9): 1\ntanh(2): 1\ntanh(1): .7616", ALONE)
    assert [claim.verdict for claim in found.claims] == ["rounded", "wrong", "rounded"]


def test_digits_are_those_typed():
    number = printed(".80")
    assert (number.decimals, number.significant, number.unit) == (2, 2, 0.01)
    assert printed("0.0764").significant == 3
    assert printed("1,5") is None
    assert printed("") is None


def sigmoid(a: float) -> float:
    return 1 / (1 + exp(-a))


W, U = np.array([[0.5, -0.3], [0.2, 0.9]]), np.array([[0.4, 0.2], [-0.6, 0.7]])
b, x, h0 = np.array([0.1, -0.2]), np.array([1, 2]), np.array([0.3, -0.4])
a = 0.4 * 1.5 + 0.3 * 2.5  # W @ x[2]
h1 = tanh(1.1)
r, z = sigmoid(0.2 + 0.5 * 0.4 + 0.1), sigmoid(0.4 + 0.6 * 0.4 + 0.2)
n = tanh(0.3 + 0.4 * r * 0.4 + 0.3)
SLIPS = [  # of h[2] of the RNN
    (tanh(a + 0.5 * h1), "term dropped", "b is left out"),
    (tanh(a + 0.1), "term dropped", "U @ h[1] is left out"),
    (tanh(a - 0.5 * h1 + 0.1), "sign", "U @ h[1] is subtracted, not added"),
    (a + 0.5 * h1 + 0.1, "function left out", "tanh is left out"),
    (sigmoid(a + 0.5 * h1 + 0.1), "other function", "sigmoid is taken for tanh"),
    (tanh(1 + 0.5 * h1 + 0.1), "index shifted", "x[1] is taken for x[2]"),
    (tanh(a + 0.5 * h1) + 0.1, "brackets", "b stands outside of tanh"),
    (tanh(a + h1 + 0.1), "factor dropped", "the factor U is left out"),
    (tanh(0.4 * 1.5 + 0.5 * h1 + 0.1), "term dropped", "the term of entry 2 in W @ x[2]"),
    (0.9581, "digits transposed", "the digits 1 and 8 are swapped"),
    (9.518, "decimal point", "the decimal point is shifted"),
    (-0.9518, "sign", "its sign is wrong"),
]


@pytest.mark.parametrize(("value", "kind", "words"), SLIPS, ids=[words for _, _, words in SLIPS])
def test_a_slip_in_a_line_is_found_by_trying(check, value, kind, words):
    claim = check(f"h[1]: .8005\nh[2]: {value:.4f}").claims[1]
    named = [(cause.kind, words in cause.text) for cause in claim.causes]
    assert claim.verdict == "wrong"
    assert (kind, True) in named, claim.causes


def test_a_digit_left_out_or_doubled(check):
    found = check("tanh(1.1): .805\ntanh(.5): .44621", ALONE)  # .8005, .4621
    assert [claim.causes[0].text for claim in found.claims] == [
        "a digit is left out",
        "a digit is written twice",
    ]


def test_the_line_as_it_was_worked_is_shown(check):
    text = check(f"h[2]: {tanh(a + 0.5 * h1):.4f}").to_text()
    assert "likeliest cause: b is left out:  h[2] = tanh(W @ x[2] + U @ h[1])" in text


GATED = [
    ("h[1]", (1 - z) * 0.4 + z * n, "z and 1 - z swapped", "z[1] and 1 - z[1] are swapped"),
    ("h[1]", z * 0.4 + z * n, "z and 1 - z swapped", "z[1] is taken for 1 - z[1]"),
    ("h[1]", z * 0.4 + (1 - z), "factor dropped", "the factor n[1] is left out"),
    ("n[1]", tanh(0.3 + 0.4 * 0.4 + 0.3), "factor dropped", "the factor r[1] is left out"),
    ("z[1]", sigmoid(0.4 + 0.5 * 0.4 + 0.2), "other name", "U_r is taken for U_z"),
    ("r[1]", tanh(0.5), "other function", "tanh is taken for sigmoid"),
]


@pytest.mark.parametrize(("key", "value", "kind", "words"), GATED, ids=[g[3] for g in GATED])
def test_a_slip_in_a_gated_line(check, key, value, kind, words):
    claim = check(f"{key}: {value:.5f}", GRU).claims[0]
    assert (claim.verdict, claim.causes[0].kind) == ("wrong", kind), claim.causes
    assert words in claim.causes[0].text


def listed(value: object) -> str:
    return "[" + ", ".join(f"{v:.4f}" for v in np.ravel(value)) + "]"


VECTORS = [
    (np.tanh(W @ x + U.T @ h0 + b), "transposed", "U.T is taken for U"),
    (np.tanh(W.T @ x + U @ h0 + b), "transposed", "W.T is taken for W"),
    (np.tanh(W * x @ [1, 1] + U @ -h0 + b), "sign", "U @ h[0] is subtracted"),
    (np.tanh(U @ x + U @ h0 + b), "other name", "U is taken for W"),
    (np.tanh(W @ x + U @ h0 + b)[::-1], "right number of the wrong entry", "in reverse order"),
    (np.tanh(W @ x + U @ h0 + [0.1, 0.2]), "sign", ""),  # one entry alone
]


@pytest.mark.parametrize(("value", "kind", "words"), VECTORS, ids=[v[1] + v[2] for v in VECTORS])
def test_one_cause_for_all_entries_of_a_vector(check, value, kind, words):
    claim = check(f"h[1]: {listed(value)}", TWO).claims[0]
    assert claim.verdict == "wrong"
    if words:
        assert claim.causes[0].kind == kind, claim.causes
        assert words in claim.causes[0].text


def test_an_entry_that_is_not_printed_is_not_judged(check):
    value = np.tanh(W @ x + U @ h0 + b)
    claim = check(f"h[1]: [~, {value[1]:.4f}]", TWO).claims[0]
    assert (claim.verdict, claim.claimed) == ("rounded", f"(~, {value[1]:.4f})")


@pytest.mark.parametrize(
    ("claim", "kind", "words"),
    [
        (f"log(2): {log10(2):.4f}", "base or degrees", "to base 10"),
        (f"sin(30): {sin(radians(30)):.4f}", "base or degrees", "in degrees"),
        (f"cos(30): {sin(30):.4f}", "other function", "sin is taken for cos"),
        (f"exp(.5): {10**0.5:.4f}", "base or degrees", "10 is raised"),
        (f"exp(.5): {log(0.5):.4f}", "none", ""),
        ("3.5**2 + 1: 4.5", "power", "the square of 3.5 is forgotten"),
        ("2 * (.25 + 1): 1.5000", "brackets or order", ""),
        (f"cos(1): {cos(1) + 0.31:.4f}", "none", ""),
    ],
)
def test_slips_of_arithmetic(check, claim, kind, words):
    found = check(claim, ALONE).claims[0]
    assert found.verdict == "wrong"
    if words:
        assert found.causes[0].kind == kind, found.causes
        assert words in found.causes[0].text
    elif kind == "none":
        assert found.causes == ()


def test_a_cause_of_few_digits_is_called_possible(check):
    text = check("3.5**2: 3.5\n1 / 3: .4", ALONE).to_text()
    assert "possible cause: the square of 3.5 is forgotten" in text
    assert check("tanh(1.1) * 2: 1.1234", ALONE).to_text().count("no single slip") == 1


# ---- on the way, and what follows ----


def test_a_line_worked_from_printed_values_was_rounded_on_the_way(check):
    rough = 0.8  # tanh(1.1), printed with one digit
    value = tanh(a + 0.5 * rough + 0.1)
    found = check(f"h[1]: .8\nh[2]: {value:.6f}")
    assert [claim.verdict for claim in found.claims] == ["rounded", "rounded on the way"]
    assert found.claims[1].how == "from the printed h[1]"
    assert found


def test_a_line_that_rounds_its_sum_was_rounded_on_the_way(check):
    value = tanh(round(a + 0.5 * h1 + 0.1, 3))
    found = check(f"h[2]: {value:.5f}")
    assert found.claims[0].verdict == "rounded on the way"
    assert found.claims[0].entries[0].digits == 3


def test_what_is_worked_from_a_wrong_number_follows(check):
    wrong = tanh(1.0)  # without its bias
    value = tanh(a + 0.5 * wrong + 0.1)
    found = check(f"h[1]: {wrong:.4f}\nh[2]: {value:.4f}")
    assert [claim.verdict for claim in found.claims] == ["wrong", "follows"]
    assert "b is left out" in found["h[1]"].causes[0].text


def test_a_part_of_a_line_may_be_claimed_and_what_follows_from_it_too(check):
    value = tanh(1.35 + 0.5 * 0.8 + 0.1)
    found = check(f"U @ h[1]: .4\nh[2]: {value:.5f}")
    assert [claim.verdict for claim in found.claims] == ["rounded", "rounded on the way"]
    wrong = check(f"W @ x[2]: 1.53\nh[2]: {tanh(1.53 + 0.5 * h1 + 0.1):.4f}")
    assert [claim.verdict for claim in wrong.claims] == ["wrong", "follows"]


def test_a_slip_in_a_line_that_is_not_printed_is_found(check):
    wrong = sigmoid(0.2 + 0.5 * 0.4)  # r without its bias
    new = tanh(0.6 + 0.16 * wrong)
    found = check(f"h[1]: {z * 0.4 + (1 - z) * new:.7f}", GRU).claims[0]
    assert found.causes[0].kind == "term dropped"
    assert "b_r is left out in the line of r[1]" in found.causes[0].text


def test_the_same_slip_at_every_step_is_one_cause(check):
    h = 0.0
    for total in (1.0, a):
        h = tanh(total + 0.5 * h)  # without the bias, twice
    cause = check(f"h[2]: {h:.5f}").claims[0].causes[0]
    assert (cause.kind, cause.text) == ("term dropped", "b is left out at every step")


# ---- learning ----

g1, g2 = tanh(0.5), tanh(1 + 0.3 * tanh(0.5))
dy = [2 * (2 * g1 - 1), 2 * (2 * g2 - 0.5)]
din2 = 2 * dy[1] * (1 - g2**2)
BACKWARD = [
    ("d_h[1]", 2 * dy[0] + 0.3 * din2, "", ""),
    ("d_h[1]", 2 * dy[0], "term dropped", "u * d_h_in[2] is left out"),  # a path forgotten
    ("d_h_in[2]", 2 * dy[1] * g2 * (1 - g2), "other derivative", "of sigmoid is taken"),
    ("d_h_in[2]", 2 * dy[1] * (1 - g2), "power", "the square of h[2] is forgotten"),
    ("d_y[2]", 2 * g2 - 0.5, "factor dropped", "the factor 2 is left out"),
    ("d_y[2]", -dy[1], "sign", "its sign is wrong"),
    ("E", (2 * g1 - 1) ** 2 + (2 * g2 - 0.5) ** 2, "", ""),
    ("d_u", din2 * g1, "", ""),
    ("new v", 2 - 0.1 * (dy[0] * g1 + dy[1] * g2), "", ""),
    ("new v", 2 + 0.1 * (dy[0] * g1 + dy[1] * g2), "sign", "is added, not subtracted"),
]


@pytest.mark.parametrize(("key", "value", "kind", "words"), BACKWARD)
def test_gradients_and_new_weights_are_checked_like_values(check, key, value, kind, words):
    claim = check(f"{key}: {value:.5f}", LEARNS).claims[0]
    assert claim.verdict == ("wrong" if kind else "rounded"), claim
    if kind:
        assert (kind, True) in [(c.kind, words in c.text) for c in claim.causes], claim.causes


VECTOR_LEARNS = TWO + "loss: {kind: half_squared_error, target: {h: [[1, 0], [0, 1]]}, lr: .5}\n"
h_1 = np.tanh(W @ x + U @ h0 + b)
h_2 = np.tanh(W @ [-1, 0.5] + U @ h_1 + b)
in_2 = (h_2 - [0, 1]) * (1 - h_2**2)
own = h_1 - [1, 0]
BACK = {
    "": own + U.T @ in_2,
    "transposed": own + U @ in_2,
    "term dropped": own,  # the path through the next step
    "sign": own - U.T @ in_2,
    "index shifted": own + U.T @ (own * (1 - h_1**2)),
}


@pytest.mark.parametrize("kind", BACK)
def test_gradients_of_vectors(check, kind):
    forward = f"h[1]: {listed(h_1)}\nh[2]: {listed(h_2)}\nd_h_in[2]: {listed(in_2)}\n"
    found = check(f"{forward}d_h[1]: {listed(BACK[kind])}", VECTOR_LEARNS)
    claim = found["d_h[1]"]
    assert [each.verdict for each in found.claims[:3]] == ["rounded"] * 3
    assert claim.verdict == ("wrong" if kind else "rounded")
    if kind and kind != "index shifted":  # d_h_in[1] is worked from d_h[1]: it cannot be read
        assert claim.causes[0].kind == kind, claim.causes


def test_a_matrix_is_claimed_by_its_rows(check):
    new = U - 0.5 * (np.outer(in_2, h_1) + np.outer((own + U.T @ in_2) * (1 - h_1**2), h0))
    rows = ", ".join(listed(row) for row in new)
    assert check(f"new U: [{rows}]", VECTOR_LEARNS)
    wrong = check(f"new U: [{', '.join(listed(row) for row in new.T)}]", VECTOR_LEARNS)
    assert wrong.claims[0].verdict == "wrong"


def test_the_room_is_reached_from_the_face():
    assert elman.sheets.load is sheets.load

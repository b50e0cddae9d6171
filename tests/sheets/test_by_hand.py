"""Pages as they are worked by hand: what is never called wrong, and slips in whole lines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elman.sheets import CUT, ON_THE_WAY, ROUNDED, WRONG

ALONE = ""
GATE = """
equations: "s[t] = sigmoid(w * x[t] + b)"
weights: {w: 1.7, b: -.3}
inputs: {x: [.5]}
"""
SHARES = """
equations: "p[t] = softmax(x[t])"
inputs: {x: [[.3, -.7, 1.1]]}
"""
NET = """
equations: |
  h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
  y[t] = V @ h[t] + c
weights:
  {W: [[.7], [.9]], U: [[.7, .1], [-.5, -1.0]], b: [-.1, -.2], V: [[.4, .4]], c: [.1]}
inputs: {x: [[.1], [.5]]}
state: {h: [.4, .2]}
loss: {kind: squared_error, target: {y: [[-.1], [-.4]]}, lr: .5}
"""
GATED = """
equations: |
  f[t] = sigmoid(a * x[t] + r * c[t-1])
  i[t] = sigmoid(k * x[t] - m * c[t-1])
  c[t] = f[t] * c[t-1] + i[t] * g
weights: {a: .7, r: -.4, k: .9, m: .35, g: -.83}
inputs: {x: [.6, -1.3]}
state: {c: .45}
"""


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def test_a_number_that_was_rounded_twice_is_rounded_on_the_way(check):
    assert 0.42845 < math.tanh(0.458) < 0.4285
    found = check("tanh(.458): .429", ALONE).claims[0]  # by way of .4285
    assert found.verdict == ON_THE_WAY
    assert found.how == "by rounding to 4 decimals and then to 3"


def test_the_exponential_within_a_sigmoid_is_rounded_too(check):
    exact = sigmoid(0.55)
    for digits in (2, 3, 4):
        unit = 10.0**-digits
        power = round(float(np.exp(-0.55)), digits)
        for worked in (1 / (1 + power), 1 / (1 + power + unit / 2), 1 / (1 + power - unit / 2)):
            if abs(worked - exact) < unit / 2 * exact**2:
                report = check(f"'s[1]': {worked:.{digits}f}", GATE)
                assert report["s[1]"].verdict in (ROUNDED, CUT, ON_THE_WAY), (digits, worked)
    assert check("'s[1]': .6363", GATE)["s[1]"].verdict == WRONG


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_the_exponentials_of_a_softmax_are_rounded_too(check, digits):
    powers = np.round(np.exp([0.3, -0.7, 1.1]), digits)
    worked = ", ".join(f"{p:.{digits}f}" for p in powers / powers.sum())
    assert check(f"'p[1]': [{worked}]", SHARES)


def test_the_step_of_a_weight_of_one_input_is_checked(check):
    report = check("new W: [[.5256], [.8034]]", NET)  # U in the place of U.T, going back
    assert [cause.kind for cause in report.claims[0].causes][:1] == ["transposed"]


def test_what_is_no_number_is_not_right(check):
    found = check("1 / 0: .8\n0 / 0: 1\nlog(0): -5", ALONE)
    assert [claim.verdict for claim in found.claims] == [WRONG] * 3


def gated(step=None, slip=None):
    c, lines = 0.45, {}
    for t, x in ((1, 0.6), (2, -1.3)):
        f, i = sigmoid(0.7 * x - 0.4 * c), sigmoid(0.9 * x - 0.35 * c)
        c = slip(f, i, c) if t == step else f * c - i * 0.83
        lines |= {f"f[{t}]": f, f"i[{t}]": i, f"c[{t}]": c}
    return lines


SLIPS = {
    "f[2] and i[2] are swapped": lambda f, i, c: i * c - f * 0.83,
    "i[2] is taken for f[2]": lambda f, i, c: i * c - i * 0.83,
    "tanh is taken, where the line has no function": lambda f, i, c: math.tanh(f * c - i * 0.83),
    "f[2] * (c[1] + i[2] * g) is worked": lambda f, i, c: f * (c - i * 0.83),
}


@pytest.mark.parametrize("said", SLIPS)
def test_a_slip_that_runs_through_a_line_is_named(check, said):
    page = "\n".join(f"'{k}': {v:.5f}" for k, v in gated(2, SLIPS[said]).items())
    report = check(page, GATED)
    assert [claim.key for claim in report.wrong] == ["c[2]"]
    assert said in report["c[2]"].causes[0].text


BACK = {
    "the mean is taken": lambda d, U: ("d_U", (d[1] + d[2]) / 2),
    "d_U[1] is left out": lambda d, U: ("d_U", d[2]),
    "stand as columns": lambda d, U: ("d_U", (d[1] + d[2]).T),
    "the other sign": lambda d, U: ("d_U", -(d[1] + d[2])),
    "only 0.5 * d_U is taken": lambda d, U: ("new U", 0.5 * (d[1] + d[2])),
    "is added, not subtracted": lambda d, U: ("new U", U + 0.5 * (d[1] + d[2])),
    "the factor 0.5 is left out": lambda d, U: ("new U", U - (d[1] + d[2])),
}


def gradients_of_u():
    W, U = np.array([[0.7], [0.9]]), np.array([[0.7, 0.1], [-0.5, -1.0]])
    b, V, h = np.array([-0.1, -0.2]), np.array([[0.4, 0.4]]), [np.array([0.4, 0.2])]
    for x in (0.1, 0.5):
        h.append(np.tanh(W[:, 0] * x + U @ h[-1] + b))
    later, found = np.zeros(2), {}
    for t, target in ((2, -0.4), (1, -0.1)):
        d_y = 2 * (V @ h[t] + 0.1 - target)
        later = (V.T @ d_y + U.T @ later) * (1 - h[t] ** 2)
        found[t] = np.outer(later, h[t - 1])
    return found, U


@pytest.mark.parametrize("said", BACK)
def test_a_slip_in_a_total_or_a_step_of_learning_is_named(check, said):
    key, value = BACK[said](*gradients_of_u())
    rows = ", ".join("[" + ", ".join(f"{v:.5f}" for v in row) + "]" for row in value)
    causes = check(f"{key}: [{rows}]", NET)[key].causes
    assert any(said in cause.text for cause in causes), causes


def test_a_cause_in_a_far_line_is_only_possible_where_digits_are_few(check):
    lines = gated(1, lambda f, i, c: f * c + i * 0.83)
    assert "possible cause" in check(f"'c[2]': {lines['c[2]']:.3f}", GATED).to_text()
    text = check(f"'c[2]': {lines['c[2]']:.5f}", GATED).to_text()
    assert "likeliest cause: i[1] * g is subtracted, not added in the line of c[1]" in text

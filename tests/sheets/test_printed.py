"""A number is rounded in one way: in a trace, in a verdict, and by who rounds on the way."""

from __future__ import annotations

import random

import pytest

from elman import sheets
from elman.sheets.printed import printed, shown
from elman.trace.numbers import fixed, number, rounded, scientific
from elman.trace.rounding import Rounding

EIGHTH = "equations: h[t] = x[t] / 8\ninputs: {x: [1]}\n"


def test_a_trace_and_a_verdict_round_alike(check, tmp_path):
    assert check("h[1]: .11", EIGHTH).claims[0].correct == "0.13"
    trace = sheets.load(tmp_path / "exercise.sheet.yaml").trace()
    assert "= 0.13\n" in trace.to_text(digits=2) + "\n"
    assert trace.rounded(2).values["h"].item() == 0.13


@pytest.mark.parametrize("claim", ["1 / 8: .12", "1 / 8: .13", "2.675: 2.67", "2.675: 2.68"])
def test_a_half_may_be_rounded_either_way(check, claim):
    assert check(claim, "").claims[0].verdict == "rounded"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.125, 2, "0.13"),
        (-0.125, 2, "-0.13"),
        (2.675, 2, "2.68"),
        (1.005, 2, "1.01"),
        (0.1 + 0.2, 16, "0.3000000000000000"),
        (0.1, 17, "0.10000000000000001"),
        (1e22, 1, "10000000000000000000000.0"),
        (5e-324, 3, "0.000"),
        (2.5, 0, "3"),
        (0.0, 2, "0.00"),
    ],
)
def test_so_many_decimals(value, digits, text):
    assert fixed(value, digits) == text


def test_every_rounding_is_the_same():
    draw = random.Random(1)
    for _ in range(3000):
        value, digits = draw.gauss(0, 1) * 10 ** draw.randint(-3, 5), draw.randint(0, 8)
        if draw.random() < 0.5:  # halves of the last digit
            value = (draw.randint(-(10**6), 10**6) + 0.5) / 10**digits
        text = fixed(value, digits)
        assert float(text) == float(rounded(value, -digits)) == Rounding(digits).number(value)
        assert abs(float(text) - float(number(value, digits))) == 0
        like = printed(f"1.{'0' * digits}" if digits else "11")
        assert float(shown(value, like)) == float(text)
        assert abs(float(rounded(value, -digits, cut=True))) <= abs(value) * (1 + 1e-14)


def test_an_exponent():
    assert [scientific(v, 2) for v in (123456, 1.235, 9.999, 0)] == [
        "1.23e+5",
        "1.24e+0",
        "1.00e+1",
        "0.00e+00",
    ]
    assert shown(0, printed("1.2e5")) == "0.0e0"

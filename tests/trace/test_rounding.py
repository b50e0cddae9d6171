"""Traces that are rounded as a person rounds who works by hand."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman.errors import ShapeProblem
from elman.language.syntax import Binary, Call
from elman.trace.rounding import Rounding, written_down
from tests.backends import table
from tests.trace.examples import EXAMPLES


@pytest.mark.parametrize(
    ("rounding", "value", "expected"),
    [
        (Rounding(2), 0.125, 0.13),  # half up, as on paper
        (Rounding(2), -0.125, -0.13),
        (Rounding(1), 0.1 + 0.2, 0.3),
        (Rounding(1, cut=True), 0.1 + 0.2 - 1e-17, 0.3),
        (Rounding(2, cut=True), 1.1 * 1.1, 1.21),  # 1.2100000000000002
        (Rounding(2, cut=True), 0.29 * 100, 29.0),  # 28.999999999999996
        (Rounding(3, cut=True), -0.0769, -0.076),
        (Rounding(2, significant=True), 0.0099949, 0.01),
        (Rounding(2, significant=True), 123456.0, 120000.0),
        (Rounding(2, significant=True, cut=True), 129.0, 120.0),
        (Rounding(0), 2.5, 3.0),
        (Rounding(4), 1e300, 1e300),
        (Rounding(17), 0.1, 0.1),
        (Rounding(2), 1e-30, 0.0),
        (Rounding(2), 0.0, 0.0),
        (Rounding(2), math.inf, math.inf),
    ],
)
def test_a_number(rounding, value, expected):
    assert rounding.number(value) == expected


def test_nan_stays_nan():
    assert math.isnan(Rounding(3).number(math.nan))


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_a_rounded_number_is_near_and_stays(value, digits):
    found = Rounding(digits).number(value)
    assert abs(Decimal(found) - Decimal(value)) <= Decimal(10) ** -digits * Decimal("0.5000001") + (
        Decimal(abs(value)) * Decimal("1e-14")
    )
    assert Rounding(digits).number(found) == found
    cut = Rounding(digits, cut=True).number(value)
    assert abs(cut) <= abs(value) * (1 + 1e-14)
    assert Rounding(digits, cut=True).number(cut) == cut


def test_the_076_of_the_lectures_is_the_lstm_rounded_to_three_decimals_on_the_way():
    exact = EXAMPLES["3_lstm"].trace()
    rounded = exact.rounded(3)
    assert exact.values["h"].round(6).item() == 0.076958
    assert {n: v.item() for n, v in rounded.values.items()} == {
        "f": 0.55, "i": 0.591, "o": 0.632, "c_hat": 0.207, "c": 0.122, "h": 0.076
    }  # fmt: skip
    text = rounded.to_text(3)
    assert "= 0.076  unrounded 0.07696, 0.001 off" in text
    assert text.endswith(
        "every value rounded to 3 decimals\n  h[1] = 0.076, unrounded 0.07696: 0.001 off"
    )
    assert "exact" not in text[: text.index("= 0.076 ")], "the lines before it are right"
    # the other readings of "three digits" give other numbers
    assert exact.rounded(3, cut=True).values["h"].item() == 0.075
    assert exact.rounded(4, cut=True).values["h"].item() == 0.0768
    assert exact.rounded(3, significant=True).values["h"].item() == 0.0765
    assert exact.rounded(4).values["h"].item() == 0.077


def test_the_cut_values_of_the_lectures():
    values = EXAMPLES["3_lstm"].trace().rounded(4, cut=True).values
    assert values["i"].item() == 0.5914
    assert values["c_hat"].item() == 0.2069


def test_later_steps_go_on_with_what_was_rounded():
    trace = EXAMPLES["1_rnn"].trace().rounded(2)
    first = 0.80
    assert trace.values["h"].tolist() == [
        [first],
        [round(math.tanh(round(1.45 + 0.5 * first, 2)), 2)],
    ]
    assert "  h[1] = 0.8\n" in trace.to_text(2), "what is read is rounded too"
    assert trace.steps[1].reads[1].value.item() == first


def test_what_is_written_down_is_what_the_board_shows():
    """Inside of a function a sum is worked in one go; terms of an outermost sum are not."""
    (gru,) = EXAMPLES["4_gru"].trace().steps
    lines = {line.name: line for line in gru.lines}
    # sigmoid(W @ x + U @ h + b): W x @ U h @ + b + sigmoid
    assert written_down(lines["z"]) == (False,) * 8 + (True, True)
    # z * h + (1 - z) * n: z h * 1 z - n * +
    shown = written_down(lines["h"])
    assert shown == (False, False, True, False, False, False, False, True, True)


def test_products_beside_a_vectors_equation_are_written_down():
    line = EXAMPLES["5_next_word"].trace().steps[0].lines[0]
    shown = written_down(line)
    assert sum(shown) == 4  # W_h @ x, U_h @ h, the sum inside of tanh, and the result


def test_given_numbers_are_not_rounded():
    trace = elman.Cell("h[t] = w * x[t]").trace({"x": [1.2345]}, {"w": 2.0}).rounded(1)
    assert trace.values["h"].item() == 2.5  # 2.469, and not 2 * 1.2
    assert trace.steps[0].reads[0].value.item() == 1.2345


def test_the_exact_trace_is_kept_and_rounding_begins_with_it():
    exact = EXAMPLES["3_lstm"].trace()
    rounded = exact.rounded(3)
    assert rounded.exact is exact and exact.exact is None
    again = rounded.rounded(5)
    assert again.exact is exact
    assert again.values["h"].item() == exact.rounded(5).values["h"].item()
    assert "exact" not in str(exact)


def test_with_enough_digits_nothing_is_off():
    rounded = EXAMPLES["4_gru_exercise"].trace().rounded(15)
    assert np.allclose(rounded.values["h"], rounded.exact.values["h"], atol=1e-14)
    assert " off" not in rounded.to_text(6).split("step 2")[0]


def test_vectors_say_their_largest_distance():
    text = EXAMPLES["5_next_word"].trace().rounded(2).to_text(2)
    assert "at most 0.0" in text
    assert "every value rounded to 2 decimals\n  y[3] = (" in text


def test_options_go_together():
    trace = EXAMPLES["5_next_word"].trace().named(["I", "love", "deep", "learning", "_"])
    one, other = trace.during(2, 2).rounded(3), trace.rounded(3).during(2, 2)
    assert one.to_text(3) == other.to_text(3)
    assert '"learning"' in one.to_text(3)
    assert "y[2] = (" in one.to_text(3).split("\n\n")[-1], "the last step that is shown"
    only = trace.rounded(3).only("h")
    assert "y[3]" in only.to_text(3), "how far the output is off is said all the same"


@pytest.mark.parametrize("name", table.typical_first(table.CELLS))
def test_every_cell_can_be_rounded_and_a_rounding_to_all_digits_changes_nothing(name):
    data = table.data(name, table.Shape(3, 0, 3))
    exact = table.cell(name).trace(*data.parts().values(), sizes=data.sizes)
    near = exact.rounded(13, significant=True)
    for key, value in exact.values.items():
        assert near.values[key].shape == value.shape
        scale = max(1.0, float(np.abs(value).max()))
        assert np.allclose(near.values[key], value, rtol=1e-6, atol=1e-6 * scale), key
    rough = exact.rounded(2)
    for line in (line for step in rough.steps for line in step.lines):
        if isinstance(line.expr, Binary | Call):  # others hand on what was given
            assert np.allclose(line.value, np.round(line.value, 2), rtol=1e-12, equal_nan=True)
    assert rough.to_text(2)


def learnt(name="lstm", **more):
    cell = elman.cells[name]
    given = {"x": [[0.1, 0.2], [0.3, -0.1]]}, EXAMPLES["3_lstm"].weights
    return cell.trace(*given, loss="squared_error", target={"h": [None, [0.5]]}, lr=1, **more)


def test_the_backward_pass_is_rounded_too():
    exact = learnt()
    rough = exact.rounded(3)
    for line in (line for step in rough.backward.steps for line in step.lines):
        if isinstance(line.expr, Binary | Call):
            assert np.allclose(line.value, np.round(line.value, 3), rtol=1e-12, atol=1e-15)
    assert rough.gradients.keys() == exact.gradients.keys()
    for name, gradient in exact.gradients.items():
        assert rough.gradients[name].shape == gradient.shape
        assert 0 <= np.abs(rough.gradients[name] - gradient).max() < 0.005
    assert rough.updated["U_c"].tolist() == [[0.322]]
    text = rough.to_text(3)
    assert "  E = 0.184, unrounded 0.18382: 0.0002 off" in text.split("every value rounded")[1]
    assert "= -0.194  unrounded -0.19480, 0.0008 off" in text


def test_a_backward_pass_rounded_to_all_digits_is_the_exact_one():
    exact = learnt()
    near = exact.rounded(14, significant=True)
    for name, gradient in exact.gradients.items():
        assert np.allclose(near.gradients[name], gradient, rtol=1e-10, atol=1e-13)
    assert near.loss == pytest.approx(exact.loss, rel=1e-12)


@pytest.mark.parametrize("digits", [-1, 18, 2.0, None, True])
def test_digits_that_are_none(digits):
    with pytest.raises(ShapeProblem) as caught:
        EXAMPLES["1_rnn"].trace().rounded(digits)
    assert caught.value.code == "E208"

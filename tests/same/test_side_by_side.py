"""Cells on the same numbers, side by side: the conventions of the GRU, and where they part."""

from __future__ import annotations

import json

import numpy as np
import pytest

import elman
from elman.cell.conventions import side_by_side
from elman.cell.placing import place
from tests.soon import soon

FOUR = ("gru_reset_after", "gru", "gru_reset_after_take_new", "gru_take_new")
NUMBERS = {"W_z": 0.5, "U_z": 0.1, "W_r": 0.6, "U_r": 0.2, "W_n": 0.7, "U_n": 0.3}
PRINTED = (0.5850, 0.5957, 0.6474, 0.6659)  # of the lectures, with b_hn = 0.2 and h = 0.5
SIZES = {"input": 2, "hidden": 3}


def cells(*names):
    return [elman.cells[name] for name in names]


def drawn(cell, **sizes):
    rng = np.random.default_rng(5)
    shapes = cell.shapes(**sizes)
    return {name: rng.normal(size=shapes[name]) for name in cell.parameters}


def four(**more):
    return side_by_side(cells(*FOUR), {"x": [1]}, {**NUMBERS, "b_hn": 0.2, **more}, {"h": 0.5})


@pytest.mark.parametrize("zeros", [{}, {"b_z": 0, "b_r": 0, "b_n": 0}])
def test_the_four_conventions_of_the_lectures(zeros):
    row = four(**zeros).steps[0][-1]
    assert row.label == "h[1]"
    found = [value.item() for value in row.values]
    assert np.allclose(found, PRINTED, rtol=0, atol=0.5e-4)


def test_the_first_difference_is_where_the_equations_part():
    found = four()
    assert not found
    assert found.first.label == "n[1]"
    assert {k: row.label for k, row in found.partings.items()} == {
        1: "n[1]",
        2: "h[1]",
        3: "n[1]",
    }
    text = found.to_text()
    table, _, below = text.partition("\n\n")
    assert table.count(" *") == 3
    assert below.count("* first difference from gru_reset_after") == 2
    assert "U_n @ (r[1] * h[0])" in text
    assert "b_n is b_hn" in text


def test_weights_may_bear_the_names_of_any_of_the_cells():
    torch_names = {"W_iz": 0.5, "W_hz": 0.1, "W_ir": 0.6, "W_hr": 0.2, "W_in": 0.7, "W_hn": 0.3}
    found = side_by_side(cells(*FOUR), {"x": [1]}, {**torch_names, "b_hn": 0.2}, {"h": 0.5})
    values = [value.item() for value in found.steps[0][-1].values]
    assert np.allclose(values, PRINTED, rtol=0, atol=0.5e-4)


def test_two_biases_become_one_by_their_sum():
    gru, after = cells("gru", "gru_reset_after")
    weights = drawn(after, **SIZES)
    own = place([gru, after], weights)[0].weights
    assert np.array_equal(own["b_r"], weights["b_ir"] + weights["b_hr"])
    assert np.array_equal(own["U_n"], weights["W_hn"])


@pytest.mark.parametrize(
    "names", [("lstm", other) for other in ("lstm_gamma", "lstm_torch", "lstm_concatenated")]
)
def test_cells_of_one_function_do_not_differ(names):
    lstm, other = cells(*names)
    x = np.random.default_rng(0).normal(size=(4, 2))
    found = side_by_side([lstm, other], {"x": x}, drawn(lstm, **SIZES))
    assert found
    assert found.first is None
    assert [len(step) for step in found.steps] == [6] * 4  # each value beside its own
    assert "no value differs" in found.to_text()
    back = side_by_side([other, lstm], {"x": x}, drawn(other, **SIZES))
    assert back
    assert "no value differs" in back.to_text()


def test_a_cell_of_ones_own_beside_a_published_one():
    own = elman.Cell(
        "u[t] = sigmoid(A @ x[t] + B @ s[t-1] + a)\n"
        "q[t] = sigmoid(C @ x[t] + D @ s[t-1] + c)\n"
        "k[t] = tanh(E @ x[t] + F @ (q[t] * s[t-1]) + e)\n"
        "s[t] = u[t] * s[t-1] + (1 - u[t]) * k[t]",
        name="mine",
    )
    gru = elman.cells["gru"]
    x = np.random.default_rng(1).normal(size=(3, 2))
    found = side_by_side([gru, own], {"x": x}, drawn(gru, **SIZES), {"h": [0.1, 0.2, 0.3]})
    assert found
    assert [row.label for row in found.steps[0]] == ["z[1] / u[1]", "r[1] / q[1]",
                                                     "n[1] / k[1]", "h[1] / s[1]"]  # fmt: skip


def test_a_slip_in_ones_own_cell_is_found():
    own = elman.Cell(str(elman.cells["lstm"]).replace("tanh(c[t])", "sigmoid(c[t])"), name="mine")
    lstm = elman.cells["lstm"]
    found = side_by_side([lstm, own], {"x": [[1.0, 2.0]]}, drawn(lstm, **SIZES))
    assert found.first.label == "h[1]"


def test_plain_data_for_json():
    found = json.loads(json.dumps(four().as_dict()))
    assert found["cells"] == list(FOUR)
    assert not found["same"]
    assert [row["name"] for row in found["rows"] if row["first_difference"]] == ["n[1]"]


def test_what_no_cell_has_is_refused():
    with pytest.raises(elman.ElmanError, match=r"none of the cells has a weight 'W_q'"):
        side_by_side(cells("gru", "gru_take_new"), {"x": [1]}, {**NUMBERS, "W_q": 1})


def test_a_matrix_must_be_given():
    numbers = {name: value for name, value in NUMBERS.items() if name != "U_n"}
    with pytest.raises(elman.ElmanError, match=r"the weight 'U_n' of gru is missing"):
        side_by_side(cells("gru", "gru_take_new"), {"x": [1]}, numbers)
    with pytest.raises(elman.ElmanError, match=r"the weight 'W_iz' of .* is missing"):
        side_by_side(cells("gru_reset_after", "lstm_torch"), {"x": [1]}, {"W_ir": 1, "W_hr": 1})


def test_two_hundred_steps_are_compared_at_once():
    lstm, other = cells("lstm", "lstm_gamma")
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = side_by_side([lstm, other], {"x": x}, drawn(lstm, **SIZES))
    with soon(3):  # a tenth of that on a quiet machine
        assert "no value differs" in found.to_text()
        assert found.as_dict()["same"]

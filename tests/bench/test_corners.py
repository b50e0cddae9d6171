"""Numbers at which a gradient hangs by a rounding are drawn anew, and only those."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import elman
from elman.bench.case import draw
from elman.bench.corners import has_corners, near_corners, replaced
from elman.bench.measure import Measurer, Plan
from elman.bench.peers import ELMAN
from elman.bench.reference import reference
from elman.bench.suite import case_of
from tests.bench.near import NearCrew, small_case

CELL = elman.Cell("h[t] = relu(x[t] + u * h[t-1])", "corner")


def at_the_corner(value):
    """A case whose second sequence has an argument of relu that is this at the third step."""
    case = case_of(CELL, (4, 3, 2, 2), "training")
    given = draw(case, CELL)
    x = given.inputs["x"]
    x[1, 1, 0] = 0.7  # a state that is no zero comes before
    before = reference(case, CELL, given)["h"][1, 1, 0]
    x[2, 1, 0] = np.float32(value) - given.weights["u"][0] * np.float32(before)
    return case, given


def test_a_sequence_at_a_corner_is_found():
    case, given = at_the_corner(0.0)
    assert near_corners(case, CELL, given).tolist() == [False, True, False]
    case, given = at_the_corner(1e-3)
    assert not near_corners(case, CELL, given).any()


def test_its_inputs_alone_are_replaced():
    case, given = at_the_corner(0.0)
    other = draw(case, CELL, attempt=1)
    found = replaced(CELL, given, other, near_corners(case, CELL, given))
    x = found.inputs["x"]
    np.testing.assert_array_equal(x[:, 1], other.inputs["x"][:, 1])
    np.testing.assert_array_equal(x[:, ::2], given.inputs["x"][:, ::2])
    assert found.weights is given.weights


def test_every_attempt_draws_others_and_the_same_whenever_asked():
    case = small_case("indrnn", "training")
    cell = case.made()
    drawn = [draw(case, cell, attempt=k).inputs["x"] for k in (0, 1, 2, 1)]
    assert np.array_equal(drawn[1], drawn[3])
    assert not any(np.array_equal(drawn[k], drawn[k + 1]) for k in (0, 1))


@pytest.mark.parametrize("name, expected", [("indrnn", True), ("lstm_torch", False)])
def test_which_cells_have_corners(name, expected):
    assert has_corners(elman.cells[name]) is expected


@pytest.mark.torch
def test_a_measured_case_lies_at_no_corner(monkeypatch):
    """With a draw that begins at a corner, which float32 and float64 see from different sides."""
    case, bad = at_the_corner(0.0)

    def begun(case, cell, positive=False, attempt=0):
        return draw(case, cell, positive, attempt) if attempt else replace(bad)

    monkeypatch.setattr("elman.bench.measure.draw", begun)
    with NearCrew() as crew:
        measurer = Measurer(crew, Plan(rounds=2, seconds=0.05))
        row = measurer.row(case, [])
        given = measurer._clear_of_corners(case, CELL, False)
    assert row[ELMAN].has_run
    assert not near_corners(case, CELL, given).any()

"""The IR's law is checked after every pass in the tests, and the check can fail."""

from __future__ import annotations

import os

import pytest

from elman import cells
from elman.ir import Carry, Cell, Equation, Plan, System, Value, leaf, node
from elman.ir.check import holds
from elman.passes import STAGES

X = leaf("x", "input", "tb", 0, ("input",))
PAST = leaf("h", "state", "tb", 1, ("hidden",))


def test_the_law_is_on():
    assert os.environ["ELMAN_DEBUG"] == "1"


@pytest.mark.parametrize("name", cells)
def test_every_stage_of_every_cell_keeps_it(name):
    for stage in STAGES:
        assert cells[name].stage(stage)


def test_a_carry_that_changes_its_shape():
    with pytest.raises(AssertionError, match="carry h changes its shape"):
        holds(System("bad", (Carry("h", PAST, node("tanh", (X,))),), ()))


def test_a_stage_that_reads_what_is_not_held():
    unknown = leaf("z", "value", "tb", 0, ("hidden",))
    scan = (Value("h", node("tanh", (unknown,))),)
    with pytest.raises(AssertionError, match="before it is held"):
        holds(Plan("bad", (), (), (), scan, (), (), (), ()))


def test_a_total_outside_of_its_stage():
    total = Value("d_b", node("total", (X,), "tb"))
    with pytest.raises(AssertionError, match="a total in epilogue"):
        holds(Plan("bad", (), (), (), (), (total,), (), (), ()))


def test_two_equations_with_one_name():
    twice = Equation("h", node("tanh", (X,)))
    with pytest.raises(AssertionError, match="two equations"):
        holds(Cell((twice, twice), ("h",)))

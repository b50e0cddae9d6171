"""What cells say to dropout that they cannot have: each file in `drops/` is one message."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import elman
from elman.errors import ShapeProblem
from elman.nn.regularized import regularized
from tests.errors.golden import assert_says_a_way_out

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "drops"
MISTAKES = {  # the cell, and what is wished of it
    "E214_one": ("lstm", {"zoneout": 1.0}),
    "E214_percent": ("lstm", {"weight_drop": 50}),
    "E214_below": ("lstm", {"recurrent_dropout": -0.1}),
    "E214_by_name": ("lstm", {"zoneout": {"c": "often"}}),
    "E214_bool": ("lstm", {"variational_dropout": True}),
    "E214_three": ("lstm", {"variational_dropout": (0.1, 0.2, 0.3)}),
    "E214_pair": ("lstm", {"variational_dropout": (0.1, 2)}),
    "E228_weight_drop": ("indrnn", {"weight_drop": 0.5}),
    "E228_recurrent_dropout": ("indrnn", {"recurrent_dropout": 0.5}),
    "E228_zoneout": ("perceptron", {"zoneout": 0.5}),
    "E228_states": ("indrnn", {"variational_dropout": (0.1, 0.2)}),
    "E228_nothing": ("rnn_linear", {"variational_dropout": 0.2}),
    "E229_unknown": ("gru", {"zoneout": {"c": 0.5}}),
    "E229_capital": ("lstm", {"zoneout": {"C": 0.5, "h": 0.05}}),
    "E229_gate": ("lstm", {"zoneout": {"f": 0.5}}),
    "E229_none": ("perceptron", {"zoneout": {"h": 0.5}}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    cell, drops = MISTAKES[name]
    with pytest.raises(ShapeProblem) as caught:
        regularized(elman.cells[cell], **drops)
    assert_says_a_way_out(FOLDER / f"{name}.txt", f"{caught.value}\n", "ShapeProblem")


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)

"""What cells say to dropout that they cannot have: each file in `drops/` is one message."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import elman
from elman.errors import ShapeProblem
from elman.nn import LSTM, Recurrent
from elman.nn.refused_making import OPTIONS
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


@pytest.mark.parametrize("kind", ["Recurrent", "LSTM"])
def test_an_option_of_a_made_layer_stays(kind):
    layer = Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1])", 2, 3, zoneout=0.1)
    if kind == "LSTM":
        layer = LSTM(2, 3, zoneout=0.1)
    with pytest.raises(ShapeProblem) as caught:
        layer.zoneout = 0.0
    assert_says_a_way_out(FOLDER / "E244_set.txt", f"{caught.value}\n", "ShapeProblem")
    for name in OPTIONS:
        with pytest.raises(ShapeProblem, match=f"{name} cannot be changed"):
            setattr(layer, name, 0)
    layer.dropout, layer.note = 0.5, "the user's own"
    assert copy.deepcopy(layer).note == "the user's own"


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {*MISTAKES, "E244_set"}

"""Losses that cannot be taken: each file in `losses/` is the message of one mistake."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elman import Cell
from elman.errors import ElmanError
from tests.errors.golden import assert_golden

FOLDER = Path(__file__).parent / "losses"
CELL = "h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = softmax(V @ h[t])\ns[t] = sum(h[t])"


def trace(loss: Any = "cross_entropy", y: Any = (0, 1), **more: Any) -> None:
    cell = Cell(CELL, "words")
    shapes = cell.shapes(input=2, hidden=2, y=3)
    weights = {name: np.ones(shapes[name]) for name in cell.parameters}
    more = {"target": {"y": y}, **more}
    cell.trace({"x": np.ones((2, 2))}, weights, loss=loss, **more)


MISTAKES: dict[str, Callable[[], object]] = {
    "E460_unknown_loss": lambda: trace("mse"),
    "E460_misspelt_loss": lambda: trace("squared-error"),
    "E461_loss_and_cotangents": lambda: trace(cotangents={"y": np.ones((2, 3))}),
    "E461_no_target": lambda: trace(target=None),
    "E461_no_loss": lambda: trace(None),
    "E461_nothing_to_learn_from": lambda: trace(None, target=None, lr=0.1),
    "E462_rate_below_zero": lambda: trace(lr=-0.1),
    "E462_rate_no_number": lambda: trace(lr="fast"),
    "E463_not_by_name": lambda: trace(target=[0, 1]),
    "E463_unknown_output": lambda: trace(target={"z": [0, 1]}),
    "E463_of_an_input": lambda: trace(target={"x": [0, 1]}),
    "E464_too_few": lambda: trace(y=[2]),
    "E464_too_many": lambda: trace(y=[0, 1, 2]),
    "E464_no_list": lambda: trace(y=1),
    "E464_no_target_at_all": lambda: trace(y=[None, None]),
    "E464_wrong_size": lambda: trace("squared_error", y=[[1, 2], None]),
    "E465_a_word": lambda: trace(y=["love", None]),
    "E465_ragged": lambda: trace("squared_error", y=[None, [1, [2, 3]]]),
    "E465_nan_in_part": lambda: trace("squared_error", y=[None, [1, float("nan"), 0]]),
    "E465_infinite": lambda: trace("squared_error", y=[None, [1, float("inf"), 0]]),
    "E466_no_such_class": lambda: trace(y=[0, 3]),
    "E466_class_below_zero": lambda: trace(y=[-1, 0]),
    "E466_half_a_class": lambda: trace(y=[0.5, 1]),
    "E466_negative": lambda: trace(y=[None, [1.5, -0.5, 0]]),
    "E466_not_one": lambda: trace(y=[None, [0.5, 0.4, 0]]),
    "E467_one_entry": lambda: trace(target={"s": [0, 1]}),
}


def message(mistake: Callable[[], object]) -> str:
    with pytest.raises(ElmanError) as caught:
        mistake()
    return str(caught.value) + "\n"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    got = message(MISTAKES[name])
    assert_golden(FOLDER / f"{name}.txt", got)
    assert f"[{name[:4]}]" in got.splitlines()[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_message_says_a_way_out(name):
    headline, *rest = (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    assert re.fullmatch(r"\w+Problem \[E\d{3}\]: .*[^.]", headline)
    assert rest and re.search(r"[.?]$", rest[-1])


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)

"""What elman.accelerate says to what is no model: each file in `accelerate/` is one."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import elman  # noqa: E402 - after torch is known to be there
from tests.errors.golden import assert_golden  # noqa: E402

pytestmark = pytest.mark.torch
FOLDER = Path(__file__).parent / "accelerate"
MISTAKES = {
    "E556_a_class": lambda: elman.accelerate(torch.nn.LSTM),
    "E556_weights": lambda: elman.accelerate(torch.nn.LSTM(3, 5).state_dict()),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name):
    with pytest.raises(elman.ElmanError) as caught:
        MISTAKES[name]()
    assert_golden(FOLDER / f"{name}.txt", f"{caught.value}\n")


def test_every_golden_text_has_a_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)

"""What a backward pass looks like, line by line."""

from __future__ import annotations

import pytest

from tests.trace.backward_examples import FOLDER, LOOKS, backwards


@pytest.mark.parametrize("name", LOOKS)
def test_it_looks_as_it_did(name):
    assert backwards(name) == (FOLDER / f"{name}.txt").read_text("utf-8")


def test_every_golden_text_has_its_example():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(LOOKS)

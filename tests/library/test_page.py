"""docs/cells.md says what the library says today."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_cells():
    spec = importlib.util.spec_from_file_location("make_cells", DOCS / "make_cells.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(make_cells):
    assert (DOCS / "cells.md").read_text("utf-8") == make_cells.page(), "run `make docs`"


def test_every_entry_of_the_list_is_here_or_out_for_a_reason(make_cells):
    text = make_cells.coverage()
    assert "84 published cells" in text
    for number, (title, reason) in make_cells.MISSING.items():
        assert f"**{number}. {title}.** {reason}" in text

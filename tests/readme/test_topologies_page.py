"""Every block of the page on topologies runs, and prints what the page says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readme.blocks import run_section, sections

PAGE = Path(__file__).parents[2] / "docs" / "topologies.md"
BLOCKS = [block for blocks in sections(PAGE.read_text("utf-8")).values() for block in blocks]


@pytest.mark.torch
def test_the_page(tmp_path):
    run_section(BLOCKS, tmp_path)

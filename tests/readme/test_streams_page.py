"""Every block of the page on streams runs, and prints what the page says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readme.blocks import run_section, sections

PAGE = Path(__file__).parents[2] / "docs" / "streams.md"
SECTIONS = {name: blocks for name, blocks in sections(PAGE.read_text("utf-8")).items() if blocks}


TORCH = [pytest.param(h, marks=pytest.mark.torch) if "torch" in h else h for h in SECTIONS]


@pytest.mark.c
@pytest.mark.parametrize("heading", TORCH)
def test_section(heading, tmp_path):
    run_section(SECTIONS[heading], tmp_path)

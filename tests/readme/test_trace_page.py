"""Every block of the page on worked examples runs, and prints what the page says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readme.blocks import Block, run_section, sections

PAGE = Path(__file__).parents[2] / "docs" / "trace.md"
SECTIONS = {name: blocks for name, blocks in sections(PAGE.read_text("utf-8")).items() if blocks}
BEGIN = next(block for block in SECTIONS["Forward"] if block.kind == "python")


@pytest.mark.parametrize("heading", SECTIONS)
def test_section(heading, tmp_path):
    first = [] if heading == "Forward" else [Block("python", BEGIN.text, 1)]
    run_section([*first, *SECTIONS[heading]], tmp_path)

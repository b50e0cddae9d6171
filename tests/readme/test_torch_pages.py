"""The pages of docs/ about torch modules: every block runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readme.blocks import run_section, sections

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "dropins",
    "initialization",
    "layers",
    "long_sequences",
    "tagging",
    "topologies",
    "transforms",
)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch warns of its own
@pytest.mark.parametrize("page", PAGES)
def test_page(page, tmp_path):
    found = sections((DOCS / f"{page}.md").read_text("utf-8")).values()
    run_section([block for blocks in found for block in blocks], tmp_path)

"""The pages of docs/ about torch modules: every block runs, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.readme.blocks import run_section, sections  # noqa: E402

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


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch warns of its own
@pytest.mark.parametrize("page", PAGES)
def test_page(page, tmp_path):
    torch.compiler.reset()  # a graph of another test may be one too many for a page
    found = sections((DOCS / f"{page}.md").read_text("utf-8")).values()
    run_section([block for blocks in found for block in blocks], tmp_path)

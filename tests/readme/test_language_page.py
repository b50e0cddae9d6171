"""Every block of the page on the language runs, and prints what the page says it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from elman.language.functions import FUNCTIONS
from tests.readme.blocks import Block, run_section, sections

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
SECTIONS = {name: blocks for name, blocks in sections(PAGE.read_text("utf-8")).items() if blocks}


@pytest.mark.parametrize("heading", SECTIONS)
def test_section(heading, tmp_path):
    run_section([Block("python", "import elman", 1), *SECTIONS[heading]], tmp_path)


def test_every_function_is_on_the_page():
    page = PAGE.read_text("utf-8")
    spelled_otherwise = {
        "logistic",
        "swish",
        "logsigmoid",
        "ReLU",
        "heaviside",
        "maximum",
        "minimum",
    }
    assert {name for name in FUNCTIONS if name not in page} == spelled_otherwise

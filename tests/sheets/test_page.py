"""docs/sheets.md prints what the command prints."""

from __future__ import annotations

import re
from pathlib import Path

from elman import sheets
from elman.sheets.content import KEYS
from elman.sheets.verdicts import SEVERITY

PAGE = (Path(__file__).parents[2] / "docs" / "sheets.md").read_text("utf-8")


def test_the_example_is_true(tmp_path):
    text, output = re.findall(r"```\w+\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "rnn.sheet.yaml"
    path.write_text(text, "utf-8")
    assert output == f"$ elman check {path.name}\n{sheets.load(path).check()}\n"


def test_every_key_and_every_verdict_is_told():
    assert [key for key in KEYS if f"`{key}`" not in PAGE] == []
    assert [verdict for verdict in SEVERITY if f"| `{verdict}` |" not in PAGE] == []

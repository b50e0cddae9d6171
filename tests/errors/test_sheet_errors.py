"""Each file in `sheet/` is a sheet with one defect, a line of dashes, and the message it gets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from elman import sheets
from elman.errors import ElmanError
from tests.errors.golden import assert_golden

GOLDEN = sorted((Path(__file__).parent / "sheet").glob("*.txt"))
RULE = "----\n"
SOURCES = Path(sheets.__file__).parent


def message(text: str) -> str:
    path = Path("exercise.sheet.yaml")
    path.write_text(text, "utf-8")
    with pytest.raises(ElmanError) as caught:
        sheets.load(path).check()
    return str(caught.value) + "\n"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_message_is_the_golden_one(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, _, _ = path.read_text("utf-8").rpartition(RULE)
    assert_golden(path, message(text), text + RULE)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_message_names_its_code_the_file_and_a_way_out(path):
    headline, *rest = path.read_text("utf-8").rpartition(RULE)[2].splitlines()
    assert re.fullmatch(r"\w+Problem \[E\d{3}\]: .*[^.]", headline)
    assert f"[{path.stem[:4]}]" in headline
    assert "exercise.sheet.yaml" in "\n".join([headline, *rest]) or path.stem[:4] == "E601"
    assert rest or path.stem[:4] in ("E605", "E601")


def test_every_code_of_sheets_has_a_golden_text():
    codes = {c for p in SOURCES.glob("*.py") for c in re.findall(r'"(E6[23]\d)"', p.read_text())}
    assert codes <= {path.stem[:4] for path in GOLDEN}

"""docs/errors.md is what docs/make_errors.py writes, and docs/codes.txt knows every code."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_errors", ROOT / "docs" / "make_errors.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_errors"] = module  # its dataclass looks there for the names of its types
    spec.loader.exec_module(module)
    return module


def test_every_code_has_a_sentence_and_every_sentence_a_code(make):
    assert sorted(make.meanings()) == sorted(make.codes())


def test_every_sentence_ends(make):
    assert [code for code, said in make.meanings().items() if not said.endswith(".")] == []


def test_the_page_is_up_to_date(make):
    assert make.PAGE.read_text("utf-8") == make.page(), "run make docs"


def test_most_codes_show_an_example(make):
    without = [code for code in make.codes() if not any(make.examples(code))]
    ours = [code for code in without if code[:2] in ("E1", "E2", "E3", "E4", "E5", "W1")]
    assert len(ours) < 10, ours

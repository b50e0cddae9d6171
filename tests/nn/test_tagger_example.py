"""The tagger of examples/: with a CRF it is right more often, and never against the rules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.c]
PATH = Path(__file__).parents[2] / "examples" / "tagger.py"


def test_the_crf_wins():
    spec = importlib.util.spec_from_file_location("tagger", PATH)
    tagger = importlib.util.module_from_spec(spec)
    sys.modules["tagger"] = tagger  # its dataclass looks there for the names of its types
    spec.loader.exec_module(tagger)
    without, with_crf = tagger.compare(steps=100, texts_in_all=300)
    assert without.illegal > 100 and with_crf.illegal == 0
    assert with_crf.accuracy > without.accuracy + 0.02
    assert with_crf.f1 > without.f1 + 0.02

"""The fixtures of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from elman import sheets
from elman.sheets import Report

DATA = Path(__file__).parent / "data"
RNN = """equations: h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
weights: {W: [.4, .3], U: .5, b: .1}
inputs: {x: [[1, 2], [1.5, 2.5]]}
"""


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Report]:
    """The report on a sheet given as text; on claims alone with a head of its own."""

    def check(claims: str, head: str = RNN) -> Report:
        path = tmp_path / "exercise.sheet.yaml"
        body = "\n".join(f"  {line}" for line in claims.strip().splitlines())
        path.write_text(f"{head}claims:\n{body}\n", "utf-8")
        return sheets.load(path).check()

    return check

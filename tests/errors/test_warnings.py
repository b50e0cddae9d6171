"""Each file in `warnings/` is a text that is legal but odd, a line of dashes, and what it hears."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import elman
from elman.cell import published
from elman.errors import CellWarning
from elman.library import Library
from tests.errors.golden import assert_golden

GOLDEN = sorted((Path(__file__).parent / "warnings").glob("*.txt"))
RULE = "\n----\n"


def said(text: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = elman.Cell.from_latex if "\\" in text else elman.Cell
        read(text, name="elman")
    assert all(each.category is CellWarning for each in caught)
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_warning_is_the_golden_one(path):
    text, _ = path.read_text("utf-8").split(RULE)
    (warning,) = said(text)  # one oddity, one warning
    assert_golden(path, warning + "\n", text + RULE)
    assert f"[{path.stem[:4]}]" in warning


def test_every_warning_has_a_golden_text():
    sources = Path(elman.__file__).parent.rglob("*.py")
    texts = [source.read_text("utf-8") for source in sources]
    codes = {code for text in texts for code in re.findall(r'"(W\d{3})"', text)}
    assert codes == {path.stem[:4] for path in GOLDEN}


CLEAN = {
    "a peephole alone reads the new state": """
        o[t] = sigmoid(W @ x[t] + p * c[t])
        c[t] = 0.5 * c[t-1] + V @ x[t]
        h[t] = o[t] * tanh(c[t])
    """,
    "gates that differ in their letter": """
        z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)
        r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
        h[t] = z[t] * h[t-1] + (1 - z[t]) * tanh(W @ x[t] + U @ (r[t] * h[t-1]) + b)
    """,
    "a bias that also multiplies": "h[t] = tanh(W @ x[t] + b + U @ h[t-1] + d) + d * h[t-1]",
    "a bias that is scaled": "h[t] = tanh(W @ x[t] + b_i + x[t] * (U @ h[t-1] + b_h))",
    "a matrix and its vector": "h[t] = tanh(W_a @ x[t] + w_a * h[t-1])",
    "a gate that acts on a later step": """
        g[t] = sigmoid(W @ x[t])
        h[t] = g[t-1] * h[t-1] + x[t]
    """,
    "both sizes on purpose": "W: input, hidden\nh[t] = W @ h[t-1] + x[t]",
    "a product with brackets": "h[t] = (x[t] * u) @ h[t-1] + x[t]",
    "a scaled matrix": "alpha: scalar\nh[t] = alpha * U @ h[t-1] + W @ x[t]",
    "frozen on purpose": "W: frozen\nh[t] = where(W @ x[t] < 0, tanh(U @ h[t-1]), 0.5 * h[t-1])",
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN)
def test_what_is_meant_hears_nothing(text):
    assert said(text) == []


def test_the_cells_of_the_library_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        odd = Library(published)["lstm_torch"]
    assert {warning.code for warning in odd.warnings} == {"W103"}


def test_a_warning_points_at_the_line_of_the_user():
    with pytest.warns(CellWarning) as caught:
        elman.Cell("h[t] = tanh(W @ x[t] + b_x + U @ h[t-1] + b_h)")
    assert caught[0].filename == __file__

"""Worked examples in every format: `golden/formats/NAME.ENDING` is the text of each.

`python -m tests.trace.formats` writes the texts anew; read the difference before keeping it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import elman
from elman.trace import Trace
from tests.backends import table
from tests.trace.examples import GOLDEN, READ_OUT, READ_OUT_WEIGHTS, RNN, RNN_WEIGHTS

FOLDER = GOLDEN / "formats"
SIZES = (1, 2, 3, 9)  # one more than a vector that is shown whole
FORMATS: dict[str, Callable[[Trace], str]] = {
    "txt": lambda trace: trace.to_text() + "\n",
    "md": Trace.to_markdown,
    "tex": Trace.to_latex,
    "html": Trace.to_html,
    "csv": Trace.to_csv,
    "json": Trace.to_json,
    "blank.txt": lambda trace: trace.to_text(blank=True) + "\n",
    "blank.md": lambda trace: trace.to_markdown(blank=True),
    "blank.tex": lambda trace: trace.to_latex(blank=True),
}


def _read_out() -> Trace:
    """A vector, a matrix product beside the equation, a gloss, a note."""
    trace = elman.Cell(READ_OUT).trace({"x": [[1]]}, READ_OUT_WEIGHTS)
    return trace.rounded(2)


def _halves() -> Trace:
    """Forward and backward on numbers that every machine computes alike."""
    cell = elman.Cell("h[t] = W @ x[t] + u * h[t-1]  # 50 % of h[t-1] & more")
    weights = {"W": [[0.5, -1.0], [0.25, 2.0]], "u": [0.5, 0.5]}
    data = {"x": [[1.0, 2.0], [0.5, -1.0]]}, weights, {"h": [1.0, 0.0]}
    targets = {"h": [None, [1.0, -2.0]]}
    return cell.trace(*data, loss="squared_error", target=targets, lr=0.25)


def _scalar() -> Trace:
    """A backward pass with its chain of factors."""
    given = {"x": [[1, 2], [1.5, 2.5]]}, RNN_WEIGHTS
    return elman.Cell(RNN).trace(*given, cotangents={"h": [[0], [1]]})


EXAMPLES = {"read_out": _read_out, "halves": _halves, "scalar": _scalar}
# digits of a tanh differ from machine to machine in the last place
EXACT = {("read_out", "csv"), ("read_out", "json"), ("scalar", "csv"), ("scalar", "json")}
PAGES = [(name, ending) for name in EXAMPLES for ending in FORMATS if (name, ending) not in EXACT]


@functools.cache
def example(name: str) -> Trace:
    return EXAMPLES[name]()


def library(name: str, hidden: int, *, backward: bool = False) -> Trace:
    """Two steps of a cell of the table, on drawn numbers; also backwards from what it returns."""
    given, cell = table.data(name, table.Shape(2, 0, hidden)), table.cell(name)
    cotangents = {each: given.cotangents[each] for each in cell.returns} if backward else None
    return cell.trace(*given.parts().values(), sizes=given.sizes, cotangents=cotangents)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, ending in PAGES:
        (FOLDER / f"{name}.{ending}").write_text(FORMATS[ending](example(name)), encoding="utf-8")

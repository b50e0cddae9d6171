"""Backward passes and what they look like: `golden/backward/NAME.txt` is the text of each.

`python -m tests.trace.backward_examples` writes the texts anew; read the difference first.
"""

from __future__ import annotations

from collections.abc import Callable

import elman
from elman import Cell
from elman.trace import Trace
from tests.trace.examples import (
    GOLDEN,
    GRU_WEIGHTS,
    I_LOVE_DEEP,
    NEXT_WORD,
    NEXT_WORD_WEIGHTS,
    READ_OUT,
    READ_OUT_WEIGHTS,
)

FOLDER = GOLDEN / "backward"
SCALAR_LSTM = """
f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1])
i[t] = sigmoid(W_i @ x[t] + U_i @ h[t-1])
c_hat[t] = tanh(W_c @ x[t] + U_c @ h[t-1])
o[t] = sigmoid(W_o @ x[t] + U_o @ h[t-1])
c[t] = f[t] * c[t-1] + i[t] * c_hat[t]
h[t] = o[t] * tanh(c[t])
y[t] = 4 * h[t]
"""
SCALAR_LSTM_WEIGHTS = {
    "W_f": 0.5, "U_f": 0.1, "W_i": 0.6, "U_i": 0.2,
    "W_c": 0.7, "U_c": 0.3, "W_o": 0.8, "U_o": 0.4,
}  # fmt: skip

LOOKS: dict[str, Callable[[], Trace]] = {
    "scalar_lstm": lambda: Cell(SCALAR_LSTM).trace(
        {"x": [1.0, 2.0, 3.0]}, SCALAR_LSTM_WEIGHTS, cotangents={"y": [0, 0, 1]}
    ),
    "gru": lambda: elman.cells["gru"].trace(
        {"x": [[0.1, 0.2], [1, 0.5]]}, GRU_WEIGHTS, cotangents={"h": [0, 1]}
    ),
    "next_word": lambda: Cell(NEXT_WORD).trace(
        {"x": I_LOVE_DEEP},
        NEXT_WORD_WEIGHTS,
        loss="cross_entropy",
        target={"y": [1, None, 3]},
        lr=0.1,
    ),
    "read_out": lambda: Cell(READ_OUT).trace(
        {"x": [1, 2]}, READ_OUT_WEIGHTS, loss="squared_error", target={"y": [None, 1]}, lr=1
    ),
    "delay": lambda: Cell("h[0] = h0\nh[t] = tanh(W @ x[t] + U @ h[t-1] + V @ h[t-2] + b)").trace(
        {"x": [1, 0.5, 2]},
        {"W": 0.5, "U": 0.3, "V": 0.2, "b": 0, "h0": 0.1},
        cotangents={"h": [0, 0, 1]},
    ),
    "concatenation": lambda: Cell("h[t] = tanh(W @ [h[t-1], x[t], 1])").trace(
        {"x": [[1, 2], [0.5, -1]]},
        {"W": [[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, -0.3, 0.2, 0.1]]},
        {"h": [0.5, 0]},
        cotangents={"h": [[0, 0], [1, 0]]},
    ),
    "antisymmetric_rnn": lambda: elman.cells["antisymmetric_rnn"].trace(
        {"x": [[1, 2]]},
        {"U": [[0.1, 0.4], [-0.2, 0.3]], "W": [[0.5, 0.1], [0.2, 0.3]], "b": [0.1, 0]},
        {"h": [1, -1]},
        cotangents={"h": [[1, 1]]},
    ),
}  # fmt: skip


def backwards(name: str) -> str:
    """The text from the loss, or from the last step backwards, on."""
    sections = LOOKS[name]().to_text().split("\n\n")
    titles = [s.split("\n")[0] for s in sections]
    first = next(k for k, t in enumerate(titles) if t == "loss" or t.endswith(", backwards"))
    return "\n\n".join(sections[first:]) + "\n"


if __name__ == "__main__":
    for name in LOOKS:
        (FOLDER / f"{name}.txt").write_text(backwards(name), encoding="utf-8")

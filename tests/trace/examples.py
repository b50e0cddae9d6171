"""Worked examples and what their traces look like: `golden/NAME.txt` is the text of each.

`python -m tests.trace.examples` writes the texts anew; read the difference before keeping it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import elman
from elman.trace import Trace

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Example:
    cell: str  # a text, or a name of the library
    inputs: dict[str, Any]
    weights: dict[str, Any]
    state: dict[str, Any] = field(default_factory=dict)
    digits: int = 4

    def trace(self) -> Trace:
        known = self.cell in elman.cells
        cell = elman.cells[self.cell] if known else elman.Cell(self.cell)
        return cell.trace(self.inputs, self.weights, self.state)


RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
RNN_WEIGHTS = {"W": [0.4, 0.3], "U": 0.5, "b": 0.1}
READ_OUT = """
h[t] = tanh(W_x @ x[t] + W_h @ h[t-1] + b)
y[t] = W_hy @ h[t] + b_y  # read-out
"""
READ_OUT_WEIGHTS = {
    "W_x": [[0.5], [0.1]],
    "W_h": [[0.4, 0.2], [0.3, 0.7]],
    "b": [0, 0],
    "W_hy": [1, -1],
    "b_y": 0,
}
LSTM_WEIGHTS = {
    "W_f": [0.2, 0.4], "U_f": 0.5, "b_f": 0.1,
    "W_i": [0.3, 0.7], "U_i": 0.6, "b_i": 0.2,
    "W_o": [0.6, 0.9], "U_o": 0.4, "b_o": 0.3,
    "W_c": [0.5, 0.8], "U_c": 0.3, "b_c": 0,
}  # fmt: skip
GRU_WEIGHTS = {
    "W_r": [0.2, 0.4], "U_r": 0.5, "b_r": 0.1,
    "W_z": [0.3, 0.7], "U_z": 0.6, "b_z": 0.2,
    "W_n": [0.6, 0.9], "U_n": 0.4, "b_n": 0.3,
}  # fmt: skip
NEXT_WORD = """
h[t] = tanh(W_h @ x[t] + U_h @ h[t-1] + b_h)
y[t] = softmax(W_y @ h[t] + b_y)  # the next word
"""
NEXT_WORD_WEIGHTS = {
    "W_h": [[0.2, -0.3, 0.1, 0.4, 0.1], [0.5, 0.1, -0.2, 0.2, -0.4], [-0.1, 0.3, 0.2, -0.1, 0.2]],
    "U_h": [[0.1, 0.3, -0.2], [0.4, -0.1, 0.5], [-0.3, 0.2, 0.1]],
    "b_h": [0.1, 0.1, -0.1],
    "W_y": [
        [-0.2, 0.1, 0.2],
        [0.3, -0.4, 0.5],
        [0.1, 0.2, -0.3],
        [-0.5, 0.4, 0.1],
        [0.2, -0.1, 0.3],
    ],
    "b_y": [0, 0.1, 0, 0.1, 0],
}
I_LOVE_DEEP = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
SHORT, EXERCISE = {"x": [[0.1, 0.2]]}, {"x": [[-1, 1], [1, -1]]}

EXAMPLES = {
    "1_rnn": Example(RNN, {"x": [[1, 2], [1.5, 2.5]]}, RNN_WEIGHTS),
    "1_rnn_exercise": Example(RNN, {"x": [[-1, 1], [1, -1], [1, 1]]}, RNN_WEIGHTS, digits=6),
    "2_read_out": Example(READ_OUT, {"x": [[1]]}, READ_OUT_WEIGHTS, digits=6),
    "3_lstm": Example("lstm", SHORT, LSTM_WEIGHTS, digits=6),
    "3_lstm_exercise": Example("lstm", EXERCISE, LSTM_WEIGHTS, digits=6),
    "4_gru": Example("gru", SHORT, GRU_WEIGHTS, digits=6),
    "4_gru_exercise": Example("gru", EXERCISE, GRU_WEIGHTS, digits=6),
    "4_gru_take_new": Example("gru_take_new", SHORT, GRU_WEIGHTS, digits=6),
    "4_gru_take_new_exercise": Example("gru_take_new", EXERCISE, GRU_WEIGHTS, digits=6),
    "5_next_word": Example(NEXT_WORD, {"x": I_LOVE_DEEP}, NEXT_WORD_WEIGHTS, digits=6),
    "antisymmetric_rnn": Example(
        "antisymmetric_rnn",
        {"x": [[1, 2]]},
        {"U": [[0.1, 0.4], [-0.2, 0.3]], "W": [[0.5, 0.1], [0.2, 0.3]], "b": [0.1, 0]},
        {"h": [1, -1]},
    ),
    "concatenation": Example(
        "h[t] = tanh(W @ [h[t-1], x[t], 1])  # the bias is a column",
        {"x": [[1, 2], [0.5, -1]]},
        {"W": [[0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, -0.3, 0.2, 0.1]]},
        {"h": [0.5, 0]},
    ),
    "delay": Example(
        "h[t] = W @ x[t] - V @ x[t-2] + U @ h[t-1]",
        {"x": [[1, 2], [3, 4], [5, 6]]},
        {"W": [0.1, 0.2], "V": [0.3, 0.4], "U": 0.5},
        {"x[t-2]": [-1, 1]},
    ),
    "elided": Example(
        "h[t] = tanh(W @ x[t] + u * h[t-1])",
        {"x": [[k / 4 for k in range(20)]]},
        {"W": [[(i - j) / 100 for j in range(20)] for i in range(12)], "u": [0.5] * 12},
    ),
    "invariant_stream": Example(
        "v: per sequence  # the picture\nh[t] = x[t]**2 + -h[t-1] / (v[t] - 0.00001)",
        {"x": [[2.0], [-3.0]], "v": [4.0]},
        {},
    ),
    "where": Example(
        "h[t] = where(x[t] > 0.5, x[t], 0.5 * h[t-1])  # holds, or fades",
        {"x": [[1, 0.2], [0.1, 3]]},
        {},
    ),
}


if __name__ == "__main__":
    for name, example in EXAMPLES.items():
        text = example.trace().to_text(digits=example.digits)
        (GOLDEN / f"{name}.txt").write_text(text + "\n", encoding="utf-8")

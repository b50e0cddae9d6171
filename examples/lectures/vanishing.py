"""Gradients that vanish and gradients that explode: what the first input does to the last state.

The gradient goes back through a product with one factor a step. Below 1 the product dies out, above
1 it grows without bound; the last rows are remedies, ReLU and the LSTM's forget gate.
"""

import numpy as np

import elman

STEPS = (1, 5, 10, 20, 40)
PLAIN = {"W": 1, "b": 0}
LSTM = dict.fromkeys(elman.cells["lstm"].parameters, 0)
LSTM |= {"W_i": 1, "W_c": 1, "b_o": 2}

NETWORKS = {
    "tanh, U = 0.5": ("rnn", PLAIN | {"U": 0.5}),
    "tanh, U = 1": ("rnn", PLAIN | {"U": 1}),
    "linear, w = 0.5": ("rnn_linear", {"u": 1, "w": 0.5}),
    "linear, w = 1.5": ("rnn_linear", {"u": 1, "w": 1.5}),
    "ReLU, U = 1": ("rnn_relu", PLAIN | {"U": 1}),
    "LSTM, b_f = 0": ("lstm", LSTM),
    "LSTM, b_f = 5": ("lstm", LSTM | {"b_f": 5}),
}


def gradient(name, weights, steps):
    """dh[last] / dx[first]: 1 is shown at the first step, and zeros after it."""
    x, wanted = np.zeros(steps), np.zeros(steps)
    x[0] = wanted[-1] = 1
    cell = elman.cells[name]
    found = cell.gradients({"x": x}, weights, cotangents={"h": wanted}, backend="numpy")
    return found["x"].ravel()[0]


print(f"{'steps':<16}" + "".join(f"{steps:>12}" for steps in STEPS))
for words, (name, weights) in NETWORKS.items():
    row = "".join(f"{gradient(name, weights, steps):12.3g}" for steps in STEPS)
    print(f"{words:<16}{row}")

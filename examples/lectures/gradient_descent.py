"""Gradient descent on one example: forward, loss, backward, update, and again.

The network of gradient_step.sheet.yaml goes on from its first step. Its target is 1, the loss the
squared error, and the learning rate 1.
"""

import elman

cell = elman.cells["rnn"]
weights = {"W": [0.4, 0.3], "U": 0.5, "b": 0.1}

print(f"{'step':>4}{'h[1]':>10}{'E':>10}   new W, U and b")
for step in range(1, 7):
    trace = cell.trace({"x": [[1, 2]]}, weights, loss="squared_error", target={"h": [1]}, lr=1)
    weights = trace.updated
    numbers = "  ".join(f"{n:.4f}" for name in "WUb" for n in weights[name].ravel())
    print(f"{step:>4}{trace.values['h'].item():10.6f}{trace.loss:10.6f}   {numbers}")

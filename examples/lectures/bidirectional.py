"""A bidirectional network: one that reads the sentence from both ends.

One cell reads the steps forward, another of its kind backward. The read-out sees what both have
made of a word, and the word itself. Any cell may stand in the two places.
"""

import numpy as np

import elman

X = np.array([[1, 0], [0, 1], [0, 1]])


def weights_of(cell, seed, **sizes):
    """Friendly numbers, one decimal each."""
    random = np.random.default_rng(seed)
    shapes = cell.shapes(**sizes)
    return {name: random.integers(-9, 10, shapes[name]) / 10 for name in cell.parameters}


def both_ways(block, x):
    """What a cell makes of every step going forward, and another of its kind going backward."""
    size = {"input": 2, "hidden": 1}
    forward = block.trace({"x": x}, weights_of(block, seed=1, **size))
    backward = block.trace({"x": x[::-1]}, weights_of(block, seed=2, **size))
    return forward.values["h"], backward.values["h"][::-1]


read_out = elman.cells["bidirectional_read_out"]
weights = weights_of(read_out, seed=3, x=2, a_forward=1, a_backward=1, y=2)
print("\n".join(line for line in str(read_out).splitlines() if "[t] =" in line))
for name in ("rnn", "gru", "lstm"):
    a_forward, a_backward = both_ways(elman.cells[name], X)
    streams = {"a_forward": a_forward, "a_backward": a_backward, "x": X}
    y = read_out.trace(streams, weights).values["y"]
    print(f"\n{name:<6}{'a_forward':>12}{'a_backward':>12}{'y':>18}")
    for t in range(len(X)):
        print(f"{t + 1:>4}  {a_forward[t, 0]:12.4f}{a_backward[t, 0]:12.4f}", end="")
        print(f"{y[t, 0]:12.4f}{y[t, 1]:9.4f}")

changed = X.copy()
changed[-1] = [1, 0]
print("\nWith another last word, what is changed at step 1?")
for name in ("rnn", "gru", "lstm"):
    differences = [
        abs(b[0, 0] - a[0, 0])
        for a, b in zip(
            both_ways(elman.cells[name], X), both_ways(elman.cells[name], changed), strict=True
        )
    ]
    print(f"  {name:<6} forward {differences[0]:.4f}, backward {differences[1]:.4f}")

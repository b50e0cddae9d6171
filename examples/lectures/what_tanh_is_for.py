"""What tanh is for: one vector sent through the same map again and again, without it and with it.

Every step triples the vector. Without tanh it grows without bound; with tanh it stays between
-1 and 1, and keeps its signs.
"""

import numpy as np

import elman

STEPS = 10
x = [[5, 0.1, -0.5], *np.zeros((STEPS - 1, 3))]  # the vector comes in at the first step
A = 3 * np.eye(3)

for name in ("repeated_map", "repeated_map_tanh"):
    cell = elman.cells[name]
    print(str(cell).splitlines()[-1])
    h = cell.trace({"x": x}, {"A": A}).values["h"]
    for t in (1, 2, 3, STEPS):
        print(f"  step {t:>2}: " + "  ".join(f"{value:12.4f}" for value in h[t - 1]))
    print()

"""Three steps to the LSTM: selective write, selective read, selective forget.

A 1 is shown at the first step, and zeros after it. The same weights serve all three cells, so the
columns differ only by what each step adds to the equations. With selective write alone the 1 is
gone at once; with selective read it stays for ever, while s only grows; with selective forget it
fades as slowly as the forget gate says.
"""

import elman

CELLS = {
    "write": "lstm_selective_write",
    "write, read": "lstm_write_read",
    "all three": "lstm_selective",
}
WEIGHTS = {"W_o": 0.5, "U_o": 1, "b_o": 0, "W_i": 0.5, "U_i": 4, "b_i": -3}
WEIGHTS |= {"W_f": 0.5, "U_f": 1, "b_f": 2, "W": 0.5, "U": 3, "b": -2, "V": [[1]], "c": [0]}
SHOWN = [1, 0, 0, 0, 0, 0, 0, 0]


def states(x):
    """What each cell keeps in s at every step."""
    found = {}
    for words, name in CELLS.items():
        cell = elman.cells[name]
        weights = {key: WEIGHTS[key] for key in cell.parameters}
        found[words] = cell.trace({"x": x}, weights).values["s"].ravel()
    return found


for words, name in CELLS.items():
    print(f"{words}:")
    equations = [line for line in str(elman.cells[name]).splitlines() if "[t] =" in line]
    print("\n".join(f"  {line.partition('  #')[0]}" for line in equations), end="\n\n")

with_it, without = states(SHOWN), states([0] * len(SHOWN))
print("The state s:")
print(f"{'step':>4} {'x':>2}" + "".join(f"{words:>14}" for words in CELLS))
for t, x in enumerate(SHOWN):
    print(f"{t + 1:>4} {x:>2}" + "".join(f"{with_it[words][t]:14.4f}" for words in CELLS))

print("\nHow much of the 1 is left in s (s, less what s is after a 0):")
for t in range(len(SHOWN)):
    left = "".join(f"{with_it[words][t] - without[words][t]:14.4f}" for words in CELLS)
    print(f"{t + 1:>4}   {left}")

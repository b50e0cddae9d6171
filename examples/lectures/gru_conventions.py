"""One GRU, four conventions, four answers.

The reset gate stands before or after the product with U_n, and z keeps the old state or takes the
new. All four are called GRU. The weights are the same; a line or two differ each time. The command
says where they part.
"""

# $ elman compare gru gru_reset_after gru_take_new --weights gru_conventions.yaml --x 1 --state h=.5

import elman

SPLIT = {"W_z": 0.5, "U_z": 0.1, "W_r": 0.6, "U_r": 0.2, "W_n": 0.7, "U_n": 0.3}
SPLIT |= {"b_z": 0, "b_r": 0, "b_n": 0.2}
# where the reset comes after the product there are two biases; b_hn stands inside it
TORCH = {"W_iz": 0.5, "W_hz": 0.1, "W_ir": 0.6, "W_hr": 0.2, "W_in": 0.7, "W_hn": 0.3}
TORCH |= {"b_iz": 0, "b_hz": 0, "b_ir": 0, "b_hr": 0, "b_in": 0, "b_hn": 0.2}

CONVENTIONS = {
    "gru_reset_after": ("reset after, keep old (torch)", TORCH),
    "gru": ("reset before, keep old", SPLIT),
    "gru_reset_after_take_new": ("reset after, take new", TORCH),
    "gru_take_new": ("reset before, take new", SPLIT),
}

print(f"{'convention':<30}{'r':>9}{'z':>9}{'n':>9}{'h':>9}")
for name, (words, weights) in CONVENTIONS.items():
    values = elman.cells[name].trace({"x": [1]}, weights, {"h": 0.5}).values
    print(f"{words:<30}" + "".join(f"{values[v].item():9.4f}" for v in ("r", "z", "n", "h")))

"""The scalar LSTM that circulates, backwards: what each input did to the prediction.

The prediction is four times the last state, so the gradient that comes in at h[3] is 4.
"""

import elman

WEIGHTS = {"W_f": 0.5, "W_i": 0.6, "W_c": 0.7, "W_o": 0.8}
WEIGHTS |= {"U_f": 0.1, "U_i": 0.2, "U_c": 0.3, "U_o": 0.4}
WEIGHTS |= {"b_f": 0, "b_i": 0, "b_c": 0, "b_o": 0}

cell = elman.cells["lstm"]
trace = cell.trace({"x": [1, 2, 3]}, WEIGHTS, cotangents={"h": [0, 0, 4]})

print("h  ", trace.values["h"].ravel().round(4))
print("y  ", (4 * trace.values["h"][-1]).round(4))
print("dy/dx", trace.gradients["x"].ravel().round(4), end="\n\n")
text = str(trace)
print(text[text.index("step 3, backwards") :])

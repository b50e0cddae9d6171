"""What the gates do, to look at (keras#1204, #7834; keract#16).

Layers keep their gates to themselves. Here every line of the equations has a name, and
`return_states` gives its values at every step, with their gradients.
"""

import numpy as np
import torch

import elman

torch.manual_seed(0)
lstm = elman.cells["lstm"]
layer = elman.nn.Recurrent(lstm, 1, 3, return_states=("f", "i", "o"), dtype=torch.float64)
with torch.no_grad():  # a unit that writes where the input is large, and forgets where it is not
    for name, value in (("W_i", 8.0), ("b_i", -4.0), ("W_f", -8.0), ("b_f", 4.0)):
        getattr(layer, f"{name}_l0")[0] = value
x = torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 1], dtype=torch.float64).reshape(-1, 1, 1)
output, state, seen = layer(x)
assert all(values.shape == (1, 8, 1, 3) for values in seen.values())

weights = {name.removesuffix("_l0"): w.detach().numpy() for name, w in layer.named_parameters()}
run = lstm.run({"x": x[:, 0].numpy()}, weights, backend="numpy")
for name, values in seen.items():
    np.testing.assert_allclose(values[0, :, 0].detach(), run[name], atol=1e-12)
h = np.concatenate([np.zeros((1, 3)), run["h"][:-1]])
f = 1 / (1 + np.exp(-(x[:, 0].numpy() @ weights["W_f"].T + h @ weights["U_f"].T + weights["b_f"])))
np.testing.assert_allclose(seen["f"][0, :, 0].detach(), f, atol=1e-12)

print("step   " + " ".join(f"{t + 1:4}" for t in range(8)))
print("x      " + " ".join(f"{v:4.0f}" for v in x.ravel().tolist()))
for name, values in seen.items():
    print(f"{name}[t]   " + " ".join(f"{v:4.2f}" for v in values[0, :, 0, 0].tolist()))
(slope,) = torch.autograd.grad(seen["f"].sum(), layer.W_f_l0)
print("a gate has a gradient, too:", [round(v, 3) for v in slope.ravel().tolist()])

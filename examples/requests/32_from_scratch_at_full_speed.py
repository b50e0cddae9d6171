"""An LSTM from scratch that is not ten times slower (Recurrent-NN-from-scratch#1).

Who writes an LSTM to understand it gets a loop that is slow to train. Here the equations that one
has understood are what runs, and every number of a step can be seen.
"""

from timeit import timeit

import torch

import elman

EQUATIONS = """
    f[t] = sigmoid(W_f @ [h[t-1], x[t]] + b_f)   # what to keep
    i[t] = sigmoid(W_i @ [h[t-1], x[t]] + b_i)   # what to write
    o[t] = sigmoid(W_o @ [h[t-1], x[t]] + b_o)   # what to show
    g[t] = tanh(W_g @ [h[t-1], x[t]] + b_g)      # what there is to write
    c[t] = f[t] * c[t-1] + i[t] * g[t]
    h[t] = o[t] * tanh(c[t])
    return h
"""
layer = elman.nn.Recurrent(EQUATIONS, 32, 64)
w = {name.removesuffix("_l0"): weight for name, weight in layer.named_parameters()}


def from_scratch(x):
    h = c = torch.zeros(x.shape[1], 64)
    for x_t in x:
        joined = torch.cat([h, x_t], dim=1)
        f, i, o = (torch.sigmoid(joined @ w[f"W_{k}"].T + w[f"b_{k}"]) for k in "fio")
        c = f * c + i * torch.tanh(joined @ w["W_g"].T + w["b_g"])
        h = o * torch.tanh(c)
    return h


x, built_in = torch.randn(100, 32, 32), torch.nn.LSTM(32, 64)
torch.testing.assert_close(layer(x)[0][-1], from_scratch(x))
lasts = {"elman": lambda x: layer(x)[0][-1], "torch.nn.LSTM": lambda x: built_in(x)[0][-1]}
runs = {"from scratch": from_scratch, **lasts}
steps = [lambda run=run: run(x).sum().backward() for run in runs.values()]
rounds = [[timeit(step, number=1) for step in steps] for _ in range(7)]
for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
    print(f"{name:<14}{min(times) * 1e3:8.2f} ms a training step")
tiny = {f"{k}_{gate}": [0.5, 0.5] if k == "W" else 0.1 for k in "Wb" for gate in "fiog"}
print(layer.cell.trace({"x": [[1.0]]}, tiny))

"""A cell of one's own that is as fast as a built-in one (pytorch#711, #20060, PR#48474).

The built-in layers are fused, and a cell of one's own is a loop in Python. Here both are
equations: this one, the minimal gated unit, runs in the same kind of kernel as the GRU.
"""

from timeit import timeit

import torch

import elman

EQUATIONS = """
    f[t] = sigmoid(W_f @ x[t] + U_f @ h[t-1] + b_f)
    n[t] = tanh(W_n @ x[t] + U_n @ (f[t] * h[t-1]) + b_n)
    h[t] = (1 - f[t]) * h[t-1] + f[t] * n[t]
"""
layer = elman.nn.Recurrent(EQUATIONS, input_size=64, hidden_size=128)
own = {name.removesuffix("_l0"): weight for name, weight in layer.named_parameters()}


def loop(x):
    h = x.new_zeros(x.shape[1], 128)
    outputs = []
    for x_t in x:
        f = torch.sigmoid(x_t @ own["W_f"].T + h @ own["U_f"].T + own["b_f"])
        n = torch.tanh(x_t @ own["W_n"].T + (f * h) @ own["U_n"].T + own["b_n"])
        h = (1 - f) * h + f * n
        outputs.append(h)
    return torch.stack(outputs)


x = torch.randn(100, 32, 64)
torch.testing.assert_close(layer(x)[0], loop(x))
built_in = torch.nn.GRU(64, 128)
runs = {
    "the cell of one's own": lambda: layer(x)[0].sum().backward(),
    "torch.nn.GRU": lambda: built_in(x)[0].sum().backward(),
    "the loop": lambda: loop(x).sum().backward(),
}
rounds = [[timeit(run, number=1) for run in runs.values()] for _ in range(7)]
for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
    print(f"{name:<22}{min(times) * 1e3:8.2f} ms a training step")

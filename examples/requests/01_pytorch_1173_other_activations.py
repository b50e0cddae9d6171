"""Another activation in an LSTM (pytorch#1173, #1932, #112019; TensorFlow#24375, #46065, #23297).

A fused kernel has its tanh built in. Here it is a symbol of the equations: change it, and
kernels, gradients and C code are made from what then stands there. (Also oneDNN#792,
deeplearning4j#8197.)
"""

from timeit import timeit

import torch
import torch.nn.functional as F

import elman

cell = elman.Cell(str(elman.cells["lstm"]).replace("tanh", "elu"), name="lstm_elu")
assert "h[t] = o[t] * elu(c[t])" in cell.code("c")
layer = elman.nn.Recurrent(cell, 32, 64)
W, U, b = ([getattr(layer, f"{kind}_{gate}_l0") for gate in "fioc"] for kind in "WUb")


def loop(x):
    """The same, as one writes it in torch."""
    h = c = x.new_zeros(x.shape[1], 64)
    outputs = []
    for x_t in x:
        f, i, o, g = (x_t @ W[k].T + h @ U[k].T + b[k] for k in range(4))
        c = f.sigmoid() * c + i.sigmoid() * F.elu(g)
        h = o.sigmoid() * F.elu(c)
        outputs.append(h)
    return torch.stack(outputs)


def gradients(outputs):
    return torch.autograd.grad(outputs.square().mean(), list(layer.parameters()))


x = torch.randn(100, 16, 32)
torch.testing.assert_close(layer(x)[0], loop(x))
torch.testing.assert_close(gradients(layer(x)[0]), gradients(loop(x)))
runs = [lambda: gradients(layer(x)[0]), lambda: gradients(loop(x))]
rounds = [[timeit(run, number=1) for run in runs] for _ in range(7)]
ours, theirs = map(min, zip(*rounds, strict=True))
print(f"{cell.name}: {layer.explain()}")
print(f"a training step takes the loop in torch {theirs / ours:.1f} times as long")

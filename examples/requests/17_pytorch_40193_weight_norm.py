"""Weight norm, DropConnect and parametrizations of recurrent weights (pytorch#40193, #32346).

torch warns of weights that lie in several pieces, or breaks. Here weights are plain tensors that
are read at each call, and weights made of others are equations. (Also #86457, #24155, #2460,
awd-lstm-lm#120.)
"""

import copy
import warnings

import torch
from torch.nn.utils import parametrizations, parametrize, prune

import elman

HH = "weight_hh_l0"
warnings.simplefilter("error")
torch.manual_seed(0)
x = torch.randn(20, 4, 8, dtype=torch.float64)
theirs = torch.nn.LSTM(8, 8, dtype=torch.float64)
ours = elman.nn.LSTM(8, 8, dtype=torch.float64)
ours.load_state_dict(theirs.state_dict())


ways = {
    "weight_norm": lambda layer: parametrizations.weight_norm(layer, HH),
    "parametrize": lambda layer: parametrize.register_parametrization(layer, HH, torch.nn.Tanh()),
    "prune": lambda layer: prune.random_unstructured(layer, HH, 0.5),
}
for name, change in ways.items():
    found = []
    for layer in (copy.deepcopy(ours), copy.deepcopy(theirs)):
        torch.manual_seed(1)
        change(layer)
        output = layer(x)[0]
        found += [(output, torch.autograd.grad(output.square().sum(), list(layer.parameters())))]
    torch.testing.assert_close(*found)
    print(f"{name}: outputs and gradients of torch's")

cell = elman.Cell("A = U - U.T\nh[t] = h[t-1] + 0.1 * tanh(A @ h[t-1] + W @ x[t])")
dropped = elman.nn.Recurrent(cell, 8, 8, weight_drop=0.5)
print(dropped.cell, dropped.explain(), sep="\n")

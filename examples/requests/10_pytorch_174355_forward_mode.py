"""Forward-mode differentiation of a GRU (pytorch#174355, PR#174376).

`jvp` asks for the derivative of every operation; the fused GRU of cuDNN has none. Here a layer
under `jvp` runs through operations of torch, with the same numbers. (This is the half without a
GPU.)
"""

import torch
from torch.func import functional_call, jvp, vjp

import elman

torch.manual_seed(0)
layer = elman.nn.GRU(3, 5, num_layers=2, dtype=torch.float64)
weights = {name: weight.detach() for name, weight in layer.named_parameters()}
x, v = torch.randn(2, 20, 4, 3, dtype=torch.float64)
dw = {name: torch.randn_like(weight) for name, weight in weights.items()}


def run(weights, x):
    return functional_call(layer, weights, (x,))[0]


y, tangent = jvp(run, (weights, x), (dw, v))
torch.testing.assert_close(y, layer(x)[0])

eps = 1e-6  # against differences
ahead, behind = (
    run({name: w + e * dw[name] for name, w in weights.items()}, x + e * v) for e in (eps, -eps)
)
torch.testing.assert_close(tangent, (ahead - behind) / (2 * eps), rtol=1e-6, atol=1e-8)

u = torch.randn_like(y)  # against the backward pass of the kernels: <J v, u> = <v, J' u>
leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
x.requires_grad_()
back = torch.autograd.grad(run(leaves, x), [*leaves.values(), x], u)
other = sum((d * g).sum() for d, g in zip([*dw.values(), v], back, strict=True))
torch.testing.assert_close((tangent * u).sum(), other)

_, pull = vjp(run, weights, x.detach())
torch.testing.assert_close(pull(u)[1], back[-1])
print("jvp agrees with differences, with the kernels' backward pass and with vjp")

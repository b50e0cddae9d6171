"""Per-sample gradients, Jacobians and ensembles (pytorch#112459, #134606, #144850, #105311).

`torch.func.vmap` over a recurrent layer of torch goes sample by sample, or fails. Here a layer
under vmap runs through operations of torch that have a batch of their own. (Also #111082;
functorch#998, #1089, #1147, tutorials#2566.)
"""

import torch
from torch.func import functional_call, grad, jacfwd, jacrev, stack_module_state, vmap

import elman

torch.manual_seed(0)
f64 = torch.float64
layer = elman.nn.LSTM(3, 4, dtype=f64)
weights = {name: weight.detach() for name, weight in layer.named_parameters()}
x, target = torch.randn(10, 6, 3, dtype=f64), torch.randn(6, 4, dtype=f64)


def loss(weights, x, target):
    return (functional_call(layer, weights, (x,))[0][-1] - target).square().sum()


found = vmap(grad(loss), in_dims=(None, 1, 0))(weights, x, target)
for k in range(6):
    alone = (layer(x[:, k])[0][-1] - target[k]).square().sum()
    expected = torch.autograd.grad(alone, list(layer.parameters()))
    torch.testing.assert_close([each[k] for each in found.values()], list(expected))
print("the gradient of every sample is that of a call of its own")

cells = [elman.nn.Recurrent(elman.cells["gru"], 3, 4, dtype=f64) for _ in range(5)]
stacked, _ = stack_module_state(cells)
together = vmap(lambda w: functional_call(cells[0], w, (x,))[0])(stacked)
torch.testing.assert_close(together, torch.stack([cell(x)[0] for cell in cells]))
print("an ensemble of five in one call:", tuple(together.shape))


def last(x):
    return cells[0](x)[0][-1]


torch.testing.assert_close(jacrev(last)(x[:, 0]), jacfwd(last)(x[:, 0]))
jacobian = torch.autograd.functional.jacobian(last, x[:, 0])
torch.testing.assert_close(jacrev(last)(x[:, 0]), jacobian)
print("jacrev, jacfwd and autograd agree:", tuple(jacobian.shape))

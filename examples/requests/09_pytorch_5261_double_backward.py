"""Derivatives of derivatives (pytorch#5261, #9229, #25315, #2691, #20449).

Gradient penalties, meta-learning and trust regions differentiate the gradient of a recurrent
layer; with cuDNN the advice is to turn it off. Here `create_graph=True` is all. (Also
TRPO-in-MARL#14, savn#31, seq2seq-wgan#2, ContinuousParetoMTL#4.)
"""

import torch

import elman

torch.manual_seed(0)
x = torch.randn(12, 4, 3, dtype=torch.float64, requires_grad=True)
theirs = torch.nn.LSTM(3, 5, dtype=torch.float64)
ours = elman.nn.LSTM(3, 5, dtype=torch.float64)
ours.load_state_dict(theirs.state_dict())


def penalty(layer):
    """WGAN-GP: the norm of the critic's gradient is to be 1."""
    (slope,) = torch.autograd.grad(layer(x)[0][-1].sum(), x, create_graph=True)
    return ((slope.norm(dim=(0, 2)) - 1) ** 2).mean()


def curvature(layer):
    """The Hessian of a loss times a vector, as in trust-region methods."""
    weights = list(layer.parameters())
    slopes = torch.autograd.grad(layer(x)[0].square().mean(), weights, create_graph=True)
    along = sum(slope.sum() for slope in slopes)
    return torch.autograd.grad(along, weights)


for second in (penalty, curvature):
    torch.testing.assert_close(second(ours), second(theirs), rtol=1e-9, atol=1e-12)
found = torch.autograd.grad(penalty(ours), list(ours.parameters()))
expected = torch.autograd.grad(penalty(theirs), list(theirs.parameters()))
torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
print(f"gradient penalty {penalty(ours).item():.6f} and its gradients are those of torch.nn.LSTM")

layer = elman.nn.Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1]) * g\ng: scalar", 2, 3).double()
small = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], small)
print("gradgradcheck of a cell of one's own passes")

"""Dropout within the recurrence (pytorch#4498, #15987, #37731, #561; TF#38236, #40944).

Zoneout, variational and recurrent dropout take torch's and Keras' layers off their fast path.
Here they are masks in the equations, drawn in the kernel and drawn again to go back.
"""

from timeit import timeit

import torch

import elman

torch.manual_seed(0)


def linear(**options):
    layer = elman.nn.Recurrent("h[t] = W @ x[t] + U @ h[t-1]", 50, 50, **options)
    weights = {"W_l0": torch.eye(50), "U_l0": torch.full((50, 50), 0.01)}
    return lambda x: torch.func.functional_call(layer, weights, (x,))[0]


ones = torch.ones(2, 40, 50)
seen = linear(variational_dropout=(0.3, 0.0))(ones)
left = (seen[0] != 0).float()
torch.testing.assert_close(seen[0], left / 0.7)
torch.testing.assert_close(seen[1], left / 0.7 + 0.01 * seen[0].sum(-1, keepdim=True))
print("variational dropout: one mask a sequence, the same at every step")
seen = linear(zoneout=0.2)(torch.randn(60, 40, 50))
stay = (seen[1:] == seen[:-1]).float().mean()
assert abs(stay - 0.2) < 0.01
print(f"zoneout=0.2: {stay:.3f} of the units stay as they are")
seen = linear(weight_drop=0.5)(ones)
left = (seen[1] - 1) / 0.02
torch.testing.assert_close(left, left.round(), rtol=0, atol=1e-4)
print(f"weight_drop=0.5: {left.mean():.1f} of the 50 weights of a row are left, for all sequences")
x, plain = torch.randn(100, 32, 64), elman.nn.Recurrent(elman.cells["lstm"], 64, 128)
for name in ("zoneout", "variational_dropout", "recurrent_dropout", "weight_drop"):
    layer = elman.nn.Recurrent(plain.cell, 64, 128, **{name: 0.25})
    layer.load_state_dict(plain.state_dict())
    if name != "zoneout":
        torch.testing.assert_close(layer.eval()(x)[0], plain(x)[0])
    runs = [lambda m=m: m(x)[0].sum().backward() for m in (layer.train(), plain)]
    rounds = [[timeit(run, number=1) for run in runs] for _ in range(5)]
    ours, other = map(min, zip(*rounds, strict=True))
    print(f"{name:<22} a training step takes {ours / other:.2f} of the time without")

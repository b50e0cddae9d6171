"""An LSTM with a projection on the CPU (the warning in torch's RNN.cpp).

torch says there that a projection takes the slow path. Here it is one line of the equations,
`h[t] = P @ (o[t] * tanh(c[t]))`, and runs in the kernel with the others.
"""

import warnings
from timeit import timeit

import torch

import elman

torch.manual_seed(0)
theirs = torch.nn.LSTM(64, 128, proj_size=32)
layer = elman.nn.Recurrent(elman.cells["lstmp"], 64, 32, sizes={"cell": 128})
own = elman.convert(theirs.state_dict(), "torch", "elman")
layer.load_state_dict({f"{name}_l0": torch.as_tensor(array) for name, array in own.items()})
drop_in = elman.nn.LSTM(64, 128, proj_size=32)
drop_in.load_state_dict(theirs.state_dict())

x = torch.randn(100, 32, 64)
warnings.filterwarnings("ignore", "LSTM with projections")
expected, (h, c) = theirs(x)
output, state = layer(x)
torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
torch.testing.assert_close(state["h"], h, rtol=1e-4, atol=1e-5)
torch.testing.assert_close(state["c"], c, rtol=1e-4, atol=1e-5)
torch.testing.assert_close(drop_in(x)[0], expected, rtol=1e-4, atol=1e-5)


runs = {"torch.nn.LSTM": theirs, "elman.nn.LSTM": drop_in, "Recurrent, lstmp": layer}
steps = [lambda run=run: run(x)[0].sum().backward() for run in runs.values()]
rounds = [[timeit(step, number=1) for step in steps] for _ in range(7)]
for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
    print(f"{name:<18}{min(times) * 1e3:8.2f} ms a training step")
print(drop_in.explain())

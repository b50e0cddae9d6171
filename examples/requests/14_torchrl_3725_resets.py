"""Episodes that begin anew within a batch (TorchRL PR#3725, PR#3738).

In reinforcement learning the steps of a batch are one stretch of time in which episodes end.
`reset` says where, for any cell; the states begin there as they do before the first step.
"""

from timeit import timeit

import torch

import elman

torch.manual_seed(0)
T, B = 80, 16
x, is_first = torch.randn(T, B, 8), torch.rand(T, B) < 0.05
layer = elman.nn.Recurrent(elman.cells["lstm_torch"], 8, 32)
cell = torch.nn.LSTMCell(8, 32)
own = elman.convert(cell.state_dict(), "torch", "elman:lstm_torch")
layer.load_state_dict({f"{name}_l0": torch.as_tensor(array) for name, array in own.items()})
h, c = before = torch.randn(2, B, 32)


def loop(h, c):
    outputs = []
    for x_t, first in zip(x, is_first, strict=True):
        keep = (~first)[:, None]
        h, c = cell(x_t, (h * keep, c * keep))
        outputs.append(h)
    return torch.stack(outputs), h, c


def run(h, c):
    output, state = layer(x, {"h": h[None], "c": c[None]}, reset=is_first)
    return output, state["h"][0], state["c"][0]


torch.testing.assert_close(run(h, c), loop(h, c), rtol=1e-4, atol=1e-5)
print(f"{int(is_first.sum())} episodes begin within the batch, as in a loop of LSTMCell")
step, state = layer.step(x[0], {"h": h[None], "c": c[None]}, reset=is_first[0])
torch.testing.assert_close(step, loop(h, c)[0][0], rtol=1e-4, atol=1e-5)
runs = {"reset=": run, "the loop": loop}
steps = [lambda run=run: run(*before)[0].sum().backward() for run in runs.values()]
rounds = [[timeit(step, number=1) for step in steps] for _ in range(7)]
for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
    print(f"{name:<9}{min(times) * 1e3:8.2f} ms a training step")

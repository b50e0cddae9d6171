"""The cell state of every step, as R2D2 stores it (pytorch#31423).

nn.LSTM gives h of all steps and c of the last one; the way out, a loop of LSTMCell, is 15 to 30
times slower. Here any name of the equations may be asked for, and costs what writing it costs.
"""

from timeit import timeit

import torch

import elman

torch.manual_seed(0)
T, B, H = 100, 16, 64
cell = torch.nn.LSTMCell(32, H)
own = elman.convert(cell.state_dict(), "torch", "elman:lstm_torch")
layer = elman.nn.Recurrent(elman.cells["lstm_torch"], 32, H, return_states=("c",))
layer.load_state_dict({f"{name}_l0": torch.as_tensor(array) for name, array in own.items()})
x = torch.randn(T, B, 32)


def loop(x):
    h = c = x.new_zeros(B, H)
    states = []
    for x_t in x:
        h, c = cell(x_t, (h, c))
        states.append((h, c))
    return [torch.stack(each) for each in zip(*states, strict=True)]


output, state, seen = layer(x)
assert seen["c"].shape == (1, T, B, H)
torch.testing.assert_close([output, seen["c"][0]], loop(x), rtol=1e-4, atol=1e-5)
assert torch.equal(seen["c"][0, -1], state["c"][0])

stored = {name: kept[:, 40] for name, kept in {"h": output[None], "c": seen["c"]}.items()}
again, _, _ = layer(x[41:], stored)  # from the replay buffer: steps 42 to 100
torch.testing.assert_close(again, output[41:], rtol=1e-4, atol=1e-5)

plain = elman.nn.Recurrent(elman.cells["lstm_torch"], 32, H)
runs = {"h alone": plain, "h and c": layer, "a loop": loop}
steps = [lambda run=run: run(x)[0].sum().backward() for run in runs.values()]
rounds = [[timeit(step, number=1) for step in steps] for _ in range(7)]
for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
    print(f"{name:<10}{min(times) * 1e3:8.2f} ms a training step")

"""A small LSTM on a CPU, one sequence at a time (oneDNN#837; pytorch#94457, #93447; attorch#11).

Batch 1, 32 units and 15 to 63 steps spend most of their time between the products. Here the whole
loop over time is one call of compiled code, with the weights packed once by `freeze`.
"""

from timeit import timeit

import torch

import elman

torch.manual_seed(0)
theirs = torch.nn.LSTM(32, 32).eval()
ours = elman.nn.LSTM(32, 32)
ours.load_state_dict(theirs.state_dict())
ours.freeze()


with torch.inference_mode():
    for steps in (1, 15, 63):
        x = torch.randn(steps, 1, 32)
        torch.testing.assert_close(ours(x)[0], theirs(x)[0], rtol=1e-4, atol=1e-5)
        runs = [lambda x=x: theirs(x), lambda x=x: ours(x)]
        rounds = [[timeit(run, number=20) / 20 for run in runs] for _ in range(15)]
        a, b = (min(times) * 1e6 for times in zip(*rounds, strict=True))
        print(f"T={steps:<3} torch.nn.LSTM {a:7.0f} us   elman.nn.LSTM {b:5.0f} us   {a / b:5.1f}")

letters = elman.convert(theirs.state_dict(), "torch", "elman")
stream = elman.cells["lstm"].stream(letters)
x = torch.randn(63, 32).numpy()
for row, expected in zip(x, theirs(torch.as_tensor(x))[0], strict=True):
    h = torch.tensor(stream.step(row))
    torch.testing.assert_close(h, expected.detach(), rtol=1e-4, atol=1e-5)
time = min(timeit(lambda: stream.step(x[0]), number=200) for _ in range(15)) / 200 * 1e6
print(f"a stream that gets its steps one by one takes {time:.1f} us for each")

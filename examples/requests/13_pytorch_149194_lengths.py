"""Sequences of several lengths without the price of packing (pytorch#149194, #43227, #108246).

A layer takes the lengths as they are, in any order, and computes little behind the ends. The
drop-ins take torch's packed sequences, and give them back. (Also #8026, PR#15225, haste#46.)
"""

from timeit import timeit

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman

torch.manual_seed(0)
T, B = 200, 32
lengths = torch.randint(1, T + 1, (B,))
x = torch.randn(T, B, 64)
theirs = torch.nn.LSTM(64, 64)
drop_in = elman.nn.LSTM(64, 64)
drop_in.load_state_dict(theirs.state_dict())
layer = elman.nn.Recurrent(elman.cells["lstm_torch"], 64, 64)
own = elman.convert(theirs.state_dict(), "torch", "elman:lstm_torch")
layer.load_state_dict({f"{name}_l0": torch.as_tensor(array) for name, array in own.items()})


def packed(layer):
    given = pack_padded_sequence(x, lengths, enforce_sorted=False)
    output, (h, _) = layer(given)
    return pad_packed_sequence(output, total_length=T)[0], h


expected, h = packed(theirs)
torch.testing.assert_close(packed(drop_in), (expected, h), rtol=1e-4, atol=1e-5)
output, state = layer(x, lengths=lengths)
torch.testing.assert_close((output, state["h"]), (expected, h), rtol=1e-4, atol=1e-5)
ways = {
    "torch, packed": lambda: packed(theirs),
    "elman.nn.LSTM, packed": lambda: packed(drop_in),
    "Recurrent, lengths=": lambda: layer(x, lengths=lengths),
}
steps = [lambda run=run: run()[0].sum().backward() for run in ways.values()]
rounds = [[timeit(step, number=1) for step in steps] for _ in range(5)]
for name, times in zip(ways, zip(*rounds, strict=True), strict=True):
    print(f"{name:<24}{min(times) * 1e3:8.1f} ms a training step")

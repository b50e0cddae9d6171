"""The same numbers in every run (pytorch#18110, #35661, #104697, #90168).

With cuDNN that takes environment variables. Here sums have a fixed order, gradients are added up
without races, and masks are drawn by position: results are equal bit for bit, on any number of
threads.
"""

import torch

import elman

threads = torch.get_num_threads()
torch.use_deterministic_algorithms(True)
try:
    torch.manual_seed(0)
    x = torch.randn(100, 37, 24)
    layers = {
        "gru": elman.nn.GRU(24, 48, num_layers=2),
        "zoneout lstm": elman.nn.Recurrent(elman.cells["zoneout_lstm"], 24, 48, num_layers=2),
        "weight drop lstm": elman.nn.Recurrent(elman.cells["weight_drop_lstm"], 24, 48),
    }

    def bits(layer):
        """A training step from a seed: the output and every gradient, as they are."""
        torch.manual_seed(1)
        output = layer(x)[0]
        return [output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))]

    for name, layer in layers.items():
        first = bits(layer)
        for count in (1, 2, 3, 1, 2):
            torch.set_num_threads(count)
            assert all(map(torch.equal, first, bits(layer)))
        print(f"{name}: {len(first)} tensors, the same bits in 6 runs; {layer.explain()}")

    one, two = layers["gru"](x)[0], layers["gru"](x[:, :5])[0]
    assert torch.equal(one[:, :5], two)
    print("a sequence has the same bits in a batch of 37 and in one of 5")
finally:
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)

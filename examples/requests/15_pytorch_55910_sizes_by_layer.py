"""Layers of several sizes in one stack (pytorch#55910, #9193).

`num_layers` repeats one size, so that a funnel is three modules and a forward of one's own. Here
`hidden_size` may be a list; so may the cell.
"""

import torch

import elman

torch.manual_seed(0)
x = torch.randn(20, 4, 8)
three = [torch.nn.LSTM(i, h) for i, h in ((8, 32), (32, 16), (16, 4))]
layer = elman.nn.Recurrent(elman.cells["lstm_torch"], 8, [32, 16, 4])
for k, one in enumerate(three):
    own = elman.convert(one.state_dict(), "torch", "elman:lstm_torch")
    for name, array in own.items():
        getattr(layer, f"{name}_l{k}").data.copy_(torch.as_tensor(array))

output, state = layer(x)
expected, finals = x, []
for one in three:
    expected, (h, c) = one(expected)
    finals.append((h, c))
torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
for k, (h, c) in enumerate(finals):
    torch.testing.assert_close(state["h"][k], h, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state["c"][k], c, rtol=1e-4, atol=1e-5)
print("sizes 8 -> 32 -> 16 -> 4:", [tuple(h.shape) for h in state["h"]])

whole, _ = layer(x)
first, state = layer(x[:7])
rest, _ = layer(x[7:], state)
torch.testing.assert_close(torch.cat([first, rest]), whole)

mixed = elman.nn.Recurrent([elman.cells["gru"], elman.cells["lstm"]], 8, [16, 4])
output, state = mixed(x)
output.sum().backward()
print("a gru below an lstm:", tuple(output.shape), sorted(state), mixed.explain())

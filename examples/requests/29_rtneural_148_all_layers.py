"""All layers of a network in real time, with the numbers of training (RTNeural#148, #156, #160).

Loaders that know single layers have to be told how a network is put together, and may differ from
what was trained. Here one description holds both layers: it makes the C code, and the stream on
it.
"""

import numpy as np
import torch

import elman

cell = elman.Cell(
    """
    lower_h: hidden
    lower: lstm(x = x[t])
    upper: lstm(x = lower_h[t])
    h[t] = upper_h[t]
    """,
    name="two_layers",
)
torch.manual_seed(0)
trained = torch.nn.LSTM(3, 8, num_layers=2)
found = elman.convert(trained.state_dict(), "torch", "elman:lstm")
places = {"l0": "lower", "l1": "upper"}
weights = {f"{places[name[-2:]]}_{name[:-3]}": array for name, array in found.items()}
assert weights.keys() == set(cell.parameters)

stream = cell.stream(weights, copy=True)
x = torch.randn(200, 3)
heard = np.array([stream.step(x_t) for x_t in x.numpy()])
difference = np.abs(heard - trained(x)[0].detach().numpy()).max()
assert difference < 1e-5
print(f"200 steps one by one, on {stream.backend}: {difference:.1e} from torch.nn.LSTM")

code = cell.code()
for array in ("lower_h_init", "lower_c_final", "upper_h_init", "upper_c_final"):
    assert f"FORWARD_{array}" in code
print(f"its file of C has {len(code.splitlines())} lines and needs the C library alone")

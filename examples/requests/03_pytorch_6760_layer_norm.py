"""LSTM with layer normalisation (pytorch#6760, #7032, #12167, #11335; haste#1).

The threads could not agree on one: is the memory that is carried on normalised, or only what is
read of it? Layer norm is a function of the language, and the two forms differ in one line each.
"""

from difflib import ndiff

import torch
import torch.nn.functional as F

import elman

names = "layer_norm_lstm", "layer_norm_lstm_torch"
texts = [str(elman.cells[name]).split("\n\n")[-1].splitlines() for name in names]
for line in ndiff(*texts):
    if line[0] in "+-":
        print(line.partition("#")[0])


def loop(x, own, is_carried):
    """What torch's operations make of it, the four gates normalised at once."""
    stacked = {kind: torch.cat([own[f"{kind}_{gate}"] for gate in "fiog"]) for kind in "WUb"}
    scales = [torch.cat([own[f"{kind}_{gate}"] for gate in "fiog"]) for kind in ("alpha", "beta")]
    h = c = x.new_zeros(x.shape[1], 16)
    outputs = []
    for x_t in x:
        from_x = F.layer_norm(x_t @ stacked["W"].T, [64], scales[0])
        from_h = F.layer_norm(h @ stacked["U"].T, [64], scales[1])
        f, i, o, g = (from_x + from_h + stacked["b"]).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        normal = F.layer_norm(c, [16], own["gain_c"], own["shift_c"])
        c = normal if is_carried else c
        h = o.sigmoid() * normal.tanh()
        outputs.append(h)
    return torch.stack(outputs)


x = torch.randn(20, 4, 8, dtype=torch.float64)
for name in names:
    layer = elman.nn.Recurrent(elman.cells[name], 8, 16, dtype=torch.float64)
    own = {key.removesuffix("_l0"): weight for key, weight in layer.named_parameters()}
    torch.testing.assert_close(layer(x)[0], loop(x, own, name.endswith("torch")))
    print(f"{name}: as the loop in torch; {layer.explain()}")

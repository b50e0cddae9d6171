"""LSTM with peepholes (pytorch#630, PR#1665).

The gates look at the memory: three more terms in the equations. The output gate looks at the
memory of this step, so that it has to wait for it; the schedule of the kernel follows from the
text.
"""

import torch

import elman

cell = elman.cells["lstm_peephole"]
print("\n".join(line for line in str(cell).splitlines() if "p_" in line and "[t] =" in line))
layer = elman.nn.Recurrent(cell, 8, 16, dtype=torch.float64)
W, U, b = ([getattr(layer, f"{kind}_{gate}_l0") for gate in "fico"] for kind in "WUb")
p_f, p_i, p_o = layer.p_f_l0, layer.p_i_l0, layer.p_o_l0


def loop(x):
    h = c = x.new_zeros(x.shape[1], 16)
    outputs = []
    for x_t in x:
        f, i, g, o = (x_t @ W[k].T + h @ U[k].T + b[k] for k in range(4))
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def gradients(outputs):
    return torch.autograd.grad(outputs.square().sum(), list(layer.parameters()))


x = torch.randn(30, 4, 8, dtype=torch.float64)
torch.testing.assert_close(layer(x)[0], loop(x))
torch.testing.assert_close(gradients(layer(x)[0]), gradients(loop(x)))
print(f"outputs and {len(gradients(layer(x)[0]))} gradients are the loop's; {layer.explain()}")

without = elman.cells["lstm"]
print(elman.same(cell, without))

"""bfloat16 and float16 in every cell (pytorch#88136, #116925, #116763; TensorFlow#57411, #59743).

Support comes layer by layer there. Here the type is a parameter of the code that is made: any
cell reads and writes bfloat16, and sums and carries its states in float32. (Also haste PR#47.)
"""

import torch

import elman

torch.manual_seed(0)
x = torch.randn(100, 16, 32)
layers = [
    elman.nn.LSTM(32, 64),
    elman.nn.GRU(32, 64),
    elman.nn.RNN(32, 64),
    elman.nn.Recurrent(elman.cells["mgu"], 32, 64),
    elman.nn.Recurrent(elman.cells["layer_norm_lstm"], 32, 64),
]
for layer in layers:
    exact = layer(x)[0]
    for dtype, digits in ((torch.bfloat16, 8), (torch.float16, 11)):
        layer.to(dtype)
        output = layer(x.to(dtype))[0]
        output.float().square().mean().backward()
        away = (output.float() - exact).abs().max().item()
        assert output.dtype is dtype and away < 8 * 2.0**-digits
        assert all(weight.grad.isfinite().all() for weight in layer.parameters())
        layer.zero_grad()
        name = getattr(layer, "cell", None)
        name = type(layer).__name__ if name is None else name.name
        print(f"{name:<16} {dtype!s:<15} {away:.4f} from float32  {layer.explain()}")

half = layers[3].to(torch.bfloat16)
long = x.repeat(20, 1, 1).to(torch.bfloat16)
away = (half(long)[0] - half.float()(long.float())[0]).abs().max().item()
print(f"after 2000 steps of the mgu {away:.4f} from float32 with the same weights")
assert away < 0.02

"""A keyword, and the fast path is gone (keras#19644, #22274; TensorFlow#40944, #46567, #30535).

Keras is fast with the default activations, no recurrent dropout, biases, masks at the right end
and no unrolling, and does not tell. Here all of these stay in the kernel, and `explain()` says
so.
"""

import re

import numpy as np
import torch

import elman

lines = str(elman.cells["lstm"]).split("\n\n")[-1].splitlines()
plain = "\n".join(line.partition(" #")[0] for line in lines)
hard = r"clip(0.5 + 0.2 * (\1), 0, 1)"
dropped = plain.replace("h[t-1]", "(m * h[t-1] / 0.8)") + "\nm: bernoulli(0.8), per sequence"
variants = {
    "as it is": plain,
    "activation": plain.replace("tanh", "softplus"),
    "recurrent_activation": re.sub(r"sigmoid\((.*)\)", hard, plain),
    "recurrent_dropout": dropped,
    "use_bias=False": re.sub(r" \+ b_\w", "", plain),
}
torch.manual_seed(0)
x = torch.randn(12, 4, 8, dtype=torch.float64)
for name, text in variants.items():
    layer = elman.nn.Recurrent(text, 8, 16, dtype=torch.float64)
    weights = {key.removesuffix("_l0"): w.detach() for key, w in layer.named_parameters()}
    expected = layer.cell.run({"x": x.numpy()}, weights, backend="numpy")["h"]
    np.testing.assert_allclose(layer.eval()(x)[0].detach(), expected, atol=1e-12)
    layer.train()(x)[0].sum().backward()
    print(f"{name:<22}{layer.explain()}")

layer = elman.nn.Recurrent(plain, 8, 16, dtype=torch.float64)
lengths = torch.tensor([12, 3, 7, 5])
alone = [layer(x[12 - n :, k])[1]["h"][0] for k, n in enumerate(lengths)]
is_first = torch.arange(12)[:, None] == 12 - lengths  # padded at the left: a sequence begins there
torch.testing.assert_close(layer(x, reset=is_first)[1]["h"][0], torch.stack(alone))
right = torch.stack([x[:, k].roll(int(n), 0) for k, n in enumerate(lengths)], dim=1)
torch.testing.assert_close(layer(right, lengths=lengths)[1]["h"][0], torch.stack(alone))
print("padded at the left or at the right: the states of the sequences alone")

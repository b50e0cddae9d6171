"""It builds, or it runs without being built (NX-AI/xlstm#44 to #104; haste#14; flashrnn#6).

Kernels that need nvcc fail to build in many ways. Here a C compiler is enough, and where there is
none, torch or NumPy compute the same numbers, and say so.
"""

import os
import subprocess
import sys

PROGRAM = """
import warnings
import numpy as np
import torch
import elman

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    torch.manual_seed(0)
    layer = elman.nn.Recurrent(elman.cells["gru"], 3, 5, dtype=torch.float64)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    output, _ = layer(x)
    output.square().sum().backward()
    weights = {name[:-3]: w.detach().numpy() for name, w in layer.named_parameters()}
    run = layer.cell.run({"x": x.numpy()}, weights, backend="auto")
for warning in said:
    print(warning.message)
print(layer.explain().splitlines()[0])
print(run.backend)
print(float(output.detach().sum()), float(run["h"].sum()), float(layer.U_n_l0.grad.sum()))
"""


def lines(**variables):
    command, env = [sys.executable, "-c", PROGRAM], {**os.environ, **variables}
    return subprocess.check_output(command, env=env, text=True).splitlines()


without, with_one = lines(ELMAN_CC="no-such-compiler"), lines()
print("without a compiler:", *without[:-1], "with one:", *with_one[:-1], sep="\n  ")
assert "no C compiler" in without[0] and without[-3].startswith("torch: no C compiler")
for a, b in zip(without[-1].split(), with_one[-1].split(), strict=True):
    assert abs(float(a) - float(b)) < 1e-10
print("outputs and gradients are the same")

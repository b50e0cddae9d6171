"""The compiler that `pip install "elman[cc]"` brings, on a machine that has no other."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.torch]

TRAINS = """
import numpy as np
import torch
import elman
from elman.backends import c_compile

print(c_compile.find_compiler()[1:], c_compile.trouble())
torch.manual_seed(0)
layer = elman.nn.Recurrent(elman.cells["gru"], 5, 33)
print(layer.explain())
x = torch.randn(20, 7, 5)
optimizer = torch.optim.Adam(layer.parameters(), 0.01)
losses = []
for _ in range(30):
    optimizer.zero_grad()
    loss = ((layer(x)[0] - 0.5) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(losses[-1] < 0.5 * losses[0])
cell, weights = elman.cells["gru"], {n: p.detach().numpy() for n, p in layer.named_parameters()}
weights = {n.removesuffix("_l0"): w.astype("float64") for n, w in weights.items()}
runs = [cell.run({"x": x.double().numpy()}, weights, backend=b)["h"] for b in ("c", "numpy")]
print(float(np.abs(runs[0] - runs[1]).max()) < 1e-13)
"""


def test_a_layer_trains_without_another_compiler(tmp_path):
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip('ziglang is not installed: pip install "elman[cc]"')
    done = subprocess.run(
        [sys.executable, "-c", TRAINS],
        env={k: v for k, v in os.environ.items() if k != "ELMAN_CC"}
        | {"PATH": str(tmp_path), "ELMAN_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["('cc',) None", "c: compiled kernels", "True", "True"]
    assert not (tmp_path / ".cache").exists()  # zig's own files are in the cache of Elman

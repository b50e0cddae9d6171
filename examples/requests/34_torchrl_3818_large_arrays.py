"""More than 2**31 numbers in one array (TorchRL PR#3818).

Offsets of 32 bits overflowed there, so that other numbers were read and written. Here steps, rows
and offsets are 64 bits wide in the code, and a run over 2**31 states has every one in its place.
"""

from pathlib import Path

import torch

import elman

code = elman.cells["lstm"].code("c")
equations = [line for line in code.splitlines() if line.startswith("INLINE void at_")]
assert equations and all("const long row, " in line for line in equations)
assert "void forward(\n    long T, long B, const long *sizes" in code
print(equations[0])

T, B, H = 16_400, 2**11, 64  # in bfloat16: 4.3 GB
assert T * B * H > 2**31
lines = Path("/proc/meminfo").read_text().splitlines()
free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024
if free < 8e9:
    raise SystemExit(f"{free / 1e9:.1f} GB of memory are free, and the run needs 8")

EQUATIONS = """
    m: scalar, per step
    a: scalar, per step
    h: hidden
    h[t] = m[t] * h[t-1] + a[t]
"""
layer = elman.nn.Recurrent(EQUATIONS, 1, H, dtype=torch.bfloat16)
count = torch.arange(T) % 128
with torch.inference_mode():
    start = torch.zeros(1, B, H, dtype=torch.bfloat16)
    given = {"m": (count > 0).bfloat16(), "a": torch.ones(T).bfloat16()}
    output, _ = layer(state={"h": start}, **given)
    bits = output.view(torch.int16).numpy().reshape(T, B * H)
    assert (bits.min(axis=1) == bits.max(axis=1)).all()  # all units of a step are equal
    assert (output[:, -1, -1] == count + 1).all()
print(f"{output.numel() / 2**31:.3f} * 2**31 states, each in its place; {layer.explain()}")

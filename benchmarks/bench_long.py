"""What a training step on a very long sequence takes: memory and time, beside torch's layers.

Each row is a process of its own: it makes x, runs one short step (what is compiled then is), and
goes forward and back over all T steps with a loss on the last state. The memory is what the
process had at its most, less what it had before that step: the output and all gradients count; x,
the weights and the program itself do not. The time is that of one processor. Linux only.

    python benchmarks/bench_long.py [--steps 100000] [--batch 1 4] [--hidden 64] [kinds ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

import elman
from elman.nn import truncated

KINDS = ("LSTM", "GRU")
WAYS = {
    "torch": lambda kind, n: getattr(torch.nn, kind)(n, n),
    "Elman": lambda kind, n: getattr(elman.nn, kind)(n, n),
    "Elman, remat": lambda kind, n: getattr(elman.nn, kind)(n, n, remat=True),
    "Elman, truncated": lambda kind, n: getattr(elman.nn, kind)(n, n),
}
CHUNK = 1000  # steps, where the gradient is truncated


def step(layer: torch.nn.Module, x: torch.Tensor, is_truncated: bool) -> None:
    """Forward and back."""
    if not is_truncated:
        _, state = layer(x)
        h = state[0] if isinstance(state, tuple) else state
        h.square().sum().backward()
        return
    for output, _ in truncated(layer, x, CHUNK):
        output[-1].square().sum().backward()


def one(kind: str, way: str, steps: int, batch: int, hidden: int) -> None:
    """A row's own process: print megabytes and seconds."""
    torch.manual_seed(0)
    layer = WAYS[way](kind, hidden)
    step(layer, torch.randn(50, batch, hidden), False)
    x = torch.randn(steps, batch, hidden)
    before = kilobytes("VmRSS")
    begin = time.process_time()
    step(layer, x, "truncated" in way)
    seconds = time.process_time() - begin
    print((kilobytes("VmHWM") - before) / 1024, seconds)


def kilobytes(name: str) -> int:
    """What Linux says of this process: VmRSS is its memory now, VmHWM the most it ever had."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measured(*row: object) -> tuple[float, float]:
    """The same from outside."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", *map(str, row)]
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    megabytes, seconds = map(float, run.stdout.split())
    return megabytes, seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kinds", nargs="*", default=KINDS)
    options.add_argument("--steps", type=int, nargs="+", default=[100_000])
    options.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    options.add_argument("--hidden", type=int, default=64)
    options.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        kind, way, *numbers = given.one
        one(kind, way, *map(int, numbers))
        return
    print("| layer | T, B, H | output MB |" + "".join(f" {way} MB | s |" for way in WAYS))
    print("|---|---|---:|" + "---:|---:|" * len(WAYS))
    for kind in given.kinds:
        for steps in given.steps:
            for batch in given.batch:
                own = f"{steps * batch * given.hidden * 4 / 2**20:.0f}"
                found = [measured(kind, way, steps, batch, given.hidden) for way in WAYS]
                cells = " | ".join(f"{m:.0f} | {s:.2f}" for m, s in found)
                print(
                    f"| {kind} | {steps}, {batch}, {given.hidden} | {own} | {cells} |", flush=True
                )


if __name__ == "__main__":
    main()

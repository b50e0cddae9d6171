"""One step of elman.nn.RNNCell, LSTMCell and GRUCell beside torch.nn's, in microseconds.

`--kinds RNN LSTM GRU` measures the layers, on sequences of one step.

Medians, each taken in turns with the others. Without gradients, with weights that are packed once
(`freeze`), and a step with its backward pass. A ratio above 1 says that Elman's is quicker.

    python benchmarks/bench_torch_cells.py [--threads 1] [--kinds LSTMCell] [1x16x16 32x128x128 ...]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch

import elman.nn

KINDS = ("RNNCell", "LSTMCell", "GRUCell")
SHAPES = ("1x16x16", "8x16x16", "1x64x64", "16x64x64", "1x256x256", "16x256x256", "64x256x256")


def microseconds(calls: Sequence[Callable[[], object]], seconds: float = 0.1) -> list[float]:
    """The median of each, all of them in turns."""
    rounds = []
    for call in calls:
        begin = time.perf_counter()
        for _ in range(5):
            call()
        rounds.append(max(3, int(seconds / 5 / (time.perf_counter() - begin) * 5)))
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(5):
        for call, times, count in zip(calls, found, rounds, strict=True):
            for _ in range(count):
                begin = time.perf_counter()
                call()
                times.append(time.perf_counter() - begin)
    return [1e6 * statistics.median(times) for times in found]


def row(kind: str, rows: int, width: int, hidden: int) -> list[float]:
    """torch's and ours without gradients, frozen; torch's and ours with a backward pass."""
    theirs, ours = getattr(torch.nn, kind)(width, hidden), getattr(elman.nn, kind)(width, hidden)
    frozen = getattr(elman.nn, kind)(width, hidden).freeze()
    lead = (rows,) if kind in KINDS else (1, rows)
    x, h, c = (torch.randn(*lead, size) for size in (width, hidden, hidden))
    before = (h, c) if kind.startswith("LSTM") else h

    def forward(cell: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.no_grad():
                cell(x, before)

        return run

    def backward(cell: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            after = cell(x, before)
            (after[0] if isinstance(after, tuple) else after).backward(h)

        return run

    return microseconds([*map(forward, (theirs, ours, frozen)), *map(backward, (theirs, ours))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shapes", nargs="*", default=SHAPES, help="rows x input x hidden")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| cell | B x I x H | torch | ours | ratio | frozen | ratio | train | ours | ratio |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for kind in given.kinds:
        for shape in given.shapes:
            theirs, ours, frozen, step, own = row(kind, *map(int, shape.split("x")))
            print(
                f"| {kind} | {shape} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.2f} "
                f"| {frozen:.1f} | {theirs / frozen:.2f} | {step:.1f} | {own:.1f} "
                f"| {step / own:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Two directions and projections of elman.nn.RNN, LSTM and GRU beside torch.nn's, in milliseconds.

Medians of calls taken in turns: an inference, and a step of training (forward and backward). A
ratio above 1 says that Elman's is quicker.

    python benchmarks/bench_directions.py [--threads 2] [--shape 100x32x128x128] [--layers 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch

import elman.nn

TWO = {"bidirectional": True}
ROWS = (
    ("LSTM", TWO),
    ("GRU", TWO),
    ("RNN", TWO),
    ("LSTM", {"proj_size": 64}),
    ("LSTM", {"proj_size": 64, **TWO}),
)


def milliseconds(calls: Sequence[Callable[[], object]], rounds: int = 12) -> list[float]:
    """The median of each, all of them in turns, after two rounds that are not counted."""
    found: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + 2):
        for call, times in zip(calls, found, strict=True):
            begin = time.perf_counter()
            call()
            if number > 1:
                times.append(time.perf_counter() - begin)
    return [1e3 * statistics.median(times) for times in found]


def inference(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            layer(x)

    return run


def training(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], object]:
    def run() -> None:
        layer.zero_grad(set_to_none=True)
        layer(x)[0].sum().backward()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", default="100x32x128x128", help="T x B x I x H")
    parser.add_argument("--layers", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    steps, batch, width, hidden = map(int, given.shape.split("x"))
    x = torch.randn(steps, batch, width)
    print("| layer | inference, torch | ours | ratio | training, torch | ours | ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for kind, options in ROWS:
        layers = [
            getattr(home, kind)(width, hidden, given.layers, **options)
            for home in (torch.nn, elman.nn)
        ]
        one, two = milliseconds([inference(each, x) for each in layers])
        three, four = milliseconds([training(each, x) for each in layers])
        words = ", ".join(f"{name}={value}" for name, value in options.items())
        cells = [one, two, one / two, three, four, three / four]
        print(f"| {kind} {words} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


if __name__ == "__main__":
    main()

"""A training step of LSTM and GRU with each option, beside the layer without and torch's own.

python benchmarks/bench_options.py [--seconds 10] [--shape 20 4 32 --threads 1]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

import torch

import elman.nn

OPTIONS = {
    "none": {},
    "return_states": {"return_states": ("h",)},
    "every gate": {"return_states": "all"},
    "zoneout": {"zoneout": 0.1},
    "variational_dropout": {"variational_dropout": 0.25},
    "recurrent_dropout": {"recurrent_dropout": 0.25},
    "weight_drop": {"weight_drop": 0.5},
    "learn_initial_state": {"learn_initial_state": True},
    "layer_norm": {"layer_norm": True},
    "residual": {"residual": True},
}
GATES = {"LSTM": ("i", "f", "g", "o", "c", "h"), "GRU": ("r", "z", "n", "h")}


def layers(kind: str, size: int) -> dict[str, torch.nn.Module]:
    """A layer for each row, with the same first weights."""
    found: dict[str, torch.nn.Module] = {}
    for name, options in OPTIONS.items():
        torch.manual_seed(0)
        named = {k: GATES[kind] if v == "all" else v for k, v in options.items()}
        found[name] = getattr(elman.nn, kind)(size, size, **named)
    found["torch.nn"] = getattr(torch.nn, kind)(size, size)
    return found


def step(layer: torch.nn.Module, x: torch.Tensor) -> float:
    """Seconds of a forward and a backward pass."""
    layer.zero_grad()
    start = time.perf_counter()
    layer(x)[0].sum().backward()
    return time.perf_counter() - start


def main() -> None:
    """Medians of interleaved steps, in milliseconds, and the ratio to the layer without options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each kind of layer")
    parser.add_argument("--shape", type=int, nargs=3, default=(100, 32, 128), help="T, B and H")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    steps, rows, size = given.shape
    x = torch.randn(steps, rows, size)
    order = random.Random(0)
    print(f"T={steps}, B={rows}, I=H={size}, float32, {torch.get_num_threads()} threads\n")
    print("| option | LSTM ms | ratio | GRU ms | ratio |\n|---|---:|---:|---:|---:|")
    medians = {}
    for kind in ("LSTM", "GRU"):
        made = layers(kind, size)
        times: dict[str, list[float]] = {name: [] for name in made}
        for layer in made.values():
            step(layer, x)
        end = time.perf_counter() + given.seconds
        while time.perf_counter() < end:
            for name in order.sample(list(made), len(made)):  # no row always behind the same one
                times[name].append(step(made[name], x))
        medians[kind] = {name: 1e3 * statistics.median(each) for name, each in times.items()}
    for name in medians["LSTM"]:
        row = [f"{each[name]:.2f} | {each[name] / each['none']:.2f}" for each in medians.values()]
        print(f"| {name} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()

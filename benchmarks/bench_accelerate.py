"""Models of the usual style before and after `elman.accelerate`: a training step of each.

A step is loss, backward and Adam, of the models in tests/nn/models. Both are stepped in turn; the
figures are medians. A ratio above 1 says that the accelerated model is quicker.

    python -m benchmarks.bench_accelerate [--seconds 5] [--threads 2] [models ...]
"""

from __future__ import annotations

import argparse
import copy
import os
import random
import statistics
import time
from collections.abc import Callable

import torch

import elman
from tests.nn.models import policy, sentiment, translation

MODELS: dict[str, tuple[type[torch.nn.Module], Callable[[torch.nn.Module], torch.Tensor]]] = {
    "sentiment": (sentiment.SentimentLSTM, sentiment.loss),
    "translation": (translation.Seq2Seq, translation.loss),
    "policy": (policy.RecurrentQNetwork, policy.loss),
}


def step(
    model: torch.nn.Module, loss: Callable[[torch.nn.Module], torch.Tensor]
) -> Callable[[], None]:
    """One step of training, to be repeated."""
    optimizer = torch.optim.Adam(model.parameters())

    def run() -> None:
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    return run


def medians(
    runs: dict[str, Callable[[], None]], seconds: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Milliseconds of each, all in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in random.sample([*runs.items()], len(runs)):
            begin = clock()
            run()
            times[name].append(clock() - begin)
    return {name: 1000 * statistics.median(each) for name, each in times.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("models", nargs="*", default=[*MODELS])
    options.add_argument("--seconds", type=float, default=5.0, help="for each model")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument(
        "--processor",
        action="store_true",
        help="one thread, and its processor's time: for a machine on which others compute",
    )
    given = options.parse_args()
    clock = time.process_time if given.processor else time.perf_counter
    given.threads = 1 if given.processor else given.threads
    torch.set_num_threads(given.threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(given.threads))
    print("| model | swapped | torch ms | Elman ms | ratio |\n|---|---|---:|---:|---:|")
    for name in given.models:
        make, loss = MODELS[name]
        theirs = make()
        ours = copy.deepcopy(theirs)
        swapped = ", ".join(elman.accelerate(ours).swapped)
        runs = {"torch": step(theirs, loss), "Elman": step(ours, loss)}
        found = medians(runs, given.seconds, clock)
        ratio = found["torch"] / found["Elman"]
        print(f"| {name} | {swapped} | {found['torch']:.3g} | {found['Elman']:.3g} | {ratio:.2f} |")


if __name__ == "__main__":
    main()

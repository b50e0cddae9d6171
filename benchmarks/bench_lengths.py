"""Batches of sequences of several lengths, beside torch's layers: padded, and packed.

Every layer is given (T, B, I) padded at the ends and gives (T, B, H). Padded, a layer computes what
is behind the ends too; packed, it packs before and pads behind (Elman: elman.nn.LSTM, GRU or RNN in
the same lines as torch's). Training is forward and backward with all gradients. All are called in
turn, in another order each round; the figures are medians, ratios are theirs by that of Elman with
`lengths`.

    python benchmarks/bench_lengths.py [--seconds 5] [--threads 2] [--task training] [cells ...]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman

CELLS = {"lstm_torch": "LSTM", "gru_reset_after": "GRU", "rnn_torch": "RNN"}
Run = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Case:
    """Lengths drawn for a shape."""

    draw: str
    steps: int
    batch: int
    inputs: int
    hidden: int

    def lengths(self) -> torch.Tensor:
        """Whole numbers from 1 to T."""
        generator = torch.Generator().manual_seed(0)
        found = torch.randint(1, self.steps + 1, (self.batch,), generator=generator)
        if self.draw == "all T":
            found[:] = self.steps
        if self.draw == "one T, others T/10":
            found = torch.full_like(found, self.steps // 10)
            found[self.batch // 2] = self.steps
        return found


CASES = (
    Case("uniform", 1000, 32, 64, 128),
    Case("uniform", 50, 64, 256, 256),
    Case("uniform", 100, 8, 64, 64),
    Case("uniform", 200, 256, 64, 128),
    Case("one T, others T/10", 1000, 32, 64, 128),
    Case("all T", 100, 32, 64, 128),
)


def runs(cell: str, case: Case) -> Mapping[str, Run]:
    """What is measured by name: each from (T, B, I) to (T, B, H)."""
    lengths, sizes = case.lengths(), (case.inputs, case.hidden)
    ours = elman.nn.Recurrent(elman.cells[cell], *sizes)
    theirs, dropin = (getattr(nn, CELLS[cell])(*sizes) for nn in (torch.nn, elman.nn))

    def packed(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        given = pack_padded_sequence(x, lengths, enforce_sorted=False)
        output, _ = layer(given)
        whole, _ = pad_packed_sequence(output, total_length=case.steps)
        return whole

    return {
        "Elman": lambda x: ours(x, lengths=lengths)[0],
        "Elman packed": lambda x: packed(dropin, x),
        "Elman padded": lambda x: ours(x)[0],
        "torch padded": lambda x: theirs(x)[0],
        "torch packed": lambda x: packed(theirs, x),
    }


def trained(run: Run, x: torch.Tensor, ones: torch.Tensor) -> None:
    """Forward and back, with the gradients of weights and inputs."""
    run(x.detach().requires_grad_()).backward(ones)


def medians(
    case: Case, named: Mapping[str, Run], task: str, seconds: float, clock: Callable[[], float]
) -> dict[str, float]:
    """Milliseconds of a call."""
    x = torch.randn(case.steps, case.batch, case.inputs)
    ones = torch.ones(case.steps, case.batch, case.hidden)
    times: dict[str, list[float]] = {name: [] for name in named}
    end = None
    with torch.set_grad_enabled(task == "training"):
        while end is None or time.perf_counter() < end:
            for name, run in random.sample([*named.items()], len(named)):
                begin = clock()
                _ = run(x) if task == "inference" else trained(run, x, ones)
                times[name].append(clock() - begin)
            end = end or time.perf_counter() + seconds  # the first calls are not counted
    return {name: statistics.median(each[1:] or each) * 1000 for name, each in times.items()}


def table(
    names: Sequence[str], tasks: Sequence[str], seconds: float, clock: Callable[[], float]
) -> None:
    """Print the rows as they are measured."""
    others: tuple[str, ...] = ("Elman packed", "Elman padded", "torch padded", "torch packed")
    print(f"| cell | task | T, B, I, H | lengths | Elman ms | {' | '.join(others)} |")
    print(f"|---|---|---|---|---:|{'---:|' * len(others)}")
    for name in names:
        for task in tasks:
            for case in CASES:
                found = medians(case, runs(name, case), task, seconds, clock)
                own = found["Elman"]
                shape = f"{case.steps}, {case.batch}, {case.inputs}, {case.hidden}"
                ratios = " | ".join(f"{found[other] / own:.2f}" for other in others)
                words = f"{CELLS[name]} | {task} | {shape} | {case.draw}"
                print(f"| {words} | {own:.3g} | {ratios} |", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("cells", nargs="*", default=[*CELLS])
    options.add_argument("--task", choices=("inference", "training"))
    options.add_argument("--seconds", type=float, default=5.0, help="for each row")
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
    tasks = [given.task] if given.task else ["inference", "training"]
    table(given.cells, tasks, given.seconds, clock)


if __name__ == "__main__":
    main()

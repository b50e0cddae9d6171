"""The copying memory: ten symbols, to be said again after a pause.

    python examples/copying_memory.py [CELL] [PAUSE]        about half a minute on one core

A sequence has 10 symbols out of 8, a pause of blanks, and a sign; behind it, the network is to say
the symbols in their order. It learns that of one symbol first, and of all in the second half.
Without a memory nothing is better than a cross-entropy of 10 log(8) / (pause + 20) per step.
Source: Hochreiter and Schmidhuber (1997); Arjovsky, Shah, Bengio, arXiv:1511.06464.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy, one_hot

import elman
from elman.nn import ReadOut, Recurrent

SYMBOLS, COUNT, PAUSE = 8, 10, 10
BLANK, SIGN = 8, 9
BATCH, HIDDEN, STEPS = 64, 128, 3000


class Copier(torch.nn.Module):
    """Many to many, in step: a symbol is read and a symbol is said."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.layer = Recurrent(elman.cells[cell], SYMBOLS + 2, HIDDEN)
        self.read_out = ReadOut(HIDDEN, SYMBOLS + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.read_out(self.layer(one_hot(x, SYMBOLS + 2).float())[0])


def sequences(
    count: int, pause: int, drawn: torch.Generator, symbols_each: int = COUNT
) -> tuple[torch.Tensor, torch.Tensor]:
    """What is read and what is to be said, (T, B) each."""
    symbols = torch.randint(SYMBOLS, (symbols_each, count), generator=drawn)
    blank = torch.full((pause + symbols_each, count), BLANK)
    sign = torch.full((1, count), SIGN)
    read = torch.cat([symbols, blank[:pause], sign, blank[: symbols_each - 1]])
    return read, torch.cat([blank, symbols])


@dataclass(frozen=True)
class Result:
    """The share of the symbols that are said rightly, and the seconds it took."""

    exact: float
    seconds: float


def train(
    cell: str = "gru", pause: int = PAUSE, steps: int = STEPS, *, is_loud: bool = False
) -> Result:
    """Adam on fresh sequences, then 500 unseen ones."""
    begun = time.perf_counter()
    torch.manual_seed(0)
    drawn = torch.Generator().manual_seed(1)
    model = Copier(cell)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, 2 - 2 * k / steps))
    for step in range(steps):
        some = min(COUNT, 1 + 2 * COUNT * step // steps)  # one symbol first, then more
        read, said = sequences(BATCH, pause, drawn, some)
        loss = cross_entropy(model(read).flatten(0, 1), said.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if is_loud and step % 100 == 99:
            print(f"  step {step + 1:5}  loss {loss.item():.5f}", flush=True)
    read, said = sequences(500, pause, torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = model(read)[-COUNT:].argmax(-1) == said[-COUNT:]
    return Result(right.double().mean().item(), time.perf_counter() - begun)


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "gru"
    pause = int(sys.argv[2]) if len(sys.argv) > 2 else PAUSE
    result = train(name, pause, is_loud=True)
    print(f"{name}: {result.exact:.1%} of the symbols of 500 sequences, after {pause} blanks")
    floor = COUNT * math.log(SYMBOLS) / (pause + 2 * COUNT)
    print(f"in {result.seconds:.0f} seconds; without a memory the loss stays at {floor:.4f}")

"""Which cases `make bench` measures, and about how long they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import elman
from elman.bench.case import Case
from elman.bench.peers import RIVALS, STEPWISE, WHOLE
from elman.cell import Cell

# T, B, I, H
SHAPES = (
    (100, 1, 16, 16),
    (100, 1, 64, 128),
    (100, 1, 512, 512),
    (100, 8, 64, 64),
    (100, 32, 64, 128),
    (100, 32, 128, 256),
    (50, 64, 512, 512),
    (100, 16, 1024, 1024),
    (50, 256, 32, 64),
)
QUICK_SHAPES = ((100, 1, 16, 16), (100, 32, 64, 128), (50, 64, 256, 256))
LAYERS = ("lstm_torch", "gru_reset_after", "rnn_torch")  # those that torch has
VARIANTS = (
    "gru",
    "lstm_peephole",
    "cifg",
    "lstmp",
    "layer_norm_lstm",
    "multiplicative_lstm",
    "rhn_2",
    "indrnn",
    "mgu",
    "nbrc",
    "lem",
    "min_gru",
)
LARGEST_VARIANT = 512
QUICK_VARIANTS = ("gru", "layer_norm_lstm")


@dataclass(frozen=True)
class Suite:
    """Cases, who is measured besides Elman, and the turns that each of them gets."""

    cases: tuple[Case, ...]
    peers: tuple[str, ...] = RIVALS
    rounds: int = 11
    seconds: float = 15.0

    def minutes(self, compile_seconds: float) -> float:
        """A guess at how long all of it takes; most compilations end before they must."""
        each = 3.0 + 0.4 * len(self.peers) + 0.6 * self.seconds
        each += 0.6 * compile_seconds * (WHOLE in self.peers) + 12.0 * (STEPWISE in self.peers)
        return (25.0 + len(self.cases) * each) / 60


def named(name: str) -> Cell:
    """A cell of the library; rhn_2 is its highway network with two layers."""
    if name != "rhn_2":
        return elman.cells[name]
    text = str(elman.cells["rhn"]).replace("1..3", "1..2").replace("s[t,3]", "s[t,2]")
    return Cell(text, name)


def case_of(
    cell: Cell,
    shape: Sequence[int],
    task: str,
    dtype: str = "float32",
    threads: int = 2,
    sizes: Mapping[str, int] | None = None,
) -> Case:
    """A case with the number of every size; ShapeProblem where the cell cannot have them."""
    from elman.nn.stack import plan_sizes  # spares torch

    steps, batch, width, hidden = shape
    numbers = plan_sizes([cell], width, [hidden], sizes or {})[0][0]
    return Case(
        cell.name, str(cell), steps, batch, width, hidden, task, dtype, threads, dict(numbers)
    )


def full(threads: int) -> Suite:
    """Nine shapes of the three layers in both tasks, eight of twelve variants in training."""
    small = [shape for shape in SHAPES if shape[3] <= LARGEST_VARIANT]
    layers = _cases(LAYERS, SHAPES, ("inference", "training"), threads)
    return Suite((*layers, *_cases(VARIANTS, small, ("training",), threads)))


def quick(threads: int) -> Suite:
    """What tells most in three minutes, without compiling whole sequences."""
    layers = _cases(LAYERS, QUICK_SHAPES, ("inference", "training"), threads)
    variants = _cases(QUICK_VARIANTS, QUICK_SHAPES[1:2], ("training",), threads)
    peers = tuple(p for p in RIVALS if p not in (WHOLE, STEPWISE, "torchrecurrent"))
    return Suite((*layers, *variants), peers, rounds=7, seconds=3.0)


def _cases(
    cells: Iterable[str], shapes: Iterable[Sequence[int]], tasks: Iterable[str], threads: int
) -> list[Case]:
    shapes = list(shapes)
    return [
        _case(named(cell), shape, task, threads)
        for task in tasks
        for cell in cells
        for shape in shapes
    ]


def _case(cell: Cell, shape: Sequence[int], task: str, threads: int) -> Case:
    """The projection of an LSTM is half as wide as its memory."""
    *lead, hidden = shape
    if cell.name == "lstmp":
        return case_of(cell, (*lead, hidden // 2), task, threads=threads, sizes={"cell": hidden})
    sizes = {"m": hidden} if cell.name == "multiplicative_lstm" else {}
    return case_of(cell, shape, task, threads=threads, sizes=sizes)

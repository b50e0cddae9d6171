"""Rows of random texts into both readers, on several processes, and what became of them."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from tests.fuzz.judge import GROWTH, READERS, guard, judge, peak
from tests.fuzz.texts import corpus, random_text


@dataclass(frozen=True)
class Finding:
    reader: str
    number: int
    kind: str
    how: str


@dataclass
class Tally:
    """What became of a row of texts."""

    kinds: dict[str, Counter[str]] = field(default_factory=lambda: {r: Counter() for r in READERS})
    slowest: dict[str, tuple[float, int]] = field(
        default_factory=lambda: dict.fromkeys(READERS, (0.0, 0))  # seconds, text
    )
    findings: list[Finding] = field(default_factory=list)
    grown: int = 0  # bytes

    def add(self, other: Tally) -> None:
        for reader in READERS:
            self.kinds[reader] += other.kinds[reader]
            self.slowest[reader] = max(self.slowest[reader], other.slowest[reader])
        self.findings += other.findings
        self.grown = max(self.grown, other.grown)


def read_row(seed: int, numbers: Sequence[int], tell: Callable[[int], None]) -> Tally:
    """Texts of these numbers into both readers; `tell(number)` is called before each."""
    corpus()
    before = guard()
    tally = Tally()
    for number in numbers:
        tell(number)
        text = random_text(seed, number)
        for name, reader in READERS.items():
            answer = judge(reader, text)
            tally.kinds[name][answer.kind] += 1
            tally.slowest[name] = max(tally.slowest[name], (answer.seconds, number))
            if answer.finding:
                tally.findings.append(Finding(name, number, answer.kind, answer.finding))
            grown = peak() - before
            if grown > GROWTH >= tally.grown:
                tally.findings.append(Finding(name, number, "memory", f"{grown >> 20} MB more"))
            tally.grown = max(tally.grown, grown)
    return tally


def _work(seed: int, numbers: Sequence[int], results: Connection, at: Any) -> None:
    def tell(number: int) -> None:
        at.value = number

    results.send(read_row(seed, numbers, tell))


def read_all(seed: int, numbers: range, processes: int) -> Tally:
    """The same on several processes; one that dies is a finding."""
    context = multiprocessing.get_context("spawn")
    workers = []
    for k in range(processes):
        here, there = context.Pipe(duplex=False)
        at = context.Value("q", -1)
        worker = context.Process(target=_work, args=(seed, numbers[k::processes], there, at))
        worker.start()
        there.close()
        workers.append((worker, here, at))
    total = Tally()
    for worker, here, at in workers:
        try:
            total.add(here.recv())
        except EOFError:
            worker.join()
            how = f"its process ended with {worker.exitcode}"
            total.findings.append(Finding("either", at.value, "died", how))
        worker.join()
    return total

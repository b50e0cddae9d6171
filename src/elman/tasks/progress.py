"""What a training shows while it runs: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Display:
    """Lines for everyone, a bar with units per second and the time left for a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.console = Console(file=stream or sys.stdout)
        self._bar: Progress | None = None

    def line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, *, done: int, total: int) -> Iterator[None]:
        """Show a bar of steps until the block is left; nothing where no one watches."""
        if not self.console.is_terminal:
            yield
            return
        columns = (
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            bar.add_task("", total=total, completed=done, speed="", loss=float("nan"))
            self._bar = bar
            try:
                yield
            finally:
                self._bar = None

    def step(self, number: int, *, speed: str, loss: float) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=number, speed=speed, loss=loss)


class Silent(Display):
    """Shows nothing: for tests, and for whoever reads metrics.csv."""

    def line(self, text: str) -> None:
        pass

    @contextmanager
    def bar(self, *, done: int, total: int) -> Iterator[None]:
        yield

"""A case small enough to be run in the test's own process, and a crew that does so."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from elman.bench.case import Arrays, Case, Given, draw
from elman.bench.job import Job
from elman.bench.reference import reference
from elman.bench.suite import case_of, named
from elman.bench.worker import Worker, said
from elman.cell import Cell


def small_case(
    name: str | Cell,
    task: str,
    shape: tuple[int, int, int, int] = (6, 2, 3, 5),
    dtype: str = "float64",
) -> Case:
    """A case on a small shape; sizes that are the cell's own are 4."""
    cell = named(name) if isinstance(name, str) else name
    known = {n for n in cell.typed.aliases.values() if n.isidentifier()}
    sizes = {n: {"m": 5, "cell": 7}.get(n, 4) for n in known - {"input", "hidden", "x"}}
    return case_of(cell, shape, task, dtype, 1, sizes)


def job_of(case: Case) -> tuple[Job, Arrays]:
    """What a peer is asked for, and what is right."""
    cell = case.made()
    given = draw(case, cell)
    expected = reference(case, cell, given)
    return Job(case, cell, Given.from_flat(given.flat(), case.dtype)), expected


def found_by(module: str, job: Job) -> Arrays:
    """What a peer computes, in this process."""
    ready = importlib.import_module(f"elman.bench.peers.{module}").prepare(job)
    return ready.arrays(ready.call())


class NearCrew:
    """A crew whose workers are objects of this process; `changed` alters what a peer finds."""

    def __init__(self, threads: int = 1, changed: Mapping[str, Callable[[Arrays], Arrays]] = {}):
        self.changed = changed
        self.workers: dict[str, Worker] = {}
        self.folder = tempfile.TemporaryDirectory()
        self.dismissed: list[str] = []

    @property
    def path(self) -> Path:
        return Path(self.folder.name)

    def ask(self, module: str, most: float, **order: Any) -> dict[str, Any]:
        if module not in self.workers:
            self.workers[module] = Worker(module)
            self.workers[module].hello(1)
            self._alter(self.workers[module], module.removeprefix("peers."))
        worker = self.workers[module]
        order = json.loads(json.dumps(order))
        if order["do"] == "memory":
            return {"peak_bytes": 0}  # that of a whole test run would take long to look at
        return said(worker, order)

    def _alter(self, worker: Worker, name: str) -> None:
        if name in self.changed:
            start, change = worker.start, self.changed[name]

            def altered(job: Job) -> Any:
                ready = start(job)
                return type(ready)(ready.call, lambda out: change(ready.arrays(out)))

            worker.start = altered

    def dismiss(self, module: str) -> None:
        self.dismissed.append(module)
        self.workers.pop(module, None)

    def __enter__(self) -> NearCrew:
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

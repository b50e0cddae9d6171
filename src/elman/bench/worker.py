"""A process that runs one peer: `python -m elman.bench.worker "JAX scan"`.

Told what to do in lines of JSON on standard input, it answers each with one line on standard
output; arrays go through .npz files. While nothing is asked it sleeps.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from elman.bench.case import Case, Given, load, save
from elman.bench.job import Cannot, Job, Ready

Said = dict[str, Any]


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    warnings.simplefilter("ignore")
    serve(Worker(sys.argv[1]), sys.stdin, answers)


def serve(worker: Worker, asked: TextIO, answers: TextIO) -> None:
    """One answer for each line."""
    for line in asked:
        answers.write(json.dumps(said(worker, json.loads(line))) + "\n")
        answers.flush()


def said(worker: Worker, order: Said) -> Said:
    """What a worker says to an order: also why it cannot, or how it failed."""
    do = order.pop("do")
    try:
        found: Said = getattr(worker, do)(**order)
    except Cannot as reason:
        return {"cannot": str(reason)}
    except Exception as error:  # a peer may fail in any way, and the table says how
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {error}"}
    return found


class Worker:
    """One peer, and the case that it is ready for."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.ready: Ready | None = None

    def hello(self, threads: int) -> Said:
        """Import what the peer needs."""
        made = importlib.import_module(f"elman.bench.{self.module}")
        self.start: Callable[[Job], Ready] = getattr(made, "prepare", None)  # type: ignore[assignment]
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        return {"pid": os.getpid()}

    def prepare(self, case: Mapping[str, Any], data: str, result: str) -> Said:
        """Get ready for a case and run it once; what came out is written to `result`."""
        self.forget()
        found = Case.from_json(case)
        given = Given.from_flat(load(Path(data)), found.dtype)
        job = Job(found, found.made(), given)
        start = time.perf_counter()
        self.ready = self.start(job)
        del job, given
        room, before = Room(), 0
        if self.ready.keeps_memory:
            before = room.empty()
        out = self.ready.call()
        took = self.ready.first_seconds or time.perf_counter() - start
        peak = room.most() - before if self.ready.keeps_memory else self.ready.peak_bytes
        save(Path(result), self.ready.arrays(out))
        return {"first_seconds": took, "note": self.ready.note, "peak_bytes": peak}

    def burst(self, calls: int) -> Said:
        """The seconds of each of so many calls, after one that is not counted."""
        assert self.ready is not None
        call = self.ready.call
        call()
        clock, found = time.perf_counter, []
        gc.disable()
        for _ in range(calls):
            start = clock()
            call()
            found.append(clock() - start)
        gc.enable()
        return {"seconds": found}

    def memory(self) -> Said:
        """How much a call takes beyond what stood before it: what it returns, and what it needs."""
        assert self.ready is not None
        if self.ready.release is not None:
            self.ready.release()
        room = Room()
        before = room.empty()
        self.ready.call()
        return {"peak_bytes": room.most() - before}

    def measure(self, **options: Any) -> Said:
        """What a module that is no peer finds out: `limits`, for instance."""
        made = importlib.import_module(f"elman.bench.{self.module}")
        found: Said = made.measure(**options)
        return found

    def forget(self) -> Said:
        """Let go of the case."""
        self.ready = None
        return {}


class Room:
    """The memory of this process as Linux counts it; zeros elsewhere."""

    def empty(self) -> int:
        """Hand back what is free, begin to watch the peak, and say how much is in use."""
        gc.collect()
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        except (OSError, AttributeError):
            return 0
        return self._status("VmRSS")

    def most(self) -> int:
        """The most that was in use since."""
        return self._status("VmHWM")

    def _status(self, key: str) -> int:
        try:
            text = Path("/proc/self/status").read_text(encoding="ascii")
        except OSError:
            return 0
        lines = (line.split() for line in text.splitlines())
        return next(1024 * int(words[1]) for words in lines if words and words[0] == f"{key}:")


if __name__ == "__main__":
    main()

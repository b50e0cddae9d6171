"""The peers' processes, of which one works at a time while the others sleep.

Two peers in one process would share a pool of threads, and pools spin: threads of ONNX Runtime
that wait for work halve the speed of whatever runs beside them. So each peer has its own process,
and nobody is asked before the one before has come to rest.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

Said = dict[str, Any]
LONGEST_SPIN = 0.5  # most seconds to wait for the threads of a process that has answered
STARTING = 120.0  # most seconds to import a peer


class Gone(Exception):
    """A process that died or took too long; it is not there any more."""


class Worker:
    """A peer's process: `ask` it one thing at a time."""

    def __init__(self, module: str, threads: int, cache: str) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        command = [sys.executable, "-m", "elman.bench.worker", module]
        with _processors(threads):
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                env=environment(threads, cache),
                start_new_session=True,  # ended with the processes that it starts to compile
            )
        self.ask(STARTING, do="hello", threads=threads)

    def ask(self, most: float, **order: Any) -> Said:
        """What the process says to an order, within `most` seconds; then it is at rest."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
            line = _line(self.process.stdout, most)
        except (OSError, TimeoutError) as error:
            self.end()
            raise Gone(str(error) or "its process ended") from None
        if not line:
            self.process.wait()
            code, said = self.process.returncode, self._last_words()
            self.end()
            raise Gone(f"its process ended with {code}{said and f': {said}'}")
        said_: Said = json.loads(line)
        _rest(self.process.pid)
        return said_

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def end(self) -> None:
        """The process is killed, if it has not ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()


class Crew:
    """The workers by peer, started when first asked; a context that ends them all."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.workers: dict[str, Worker] = {}
        self.folder = tempfile.TemporaryDirectory(prefix="elman-bench-")

    @property
    def path(self) -> Path:
        """A folder for arrays, gone when the crew is."""
        return Path(self.folder.name)

    def ask(self, module: str, most: float, **order: Any) -> Said:
        """Ask the worker of a module; one that is gone is started anew the next time."""
        if module not in self.workers:
            cache = self.path / "cache"
            self.workers[module] = Worker(module, self.threads, str(cache))
        try:
            return self.workers[module].ask(most, **order)
        except Gone:
            del self.workers[module]
            raise

    def dismiss(self, module: str) -> None:
        """End a module's process, if there is one."""
        worker = self.workers.pop(module, None)
        if worker is not None:
            worker.end()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        for module in list(self.workers):
            self.dismiss(module)
        self.folder.cleanup()


def environment(threads: int, cache: str) -> dict[str, str]:
    """So many threads for every library, and no cache that would hide what compiling costs."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    counts = {f"{name}_NUM_THREADS": str(threads) for name in names}
    return {
        **os.environ,
        **counts,
        "ELMAN_CACHE": cache,
        "JAX_PLATFORMS": "cpu",
        "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
        "PYTHONUNBUFFERED": "1",
    }


@contextlib.contextmanager
def _processors(threads: int) -> Iterator[None]:
    """What is started here may use the first `threads` processors, so that JAX keeps to them."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _line(stream: Any, most: float) -> bytes:
    """A line of a pipe; empty where the pipe has ended."""
    found = bytearray()
    end = time.monotonic() + most
    raw: BinaryIO = stream
    while not found.endswith(b"\n"):
        left = end - time.monotonic()
        if left <= 0 or not select.select([raw], [], [], left)[0]:
            raise TimeoutError(f"it took longer than {most:.0f} s")
        part = os.read(raw.fileno(), 1 << 16)
        if not part:
            return b""
        found += part
    return bytes(found)


def _rest(pid: int) -> None:
    """Wait until the threads of a process use no processor any more, or LONGEST_SPIN is over.

    The system books the time of a running thread every few milliseconds only, so that two looks
    must lie further apart than that.
    """
    end = time.monotonic() + LONGEST_SPIN
    before = _used(pid)
    while time.monotonic() < end:
        time.sleep(0.01)
        now = _used(pid)
        if now is None or before is None:
            time.sleep(0.05)
            return
        if now - before < 500_000:  # nanoseconds, of ten million
            return
        before = now


def _used(pid: int) -> int | None:
    """The nanoseconds that a process has computed for; None where the system does not say."""
    total = 0
    try:
        for path in Path(f"/proc/{pid}/task").iterdir():
            total += int((path / "schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return None
    return total

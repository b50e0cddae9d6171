"""A reader's answer to one text, and what may not happen while it answers.

Allowed are a cell or an ElmanError, within a second of processor time and 300 MB of memory; nothing
may be compiled, imported, written or started meanwhile.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elman import Cell, library
from elman.errors import CellWarning, ElmanError
from tests.soon import its_own_memory

SECONDS = 1.0  # of the processor, so that a busy machine makes nobody slow
GROWTH = 300 << 20  # bytes of memory beyond those of a reader that has read the whole library
ROOM = 512 << 20  # bytes of addresses beyond them: what asks for more gets a MemoryError
READERS: dict[str, Callable[[str], Cell]] = {"python": Cell, "latex": Cell.from_latex}
LONGEST = 12_000  # characters of a message
FORBIDDEN = ("compile", "exec", "import", "os.", "subprocess.", "socket.", "shutil.", "ctypes.")

_heard: list[str] | None = None  # what the interpreter did meanwhile; None where nobody listens


@dataclass(frozen=True)
class Answer:
    """What became of a text, "read" or an error's code, and what is wrong with that."""

    kind: str
    seconds: float = 0.0
    finding: str = ""


class TooSlowError(BaseException):
    """Raised within the reader; no `except Exception` holds it up."""


def judge(reader: Callable[[str], Any], text: str) -> Answer:
    """Read a text, and say all that can be said of the result."""
    answer = _timed(reader, text)
    if answer.kind == "slow":  # once more: a neighbour may have emptied the processor's caches
        answer = _timed(reader, text)
    return answer


def _timed(reader: Callable[[str], Any], text: str) -> Answer:
    global _heard
    start = time.process_time()
    before = signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    _heard = heard = []
    try:
        with its_own_memory():
            kind, finding = _outcome(reader, text)
    except KeyboardInterrupt:
        raise
    except TooSlowError:
        kind, finding = "slow", f"more than {SECONDS} s:\n{_last_calls()}"
    except BaseException as error:
        kind, finding = type(error).__name__, _last_calls()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        _heard = None
    if heard and not finding:
        kind, finding = "evaluated", ", ".join(heard)
    return Answer(kind, time.process_time() - start, finding)


def _outcome(reader: Callable[[str], Any], text: str) -> tuple[str, str]:
    try:
        kind, messages = "read", [str(found) for found in reader(text).warnings]
    except ElmanError as error:
        kind, messages = error.code, [str(error)]
    longest = max(map(len, messages), default=0)
    return kind, f"a message of {longest} characters" if longest > LONGEST else ""


def _last_calls() -> str:
    lines = traceback.format_exc(limit=-6, chain=False).splitlines()
    return "\n".join(line[:200] for line in lines)


# ---- the process that reads ----


def guard() -> int:
    """Watch this process from here on; the bytes that it has now."""
    warnings.simplefilter("ignore", CellWarning)
    for name in library.cells:  # what is imported and opened once, is so now
        READERS["latex"](READERS["python"](library.cells.text(name)).to_latex())
    sys.addaudithook(_hear)
    status = Path("/proc/self/statm")
    if status.exists():
        pages = int(status.read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    return peak()


def peak() -> int:
    """The most bytes of memory that this process ever held."""
    status = Path("/proc/self/status")  # what the resource module says may be the parent's
    if status.exists():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) for line in lines if line[0] == "VmHWM:") << 10
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if _heard is None:
        return
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event.startswith(FORBIDDEN):
        _heard.append(event)


def _too_slow(*_: object) -> None:
    raise TooSlowError

"""Let Ctrl-C end a training between two steps instead of inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Asked:
    """True once someone asked the training to stop."""

    to_stop: bool = False

    def __bool__(self) -> bool:
        return self.to_stop


@contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """Note the first SIGINT or SIGTERM; a second one acts as it would have without us."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread may listen
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: FrameType | None) -> None:
        asked.to_stop = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

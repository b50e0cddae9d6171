"""Messages kept as texts: a file is the message, or what gets it, a line of dashes, the message."""

from __future__ import annotations

import difflib
import os
from pathlib import Path


def assert_golden(path: Path, got: str, before: str = "") -> None:
    """That a file is `before` and this message; ELMAN_WRITE_GOLDEN=1 writes it: read the diff."""
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":
        path.write_text(before + got, "utf-8")
    expected = path.read_text("utf-8").removeprefix(before)
    shown = difflib.unified_diff(expected.splitlines(), got.splitlines(), "golden", "now", n=99)
    assert got == expected, "\n" + "\n".join(shown)

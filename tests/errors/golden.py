"""Messages kept as texts: a file is the message, or what gets it, a line of dashes, the message."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path


def assert_golden(path: Path, got: str, before: str = "") -> None:
    """That a file is `before` and this message; ELMAN_WRITE_GOLDEN=1 writes it: read the diff."""
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":
        path.write_text(before + got, "utf-8")
    expected = path.read_text("utf-8").removeprefix(before)
    shown = difflib.unified_diff(expected.splitlines(), got.splitlines(), "golden", "now", n=99)
    assert got == expected, "\n" + "\n".join(shown)


def assert_says_a_way_out(path: Path, got: str, kind: str = r"\w+Problem") -> None:
    """That a file is this message, headed by the code in the file's name, and ends with advice."""
    assert_golden(path, got)
    headline, *rest = got.splitlines()
    assert re.fullmatch(rf"{kind} \[{path.stem[:4]}\]: .*[^.]", headline)
    assert rest and re.search(r"[.?]$", rest[-1])

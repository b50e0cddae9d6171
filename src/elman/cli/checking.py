"""`elman check`: sheets whose printed numbers are checked line by line."""

from __future__ import annotations

import json as json_writer
from collections.abc import Sequence
from pathlib import Path

from elman.sheets import load


def check(paths: Sequence[Path], digits: int | None, *, json: bool) -> bool:
    """Print the verdicts on every claim; whether none is wrong."""
    reports = [load(path).check(digits) for path in paths]
    if json:
        found = [
            {"file": str(path), **report.as_dict()}
            for path, report in zip(paths, reports, strict=True)
        ]
        print(json_writer.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        print("\n\n".join(report.to_text() for report in reports))
    return all(reports)

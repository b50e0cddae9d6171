"""`elman check`: sheets whose printed numbers are checked line by line."""

from __future__ import annotations

import json as json_writer
from collections.abc import Sequence
from pathlib import Path

from elman.errors import ElmanError
from elman.sheets import load


def check(paths: Sequence[Path], digits: int | None, *, json: bool) -> bool:
    """Print the verdicts on every claim; whether none is wrong.

    Of several sheets, those that can be read are checked before one that cannot is an error.
    """
    reports, failed = {}, None
    for path in paths:
        try:
            reports[path] = load(path).check(digits)
        except ElmanError as error:
            failed = failed or error
    if json and reports:
        found = [{"file": str(path), **report.as_dict()} for path, report in reports.items()]
        print(json_writer.dumps(found[0] if len(paths) == 1 else found, indent=2))
    elif reports:
        print("\n\n".join(report.to_text() for report in reports.values()))
    if failed is not None:
        raise failed
    return all(reports.values())

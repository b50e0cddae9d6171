"""`elman compare`: two cells side by side."""

from __future__ import annotations

import json as json_writer

from elman.cell.same import same
from elman.cli.cell_argument import find_cell


def compare(first: str, second: str, *, json: bool) -> bool:
    """Print whether both are the same function, and why."""
    found = same(find_cell(first), find_cell(second))
    if json:
        print(json_writer.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        print(found)
    return bool(found)

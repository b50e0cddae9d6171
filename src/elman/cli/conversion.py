"""`elman convert`: weights from one framework's layout to another's."""

from __future__ import annotations

import json as json_writer
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from elman.cell.given_files import read_arrays
from elman.cli.array_files import check_output, to_json, to_yaml, write_arrays
from elman.errors import WeightProblem, nearest
from elman.library.weights import check_layout, full_name, read, write


def convert(
    weights: Path,
    layouts: tuple[str, str],
    cell: str | None,
    only: str | None,
    output: Path | None,
    *,
    overwrite: bool,
    json: bool,
) -> None:
    """Write the same network in another layout to a file, or print it."""
    source, target = layouts
    for layout in layouts:
        check_layout(layout)
    if output is not None:
        check_output(output, overwrite=overwrite)
    network = read(_chosen(read_arrays(weights), only), source, cell)
    arrays = write(network, target)
    words = f"{network}: {full_name(network, target)}, from {source}"
    if output is None:
        print(to_json(arrays) if json else to_yaml(arrays, words), end="")
        return
    write_arrays(output, arrays, words)
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    if json:
        told = {"file": str(output), "network": str(network), "arrays": shapes}
        print(json_writer.dumps(told, ensure_ascii=False, indent=2))
        return
    print(f"{output}: {words}")
    width = max(map(len, shapes))
    for name, array in arrays.items():
        print(f"  {name:<{width}}  {array.shape}")


def _chosen(arrays: Mapping[str, Any], only: str | None) -> dict[str, Any]:
    """The arrays whose names fit a pattern; E531 where none does."""
    found = {k: a for k, a in arrays.items() if only is None or fnmatchcase(k, only)}
    if only is not None and not found:
        raise WeightProblem(
            "E531",
            f"no array has a name like {only!r}",
            rule=f"There are {', '.join(arrays)}.",
            fix=nearest(only, arrays) or "A * stands for any letters, as in 'lstm.*'.",
        )
    return found

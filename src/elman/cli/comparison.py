"""`elman compare`: whether cells are the same function, or their numbers side by side."""

from __future__ import annotations

import json as json_writer
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from elman.cell import Cell
from elman.cell.conventions import SideBySide, side_by_side
from elman.cell.given_files import check_finite, read_arrays
from elman.cell.same import Sameness, same
from elman.cli import numbers as n
from elman.cli.cell_argument import find_cell
from elman.cli.said import said_as_a_command


@dataclass(frozen=True)
class Given:
    """The numbers of a command; without inputs and weights the equations are compared."""

    weights: Path | None = None
    x: str | None = None
    stream: Sequence[str] | None = None
    state: Sequence[str] | None = None
    steps: int | None = None
    digits: int | None = None

    @property
    def is_empty(self) -> bool:
        return self == Given()


def compare(names: Sequence[str], given: Given, *, json: bool) -> bool:
    """Print how the cells compare; whether they are all the same."""
    if len(names) < 2:
        raise typer.BadParameter("name two cells or more", param_hint="CELL...")
    cells = [find_cell(name) for name in names]
    if given.is_empty:
        return _equations(cells, json=json)
    found = _numbers(cells, given)
    if json:
        print(json_writer.dumps(found.as_dict(), ensure_ascii=False, indent=2))
    else:
        print(found.to_text(4 if given.digits is None else given.digits))
    return bool(found)


def _equations(cells: Sequence[Cell], *, json: bool) -> bool:
    """The first cell's function against each other's."""
    found: list[Sameness] = [same(cells[0], other) for other in cells[1:]]
    if json:
        plain: Any = [each.as_dict() for each in found]
        print(
            json_writer.dumps(plain if len(plain) > 1 else plain[0], ensure_ascii=False, indent=2)
        )
    else:
        print("\n\n".join(map(str, found)))
    return all(found)


def _numbers(cells: Sequence[Cell], given: Given) -> SideBySide:
    """The same numbers through every cell."""
    first = [f"x={given.x}"] if given.x is not None else []
    texts = n.by_name([*first, *(given.stream or ())], "--input")
    states = n.by_name(given.state or (), "--state")
    inputs = {
        name: n.steps(text, "--x" if name == "x" else "--input") for name, text in texts.items()
    }
    state = {key: n.numbers(text, "--state") for key, text in states.items()}
    with said_as_a_command(given.weights):
        weights = read_arrays(given.weights) if given.weights else {}
        for name, value in weights.items():
            check_finite(f"{name} in {given.weights}", value)
        for name, value in inputs.items():
            check_finite(f"the input {name}", value, n.STEP_AXES)
        return side_by_side(cells, inputs, weights, state, steps=given.steps)

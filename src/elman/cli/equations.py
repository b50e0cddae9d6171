"""`elman trace`, `elman show` and `elman cells`: cells and their numbers."""

from __future__ import annotations

import json as json_writer
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from elman import library
from elman.cell import Cell
from elman.cli.cell_argument import find_cell
from elman.errors import Fact, FileProblem, NameProblem, ShapeProblem, WeightProblem
from elman.tasks.files import read_yaml

EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")


def trace(
    cell_name: str,
    weights: Path | None,
    inputs: Sequence[str],
    state: Sequence[str],
    digits: int,
    *,
    steps: int | None = None,
    seed: int | None = None,
) -> None:
    """Print every product and sum of a cell on a few steps."""
    cell = find_cell(cell_name)
    streams = _streams(inputs, cell)
    over = cell.typed.over
    given = {
        name: (_steps if "t" in over.get(name, "t") else _numbers)(
            text, f"--{name}" if name == "x" else "--input"
        )
        for name, text in streams.items()
    }
    before = {
        name: _numbers(text, "--state") for name, text in (_named(t, "--state") for t in state)
    }
    if steps is None and not any("t" in over[name] for name in cell.inputs):
        raise ShapeProblem(
            "E212",
            "nothing says how many steps to run",
            rule="The steps are counted by an input at [t], and the cell has none.",
            fix="Say how many: --steps 5.",
        )
    if weights is None and cell.parameters:
        raise WeightProblem(
            "E501",
            f"the weight {cell.parameters[0]!r} is missing",
            rule=f"The cell needs {', '.join(cell.parameters)}.",
            fix="Write them into a file, as W: [[0.5, 0.1]], and name it: --weights my.yaml.",
        )
    numbers = {} if weights is None else read_weights(weights)
    shown = cell.trace(given, numbers, before or None, steps=steps, seed=seed)
    print(shown.to_text(digits=digits).rstrip("\n"))


def _streams(inputs: Sequence[str], cell: Cell) -> dict[str, str]:
    """The text of every input by name; E405 says with which option a missing one is given."""
    streams: dict[str, str] = {}
    for name, text in (_named(text, "--input") for text in inputs):
        if name in streams:
            raise typer.BadParameter(f"{name} is given twice", param_hint="--input")
        streams[name] = text
    missing = [name for name in cell.inputs if name not in streams]
    if missing:
        option = "--x " if missing[0] == "x" else f"--input {missing[0]}="
        raise NameProblem(
            "E405",
            f"the input {missing[0]} is missing",
            rule=f"The cell reads {', '.join(cell.inputs)}.",
            fix=f'Give its steps, as in {option}"1,2;1.5,2.5" for two steps of two.',
        )
    return streams


def read_weights(path: Path) -> dict[str, Any]:
    """Numbers, lists and matrices by name from a YAML (or JSON) file; E606 names what is none."""
    value = read_yaml(path)
    if not isinstance(value, dict) or not value:
        raise FileProblem(
            "E606",
            f"{path} must name its arrays",
            fix="As in:  W: [[0.5, 0.1]]  on one line and  b: 0.1  on the next.",
        )
    value = {name: _numeric(array) for name, array in value.items()}
    wrong = [
        name for name, array in value.items() if not isinstance(name, str) or not _is_array(array)
    ]
    if wrong:
        facts = [Fact(str(name), repr(value[name])[:40], f"in {path}") for name in wrong]
        raise FileProblem(
            "E606",
            f"{path} holds something other than numbers: {', '.join(map(str, wrong))}",
            facts=facts,
            rule="Each name stands for a number, a list of numbers or a list of such lists.",
        )
    return value


def show(cell_name: str, after: str | None, code: str | None, *, latex: bool, text: bool) -> None:
    """Print the equations in one of their notations, a stage of the passes, or the code."""
    if sum((after is not None, code is not None, latex, text)) > 1:
        raise typer.BadParameter("one of --after, --code, --latex, --text", param_hint="show")
    cell = find_cell(cell_name)
    if after is not None:
        shown = cell.stage(after)
    elif code is not None:
        shown = cell.code(code)
    elif latex:
        shown = cell.to_latex()
    else:
        shown = cell.to_text() if text else str(cell)
    print(shown.rstrip("\n"))


def cells(search: str | None = None, *, json: bool) -> None:
    """Print the library, or what a search finds in it: each cell's name and title."""
    names = list(library.cells) if search is None else library.search(search)
    if not names:
        raise NameProblem(
            "E410",
            f"no published cell has {search!r} in its name, title, citation, notes or equations",
            rule="Of several words a cell must have each.",
            fix=library.suggestion(str(search)) or None,
        )
    headers = {name: library.cells.header(name) for name in names}
    if json:
        print(json_writer.dumps(headers, ensure_ascii=False, indent=2))
        return
    width = max(map(len, headers))
    for name, header in headers.items():
        print(f"{name:<{width}}  {header.get('title', '')}")


def _named(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise typer.BadParameter(f"{text!r} is not like NAME=1,2", param_hint=option)
    return name.strip(), value


def _steps(text: str, option: str) -> list[list[float]]:
    """'1,2;1.5,2.5' as two steps of two."""
    steps = [_numbers(step, option) for step in text.strip().rstrip(";").split(";")]
    if len({len(step) for step in steps}) > 1:
        sizes = ", ".join(str(len(step)) for step in steps)
        raise typer.BadParameter(f"the steps differ in size: {sizes}", param_hint=option)
    return steps


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        message = f"{text!r} is not like 1,2 (numbers, with commas between)"
        raise typer.BadParameter(message, param_hint=option) from None


def _numeric(value: Any) -> Any:
    """1e-3 as a number: YAML takes it for a word, as it has no point."""
    if isinstance(value, list):
        return [_numeric(entry) for entry in value]
    word = isinstance(value, str) and EXPONENT.fullmatch(value)
    return float(value) if word else value


def _is_array(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_array, value))
    return isinstance(value, int | float) and not isinstance(value, bool)

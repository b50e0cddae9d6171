"""Find the cell that a command names: a name of the library, or a .cell file."""

from __future__ import annotations

from pathlib import Path

import elman
from elman import library
from elman.cell import Cell
from elman.errors import FileProblem, NameProblem, nearest


def find_cell(argument: str) -> Cell:
    """The cell of that name or file; an unknown one is an error with the nearest name.

    >>> find_cell("gru").name
    'gru'
    """
    if argument in elman.cells:
        return elman.cells[argument]
    path = Path(argument)
    if argument and path.is_dir():
        raise FileProblem("E602", f"{path} is a folder, not a .cell file")
    if path.is_file():
        return Cell.load(path)
    if path.suffix == ".cell" or len(path.parts) > 1:
        near = [str(other) for other in path.parent.glob("*.cell")] if path.parent.is_dir() else []
        raise FileProblem("E601", f"there is no file {path}", fix=nearest(argument, near) or None)
    raise NameProblem(
        "E410",
        f"there is no cell {argument!r}, neither in the library nor as a file",
        rule="`elman cells` lists the library; a file is named with its ending, as my.cell.",
        fix=library.suggestion(argument) or None,
    )

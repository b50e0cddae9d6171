"""`elman show` and `elman cells`: cells and how they are written."""

from __future__ import annotations

import json as json_writer

import typer

from elman import library
from elman.cli.cell_argument import find_cell
from elman.errors import NameProblem
from elman.passes.roles import written_roles


def show(
    cell_name: str,
    after: str | None,
    code: str | None,
    *,
    latex: bool,
    roles: bool,
    text: bool,
) -> None:
    """Print the equations in one of their notations, a stage of the passes, roles, or the code."""
    if sum((after is not None, code is not None, latex, roles, text)) > 1:
        options = "one of --after, --code, --latex, --roles, --text"
        raise typer.BadParameter(options, param_hint="show")
    cell = find_cell(cell_name)
    if after is not None:
        shown = cell.stage(after)
    elif code is not None:
        shown = cell.code(code)
    elif roles:
        shown = written_roles(cell.typed.cell)
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

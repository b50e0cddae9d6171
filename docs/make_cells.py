"""Write docs/cells.md: every published cell with its equations and what can be said of it.

python docs/make_cells.py           writes the page
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

import elman
from elman import library
from elman.passes.analysis import Analysis
from elman.passes.counts import Count
from elman.passes.forms import Atoms
from elman.passes.isomorphism import Both, isomorphism

PAGE = Path(__file__).resolve().parent / "cells.md"
SIZE, SMALLER = 128, {"heads": 4, "head": 32, "state": 16, "rank": 16, "rank_u": 16, "rank_w": 16}
LISTED = 84
MISSING = {  # of the list, and why
    24: (
        "LSTM with batch normalisation inside the step (Cooijmans, 2017)",
        "It needs the mean and the variance over the sequences of a batch, and running averages of "
        "both for every step. The equations of a cell speak of one sequence: a batch is how many "
        "of them run side by side, and may not change what each computes.",
    ),
    40: (
        "SRU++ (Lei, 2021)",
        "Attention over the whole sequence stands before its loop: at step t it reads every step. "
        "The loop itself is `sru`.",
    ),
    83: (
        "Convolutional LSTM (Shi, 2015)",
        "Its products are convolutions over the places of a picture. The language has products "
        "over named axes only; `lstm_peephole` is the same cell with matrices.",
    ),
    84: (
        "Tree-structured LSTMs, neural Turing machines and differentiable neural computers",
        "A tree's node hears several children, where a step has one past. The machines address "
        "their memory by content, with sharpened and shifted weights, and their controllers are "
        "networks of their own.",
    ),
}
HEAD = """# Published cells

{count} cells come with Elman, each as a short text under a comment header. `elman.cells["gru"]` is
one, `elman cells --search "peephole lstm"` finds some, `elman show gru` prints one, and
`elman compare lstm lstm_gamma` says whether two are the same function.

This page is written by `make docs`. What it says of a cell is computed from the equations:

- **parameters** are the weights, as a formula in the names of the sizes, and for sizes of {size}
  ({smaller}).
- **FLOPs** are the arithmetic of one step of one sequence: a product counts 2 for every
  multiplication with its addition, everything elementwise 1 an entry; what no step changes is not
  counted. A logistic function counts 1, as a sum does.
- **phases** is 1, and one more for each product of a step that waits for another product of the
  same step. Products of inputs alone wait for nothing.
- **linear**: what the states become is affine in their past, with coefficients that their past does
  not reach. A parallel scan can then compute them. Where this holds for some states only, given the
  others, these are named.
- **the same function** are cells that a renaming makes equal, concatenated weights apart.
- **diagonal**: each entry of a state hears the entries of its own place only, so that the Jacobian
  from step to step is diagonal.
"""


def number(count: Count) -> int:
    """The count for the page's sizes."""
    return count(**{size: SMALLER.get(size, SIZE) for size in count.sizes})


def said(found: Analysis, whole: bool, states: tuple[str, ...]) -> str:
    """yes, no, or the states of which it holds."""
    if not found.loops:
        return "no state"
    return "yes" if whole else ", ".join(f"`{name}`" for name in states) or "no"


def row(name: str) -> str:
    found = elman.cells[name].analyse()
    cells = [
        f"[{name}](#{name})",
        library.cells.header(name)["title"],
        f"{number(found.parameters):,}",
        f"{number(found.flops):,}",
        str(found.phases),
        said(found, found.linear, found.linear_states),
        said(found, found.diagonal, found.diagonal_states),
    ]
    return f"| {' | '.join(cells)} |"


@functools.cache
def twins() -> dict[str, list[str]]:
    """For each cell those that are the same function in other letters."""
    cells = {name: elman.cells[name].typed.cell for name in library.cells}
    found: dict[str, list[str]] = {name: [] for name in cells}
    for a, b in itertools.combinations(cells, 2):
        if outline(a) == outline(b) and isomorphism(Both.of((cells[a], cells[b]), Atoms())):
            found[a].append(b)
            found[b].append(a)
    return found


@functools.cache
def outline(name: str) -> tuple[int, int, int, int]:
    """How much of everything a cell has: other than this, and two cells are not the same."""
    cell = elman.cells[name]
    both = Both.of((cell.typed.cell, cell.typed.cell), Atoms())
    counts = len(cell.inputs), len(cell.states), len(cell.returns)
    return (*counts, len(both.forms[0].bases))


def facts(name: str) -> Iterator[str]:
    """What is known of a cell, a line each."""
    found = elman.cells[name].analyse()
    if twins()[name]:
        yield f"the same function: {', '.join(f'[{n}](#{n})' for n in twins()[name])}"
    yield f"parameters: {formula(found.parameters)}"
    if found.frozen.terms:
        yield f"of these never learned: {formula(found.frozen)}"
    yield f"FLOPs a step: {formula(found.flops)}"
    yield f"phases: {found.phases}"
    yield f"linear: {said(found, found.linear, found.linear_states)}"
    yield f"diagonal: {said(found, found.diagonal, found.diagonal_states)}"
    if found.side_inputs:
        yield f"further inputs: {', '.join(f'`{name}`' for name in found.side_inputs)}"
    if found.delays:
        yield f"delays: {', '.join(f'`{n}[t-{lag}]`' for n, lag in found.delays.items())}"
    if found.random:
        names = ", ".join(f"`{name}`" for name in found.random)
        yield f"drawn in training, their mean in evaluation: {names}"


def formula(count: Count) -> str:
    names = bool(count.sizes)
    return f"`{count}` = {number(count):,}" if names else f"{number(count):,}"


def entry(name: str) -> str:
    """One cell: title, source, equations, what is known of it, notes."""
    header = library.cells.header(name)
    lines = [line for line in library.cells.text(name).splitlines() if not line.startswith("#")]
    equations = "\n".join(lines).strip("\n")
    parts = [f"### {name}", f"**{header['title']}**", f"{header['citation']}."]
    if "aliases" in header:
        parts.append(f"Also called {header['aliases']}.")
    parts.append(f"```python\n{equations}\n```")
    parts.append("\n".join(f"- {fact}" for fact in facts(name)))
    return "\n\n".join([*parts, header["notes"]])


def coverage() -> str:
    """Which entries of the list are here, and why the others are not."""
    names: dict[int, list[str]] = {}
    for name in library.cells:
        own = library.cells.header(name).get("number")
        if own is not None:
            names.setdefault(int(own), []).append(name)
    assert sorted([*names, *MISSING]) == list(range(1, LISTED + 1))
    lines = [
        f"Elman is measured by a list of {LISTED} published cells, from 1986 to 2024; {len(names)} "
        f"of them are here, several in more than one variant. These are not:",
        "",
        *(f"- **{k}. {title}.** {reason}" for k, (title, reason) in MISSING.items()),
        "",
        "| number | cells |",
        "|---|---|",
        *(
            f"| {k} | {', '.join(f'[{name}](#{name})' for name in found)} |"
            for k, found in sorted(names.items())
        ),
    ]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    smaller = ", ".join(f"{name} {size}" for name, size in SMALLER.items())
    columns = ["cell", "what it is", "parameters", "FLOPs", "phases", "linear", "diagonal"]
    table = [f"| {' | '.join(columns)} |", "|---|---|---:|---:|---:|---|---|"]
    parts = [
        HEAD.format(count=len(library.cells), size=SIZE, smaller=smaller),
        "## All of them",
        "\n".join([*table, *map(row, library.cells)]),
        "## The list",
        coverage(),
        "## Equations",
        *map(entry, library.cells),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

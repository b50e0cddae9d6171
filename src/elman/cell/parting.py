"""Two cells run side by side on random numbers: where they part."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elman.cell.public import Cell
from elman.cell.run import Run
from elman.errors import ElmanError
from elman.ir import topological
from elman.ir.sizes import number
from elman.language import write_cell
from elman.language.syntax import Equation
from elman.passes.canonical import Base
from elman.passes.forms import Atom, Atoms
from elman.passes.isomorphism import Both, Renaming
from elman.passes.likeness import renamed

Array = np.ndarray[Any, Any]
STEPS, BATCH = 5, 3
SIZES = (3, 2, 4, 5, 6, 7)
CLOSE = 1e-9  # relative; float64 over a few steps is well below


@dataclass(frozen=True)
class Draw:
    """How the numbers of one comparison are drawn, and whether states are given."""

    seed: int
    states: bool
    numbers: Callable[[np.random.Generator, tuple[int, ...]], Array]


DRAWS = (
    Draw(0, True, lambda rng, shape: rng.normal(size=shape)),
    Draw(1, False, lambda rng, shape: rng.normal(0, 0.3, shape)),
    Draw(2, True, lambda rng, shape: rng.uniform(0.1, 0.9, shape)),  # roots and logarithms exist
    Draw(3, True, lambda rng, shape: rng.normal(0, 2, shape)),
)


@dataclass(frozen=True)
class Line:
    """An equation of a cell, and where it stands: `line 10 of lstm_peephole`."""

    place: str
    text: str


@dataclass(frozen=True)
class Parting:
    """The first value that differs: its names, the step, and both numbers."""

    names: tuple[str, str]
    step: int
    numbers: tuple[float, float]


def line_of(cell: Cell, label: str, name: str) -> Line:
    """The line that computes `name`: the user's, or one that a loop or an inner cell stands for."""
    text = cell._reading.text
    for line in text.lines:
        if isinstance(line, Equation) and line.name == name and line.span.line:
            written = text.source.lines[line.span.line - 1].partition("#")[0].strip()
            return Line(f"line {line.span.line} of {label}", written)
    every = write_cell(cell._reading.cell).splitlines()
    starts = (f"{name}[t] =", f"{name} =")
    return Line(f"{label}, written out", next(line for line in every if line.startswith(starts)))


def suspects(both: Both, renaming: Renaming) -> list[tuple[str, str]]:
    """Values of both cells that belong together and are not equal as formulas, causes first."""
    firsts, seconds = renamed(both, renaming).values, both.forms[1].values
    alone = [name for name, key in firsts.items() if key not in seconds.values()]
    others = [name for name, key in seconds.items() if key not in firsts.values()]
    likely = list(zip(both.cells[0].returns, both.cells[1].returns, strict=False))
    for numbers in renaming.items():
        one, other = (both.atoms[n].attr for n in numbers)
        if isinstance(one, Base) and isinstance(other, Base):
            likely.append((one.name, other.name))  # of states: what they become
    found: dict[str, str] = {}
    for a, b in [*likely, *((name, name) for name in alone)]:
        if a in alone and b in others and a not in found and b not in found.values():
            found[a] = b
    left = [name for name in alone if name not in found]
    found |= dict(zip(left, [b for b in others if b not in found.values()], strict=False))
    nodes = topological(e.value for e in both.cells[0].equations)
    place = {node: k for k, node in enumerate(nodes)}
    order = sorted(both.cells[0].equations, key=lambda e: place[e.value])
    return [(e.name, found[e.name]) for e in order if e.name in found]


@dataclass(frozen=True)
class Measured:
    """What runs of both cells showed; `seen` is false where no number was finite."""

    parting: Parting | None
    seen: bool


def measure(cells: tuple[Cell, Cell], both: Both, renaming: Renaming) -> Measured:
    """Run both cells on the same numbers, several times, and compare what they compute.

    Values with a name are compared first, causes before effects; then what is returned. Weights
    that `both` has merged into others are zero.
    """
    sizes = _sizes(both, renaming)
    pairs = suspects(both, renaming)
    pairs += list(zip(cells[0].returns, cells[1].returns, strict=True))
    seen = False
    for draw in DRAWS:
        leaves = _drawn(both, sizes[0], draw)
        of_second = {renaming[n]: array for n, array in leaves.items()}
        try:
            first = _run(cells[0], both, sizes[0], leaves)
            second = _run(cells[1], both, sizes[1], of_second)
        except ElmanError:  # sizes that do not fit each other: nothing to compare
            return Measured(None, False)
        returned = zip(cells[0].returns, cells[1].returns, strict=True)
        if any(first[a].shape != second[b].shape for a, b in returned):
            return Measured(None, False)
        found = _first(pairs, first, second)
        if found is not None:
            return Measured(found, True)
        seen = seen or all(np.isfinite(first[name]).any() for name in cells[0].returns)
    return Measured(None, seen)


def _sizes(both: Both, renaming: Renaming) -> tuple[dict[str, int], dict[str, int]]:
    """A number for every size of both cells: one where matched leaves share it, else another."""
    atoms = both.atoms
    group = {
        (side, n): (side, n)
        for side, cell in enumerate(both.forms)
        for base in cell.bases
        for n in (base, *atoms[base].parts)
        if atoms[n].op in ("size", "number")
    }
    for a, b in renaming.items():
        for s, t in zip((a, *atoms[a].parts), (b, *atoms[b].parts), strict=False):
            if (0, s) in group and (1, t) in group:
                old, new = sorted((group[0, s], group[1, t]), key=lambda g: atoms[g[1]].op)
                group = {k: new if g == old else g for k, g in group.items()}
    numbers = itertools.cycle(SIZES)
    value = {
        g: atoms[g[1]].attr if atoms[g[1]].op == "number" else next(numbers)
        for g in dict.fromkeys(group.values())
    }
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for (side, n), g in group.items():
        if atoms[n].op == "size":
            found[side][str(atoms[n].attr)] = int(str(value[g]))
    return found


def _drawn(both: Both, sizes: Mapping[str, int], draw: Draw) -> dict[int, Array]:
    """Random numbers for every leaf of the first cell; states only where the draw gives them."""
    found = {}
    bases = [both.atoms[n] for n in both.forms[0].bases]
    batch = (BATCH,) if any(_is_batched(atom) for atom in bases) else ()
    lead = {"tb": (STEPS, *batch), "t": (STEPS,), "b": batch, "": ()}
    for k, (n, atom) in enumerate(zip(both.forms[0].bases, bases, strict=True)):
        base = atom.attr
        if not isinstance(base, Base) or (base.role == "state" and not draw.states):
            continue
        if base.role not in ("input", "parameter", "state") or base.name == "t":
            continue
        before = {"input": lead.get(base.over, ()), "state": batch}.get(base.role, ())
        tail = tuple(number(size, sizes) for size in sizes_of(both.atoms, n))
        array = draw.numbers(np.random.default_rng([draw.seed, k]), (*before, *tail))
        found[n] = array / np.sqrt(tail[-1]) if len(tail) > 1 else array
    return found


def _is_batched(atom: Atom) -> bool:
    base = atom.attr
    return isinstance(base, Base) and base.role == "input" and "b" in base.over


def sizes_of(atoms: Atoms, leaf: int) -> list[str]:
    """The sizes of a leaf: ["hidden", "hidden+input"]."""
    return [
        "+".join(str(atoms[n].attr) for n in atoms[size].parts or (size,))
        for size in atoms[leaf].parts
    ]


def _run(cell: Cell, both: Both, sizes: Mapping[str, int], leaves: Mapping[int, Array]) -> Run:
    """One run of a cell with its leaves' arrays, pieces of a weight put together."""
    every = {size: 1 for size in cell.typed.aliases.values() if size.isidentifier()} | dict(sizes)
    shapes = cell.shapes(**every)
    weights = {name: np.zeros(shapes[name]) for name in cell.parameters}
    given: dict[str, dict[str, Array]] = {"input": {}, "state": {}, "parameter": weights}
    for n, array in leaves.items():
        base = both.atoms[n].attr
        assert isinstance(base, Base)
        if base.piece is None:
            given[base.role][base.name] = array
        else:
            first = number(base.piece.start, every)
            span = slice(first, first + array.shape[base.piece.axis])
            weights[base.name][(slice(None),) * base.piece.axis + (span,)] = array
    with np.errstate(all="ignore"):
        return cell.run(
            given["input"],
            weights,
            given["state"],
            sizes=every,
            steps=None if given["input"] else STEPS,
            backend="numpy",
        )


def _first(pairs: Sequence[tuple[str, str]], first: Run, second: Run) -> Parting | None:
    """The first step, and there the first pair of names, at which two numbers differ."""
    known = [(a, b) for a, b in pairs if a in first.values and b in second.values]
    for step in range(STEPS):
        for a, b in known:
            x, y = first[a][step].ravel(), second[b][step].ravel()
            if x.shape != y.shape:
                continue
            with np.errstate(all="ignore"):
                gap = np.abs(x - y) / (1 + np.abs(x))
            gap = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0, np.nan_to_num(gap, nan=1e9))
            if gap.max(initial=0) > CLOSE:
                worst = int(gap.argmax())
                return Parting((a, b), step + 1, (float(x[worst]), float(y[worst])))
    return None

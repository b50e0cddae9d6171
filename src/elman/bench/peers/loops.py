"""The loop of a cell as a module: written to a file, so that it can be read, and imported."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from elman.bench.case import Array, Arrays, Case
from elman.bench.dialects import Dialect
from elman.bench.job import Job
from elman.bench.loop_graph import loop_of
from elman.bench.loop_write import Extent, Given, LoopText, write_loop
from elman.cell import Cell
from elman.passes.randomness import evaluation


def loop_text(case: Case, cell: Cell, dialect: Dialect) -> LoopText:
    """The loop of a case's cell, its numbers written out."""
    numbers = {name: float(v) for name, v in cell.constants.items() if np.ndim(v) == 0}
    extent = Extent(case.steps, case.batch, case.sizes, case.dtype)
    return write_loop(loop_of(evaluation(cell.typed.cell)), extent, dialect, numbers)


def module_of(text: str) -> Any:
    """A module of this text."""
    folder = Path(tempfile.mkdtemp(prefix="elman-loop-"))
    path = folder / "loop.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"loop_{folder.name[11:]}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def array_of(job: Job, given: Given) -> Array:
    """The array that the loop is given under a name: an input with its leading axes, or weights."""
    if given.parts[0] in job.given.inputs:
        name = given.parts[0]
        over = job.cell.typed.over[name]
        array = job.given.inputs[name]
        return array if "b" in over else array[:, None]
    arrays = {**job.given.constants, **job.given.weights}
    return (
        np.concatenate([arrays[part] for part in given.parts], 0)
        if (len(given.parts) > 1)
        else arrays[given.parts[0]]
    )


def learned_of(job: Job, text: LoopText) -> dict[str, Given]:
    """What of the loop's arguments wants a gradient."""
    frozen = job.cell.frozen
    return {g.name: g for g in text.given if g.learned and g.parts[0] not in frozen}


def parted(job: Job, given: Mapping[str, Given], gradients: Mapping[str, Array]) -> Arrays:
    """The gradients of stacked weights as those of the cell's own; inputs without empty axes."""
    found: Arrays = {}
    for name, g in given.items():
        gradient = gradients[name]
        if g.parts[0] in job.given.inputs:
            found[g.parts[0]] = gradient.reshape(job.given.inputs[g.parts[0]].shape)
            continue
        start = 0
        for part in g.parts:
            shape = job.given.weights[part].shape
            rows = shape[0] if len(g.parts) > 1 else None
            piece = gradient if rows is None else gradient[start : start + rows]
            found[part] = piece.reshape(shape)
            start += rows or 0
    unread = [n for n in job.given.weights if n not in found and n not in job.cell.frozen]
    return found | {name: np.zeros_like(job.given.weights[name]) for name in unread}


def outputs_of(job: Job, outputs: Any) -> Arrays:
    """The outputs, (T, B, ...), by name."""
    lead = job.case.steps, job.case.batch
    arrays = (np.asarray(o) for o in outputs)
    named = zip(job.cell.returns, arrays, strict=True)
    return {name: np.broadcast_to(a, lead + a.shape[2:]) for name, a in named}

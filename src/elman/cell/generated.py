"""The C of a cell as one file, which a person can read and any program can be built with."""

from __future__ import annotations

from elman.backends.c_contents_write import write_contents
from elman.backends.c_run import REAL, write_programs
from elman.backends.c_write import write_whole_file
from elman.ir.node import show
from elman.language import Reading
from elman.passes.derive import derive
from elman.passes.shapes import Typed


def generated(typed: Typed, reading: Reading, dtype: str) -> str:
    """The kernels with the equations above their code; at the top, how they are called."""
    comments = {}
    for e in reading.cell.equations:
        left = f"{e.name}[t]" if e.per_step else e.name
        comments[e.name] = f"{left} = {reading.quote(e.value) or show(e.value)}"
    programs = write_programs(derive(typed.cell, typed.cell.returns), comments)
    return write_contents(programs, REAL[dtype]) + write_whole_file(programs, REAL[dtype])

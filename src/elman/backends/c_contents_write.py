"""How a program's functions are called: a comment, and names for the places of what they take."""

from __future__ import annotations

from elman.backends.c_layout import Buffer
from elman.backends.c_names import Namer, ascii_name
from elman.backends.c_write import Program

NOTE = """\
/* {p}(T, B, sizes, arrays, scratch, packed, threads) runs {what} of B sequences over T steps.
   real is {real}. Every array lies in one piece, the last axis the closest.

   sizes    {up}_SIZES numbers, in the order below
   arrays   {up}_ARRAYS pointers, in the order below
   scratch  {p}_scratch(T, B, sizes, arrays, threads) bytes of memory, from a multiple of 64 on
   packed   NULL, or {p}_packed(sizes) bytes, from a multiple of 64 on, into which
            {p}_freeze(sizes, arrays, scratch, packed) has packed the weights; it needs the
            scratch memory of T = 0, B = 0 and one thread

   Memory is the caller's; calls with memory of their own may run at once. */
"""
ROLES = {
    "input": "input",
    "parameter": "weight",
    "constant": "constant",
    "output": "output, or NULL",
    "states": "states, before the first step and after each, or NULL",
    "init": "initial state, or NULL for 0",
    "final": "final state, or NULL",
}
BACKWARD = {
    "given": "of the forward run, or the cotangent of an output",
    "output": "gradient, or NULL",
    "states": "NULL",
    "init": "cotangent of the final state, or NULL for 0",
    "final": "gradient of the initial state, or NULL",
}
WHAT = {"forward": "the cell", "backward": "the backward pass"}


def write_contents(programs: list[Program], real: str) -> str:
    """For each program what its functions take, in which order."""
    return "\n".join(_contents(program, real) for program in programs) + "\n"


def _contents(program: Program, real: str) -> str:
    p, up = program.prefix, program.prefix.upper()
    note = NOTE.format(p=p, up=up, what=WHAT.get(p, "the plan"), real=real)
    names = Namer()
    sizes = [(names(("size", size), f"{up}_SIZE_{size}"), "") for size in program.sizes]
    arrays = [(names(buffer, _wish(up, buffer)), _said(p, buffer)) for buffer in program.buffers]
    return note + _enum(sizes, f"{up}_SIZES") + _enum(arrays, f"{up}_ARRAYS")


def _wish(up: str, buffer: Buffer) -> str:
    more = f"_{buffer.role}" if buffer.role in ("init", "final", "states") else ""
    return f"{up}_{ascii_name(buffer.key)}{more}"


def _said(prefix: str, buffer: Buffer) -> str:
    """The shape of an array and what it is."""
    steps = "T + 1" if buffer.role == "states" else "T"
    lead = [{"t": steps, "b": "B"}[axis] for axis in buffer.over]
    roles = ROLES | (BACKWARD if prefix == "backward" else {})
    return f"({', '.join([*lead, *buffer.shape])}) {roles[buffer.role]}"


def _enum(rows: list[tuple[str, str]], count: str) -> str:
    width = max((len(name) for name, _ in rows), default=0) + 1
    lines = [
        f"  {name + ',':<{width}} /* {said} */" if said else f"  {name}," for name, said in rows
    ]
    return "\n".join(["enum {", *lines, f"  {count}", "};", ""])

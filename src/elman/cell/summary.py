"""What a cell has, as a text for people."""

from __future__ import annotations

from elman.passes.randomness import STEPS_TAKEN, streams
from elman.passes.shapes import Typed
from elman.passes.system import system_of


def summary(name: str, typed: Typed) -> str:
    """How many equations a cell has and what it returns; then its inputs, states and so on."""
    cell = typed.cell
    count = sum(e.name != STEPS_TAKEN for e in cell.equations)
    lines = [f"{name}: {count} equation{'s' * (count != 1)}, returns {', '.join(cell.returns)}"]
    groups = {
        "input": cell.names("input"),
        "state": tuple(carry.key for carry in system_of(cell).carries),
        "parameter": tuple(n for n in cell.names("parameter") if n not in cell.frozen),
        "frozen": cell.frozen,
        "constant": tuple(n for n, _ in cell.constants),
        "random": streams(cell),
    }
    for kind, names in groups.items():
        for each in names:
            shape = ", ".join(typed.shape(each))
            lines.append(f"  {kind:<10} {each} ({shape})" if shape else f"  {kind:<10} {each}")
    return "\n".join(lines)

"""Steps as plain text: what each reads, then its equations one under the other."""

from __future__ import annotations

from collections.abc import Iterable

from elman.trace import numbers
from elman.trace.board import ROW, Board, Chain
from elman.trace.worked import Line, Step

WIDEST = 80  # columns that a product's line fills before it is broken
INDENT = "  "


def write_text(steps: Iterable[Step], digits: int) -> str:
    """Every step under its heading, with empty lines between; a step without lines is left out."""
    blocks = [_step(step, digits) for step in steps if step.reads or step.lines]
    return "\n\n".join("\n".join(block) for block in blocks)


def _step(step: Step, digits: int) -> list[str]:
    lines = [f"step {step.number}" if step.number else "before step 1"]
    for read in step.reads:
        shown = numbers.array(read.value, digits, given=step.number == 0)
        lines.append(f"{INDENT}{read.label} = {shown}{_gloss(read.comment)}")
    for line in step.lines:
        lines += _equation(line, digits)
    return lines


def _equation(line: Line, digits: int) -> list[str]:
    chain, beside = Board(line, digits).work()
    formula, *looks = chain.looks
    indent = " " * len(INDENT + chain.label)
    lines = [f"{INDENT}{chain.label} = {formula}{_gloss(line.comment)}"]
    for inner in beside:
        lines += _beside(inner, indent + "   " + INDENT)
    for look in looks:
        lines += _fitted(f"{indent} = ", look)
    return lines


def _beside(chain: Chain, indent: str) -> list[str]:
    """`W @ x[1] = (0.5*1, 0.1*1) = (0.5, 0.1)`, on one line if it fits."""
    line = f"{indent}{chain.label} = {' = '.join(map(_flat, chain.looks))}"
    if len(line) <= WIDEST:
        return [line]
    first, *rest = chain.looks
    lines = _fitted(f"{indent}{chain.label} = ", first)
    for look in rest:
        lines += _fitted(f"{' ' * len(indent + chain.label)} = ", look)
    return lines


def _fitted(start: str, look: str) -> list[str]:
    """A look after its start; rows that do not fit beside each other go under each other."""
    if len(start) + len(_flat(look)) <= WIDEST:
        return [start + _flat(look)]
    first, *rows = look.split(ROW)
    return [start + first, *(" " * (len(start) + 1) + row for row in rows)]


def _flat(look: str) -> str:
    return look.replace(ROW, " ")


def _gloss(comment: str) -> str:
    return f"  # {' '.join(comment.split())}" if comment else ""

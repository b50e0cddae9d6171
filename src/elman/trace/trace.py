"""What a run worked by hand gives back: every value, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elman.errors import ShapeProblem
from elman.language.syntax import At, Name, Text, fold
from elman.trace.board import document
from elman.trace.document import Document
from elman.trace.leaves import Dated
from elman.trace.numbers import Digits
from elman.trace.text import write_text
from elman.trace.worked import Line, Step

MOST_DIGITS = 17  # a float64 has no more
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """The values of every equation at every step, and of every part of it; exact, however shown.

    `values[name]` is (T, size), or without the T for what is computed once per sequence.

    >>> import elman
    >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
    >>> trace = cell.trace({"x": [1.0]}, {"w": 1, "u": 2})
    >>> print(trace.to_text(digits=2))
    step 1
      x[1] = 1
      h[0] = 0
      h[1] = tanh(w * x[1] + u * h[0])
           = tanh(1*1 + 2*0)
           = tanh(1)
           = 0.76
    >>> trace
    <Trace of 1 step: h (1, 1)>
    """

    values: Mapping[str, Array]
    steps: tuple[Step, ...]
    once: Step = field(default=Step(0, (), ()))
    text: Text = field(default=Text(()), repr=False)  # the equations

    def to_text(self, digits: int = 4) -> str:
        """As plain text: formula, numbers put in, result; at most `digits` decimals."""
        if not isinstance(digits, int) or not 0 <= digits <= MOST_DIGITS:
            rule = f"Decimals are counted by a whole number from 0 to {MOST_DIGITS}."
            raise ShapeProblem("E208", f"digits={digits!r}", rule=rule, fix="Pass digits=4.")
        return write_text(self.document(), Digits(digits))

    def document(self) -> Document:
        """What every format shows."""
        return document((self.once, *self.steps), self.text)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        count = len(self.steps)
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.values.items())
        return f"<Trace of {count} step{'s' * (count != 1)}: {shapes}>"

    def known(self) -> dict[Dated, Array]:
        """Every value that is read or computed, by its name at its step.

        >>> import elman
        >>> cell = elman.Cell("h[t] = tanh(w * x[t] + u * h[t-1])")
        >>> trace = cell.trace({"x": [1.0]}, {"w": 1, "u": 2})
        >>> sorted(name.name for name in trace.known())
        ['h', 'h', 'u', 'w', 'x']
        """
        found: dict[Dated, Array] = {}
        for step in (self.once, *self.steps):
            found |= {read.left: read.value for read in step.reads}
            for line in step.lines:
                found |= _leaves(line)
                found[line.left] = line.value
        return found


def _leaves(line: Line) -> dict[Dated, Array]:
    """What a line reads; the number of the step, `t`, has one too."""
    found: dict[Dated, Array] = {}
    values = iter(line.values)

    def visit(part: Any, _: list[None]) -> None:
        value = next(values)
        match part:
            case At(name=name, lag=lag) if line.step is not None:
                found[Dated(name, line.step - lag)] = value
            case Name(name="t"):
                found[Dated("t", line.step)] = value
            case Name(name=name):
                found[Dated(name)] = value
            case Dated():
                found[part] = value

    fold(line.expr, visit)
    return found

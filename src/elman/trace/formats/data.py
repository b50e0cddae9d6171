"""All values of a trace, exact, for programs: a table (CSV) and nested data (JSON)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from elman.language.write import write
from elman.trace.formats.plain import write_plain
from elman.trace.leaves import Dated, spelled
from elman.trace.numbers import Digits
from elman.trace.worked import Line, Read, Step, dated

if TYPE_CHECKING:
    from elman.trace.trace import Trace

Array = np.ndarray[Any, Any]
COLUMNS = ("step", "pass", "name", "part", "index", "value")
NUMBER = r"(?:-?\d[\d.e+-]*|\"-?(?:NaN|Infinity)\")"
NUMBERS = re.compile(rf"\[\n\s*({NUMBER}(?:,\s*{NUMBER})*)\n\s*\]")  # a row has a line
GIVEN, FORWARD, BACKWARD = "given", "forward", "backward"


def write_csv(trace: Trace) -> str:
    """A row a number: `step, pass, name, part, index, value`.

    `pass` is given, forward or backward; `part` is the formula of a part of the equation of `name`,
    empty for the equation itself; `index` counts from 0, and is empty for a single number.
    """
    page = io.StringIO()
    table = csv.writer(page, lineterminator="\n")
    table.writerow(COLUMNS)
    for entry in _entries(trace):
        for index, value in np.ndenumerate(entry.value):
            where = ",".join(map(str, index)) if entry.value.size > 1 else ""
            row = (entry.step, entry.direction, entry.name, entry.part, where)
            table.writerow((*row, repr(float(value))))
    return page.getvalue()


@dataclass(frozen=True, eq=False)
class _Entry:
    step: int
    direction: str
    name: str
    part: str
    value: Array


def _entries(trace: Trace) -> Iterator[_Entry]:
    for name, value in _weights(trace).items():
        yield _Entry(0, GIVEN, name, "", value)
    steps = [(FORWARD, step) for step in trace.shown()]
    for direction, step in [*steps, *((BACKWARD, step) for step in _backward(trace))]:
        for read in step.reads:
            yield _Entry(step.number, GIVEN, read.label, "", read.value)
        for line in step.lines:
            for part, value in _parts(line):
                yield _Entry(step.number, direction, line.label, part, value)
            yield _Entry(step.number, direction, line.label, "", line.value)


def write_json(trace: Trace) -> str:
    """Nested data: equations, weights, steps with what each reads and its lines, and `backward`.

    Numbers are exact. JSON has no number for what is none: it is the text `NaN`, `Infinity` or
    `-Infinity`, which `float` reads.
    """
    data: dict[str, Any] = {
        "equations": write(trace.text).splitlines(),
        "weights": {name: _data(value) for name, value in _weights(trace).items()},
        "steps": [_step(step) for step in trace.shown() if step.reads or step.lines],
    }
    backward = trace.shown_backward()
    if backward is not None:
        data["backward"] = {
            "loss": None if backward.loss is None else _line(backward.loss),
            "steps": [_step(step) for step in backward.steps],
            "totals": [_line(line) for line in backward.totals],
            "updates": [_line(line) for line in backward.updates],
            "gradients": _all(trace.gradients),
            "updated": _all(trace.updated),
        }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
    return NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def _all(values: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _data(value) for name, value in values.items()}


def _backward(trace: Trace) -> Iterable[Step]:
    """The backward steps, and what is computed from all of them as step 0."""
    backward = trace.shown_backward()
    if backward is None:
        return []
    loss = (backward.loss,) if backward.loss is not None else ()
    last = Step(0, (), (*loss, *backward.totals, *backward.updates))
    return [*backward.steps, last]


def _weights(trace: Trace) -> dict[str, Array]:
    """What no step changes and no equation computes: weights, constants."""
    computed = {line.name for step in (trace.once, *trace.steps) for line in step.lines}
    read = {read.label for step in (trace.once, *trace.steps) for read in step.reads}
    return {
        spelled(name): value
        for name, value in trace.known().items()
        if name.step is None and not name.kind and name.name not in computed | read | {"t"}
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.number,
        "reads": {read.label: _data(read.value) for read in _named(step.reads)},
        "lines": [_line(line) for line in step.lines],
    }


def _named(reads: Iterable[Read]) -> list[Read]:
    return [read for read in reads if isinstance(read.left, Dated)]


def _line(line: Line) -> dict[str, Any]:
    formula = write_plain(dated(line.expr, line.step), Digits())
    parts = [{"formula": part, "value": _data(value)} for part, value in _parts(line)]
    found = {"name": line.label, "formula": formula, "value": _data(line.value), "parts": parts}
    return found | ({"comment": line.comment} if line.comment else {})


def _parts(line: Line) -> list[tuple[str, Array]]:
    """Every operation inside of a line with its value, in the order of working; not the last."""
    found = [(write_plain(part, Digits()), value) for part, value in line.parts() if part.parts]
    return found[:-1]


def _data(value: Array) -> Any:
    return _finite(np.asarray(value, dtype=float).tolist())


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"

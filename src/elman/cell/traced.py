"""A cell's run worked by hand, forward and, where something is differentiated, backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.backends import call as calls
from elman.cell.cotangents import of_outputs
from elman.errors import ShapeProblem
from elman.language import Reading
from elman.passes.randomness import SEED, STEPS_TAKEN
from elman.passes.shapes import Typed
from elman.passes.transpose import past_name
from elman.trace import Trace, record
from elman.trace.backward.goals import check_loss
from elman.trace.backward.losses import with_loss
from elman.trace.backward.paths import Held
from elman.trace.backward.steps import Asked, Slots, with_backward
from elman.trace.leaves import GRADIENT, Dated

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Wish:
    """What is differentiated: outputs with cotangents, or a loss; and how far to step."""

    cotangents: Mapping[str, Any] | None = None
    loss: str | None = None
    target: Any = None
    lr: float | None = None

    @property
    def is_empty(self) -> bool:
        return self == Wish()


def traced(typed: Typed, reading: Reading, call: calls.Call, wish: Wish) -> Trace:
    """The trace of one sequence; E215 where there are several."""
    if call.batch != 1:
        headline = f"a trace follows one sequence, and {call.batch} are given"
        raise ShapeProblem("E215", headline, fix="Pass x[:, 0].")
    check_loss(wish.loss, wish.target, wish.cotangents, wish.lr)
    if wish.cotangents is not None:
        of_outputs(typed, call, wish.cotangents)  # wrong ones are said before any work
    trace = record(reading, call)
    return trace if wish.is_empty else _backwards(typed, call, trace, wish)


def _backwards(typed: Typed, call: calls.Call, trace: Trace, wish: Wish) -> Trace:
    cotangents = {n: a[:, 0] for n, a in of_outputs(typed, call, wish.cotangents or {}).items()}
    loss = None
    if wish.loss is not None:
        outputs = {n: trace.values[n] for n in typed.cell.outputs if n != STEPS_TAKEN}
        known = trace.known()
        loss = with_loss(wish.loss, wish.target, trace.steps, outputs, known, trace.text)
        trace = replace(trace, steps=loss.steps)
    names = frozenset(
        {*dict(typed.cell.constants), *typed.cell.frozen, *typed.cell.names("random")}
    )
    is_drawn = SEED.attr.name in call.arrays
    means = frozenset() if is_drawn else frozenset(typed.cell.names("random"))
    held = Held(names | (loss.held if loss else frozenset()), means)
    learned = [name for name in typed.cell.names("parameter") if name not in held.names]
    asked = Asked(cotangents, loss, learned, wish.lr)
    found = with_backward(trace.once, trace.steps, trace.known(), held, asked)
    weights = {name: call.arrays[name] for name in learned if wish.lr is not None}
    return replace(trace, backward=replace(found, slots=_slots(typed, call), weights=weights))


def _slots(typed: Typed, call: calls.Call) -> dict[str, Slots]:
    """Where every gradient of `Cell.gradients` stands, under its name there."""
    learned = {*typed.cell.names("parameter"), *typed.cell.names("input")} - {*typed.cell.frozen}
    named: dict[str, Slots] = {}
    for name, given in call.arrays.items():
        if name in learned:
            over = typed.over[name]
            row = over.find("b")
            shape = given.shape if call.batched or row < 0 else np.squeeze(given, row).shape
            steps = range(1, call.steps + 1) if "t" in over else [None]
            named[name] = Slots(tuple(Dated(name, t, GRADIENT) for t in steps), shape)
    states = {
        key: Slots((_before(key),), a.shape if call.batched else a.shape[1:])
        for key, a in call.state.items()
    }
    return named | {past_name(key) if key in named else key: s for key, s in states.items()}


def _before(key: str) -> Dated:
    """The gradient of a state before the first step, by its key; `t` has one for all steps."""
    name, _, rest = key.partition("[t-")
    lag = int(rest.rstrip("]")) if rest else 1
    return Dated(name, None if name == STEPS_TAKEN else 1 - lag, GRADIENT)

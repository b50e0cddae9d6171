"""How many steps and sequences a call has, and its inputs with both axes in front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from elman.errors import ShapeProblem
from elman.passes.bind import Given
from elman.passes.shapes import Typed

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


def is_batched(typed: Typed, inputs: Arrays, over: Mapping[str, str], state: Arrays) -> bool:
    """Whether there is a batch axis; a vector stream of one axis is T steps of size 1.

    Where no input could have one, a state says.
    """
    extra = [
        a.ndim - len(typed.shape(name)) - (1 if "t" in over[name] else 0)
        for name, a in inputs.items()
        if "b" in over[name]
    ]
    return any(
        more >= 1 for more in extra or [a.ndim - len(typed.shape(k)) for k, a in state.items()]
    )


def with_axes(
    typed: Typed, inputs: Arrays, over: Mapping[str, str], batched: bool
) -> tuple[Arrays, dict[str, Given]]:
    found: Arrays = {}
    given: dict[str, Given] = {}
    for name, a in inputs.items():
        rank = len(typed.shape(name))
        lead = over[name] if batched else over[name].replace("b", "")
        if a.ndim == rank + len(lead) - 1 and rank:  # [1, 2, 3] is three steps of one
            a = a[..., None]
        if a.ndim != rank + len(lead):
            words = ", ".join([*lead.upper(), *typed.shape(name)])
            raise ShapeProblem(
                "E210",
                f"the input {name} has {a.ndim} axes: {a.shape}",
                rule=f"It is ({words}): T steps{', B sequences' if batched else ''}.",
                fix="One step of two values is [[1, 2]]." if a.ndim == 0 else None,
            )
        if not batched and "b" in over[name]:
            a = np.expand_dims(a, over[name].index("b"))
        found[name] = a
        given[name] = Given(a.shape[len(over[name]) :], f'the array given as inputs["{name}"]')
    return found, given


def counts(
    inputs: Arrays, over: Mapping[str, str], state: Arrays, typed: Typed, asked: int | None
) -> tuple[int, int]:
    """The number of steps and of sequences."""
    steps = {n: a.shape[0] for n, a in inputs.items() if "t" in over[n]}
    batch = {n: a.shape[over[n].index("b")] for n, a in inputs.items() if "b" in over[n]}
    for key, a in state.items():
        if a.ndim > len(typed.shape(key)) and a.shape[0] != 1:
            batch[f"state {key}"] = a.shape[0]
    if asked is not None:
        steps["steps="] = _whole_steps(asked)
    for what, found in (("steps", steps), ("sequences", batch)):
        if len(set(found.values())) > 1:
            words = ", ".join(f"{name} has {count}" for name, count in found.items())
            rule = "All that is given to one run has the same number of them."
            raise ShapeProblem("E211", f"the inputs differ in {what}: {words}", rule=rule)
    if not steps:
        raise ShapeProblem(
            "E212",
            "nothing says how many steps to run",
            rule="The steps are counted by an input at [t], and the cell has none.",
            fix="Pass steps=10.",
        )
    if 0 in steps.values() or 0 in batch.values():
        raise ShapeProblem(
            "E212",
            "nothing to run: no step or no sequence",
            rule="A run has at least one step and one sequence.",
        )
    return next(iter(steps.values())), next(iter(batch.values()), 1)


def _whole_steps(steps: object) -> int:
    whole = steps if isinstance(steps, int | np.integer) and not isinstance(steps, bool) else 0
    if whole < 1:
        rule = "A number of steps is a whole number, 1 or more."
        raise ShapeProblem("E212", f"steps={steps!r} is no number of steps", rule=rule)
    return int(whole)

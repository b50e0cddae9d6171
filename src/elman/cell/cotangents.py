"""Cotangents that a user gives by name -> arrays in the shapes of what they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman.backends import call as calls
from elman.errors import NameProblem, WeightProblem, nearest
from elman.ir.sizes import number
from elman.passes.shapes import Typed
from elman.passes.transpose import past_name

Array = np.ndarray[Any, Any]


def of_outputs(typed: Typed, call: calls.Call, given: Mapping[str, Any]) -> dict[str, Array]:
    """dE/dy of any outputs by name, (T, B, size); E407 for what the cell does not compute."""
    outputs = typed.cell.outputs
    _by_name("cotangents", given, outputs, "E407")
    found = {}
    for name, value in given.items():
        if name not in outputs:
            raise NameProblem(
                "E407",
                f"the cell computes no {name!r} to give a cotangent of",
                rule=f"It computes {', '.join(outputs)}.",
                fix=nearest(name, outputs) or None,
            )
        tail = tuple(number(s, call.sizes) for s in typed.shape(name))
        found[name] = _shaped("cotangents", name, value, (*call.lead, *tail), call)
    return found


def named_gradients(
    typed: Typed, call: calls.Call, every: Mapping[str, Array], initial: Mapping[str, Array]
) -> dict[str, Array]:
    """The gradients of what can be learned, by name; that of x before the first step is x[t-1]."""
    learned = {*typed.cell.names("parameter"), *typed.cell.names("input")} - {*typed.cell.frozen}
    found = {name: a for name, a in every.items() if name in learned}
    if not call.batched:
        rows = {name: typed.over[name].find("b") for name in found}
        found = {n: a if rows[n] < 0 else a.squeeze(rows[n]) for n, a in found.items()}
        initial = {key: a[0] for key, a in initial.items()}
    return found | {past_name(key) if key in found else key: a for key, a in initial.items()}


def of_final_states(call: calls.Call, given: Mapping[str, Any]) -> dict[str, Array]:
    """Those of every final state, zero where none is given; E406 for what is no state."""
    _by_name("cotangents of final states", given, tuple(call.state), "E406")
    for key in given:
        if key not in call.state:
            raise NameProblem(
                "E406",
                f"the cell has no state {key!r} to give a cotangent of",
                rule=f"Its states are {', '.join(call.state) or 'none'}.",
                fix=nearest(key, call.state) or None,
            )
    return {
        key: _shaped("final", key, given[key], a.shape, call) if key in given else np.zeros_like(a)
        for key, a in call.state.items()
    }


def _by_name(what: str, given: object, names: Sequence[str], code: str) -> None:
    if not isinstance(given, Mapping):
        example = f'As in {{"{names[0]}": ...}}.' if names else None
        raise NameProblem(code, f"{what} are given by name, as a dict", fix=example)


def _shaped(group: str, name: str, value: Any, shape: tuple[int, ...], call: calls.Call) -> Array:
    """A cotangent in its full shape; without a batch axis where the inputs have none."""
    array = calls.number_array(group, name, value).astype(call.dtype)
    if array.size != math.prod(shape):
        axis = len(call.lead) - 1 if group == "cotangents" else 0  # of the batch
        wanted = shape if call.batched else shape[:axis] + shape[axis + 1 :]
        raise WeightProblem(
            "E503",
            f'{group}["{name}"] is {array.shape}, and the cell needs {wanted}',
            rule="A cotangent has the shape of what it is the cotangent of.",
        )
    return array.reshape(shape)

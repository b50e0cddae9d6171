"""Targets as a user gives them -> arrays, a row for every step that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman.errors import DataProblem, NameProblem, ShapeProblem, WeightProblem, nearest

Array = np.ndarray[Any, Any]
SQUARED, HALF, CROSS = "squared_error", "half_squared_error", "cross_entropy"
LOSSES = (SQUARED, HALF, CROSS)
MOST_OFF = 1e-6  # how far the sum of probabilities may be from 1


def check_loss(loss: object, target: object, cotangents: object, lr: object) -> None:
    """E460 to E462 where what is asked for does not go together."""
    if loss is not None and loss not in LOSSES:
        rule = f"There are {', '.join(LOSSES)}."
        close = nearest(str(loss), LOSSES) or None
        raise NameProblem("E460", f"there is no loss {loss!r}", rule=rule, fix=close)
    if loss is not None and cotangents is not None:
        raise NameProblem(
            "E461",
            "a loss and cotangents are given at once",
            rule="The gradients are those of one of them.",
            fix="Leave out cotangents, or loss and target.",
        )
    if (loss is None) != (target is None):
        given, missing = ("loss", "target") if target is None else ("target", "loss")
        what = 'loss="squared_error"' if missing == "loss" else 'target={"y": ...}'
        rule = "A loss is between an output and its target."
        raise NameProblem(
            "E461", f"a {given} is given, but no {missing}", rule=rule, fix=f"Pass {what}."
        )
    if lr is not None:
        _check_rate(lr, loss is None and cotangents is None)


def _check_rate(lr: object, is_alone: bool) -> None:
    if is_alone:
        rule = "A step of learning goes down the gradient of a loss."
        fix = 'Pass loss="squared_error", target={"y": ...}.'
        raise NameProblem("E461", f"lr={lr!r} is given, but no loss", rule=rule, fix=fix)
    is_number = isinstance(lr, int | float | np.number) and not isinstance(lr, bool)
    if not is_number or not np.isfinite(lr) or lr <= 0:  # type: ignore[call-overload, operator]
        rule = "A learning rate is a number above 0."
        raise WeightProblem("E462", f"lr={lr!r} is no learning rate", rule=rule, fix="Pass lr=0.1.")


def goals_of(loss: str, target: object, values: Mapping[str, Array]) -> dict[str, list[Any]]:
    """By output, the target of every step, an array, or None where a step has none.

    `values` are those of the outputs, (T, ...).
    """
    if not isinstance(target, Mapping) or not target:
        fix = f'As in {{"{[*values][-1]}": ...}}.'
        raise NameProblem("E463", "target is given by name, as a dict", fix=fix)
    for name in target:
        if name not in values:
            raise NameProblem(
                "E463",
                f"the cell computes no {name!r} to give a target of",
                rule=f"It computes {', '.join(values)}.",
                fix=nearest(str(name), values) or None,
            )
    goals = {name: _goals(loss, name, given, values[name]) for name, given in target.items()}
    if all(row is None for rows in goals.values() for row in rows):
        rule = "The loss is the sum over the steps that have one."
        raise DataProblem(
            "E464", "no step has a target", rule=rule, fix="Give one to the last step."
        )
    return goals


def _goals(loss: str, name: str, given: Any, values: Array) -> list[Any]:
    """The target of each step of one output."""
    steps, shape = len(values), values.shape[1:]
    if loss == CROSS and (len(shape) != 1 or shape[0] < 2):
        size = "one entry" if values[0].size == 1 else f"the shape {shape}"
        raise ShapeProblem(
            "E467",
            f"cross_entropy is asked of {name}, which has {size}",
            rule="It tells two classes or more apart, of each of which a vector has an entry.",
            fix='Pass loss="squared_error".',
        )
    rows = _rows(given)
    if rows is None or len(rows) != steps:
        count = "is no list" if rows is None else f"has {_entries(len(rows))}"
        rule = f"The run has {steps} step{'s' * (steps != 1)}, and each has its target, or None."
        fix = None
        if rows is not None and steps > 1 and len(rows) == 1:
            fix = f"For the last step alone: {[None] * (steps - 1) + rows}."
        raise ShapeProblem("E464", f'target["{name}"] {count}', rule=rule, fix=fix)
    return [_goal(loss, f'target["{name}"][{k}]', row, shape) for k, row in enumerate(rows)]


def _rows(given: Any) -> list[Any] | None:
    detach = getattr(given, "detach", None)
    found = detach().cpu().numpy() if detach else given
    if isinstance(found, np.ndarray):
        return list(found) if found.ndim else None
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else None


def _goal(loss: str, label: str, given: Any, shape: tuple[int, ...]) -> Array | None:
    """The target of one step, in the shape of the output."""
    if given is None:
        return None
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.asarray("ragged")
    if array.dtype.kind not in "fiub":
        rule = "A target is a number or a vector of numbers, of cross_entropy also a class."
        fix = "Pass the number of the class, counted from 0." if isinstance(given, str) else None
        raise DataProblem("E465", f"{label} is {given!r}", rule=rule, fix=fix)
    array = array.astype(float)
    if np.isnan(array).all():
        return None
    if not np.isfinite(array).all():
        rule = "A step without a target has None, or NaN in every entry."
        odd = array[~np.isfinite(array)].flat[0]
        raise DataProblem("E465", f"{label} holds {odd:g}", rule=rule)
    if loss == CROSS and array.size == 1:
        return _one_hot(label, array.item(), shape[0])
    if array.size != int(np.prod(shape)):
        rule = "A target has the shape of what it is the target of."
        headline = f"{label} has {_entries(array.size)}, and the output {int(np.prod(shape))}"
        raise ShapeProblem("E464", headline, rule=rule)
    array = array.reshape(shape)
    if loss == CROSS:
        _check_probabilities(label, array)
    return array


def _entries(count: int) -> str:
    return f"{count} entr{'y' if count == 1 else 'ies'}"


def _one_hot(label: str, value: float, count: int) -> Array:
    if value != int(value) or not 0 <= value < count:
        rule = f"There are {count} classes, counted from 0 to {count - 1}."
        raise DataProblem("E466", f"{label} is {value:g}, which is no class", rule=rule)
    return np.eye(count)[int(value)]


def _check_probabilities(label: str, array: Array) -> None:
    rule = "A target of cross_entropy says how likely each class is, or names one by its number."
    if array.min() < 0:
        headline = f"{label} holds {array.min():g}, and no probability is below 0"
        raise DataProblem("E466", headline, rule=rule)
    if abs(array.sum() - 1) > MOST_OFF:
        headline = f"{label} adds up to {array.sum():g}, not to 1"
        raise DataProblem("E466", headline, rule=rule)

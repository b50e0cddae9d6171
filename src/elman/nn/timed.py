"""Inputs by name: which of them have a value for every step, and what each step is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import torch

from elman.errors import NameProblem, ShapeProblem
from elman.nn.driven import Composed, Inputs, is_batch_first
from elman.nn.given import check_tensor
from elman.nn.recurrent import Recurrent

Tensor: TypeAlias = torch.Tensor


def by_name(inputs: object) -> Inputs:
    """The inputs by name, none where None is given; E405 and E504 for what is none."""
    if inputs is None:
        return {}
    if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
        headline = f"inputs is {type(inputs).__name__}, and inputs are given by name"
        raise NameProblem("E405", headline, fix='As in inputs={"v": image}.')
    for name, given in inputs.items():
        check_tensor(name, given)
    return inputs


class Axes(NamedTuple):
    """Where time and the sequences lie in what a layer is given; None where they do not."""

    time: int | None
    rows: int | None


def varies(layer: torch.nn.Module, name: str) -> tuple[str, int] | None:
    """What an input varies over, "tb", "t" or "b", and the axes of one step of one sequence.

    >>> text = "v: per sequence\\nh[t] = tanh(U @ h[t-1] + W @ x[t] + V @ v)"
    >>> layer = Recurrent(text, 3, 5, sizes={"v": 2})
    >>> varies(layer, "v"), varies(layer, "x"), varies(layer, "y")
    (('b', 1), ('tb', 1), None)
    """
    for module in layer.modules():
        if isinstance(module, Recurrent) and name in module._form.tails:
            return module._form.over(name), len(module._form.tails[name])
    return None


def axes_of(layer: torch.nn.Module, inputs: Inputs) -> Mapping[str, Axes]:
    """Those of the inputs of a batch; what no cell has, or has too few axes, the layer refuses."""
    turned = is_batch_first(layer)
    lie = {"tb": Axes(int(turned), int(not turned)), "t": Axes(0, None), "b": Axes(None, 0)}
    found = {name: varies(layer, name) for name in inputs}
    given = {n: lie[form[0]] if form else Axes(None, None) for n, form in found.items()}
    return {n: Axes(*(_within(inputs[n], axis) for axis in axes)) for n, axes in given.items()}


def _within(given: Tensor, axis: int | None) -> int | None:
    return None if axis is None or axis >= given.dim() else axis


def counts(layer: torch.nn.Module, inputs: Inputs, what: str) -> dict[str, int]:
    """How many steps ("time") or sequences ("rows") the inputs have, where they have any."""
    lie = {name: getattr(axes, what) for name, axes in axes_of(layer, inputs).items()}
    return {n: inputs[n].shape[axis] for n, axis in lie.items() if axis is not None}


def check_steps(layer: torch.nn.Module, inputs: Inputs, steps: int, is_most: bool = False) -> None:
    """E211 where an input has not that many steps; E243 where it has fewer."""
    for name, count in counts(layer, inputs, "time").items():
        if count != steps and not is_most:
            headline = f"the inputs differ in steps: targets has {steps}, {name} has {count}"
            rule = "What varies over time has a value for every step."
            raise ShapeProblem("E211", headline, rule=rule)
        if count < steps:
            headline = f"{name} has {count} steps, and max_steps is {steps}"
            rule = "Each step that is written reads one of its values."
            raise ShapeProblem("E243", headline, rule=rule, fix=f"Pass max_steps={count}.")


def at_step(layer: Any, inputs: Inputs, t: int) -> Inputs:
    """What step t of a layer is given."""
    found = {}
    for name, axes in axes_of(layer, inputs).items():
        given = inputs[name]
        if axes.time is not None:  # a layer of layers runs one step as a sequence
            is_kept = isinstance(layer, Composed)
            given = given.narrow(axes.time, t, 1) if is_kept else given.select(axes.time, t)
        found[name] = given
    return found


def widened(layer: torch.nn.Module, inputs: Inputs, size: int) -> Inputs:
    """The same for `size` rows of each sequence, side by side."""
    lie = axes_of(layer, inputs)
    return {
        n: v if lie[n].rows is None else v.repeat_interleave(size, dim=lie[n].rows)
        for n, v in inputs.items()
    }

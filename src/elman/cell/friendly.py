"""Numbers that can be worked by hand: one decimal, no zeros, gates that are not saturated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elman.backends.call import Request, check_seed, known_sizes
from elman.cell.public import Cell
from elman.ir.sizes import number
from elman.language.functions import canonical
from elman.language.syntax import Call
from elman.trace.naming import CHOICES, check_names
from elman.trace.trace import Trace

Array = np.ndarray[Any, Any]
SIZE, STEPS = 2, 2  # where nothing says how many
ATTEMPTS = 24  # draws, of which the first is taken that saturates nothing
INPUTS, STATES = (0.5, 1.0, 1.5, 2.0), (0.5, 1.0)  # in magnitude
LARGEST, SMALLEST = 9, 3  # tenths up to which weights are drawn, fewer if that saturates
LIMITS = {"sigmoid": (0.03, 0.97), "tanh": (-0.97, 0.97)}  # beyond them all looks alike
UNDEFINED = 1000  # so many times worse than a saturated value


@dataclass(frozen=True)
class Numbers:
    """What a run is given, by name; `steps` where no input counts them."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    steps: int | None = None

    def trace(self, cell: Cell, seed: int | None = None, **backward: Any) -> Trace:
        """The run of a cell on these numbers, worked; `backward` is as `Cell.trace` takes it."""
        given = self.inputs, self.weights, self.state or None
        sizes = self.sizes or None
        return cell.trace(*given, sizes=sizes, steps=self.steps, seed=seed, **backward)


def friendly(
    cell: Cell, seed: int, given: Numbers | None = None, *, names: object = None, anew: bool = False
) -> Numbers:
    """Numbers for a cell that can be worked by hand: what is missing is drawn, from a seed.

    >>> import elman
    >>> cell = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)")
    >>> found = friendly(cell, seed=1, given=Numbers(inputs={"x": [[1, 2]]}, sizes={"hidden": 1}))
    >>> {name: array.tolist() for name, array in found.weights.items()}
    {'W': [[-0.5, 0.3]], 'U': [[0.6]], 'b': [-0.5]}

    Weights have one decimal and no zero, inputs are halves up to 2; a state begins at zero unless
    given. With `names`, inputs are one-hot. Where all are given, or `anew`, all are drawn in the
    shapes of those given: what is one-hot, or 0 and 1, or zero, stays so; constants and frozen
    weights are not drawn.

    Errors: WeightProblem E507 for no seed, and those of `Cell.run` for what is given.
    """
    whole, given = check_seed(seed), given or Numbers()
    is_full = not {*cell.parameters, *cell.inputs} - {*given.weights, *given.inputs}
    model = _Model(cell, given, names)
    found: dict[float, Numbers] = {}  # by what is wrong with them
    for attempt in range(ATTEMPTS):
        numbers = _Draw(model, whole, attempt, anew or is_full).numbers()
        harm = _harm(numbers.trace(cell, whole if cell.random else None))
        found.setdefault(harm, numbers)
        if harm == 0:
            break
    return found[min(found)]


def _harm(trace: Trace) -> float:
    """How much of it is undefined, or so near a limit that nothing can be learned from it."""
    harm = 0.0
    for line in (line for step in (trace.once, *trace.steps) for line in step.lines):
        harm += UNDEFINED * float(np.mean(~np.isfinite(line.value)))
        for part, value in line.parts():
            if isinstance(part, Call) and canonical(part.function) in LIMITS:
                low, high = LIMITS[canonical(part.function)]
                harm += float(np.mean((value < low) | (value > high)))
    return harm


class _Model:
    """What is drawn for a cell, in which shapes."""

    def __init__(self, cell: Cell, given: Numbers, names: object) -> None:
        self.cell, self.given = cell, given
        self.kept = {*cell.constants, *cell.frozen}  # as they are given
        words = _words(cell, given, names)
        self.sizes = self._sizes(words)
        streams = {name for name in cell.inputs if "t" in cell.typed.over[name]}
        counts = [len(a) for name, a in given.inputs.items() if name in streams]
        steps = (*counts, given.steps or STEPS)[0]
        self.lead = dict.fromkeys(streams, (steps,))
        self.steps = None if streams else steps
        self.one_hot = {name for name, count in words.items() if self.tail(name) == (count,)}

    def _sizes(self, words: Mapping[str, int]) -> dict[str, int]:
        """A number for every size: from what is given, from the names, else a small one."""
        cell, given = self.cell, self.given
        request = Request(given.inputs, given.weights, given.state, dict(given.sizes))
        wanted = {cell.typed.shape(name)[0]: count for name, count in words.items()}
        found, missing = known_sizes(cell.typed, cell._reading.cell, request)
        while missing:
            more = {missing[0]: wanted.get(missing[0], SIZE)}
            request = replace(request, sizes={**(request.sizes or {}), **more})
            found, missing = known_sizes(cell.typed, cell._reading.cell, request)
        return found

    def tail(self, name: str) -> tuple[int, ...]:
        return tuple(number(size, self.sizes) for size in self.cell.typed.shape(name))

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a stream with its steps."""
        return (*self.lead.get(name, ()), *self.tail(name))


class _Draw:
    """One draw; later ones are smaller, and every third has no sign."""

    def __init__(self, model: _Model, seed: int, attempt: int, anew: bool) -> None:
        self.model, self.anew = model, anew
        self.rng = np.random.default_rng([seed, attempt])
        self.signs = (1,) if attempt % 3 == 2 else (-1, 1)
        most = LARGEST - (LARGEST - SMALLEST) * attempt // (ATTEMPTS - 1)
        self.weights = [k / 10 for k in range(1, most + 1)]

    def numbers(self) -> Numbers:
        model = self.model
        given, cell = model.given, model.cell
        constants = [name for name in given.weights if name in cell.constants]
        weights = {n: self.array(n, given.weights, self.weights) for n in cell.parameters}
        weights |= {name: given.weights[name] for name in constants}
        inputs = {name: self.array(name, given.inputs, INPUTS) for name in cell.inputs}
        state = {key: self.array(key, given.state, STATES) for key in given.state}
        return Numbers(inputs, weights, state, model.sizes, model.steps)

    def array(self, name: str, group: Mapping[str, Any], choices: Sequence[float]) -> Any:
        """As it was given, or drawn: like the one given, where there is one."""
        if name not in group:
            is_one_hot = name in self.model.one_hot
            return (self.one_hot if is_one_hot else self.free)(self.model.shape(name), choices)
        if name in self.model.kept or not self.anew:
            return group[name]
        like = np.asarray(group[name], dtype=float).reshape(self.model.shape(name))
        if not like.any():
            return np.zeros_like(like)
        if choices is not self.weights and set(np.unique(like)) <= {0.0, 1.0}:
            is_vector = like.ndim > 0 and like.shape[-1] > 1
            is_one_hot = is_vector and bool((like.sum(axis=-1) == 1).all())
            return (self.one_hot if is_one_hot else self.bits)(like.shape, choices)
        return self.free(like.shape, choices)

    def free(self, shape: tuple[int, ...], choices: Sequence[float]) -> Array:
        return self.rng.choice(choices, shape) * self.rng.choice(self.signs, shape)

    def bits(self, shape: tuple[int, ...], _: Sequence[float]) -> Array:
        return self.rng.integers(2, size=shape).astype(float)

    def one_hot(self, shape: tuple[int, ...], _: Sequence[float]) -> Array:
        return np.eye(shape[-1])[self.rng.integers(shape[-1], size=shape[:-1])]


def _words(cell: Cell, given: Numbers, names: object) -> dict[str, int]:
    """How many names each vector has that is still to be drawn, and each softmax."""
    if names is None:
        return {}
    vectors = [name for name in cell.inputs if len(cell.typed.shape(name)) == 1]
    equations = cell._reading.expanded.equations
    calls = {e.name: e.value for e in equations if isinstance(e.value, Call)}
    chosen = [name for name, call in calls.items() if call.function in CHOICES]
    if isinstance(names, Mapping):
        counts = {name: len(check_names(each)) for name, each in names.items()}
    else:
        counts = dict.fromkeys((*vectors, *chosen), len(check_names(names)))
    return {name: n for name, n in counts.items() if name in (*vectors, *chosen)}

"""From what a user gives (array-likes by name) to arrays that a backend takes, and back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.backends import c_compile, c_run, interpret
from elman.backends.interpret import expand
from elman.backends.numpy_ import NUMPY
from elman.errors import BackendProblem, NameProblem, ShapeProblem, WeightProblem, nearest
from elman.ir import Cell, Node
from elman.ir.sizes import number
from elman.passes.bind import Given, bind_sizes
from elman.passes.bind import known_sizes as sizes_of
from elman.passes.initial import initial_cell
from elman.passes.randomness import STEPS_TAKEN, WORDS, counts_steps, evaluation, training
from elman.passes.shapes import Typed
from elman.passes.system import system_of

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
BACKENDS = ("auto", "numpy", "torch", "c")
# multiply-adds below which the reference is done before a compiler has started
WORTH_COMPILING = 2e7
SEEDS = 2**24  # so many a float32 tells apart


@dataclass(frozen=True)
class Request:
    """What a user asks for: arrays by name, sizes, and how to run."""

    inputs: Mapping[str, Any]
    weights: Mapping[str, Any]
    state: Mapping[str, Any] | None = None
    sizes: Mapping[str, int] | None = None
    steps: int | None = None  # where no input counts them
    seed: int | None = None  # None: the mean of what is random
    dtype: Any = None


@dataclass(frozen=True)
class Call:
    """A cell with everything that one run of it needs."""

    cell: Cell
    arrays: Arrays  # inputs (T, B, ...), weights, constants, and the words of what is drawn
    state: Arrays  # (B, ...)
    sizes: Mapping[str, int]
    steps: int
    batch: int
    batched: bool
    dtype: Any
    start: Cell | None = None  # computed the states that were not given
    taken: float | None = None  # the steps before this run, where no equation counts them

    @property
    def lead(self) -> tuple[int, int]:
        return self.steps, self.batch


def prepare(typed: Typed, surface: Cell, request: Request, spell: Callable[[Node], str]) -> Call:
    """Check names and shapes, find the sizes, give every array its full shape and one dtype."""
    keys = tuple(carry.key for carry in system_of(typed.cell).carries)
    counted = counts_steps(typed.cell) and STEPS_TAKEN not in keys
    constants = dict(surface.constants)
    _check_all(typed, request, (*keys, *((STEPS_TAKEN,) if counted else ())))
    found = {name: number_array("inputs", name, v) for name, v in request.inputs.items()}
    kind = _dtype(request.dtype, found)
    weights = {**constants, **request.weights}
    arrays = {name: number_array("weights", name, v) for name, v in weights.items()}
    before = {key: number_array("state", key, v) for key, v in (request.state or {}).items()}
    new = None if request.seed is None else np.zeros(1)  # evaluation counts on, but does not begin
    taken = before.pop(STEPS_TAKEN, new) if counted else None
    over = {n.attr.name: n.over for n in typed.cell.leaves if n.attr.role == "input"}
    batched = _is_batched(typed, found, over, before)
    found, given = _inputs(typed, found, over, batched)
    given |= _given(typed, arrays, before)
    numbers, shapes = bind_sizes(typed, given, request.sizes or {}, surface, spell)
    steps, batch = _lead(found, over, before, typed, request.steps)
    full = {name: a.reshape(shapes[name]) for name, a in arrays.items()}
    for name, a in found.items():
        full[name] = a.reshape(a.shape[: len(over[name])] + shapes[name])
    for key, a in before.items():
        tail = tuple(number(size, numbers) for size in typed.shape(key))
        before[key] = np.broadcast_to(a, (batch, *tail))
    arrays, before = ({n: a.astype(kind) for n, a in group.items()} for group in (full, before))
    call = Call(typed.cell, arrays, before, numbers, steps, batch, batched, kind)
    if taken is not None:
        call = replace(call, taken=float(taken.ravel()[0]))
    return _started(_drawn(call, request.seed), keys)


def known_sizes(
    typed: Typed, surface: Cell, request: Request
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The sizes of a request in which weights and inputs may be missing, and those left open."""
    needed = {role: typed.cell.names(role) for role in interpret.USER}
    constants = tuple(name for name, _ in typed.cell.constants)
    _check_names("input", request.inputs, (), needed["input"], "E405")
    _check_names("weight", request.weights, (), (*needed["parameter"], *constants), "E501")
    keys = tuple(carry.key for carry in system_of(typed.cell).carries)
    _check_names("state", request.state or {}, (), keys, "E406")
    found = {name: number_array("inputs", name, v) for name, v in request.inputs.items()}
    weights = {**dict(surface.constants), **request.weights}
    arrays = {name: number_array("weights", name, v) for name, v in weights.items()}
    before = {key: number_array("state", key, v) for key, v in (request.state or {}).items()}
    over = {n.attr.name: n.over for n in typed.cell.leaves if n.attr.role == "input"}
    _, given = _inputs(typed, found, over, _is_batched(typed, found, over, before))
    return sizes_of(typed, given | _given(typed, arrays, before), request.sizes or {})


def check_seed(seed: object) -> int:
    """The seed; E507 where it is none."""
    whole = -1 if isinstance(seed, bool) or not hasattr(seed, "__index__") else operator.index(seed)
    if not 0 <= whole < SEEDS:
        rule = f"A seed is a whole number from 0 to {SEEDS - 1}."
        raise WeightProblem("E507", f"seed={seed!r} is no seed", rule=rule, fix="Pass seed=0.")
    return whole


def _drawn(call: Call, seed: int | None) -> Call:
    """What is random as its mean, or drawn from a seed."""
    if seed is None:
        return replace(call, cell=evaluation(call.cell))
    whole = check_seed(seed)
    counter = call.state.get(STEPS_TAKEN, np.zeros(1)).ravel()[0]
    first = counter if call.taken is None else call.taken
    words = (np.asarray(whole), np.arange(call.batch), first + np.arange(call.steps))
    drawn = {n: a.astype(call.dtype) for n, a in zip(WORDS, words, strict=True)}
    return replace(call, cell=training(call.cell), arrays={**call.arrays, **drawn})


def _started(call: Call, keys: Sequence[str]) -> Call:
    """Every state with a value: given, computed by its line before the first step, or zero."""
    start = initial_cell(call.cell, call.state)
    found: Arrays = {}
    if start is not None:
        found, _ = _interpreted(replace(call, cell=start, state={}, steps=1), start.outputs)
    state = {}
    for key in keys:
        tail = tuple(number(size, call.sizes) for size in call.cell.state_shape(key))
        value = call.state.get(key, np.zeros((call.batch, *tail), call.dtype))
        state[key] = found[key][0] if key in found else value
    return replace(call, state=state, start=start)


def _check_all(typed: Typed, request: Request, keys: tuple[str, ...]) -> None:
    needed = {role: typed.cell.names(role) for role in interpret.USER}
    _check_names("input", request.inputs, needed["input"], (), "E405")
    constants = tuple(name for name, _ in typed.cell.constants)
    _check_names("weight", request.weights, needed["parameter"], constants, "E501")
    _check_names("state", {} if request.state is None else request.state, (), keys, "E406")
    if request.sizes is not None and not isinstance(request.sizes, Mapping):
        example = next(iter(typed.aliases), "hidden")
        headline, fix = "sizes are given by name, as a dict", f'As in sizes={{"{example}": 3}}.'
        raise ShapeProblem("E207", headline, fix=fix)


def _given(typed: Typed, weights: Arrays, state: Arrays) -> dict[str, Given]:
    """Shapes of weights, and of states without the batch, and how the user would point at them."""
    found = {
        name: Given(a.shape, f'the array given as weights["{name}"]') for name, a in weights.items()
    }
    for key, a in state.items():
        sizes = typed.shape(key)
        if a.ndim > len(sizes) + 1:
            headline = f"the state {key} has {a.ndim} axes: {a.shape}"
            rule = f"It is ({', '.join(('B', *sizes))}): a row for each of B sequences."
            fix = "Pass state[0] where torch's axis of layers stands before them."
            raise WeightProblem("E503", headline, rule=rule, fix=fix)
        tail = a.shape[1:] if a.ndim > len(typed.shape(key)) else a.shape
        found[key] = Given(tail, f'the array given as state["{key}"]')
    return found


def _check_names(
    kind: str, given: Mapping[str, Any], needed: Sequence[str], allowed: Sequence[str], code: str
) -> None:
    known = (*needed, *allowed)
    problem = WeightProblem if kind == "weight" else NameProblem
    if not isinstance(given, Mapping):
        name = needed[0] if needed else known[0] if known else "h"
        raise problem(
            code, f"{kind}s are given by name, as a dict", fix=f'As in {{"{name}": ...}}.'
        )
    missing = [name for name in needed if name not in given]
    extra = [name for name in given if name not in known]
    if extra:
        without = f" Not given: {', '.join(missing)}." if len(extra) > 1 and missing else ""
        raise problem(
            "E502" if kind == "weight" else code,
            f"the cell has no {kind}{'s' * (len(extra) > 1)} {', '.join(map(repr, extra))}",
            rule=f"It has {', '.join(known) or 'none'}.{without}",
            fix=nearest(str(extra[0]), known) or None,
        )
    if missing:
        raise problem(
            code,
            f"the {kind} {missing[0]!r} is missing",
            rule=f"The cell needs {', '.join(needed)}.",
            fix=f"Also missing: {', '.join(missing[1:])}." if missing[1:] else None,
        )


def number_array(group: str, name: str, value: Any) -> Array:
    """A number array of whatever is array-like; torch tensors are detached."""
    detach = getattr(value, "detach", None)
    try:
        found = np.asarray(detach().cpu().numpy() if detach else value)
    except (ValueError, TypeError) as error:
        raise WeightProblem(
            "E504",
            f'{group}["{name}"] is no array of numbers',
            rule="Its rows differ in length." if "inhomogeneous" in str(error) else str(error),
        ) from None
    if found.dtype.kind not in "fiub":
        what = {"U": "text", "c": "complex numbers", "O": f"{type(value).__name__}"}
        raise WeightProblem(
            "E504",
            f'{group}["{name}"] holds {what.get(found.dtype.kind, found.dtype)}',
            rule="Inputs, weights and states are arrays of real numbers.",
        )
    return found


def _dtype(dtype: Any, inputs: Arrays) -> Any:
    if dtype is not None:
        try:
            name = str(dtype)
            found = np.dtype(name.removeprefix("torch.") if name.startswith("torch.") else dtype)
        except TypeError:
            found = np.dtype(object)
        if found not in (np.dtype("float32"), np.dtype("float64")):
            raise WeightProblem("E505", f"dtype={dtype!r}", rule="Cells run in float32 or float64.")
        return found
    kinds = [a.dtype for a in inputs.values() if a.dtype in (np.float32, np.float64)]
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def _is_batched(typed: Typed, inputs: Arrays, over: Mapping[str, str], state: Arrays) -> bool:
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


def _inputs(
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


def _lead(
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
            "E212", "nothing to run: no step or no sequence", rule="A run has one step or more."
        )
    return next(iter(steps.values())), next(iter(batch.values()), 1)


def _whole_steps(steps: object) -> int:
    whole = steps if isinstance(steps, int | np.integer) and not isinstance(steps, bool) else 0
    if whole < 1:
        rule = "A number of steps is a whole number, 1 or more."
        raise ShapeProblem("E212", f"steps={steps!r} is no number of steps", rule=rule)
    return int(whole)


def choose(call: Call, backend: str) -> str:
    """The backend that "auto" stands for: c where the work is worth a compiler's time."""
    if backend not in BACKENDS:
        raise BackendProblem(
            "E803",
            f"there is no backend {backend!r}",
            rule=f"There are {', '.join(BACKENDS)}.",
            fix=nearest(str(backend), BACKENDS) or None,
        )
    if not call.arrays and not call.state:  # nothing that could be handed to another
        return "numpy"
    if backend != "auto":
        return backend
    work = sum(a.size for a in call.arrays.values()) * call.steps * call.batch
    return "c" if work > WORTH_COMPILING and c_compile.trouble() is None else "numpy"


def run(call: Call, outputs: tuple[str, ...], backend: str) -> tuple[Arrays, Arrays]:
    """The outputs named, (T, B, ...), and the final states, (B, ...)."""
    data = (call.cell, call.arrays, call.state)
    if backend == "c":
        found, final = c_run.forward(*data, call.sizes, call.lead, outputs)
    elif backend == "torch":
        torch_ = _torch_backend()
        tensors = torch_.tensors(call.arrays, call.state)
        given = torch_.forward(call.cell, *tensors, call.sizes, call.lead, outputs)
        found, final = map(torch_.arrays, given)
    else:
        found, final = _interpreted(call, outputs)
    if call.taken is not None:
        final = {**final, STEPS_TAKEN: np.full(call.batch, call.taken + call.steps, call.dtype)}
    return found, final


def _interpreted(call: Call, outputs: tuple[str, ...]) -> tuple[Arrays, Arrays]:
    before = {key: a[None] for key, a in call.state.items()}
    found, final = interpret.forward(
        call.cell, _spread(call), before, NUMPY, call.sizes, call.steps, outputs
    )
    shaped = {n: np.broadcast_to(a, call.lead + a.shape[2:]) for n, a in found.items()}
    return (
        {name: np.array(a, dtype=call.dtype) for name, a in shaped.items()},
        {
            key: np.array(np.broadcast_to(a[0], (call.batch, *a.shape[2:])), dtype=call.dtype)
            for key, a in final.items()
        },
    )


def gradients(call: Call, cotangents: Arrays, final: Arrays, backend: str) -> tuple[Arrays, Arrays]:
    """`d_x`, `d_W`, ... shaped as `call.arrays`, and the cotangents of the initial states."""
    data = (call.cell, call.arrays, call.state, cotangents, final)
    if backend == "c":
        found, initial = c_run.gradients(*data, call.sizes, call.lead)
    elif backend == "torch":
        torch_ = _torch_backend()
        given = torch_.gradients(*data, call.sizes, call.lead)
        found, initial = map(torch_.arrays, given)
    else:
        found, initial = _interpreted_gradients(call, cotangents, final)
    shaped = {  # what no cotangent reaches has the gradient zero
        name: np.array(found.get(f"d_{name}", np.zeros_like(a)), dtype=call.dtype).reshape(a.shape)
        for name, a in call.arrays.items()
    }
    tails = {key: a.shape for key, a in call.state.items()}
    before = {
        key: np.array(np.broadcast_to(initial[key], tails[key]), dtype=call.dtype) for key in tails
    }
    if call.start is not None:  # what reaches a state before the first step goes on to its line
        first = replace(call, cell=call.start, state={}, steps=1)
        reaching = {key: before[key][None] for key in call.start.outputs}
        further, _ = _interpreted_gradients(first, reaching, {})
        for name in shaped.keys() & {name.removeprefix("d_") for name in further}:
            shaped[name] += further[f"d_{name}"].reshape(shaped[name].shape)
    return shaped, before


def _interpreted_gradients(call: Call, cotangents: Arrays, final: Arrays) -> tuple[Arrays, Arrays]:
    before, last = ({k: a[None] for k, a in d.items()} for d in (call.state, final))
    found, initial = interpret.gradients(
        call.cell, _spread(call), before, cotangents, last, NUMPY, call.sizes, call.steps
    )
    return found, {key: a[0] for key, a in initial.items()}


def _spread(call: Call) -> Arrays:
    leaves = {n.attr.name: n for n in call.cell.leaves if n.attr.role in interpret.USER}
    return {name: expand(n.over, call.arrays[name]) for name, n in leaves.items()}


def _torch_backend() -> Any:
    try:
        from elman.backends import torch_  # spares torch to those who do not ask for it
    except ImportError:
        raise BackendProblem(
            "E804", "torch is not installed", fix='Install it: pip install "elman[torch]".'
        ) from None
    return torch_

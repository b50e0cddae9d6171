"""From what a user gives (array-likes by name) to arrays that a backend takes, and back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elman.backends import c_compile, c_run, interpret
from elman.backends.interpret import expand
from elman.backends.leading import counts, is_batched, with_axes
from elman.backends.masks import Masks, masks_of
from elman.backends.numpy_ import NUMPY
from elman.errors import BackendProblem, NameProblem, ShapeProblem, WeightProblem, nearest
from elman.ir import Cell, Node
from elman.ir.sizes import number
from elman.passes.bind import Given, bind_sizes
from elman.passes.bind import known_sizes as sizes_of
from elman.passes.initial import initial_cell
from elman.passes.masking import shown
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
    lengths: Any = None  # of the sequences; None: all have every step
    reset: Any = None  # where a sequence begins anew


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
    given: frozenset[str] = frozenset()  # the states that were
    taken: float | None = None  # the steps before this run, where no equation counts them
    masks: Masks | None = None

    @property
    def first(self) -> Array | None:
        """The sequences that begin anew before the first step, whatever state is given."""
        return None if self.masks is None else self.masks.first

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
    batched = is_batched(typed, found, over, before)
    found, given = with_axes(typed, found, over, batched)
    given |= _given(typed, arrays, before)
    numbers, shapes = bind_sizes(typed, given, request.sizes or {}, surface, spell)
    steps, batch = counts(found, over, before, typed, request.steps)
    full = {name: a.reshape(shapes[name]) for name, a in arrays.items()}
    for name, a in found.items():
        full[name] = a.reshape(a.shape[: len(over[name])] + shapes[name])
    for key, a in before.items():
        tail = tuple(number(size, numbers) for size in typed.shape(key))
        before[key] = np.broadcast_to(a, (batch, *tail))
    arrays, before = ({n: a.astype(kind) for n, a in group.items()} for group in (full, before))
    masks = masks_of(request.lengths, request.reset, (steps, batch), batched)
    call = Call(typed.cell, arrays, before, numbers, steps, batch, batched, kind, masks=masks)
    if taken is not None:
        call = replace(call, taken=float(taken.ravel()[0]))
    return _masked(_started(_drawn(call, request.seed), keys))


def known_sizes(
    typed: Typed, surface: Cell, request: Request
) -> tuple[dict[str, int], tuple[str, ...]]:
    """The sizes of a request in which weights and inputs may be missing, and those left open."""
    return sizes_of(typed, _given_now(typed, surface, request), request.sizes or {})


def all_sizes(
    typed: Typed, surface: Cell, request: Request, spell: Callable[[Node], str]
) -> dict[str, int]:
    """The sizes of a request in which inputs may be missing; E206 where one is left open."""
    constants = tuple(name for name, _ in typed.cell.constants)
    _check_names("weight", request.weights, typed.cell.names("parameter"), constants, "E501")
    given = _given_now(typed, surface, request)
    return bind_sizes(typed, given, request.sizes or {}, surface, spell)[0]


def _given_now(typed: Typed, surface: Cell, request: Request) -> dict[str, Given]:
    """What a request in which weights and inputs may be missing says of shapes."""
    needed = {role: typed.cell.names(role) for role in interpret.USER}
    constants = tuple(name for name, _ in typed.cell.constants)
    _check_names("input", request.inputs, (), needed["input"], "E405")
    _check_names("weight", request.weights, (), (*needed["parameter"], *constants), "E501")
    keys = tuple(carry.key for carry in system_of(typed.cell).carries)
    counted = counts_steps(typed.cell) and STEPS_TAKEN not in keys
    taken = (STEPS_TAKEN,) if counted else ()
    _check_names("state", request.state or {}, (), (*keys, *taken), "E406")
    found = {name: number_array("inputs", name, v) for name, v in request.inputs.items()}
    weights = {**dict(surface.constants), **request.weights}
    arrays = {name: number_array("weights", name, v) for name, v in weights.items()}
    state = {key: v for key, v in (request.state or {}).items() if key in keys}
    before = {key: number_array("state", key, v) for key, v in state.items()}
    over = {n.attr.name: n.over for n in typed.cell.leaves if n.attr.role == "input"}
    _, given = with_axes(typed, found, over, is_batched(typed, found, over, before))
    return given | _given(typed, arrays, before)


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
    counter = call.state.get(STEPS_TAKEN, np.zeros(1)).max()  # of the longest sequence
    first = counter if call.taken is None else call.taken
    words = (np.asarray(whole), np.arange(call.batch), first + np.arange(call.steps))
    drawn = {n: a.astype(call.dtype) for n, a in zip(WORDS, words, strict=True)}
    return replace(call, cell=training(call.cell), arrays={**call.arrays, **drawn})


def _started(call: Call, keys: Sequence[str]) -> Call:
    """Every state with a value: given, computed by its line before the first step, or zero."""
    start = initial_cell(call.cell, call.state if call.first is None else ())
    found: Arrays = {}
    if start is not None:
        found, _ = _interpreted(replace(call, cell=start, state={}, steps=1), start.outputs)
    state = {}
    for key in keys:
        tail = tuple(number(size, call.sizes) for size in call.cell.state_shape(key))
        fresh = found[key][0] if key in found else np.zeros((call.batch, *tail), call.dtype)
        state[key] = fresh
        if key in call.state:
            given = call.state[key]
            state[key] = given if call.first is None else _in_rows(call.first, fresh, given)
    return replace(call, state=state, start=start, given=frozenset(call.state))


def _in_rows(rows: Array, one: Any, other: Array) -> Array:
    """`one` in the rows that are true, `other` elsewhere."""
    return np.where(rows.reshape(-1, *[1] * (other.ndim - 1)), one, other)


def _masked(call: Call) -> Call:
    """The cell that keeps to the lengths and resets, with the streams which say them."""
    if call.masks is None:
        return call
    cell = call.masks.cell(call.cell, call.cell.outputs)
    streams = {n: a.astype(call.dtype) for n, a in call.masks.arrays().items()}
    read = {n: a for n, a in streams.items() if n in cell.names("constant")}
    return replace(call, cell=cell, arrays={**call.arrays, **read})


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
    if call.masks is not None:
        whole = replace(call, masks=None)
        found, final = run(whole, tuple(map(shown, outputs)), backend)
        return {name: found[shown(name)] for name in outputs}, final
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
    if call.masks is not None:
        cotangents = {shown(name): a for name, a in cotangents.items()}
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
    first = call.first
    if call.start is not None:  # what reaches a state before the first step goes on to its line
        one = replace(call, cell=call.start, state={}, steps=1)
        reaching = {key: before[key][None] for key in call.start.outputs}
        if (
            first is not None
        ):  # where a state was given, only the rows that begin anew read its line
            given = call.given & reaching.keys()
            reaching |= {key: _in_rows(~first, 0, before[key])[None] for key in given}
        further, _ = _interpreted_gradients(one, reaching, {})
        for name in shaped.keys() & {name.removeprefix("d_") for name in further}:
            shaped[name] += further[f"d_{name}"].reshape(shaped[name].shape)
    if first is not None:  # a state that was put back before the first step changes nothing
        before = {key: _in_rows(first, 0, a) for key, a in before.items()}
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

"""A cell step by step on arrays that stay where they are: old and new states change places."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from elman.backends import call as calls
from elman.backends.c_frozen import Steps, packed_weights
from elman.backends.c_run import POISON, Kernel, compiled
from elman.backends.call import Array, Arrays, Call
from elman.backends.interpret import USER, expand
from elman.ir import Shape
from elman.ir.sizes import number


class Turn(NamedTuple):
    """A step from the states `old` to the states `new`; `outputs` (B, ...) are what it returns."""

    run: Callable[[], object]
    outputs: Mapping[str, Array]
    old: Arrays
    new: Arrays
    kept: object = None  # whose memory the step works on


Pair: TypeAlias = tuple[Arrays, Arrays]
Key: TypeAlias = tuple[str, str]  # role and name of a kernel's array


def turns_of(call: Call, backend: str, threads: int) -> tuple[Turn, ...]:
    """Two steps, each of which goes on from the other's new states; the first from the call's.

    They read the inputs of the call, as they then are; its weights as they are now.
    """
    one = {key: np.array(a, order="C") for key, a in call.state.items()}
    other = {key: np.full_like(a, np.nan) for key, a in one.items()}
    pairs = ((one, other), (other, one))
    if backend == "c":
        return _compiled(call, pairs, threads)
    return _interpreted(call, pairs, backend)


def _interpreted(call: Call, pairs: Sequence[Pair], backend: str) -> tuple[Turn, ...]:
    returns = call.cell.returns
    shapes = {n: (call.batch, *_tail(call, call.cell.value(n).shape)) for n in returns}
    outputs = {name: np.full(shape, np.nan, call.dtype) for name, shape in shapes.items()}

    def step(old: Arrays, new: Arrays) -> None:
        found, final = calls.run(replace(call, state=old), returns, backend)
        for name, array in outputs.items():
            array[...] = found[name][0]
        for key, array in new.items():
            array[...] = final[key]

    return tuple(Turn(functools.partial(step, *pair), outputs, *pair) for pair in pairs)


def _compiled(call: Call, pairs: Sequence[Pair], threads: int) -> tuple[Turn, ...]:
    kernel = compiled(call.cell, np.dtype(call.dtype).name, call.cell.returns).forward
    numbers, made = kernel.numbers(call.sizes), _outputs(kernel, call)
    held = [[_array(key, call, made, *pair) for key in kernel.keys] for pair in pairs]
    places = [[0 if a is None else a.ctypes.data for a in arrays] for arrays in held]
    steps = Steps(kernel, call.batch, numbers, packed_weights(kernel, numbers, places[0]))
    turns = []
    for pair, arrays, addresses in zip(pairs, held, places, strict=True):
        run = steps.ready(addresses, threads)
        if POISON:
            run = functools.partial(_poisoned, run, [*made.values(), *pair[1].values()])
        turns.append(Turn(run, _shown(kernel, call, made, pair[1]), *pair, (steps, arrays)))
    return tuple(turns)


def _tail(call: Call, shape: Shape | None) -> tuple[int, ...]:
    return tuple(number(size, call.sizes) for size in shape or ())


def _outputs(kernel: Kernel, call: Call) -> dict[Key, Array]:
    """Arrays for what is returned, where it is no state."""
    lead = {"tb": (1, call.batch), "t": (1,), "b": (call.batch,), "": ()}
    wanted = {kernel.program.outputs[name] for name in call.cell.returns}
    return {
        (b.role, b.key): np.full((*lead[b.over], *_tail(call, b.shape)), np.nan, call.dtype)
        for b in kernel.buffers
        if b.role == "output" and (b.role, b.key) in wanted
    }


def _array(
    key: Key, call: Call, made: Mapping[Key, Array], old: Arrays, new: Arrays
) -> Array | None:
    """The array of a kernel's buffer; None where it is given none."""
    role, name = key
    if role in USER:
        return call.arrays[name]
    if role in ("init", "final"):
        return (old if role == "init" else new)[name]
    return made.get(key)


def _shown(kernel: Kernel, call: Call, made: Mapping[Key, Array], new: Arrays) -> dict[str, Array]:
    """What a step returns, (B, ...), seen where it lies: a state among the new ones."""
    over = {(b.role, b.key): b.over for b in kernel.buffers}
    found = {}
    for name in call.cell.returns:
        place = kernel.program.outputs[name]
        if place[0] == "states":
            found[name] = new[place[1]]
        else:
            whole = expand(over[place], made[place])
            found[name] = np.broadcast_to(whole, (1, call.batch, *whole.shape[2:]))[0]
    return found


def _poisoned(run: Callable[[], object], arrays: Sequence[Array]) -> None:
    for array in arrays:
        array[...] = np.nan
    run()

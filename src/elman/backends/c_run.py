"""Run compiled plans: pointers in, pointers out. No array library is needed to call a kernel."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from elman.backends.c_compile import compile_library
from elman.backends.c_layout import Buffer
from elman.backends.c_write import Program, kernels_file, write_file, write_program
from elman.backends.interpret import USER, expand
from elman.ir import Cell
from elman.ir.sizes import number
from elman.passes.derive import Derivation, derive
from elman.passes.transpose import past_name

REAL = {"float32": "float", "float64": "double", "bfloat16": "bfloat16"}


class Kernel:
    """One compiled plan. `run` takes the addresses of its arrays in the order of `buffers`."""

    def __init__(self, library: ctypes.CDLL, program: Program) -> None:
        self.library, self.program = library, program
        self.buffers: tuple[Buffer, ...] = program.buffers
        self.keys = [(buffer.role, buffer.key) for buffer in program.buffers]
        self._call = getattr(library, program.prefix)
        self._call.restype = None
        self._size = getattr(library, f"{program.prefix}_scratch")
        self._size.restype = ctypes.c_long
        pointer, long = ctypes.c_void_p, ctypes.c_long
        self._size.argtypes = [long, long, pointer, pointer, ctypes.c_int]
        self._call.argtypes = [long, long, pointer, pointer, pointer, pointer, ctypes.c_int]
        self._arrays = ctypes.c_void_p * len(self.keys)
        self._sizes = ctypes.c_long * max(1, len(program.sizes))

    def numbers(self, sizes: Mapping[str, int]) -> Any:
        """The sizes as the kernel takes them."""
        return self._sizes(*[sizes[name] for name in self.program.sizes])

    def planned(
        self, steps: int, batch: int, numbers: Any, given: Sequence[bool], threads: int
    ) -> Run:
        """A run of `steps` steps on `batch` rows, with those arrays that are given."""
        arrays = self._arrays(*given)  # any address that is not null says that one is given
        needed = self._size(steps, batch, numbers, arrays, threads)
        return Run(self._call, steps, batch, numbers, len(given), needed, threads)

    def run(self, steps: int, batch: int, numbers: Any, addresses: Sequence[int | None]) -> None:
        """Run once; None is an array that is not given."""
        given = [address is not None for address in addresses]
        run = self.planned(steps, batch, numbers, given, thread_count())
        run([address or 0 for address in addresses])


class Run:
    """A kernel's run on the arrays at given addresses; all that does not change is held ready.

    Two threads may use one at the same time: what a call needs is made by the call.
    """

    __slots__ = ("_batch", "_call", "_needed", "_numbers", "_pack", "_steps", "_threads")

    def __init__(
        self,
        call: Any,
        steps: int,
        batch: int,
        numbers: Any,
        count: int,
        needed: int,
        threads: int,
    ) -> None:
        self._call, self._steps, self._batch, self._numbers = call, steps, batch, numbers
        self._needed, self._threads = needed, threads
        self._pack = struct.Struct(f"{count}P").pack

    def __call__(self, addresses: Iterable[int], packed: int | None = None) -> None:
        """`packed` is the address of the kernel's weights, packed before (c_frozen.py)."""
        self._call(
            self._steps,
            self._batch,
            self._numbers,
            self._pack(*addresses),  # by far quicker than an array of ctypes
            _scratch(self._needed),
            packed,
            self._threads,
        )


_local = threading.local()


def _scratch(needed: int) -> int:
    """The address of at least `needed` bytes on a cache line, kept for this thread's next call."""
    if POISON or getattr(_local, "size", 0) < needed:
        _make_scratch(needed)
    address: int = _local.address
    return address


def _make_scratch(needed: int) -> None:
    held: Any = getattr(_local, "scratch", None)
    if held is None or _local.size < needed:
        held = np.empty(needed + needed // 8 + 4096, np.uint8)
        _local.scratch, _local.size = held, held.nbytes - 64
        _local.address = (held.ctypes.data + 63) // 64 * 64
    if POISON:
        held[: needed + 64] = 0xFF  # NaN in every format


def release_scratch() -> None:
    """Let go of this thread's scratch memory; its next call makes it anew."""
    vars(_local).clear()


POISON = bool(
    os.environ.get("ELMAN_POISON")
)  # tests: what is read before it is written becomes NaN


def thread_count() -> int:
    """torch's number of threads where it is loaded, else OMP_NUM_THREADS, else the processors."""
    count = getattr(sys.modules.get("torch"), "get_num_threads", None)
    if count is not None:
        return int(count())
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen):
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Compiled:
    """The kernels of one cell for one dtype: forward, and backward from the cotangents named."""

    def __init__(self, cell: Cell, dtype: str, cotangents: tuple[str, ...]) -> None:
        self.derivation: Derivation = derive(cell, cotangents)
        self.dtype = np.dtype("float32" if dtype == "bfloat16" else dtype)  # of every array
        programs = write_programs(
            self.derivation, halves=cotangents if dtype == "bfloat16" else None
        )
        texts = [write_file([program], REAL[dtype]) for program in programs]
        library = compile_library(texts, _file_name(cell.name), kernels_file(REAL[dtype]))
        self.forward, self.backward = (Kernel(library, program) for program in programs)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)


def write_programs(
    derivation: Derivation,
    comments: Mapping[str, str] | None = None,
    halves: tuple[str, ...] | None = None,
) -> list[Program]:
    """The forward and the backward program of a cell.

    With the names that are returned as `halves`, the caller holds in bfloat16 all that he reads or
    writes himself; what only the backward program reads is float.
    """
    forward = write_program(derivation.forward, "forward", comments, halves)
    if halves is None:
        return [forward, write_program(derivation.backward, "backward")]
    found = {(buffer.role, buffer.key): buffer.half for buffer in forward.buffers}
    given = {name for name in derivation.saved if found[forward.outputs[name]]}
    given |= {
        past_name(key) for (role, key), is_half in found.items() if role == "states" and is_half
    }
    gradients = {name for name, _ in derivation.backward.outputs}
    given |= gradients | {f"d_{name}" for name in halves}
    return [forward, write_program(derivation.backward, "backward", None, given)]


@functools.lru_cache(maxsize=256)
def compiled(cell: Cell, dtype: str, cotangents: tuple[str, ...]) -> Compiled:
    """The kernels of a cell with shapes, compiled on first use."""
    return Compiled(cell, dtype, cotangents)


def forward(
    cell: Cell,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    state: Mapping[str, np.ndarray[Any, Any]],
    sizes: Mapping[str, int],
    lead: tuple[int, int],
    outputs: tuple[str, ...],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outputs named, (T, B, ...), and the final states, from arrays as the user holds them."""
    call = _Call(cell, arrays, state, sizes, lead, cell.returns)
    found = call.forward(outputs)
    over = {name: cell.value(name).over for name in outputs}
    return {name: _spread(found[name], over[name], lead) for name in outputs}, call.final


def _spread(array: Any, over: str, lead: tuple[int, int]) -> Any:
    """An output with both leading axes, where it varies over less than time and batch."""
    if over == "tb":
        return array
    spread = expand(over, array)
    return np.broadcast_to(spread, lead + spread.shape[2:]).copy()


def gradients(
    cell: Cell,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    state: Mapping[str, np.ndarray[Any, Any]],
    cotangents: Mapping[str, np.ndarray[Any, Any]],
    final: Mapping[str, np.ndarray[Any, Any]],
    sizes: Mapping[str, int],
    lead: tuple[int, int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`d_x`, `d_W`, ... and the cotangents of the initial states."""
    call = _Call(cell, arrays, state, sizes, lead, tuple(cotangents))
    saved = call.forward(call.compiled.derivation.saved)
    return call.backward(saved, cotangents, final)


class _Call:
    """One call of the kernels of a cell on NumPy arrays of one dtype."""

    def __init__(
        self,
        cell: Cell,
        arrays: Mapping[str, Any],
        state: Mapping[str, Any],
        sizes: Mapping[str, int],
        lead: tuple[int, int],
        cotangents: tuple[str, ...],
    ) -> None:
        self.steps, self.batch = lead
        self.sizes = sizes
        dtype = next(iter({a.dtype for a in (*arrays.values(), *state.values())})).name
        self.compiled = compiled(cell, dtype, cotangents)
        self.arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
        self.state = {key: np.ascontiguousarray(a) for key, a in state.items()}
        self.final: dict[str, Any] = {}

    def _empty(self, buffer: Buffer, more: int = 0) -> Any:
        lead = {
            "tb": (self.steps + more, self.batch),
            "t": (self.steps,),
            "b": (self.batch,),
            "": (),
        }
        shape = lead[buffer.over] + tuple(number(size, self.sizes) for size in buffer.shape)
        return np.full(shape, np.nan, self.compiled.dtype)

    def forward(self, outputs: tuple[str, ...]) -> dict[str, Any]:
        kernel = self.compiled.forward
        held: dict[tuple[str, str], Any] = {}
        wanted = {kernel.program.outputs[name] for name in outputs}
        for buffer in kernel.buffers:
            key = (buffer.role, buffer.key)
            if buffer.role in USER:
                held[key] = self.arrays[buffer.key]
            elif buffer.role == "init":
                held[key] = self.state[buffer.key]
            elif buffer.role == "states":
                held[key] = self._empty(buffer, more=1)
            elif buffer.role == "final" or key in wanted:
                held[key] = self._empty(buffer)
        self._run(kernel, held)
        self.past = {past_name(key): a[:-1] for (role, key), a in held.items() if role == "states"}
        self.final = {key: a for (role, key), a in held.items() if role == "final"}
        found = {}
        for name in outputs:
            place = kernel.program.outputs[name]
            found[name] = held[place][1:] if place[0] == "states" else held[place]
        return found

    def backward(
        self, saved: Mapping[str, Any], cotangents: Mapping[str, Any], final: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        kernel = self.compiled.backward
        given = {**saved, **self.past} | {f"d_{name}": a for name, a in cotangents.items()}
        held: dict[tuple[str, str], Any] = {}
        for buffer in kernel.buffers:
            key = (buffer.role, buffer.key)
            if buffer.role in USER:
                held[key] = self.arrays[buffer.key]
            elif buffer.role == "given":
                held[key] = np.ascontiguousarray(given[buffer.key])
            elif buffer.role == "init":
                held[key] = np.ascontiguousarray(final[buffer.key])
            elif buffer.role in ("output", "final"):
                held[key] = self._empty(buffer)
        self._run(kernel, held)
        outputs = {name: held[place] for name, place in kernel.program.outputs.items()}
        return outputs, {key: a for (role, key), a in held.items() if role == "final"}

    def _run(self, kernel: Kernel, held: Mapping[tuple[str, str], Any]) -> None:
        found = [held.get(key) for key in kernel.keys]
        addresses = [None if array is None else array.ctypes.data for array in found]
        kernel.run(self.steps, self.batch, kernel.numbers(self.sizes), addresses)

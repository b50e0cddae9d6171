"""Generated code as a program of its own: for sanitizers, and for processors that are emulated.

The program reads a call on its standard input, arrays in memory of exactly their size, and writes
the arrays back. `serving` puts it in the place of the libraries, so that the checks of the table
run on it.
"""

from __future__ import annotations

import functools
import hashlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from elman.backends import c_run
from elman.backends.c_write import write_whole_file
from elman.passes.derive import derive

CHOICE = (
    "const int mode = choose_mode(cost, T, B, threads);"  # by cost: small cells have one thread
)
FORCED = "const int mode = forced == 0 && B < threads ? 1 : forced; (void)choose_mode;"
LATE = ("#define LATE 4", "#define LATE 1000000")  # what is slow keeps its threads
MAIN = """
#include <stdio.h>
static void take(void *to, size_t size) {
  if (fread(to, 1, size, stdin) != size) exit(3);
}
typedef void plan(long, long, const long *, real **, real *, real *, int);
/* a call: whether it is the backward plan, steps, rows, threads, their mode, how many sizes, how
   many arrays, the sizes, and the arrays, each a number of values (-1: not given) and these */
int main(void) {
  long head[7];
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    const long T = head[1], B = head[2];
    const int threads = (int)head[3];
    forced = (int)head[4];
    long *const sizes = malloc((head[5] + 1) * sizeof(long));
    long *const counts = malloc((head[6] + 1) * sizeof(long));
    real **const arrays = malloc((head[6] + 1) * sizeof(real *));
    take(sizes, head[5] * sizeof(long));
    for (long k = 0; k < head[6]; k++) {
      take(&counts[k], sizeof(long));
      arrays[k] = counts[k] < 0 ? NULL : malloc(counts[k] * sizeof(real));
      if (counts[k] > 0) take(arrays[k], counts[k] * sizeof(real));
    }
    const long needed = head[0] ? backward_scratch(T, B, sizes, arrays, threads)
                                : forward_scratch(T, B, sizes, arrays, threads);
    real *const scratch = aligned_alloc(64, (needed + 63) / 64 * 64);
    memset(scratch, 0xFF, needed);
    (head[0] ? backward : forward)(T, B, sizes, arrays, scratch, NULL, threads);
    free(scratch);
    for (long k = 0; k < head[6]; k++) {
      const size_t count = counts[k] > 0 ? counts[k] : 0;
      if (count && fwrite(arrays[k], sizeof(real), count, stdout) != count) return 4;
      free(arrays[k]);
    }
    free(sizes), free(counts), free(arrays);
    fflush(stdout);
  }
  return 0;
}
"""


@dataclass(frozen=True)
class Target:
    """A compiler with its flags, and what runs its programs: nothing, or an emulator."""

    compiler: str
    flags: str = ""
    runner: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Standalone:
    """Stands for c_run.Compiled."""

    derivation: Any
    dtype: Any
    forward: Kernel
    backward: Kernel


@dataclass(frozen=True)
class Kernel:
    """Stands for c_run.Kernel: one plan of a program."""

    program: Any
    executable: Path
    target: Target

    @property
    def buffers(self) -> Any:
        return self.program.buffers

    @property
    def keys(self) -> list[tuple[str, str]]:
        return [(buffer.role, buffer.key) for buffer in self.program.buffers]


def build(cell: Any, dtype: str, cotangents: tuple[str, ...], target: Target, folder: Path) -> Any:
    """The program of a cell; compiled unless `folder` has it."""
    derivation = derive(cell, cotangents)
    programs = c_run.write_programs(derivation)
    text = write_whole_file(programs, c_run.REAL[dtype])
    for old, new in ((CHOICE, FORCED), LATE):
        assert old in text
        text = text.replace(old, new)
    text = "static int forced;\n" + text + MAIN
    name = hashlib.sha256(f"{target} {text}".encode()).hexdigest()[:16]
    source, made = folder / f"{name}.c", folder / name
    if not made.exists():
        source.write_text(text, encoding="utf-8")
        flags = shlex.split(f"-std=gnu11 -fno-math-errno -fopenmp-simd {target.flags}")
        command = [*shlex.split(target.compiler), *flags, "-o", made, source, "-lm", "-pthread"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    kernels = (Kernel(program, made, target) for program in programs)
    return Standalone(derivation, np.dtype(dtype), *kernels)


def run(
    kernel: Kernel,
    lead: tuple[int, int],
    crew: tuple[int, int],
    sizes: Mapping[str, int],
    arrays: Sequence[Any],
) -> None:
    """One call of a program on arrays, which are written over with what they hold behind it.

    `crew` is the number of threads, and how they share the work: run_team in c_kernels.c.
    """
    numbers = [sizes[name] for name in kernel.program.sizes]
    is_backward = kernel.program.prefix == "backward"
    head = np.array([is_backward, *lead, *crew, len(numbers), len(arrays), *numbers], np.int64)
    parts = [head.tobytes()]
    for array in arrays:
        parts.append(np.int64(-1 if array is None else array.size).tobytes())
        parts += [] if array is None else [np.ascontiguousarray(array).tobytes()]
    target = kernel.target
    done = subprocess.run(
        [*shlex.split(target.runner), kernel.executable],
        input=b"".join(parts),
        capture_output=True,
        check=False,
        env=dict(target.environment),
    )
    assert done.returncode == 0 and not done.stderr, done.stderr.decode()[:4000]
    start = 0
    for array in arrays:
        if array is not None and array.flags.writeable:
            found = np.frombuffer(done.stdout, array.dtype, array.size, start)
            array[...] = found.reshape(array.shape)
        start += 0 if array is None else array.nbytes
    assert start == len(done.stdout)


ALONE = (1, 2)


def serving(monkeypatch: Any, target: Target, folder: Path, crew: tuple[int, int] = ALONE) -> None:
    """From now on the c backend runs programs for this target."""

    @functools.cache
    def compiled(cell: Any, dtype: str, cotangents: tuple[str, ...]) -> Any:
        return build(cell, dtype, cotangents, target, folder)

    def call(self: Any, kernel: Kernel, held: Mapping[tuple[str, str], Any]) -> None:
        arrays = [held.get(key) for key in kernel.keys]
        run(kernel, (self.steps, self.batch), crew, self.sizes, arrays)

    monkeypatch.setattr(c_run, "compiled", compiled)
    monkeypatch.setattr(c_run._Call, "_run", call)

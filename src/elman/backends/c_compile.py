"""Compile C text to a shared library, once per text, compiler and processor.

Several processes may do so at once.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from elman.backends import c_compiler
from elman.backends.c_cache import cache_folder, is_whole, mark
from elman.backends.c_compiler import Command, processor
from elman.errors import BackendProblem


@functools.cache
def find_compiler() -> Command | None:
    """The C compiler: `ELMAN_CC`, else cc, gcc, clang, ziglang; None where there is none."""
    return c_compiler.find()


def compiler_version(compiler: Command) -> str:
    """The first line of what the compiler says of itself."""
    return c_compiler.ask(compiler).version


def flags(compiler: Command) -> tuple[str, ...]:
    """The flags that this compiler takes, and those in `ELMAN_CFLAGS`."""
    return c_compiler.ask(compiler).flags


def trouble() -> str | None:
    """Why nothing can be compiled on this machine, or None."""
    compiler = find_compiler()
    return _no_compiler() if compiler is None else _trouble(compiler)


@functools.cache
def _trouble(compiler: Command) -> str | None:
    return c_compiler.ask(compiler).trouble


def _no_compiler() -> str:
    chosen = os.environ.get("ELMAN_CC")
    return "no C compiler was found" + (f": ELMAN_CC={chosen} is no program" if chosen else "")


def compile_library(texts: Sequence[str], name: str, shared: str = "") -> ctypes.CDLL:
    """The loaded library of some C texts and of one that all libraries share.

    Each text is compiled by a process of its own, the shared one once. The finished file is renamed
    into the cache, so that no process ever loads half a library. Errors: BackendProblem E801 where
    there is no compiler, E802 with what the compiler says.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BackendProblem(
            "E801",
            _no_compiler(),
            rule="The c backend compiles each cell once.",
            fix='Install gcc or clang, or one by pip install "elman[cc]", or name one in ELMAN_CC, '
            "or use backend='torch' or 'numpy'.",
        )
    folder = cache_folder()
    kernels = folder / f"kernels-{_digest(compiler, shared)}.o"
    library = folder / f"{name}-{_digest(compiler, *texts, shared)}.so"
    if not is_whole(library):
        _build(compiler, texts, (kernels, shared), library)
    return _load(library)


def _digest(compiler: Command, *texts: str) -> str:
    """What tells one result of compiling from all others."""
    key = "\0".join((*texts, *compiler, compiler_version(compiler), *flags(compiler), processor()))
    return hashlib.sha256(key.encode()).hexdigest()[:24]


_is_child = False  # of a fork
_crew: int | None = None  # the threads of the first library (c_threads.c)


def _forked() -> None:
    global _is_child
    _is_child = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _load(path: Path) -> ctypes.CDLL:
    """The library, which uses the threads of the first one that was loaded."""
    global _crew
    library = ctypes.CDLL(str(path))
    join = getattr(library, "elman_crew", None)
    if join is not None:  # it has the kernels
        join.restype = ctypes.c_void_p
        join.argtypes = [ctypes.c_void_p, ctypes.c_int]
        _crew = join(_crew, _is_child)
    return library


def _build(
    compiler: Command, texts: Sequence[str], shared: tuple[Path, str], library: Path
) -> None:
    kernels, kernels_text = shared
    with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent) as folder:
        parts = {Path(folder) / f"{library.stem}-{k}.o": text for k, text in enumerate(texts)}
        if kernels_text and not is_whole(kernels):
            parts[Path(folder) / kernels.name] = kernels_text
        _compile(compiler, parts, library.stem)
        made = Path(folder) / library.name
        fresh = Path(folder) / kernels.name
        objects = [*parts, *([kernels] if kernels_text and fresh not in parts else [])]
        _check(_start(compiler, "-shared", "-o", made, *objects, "-lm"), library.stem, made)
        for file, cached in ((fresh, kernels), (made, library)):
            if file.exists():
                mark(file)
                file.replace(cached)


def _compile(compiler: Command, parts: Mapping[Path, str], stem: str) -> None:
    """Compile every text to its file, at the same time."""
    running = []
    for made, text in sorted(parts.items(), key=lambda part: -len(part[1])):  # the longest first
        source = made.with_suffix(".c")
        source.write_text(text, encoding="utf-8")
        running.append((_start(compiler, "-c", "-o", made, source), made))
    try:
        for process, made in running:
            _check(process, stem, made)
    finally:  # of several none goes on when one has failed
        for process, _ in running:
            if process.returncode is None:
                process.kill()
                process.communicate()


def _start(compiler: Command, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [*compiler, *flags(compiler), *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=c_compiler.environment(),
    )


def _check(process: subprocess.Popen[str], stem: str, made: Path) -> None:
    """Wait for a compiler; E802 where it has not made the file."""
    printed, said = process.communicate()
    if process.returncode != 0 or not made.exists():
        text = (said or printed).strip()[:2000] or "It wrote no library."
        raise BackendProblem(
            "E802",
            f"{_name_of(process)} could not compile the code of {stem.rpartition('-')[0]}",
            rule=text.replace("\n", "\n  ") + "\n ",  # the fix stands on a line of its own
            fix="Please report this; backend='torch' runs the cell meanwhile.",
        )


def _name_of(process: subprocess.Popen[str]) -> str:
    command = process.args
    assert isinstance(command, list)
    return Path(str(command[0])).name

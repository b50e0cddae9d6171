"""The C compiler of this machine: which one, what it takes, and whether it works.

Asking it costs several of its runs, so the answers are kept beside the libraries, under what the
program's file looks like.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from elman.backends.c_cache import cache_folder, replace_text

Command = tuple[str, ...]  # words: ("/usr/bin/gcc",), (".../zig", "cc")

# not -ffast-math: it breaks rounding by a shift, and NaN
FLAGS = (
    *("-O2", "-std=gnu11", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
# of each row the first that the compiler takes; threads are c_threads.c's, so no OpenMP but simd
OPTIONAL_FLAGS: tuple[tuple[Command, ...], ...] = (
    (("-march=native",), ("-mcpu=native",)),
    (("-mprefer-vector-width=512",),),
    (("-fopenmp-simd",),),
    # gcc's passes that find nothing in such code, and take a fifth of the time; clang lacks them
    (
        (
            "-fno-tree-pre",
            "-fno-gcse",
            "-fno-ivopts",
            "-fno-code-hoisting",
            "-fno-tree-slp-vectorize",
        ),
    ),
)
TRIAL = """\
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
int elman_try(void) { return 0; }
"""


@dataclass(frozen=True)
class Answers:
    """What a compiler said of itself: its version, the flags it takes, why it does not work."""

    version: str
    flags: tuple[str, ...]
    trouble: str | None = None


def find() -> Command | None:
    """The compiler: `ELMAN_CC`, else cc, gcc, clang, else that of the package ziglang."""
    chosen = os.environ.get("ELMAN_CC", "")
    if chosen.strip():
        path = shutil.which(chosen)  # a path may have blanks
        return (path,) if path else _command(words(chosen))
    found = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    return (found,) if found else _ziglang()


def words(text: str) -> Command:
    """The words of an environment variable, with a shell's quotation marks."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def _command(given: Command) -> Command | None:
    path = shutil.which(given[0]) if given else None
    return (path, *given[1:]) if path else None


def _ziglang() -> Command | None:
    """The C compiler inside the package that `pip install "elman[cc]"` brings."""
    found = importlib.util.find_spec("ziglang")
    places = (found.submodule_search_locations or []) if found else []
    program = next((Path(place) / "zig" for place in places), None)
    return (str(program), "cc") if program and os.access(program, os.X_OK) else None


def environment() -> Mapping[str, str]:
    """What a compiler is run in: zig keeps its own files beside ours."""
    folder = str(cache_folder() / "zig")
    return {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder, **os.environ}


def ask(compiler: Command) -> Answers:
    """What is known of the compiler with the flags in `ELMAN_CFLAGS`, asked once for a machine."""
    return _ask(compiler, words(os.environ.get("ELMAN_CFLAGS", "")), str(cache_folder()))


@functools.cache
def _ask(compiler: Command, more: tuple[str, ...], folder: str) -> Answers:
    tried = (*FLAGS, repr(OPTIONAL_FLAGS), TRIAL)
    key = "\0".join((*map(_appearance, compiler), *more, *tried, processor()))
    path = Path(folder) / f"compiler-{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Answers(kept["version"], tuple(kept["flags"]))
    except (OSError, ValueError, KeyError, TypeError):
        found = _examined(compiler, more)
    if found.trouble is None:  # what fails may be mended
        replace_text(path, json.dumps(asdict(found)))
    return found


def _appearance(word: str) -> str:
    """A word of a command, and where it is a program what changes with the program."""
    path = shutil.which(word)
    if path is None:
        return word
    found = Path(path).stat()
    return f"{word} {Path(path).resolve()} {found.st_size} {found.st_mtime_ns}"


def _examined(compiler: Command, more: tuple[str, ...]) -> Answers:
    """Ask the compiler: mostly one compilation tells all."""
    done = _run([*compiler, "--version"])
    version = (done.stdout or done.stderr).partition("\n")[0]
    for rows in (OPTIONAL_FLAGS, OPTIONAL_FLAGS[:-1]):
        every = tuple(flag for row in rows for flag in row[0])
        if _try(compiler, every, more) is None:
            return Answers(version, (*FLAGS, *every, *more))
    every = tuple(flag for row in OPTIONAL_FLAGS for flag in _first(compiler, row))
    said = _try(compiler, every, more, quietly=False)
    trouble = None if said is None else f"{' '.join(compiler)} compiles no C here: {said}"
    return Answers(version, (*FLAGS, *every, *more), trouble)


def _first(compiler: Command, row: tuple[Command, ...]) -> Command:
    return next((flags for flags in row if _try(compiler, flags) is None), ())


def _try(
    compiler: Command, flags: tuple[str, ...], more: tuple[str, ...] = (), quietly: bool = True
) -> str | None:
    """What the compiler says against these flags, None where it makes a library without a word."""
    with tempfile.TemporaryDirectory(prefix="elman-") as folder:
        source, made = Path(folder) / "try.c", Path(folder) / "try.so"
        source.write_text(TRIAL, encoding="utf-8")
        done = _run([*compiler, *FLAGS, *flags, *more, "-shared", "-o", str(made), str(source)])
        if done.returncode == 0 and made.exists() and not (quietly and done.stderr):
            return None
        return (done.stderr or done.stdout).strip().partition("\n")[0] or "it wrote no library"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment()
        )
    except OSError as error:  # a script without its interpreter, a program for another processor
        return subprocess.CompletedProcess(command, 1, "", str(error))


@functools.cache
def processor() -> str:
    """What -march=native depends on: the name and the flags of the first processor."""
    lines = []
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            for line in file:  # the rest says the same of each processor, in up to a megabyte
                if not line.strip():
                    break
                if line.startswith(("model name", "flags", "Features", "CPU part")):
                    lines.append(line)
    except OSError:
        lines.append(platform.processor())
    return platform.machine() + "".join(lines)

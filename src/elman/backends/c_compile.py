"""Compile C text to a shared library, once per text, compiler and processor.

Several processes may do so at once.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from elman.errors import BackendProblem

# not -ffast-math: it breaks rounding by a shift, and NaN
FLAGS = (
    *("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
)
OPTIONAL_FLAGS = ("-fopenmp", "-mprefer-vector-width=512")


@functools.cache
def find_compiler() -> str | None:
    """The C compiler: `ELMAN_CC`, else cc, gcc or clang; None where there is none."""
    chosen = os.environ.get("ELMAN_CC")
    names = [chosen] if chosen else ["cc", "gcc", "clang"]
    return next((path for name in names if (path := shutil.which(name))), None)


@functools.cache
def compiler_version(compiler: str) -> str:
    """The first line of what the compiler says of itself."""
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]


TRIAL = "#include <math.h>\n#include <string.h>\nint elman_try(void) { return 0; }\n"


def _try(compiler: str, *more: str) -> str | None:
    """What the compiler says against these flags, None where it takes them without a word."""
    with tempfile.TemporaryDirectory(prefix="elman-") as folder:
        source, made = Path(folder) / "try.c", Path(folder) / "try.so"
        source.write_text(TRIAL, encoding="utf-8")
        command = [compiler, *FLAGS, *more, "-o", str(made), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and not done.stderr and made.exists():
            return None
        return (done.stderr or done.stdout).strip().partition("\n")[0] or "it wrote no library"


@functools.cache
def flags(compiler: str) -> tuple[str, ...]:
    """The flags that this compiler takes."""
    return (*FLAGS, *(flag for flag in OPTIONAL_FLAGS if _try(compiler, flag) is None))


@functools.cache
def _trouble(compiler: str) -> str | None:
    said = _try(compiler)
    return None if said is None else f"{compiler} compiles no C here: {said}"


def trouble() -> str | None:
    """Why nothing can be compiled on this machine, or None."""
    compiler = find_compiler()
    return "no C compiler was found" if compiler is None else _trouble(compiler)


@functools.cache
def processor() -> str:
    """What -march=native depends on."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine() + platform.processor()
    lines = [
        line for line in text.splitlines() if line.startswith(("model name", "flags", "Features"))
    ]
    return platform.machine() + "".join(dict.fromkeys(lines))


def cache_folder() -> Path:
    """Where libraries are kept: `ELMAN_CACHE`, else the user's cache folder; mode 0700."""
    chosen = os.environ.get("ELMAN_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(chosen) if chosen else Path(home) / "elman"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be written")
    except OSError:
        return _private_folder()
    return folder


@functools.cache
def _private_folder() -> Path:
    """A folder of this process alone, where the cache cannot be used; gone when it ends."""
    folder = tempfile.mkdtemp(prefix="elman-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def compile_library(text: str, name: str) -> ctypes.CDLL:
    """The loaded library of a C text; a BackendProblem [E802] shows what the compiler says.

    The finished file is renamed into the cache, so that no process ever loads half a library.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BackendProblem(
            "E801",
            "no C compiler was found",
            rule="The c backend compiles each cell once.",
            fix="Install gcc or clang, or name one in ELMAN_CC, or use backend='torch' or 'numpy'.",
        )
    key = "\0".join((text, compiler, compiler_version(compiler), *flags(compiler), processor()))
    digest = hashlib.sha256(key.encode()).hexdigest()[:24]
    folder = cache_folder()
    library = folder / f"{name}-{digest}.so"
    if not _is_whole(library):
        _build(compiler, text, library)
    return ctypes.CDLL(str(library))


MARK = b"elman: whole file of "  # and its length: the end of a library, which no loader minds


def _is_whole(library: Path) -> bool:
    """Whether the file is there and has its end: half a library may load, and then crash."""
    try:
        with library.open("rb") as file:
            end = MARK + file.seek(0, os.SEEK_END).to_bytes(8, "little")
            file.seek(-len(end), os.SEEK_END)
            return file.read() == end
    except OSError:
        return False


def _build(compiler: str, text: str, library: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".build-", dir=library.parent) as folder:
        source = Path(folder) / f"{library.stem}.c"
        made = Path(folder) / library.name
        source.write_text(text, encoding="utf-8")
        command = [compiler, *flags(compiler), "-o", str(made), str(source), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not made.exists():
            said = (done.stderr or done.stdout).strip()[:2000] or "It wrote no library."
            cell = library.stem.rpartition("-")[0]
            raise BackendProblem(
                "E802",
                f"{Path(compiler).name} could not compile the code of {cell}",
                rule=said.replace("\n", "\n  ") + "\n ",  # the fix stands on a line of its own
                fix="Please report this; backend='torch' runs the cell meanwhile.",
            )
        with made.open("ab") as file:
            file.write(MARK + (file.tell() + len(MARK) + 8).to_bytes(8, "little"))
        source.replace(library.with_suffix(".c"))
        made.replace(library)

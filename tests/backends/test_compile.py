"""The compiler and its cache: private, safe with several processes, and never a crash."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from elman import Cell
from elman.backends import c_compile, c_run
from elman.errors import BackendProblem

pytestmark = pytest.mark.c
TEXT = "#include <math.h>\ndouble twice(double x) { return 2 * x; }\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))
    c_run.compiled.cache_clear()
    yield tmp_path / "cache"
    c_run.compiled.cache_clear()


def twice(library: ctypes.CDLL) -> float:
    library.twice.restype = ctypes.c_double
    library.twice.argtypes = [ctypes.c_double]
    return library.twice(21.0)


def test_the_folder_is_the_users_own(cache):
    assert twice(c_compile.compile_library(TEXT, "twice")) == 42
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    files = sorted(path.name.partition("-")[0] + path.suffix for path in cache.iterdir())
    assert files == ["twice.c", "twice.so"]
    cache.chmod(0o755)
    assert c_compile.cache_folder() == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def count_builds(monkeypatch) -> list[str]:
    built, build = [], c_compile._build

    def counted(compiler, text, library):
        built.append(library.name)
        build(compiler, text, library)

    monkeypatch.setattr(c_compile, "_build", counted)
    return built


def test_one_compilation_for_a_cell_and_a_dtype_whatever_the_sizes(cache, monkeypatch):
    built = count_builds(monkeypatch)
    rnn = Cell("h[t] = tanh(U @ h[t-1] + x[t])", "sizes")
    for hidden in (1, 3, 17):
        for batch in (1, 4):
            rnn.run({"x": np.ones((2, batch, hidden))}, {"U": np.eye(hidden)}, backend="c")
            rnn.gradients(
                {"x": np.ones((2, batch, hidden))},
                {"U": np.eye(hidden)},
                cotangents={"h": np.ones((2, batch, hidden))},
                backend="c",
            )
    assert len(built) == 1
    c_run.compiled.cache_clear()  # as in another process
    rnn.run({"x": np.ones((2, 3))}, {"U": np.eye(3)}, backend="c")
    assert len(built) == 1
    rnn.run({"x": np.ones((2, 3), np.float32)}, {"U": np.eye(3)}, backend="c")
    assert len(built) == 2


def test_another_compiler_or_text_is_another_file(cache, monkeypatch):
    built = count_builds(monkeypatch)
    c_compile.compile_library(TEXT, "twice")
    c_compile.compile_library(TEXT + "\n", "twice")
    monkeypatch.setattr(c_compile, "compiler_version", lambda compiler: "another")
    c_compile.compile_library(TEXT, "twice")
    monkeypatch.setattr(c_compile, "processor", lambda: "another")
    c_compile.compile_library(TEXT, "twice")
    assert len(set(built)) == 4


RUN = """
import numpy as np, elman
cell = elman.Cell("h[t] = tanh(U @ h[t-1] + x[t])", "several")
run = cell.run({"x": np.ones((3, 2))}, {"U": np.eye(2)}, backend="c")
print(float(run["h"].sum()))
"""


def start(cache: Path, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "ELMAN_CACHE": str(cache), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", RUN],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


def test_several_processes_at_once(cache):
    answers = [said(process) for process in [start(cache) for _ in range(3)]]
    assert len(set(answers)) == 1
    assert len(list(cache.glob("*.so"))) == 1
    assert not list(cache.glob(".build-*"))


@pytest.mark.parametrize("left", [0, 100, 0.5])
def test_a_damaged_library_is_compiled_again(cache, left):
    first = said(start(cache))
    (library,) = cache.glob("*.so")
    whole = library.read_bytes()
    library.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    assert said(start(cache)) == first
    assert library.stat().st_size == len(whole)


def test_a_library_of_something_else_is_compiled_again(cache):
    first = said(start(cache))
    (library,) = cache.glob("*.so")
    library.write_bytes(b"not a library at all" * 1000)
    assert said(start(cache)) == first


def test_a_cache_that_cannot_be_written(cache, tmp_path, monkeypatch):
    blocked = tmp_path / "a file"
    blocked.write_text("no folder")
    monkeypatch.setenv("ELMAN_CACHE", str(blocked / "cache"))
    found = c_compile.cache_folder()
    assert found.is_dir()
    assert found.parent == Path(tempfile.gettempdir())
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert twice(c_compile.compile_library(TEXT, "twice")) == 42


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_without_the_right_to_write(tmp_path, monkeypatch):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    monkeypatch.setenv("ELMAN_CACHE", str(folder))
    assert c_compile.cache_folder() != folder


def test_a_private_folder_is_gone_with_its_process(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("no folder")
    (tmp_path / "temporary").mkdir()
    said(start(blocked / "cache", TMPDIR=str(tmp_path / "temporary")))
    assert not list((tmp_path / "temporary").iterdir())


def _compiler(monkeypatch, path: Path) -> None:
    for function in (c_compile.find_compiler, c_compile.compiler_version, c_compile.flags):
        function.cache_clear()
    monkeypatch.setenv("ELMAN_CC", str(path))


@pytest.fixture
def other_compiler(tmp_path, monkeypatch):
    def write(script: str) -> None:
        path = tmp_path / "cc"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        _compiler(monkeypatch, path)

    yield write
    for function in (c_compile.find_compiler, c_compile.compiler_version, c_compile.flags):
        function.cache_clear()


def test_a_compiler_that_fails(cache, other_compiler):
    other_compiler("echo 'cc: internal error: no such spirit' >&2; exit 1")
    with pytest.raises(BackendProblem) as caught:
        c_compile.compile_library(TEXT, "gru")
    assert str(caught.value) == (
        "BackendProblem [E802]: cc could not compile the code of gru\n"
        "  cc: internal error: no such spirit\n"
        "  Please report this; backend='torch' runs the cell meanwhile."
    )
    assert not [path for path in cache.iterdir() if path.suffix == ".so"]


def test_a_compiler_that_writes_nothing(cache, other_compiler):
    other_compiler("exit 0")
    with pytest.raises(BackendProblem, match="could not compile") as caught:
        c_compile.compile_library(TEXT, "gru")
    assert caught.value.code == "E802"


def test_no_compiler_at_all(cache, monkeypatch):
    _compiler(monkeypatch, Path("/nonexistent/cc"))
    try:
        with pytest.raises(BackendProblem) as caught:
            Cell("h[t] = x[t]").run({"x": [[1.0]]}, {}, backend="c")
        assert caught.value.code == "E801"
        assert Cell("h[t] = x[t]").run({"x": [[1.0]]}, {}).backend == "numpy"
    finally:
        c_compile.find_compiler.cache_clear()


def test_a_plain_compiler_without_openmp(cache, other_compiler):
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    other_compiler(f'for a; do [ "$a" = -fopenmp ] && exit 1; done\nexec {real} "$@"')
    assert "-fopenmp" not in c_compile.flags(c_compile.find_compiler())
    assert twice(c_compile.compile_library(TEXT, "twice")) == 42

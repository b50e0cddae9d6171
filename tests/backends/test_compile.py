"""The compiler and its cache: private, safe with several processes, and never a crash."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from elman import Cell, backends
from elman.backends import c_compile, c_compiler, c_run
from elman.errors import BackendProblem
from tests.backends import table

pytestmark = pytest.mark.c
AS_FOR_USERS = True
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
    assert twice(c_compile.compile_library([TEXT], "twice")) == 42
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    files = sorted(path.name.partition("-")[0] + path.suffix for path in cache.iterdir())
    assert files == ["compiler.json", "twice.so"]
    cache.chmod(0o755)
    assert c_compile.cache_folder() == cache
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def count_builds(monkeypatch) -> list[str]:
    built, build = [], c_compile._build

    def counted(compiler, texts, shared, library):
        built.append(library.name)
        build(compiler, texts, shared, library)

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
    c_compile.compile_library([TEXT], "twice")
    c_compile.compile_library([TEXT + "\n"], "twice")
    monkeypatch.setattr(c_compile, "compiler_version", lambda compiler: "another")
    c_compile.compile_library([TEXT], "twice")
    monkeypatch.setattr(c_compile, "processor", lambda: "another")
    c_compile.compile_library([TEXT], "twice")
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
    assert twice(c_compile.compile_library([TEXT], "twice")) == 42


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


def forget() -> None:
    """Ask for the compiler again, as another process would."""
    for function in (c_compile.find_compiler, c_compile._trouble, c_compiler._ask):
        function.cache_clear()


@pytest.fixture
def choose(monkeypatch):
    """Set ELMAN_CC."""

    def chosen(text: object) -> None:
        monkeypatch.setenv("ELMAN_CC", str(text))
        forget()

    yield chosen
    forget()


@pytest.fixture
def other_compiler(tmp_path, choose):
    def write(script: str) -> None:
        path = tmp_path / "cc"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        choose(path)

    return write


def test_a_compiler_that_fails(cache, other_compiler):
    other_compiler("echo 'cc: internal error: no such spirit' >&2; exit 1")
    with pytest.raises(BackendProblem) as caught:
        c_compile.compile_library([TEXT], "gru")
    assert str(caught.value) == (
        "BackendProblem [E802]: cc could not compile the code of gru\n"
        "  cc: internal error: no such spirit\n"
        "  Please report this; backend='torch' runs the cell meanwhile."
    )
    assert not [path for path in cache.iterdir() if path.suffix == ".so"]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ["lstm", "layer_norm_lstm", "streams", "antisymmetric_rnn"])
def test_the_code_compiles_without_a_warning(name, compiler, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    source = tmp_path / "cell.c"
    source.write_text(table.cell(name).code(), encoding="utf-8")
    flags = ("-std=gnu11", "-fopenmp-simd", "-Wall", "-Werror", "-fsyntax-only")
    done = subprocess.run([compiler, *flags, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("error")
def test_where_one_of_several_compilers_fails_the_others_end(cache, tmp_path, other_compiler):
    started = tmp_path / "started"
    other_compiler(
        f"""case "$*" in
*-0.c) until [ -e {started} ]; do sleep 0.01; done; echo 'no such spirit' >&2; exit 1 ;;
*-1.c) echo $$ > {started}; exec sleep 100 ;;
esac
exec gcc "$@"
"""
    )
    with pytest.raises(BackendProblem, match="no such spirit"):
        c_compile.compile_library([TEXT + "/* the longest */", "/* nothing */"], "long")
    gc.collect()  # a process that nobody waited for warns here
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_a_compiler_that_writes_nothing(cache, other_compiler):
    other_compiler("exit 0")
    with pytest.raises(BackendProblem, match="could not compile") as caught:
        c_compile.compile_library([TEXT], "gru")
    assert caught.value.code == "E802"


def test_no_compiler_at_all(cache, choose):
    choose("/nonexistent/cc")
    with pytest.raises(BackendProblem) as caught:
        Cell("h[t] = x[t]").run({"x": [[1.0]]}, {}, backend="c")
    assert caught.value.code == "E801"
    assert "ELMAN_CC=/nonexistent/cc is no program" in str(caught.value)
    assert Cell("h[t] = x[t]").run({"x": [[1.0]]}, {}).backend == "numpy"


def test_a_compiler_for_another_processor_is_trouble_and_no_crash(cache, tmp_path, choose):
    alien = tmp_path / "cc"
    alien.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    alien.chmod(0o755)
    choose(alien)
    assert c_compile.trouble().startswith(f"{alien} compiles no C here: ")


REAL = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.mark.parametrize(
    ("refused", "instead"),
    [
        ("-fopenmp-simd", ()),
        ("-march=native", ("-mcpu=native",)),
        ("-mprefer-vector-width=512", ()),
    ],
)
def test_a_compiler_that_lacks_a_flag(cache, other_compiler, refused, instead):
    drop = '[ "$a" = -mcpu=native ] || set -- "$@" "$a"'
    other_compiler(
        f'for a; do [ "$a" = {refused} ] && exit 1; shift; {drop}; done; exec {REAL} "$@"'
    )
    found = c_compile.flags(c_compile.find_compiler())
    assert refused not in found
    assert {*instead} <= {*found}
    assert twice(c_compile.compile_library([TEXT], "twice")) == 42


def test_the_order_of_preference(tmp_path, monkeypatch):
    monkeypatch.delenv("ELMAN_CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(c_compiler, "_ziglang", lambda: ("/somewhere/zig", "cc"))
    assert c_compiler.find() == ("/somewhere/zig", "cc")
    for name in ("clang", "gcc", "cc"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
        assert c_compiler.find() == (str(tmp_path / name),)


def test_the_package_ziglang_is_found_beside_python(tmp_path, monkeypatch):
    program = tmp_path / "ziglang" / "zig"
    program.parent.mkdir()
    (program.parent / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ziglang", raising=False)
    assert c_compiler._ziglang() is None
    program.write_text("")
    program.chmod(0o755)
    assert c_compiler._ziglang() == (str(program), "cc")


def test_a_compiler_of_several_words(cache, tmp_path, choose, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    wrapper = tmp_path / "again"
    wrapper.write_text('#!/bin/sh\nexec "$@"\n')
    wrapper.chmod(0o755)
    choose(f"again {REAL} -pipe")
    assert c_compile.find_compiler() == (str(wrapper), REAL, "-pipe")
    assert c_compile.trouble() is None
    assert twice(c_compile.compile_library([TEXT], "twice")) == 42
    blank = tmp_path / "a path with blanks"
    blank.write_text(f'#!/bin/sh\nexec {REAL} "$@"\n')
    blank.chmod(0o755)
    choose(blank)
    assert c_compile.find_compiler() == (str(blank),)
    choose("'no end")
    assert c_compile.find_compiler() is None


def test_a_compiler_is_asked_once_for_a_machine(cache, tmp_path, other_compiler):
    calls = tmp_path / "calls"
    other_compiler(f'echo call >> {calls}\nexec {REAL} "$@"')

    def asked() -> int:
        calls.write_text("")
        forget()
        assert c_compile.trouble() is None
        c_compile.flags(c_compile.find_compiler())
        c_compile.compiler_version(c_compile.find_compiler())
        return len(calls.read_text().split())

    assert asked() == 2  # its version, and all flags at once
    assert asked() == 0
    os.utime(tmp_path / "cc", ns=(1, 1))  # another file: another compiler
    assert asked() == 2
    assert asked() == 0
    for kept in cache.glob("compiler-*.json"):
        kept.write_text('{"version": "half')
    assert asked() == 2


def test_the_users_own_flags_come_last_and_are_part_of_the_key(cache, monkeypatch):
    built = count_builds(monkeypatch)
    monkeypatch.setenv("ELMAN_CFLAGS", "-O0 -DTIMES='2 + 1'")
    text = "double twice(double x) { return (TIMES) * x; }\n"
    assert c_compile.flags(c_compile.find_compiler())[-2:] == ("-O0", "-DTIMES=2 + 1")
    assert twice(c_compile.compile_library([text], "twice")) == 63
    monkeypatch.setenv("ELMAN_CFLAGS", "-DTIMES=2")
    assert twice(c_compile.compile_library([text], "twice")) == 42
    assert len({*built}) == 2


def test_flags_that_no_compiler_takes_are_trouble(cache, monkeypatch):
    forget()
    monkeypatch.setenv("ELMAN_CFLAGS", "-fno-such-flag")
    try:
        assert "-fno-such-flag" in c_compile.trouble()
    finally:
        monkeypatch.undo()
        forget()


def test_doctor_names_the_compiler_or_says_how_to_get_one(cache, choose):
    (row,) = [text for name, text in backends.report() if name == "backend c"]
    assert row.startswith(c_compile.find_compiler()[0])
    choose("/nonexistent/cc")
    (row,) = [text for name, text in backends.report() if name == "backend c"]
    assert row == (
        "no C compiler was found: ELMAN_CC=/nonexistent/cc is no program "
        '(install gcc or clang, or pip install "elman[cc]", or name one in ELMAN_CC): torch serves'
    )

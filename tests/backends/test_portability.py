"""One source for every processor: levels of x86-64, and ARM, by gcc and by clang."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from elman.backends import c_compile, c_compiler, c_run
from tests.backends import standalone, table
from tests.backends.standalone import Target
from tests.backends.table import Shape

pytestmark = pytest.mark.c
AS_FOR_USERS = True
LEVELS = ("x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "native")
NEEDS = {"x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}  # a flag in /proc/cpuinfo that tells them
COMPILERS = ("gcc", "clang")
# as different as cells can be: gates, norms, softmax, states that are matrices, heads, scalars,
# draws, delays, clocks, weights of weights
CELLS = (
    *("lstm", "gru", "layer_norm_lstm", "fed_back_softmax", "delta_net", "slstm_heads", "scalars"),
    *("zoneout_lstm", "narx_rnn", "clockwork", "matrix_memory", "antisymmetric_rnn", "waves"),
)
SHAPES = (Shape(1, 1, 1), Shape(2, 5, 3), Shape(7, 1, 17), Shape(40, 32, 5), Shape(5, 3, 70))
QUICK = ("gru", "x86-64")
EMULATED = "qemu-aarch64 -L /usr/aarch64-linux-gnu"


def rows() -> list[object]:
    return [
        pytest.param(
            name, level, compiler, marks=[] if (name, level) == QUICK else [pytest.mark.slow]
        )
        for name in CELLS
        for level in LEVELS
        for compiler in COMPILERS
    ]


def forget() -> None:
    for function in (c_compile.find_compiler, c_compile._trouble, c_run.compiled):
        function.cache_clear()


@pytest.fixture
def compile_with(monkeypatch):
    def chosen(compiler: str, flags: str) -> None:
        monkeypatch.setenv("ELMAN_CC", compiler)
        monkeypatch.setenv("ELMAN_CFLAGS", flags)
        monkeypatch.setattr(c_run, "POISON", True)
        forget()

    yield chosen
    forget()


def check(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_run, "thread_count", lambda: threads)
    for dtype in table.DTYPES:
        for shape in SHAPES:
            wide = replace(shape, hidden=max(17, shape.hidden)) if name in table.NORMED else shape
            table.check_forward(name, "c", dtype, wide)
            table.check_gradients(name, "c", dtype, wide)


@pytest.mark.parametrize(("name", "level", "compiler"), rows())
def test_level(name, level, compiler, compile_with, monkeypatch):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    if NEEDS.get(level, "") not in c_compiler.processor():
        pytest.skip(f"this processor is below {level}")
    compile_with(compiler, f"-march={level}")
    assert c_compile.trouble() is None
    check(name, 2, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("level", LEVELS)
def test_weights_that_are_written_past_the_caches(level, compiler, compile_with, monkeypatch):
    """As large ones are; here all of them."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    if NEEDS.get(level, "") not in c_compiler.processor():
        pytest.skip(f"this processor is below {level}")
    compile_with(compiler, f"-march={level} -DTOO_LARGE=1")
    check("gru", 2, monkeypatch)


@pytest.mark.parametrize(
    "name", [QUICK[0], *(pytest.param(n, marks=pytest.mark.slow) for n in CELLS if n != QUICK[0])]
)
def test_arm(name, monkeypatch, tmp_path):
    """NEON, in an emulator."""
    for program in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} (gcc-aarch64-linux-gnu, qemu-user)")
    target = Target("aarch64-linux-gnu-gcc", "-O2", EMULATED)
    standalone.serving(monkeypatch, target, tmp_path)
    check(name, 1, monkeypatch)

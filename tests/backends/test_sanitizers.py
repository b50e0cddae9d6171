"""Generated code under the compiler's sanitizers: memory, undefined behaviour, races of threads.

The programs stand alone and use the threads of c_threads.c, whose every lock a sanitizer sees.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import elman
from elman.backends import c_run
from tests.backends import standalone, table
from tests.backends.standalone import Target
from tests.backends.table import Shape

pytestmark = pytest.mark.c
AS_FOR_USERS = True
COMPILERS = ("gcc", "clang")
MEMORY = "-fsanitize=address,undefined -fno-sanitize-recover=all -g1 -O1 -march=native"
RACES = "-fsanitize=thread -g1 -O1"  # short vectors: units for every thread
# odd sizes; one step, one row; several blocks of time, the last one shorter
SHAPES = (Shape(1, 1, 1), Shape(3, 1, 17), Shape(2, 5, 3), Shape(40, 32, 5), Shape(4, 2, 70))
LONG = Shape(700, 1, 9)
# what the others are made of: gates, a reset before a product, norms, concatenations, projections,
# heads, matrices as states, draws, weights of weights, delays, softmax, scalars, clocks, values
# that vary over less than time and batch
CELLS = (
    *("gru", "lstm_concatenated", "layer_norm_lstm_per_gate", "lstmp", "slstm_heads", "delta_net"),
    *("zoneout_lstm", "antisymmetric_rnn", "narx_rnn", "fed_back_softmax", "scalars", "clockwork"),
    *("streams", "values_that_vary_over_less", "joined", "three_axes", "letters_of_einsum", "lru"),
)
QUICK = "gru"
# threads, and how they share: their rows of the batch, their units of every step, one thread steps
CREWS = ((2, 0), (3, 1), (3, 2))


@functools.cache
def cannot(compiler: str, flag: str) -> str:
    """Why this sanitizer does not run here, or nothing."""
    if shutil.which(compiler) is None:
        return f"there is no {compiler}"
    done = subprocess.run(
        [compiler, flag, "-x", "c", "-", "-o", "/dev/null"],
        input="int main(void) { return 0; }",
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{compiler} has no {flag}: {done.stderr[:200]}" if done.returncode else ""


def check(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    target: Target,
    crew: tuple[int, int],
    row: tuple[str, str],
) -> None:
    name, dtype = row
    standalone.serving(monkeypatch, target, folder, crew)
    for shape in SHAPES if name == QUICK else (*SHAPES, LONG):
        wide = replace(shape, hidden=max(17, shape.hidden)) if name in table.NORMED else shape
        table.check_forward(name, "c", dtype, wide)
        table.check_gradients(name, "c", dtype, wide)


def rows() -> list[object]:
    return [
        pytest.param(
            name, compiler, marks=[] if (name, compiler) == (QUICK, "gcc") else [pytest.mark.slow]
        )
        for name in CELLS
        for compiler in COMPILERS
    ]


@pytest.mark.parametrize(("name", "compiler"), rows())
@pytest.mark.parametrize("flags", [MEMORY, RACES], ids=["memory", "races"])
def test_clean(name, compiler, flags, monkeypatch, tmp_path):
    if reason := cannot(compiler, flags.split()[0]):
        pytest.skip(reason)
    target = Target(compiler, flags)
    dtypes = ("float32",) if name == QUICK else table.DTYPES
    for crew in (standalone.ALONE, *CREWS) if flags == MEMORY else CREWS:
        for dtype in dtypes:
            check(monkeypatch, tmp_path, target, crew, (name, dtype))


BROKEN = {
    MEMORY: ("least(UNITS * LANES, my->n_hidden - unit)", "UNITS * LANES"),
    RACES: ("if (threads > 1) barrier(team);", ""),
}


@pytest.mark.parametrize("flags", [MEMORY, RACES], ids=["memory", "races"])
def test_what_is_wrong_is_found(flags, monkeypatch, tmp_path):
    """A program that writes past an array, or whose threads do not wait, is not let through."""
    if reason := cannot("gcc", flags.split()[0]):
        pytest.skip(reason)
    wrong, write = BROKEN[flags], standalone.write_whole_file

    def broken(*given: object) -> str:
        text = write(*given)
        assert wrong[0] in text
        return text.replace(*wrong)

    monkeypatch.setattr(standalone, "write_whole_file", broken)
    monkeypatch.setattr(table, "assert_near", lambda *given: None)  # the sanitizer must see it
    with pytest.raises(AssertionError, match=r"ERROR: AddressSanitizer|WARNING: ThreadSanitizer"):
        check(monkeypatch, tmp_path, Target("gcc", flags), (3, 1), (QUICK, "float32"))


@pytest.mark.torch
def test_layers_leave_no_number_unwritten(monkeypatch):
    """Outputs, saved values, gradients and scratch memory all begin as NaN."""
    import torch

    def numbers() -> list[torch.Tensor]:
        torch.manual_seed(0)
        found = []
        for name in ("gru", "lstm", "layer_norm_lstm"):
            layer = elman.nn.Recurrent(elman.cells[name], 5, 19, num_layers=2)
            x = torch.randn(37, 6, 5, requires_grad=True)
            output, state = layer(x)
            total = output.sum() + sum(part.square().sum() for part in state.values())
            found += [output, *state.values()]
            found += torch.autograd.grad(total, [x, *layer.parameters()])
        return found

    expected = numbers()
    monkeypatch.setattr(c_run, "POISON", True)
    torch.use_deterministic_algorithms(True)  # fills what is made empty with NaN
    try:
        assert torch.empty(1).isnan()
        assert torch.zeros(1).new_empty_strided((1,), (1,)).isnan()
        for found, known in zip(numbers(), expected, strict=True):
            assert torch.equal(found, known)
    finally:
        torch.use_deterministic_algorithms(False)

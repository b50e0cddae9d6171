"""The C of a cell in a program of one's own: what its first lines say is enough to call it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import elman
from elman.backends import c_compile
from elman.backends.c_run import write_programs
from elman.passes.derive import derive

HOST = (Path(__file__).parents[2] / "docs" / "streams.md").read_text("utf-8")
STEPS = 100


def host() -> str:
    """The program of the page."""
    blocks = re.findall(r"```c\n(.*?)```", HOST, re.DOTALL)
    return next(block for block in blocks if "int main" in block)


def arrays(code: str) -> dict[str, str]:
    """What is said of each array of the forward function, by its name, in their order."""
    first = code[: code.index("FORWARD_ARRAYS\n")]
    return dict(re.findall(r"^  FORWARD_(\w+), +/\* (.*) \*/$", first, re.MULTILINE))


def test_the_first_lines_say_what_the_function_takes():
    code = elman.cells["lstm"].code()
    said = arrays(code)
    assert said["x"] == "(T, B, input) input"
    assert said["U_f"] == "(hidden, hidden) weight"
    assert said["c_init"] == "(B, hidden) initial state, or NULL for 0"
    assert said["c_final"] == "(B, hidden) final state, or NULL"
    assert said["h_states"].startswith("(T + 1, B, hidden) states")
    assert said["f"] == "(T, B, hidden) output, or NULL"
    program, _ = write_programs(derive(elman.cells["lstm"].typed.cell, ("h",)))
    assert [name.removesuffix("_states") for name in said] == [
        b.key + f"_{b.role}" * (b.role in ("init", "final")) for b in program.buffers
    ]


def test_side_inputs_and_scalars_are_told_in_full():
    text = "h[t] = a * h[t-1] + m[t] * v\na: scalar\nm: scalar, per step\nv: per sequence"
    said = arrays(elman.Cell(text).code())
    assert [said[name] for name in "amv"] == ["() weight", "(T) input", "(B, hidden) input"]


def test_every_array_has_a_name_of_its_own():
    said = arrays(elman.Cell("h[t] = h_init * h[t-1] + x[t] + h[t-2]").code())
    assert {"h_init", "h_init_1"} <= {*said}
    assert sorted(said[name].split()[-1] for name in said if name.startswith("h_init")) == [
        "0",  # of the state
        "weight",
    ]


@pytest.mark.c
def test_the_program_of_the_page_steps_as_a_stream_does(tmp_path):
    cell = elman.cells["lstm"]
    code = cell.code()
    rng, shapes = np.random.default_rng(0), cell.shapes(input=8, hidden=16)
    weights = {n: rng.normal(size=shapes[n]).astype("f4") for n in cell.parameters}
    X = rng.normal(size=(STEPS, 8)).astype("f4")
    (tmp_path / "lstm.c").write_text(code, "utf-8")
    (tmp_path / "host.c").write_text(host(), "utf-8")
    compiler = c_compile.find_compiler()
    assert compiler is not None
    command = [*compiler, *c_compile.flags(compiler), "-o", "host", "host.c", "-lm"]
    command += ["-Wall", "-Wno-unused-function"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not made.stderr
    ordered = [weights[f"{kind}_{gate}"] for gate in "fioc" for kind in "WUb"]
    given = b"".join(array.tobytes() for array in (*ordered, X))
    done = subprocess.run([tmp_path / "host"], input=given, capture_output=True, check=True)
    found = np.frombuffer(done.stdout, "f4").reshape(STEPS, 16)
    stream = cell.stream(weights, backend="c", copy=True)
    np.testing.assert_array_equal(found, [stream.step(x) for x in X])

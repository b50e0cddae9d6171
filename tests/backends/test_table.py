"""Every cell on every backend through every check (tests/backends/table.py)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from elman.backends import c_compile, c_run
from elman.passes import derive
from tests.backends import table


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory full of NaN, and one thread unless a test says otherwise."""
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)


@pytest.fixture(scope="module", autouse=True)
def compiled_two_at_a_time(request):
    """A compiler needs seconds for a cell: two of them run while the tests would wait for one."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    rows = [call.params for call in calls if call and call.params.get("backend") == "c"]
    wanted = {(row["name"], row["dtype"]) for row in rows if "dtype" in row}
    if c_compile.find_compiler() is None:
        return
    with ThreadPoolExecutor(2) as pool:
        for name, dtype in sorted(wanted):
            made = table.cell(name).typed.cell
            programs = c_run.write_programs(derive(made, made.returns))
            text = c_run.write_file(programs, c_run.REAL[dtype])
            pool.submit(c_compile.compile_library, text, c_run._file_name(made.name))


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else ""


MARKS = {"numpy": [], "torch": [pytest.mark.torch], "c": [pytest.mark.c]}
ROWS = [pytest.param(*row, marks=MARKS[row[1]]) for row in table.rows()]


@pytest.mark.parametrize(("name", "backend", "check", "dtype", "shapes"), ROWS, ids=_id)
def test_table(name, backend, check, dtype, shapes):
    for shape in shapes:
        table.CHECKS[check](name, backend, dtype, shape)


def test_no_tolerance_in_float64_is_above_that_of_the_issue():
    for *_, dtype, shapes in table.rows():
        for shape in shapes if dtype == "float64" else ():
            assert table.tolerance(dtype, shape.steps, shape.hidden) <= 1e-12

"""Every cell on every backend through every check (tests/backends/table.py)."""

from __future__ import annotations

import pytest

from elman.backends import c_run
from elman.ir import topological
from elman.passes.analysis import analyse
from elman.passes.derive import derive
from elman.passes.randomness import evaluation
from tests.backends import table
from tests.groups import group_of


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Scratch memory full of NaN, and one thread unless a test says otherwise."""
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else ""


MARKS = {"numpy": [], "torch": [pytest.mark.torch], "c": [pytest.mark.c]}


def _params(rows, *more):
    for row in rows:
        yield pytest.param(*row, marks=[*MARKS[row[1]], *more])


ROWS = [*_params(table.rows()), *_params(table.rows(slow=True), pytest.mark.slow)]


@pytest.mark.parametrize(("name", "backend", "check", "dtype", "shapes"), ROWS, ids=_id)
def test_table(name, backend, check, dtype, shapes):
    for shape in shapes:
        table.CHECKS[check](name, backend, dtype, shape)


@pytest.mark.parametrize(("name", "shape"), [("gru", 1), ("lstm_peephole", 2)])
def test_the_tests_of_a_cell_are_one_group(name, shape, request):
    assert group_of(request.node.nodeid) == name
    assert group_of("tests/nn/test_freeze.py::test_a[gru]") == "tests/nn/test_freeze.py"
    alone = "tests/backends/test_sanitizers.py::test_clean[gru]"
    assert group_of(alone) == alone


def test_every_cell_of_the_library_gets_every_check_on_every_backend_each_time():
    found = {(name, backend, check) for name, backend, check, *_ in table.rows()}
    for name in table.CELLS:
        for backend in ("torch", "c"):
            assert {(name, backend, "forward"), (name, backend, "gradients")} <= found
            assert ((name, backend, "dot product") in found) != (name in table.STRAIGHT)


def features(name):
    """What decides which code a cell gets: kinds of leaves, and what its plans do in each stage."""
    made = evaluation(table.cell(name).typed.cell)
    leaves = (n.attr for n in table.cell(name).typed.cell.leaves)
    yield from ((leaf.role, leaf.over, min(leaf.lag, 2), len(leaf.shape)) for leaf in leaves)
    yield from (kind for kind in ("initial", "frozen") if getattr(made, kind))
    yield "phases", analyse(made).phases
    derived = derive(made, made.returns)
    for plan in (derived.forward, derived.backward):
        for stage, values in plan.stages():
            carries = plan.carries if stage == "scan" else ()
            for n in topological([*(v.node for v in values), *(c.next for c in carries)]):
                letters = n.attr.replace("->", ",").split(",") if n.op == "contract" else ()
                yield plan.reverse, stage, n.op, *map(len, letters)


def test_the_typical_cells_have_whatever_any_cell_has():
    typical = {each for name in table.TYPICAL for each in features(name)}
    for name in table.CELLS:
        assert not {*features(name)} - typical, name


def test_no_tolerance_in_float64_is_above_that_of_the_issue():
    for *_, dtype, shapes in table.rows():
        for shape in shapes if dtype == "float64" else ():
            assert table.tolerance(dtype, shape.steps, shape.hidden) <= 1e-12

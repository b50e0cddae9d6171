"""Random cells: the C code equals the reference, and the gradient the finite difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman import Cell
from elman.backends import c_run
from elman.ir.check import check_plan, check_system
from elman.passes.derive import derive
from elman.passes.system import system_of
from elman.passes.transpose import transpose
from tests.backends.drawn_cells import cell_texts
from tests.backends.table import STEP, Shape, assert_near, draw, tolerance

SHAPES = st.builds(Shape, st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def run(made, given_, backend, **change):
    parts = {**given_.parts(), **change}
    return made.run(
        parts["inputs"], parts["weights"], parts["state"], sizes=given_.sizes, backend=backend
    )


def gradients(made, given_, backend):
    parts = given_.parts()
    ends = {"cotangents": given_.cotangents, "final": given_.final}
    return made.gradients(
        parts["inputs"],
        parts["weights"],
        parts["state"],
        **ends,
        sizes=given_.sizes,
        backend=backend,
    )


def reference_is_its_own_difference(text: str, shape: Shape) -> None:
    made = Cell(text, "drawn")
    given_ = draw(made, shape)
    random = np.random.default_rng(0)

    def along(way, group, step):
        moved = {n: a + step * way[n] for n, a in given_.parts()[group].items()}
        found = run(made, given_, "numpy", **{group: moved})
        total = sum(np.sum(found[n] * w) for n, w in given_.cotangents.items())
        return total + sum(np.sum(found.final[n] * w) for n, w in given_.final.items())

    exact = gradients(made, given_, "numpy")
    for group, arrays in given_.parts().items():
        if not arrays:
            continue
        way = {n: random.uniform(-1, 1, a.shape) for n, a in arrays.items()}
        wide, near = (
            (along(way, group, step) - along(way, group, -step)) / (2 * step)
            for step in (STEP, STEP / 2)
        )
        slope = (4 * near - wide) / 3  # Richardson: a norm of three numbers may bend much
        key = {n: f"{n}[t-1]" if group == "state" and n in made.inputs else n for n in arrays}
        terms = [float(np.sum(exact[key[n]] * v)) for n, v in way.items()]
        scale = max(1.0, *map(abs, terms))
        assert abs(slope - sum(terms)) <= 1e-6 * scale, (group, slope, sum(terms))


def c_is_the_reference(
    text: str, shapes: tuple[Shape, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_run, "POISON", True)
    monkeypatch.setattr(c_run, "thread_count", lambda: 1)
    made = Cell(text, "drawn")
    for shape in shapes:
        given_ = draw(made, shape)
        # the values are of the order of 1, their derivatives need not be: a few more roundings
        most = 100 * tolerance("float64", shape.steps, shape.hidden)
        expected, found = run(made, given_, "numpy"), run(made, given_, "c")
        assert_near(found.values, expected.values, most, f"{text}\n{shape}")
        assert_near(found.final, expected.final, most, f"{text}\n{shape}")
        assert_near(
            gradients(made, given_, "c"), gradients(made, given_, "numpy"), most, f"{text}\n{shape}"
        )


@settings(max_examples=60)
@given(cell_texts(), SHAPES)
def test_the_gradient_is_the_finite_difference(text, shape):
    reference_is_its_own_difference(text, shape)


@settings(max_examples=200)
@given(cell_texts())
def test_every_pass_keeps_the_law(text):
    typed = Cell(text, "drawn").typed.cell
    check_system(system_of(typed))
    check_system(transpose(system_of(typed), typed.returns).system)
    derived = derive(typed, typed.returns)
    check_plan(derived.forward)
    check_plan(derived.backward)


@pytest.mark.c
@settings(max_examples=12, suppress_health_check=QUIET)
@given(text=cell_texts())
def test_c_is_the_reference(text, monkeypatch):
    c_is_the_reference(text, (Shape(1, 1, 1), Shape(4, 3, 5), Shape(3, 2, 17)), monkeypatch)


@pytest.mark.slow
@pytest.mark.c
@settings(max_examples=150, suppress_health_check=QUIET)
@given(text=cell_texts())
def test_c_is_the_reference_on_many(text, monkeypatch):
    c_is_the_reference(text, (Shape(4, 3, 5), Shape(63, 1, 3), Shape(30, 32, 3)), monkeypatch)


@pytest.mark.slow
@settings(max_examples=1000)
@given(cell_texts(), SHAPES)
def test_the_gradient_is_the_finite_difference_of_many(text, shape):
    reference_is_its_own_difference(text, shape)

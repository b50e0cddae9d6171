"""Every table of meanings knows every primitive, but for those exempt here with the reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from elman.backends import c_groups_write, groups, numpy_
from elman.backends.interpret import pointwise
from elman.ir import ops, topological
from elman.language import functions, letters, unlower
from elman.language.write_latex import AROUND, COMMANDS, INFIX, SIGNS
from elman.passes.differentiate import VJP
from elman.passes.randomness import training
from elman.passes.shapes import LOWER
from tests.backends import table

POINTWISE, STRUCTURAL, PRIMITIVES = map(set, (ops.POINTWISE, ops.STRUCTURAL, ops.PRIMITIVES))


def test_the_tables_of_numpy():
    assert set(numpy_.POINTWISE) == POINTWISE
    assert set(numpy_.NUMPY.apply) == PRIMITIVES


@pytest.mark.torch
def test_the_tables_of_torch():
    torch = pytest.importorskip("torch")
    from elman.backends import torch_

    assert set(torch_.POINTWISE) == POINTWISE
    assert set(torch_.table(torch.zeros(1)).apply) == PRIMITIVES


def test_derivatives():
    # a leaf is what is differentiated by; a number has no derivative
    assert set(VJP) == PRIMITIVES - {"leaf", "const"}


def test_the_tables_of_c():
    assert set(c_groups_write.C) == POINTWISE
    # leaf, const and size stand inside the expressions that use them; fill spreads in its tile;
    # total is written by the loop over blocks, which adds block to block
    inline, tile, loop = set(groups.INLINE), {"fill", "random"}, {"total"}
    assert set(c_groups_write.ROW) == PRIMITIVES - POINTWISE - inline - tile - loop
    assert set(groups.LANE) == POINTWISE | tile
    assert inline == {"leaf", "const", "size"}


def test_the_kernels_have_every_function_that_the_table_calls():
    text = Path(c_groups_write.__file__).with_name("c_vectors.h").read_text("utf-8")
    letters = {1: "a", 2: "ab", 3: "abc"}
    for op, write in c_groups_write.C.items():
        call = write(*letters[ops.ARITY[op]])
        name = call.partition("(")[0]
        assert name not in call or "(" not in call or name in text, call


def test_shapes_and_arity():
    assert set(ops.ARITY) == POINTWISE
    assert set(LOWER) == set(ops.SURFACE)
    with pytest.raises(AssertionError):
        pointwise({})


def test_the_language_can_write_every_operation_of_the_elements():
    built = {builder.__name__ for builder in (f.build for f in functions.FUNCTIONS.values())}
    spelled = {name for name in POINTWISE if name in functions.FUNCTIONS}
    spelled |= {"straight"}  # straight_through, and inside of round and step
    by_sign = {"neg", "add", "sub", "mul", "div", "pow", "less", "equal"}  # - + - * / ** < ==
    assert spelled | by_sign == POINTWISE, built
    assert ast.parse(Path(unlower.__file__).read_text("utf-8"))


def test_the_tables_of_latex():
    """Whatever a text can say is printed: every operator and every function has its spelling."""
    spelled = set(AROUND) | set(COMMANDS) | set(letters.OPERATORS)
    # einsum is printed with its letters; [a, b] and U.T are words only where a sign would mislead
    assert set(functions.FUNCTIONS) == spelled - {"concat", "transpose"} | {"einsum"}
    assert set(functions.OPERATORS) == set(INFIX)
    assert set(INFIX) == set(SIGNS) | {"/", "**"}  # a fraction, an exponent


def test_the_cells_of_the_table_use_every_primitive():
    """In a plan, forward or backward; nothing that the language can say stays untested."""
    from elman.passes.derive import derive, forward_plan

    used = set()
    for name in table.CELLS:
        typed = training(table.cell(name).typed.cell)
        derived = derive(typed, typed.returns)
        for plan in (derived.forward, derived.backward, forward_plan(typed)):
            roots = [v.node for _, values in plan.stages() for v in values]
            roots += [carry.next for carry in plan.carries]
            used |= {n.op for n in topological(roots)}
    assert used == PRIMITIVES

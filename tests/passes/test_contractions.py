"""Einsum, outer products and values of three axes: what they become, and what is never formed."""

from __future__ import annotations

import numpy as np
import pytest

from elman import Cell
from elman.ir import const, leaf, node, topological
from elman.language.functions import einsum_fault
from elman.passes import derive, forward_plan
from elman.passes.shapes import lowered
from elman.passes.simplify import rewrite

SIZES = {"i": "a", "j": "b", "k": "c"}


def value(name, letters):
    return leaf(name, "input", shape=tuple(SIZES[c] for c in letters))


@pytest.mark.parametrize(
    ("spec", "meaning"),
    [
        ("ij,j->i", "contract[ij,j->i](A, B)"),
        ("j,ij->i", "contract[ij,j->i](B, A)"),  # the matrix stands first
        ("ji,i->j", "contract[ij,j->i](A, B)"),  # letters are named in their order
        ("i->i", "A"),
        ("ij->ji", "contract[ij->ji](A)"),
        ("ij->i", "contract[ij->i](A)"),
        ("i,i->i", "mul(A, B)"),
        ("ij,ij->ij", "mul(A, B)"),
        (",ij->ij", "mul(A, B)"),
        (",ij->ji", "contract[ij->ji](mul(A, B))"),
        ("ij,k->k", "mul(contract[ij->](A), B)"),  # summed before they meet
        ("ij,k->ki", "contract[i,j->ji](contract[ij->i](A), B)"),
        ("ij,ik->i", "mul(contract[ij->i](A), contract[ij->i](B))"),
        ("ijk,k->ij", "contract[ijk,k->ij](A, B)"),
    ],
)
def test_what_einsum_means(spec, meaning):
    words = spec.split("->")[0].split(",")
    args = tuple(value(name, word) for name, word in zip("AB", words, strict=False))
    assert str(lowered(node("einsum", args, spec), args)) == meaning


@pytest.mark.parametrize(
    ("spec", "count", "fault"),
    [
        ("hij, hj -> hi", 2, None),
        (",i->i", 2, None),
        ("ij->", 1, None),
        ("ij,j", 2, "the letters do not say what comes out: -> is missing"),
        ("i1->i", 1, "'1' is no letter"),
        ("i,j,k->ijk", 3, "the letters are of 3 values, and einsum takes one or two"),
        ("ij,j->i", 1, "the letters ij,j are of 2, and 1 value is given"),
        ("ii->i", 1, "the letter i stands twice in ii"),
        ("i,j->ii", 2, "the letter i stands twice in ii"),
        ("ij->k", 1, "the letter k of the result is in no value"),
        ("ij,kl->ijkl", 2, "ijkl has 4 axes, and a value has 3 at most"),
    ],
)
def test_letters_that_mean_nothing(spec, count, fault):
    assert einsum_fault(spec, count) == fault


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (node("floor", (node("round", (const(0.5),)),)), node("round", (const(0.5),))),
        (node("straight", (const(2), const(2))), const(2)),
        (
            node("contract", (node("contract", (value("A", "ij"),), "ij->ji"),), "ij->ji"),
            value("A", "ij"),
        ),
        (
            node("contract", (node("contract", (value("A", "ijk"),), "ijk->kij"),), "ijk->kji"),
            node("contract", (value("A", "ijk"),), "ijk->jik"),
        ),
        (
            node("contract", (node("contract", (value("A", "ij"),), "ij->ji"),), "ij->i"),
            node("contract", (value("A", "ij"),), "ij->j"),
        ),
    ],
)
def test_what_is_simplified(before, after):
    assert rewrite(before) is rewrite(after)
    assert before.shape == after.shape


@pytest.mark.parametrize(
    ("text", "weight", "product"),
    [
        ('R: 2, n, n\nh[t] = tanh(einsum("hij,hj->hi", R, h[t-1])) + x[t]\nx: 2, n', "R", "ij,ik"),
        ("W: 2, n, input\nh[t] = tanh(W @ x[t]) * h[t-1]", "W", "ij,k"),
        ('h[t] = tanh(einsum("ij,i->j", W, x[t]) + h[t-1])', "W", "i,j->ji"),
    ],
)
def test_a_weight_gradient_is_summed_without_being_formed(text, weight, product):
    typed = Cell(text).typed.cell
    plan = derive(typed, typed.returns).backward
    total = next(v.node for v in plan.totals if v.name == f"d_{weight}")
    assert total.args[0].attr.startswith(product)
    kept = [v.node for stage, values in plan.stages() if stage != "totals" for v in values]
    formed = [n for n in topological([*kept, *(c.next for c in plan.carries)]) if n.op != "leaf"]
    assert total.args[0] not in formed


def test_a_surrogate_is_gone_once_its_derivative_is_taken():
    text = "s[t] = straight_through(step(x[t]), softplus(x[t])) * s[t-1]"
    typed = Cell(text).typed.cell
    derived = derive(typed, typed.returns)
    for plan, has in ((derived.forward, False), (forward_plan(typed), True)):
        ops = {n.op for n in topological(c.next for c in plan.carries)}
        assert ("straight" in ops, "softplus" in ops) == (has, has)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("f: scalar\nf[t] = sigmoid(w @ x[t] + u @ h[t-1])\nh[t] = f[t] * h[t-1]", {"w": (2,)}),
        ("R: 4, n, input\nC[t] = R @ x[t] + C[t-1]\nh[t] = C[t] @ b", {"C": (4, 3), "b": (3,)}),
        ('h[t] = einsum("ij,j->i", x[t], h[t-1])', {"x": (3, 3)}),
        ('y[t] = einsum("ijk,jk->i", V, C[t])\nC[t] = outer(x[t], a) + C[t-1]', {"V": (3, 2, 3)}),
    ],
)
def test_axes_that_follow(text, shapes):
    cell = Cell(text)
    names = {size for size in cell.typed.aliases.values() if not size.isdigit()}
    found = cell.shapes(**{name: 2 if name == "input" else 3 for name in names})
    assert {name: found[name] for name in shapes} == shapes


def test_numbers_by_hand():
    """Two heads, a matrix each, against NumPy line by line."""
    cell = Cell('R: 2, n, n\nx: 2, n\nh[t] = einsum("hij,hj->hi", R, h[t-1]) % 1 + floor(x[t])')
    random = np.random.default_rng(0)
    x, R, h = random.normal(size=(3, 2, 4)), random.normal(size=(2, 4, 4)), np.zeros((2, 4))
    for step in x:
        h = np.stack([R[k] @ h[k] for k in range(2)]) % 1 + np.floor(step)
    np.testing.assert_allclose(cell.run({"x": x}, {"R": R}).final["h"], h, rtol=1e-12)

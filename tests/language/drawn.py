"""Random texts: syntax trees that name what exists, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from elman.ir.cell import ROLES
from elman.language.functions import FUNCTIONS
from elman.language.read_expression import COMPARISONS, LEVEL
from elman.language.syntax import (
    At,
    Binary,
    Call,
    Constant,
    Declaration,
    Equation,
    Expr,
    Given,
    Index,
    Initial,
    Join,
    Name,
    Number,
    Range,
    Remark,
    Return,
    Text,
    Transpose,
    Unary,
    Use,
)

INPUTS = ("x", "u_1", "ξ")
PARAMETERS = ("W", "U_h", "b", "α", "Γ_u", "n̂")
COMPUTED = ("h", "z", "c_2")
LETTERS = {1: ("i->i", "ij->ji", "hij->jh", "i->"), 2: ("ij,j->i", "hij,hj->hi", "i,j->ij")}
CELLS = {  # what a drawn text may put in
    "leaky": "alpha = 0.5\nh[t] = alpha * h[t-1] + W @ x[t] / t  # leak",
    "gated": "U: hidden, hidden\nz[t] = σ(U @ h[t-1] + b)\n"
    "h[t] = z[t] * x[t] + a[t-1]\na[t] = x[t]",
    "noisy": "m: bernoulli(0.5), hidden\nh[0] = h0\nl = 1..2\ns[t,0] = x[t]\n"
    "s[t,l] = tanh(R[l] * s[t,l-1] + h[t-2])\nh[t] = m[t] * s[t,2] + h[t-1]\nR: frozen, role gain",
}

numbers = st.builds(Number, st.floats(0, 1e6) | st.integers(0, 99).map(float))
parameters = st.builds(Name, st.sampled_from(PARAMETERS))
streams = st.builds(At, st.sampled_from(INPUTS), st.just(0))
states = st.builds(At, st.sampled_from(COMPUTED), st.integers(1, 3))
comments = st.sampled_from(["", "", "update gate", "see [1], eq. (3) # and 4", "ĥ = candidate"])


@st.composite
def calls(draw: st.DrawFn, inner: st.SearchStrategy[Expr]) -> Expr:
    """A call of any function with as many arguments as it takes."""
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    least, most = FUNCTIONS[name].least, FUNCTIONS[name].most
    args = tuple(draw(st.lists(inner, min_size=least, max_size=most)))
    spec = draw(st.sampled_from(LETTERS[len(args)])) if name == "einsum" else ""
    return Call(name, args, spec)


def grown(inner: st.SearchStrategy[Expr], leaves: st.SearchStrategy[Expr]):
    operators = [op for op in LEVEL if op not in COMPARISONS]
    return st.one_of(
        st.builds(Unary, st.just("-"), inner),
        st.builds(Binary, st.sampled_from(operators), inner, inner),
        st.builds(Binary, st.sampled_from(COMPARISONS), inner, inner),
        st.builds(Transpose, inner),
        st.builds(lambda a, rest: Join((a, *rest)), leaves, st.lists(leaves | numbers, max_size=3)),
        calls(inner),
    )


def expressions(*more: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """A right side of numbers, parameters and `more`."""
    leaves = st.one_of(parameters, *more)
    return st.recursive(leaves | numbers, lambda inner: grown(inner, leaves), max_leaves=8)


@st.composite
def texts(draw: st.DrawFn) -> Text:
    """A text that reads without error: every later equation may read the earlier ones at [t]."""
    lines: list[object] = []
    known: list[Expr] = [At(name) for name in INPUTS]
    lines += draw(declared(known))
    if draw(st.booleans()):
        value = draw(st.floats(-9, 9) | st.lists(st.floats(-9, 9), min_size=1).map(tuple))
        lines.append(Constant("k", value, draw(comments)))
        known.append(Name("k"))
    if draw(st.booleans()):
        inner = expressions().map(lambda e: Binary("-", e, Name("b")))
        lines.append(Equation("A", False, draw(inner), draw(comments)))
        known.append(Name("A"))
    for name in COMPUTED:
        value = draw(expressions(states, st.sampled_from(known)))
        lines.append(Equation(name, True, Binary("+", value, Join((At("x"),))), draw(comments)))
        known.append(At(name))
    lines.append(_reads_all(known))
    if draw(st.booleans()):
        lines += draw(initial())
    over = draw(st.sampled_from([None, "b", "t"]))
    shape = draw(st.sampled_from([(), ("hidden",), ("3",), ("hidden+input", "cell")]))
    lines.append(Declaration(draw(st.sampled_from(INPUTS)), shape, over, draw(comments)))
    lines.append(Declaration("c_2", draw(st.sampled_from([(), ("cell",), ("a", "b")]))))
    if draw(st.booleans()):
        lines.append(Return(draw(st.sampled_from([("h",), ("c_2", "h")])), draw(comments)))
    lines = draw(st.permutations(lines))
    return Text((Remark("drawn"), Remark(), *lines))  # type: ignore[arg-type]


@st.composite
def declared(draw: st.DrawFn, known: list[Expr]) -> list[object]:
    """A mask, a frozen weight, the number of the step: each also a leaf that lines may read."""
    lines: list[object] = []
    if draw(st.booleans()):
        over = draw(st.sampled_from([None, "b"]))
        chance = draw(st.floats(0, 1) | st.just("p"))
        shape = draw(st.sampled_from([None, ("hidden",)]))
        lines.append(Declaration("m", shape, over, draw(comments), bernoulli=chance))
        lines += [Constant("p", 0.25)] if chance == "p" else []
        known.append(draw(st.sampled_from([At("m"), Name("m")])))
    if draw(st.booleans()):
        shape = draw(st.sampled_from([None, ("hidden", "hidden"), ("heads", "3", "head")]))
        role = draw(st.sampled_from([None, *ROLES]))
        lines.append(Declaration("F", shape, frozen=True, comment=draw(comments), role=role))
        known.append(Name("F"))
    if draw(st.booleans()):
        known.append(Name("t"))
    return lines


@st.composite
def initial(draw: st.DrawFn) -> list[object]:
    """What q is before the first step, and a line that reads it."""
    right_sides = expressions(st.just(Name("h_0")))
    steps = draw(st.sampled_from([(0,), (0, -1), (-1,)]))
    lines: list[object] = [Initial("q", n, draw(right_sides), draw(comments)) for n in steps]
    return [*lines, Equation("q", True, Binary("-", At("q", 2), At("q", 1)))]


@st.composite
def short_texts(draw: st.DrawFn) -> Text:
    """A text with inner loops and cells that are put in."""
    lines = list(draw(texts()).lines)
    if draw(st.booleans()):
        lines += draw(loops())
    for name in draw(st.lists(st.sampled_from(["inner", "a_b"]), unique=True)):
        cell = draw(st.sampled_from(sorted(CELLS)))
        given = [Given("x", draw(expressions(states, streams)))]
        given += [Given("h", draw(expressions(states)))] if draw(st.booleans()) else []
        lines.append(Use(name, cell, tuple(given), draw(comments)))
        lines.append(Equation(f"{name}_read", True, At(f"{name}_h")))
    return Text(tuple(lines))


@st.composite
def loops(draw: st.DrawFn) -> list[object]:
    """An inner loop, with lines of their own for some rounds."""
    first, count = draw(st.integers(0, 2)), draw(st.integers(1, 4))
    last = first + count - 1
    bound = draw(st.sampled_from([last, "L"]))
    lines: list[object] = [Range("l", first, bound, draw(comments))]
    lines += [Constant("L", float(last))] if bound == "L" else []
    before = first - 1 if first else 0
    here, back = Index("l"), Index("l", -1)
    inside = [Name("R", here), Name("l"), At("s", 1, here), At("s", draw(st.integers(1, 2)), here)]
    if first:
        lines.append(Equation("s", True, draw(expressions(streams)), index=Index("", before)))
        inside.append(At("s", 0, back))
    if draw(st.booleans()):
        lines.append(Equation("s", True, draw(expressions(streams)), index=Index("", last)))
    value = Binary("+", draw(expressions(*map(st.just, inside))), At("s", 1, here))
    lines.append(Equation("s", True, value, draw(comments), index=here))
    if draw(st.booleans()):
        lines.append(Initial("s", 0, Name("a", here), index=here))
    lines += [Declaration("s", ("hidden",))] if draw(st.booleans()) else []
    end = Index("", last)
    return [*lines, Equation("o", True, Binary("*", At("s", 0, end), At("s", 1, end)))]


def _reads_all(known: list[Expr]) -> Equation:
    total = known[0]
    for each in known[1:]:
        total = Binary("+", total, each)
    return Equation("y", True, total)

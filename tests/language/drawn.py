"""Random texts: syntax trees that name what exists, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

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
    Join,
    Name,
    Number,
    Remark,
    Return,
    Text,
    Transpose,
    Unary,
)

INPUTS = ("x", "u_1", "ξ")
PARAMETERS = ("W", "U_h", "b", "α", "Γ_u", "n̂")
COMPUTED = ("h", "z", "c_2")

numbers = st.builds(Number, st.floats(0, 1e6) | st.integers(0, 99).map(float))
parameters = st.builds(Name, st.sampled_from(PARAMETERS))
streams = st.builds(At, st.sampled_from(INPUTS), st.just(0))
states = st.builds(At, st.sampled_from(COMPUTED), st.integers(1, 3))
comments = st.sampled_from(["", "", "update gate", "see [1], eq. (3) # and 4", "ĥ = candidate"])


def calls(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """A call of any function with as many arguments as it takes."""
    return st.sampled_from(sorted(FUNCTIONS)).flatmap(
        lambda name: st.lists(
            inner, min_size=FUNCTIONS[name].least, max_size=FUNCTIONS[name].most
        ).map(lambda args: Call(name, tuple(args)))
    )


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
    over = draw(st.sampled_from([None, "b", "t"]))
    shape = draw(st.sampled_from([(), ("hidden",), ("3",), ("hidden+input", "cell")]))
    lines.append(Declaration(draw(st.sampled_from(INPUTS)), shape, over, draw(comments)))
    lines.append(Declaration("c_2", draw(st.sampled_from([(), ("cell",), ("a", "b")]))))
    if draw(st.booleans()):
        lines.append(Return(draw(st.sampled_from([("h",), ("c_2", "h")])), draw(comments)))
    lines = draw(st.permutations(lines))
    return Text((Remark("drawn"), Remark(), *lines))  # type: ignore[arg-type]


def _reads_all(known: list[Expr]) -> Equation:
    total = known[0]
    for each in known[1:]:
        total = Binary("+", total, each)
    return Equation("y", True, total)

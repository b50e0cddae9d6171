"""What is written reads back to the same syntax and the same cell, with the fewest brackets."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.ir import Cell, Equation, const, leaf, node
from elman.language import read, write, write_cell, write_text
from elman.language.lower import lower
from elman.language.read_python import parse
from elman.language.source import source
from elman.language.syntax import At, Binary, Number, Text, Transpose, Unary
from elman.language.write import write_expression
from tests.language.drawn import CELLS, expressions, short_texts, states, streams, texts

GRU = """
z[t] = sigmoid(W_z @ x[t] + U_z @ h[t-1] + b_z)  # update gate
r[t] = sigmoid(W_r @ x[t] + U_r @ h[t-1] + b_r)
n[t] = tanh(W_n @ x[t] + U_n @ (r[t] * h[t-1]) + b_n)
h[t] = z[t] * h[t-1] + (1 - z[t]) * n[t]
"""


def right_side(text: str):
    return read(f"h[t] = {text}").text.equations[0].value


@given(texts())
def test_a_written_text_reads_back_to_the_same_lines_and_cell(text: Text):
    again = read(write(text))
    assert again.text == text
    assert again.cell == lower(text)[0]
    assert len(write_text(text).splitlines()) == len(text.lines)


@given(texts())
def test_a_cell_alone_is_written_as_a_text_that_reads_back_to_it(text: Text):
    cell, _ = lower(text)
    assert read(write_cell(cell)).cell == cell


@settings(max_examples=50)
@given(short_texts())
def test_loops_and_inner_cells_are_kept_and_what_is_written_out_means_the_same(text: Text):
    reading = read(write(text), cells=CELLS.__getitem__)
    assert reading.text == text
    assert read(write(reading.expanded)).cell == reading.cell
    assert read(write_cell(reading.cell)).cell == reading.cell
    assert len(write_text(reading).splitlines()) == len(reading.expanded.lines)


@given(expressions(states, streams))
def test_no_bracket_can_be_left_out(expr):
    """Whatever pair is removed, the text has another meaning or none."""
    text = write_expression(expr)
    for start, end in _pairs(text):
        without = text[:start] + text[start + 1 : end] + text[end + 1 :]
        try:
            changed = right_side(without) != expr
        except ValueError:
            changed = True
        assert changed, f"{text} needs no brackets at {start} and {end}"


def _pairs(text: str) -> list[tuple[int, int]]:
    """The brackets that group: those of calls, joins and times are no choice."""
    opened: list[int] = []
    pairs: list[tuple[int, int]] = []
    for at, sign in enumerate(text):
        if sign == "(":
            opened.append(at)
        elif sign == ")":
            start = opened.pop()
            is_call = start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_")
            pairs += [] if is_call else [(start, at)]
    return pairs


@pytest.mark.parametrize(
    ("given_", "written"),
    [
        ("(a + b) - (c - d)", "a + b - (c - d)"),
        ("((a * b) @ c) / (d * e)", "a * b @ c / (d * e)"),
        ("a * (b @ x[t])", "a * (b @ x[t])"),
        ("-(a**2)", "-a**2"),
        ("(-a)**2", "(-a)**2"),
        ("a**(-2)", "a ** -2"),
        ("a**(b**c)", "a ** b**c"),
        ("(a**b)**c", "(a**b)**c"),
        ("(a + b).T @ x[t]", "(a + b).T @ x[t]"),
        ("-(-a)", "--a"),
        ("a - (-b)", "a - -b"),
        ("(a < b) * (c == d)", "(a < b) * (c == d)"),
        ("+a", "a"),
        ("[a, (b), 1,]", "[a, b, 1]"),
        ("max(a, (b + c))", "max(a, b + c)"),
        ("0.10 * x[t] + 1e-05 + 1E+16 + 2.50", "0.1 * x[t] + 1e-5 + 1e16 + 2.5"),
        ("1_000 * x[ t - 1 ]", "1000 * x[t-1]"),
    ],
)
def test_brackets_and_numbers_are_as_few_and_short_as_they_can_be(given_, written):
    text = f"h[t] = {given_}\ny[t] = x[t]"
    assert write(read(text)).splitlines()[0] == f"h[t] = {written}"


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_bit(value):
    text = write_expression(Number(value))
    assert float(text) == value
    assert len(text) <= len(repr(value))


def test_a_number_is_not_run_together_with_its_transpose():
    assert right_side(write_expression(Transpose(Number(2.0)))) == Transpose(Number(2.0))


def test_comments_declarations_constants_and_return_are_kept():
    text = """# A leaky cell
# second line

alpha = 0.9  # leak
P = [[0, 1], [-1, 0.5]]
U: hidden, hidden  # recurrent
C: hidden + input, 3
s: scalar, per step
v: per sequence
A = U - U.T  # no step changes it

h[t] = alpha * tanh(A @ h[t-1] + P @ x[t] * s[t] + v) + C @ x[t-2]  # the state
y[t] = h[t]
return h, y  # both
"""
    assert write(read(text)) == text


def test_masks_starts_frozen_weights_rounds_and_inner_cells_are_written_as_they_were_read():
    text = """m: hidden, bernoulli(0.9), per sequence  # mask
W: hidden, input, frozen
h[0] = h0  # learned
h[-1,2] = a[2]
l = 1..L  # depth
L = 2
s[t,0] = einsum("hij,hj->hi", R, h[t-1]) % 2
s[t,l] = tanh(U[l] @ s[t,l-1] + h[t-2,2]) / l
inner: lstm(x = s[t,L] + t, h = W @ x[t])  # put in
"""
    assert write(Text(read_lines(text))) == text


def read_lines(text: str):
    return parse(source(text)).lines


def test_a_cell_alone_is_written_with_the_names_of_its_other_equations():
    cell = read(GRU).cell
    expected = "\n".join(line.split("  #")[0] for line in GRU.strip().splitlines())
    assert write_cell(cell).strip() == expected


def test_macros_are_folded_back():
    text = "h[t] = softmax(layer_norm(W @ x[t])) + gelu(norm(h[t-1]) * x[t])\n"
    assert write_cell(read(text).cell) == text


def test_two_names_of_one_value_stay_two_lines():
    text = "A = tanh(b)\nB = A\ng[t] = A * x[t]\nh[t] = g[t]\ny[t] = x[t]\n"
    assert write_cell(read(text).cell) == text


def test_what_doubles_at_every_level_is_given_names():
    text = "h[t] = " + "silu(" * 60 + "x[t]" + ")" * 60
    written = write_cell(read(text).cell)
    assert len(written) < 4000
    assert written.splitlines()[0] == "s_1[t] = x[t] * sigmoid(x[t])"


def test_stages_after_the_shapes_pass_are_written_too():
    W = leaf("W", "parameter", "", 0, ("hidden", "input"))
    x = leaf("x", "input", "tb", 0, ("input",))
    held = leaf("v_1", "value", "tb", 0, ("hidden",))
    value = node("add", (node("contract", (W, x), "ij,j->i"), held))
    sliced = node("mul", (node("slice", (value,), (0, "0", "2")), const(-1)))
    cell = Cell((Equation("h", value), Equation("d", sliced)), ("h",))
    assert write_cell(cell).splitlines() == [
        "h[t] = W @ x[t] + v_1[t]",
        "d[t] = slice[(0, '0', '2')](h[t]) * -1",
        "return h",
    ]


def test_plain_text_is_for_the_eye():
    assert write_text(read(GRU)).splitlines()[2:] == [
        "nₜ = tanh(W_n xₜ + U_n (rₜ ⊙ hₜ₋₁) + b_n)",
        "hₜ = zₜ ⊙ hₜ₋₁ + (1 - zₜ) ⊙ nₜ",
    ]
    text = "h[t] = 2 * abs(x[t-12])**2 + U.T @ gamma_u / W_1 + where(x[t] <= sqrt(b), 1, 0)"
    expected = "hₜ = 2 · |xₜ₋₁₂|² + Uᵀ γ_u / W₁ + where(xₜ ≤ √(b), 1, 0)\n"
    assert write_text(read(text)) == expected


def test_a_deep_tree_is_written_read_and_compared_without_recursion():
    expr = At("x")
    for _ in range(2_500):
        expr = Binary("+", expr, Unary("-", At("h", 1)))
    text = write_expression(expr)
    again = right_side(text)
    assert again == expr
    assert hash(again) == hash(expr)
    assert len(repr(expr)) > 2_500
    assert math.isclose(len(text), 2_500 * len(" + -h[t-1]"), rel_tol=0.01)

"""Reading: what a text means."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.ir import const, leaf, node, topological
from elman.ir.check import check_cell
from elman.language import read, write
from elman.language.syntax import At, Binary, Constant, Name, Number, Remark, Unary
from tests.language.drawn import texts
from tests.soon import its_own_memory, soon

ELMAN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"
W, U, b = (leaf(name, "parameter", "") for name in ("W", "U", "b"))
x, x_1 = leaf("x", "input"), leaf("x", "state", "tb", 1)
h_1, h_2 = leaf("h", "state", "tb", 1), leaf("h", "state", "tb", 2)


def value(text: str, name: str = "h"):
    return read(text).cell.value(name)


def right_side(text: str):
    return read(f"h[t] = {text}").text.equations[0].value


def test_the_cell_of_elman_1990():
    cell = read(ELMAN, "elman").cell
    products = node("add", (node("matmul", (W, x)), node("matmul", (U, h_1))))
    assert cell.value("h") is node("tanh", (node("add", (products, b)),))
    assert (cell.returns, cell.constants, cell.declared, cell.name) == (("h",), (), (), "elman")
    assert (cell.names("parameter"), cell.names("state")) == (("W", "U", "b"), ("h",))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a - b - c", "(a - b) - c"),
        ("a @ b * c / d", "((a @ b) * c) / d"),
        ("a + b @ c", "a + (b @ c)"),
        ("-a**2", "-(a**2)"),
        ("-a @ b", "(-a) @ b"),
        ("a**-b**c", "a**(-(b**c))"),
        ("a**b**c", "a**(b**c)"),
        ("a * -b + c", "(a * (-b)) + c"),
        ("-U.T @ b", "(-(U.T)) @ b"),
        ("a + b < c * d", "(a + b) < (c * d)"),
        ("- -a", "-(-a)"),
        ("+a", "a"),
        ("U.T.T", "(U.T).T"),
    ],
)
def test_precedence_is_that_of_python(text, same):
    assert right_side(text) == right_side(same)


def test_the_order_of_lines_is_free():
    lines = ["h[t] = c[t] * z[t]", "c[t] = z[t] * x[t]", "z[t] = A @ x[t]", "A = U - B", "B = U.T"]
    forward, backward = (read("\n".join(each)).cell for each in (lines, lines[::-1]))
    assert {e.name: e.value for e in forward.equations} == {
        e.name: e.value for e in backward.equations
    }
    assert (forward.returns, backward.returns) == (("z",), ("h",))
    assert value("\n".join(lines), "z") is value("z[t] = (U - U.T) @ x[t]", "z")


def test_an_equation_read_at_its_own_step_stands_inside_and_is_shared():
    cell = read("z[t] = sigmoid(x[t])\nh[t] = z[t] * h[t-1] + z[t]").cell
    z = node("sigmoid", (x,))
    assert cell.value("h") is node("add", (node("mul", (z, h_1)), z))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h[t-2] + x[t]", node("add", (h_2, x))),
        ("x[t-1] + x[t-0]", node("add", (x_1, x))),
        ("-2 * x[t]", node("mul", (const(-2), x))),
        ("-(-2) * x[t]", node("mul", (const(2), x))),
        ("-0.0 * x[t]", node("mul", (const(-0.0), x))),
        ("U.T @ x[t]", node("matmul", (node("transpose", (U,)), x))),
        ("[h[t-1], x[t]]", node("concat", (h_1, x))),
        ("[x[t], -1]", node("concat", (x, node("fill", (const(-1),), ("1",))))),
        ("x[t] ⊙ h[t-1] − b", node("sub", (node("mul", (x, h_1)), b))),
        ("x[t] < b", node("less", (x, b))),
        ("x[t] > b", node("less", (b, x))),
        ("x[t] <= b", node("sub", (const(1), node("less", (b, x))))),
        ("x[t] ≥ b", node("sub", (const(1), node("less", (x, b))))),
        ("x[t] != b", node("sub", (const(1), node("equal", (x, b))))),
        ("σ(x[t])", node("sigmoid", (x,))),
        ("max(x[t])", node("amax", (x,))),
        ("max(x[t], b, 0)", node("maximum", (node("maximum", (x, b)), const(0)))),
        ("sum(x[t])", node("sum", (x,))),
        ("dot(x[t], b)", node("sum", (node("mul", (x, b)),))),
        ("where(x[t] == 0, b, 1)", node("where", (node("equal", (x, const(0))), b, const(1)))),
    ],
)
def test_what_is_written_and_what_it_means(text, expected):
    assert value(f"h[t] = {text}") is expected


def test_constants_are_numbers_vectors_and_matrices():
    reading = read("k = -0.5\nv = [1, 2, 3]\nP = [[0, 1], [1, 0]]\nh[t] = P @ x[t] * k + v")
    assert reading.cell.constants == (
        ("k", -0.5),
        ("v", (1.0, 2.0, 3.0)),
        ("P", ((0.0, 1.0), (1.0, 0.0))),
    )
    shapes = {n.attr.name: n.shape for n in reading.cell.leaves if n.attr.role == "constant"}
    assert shapes == {"k": (), "v": ("3",), "P": ("2", "2")}


def test_a_line_without_a_step_that_is_no_number_is_computed_once():
    cell = read("A = U - U.T\ns = 1 / 3\nh[t] = A @ x[t] * s").cell
    assert [(each.name, each.per_step) for each in cell.equations][:2] == [
        ("A", False),
        ("s", False),
    ]
    assert cell.value("A").over == ""
    assert cell.value("h").args[0].args[0] is cell.value("A")


def test_declarations_put_shapes_on_leaves_and_into_the_cell():
    text = """
    U: hidden, hidden
    c: cell
    x: 3
    alpha: scalar
    dt: scalar, per step
    v: per sequence
    b: hidden + input
    c[t] = alpha * c[t-1] + U @ x[t] * dt[t] + V @ v[t] + b
    h[t] = c[t] + x[t-1]
    return c, h
    """
    cell = read(text).cell
    leaves = {(n.attr.name, n.attr.lag): n.attr for n in cell.leaves}
    assert leaves["U", 0].shape == ("hidden", "hidden")
    assert leaves["c", 1].shape == ("cell",)
    assert (leaves["x", 0].shape, leaves["x", 1].shape) == (("3",), ("3",))
    assert (leaves["alpha", 0].shape, leaves["alpha", 0].role) == ((), "parameter")
    assert (leaves["dt", 0].shape, leaves["dt", 0].over) == ((), "t")
    assert (leaves["v", 0].shape, leaves["v", 0].over, leaves["v", 0].role) == (None, "b", "input")
    assert leaves["V", 0].shape is None
    assert dict(cell.declared)["b"] == ("hidden+input",)
    assert [name for name, _ in cell.declared] == ["U", "c", "x", "alpha", "dt", "b"]
    assert cell.returns == ("c", "h")


def test_a_stream_per_sequence_may_be_read_without_a_step():
    text = "v: per sequence\nh[t] = {} + x[t]"
    assert value(text.format("v")) is value(text.format("v[t]"))


def test_t_is_the_number_of_the_step_a_state_of_its_own_at_the_end():
    cell = read("h[t] = x[t] / t\ny[t] = h[t-1] + sin(t)\n").cell
    clock = node("add", (leaf("t", "state", "tb", 1, ()), const(1)))
    assert [each.name for each in cell.equations] == ["h", "y", "t"]
    assert cell.value("t") is clock
    assert cell.value("h") is node("div", (x, clock))
    assert cell.returns == ("y",)
    assert "t" not in read(ELMAN).cell.outputs


def test_a_mask_is_one_where_a_drawn_number_is_less_than_its_probability():
    text = """
    keep = 0.75
    m: bernoulli(0.5)
    r: hidden, bernoulli(keep), per sequence
    D: bernoulli(0)
    V = D * U
    z[t] = r[t]
    h[t] = m[t] * x[t] + r * (V @ h[t-1])
    """
    cell = read(text).cell

    def mask(name, over, p, shape=None):
        return node("less", (leaf(name, "random", over, 0, shape), p))

    assert cell.value("h").args[0] is node("mul", (mask("m", "tb", const(0.5)), x))
    keep = leaf("keep", "constant", "", 0, ())
    assert cell.value("z") is mask("r", "b", keep, ("hidden",))
    assert cell.value("h").args[1].args[0] is cell.value("z")
    assert cell.value("V") is node("mul", (mask("D", "", const(0)), U))
    assert {*cell.names("random")} == {"m", "r", "D"}
    assert cell.names("input") == ("x",)


def test_what_stands_before_the_first_step_is_kept_by_the_key_of_its_state():
    text = "v: per sequence\nh[0] = A @ v\nA = U.T\nh[-1] = 1\nx[0] = b\n"
    text += "h[t] = h[t-2] + x[t-1] + x[t]"
    cell = read(text).cell
    drawn = leaf("v", "input", "b")
    assert cell.initial == (
        ("h", node("matmul", (node("transpose", (U,)), drawn))),
        ("h[t-2]", const(1)),
        ("x", b),
    )
    assert cell != read(text.replace("= 1\n", "= 2\n")).cell


def test_frozen_weights_are_parameters_in_the_order_of_the_alphabet():
    cell = read("W: hidden, input, frozen\nU: frozen\n" + ELMAN).cell
    assert cell.frozen == ("U", "W")
    assert cell.declared == (("W", ("hidden", "input")),)
    assert cell != read("W: hidden, input\n" + ELMAN).cell


def test_three_axes_and_einsum():
    cell = read('R: heads, head, head\nh[t] = einsum("hij, hj -> hi", R, h[t-1]) + x[t]').cell
    R = leaf("R", "parameter", "", 0, ("heads", "head", "head"))
    assert cell.value("h").args[0] is node("einsum", (R, h_1), "hij,hj->hi")


def test_a_range_is_no_number_with_a_point():
    assert value("l = 1..2\ns[t,l] = 1. * x[t] * .5\nh[t] = s[t,2]", "s_1").args[1] is const(0.5)


def test_lines_go_on_inside_brackets_and_after_a_backslash():
    text = """
    h[t] = tanh(W @ x[t]      # from the input

                + U @ h[t-1]  # from before
                + b)
    """
    assert value(text) is value(ELMAN)
    assert read(text).comments == {"h": "from the input from before"}
    assert value("h[t] = W @ x[t] \\\n + b") is value("h[t] = W @ x[t] + b")


def test_comments_are_kept_by_name():
    text = "# header\nU: hidden, hidden  # square\nk = 2  # gain\nh[t] = k * U @ x[t]  # ĥ, p. 3"
    reading = read(text)
    assert reading.comments == {"U": "square", "k": "gain", "h": "ĥ, p. 3"}
    assert reading.text.lines[0] == Remark("header")


def test_windows_line_ends_tabs_and_a_byte_order_mark():
    assert read("\ufeff" + ELMAN.replace(" ", "\t") + "\r\n\r\ny[t]=h[t]\r\n").cell == (
        read(ELMAN + "\ny[t] = h[t]").cell
    )


def test_names_are_normalised_and_places_are_not():
    reading = read(
        "\U0001d421[t] = tan\N{PLANCK CONSTANT}(\N{FULLWIDTH LATIN CAPITAL LETTER W} @ x[t] + ϵ)"
    )
    assert reading.cell.value("h") is value("h[t] = tanh(W @ x[t] + ε)")
    product = node("matmul", (W, x))
    where = reading.where(product)
    assert where is not None
    assert where.line[where.start : where.end] == "\N{FULLWIDTH LATIN CAPITAL LETTER W} @ x[t]"
    assert value("n\u0302[t] = x[t]\nh[t] = n\u0302[t-1]").attr.name == "n\u0302"
    decomposed = unicodedata.normalize("NFD", "ĥ[t] = x[t]")
    assert read(decomposed).cell == read("ĥ[t] = x[t]").cell


def test_every_node_has_its_first_place_in_the_text():
    reading = read("h[t] = c[t] + W @ x[t]\nc[t] = W @ x[t] * softmax(b)", "two")
    where = reading.where(node("matmul", (W, x)))
    assert where is not None
    assert (where.label, where.start, where.end) == ("equation 1 of cell 'two'", 14, 22)
    inside = node("amax", (b,))
    assert reading.quote(inside) == "softmax(b)"
    assert reading.quote(reading.cell.value("c")) == "W @ x[t] * softmax(b)"
    assert reading.where(node("exp", (W,))) is None


@given(texts())
def test_every_node_of_a_drawn_cell_has_a_place(text):
    reading = read(write(text))
    check_cell(reading.cell, typed=False)
    for n in topological(each.value for each in reading.cell.equations):
        where = reading.where(n)
        assert where is not None
        assert 0 <= where.start < where.end <= len(where.line)


def test_the_syntax_tree_compares_without_places():
    first, second = right_side("a + b"), right_side("a   +   b")
    assert first == second
    assert first.span != second.span
    assert repr(first) == "Binary('+', Name('a'), Name('b'))"
    assert first != Binary("+", Name("a"), At("b"))
    assert Unary("-", Number(1)) != Number(1)
    assert read("k = 1\nh[t] = k * x[t]").text.lines[0] == Constant("k", 1.0)


def test_two_readings_of_one_text_are_equal():
    assert read(ELMAN) == read(ELMAN)
    assert read(ELMAN).cell == read(ELMAN, "another").cell
    assert read(ELMAN) != read(ELMAN + " * 2")


def test_brackets_a_hundred_deep_are_read_and_five_thousand_are_refused_at_once():
    assert value("h[t] = " + "(" * 100 + "x[t]" + ")" * 100) is x
    for opening in ("(", "[", "-", "tanh(", "2**", "(("):
        with soon(1), pytest.raises(ValueError, match="nested deeper than 100"):
            read("h[t] = " + opening * 5_000 + "x[t]")


@given(st.integers(1, 1000))
def test_a_delay_may_be_long(lag):
    assert value(f"h[t] = h[t-{lag}] + x[t]").args[0] is leaf("h", "state", "tb", lag)


def test_thirty_equations_are_read_in_twenty_milliseconds():
    gates = [
        f"g_{i}[t] = sigmoid(W_{i} @ x[t] + U_{i} @ (g_{i - 1}[t] * h[t-1]) + b_{i})  # gate {i}"
        for i in range(1, 29)
    ]
    text = "\n".join(["g_0[t] = tanh(x[t])", *gates, "h[t] = g_28[t] * h[t-1]"])
    seconds = []
    for _ in range(5):
        with its_own_memory():
            start = time.thread_time()
            read(text)
            seconds.append(time.thread_time() - start)
    assert min(seconds) < 0.02

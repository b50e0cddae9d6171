"""Inner loops and cells in cells: what is written out, and where its parts stand in the text."""

from __future__ import annotations

import pytest

import elman
from elman.errors import ElmanError
from elman.ir import leaf, node
from elman.language import read, write
from elman.language.named import CLOCK

CELLS = {
    "leaky": "alpha = 0.5  # leak\nW: hidden, input, frozen\nh[0] = h0\n"
    "h[t] = alpha * h[t-1] + W @ x[t] / t  # state",
    "twice": "l = 1..2\ns[t,0] = x[t]\ns[t,l] = R[l] * s[t,l-1] + s[t-1,l]\nh[t] = s[t,2]",
    "captioned": "v: per sequence\nm: bernoulli(p), per sequence\np = 0.9\nh[0] = V @ v\n"
    "h[t] = h[t-1] * m + v + x[t-1] + x[t]",
    "nested": "a: leaky(x = x[t], h = c[t-1])\nc[t] = a_h[t] + c[t-2]\nh[t] = c[t]",
}


def expanded(text: str) -> list[str]:
    reading = read(text, cells=CELLS.__getitem__)
    assert write(read(write(reading), cells=CELLS.__getitem__)) == write(reading)
    assert read(write(reading.expanded)).cell == reading.cell
    return write(reading.expanded).splitlines()


HIGHWAY = """L = 3
l = 1..L
s[t,0] = h[t-1]
n[t,1] = tanh(W @ x[t] + R[1] @ s[t,0])  # sees the input
n[t,l] = tanh(R[l] @ s[t,l-1])
s[t,l] = n[t,l] / l + s[t,l-1]
h[t] = s[t,L]
"""


def test_rounds_are_written_out_one_after_the_other_and_a_line_with_a_number_wins():
    assert expanded(HIGHWAY) == [
        "s_0[t] = h[t-1]",
        "n_1[t] = tanh(W @ x[t] + R_1 @ s_0[t])  # sees the input",
        "s_1[t] = n_1[t] / 1 + s_0[t]",
        "n_2[t] = tanh(R_2 @ s_1[t])",
        "s_2[t] = n_2[t] / 2 + s_1[t]",
        "n_3[t] = tanh(R_3 @ s_2[t])",
        "s_3[t] = n_3[t] / 3 + s_2[t]",
        "h[t] = s_3[t]",
    ]


def test_a_name_may_have_its_own_past_declaration_and_start_in_every_round():
    text = """l = 0..1
h[t,l] = A[l] @ h[t-1,l] + W[l] @ x[t] * k[l] * b[l]
h[0,l] = h0[l]
h[-1,1] = h0[1]
A[l] = U[l] - U[l].T
k[l] = 0.5
k[1] = 0.25
U: hidden, hidden
W: frozen
b: bernoulli(0.5)
y[t] = h[t-2,1] + h[t,0]
"""
    assert expanded(text) == [
        "h_0[t] = A_0 @ h_0[t-1] + W_0 @ x[t] * k_0 * b_0",
        "h_0[0] = h0_0",
        "h_1[t] = A_1 @ h_1[t-1] + W_1 @ x[t] * k_1 * b_1",
        "h_1[0] = h0_1",
        "h_1[-1] = h0_1",
        "A_0 = U_0 - U_0.T",
        "k_0 = 0.5",
        "A_1 = U_1 - U_1.T",
        "k_1 = 0.25",
        "U_0: hidden, hidden",
        "U_1: hidden, hidden",
        "W_0: frozen",
        "W_1: frozen",
        "b_0: bernoulli(0.5)",
        "b_1: bernoulli(0.5)",
        "y[t] = h_1[t-2] + h_0[t]",
    ]


def test_a_constant_that_only_counts_rounds_is_none_of_the_cell():
    assert read(HIGHWAY).cell.constants == ()
    assert read(HIGHWAY + "y[t] = h[t] / L").cell.constants == (("L", 3.0),)


def test_a_constant_may_get_another_value_before_the_rounds_are_counted():
    deeper = read(HIGHWAY, constants={"L": 5})
    assert deeper.cell == read(HIGHWAY.replace("L = 3", "L = 5")).cell
    assert "n_5" in deeper.cell.outputs
    assert write(deeper).startswith("L = 5\n")
    with pytest.raises(ElmanError, match="no constant of that name") as caught:
        read(HIGHWAY, constants={"K": 5})
    assert "E427" in str(caught.value)


def test_the_caret_of_a_round_is_on_the_users_line():
    reading = read(HIGHWAY, "deep")
    product = node("matmul", (leaf("R_2", "parameter", ""), reading.cell.value("s_1")))
    where = reading.where(product)
    assert where is not None
    assert where.label == "equation 3 of cell 'deep'"
    assert where.line[where.start : where.end] == reading.quote(product) == "R[l] @ s[t,l-1]"


def test_a_cell_is_put_in_under_a_name_with_its_comments_and_all_that_it_declares():
    assert expanded("inner: leaky(x = V @ x[t])\ny[t] = inner_h[t] * inner_W") == [
        "inner_x[t] = V @ x[t]",
        "inner_alpha = 0.5  # leak",
        "inner_W: inner_hidden, inner_input, frozen",
        "inner_h[0] = inner_h0",
        "inner_h[t] = inner_alpha * inner_h[t-1] + inner_W @ inner_x[t] / t  # state",
        "y[t] = inner_h[t] * inner_W",
    ]


def test_a_state_that_is_given_stands_where_the_cell_reads_it_one_step_back():
    assert expanded("a: leaky(x = x[t], h = f * a_h[t-1], alpha = 2, W = U)\n")[:4] == [
        "a_x[t] = x[t]",
        "a_h_in[t] = f * a_h[t-1]",
        "a_alpha = 2",
        "a_W = U",
    ]
    cell = read("a: leaky(x = x[t], h = f * a_h[t-1])", cells=CELLS.__getitem__).cell
    assert cell.initial == ()
    assert cell.names("state") == ("a_h", "t")


def test_streams_per_sequence_delays_masks_and_starts_of_an_inner_cell():
    assert expanded("v: per sequence\na: captioned(x = x[t], v = B @ v)") == [
        "v: per sequence",
        "a_x[t] = x[t]",
        "a_v[t] = B @ v",
        "a_m: bernoulli(a_p), per sequence",
        "a_p = 0.9",
        "a_h[0] = a_V @ (B @ v)",
        "a_h[t] = a_h[t-1] * a_m + a_v[t] + a_x[t-1] + a_x[t]",
    ]


def test_cells_in_cells_in_cells_and_loops_in_cells():
    lines = expanded("p: nested(x = x[t])\nq: twice(x = p_h[t])")
    assert "p_a_h[t] = p_a_alpha * p_a_h_in[t] + p_a_W @ p_a_x[t] / t  # state" in lines
    assert "q_s_2[t] = q_R_2 * q_s_1[t] + q_s_2[t-1]" in lines
    cell = read("\n".join(lines)).cell
    assert cell.returns == ("q_h",)
    assert cell.value("t") is CLOCK


def test_a_cell_inside_rounds_is_written_line_by_line():
    text = "l = 1..2\na: leaky(x = s[t,2])\ns[t,l] = V[l] @ x[t] + a_h[t-1] * l"
    assert expanded(text)[-2:] == [
        "s_1[t] = V_1 @ x[t] + a_h[t-1] * 1",
        "s_2[t] = V_2 @ x[t] + a_h[t-1] * 2",
    ]


def test_parts_of_an_inner_cell_are_quoted_as_they_would_be_written():
    text = "g[t] = tanh(x[t])\ninner: leaky(x = g[t],\n  h = c[t-1])\nc[t] = inner_h[t]"
    reading = read(text, "outer", CELLS.__getitem__)
    product = node("matmul", (leaf("inner_W", "parameter", "", 0, ("inner_hidden", "inner_input")),
                              reading.cell.value("g")))  # fmt: skip
    where = reading.where(product)
    assert where is not None
    assert (where.label, where.line) == ("line 2 of cell 'outer'", "inner: leaky(x = g[t],")
    assert reading.quote(product) == "inner_W @ g[t]"
    assert reading.comments["inner_h"] == "state"


def test_the_cells_of_the_library_can_be_put_in():
    cell = elman.Cell("inner: lstm(x = x[t], h = c[t-1])\nc[t] = inner_h[t] + c[t-1]")
    run = cell.run({"x": [[1.0], [2.0]]}, dict.fromkeys(cell.parameters, 0.5))
    assert run["c"].shape == (2, 1)
    assert elman.Cell(str(cell)) == cell


def test_cells_that_make_each_other_too_large_are_refused_at_once():
    cells = {"c0": "h[t] = x[t]"}
    for k in range(1, 8):
        uses = [f"a{i}: c{k - 1}(x = x[t])" for i in range(9)]
        total = " + ".join(f"a{i}_h[t]" for i in range(9))
        cells[f"c{k}"] = "\n".join([*uses, f"h[t] = {total}"])
    with pytest.raises(ElmanError, match="too large") as caught:
        read("b: c7(x = x[t])", cells=cells.__getitem__)
    assert "of cell 'c" in str(caught.value)


def test_cells_are_put_in_eight_deep_and_no_deeper():
    cells = {f"c{k}": f"a: c{k - 1}(x = x[t])\nh[t] = a_h[t]" for k in range(1, 12)}
    cells["c0"] = "h[t] = x[t]"
    assert read("a: c7(x = x[t])", cells=cells.__getitem__).cell.returns == ("a_h",)
    with pytest.raises(ElmanError, match="deeper than 8"):
        read("a: c8(x = x[t])", cells=cells.__getitem__)


def test_a_text_alone_knows_no_cells():
    with pytest.raises(ElmanError, match="there is no cell lstm"):
        read("a: lstm(x = x[t])")

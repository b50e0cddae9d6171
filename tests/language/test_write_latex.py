r"""LaTeX as a fine page prints it, and that it reads back to the same cell."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.language import read, write_latex
from elman.language.letters import ACCENTS, COMMANDS, OPERATORS, latex_name
from elman.language.syntax import Text
from elman.library import cells
from tests.language.drawn import texts

GOLDEN = Path(__file__).with_name("golden")
PRINTED = {path.stem: path for path in sorted(GOLDEN.glob("*.tex"))}

# what MathJax (with its package ams) and LaTeX (with amsmath and amssymb) both know
_KNOWN = """
    begin end left right frac sqrt text mathit mathrm mathbb mathbin operatorname in sim times to
    odot cdot bmod le ge neq top lvert rvert lVert rVert lfloor rfloor langle rangle
    sigma tanh exp log sin cos max min
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho tau upsilon phi
    chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega varepsilon vartheta
    varpi varrho varsigma varphi ell hat tilde bar dot ddot check breve
"""
KNOWN = set(_KNOWN.split())
ENVIRONMENTS = {"align", "aligned", "cases", "bmatrix"}


def right_side(text: str) -> str:
    """The LaTeX of an equation's right side, in a cell that declares what the examples name."""
    cell = f"alpha = 0.9\nu: scalar\nB: hidden\ny[t] = {text}\nz[t] = alpha * B * u * x[t]"
    line = next(line for line in write_latex(read(cell)).splitlines() if " y_t &= " in line)
    return line.partition(" &= ")[2].removesuffix(r" \\")


@pytest.mark.parametrize("name", PRINTED)
def test_the_page(name):
    """The golden holds the Python text in its comments, and what is printed of it below."""
    lines = PRINTED[name].read_text("utf-8").splitlines()
    text = "\n".join(line[2:] for line in lines if line.startswith("% "))
    page = "\n".join(line for line in lines if not line.startswith("% "))
    if os.environ.get("ELMAN_WRITE_GOLDEN") == "1":  # then read the diff, every line of it
        page = write_latex(read(text))
        commented = "".join(f"% {line}\n" for line in text.splitlines())
        PRINTED[name].write_text(f"{commented}{page}\n", "utf-8")
    assert write_latex(read(text)) == page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W @ x[t] + b", "W x_t + b"),
        ("W @ (z[t] * x[t])", r"W (z_t \odot x_t)"),
        ("W @ [z[t-1], x[t]]", r"W [z_{t-1}, x_t]"),
        ("W.T @ x[t] - -b", r"W^\top x_t - (-b)"),
        ("(V @ W) @ x[t] + V @ (W @ x[t])", "V W x_t + V (W x_t)"),
        ("(V + W) @ x[t]", "(V + W) x_t"),
        ("w @ x[t] + B @ x[t]", r"w \mathbin{@} x_t + B \mathbin{@} x_t"),
        ("W @ u + W @ sum(x[t])", r"W \mathbin{@} u + W \mathbin{@} \operatorname{sum}(x_t)"),
        ("W @ [x[t]]", r"W \operatorname{concat}(x_t)"),
        ("W @ (t + x[t])", r"W \mathbin{@} (t + x_t)"),
        ("2 * x[t] * z[t-1] + x[t] * 2", r"2 x_t \odot z_{t-1} + x_t \odot 2"),
        ("2 * 3 * x[t] + 2 * 3**x[t]", r"2 \cdot 3 \odot x_t + 2 \odot 3^{x_t}"),
        ("alpha * x[t] * (alpha * (x[t] + 1))", r"\alpha x_t \odot \alpha (x_t + 1)"),
        ("alpha * W @ x[t] - u * B", r"\alpha W x_t - u B"),
        ("-W @ x[t] + -(x[t] * b)", r"-W x_t + (-(x_t \odot b))"),
        ("-1e-5 * x[t] + 2.5e20", r"-10^{-5} x_t + 2.5 \times 10^{20}"),
        ("x[t] / (z[t-1] + 1) / 2", r"\frac{\frac{x_t}{z_{t-1} + 1}}{2}"),
        ("x[t]**2 + b**-0.5 + W**2", "x_t^2 + b^{-0.5} + (W)^2"),
        ("x[t]**b + x[t]**t + 10**x[t]", r"(x_t)^{\mathit{b}} + (x_t)^{(t)} + 10^{x_t}"),
        ("tanh(x[t])**2 + (-b)**2 + e**2", r"(\tanh(x_t))^2 + (-b)^2 + (e)^2"),
        ("abs(x[t])**2", r"\lvert x_t \rvert^2"),
        ("norm(b / 2)", r"\left\lVert \frac{b}{2} \right\rVert"),
        ("sigmoid(x[t] / 2) + sqrt(b)", r"\sigma\left(\frac{x_t}{2}\right) + \sqrt{b}"),
        ("relu(b)", r"\operatorname{ReLU}(b)"),
        ("layer_norm(x[t], b)", r"\operatorname{LayerNorm}(x_t, b)"),
        ("max(x[t], 0) - maximum(x[t], b)", r"\max(x_t, 0) - \max(x_t, b)"),
        ("x[t] <= b", r"(x_t \le b)"),
        ("(x[t] == b) * (t % 3 < 1)", r"(x_t = b) \odot (t \bmod 3 < 1)"),
        ("x[t] + where(b < 0, b, 1)", r"x_t + \operatorname{where}(b < 0, b, 1)"),
        ("where(b, 1, 2)", r"\operatorname{where}(b, 1, 2)"),
        (
            "where(b < 0, 1, where(x[t] != 0, b, -1))",
            r"\begin{cases} 1 & \text{if } b < 0 \\ b & \text{if } x_t \neq 0 \\"
            r" -1 & \text{otherwise} \end{cases}",
        ),
        ('einsum("ij,j->i", W, x[t])', r"\operatorname{einsum}_{ij,j \to i}(W, x_t)"),
        ("floor(x[t] / 2)", r"\left\lfloor \frac{x_t}{2} \right\rfloor"),
    ],
)  # fmt: skip
def test_products_powers_and_brackets(text, expected):
    assert right_side(text) == expected


@pytest.mark.parametrize(
    ("name", "time", "expected"),
    [
        ("W_z", "", "W_z"),
        ("W_ih_f", "", "W_{ih,f}"),
        ("alpha", "t", r"\alpha_t"),
        ("Gamma_u", "t", r"\Gamma_{u,t}"),
        ("lam", "", r"\lambda"),
        ("c_hat", "t-1", r"\hat{c}_{t-1}"),
        ("h_hat_c", "t", r"\hat{h}_{c,t}"),
        ("b_c_tilde", "", r"b_{\tilde{c}}"),
        ("U_theta", "", r"U_\theta"),
        ("f_1", "t-12", "f_{1,t-12}"),
        ("b_reset", "", r"b_{\text{reset}}"),
        ("cell", "t", r"\mathit{cell}_t"),
        ("n1", "t", r"\mathit{n1}_t"),
        ("W_t", "", r"\mathit{W\_t}"),
        ("a__b", "", r"\mathit{a\_\_b}"),
        ("hat_", "t", r"\mathit{hat\_}_t"),
        ("ĉ", "t", "ĉ_t"),
        ("n̂", "t", r"\mathit{n̂}_t"),
    ],
)
def test_names(name, time, expected):
    assert latex_name(name, time) == expected


def test_a_name_that_looks_like_an_initial_state_is_written_whole():
    page = write_latex(read("h[0] = h_0\nh[t] = W_1 * h[t-1] + x[t]"))
    assert page.splitlines()[1:3] == [
        r"  h_0 &= \mathit{h\_0} \\",
        r"  h_t &= W_1 \odot h_{t-1} + x_t",
    ]


def test_what_a_text_says_of_its_names():
    page = write_latex(
        read(
            "U: hidden, head_size + input\nv: cell, per sequence\nm: per step\nW: hidden, frozen\n"
            "d: bernoulli(0.9)\nk = [1, -2]\nP = [[0, 1], [1, 0]]\nQ = [[1, 2]]\n"
            "h[t] = W * x[t] + m[t] * d[t] + sum(v) + sum(U) + sum(P) + sum(k) + sum(Q)\n"
            "y[t] = h[t]\nreturn h, y"
        )
    )
    assert [line.strip() for line in page.splitlines()][1:9] == [
        r"U &\in \mathbb{R}^{\text{hidden} \times (\mathrm{head\_size} + \text{input})} \\",
        r"v &\in \mathbb{R}^{\text{cell}} \text{ per sequence} \\",
        r"m_t &\text{ per step} \\",
        r"W &\in \mathbb{R}^{\text{hidden}} \text{ frozen} \\",
        r"d_t &\sim \operatorname{Bernoulli}(0.9) \\",
        r"k &= [1, -2] \\",
        r"P &= \begin{bmatrix} 0 & 1 \\ 1 & 0 \end{bmatrix} \\",
        r"Q &= [[1, 2]] \\",
    ]
    assert page.splitlines()[-2].strip() == r"&\text{return } h_t, y_t"


def check_form(page: str) -> None:
    """Braces and environments in pairs, every command known: what a page can be set from."""
    depth = 0
    for sign in re.sub(r"\\.", "", page):
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    edges = re.findall(r"\\(begin|end)\{(\w+)\}", page)
    assert {name for _, name in edges} <= ENVIRONMENTS
    opened = []
    for edge, name in edges:
        if edge == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert page.count(r"\left") - page.count(r"\leftarrow") == page.count(r"\right")
    assert set(re.findall(r"\\([A-Za-z]+)", page)) <= KNOWN
    lines = page.split("\n")[1:-1]
    assert all(re.sub(r"\\begin.*\\end", "", line).count("&") == 1 for line in lines)


@pytest.mark.parametrize("name", cells)
def test_every_library_cell_can_be_set(name):
    check_form(write_latex(read(cells.text(name), name, cells.text)))


@given(texts())
def test_every_drawn_cell_can_be_set(text: Text):
    check_form(write_latex(text))


def test_every_letter_and_accent_is_a_command_of_latex():
    assert {command[1:] for command in COMMANDS.values()} <= KNOWN
    assert set(ACCENTS) <= KNOWN
    assert len(set(COMMANDS.values())) == len(COMMANDS)
    assert all(word.isalpha() for word in OPERATORS.values())


words = st.from_regex(re.compile("[A-Za-z_][A-Za-z0-9_]{0,6}", re.ASCII), fullmatch=True)
parts = st.sampled_from(
    ["h", "W", "t", "hat", "bar", "alpha", "lam", "ih", "1", "01", "in", "", "ĉ"]
)


@given(st.lists(words | st.lists(parts, min_size=1).map("_".join), min_size=2, unique=True))
def test_two_names_never_look_alike(names):
    written = {latex_name(name, time) for name in names for time in ("", "t", "t-1")}
    assert len(written) == 3 * len(names)

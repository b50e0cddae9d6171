"""LaTeX, Markdown and HTML: well-formed, with the letters of the page, and nothing obeyed."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import html5lib
import numpy as np
import pytest

import elman
from elman.language import read
from elman.language.syntax import Binary, Call, Name, Number, Transpose
from elman.trace.document import Chain, Document, Given, Remark, Section, Table
from elman.trace.formats import mathml
from elman.trace.formats.html import write_html
from elman.trace.formats.latex import write_latex
from elman.trace.formats.latex_breaks import breadth, broken
from elman.trace.formats.latex_letters import in_ascii, in_text
from elman.trace.formats.latex_math import Formulas
from elman.trace.formats.markdown import escaped, write_markdown
from elman.trace.formats.mathml_names import math_name
from elman.trace.leaves import GRADIENT, INNER, UPDATED, Dated, Shown
from elman.trace.numbers import Digits
from tests.backends.table import LIBRARY
from tests.trace.examples import EXAMPLES
from tests.trace.formats import SIZES, example, library

CELLS = list(zip(LIBRARY, (SIZES * len(LIBRARY))[: len(LIBRARY)], strict=True))[::3]  # quickly
EVIL = "<b>&\"' $x_1$ | \\end{document} # 50% `*_~^ {"
NOWHERE = Section("step 1", (Remark("Nothing."),))


def page(*items, title="", text=None) -> Document:
    found = Document((Section("step 1", items),), title)
    return found if text is None else replace(found, text=text)


# ---- LaTeX and Markdown ----


EQUATIONS = Document((), text=read("h[t] = tanh(U @ h[t-1] + x[t])").text)


def latex(expr) -> str:
    return Formulas(EQUATIONS, Digits()).write(expr)


def test_names_are_those_of_the_page():
    cell = elman.Cell.from_latex(r"\hat{c}_t = \tanh(W_{hy} x_t + \Gamma_u \odot \hat{c}_{t-1})")
    trace = cell.trace({"x": [[1.0]]}, {"W_hy": [[2]], "Gamma_u": [1]})
    assert r"\hat{c}_1 &= \tanh(W_{hy} x_1 + \Gamma_u \hat{c}_0)" in trace.to_latex()
    assert r"\hat{c}_1 &= \tanh(W_{hy} x_1 + \Gamma_u \hat{c}_0)" in trace.to_markdown()
    assert '<mover accent="true"><mi>c</mi><mo stretchy="false">^</mo></mover>' in trace.to_html()
    assert "<mi>Γ</mi><mi>u</mi>" in trace.to_html()


DERIVATIVES = [
    (Dated("h", 2), "h_2"),
    (Dated("h", 12), "h_{12}"),
    (Dated("x", -1), "x_{-1}"),
    (Dated("h", 2, GRADIENT), r"\frac{\partial E}{\partial h_2}"),
    (Dated("U", None, GRADIENT), r"\frac{\partial E}{\partial U}"),
    (Dated("U", 2, GRADIENT), r"\left.\frac{\partial E}{\partial U}\right|_{2}"),
    (Dated("h", 2, INNER), r"\delta_{h,2}"),
    (Dated("h", 2, "inner 2"), r"\delta^{(2)}_{h,2}"),
    (Dated("h", 2, "since 0"), r"\frac{\partial h_2}{\partial h_0}"),
    (
        Dated("h", 2, "since 0 alone"),
        r"\left.\frac{\partial h_2}{\partial h_0}\right|_{h \text{ alone}}",
    ),
    (Dated("U", None, UPDATED), r"U_\text{new}"),
    (Dated("t", 3), "t"),
]


@pytest.mark.parametrize(("name", "written"), DERIVATIVES)
def test_every_kind_of_name_has_its_sign(name, written):
    assert latex(name).replace(r"_{\text{new}}", r"_\text{new}") == written
    ET.fromstring(f"<x>{mathml.MathML(EQUATIONS, Digits()).write(name)}</x>")


def test_nothing_has_two_superscripts():
    second, row = Dated("w", 1, "inner 2"), Shown(np.arange(13.0))
    two, turned = r"\delta^{(2)}_{w,1}", rf"({', '.join(map(str, range(13)))})^{{\top}}"
    assert latex(Transpose(second)) == rf"({two})^\top"
    assert latex(Call("outer", (second, second))) == rf"{two} \, ({two})^\top"
    assert latex(Binary("**", second, Number(2.0))) == rf"({two})^2"
    page = Formulas(EQUATIONS, Digits(limit=20))
    assert page.write(Binary("**", row, Number(2.0))) == f"({turned})^2"
    assert page.write(Call("outer", (row, row))) == rf"{turned} \, ({turned})^\top"


def test_a_blank_page_has_room_for_answers():
    asked = example("scalar").asking("", ["Why?", "How?"])
    rule, room = (
        r"\rule{0pt}{10mm}\hrulefill",
        '<div class="room"><div></div><div></div><div></div>',
    )
    for page, line, count in (
        (asked.to_latex, rule, 6),
        (asked.to_html, room, 2),
        (asked.to_markdown, "&nbsp;\n\n---\n", 4),
    ):
        assert page(blank=True).count(line) == count
        assert line not in page()


def test_a_small_letter_that_is_a_matrix_stands_beside_its_vector():
    trace = elman.Cell("h[t] = w @ x[t] + w.T @ v[t]").trace(
        {"x": [[1.0, 2.0]], "v": [[1.0, 0.0]]}, {"w": [[1, 2], [3, 4]]}
    )
    assert r"h_1 &= w x_1 + w^\top v_1" in trace.to_latex()
    assert "<mi>w</mi><mo>\u2062</mo>" in trace.to_html()


def test_a_weight_becomes_another_one():
    text = example("halves").to_latex()
    assert r"W &\leftarrow W - 0.25 \frac{\partial E}{\partial W}" in text
    assert '<mo form="infix">←</mo>' in example("halves").to_html()


SHOWN = [
    (-3.0, "-3"), (1e-7, "10^{-7}"), (1.5e12, r"1.5 \cdot 10^{12}"), (np.inf, r"\infty"),
    (-np.inf, r"-\infty"), (np.nan, r"\text{nan}"),
    ([1.0, -2.5], r"\left(\begin{array}{@{}r@{}} 1 \\ -2.5 \end{array}\right)"),
    ([[1.0, 2.0], [3.0, 4.0]], r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
    (np.zeros((9, 2)), r"\left[9 \times 2\text{ values}\right]"),
    (np.arange(9.0), r"\begin{pmatrix} 0 \\ 1 \\ 2 \\ \vdots \\ 8 \end{pmatrix}_{\text{9 values}}"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "written"), SHOWN)
def test_values_in_latex(value, written):
    assert latex(Shown(np.array(value), given=True)) == written


def looks(op: str, left: float, right: float) -> tuple[str, str]:
    expr = Binary(op, Shown(np.array(left)), Shown(np.array(right)))
    found = mathml.MathML(EQUATIONS, Digits()).write(expr)
    return latex(expr), re.sub("<[^>]*>", "", found)


def test_signs_and_brackets_of_numbers():
    assert looks("+", 2, -3) == ("2 - 3", "2−3")
    assert looks("-", 2, -3) == ("2 - (-3)", "2−(−3)")
    assert looks("*", 2, -3) == (r"2 \cdot (-3)", "2·(−3)")
    assert looks("*", -2, 3) == (r"-2 \cdot 3", "−2·3")
    assert looks("**", -2, 3) == ("(-2)^3", "(−2)3")
    assert looks("<", 2, -3) == ("2 < -3", "2&lt;−3")


def test_a_function_of_a_vector_has_its_brackets_once():
    expr = Call("tanh", (Shown(np.array([1.0, 2.0])),))
    assert latex(expr) == r"\tanh\begin{pmatrix} 1 \\ 2 \end{pmatrix}"
    assert latex(Call("strange'", (Shown(np.array(1.0)),))) == r"\operatorname{strange}'(1)"


def test_letters_that_latex_lacks_are_commands():
    assert in_ascii("ĉ") == r"\hat{c}" and in_ascii("Γ") == r"{\Gamma}"
    trace = elman.Cell("ĉ[t] = Γ * x[t] + я  # das Maß µ, 心").trace({"x": [1.0]}, {"Γ": 2, "я": 1})
    body = trace.to_latex().partition(r"\begin{document}")[2]
    assert re.sub("[µß]", "", body).isascii()
    assert "[U+5FC3]" in body and r"\hat{c}_1" in body


def test_an_accent_in_an_index_has_braces():
    trace = elman.Cell("ĉ[t] = W_ĉ * x[t] + b_ĉ_й").trace({"x": [1.0]}, {"W_ĉ": 2, "b_ĉ_й": 1})
    assert r"\hat{c}_1 &= W_{\hat{c}} x_1 + b_{\hat{c}," in trace.to_latex()
    assert not re.search(r"[_^]\\(?:hat|text|mathit|breve)\{", trace.to_latex())
    assert in_ascii("W_я^ĉ") == r"W_{\mathit{ya}}^{\hat{c}}" and in_ascii("W_Γ") == r"W_{\Gamma}"


def test_words_stand_in_quotes_that_every_encoding_has():
    quoted = {
        '"love"': "``love''",
        'largest: 0.5, "no"': "largest: 0.5, ``no''",
        '("a b")': "(``a b'')",
        '5" of "': "5'' of ''",
        '"': "''",
    }
    assert {text: in_text(text) for text in quoted} == quoted
    assert in_text("«ð»") == "".join(rf"{{\fontencoding{{T1}}\selectfont {c}}}" for c in "«ð»")
    assert in_text("ħ") == "[U+0127]" and in_ascii("ð") == r"\mathit{eth}"
    trace = elman.Cell("y[t] = softmax(W @ x[t])").trace({"x": [[0, 1]]}, {"W": [[0, 1], [0, 2]]})
    text = trace.named(["yes", "no"]).to_latex()
    assert "(``no'')" in text and "textquotedbl" not in text


ONE_UNIT = """
f[t] = sigmoid(u @ x[t])
h[t] = (1 - f[t]) * tanh(w * x[t] * 0.5) + f[t] * -h[t-1]
"""


def test_numbers_with_names_stand_beside_each_other():
    one = {"x": [[1.0]]}, {"u": [[2.0]], "w": [0.6]}, {"h": [0.5]}
    trace = elman.Cell(ONE_UNIT).trace(*one, cotangents={"h": [[1.0]]})
    formula = r"h_1 &= (1 - f_1) \tanh(w x_1 \cdot 0.5) + f_1 (-h_0) \\"
    assert formula in trace.to_latex() and formula in trace.to_markdown()
    assert r"f_1 &= \sigma(u x_1)" in trace.to_latex() and r"\odot" not in trace.to_latex()
    shown = re.sub("<[^>]*>", "", trace.to_html().partition("<body>")[2])
    assert "⊙" not in shown and "@" not in shown
    assert "w\u2062x1·0.5" in shown and "f1\u2062(−h0)" in shown
    assert "f[1] * -h[0]" in trace.to_text()


def test_vectors_keep_their_sign_beside_numbers():
    two = {"x": [[1.0, 2.0]]}, {"u": [[2.0, 1.0], [0.0, 1.0]], "w": [0.6, 0.7]}
    trace = elman.Cell(ONE_UNIT).trace(*two)
    assert r"w \odot x_1" in trace.to_latex() and r"f_1 \odot (-h_0)" in trace.to_latex()
    assert "<mo>⊙</mo>" in trace.to_html()


def test_a_matrix_stands_beside_a_vector_of_one_entry():
    trace = elman.Cell("h[t] = W @ x[t]").trace({"x": [[1.0]]}, {"W": [[2.0], [3.0]]})
    assert "h_1 &= W x_1 " in trace.to_latex()
    assert "<mi>W</mi><mo>\u2062</mo><msub><mi>x</mi>" in trace.to_html()


def test_a_name_whose_derivative_is_a_vector_is_no_number():
    cell = elman.Cell("s[t] = sum(v * x[t])\ny[t] = s[t] * x[t]")
    trace = cell.trace({"x": [[1.0, 2.0]]}, {"v": [1, 2]}, cotangents={"y": [[1.0, 1.0]]})
    made = trace.document()
    assert "s" in made.singles and not {"x", "v", "y"} & made.singles
    assert r"y_1 &= s_1 \odot x_1" in trace.to_latex()


def test_a_broken_bracket_is_closed_and_opened_again():
    row = " + ".join([r"\begin{pmatrix} 0.1234 \\ 0.5 \end{pmatrix}"] * 20)
    lines = broken(rf"\tanh\left({row}\right)", 60)
    assert len(lines) > 2 and all(breadth(line) <= 66 for line in lines)
    for line in lines:
        assert line.count(r"\left") == line.count(r"\right")
    rejoined = "".join(lines).replace(r"\right.\left.", " ")
    assert rejoined.replace(" ", "") == rf"\tanh\left({row}\right)".replace(" ", "")


def test_a_page_of_latex_can_hold_whatever_is_said():
    text = write_latex(page(Remark(EVIL), Chain(Name("h"), (Number(1.0),), EVIL, EVIL)), Digits())
    assert text.count(r"\end{document}") == 1  # its own
    assert r"\textbackslash{}end\{document\}" in text and r"50\%" in text


def test_markdown_keeps_words_and_mathematics_apart():
    text = write_markdown(page(Remark(EVIL), Given(Name("h"), np.ones(2), EVIL, EVIL)), Digits())
    assert r"\<b\>" in text and r"50%" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bare = [re.sub(r"\\.", "", row) for row in rows]
    assert {row.count("|") for row in bare} == {4}
    assert escaped("2. h") == r"2\. h" and escaped("+ h") == r"\+ h"


@pytest.mark.parametrize("name", ["where", "5_next_word", "antisymmetric_rnn"])
def test_markdown_has_nothing_that_github_refuses(name):
    text = EXAMPLES[name].trace().to_markdown()
    for refused in (r"\operatorname", r"\phantom", r"\hspace", r"\mbox", "@{}", " < ", " > "):
        assert refused not in text
    blocks = text.split("$$")[1::2]
    assert blocks and all("\n\n" not in block and "#" not in block for block in blocks)


# ---- HTML ----


@pytest.mark.parametrize(("name", "hidden"), CELLS)
def test_html_is_valid_and_stands_alone(name, hidden):
    text = library(name, hidden).to_html()
    html5lib.HTMLParser(strict=True).parse(text)
    assert not re.search(r"<script|<link|<img|https?:|url\(|@import|\son\w+=", text)
    ET.fromstring(text.partition("<body>")[2].partition("</body>")[0])  # closed as XML is


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARY)
def test_html_of_every_size_is_valid(name):
    for hidden in SIZES:
        html5lib.HTMLParser(strict=True).parse(library(name, hidden).to_html(blank=True))
        html5lib.HTMLParser(strict=True).parse(library(name, hidden).to_html())


def test_a_single_letter_is_in_italics_with_its_accent_over_it():
    over = '<mover accent="true"><mi>c</mi><mo stretchy="false">^</mo></mover>'
    assert math_name("ĉ") == math_name("c_hat") == over
    low = f"<mrow>{over}<mo>,</mo><mn>2</mn></mrow>"
    assert math_name("W_ĉ", "2") == f"<msub><mi>W</mi>{low}</msub>"
    assert math_name("я") == '<mi class="letter">я</mi>' and math_name("Γ") == "<mi>Γ</mi>"
    assert math_name("名") == "<mi>名</mi>" and math_name("ĉell") == "<mi>ĉell</mi>"
    trace = elman.Cell("ĉ[t] = x[t] ** 2 + ĉ[t-1] ** 2").trace({"x": [1.0]}, {})
    assert f"<msubsup>{over}<mn>0</mn><mrow><mn>2</mn></mrow></msubsup>" in trace.to_html()
    assert ".elman-trace mi.letter { font-style: italic; }" in trace.to_html()


class Outline(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [found for each, found in self.tags if each == tag]


def test_a_page_has_a_language_a_title_headings_and_anchors():
    text = example("scalar").to_html()
    outline = Outline(text)
    assert outline.of("html") == [{"lang": "en"}] and "<title>Worked example</title>" in text
    assert len(outline.of("h1")) == 1
    anchors = [each["id"] for each in outline.of("section")]
    assert anchors[:2] == ["step-1", "step-2"] and "step-2-backwards" in anchors
    assert [each["href"] for each in outline.of("a")] == [f"#{anchor}" for anchor in anchors]
    assert len(outline.of("h2")) == len(anchors) == len(set(anchors))


def test_sections_of_one_title_have_different_anchors():
    document = Document((NOWHERE, NOWHERE, NOWHERE), EVIL)
    text = write_html(document, Digits())
    ids = [each["id"] for each in Outline(text).of("section")]
    assert ids == ["step-1", "step-1--2", "step-1--3"]


def test_whatever_is_said_is_escaped():
    items = (
        Remark(EVIL),
        Chain(Name("h"), (Number(1.0),), EVIL, EVIL),
        Table((EVIL,), ((EVIL,),), EVIL),
    )
    text = write_html(page(*items, title=EVIL), Digits())
    html5lib.HTMLParser(strict=True).parse(text)
    assert "<b>" not in text and not Outline(text).of("b")
    assert text.count("&lt;b&gt;") == 8


def test_a_fragment_does_not_touch_the_page_around_it():
    text = example("scalar")._repr_html_()
    assert text.startswith('<div class="elman-trace">') and "id=" not in text
    style = re.sub(
        r"/\*.*?\*/", "", text.partition("<style>")[2].partition("</style>")[0], flags=re.S
    )
    rules = re.findall(r"(?:^|[{}])\s*([^{}@]+?)\s*\{", style)
    selectors = [each.strip() for rule in rules for each in rule.split(",")]
    assert selectors and all(each.startswith(".elman-trace") for each in selectors)


def test_a_notebook_gets_html_and_latex():
    trace = example("halves")
    html5lib.HTMLParser(strict=True).parseFragment(trace._repr_html_())
    assert "documentclass" not in trace._repr_latex_() and r"\begin{align*}" in trace._repr_latex_()


CORE = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msub", "msup", "msubsup", "mover"),
    *("mfrac", "msqrt", "mtable", "mtr", "mtd"),
}


@pytest.mark.parametrize("name", [*EXAMPLES, "read_out", "halves", "scalar"])
def test_mathematics_is_mathml_core(name):
    trace = EXAMPLES[name].trace() if name in EXAMPLES else example(name)
    body = trace.to_html().partition("<body>")[2].partition("</body>")[0]
    arity = {"msub": 2, "msup": 2, "msubsup": 3, "mover": 2, "mfrac": 2}
    for maths in ET.fromstring(body).iter("math"):
        for part in maths.iter():
            assert part.tag in CORE
            assert len(part) == arity.get(part.tag, len(part)), ET.tostring(part)

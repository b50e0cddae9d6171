"""Pages of LaTeX go through pdflatex, alone and inside of another document."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import elman
from tests.backends.table import LIBRARY
from tests.trace import drawn_cells
from tests.trace.formats import EXAMPLES, SIZES, example, library

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("pdflatex") is None,
        reason="no pdflatex: tests/pages/install.sh installs it",
    ),
]
# another document, with a class, a font size and margins of its own
HOST = r"""\documentclass[11pt]{report}
\usepackage{amsmath}
\usepackage[margin=20mm]{geometry}
\begin{document}
Before.
%s
After.
\end{document}
"""
LETTERS = """
ĉ[t] = tanh(Γ_u * x[t] + я * ĉ[t-1] + ø * ẍ)  # Größe µ²: 50 % & #1 {a_b} ~ \\x "→" ≤ 心 «œ»
c_hat_t[t] = softmax([ĉ[t], W_t * ĉ[t], ĉ[t] ** 3 * W_ĉ])  # $x$ ^ < > | »þ« đ ħ ŋ ų
"""


def typeset(folder: Path, name: str, text: str) -> str:
    """What pdflatex says; it must not stop, and must print every line."""
    (folder / f"{name}.tex").write_text(text, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", f"{name}.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=600)
    said = run.stdout.decode("utf-8", "replace")
    errors = re.findall(r"^(?:!|.*(?:Missing character|Undefined control)).*", said, re.M)
    assert run.returncode == 0 and not errors, said[-3000:]
    assert (folder / f"{name}.pdf").stat().st_size > 1000
    return said


def overfull(said: str) -> list[float]:
    """By how many points lines stand out of the page."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", said)]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("blank", [False, True])
def test_a_page_compiles_alone_and_inside_of_another(name, blank, tmp_path):
    page = example(name).to_latex(blank=blank)
    assert not overfull(typeset(tmp_path, "alone", page))
    assert not overfull(typeset(tmp_path, "host", HOST % r"\input{alone} \input{alone}"))


def test_a_document_without_amsmath_is_told(tmp_path):
    (tmp_path / "page.tex").write_text(example("scalar").to_latex(), "utf-8")
    host = (HOST % r"\input{page}").replace("\\usepackage{amsmath}\n", "")
    (tmp_path / "host.tex").write_text(host, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "host.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode != 0 and b"This file needs \\usepackage{amsmath}" in run.stdout


@pytest.mark.parametrize("backward", [False, True])
def test_every_cell_of_the_library_compiles_and_stays_on_the_page(backward, tmp_path):
    inputs = []
    for name in LIBRARY:
        for hidden in SIZES:
            trace = library(name, hidden, backward=backward)
            for blank in (False, True):
                file = f"{name}_{hidden}_{blank}"
                (tmp_path / f"{file}.tex").write_text(trace.to_latex(blank=blank), "utf-8")
                inputs.append(rf"\typeout{{at {file}}}\input{{{file}}}")
    host = HOST.replace("11pt", "10pt") % "\n".join(inputs)
    assert not overfull(typeset(tmp_path, "host", host))


def test_every_cell_compiles_alone(tmp_path):
    for name in LIBRARY[::6]:
        typeset(tmp_path, name, library(name, 2).to_latex())


def test_letters_of_every_alphabet_compile(tmp_path):
    cell = elman.Cell(LETTERS)
    weights = {name: np_ones(shape) for name, shape in cell.shapes(hidden=1, input=1).items()}
    weights = {name: weights[name] for name in cell.parameters}
    trace = cell.trace({"x": [[1.0], [2.0]]}, weights)
    assert not overfull(typeset(tmp_path, "letters", trace.to_latex()))
    assert not overfull(typeset(tmp_path, "host", HOST % r"\input{letters}"))


def test_words_compile_inside_of_a_document_of_another_encoding(tmp_path):
    trace = elman.Cell("y[t] = softmax(W @ x[t])").trace({"x": [[0, 1]]}, {"W": [[0, 1], [0, 2]]})
    page = trace.named(["yes", "no"]).asking("Words", ['Is it "yes"?']).to_latex()
    (tmp_path / "srn.tex").write_text(page, "utf-8")
    head = r"\documentclass{article}\usepackage{amsmath}"
    typeset(tmp_path, "host", head + r"\begin{document}\input{srn.tex}\end{document}")


def np_ones(shape: tuple[int, ...]) -> list:
    return 0.5 if not shape else [np_ones(shape[1:]) for _ in range(shape[0])]


def test_seventeen_digits_stay_on_the_page(tmp_path):
    said = typeset(tmp_path, "long", library("lstm", 3).to_latex(digits=17))
    assert not overfull(said)


@pytest.mark.filterwarnings("ignore::elman.errors.CellWarning")
def test_drawn_cells_compile_there_and_back_and_stay_on_the_page(tmp_path):
    inputs = []
    for cell, given in drawn_cells.cells(range(30)):
        page, file = cell.trace(**given, lr=0.5).to_latex(), cell.name.replace(" ", "_")
        (tmp_path / f"{file}.tex").write_text(page, "utf-8")
        inputs.append(rf"\typeout{{at {file}}}\input{{{file}}}")
    turned = elman.Cell("w[t] = tanh(relu(outer(x[t], b).T)) ** 2").trace(
        {"x": [[1, -2]]}, {"b": [0.5, 0.3, 0.1]}, cotangents={"w": [[[1, 1]] * 3]}
    )
    (tmp_path / "turned.tex").write_text(turned.asking("", ["Why?"]).to_latex(blank=True), "utf-8")
    host = HOST.replace("11pt", "10pt") % "\n".join([*inputs, r"\input{turned}"])
    assert max(overfull(typeset(tmp_path, "host", host)), default=0) <= 10

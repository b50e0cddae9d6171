"""What a sheet may hold, where it finds its files, and that nothing in one breaks the reader."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import elman
from elman import sheets
from elman.errors import ElmanError
from tests.sheets.conftest import DATA, RNN
from tests.soon import soon

WORDS = """equations: |
  h[t] = tanh(W @ x[t] + U @ h[t-1])
  y[t] = softmax(V @ h[t])
weights: {W: [[1, 0, -1]], U: 1, V: [[1], [0], [2]]}
inputs: {x: [yes, no, maybe]}
"""


def sheet(folder: Path, text: str) -> sheets.Sheet:
    path = folder / "exercise.sheet.yaml"
    path.write_text(text, "utf-8")
    return sheets.load(path)


def test_a_sheet_is_a_trace_with_claims(tmp_path):
    found = sheet(
        tmp_path, RNN + "title: By hand\ndigits: 3\nquestions: ['Why?']\nanswers: [So.]\n"
    )
    assert found.title == "By hand"
    assert found.digits == 3
    assert (found.questions, found.answers) == (("Why?",), ("So.",))
    assert found.cell is not None
    assert found.cell.parameters == ("W", "U", "b")
    assert found.trace().values["h"].round(4).tolist() == [[0.8005], [0.9518]]
    assert found.check().claims == ()
    assert found.check().summary == "no claims"


def test_words_are_one_hot_vectors(tmp_path):
    listed = sheet(tmp_path, WORDS + "names: [yes, no, maybe]\n")
    assert listed.names == {"x": ("yes", "no", "maybe"), "y": ("yes", "no", "maybe")}
    first = listed.trace().steps[0].reads[0]
    assert (first.label, first.value.tolist()) == ("x[1]", [1, 0, 0])
    (tmp_path / "answers.txt").write_text("\ufeffyes\nno\nmaybe\n\n", "utf-8")
    from_file = sheet(tmp_path, WORDS + "names: answers.txt\n")
    assert from_file.names == listed.names
    apart = sheet(tmp_path, WORDS + "names: {x: [yes, no, maybe], y: [a, b, c]}\n")
    assert apart.names["y"] == ("a", "b", "c")


def test_the_word_that_is_claimed_is_that_of_the_largest_entry(check):
    head = WORDS + "names: [yes, no, maybe]\n"
    assert check("word of y[1]: maybe", head).claims[0].verdict == "right"
    assert check("word of y[1]: yes", head).claims[0].verdict == "wrong"
    printed = check("y[1]: [.7, .1, .2]\nword of y[1]: yes", head)
    assert [claim.verdict for claim in printed.claims] == ["wrong", "follows"]


def test_files_stand_beside_the_sheet(tmp_path):
    weights = {"W": [[0.4, 0.3]], "U": [[0.5]], "b": [0.1]}
    np.savez(tmp_path / "w.npz", **{name: np.array(a) for name, a in weights.items()})
    (tmp_path / "w.yaml").write_text("W: [.4, .3]\nU: 5e-1\nb: .1\n", "utf-8")
    elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)").save(tmp_path / "my.cell")
    (tmp_path / "my.tex").write_text(r"$h_t = \tanh(W x_t + U h_{t-1} + b)$", "utf-8")
    for cell in ("my.cell", "my.tex"):
        for file in ("w.npz", "w.yaml"):
            text = (
                f"cell: {cell}\nweights: {file}\ninputs: {{x: [[1, 2]]}}\nclaims: {{'h[1]': .8005}}"
            )
            assert sheet(tmp_path, text).check()


def test_a_library_cell_a_page_steps_and_a_state(tmp_path):
    gated = "cell: gru\nweights: {%s}\ninputs: {x: [[1]]}\n"
    weights = ", ".join(f"{letter}_{gate}: .5" for letter in "WUb" for gate in "rzn")
    assert sheet(tmp_path, gated % weights).trace().values["h"].shape == (1, 1)
    page = "latex: |\n  h_t = w h_{t-1}\nweights: {w: .5}\nsteps: 3\nstate: {h: [8]}\n"
    assert sheet(tmp_path, page).trace().values["h"].ravel().tolist() == [4, 2, 1]


def test_weights_keep_their_signs_and_exponents(tmp_path):
    text = "equations: h[t] = w * x[t] + v\nweights: {w: -.5, v: -1e-3}\ninputs: {x: [+2, 010]}\n"
    found = sheet(tmp_path, text)
    assert found.trace().values["h"].ravel().tolist() == [-1.001, -5.001]


def test_arithmetic_alone_has_no_trace(tmp_path):
    found = sheet(tmp_path, "claims: {2 * 3: 6}\n")
    assert found.cell is None
    assert found.check()
    with pytest.raises(ElmanError, match="has no cell to trace"):
        found.trace()


def test_digits_of_correct_values(check, tmp_path):
    found = sheet(tmp_path, RNN + "claims: {'h[2]': .95}\n")
    assert found.check().claims[0].correct == "0.95"
    assert found.check(digits=6).claims[0].correct == "0.951769"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: &a [*a]\n",
        "&a {b: &b [1, 2], c: [*b, *b]}",
        "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e]\n",
        "!!python/object:os.system {}",
        "claims: {'" + "(" * 3000 + "': 1}",
        "claims: {'" + "1+" * 20000 + "1': 1}",
        "claims: {'exp(1000)': 3}",
        "claims: {'1 / 0': 3, 'log(0)': -1, '0 / 0': 0}",
        "claims: {'1': '1e400'}",
        "claims: {'': 1}",
        "claims: {'h[1]': 1}",
        "claims: {1: 2, ~: 3}",
        "\x00",
        "\ufeffclaims: {'1': 1}",
        "--- 1\n--- 2\n",
        "%YAML 9\n",
        "title: 2020-01-01\nclaims: {'1': 1}\n",
    ],
)
def test_odd_files_are_refused_in_words_or_checked(tmp_path, text):
    with soon(10):
        try:
            sheet(tmp_path, text).check().to_text()
        except ElmanError as error:
            assert str(error)


def test_mutilated_sheets_never_break_the_reader(tmp_path):
    rng = random.Random(0)
    texts = [path.read_text("utf-8") for path in sorted(DATA.glob("*.yaml"))]
    for _ in range(120):
        text = rng.choice(texts)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text))
            end = at + rng.randint(0, 12)
            text = (
                text[:at]
                + rng.choice(["", ":", "[", "}", "-", "x", "h[9]", "\n", "~"])
                + text[end:]
            )
        try:
            sheet(tmp_path, text).check().to_text()
        except ElmanError as error:
            assert str(error)

"""Pages in every format: goldens, values for programs, exercises with gaps."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import elman
from elman.language.syntax import Name, Number
from elman.trace.document import Chain, Document, Given, Remark, Section, blanked
from elman.trace.formats import data as values
from elman.trace.formats.latex_breaks import breadth
from elman.trace.formats.text import write_text
from elman.trace.leaves import Gap, Shown
from elman.trace.numbers import Digits
from elman.trace.worked import dated
from tests.backends.table import LIBRARY
from tests.trace.examples import EXAMPLES
from tests.trace.formats import FOLDER, FORMATS, PAGES, SIZES, example, library

CELLS = list(zip(LIBRARY, (SIZES * len(LIBRARY))[: len(LIBRARY)], strict=True))

# ---- the goldens ----


@pytest.mark.parametrize(("name", "ending"), PAGES)
def test_a_page_is_the_golden_one(name, ending):
    assert FORMATS[ending](example(name)) == (FOLDER / f"{name}.{ending}").read_text("utf-8")


def test_every_golden_page_is_asked_for():
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.{end}" for name, end in PAGES}


# ---- CSV and JSON ----


@pytest.mark.parametrize(("name", "hidden"), CELLS[::5])
def test_no_value_is_lost_in_csv(name, hidden):
    trace = library(name, hidden)
    rows = list(csv.DictReader(io.StringIO(trace.to_csv())))
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        found.setdefault((row["step"], row["name"], row["part"]), []).append(float(row["value"]))
    for step in (trace.once, *trace.steps):
        for line in step.lines:
            exact = found[str(step.number), line.label, ""]
            assert np.array_equal(exact, line.value.ravel(), equal_nan=True)
        for read in step.reads:
            given = found[str(step.number), read.label, ""]
            assert np.array_equal(given, read.value.ravel(), equal_nan=True)


@pytest.mark.parametrize(("name", "hidden"), CELLS[::5])
def test_no_value_is_lost_in_json(name, hidden):
    trace = library(name, hidden)
    data = json.loads(trace.to_json(), parse_constant=pytest.fail)
    steps = {step["step"]: step for step in data["steps"]}
    for step in (s for s in (trace.once, *trace.steps) if s.lines or s.reads):
        for line, shown in zip(step.lines, steps[step.number]["lines"], strict=True):
            assert shown["name"] == line.label
            assert np.array_equal(np.array(shown["value"], float), line.value, equal_nan=True)
            formulas = [part["formula"] for part in shown["parts"]]
            assert shown["formula"] not in formulas or dated(line.expr, 1).parts == ()


def test_weights_and_gradients_are_in_the_data():
    trace = example("halves")
    data = json.loads(trace.to_json())
    assert data["weights"] == {"W": [[0.5, -1.0], [0.25, 2.0]], "u": [0.5, 0.5]}
    back = data["backward"]
    assert {name: np.shape(value) for name, value in back["gradients"].items()} == {
        name: value.shape for name, value in trace.gradients.items()
    }
    assert back["updated"]["W"] == trace.updated["W"].tolist()
    assert [step["step"] for step in back["steps"]][:2] == [2, 1]
    assert back["loss"]["value"] == trace.loss
    backward = [r for r in csv.DictReader(io.StringIO(trace.to_csv())) if r["pass"] == "backward"]
    assert {"d_W[2]", "d_W", "E", "W (new)", "d_h[1]"} <= {row["name"] for row in backward}


def test_what_is_no_number_survives_json():
    trace = elman.Cell("h[t] = x[t] / 0").trace({"x": [[1.0, -1.0, 0.0]]}, {})
    text = trace.to_json()
    data = json.loads(text, parse_constant=pytest.fail)
    assert data["steps"][0]["lines"][0]["value"] == ["Infinity", "-Infinity", "NaN"]
    assert "inf" in trace.to_csv() and "nan" in trace.to_csv()
    assert tuple(trace.to_csv().split("\n")[0].split(",")) == values.COLUMNS


# ---- blank pages ----


@pytest.mark.parametrize("name", [*EXAMPLES, "read_out", "halves", "scalar"])
def test_a_blank_page_has_the_formulas_and_none_of_the_results(name):
    trace = EXAMPLES[name].trace() if name in EXAMPLES else example(name)
    solved, blank = trace.document(), blanked(trace.document())
    worked = {chain.left for section in solved.sections for chain in chains(section)}
    for section in blank.sections:
        for item in section.items:
            assert not isinstance(item, Given) or item.left not in worked
        for chain in chains(section):
            assert chain.note == ""
            for look in chain.looks[1:]:
                assert isinstance(look, Gap)
            for inner in chain.beside:
                assert all(isinstance(look, Gap) for look in inner.looks)
    shown = write_text(blank, Digits(17))
    for step in trace.steps:
        for line in step.lines:
            for number in line.value.ravel():
                assert len(repr(float(number))) < 12 or repr(float(number)) not in shown


def chains(section: Section) -> list[Chain]:
    return [item for item in section.items if isinstance(item, Chain)]


def test_every_format_shows_a_gap_in_its_way():
    trace = EXAMPLES["2_read_out"].trace()
    assert "= (______, ______)" in trace.to_text(blank=True)
    entry = r"\underline{\rule{0pt}{7mm}\hspace{14mm}}"
    assert rf"\begin{{pmatrix}} {entry} \\ {entry} \end{{pmatrix}}" in trace.to_latex(blank=True)
    assert r"\underline{\quad\quad\quad\quad} \\" in trace.to_markdown(blank=True)
    assert r"\hspace" not in trace.to_markdown(blank=True)
    assert '<mspace class="gap" width="4em" height="1.6em"' in trace.to_html(blank=True)
    assert "tanh(W_x @ x[1] + W_h @ h[0] + b)" in trace.to_text(blank=True)


def test_a_number_and_a_matrix_have_room_for_a_hand():
    halves = example("halves")  # E is a number, d_W a matrix of 2 rows and 2 columns
    number, entry = (rf"\underline{{\rule{{0pt}}{{7mm}}\hspace{{{mm}mm}}}}" for mm in (22, 14))
    assert f"&= {number}\n" in halves.to_latex(blank=True)
    row = f"{entry} & {entry}"
    both = rf"\begin{{bmatrix}} {row} \\ {row} \end{{bmatrix}}"
    assert both in halves.to_latex(blank=True) and breadth(both) == 22
    page = halves.to_html(blank=True)
    assert '=</mo><mrow><mspace width="0.3em"/><mspace class="gap"' in page  # off the sign
    cell = '<mtd><mspace class="gap" width="4em" height="1.6em"/></mtd>'
    assert f"<mtr>{cell}{cell}</mtr>" in page


def test_a_remark_before_the_work_stays_and_one_after_it_goes():
    before, after = Remark("Work by hand."), Remark("It vanishes: 0.5.")
    chain = Chain(Name("h"), (Number(1.0), Shown(np.array(0.5))))
    document = Document((Section("given", (before,)), Section("step 1", (chain, after))))
    kept = [item for section in blanked(document).sections for item in section.items]
    assert before in kept and after not in kept

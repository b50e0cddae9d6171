"""What of a trace is shown, and under which names: only, during, named, with_given."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

import elman
from elman.errors import ElmanError, NameProblem, ShapeProblem, TimeProblem
from elman.trace.naming import one_hot
from tests.backends import table
from tests.trace.examples import EXAMPLES

WORDS = ["I", "love", "deep", "learning", "_"]


@pytest.fixture(scope="module")
def words():
    return EXAMPLES["5_next_word"].trace()


@pytest.fixture(scope="module")
def gru():
    return EXAMPLES["4_gru_exercise"].trace()


def labels(trace):
    return [line.label for step in trace.shown() for line in step.lines]


def test_only_the_equations_asked_for_are_shown_in_their_order(gru):
    assert labels(gru.only("h", "z")) == ["z[1]", "h[1]", "z[2]", "h[2]"]
    text = str(gru.only("h"))
    assert "tanh(W_n" not in text, "n is not worked"
    assert "  n[2] = 0.0379  # candidate state" in text, "but h reads it, as what is given"
    assert "r[1]" not in text
    assert "h[2] = z[2] * h[1] + (1 - z[2]) * n[2]" in text
    assert gru.only("h").values.keys() == gru.values.keys(), "values are all kept"
    assert labels(gru) == labels(gru.only("z", "r", "n", "h"))


def test_what_the_lines_read_is_shown_and_nothing_else(gru):
    shown = str(gru.only("h").during(2, 2))
    assert "  h[1] = 0.1903" in shown and "x[2]" not in shown
    assert "  x[2] = (1, -1)" in str(gru.only("z"))


def test_a_constant_that_no_shown_line_reads_is_left_out():
    trace = EXAMPLES["antisymmetric_rnn"].trace()
    assert str(trace.only("A")).startswith("before step 1\n  A = U - U.T")
    assert "epsilon = " in str(trace.only("h")) and "A = U" not in str(trace.only("h"))


def test_a_range_of_steps(words):
    assert labels(words.during(2, 3)) == ["h[2]", "y[2]", "h[3]", "y[3]"]
    assert labels(words.during(3)) == ["h[3]", "y[3]"]
    assert labels(words.during(1, 1).only("y")) == ["y[1]"]
    assert labels(words.only("y").during(1, 1)) == ["y[1]"]
    assert str(words.during(2, 2)).startswith("step 2\n  x[2] = (0, 1, 0, 0, 0)\n  h[1] = (0.2913")
    assert labels(words.during(1, 1).during(2, 3)) == ["h[2]", "y[2]", "h[3]", "y[3]"]


def test_the_choice_says_what_is_shown_and_changes_no_number(words):
    whole = words.to_text(6)
    part = words.during(2, 2).to_text(6)
    assert part in whole
    assert words.to_text(6) == whole
    assert words.during(2, 2).values["h"].tolist() == words.values["h"].tolist()


def test_every_word_of_the_lectures_is_named(words):
    text = words.named(WORDS).to_text(digits=6)
    for step, (read, chosen, value) in enumerate(
        [("I", "deep", "0.235582"), ("love", "learning", "0.218831"), ("deep", "love", None)], 1
    ):
        block = text.split(f"step {step}\n")[1].split("\n\n")[0]
        assert f'0)  "{read}"\n' in block
        assert f', "{chosen}"' in block
        assert value is None or f'largest: {value}, "{chosen}"' in block


def test_names_of_each_stream_by_its_own():
    cell = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])\ny[t] = softmax(V @ h[t])")
    weights = {"W": [[1, 2, 3], [0, 1, 0]], "U": np.eye(2), "V": [[1, 0], [0, 2]]}
    trace = cell.trace({"x": [[0, 0, 1]]}, weights)
    text = str(trace.named({"x": ["a", "b", "c"], "y": ["good", "bad"]}))
    assert 'x[1] = (0, 0, 1)  "c"' in text
    assert 'largest: 0.7301, "good"' in text
    alone = str(trace.named(["a", "b", "c"]))
    assert '"c"' in alone and "largest" not in alone
    assert "largest" not in str(trace.named({"x": ["a", "b", "c"]}))
    assert '"c"' not in str(trace.named(["good", "bad"]))


def test_a_tie_says_so():
    cell = elman.Cell("y[t] = softmax(0.1 * x[t] + 0.2 * x[t])")
    text = str(cell.trace({"x": [[1, 1, 0]]}, {}).named(["a", "b", "c"]))
    assert '"a" and "b", 2 alike' in text
    assert '"c"' not in text, "an input that is not one-hot has no name"


def test_logits_are_named_where_there_is_no_softmax_and_states_that_are_one_hot():
    cell = elman.Cell("y[t] = W @ x[t]")
    text = str(cell.trace({"x": [[0, 1]]}, {"W": [[1, 5], [2, 3]]}).named(["a", "b"]))
    assert '= (5, 3)  largest: 5, "a"' in text
    dinner = elman.Cell("P = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]\nh[t] = P @ h[t-1] + 0 * x[t]")
    trace = dinner.trace({"x": [[0, 0, 0]] * 2}, {}, {"h": [1, 0, 0]})
    text = str(trace.named({"h": ["pizza", "soup", "rice"]}))
    assert 'h[0] = (1, 0, 0)  "pizza"' in text
    assert 'h[1] = (0, 1, 0)  "soup"' in text and '= (0, 0, 1)  "rice"' in text
    assert "largest" not in text


def test_a_value_that_is_not_a_number_is_not_the_largest():
    cell = elman.Cell("y[t] = x[t] / x[t]")
    assert "largest" not in str(cell.trace({"x": [[0, 1]]}, {}).named({"y": ["a", "b"]}))


def test_what_is_one_hot():
    assert one_hot(np.array([0, 0, 1.0])) == 2
    for other in ([0, 2.0], [1.0, 1.0], [0.0, 0.0], [[1.0, 0]], 1.0, [1.0, np.nan], [1, -1, 0]):
        assert one_hot(np.array(other)) is None


def test_the_given_numbers_stand_at_the_top(gru):
    top, first, _ = gru.with_given().to_text().split("\n\n")
    lefts = [line.split(" = ")[0].strip() for line in top.splitlines()[1:]]
    assert top.startswith("given\n  W_z = [[0.3, 0.7]]\n")
    assert lefts == [*gru_weights(), "x[1]", "x[2]", "h[0]"]
    assert first.startswith("step 1\n  x[1] = (-1, 1)\n  h[0] = 0\n")


def gru_weights():
    return [f"{kind}_{gate}" for gate in "zrn" for kind in "WUb"]


def test_a_state_that_a_line_begins_with_is_not_given():
    cell = elman.Cell("h[0] = h0\nh[t] = u * h[t-1] + x[t]")
    text = str(cell.trace({"x": [1.0]}, {"h0": 2.0, "u": 3.0}).with_given())
    top = text.split("\n\n")[0]
    assert "h0 = 2" in top and "u = 3" in top and "h[0]" not in top


def test_the_loss_is_not_given_and_its_target_is():
    cell = elman.Cell("h[t] = u * h[t-1] + x[t]")
    trace = cell.trace({"x": [1.0]}, {"u": 3.0}, loss="squared_error", target={"h": [2.0]}, lr=1)
    top = str(trace.with_given()).split("\n\n")[0].splitlines()
    lefts = [line.split(" = ")[0].strip() for line in top[1:]]
    assert lefts == ["u", "x[1]", "target[1]", "h[0]"]


def test_constants_are_said_once_and_with_what_they_are():
    text = str(EXAMPLES["antisymmetric_rnn"].trace().with_given())
    assert text.count("epsilon = ") == 1
    assert "  epsilon = 0.01  # step size\n" in text


@pytest.mark.parametrize("name", table.CELLS)
def test_the_given_list_is_enough_to_run_a_cell_again(name):
    given = table.data(name, table.Shape(3, 0, 3))
    trace = table.cell(name).trace(given.inputs, given.weights, sizes=given.sizes).with_given()
    (top, *_) = trace.document().sections
    listed = {item.left.name for item in top.items}
    assert listed >= {*table.cell(name).parameters, *table.cell(name).inputs} - {"t"}
    steps = {
        (i.left.name, i.left.step) for i in top.items if i.left.name in table.cell(name).inputs
    }
    assert len(steps) >= len(table.cell(name).inputs)


@pytest.fixture(scope="module")
def backwards():
    cell = elman.Cell("z[t] = w * x[t]\nh[t] = tanh(z[t] + u * h[t-1])")
    given = {"x": [1.0, 2.0, 3.0]}, {"w": 0.5, "u": 0.25}
    return cell.trace(*given, cotangents={"h": [0.0, 0.0, 1.0]}, lr=0.5)


def titles(trace):
    return [s.title for s in trace.document().sections if s.items]


def test_a_range_of_steps_is_one_of_the_backward_pass_too(backwards):
    assert titles(backwards.during(2, 3))[:4] == [
        *("step 2", "step 3", "step 3, backwards", "step 2, backwards")
    ]
    assert "before step 1, backwards" in titles(backwards.during(1, 2))
    assert "before step 1, backwards" not in titles(backwards.during(2))


def test_only_is_of_the_backward_pass_too_and_there_knows_weights_and_inputs(backwards):
    text = str(backwards.only("u", "x"))
    assert re.findall(r"^  (\w+(?:\[\d\])?)(?: \(new\))? = ", text, re.MULTILINE) == [
        *("d_x[3]", "d_u[3]", "d_x[2]", "d_u[2]", "d_x[1]", "d_u[1]", "d_u", "u")
    ]
    assert "  d_z[" not in text and "  d_z[2] = " in str(backwards.only("z"))


def test_values_for_programs_are_those_of_the_choice(backwards):
    data = json.loads(backwards.during(2, 2).only("h").to_json())
    assert [step["step"] for step in data["steps"]] == [2]
    assert [line["name"] for line in data["steps"][0]["lines"]] == ["h[2]"]
    rows = list(csv.DictReader(io.StringIO(backwards.during(2, 2).only("h").to_csv())))
    assert {row["name"] for row in rows if row["pass"] == "forward"} == {"h[2]"}
    assert {row["name"] for row in rows if row["pass"] == "backward"} == {"d_h[2]", "d_h_in[2]"}
    assert data["backward"]["gradients"].keys() == backwards.gradients.keys(), "these are all"


@pytest.mark.parametrize(
    ("look", "code", "said"),
    [
        (lambda t: t.only("zz"), "E407", "no equation computes 'zz'"),
        (lambda t: t.only("z", "R"), "E407", "Did you mean 'r'?"),
        (lambda t: t.only("x"), "E407", "The equations compute z, r, n, h."),
        (lambda t: t.during(3), "E441", "there is no step 3"),
        (lambda t: t.during(0), "E441", "there is no step 0"),
        (lambda t: t.during(1, 9), "E441", "The run has steps 1 to 2."),
        (lambda t: t.during(2, 1), "E441", "Did you mean 1 to 2?"),
        (lambda t: t.during(1.0, 2), "E441", "1.0 is no step"),
        (lambda t: t.during(True, 2), "E441", "True is no step"),
        (lambda t: t.named(["a"]), "E442", "1 name"),
        (lambda t: t.named(["a", "b", "c"]), "E442", "no input or output has 3 values"),
        (lambda t: t.named({"x": ["a", "b", "c"]}), "E442", "3 names are given for x, which has 2"),
        (lambda t: t.named({"X": ["a", "b"]}), "E407", "Did you mean 'x'?"),
        (lambda t: t.named({"W_z": ["a", "b"]}), "E407", "no vector of this run"),
        (lambda t: t.named(["a", "a"]), "E443", "'a' is named 2 times"),
        (lambda t: t.named(["a", ""]), "E443", "'' is no name"),
        (lambda t: t.named(["a", 3]), "E443", "3 is no name"),
        (lambda t: t.named("ab"), "E443", "no list of names"),
        (lambda t: t.named(3), "E443", "no list of names"),
    ],
)
def test_what_cannot_be_shown_is_said(gru, look, code, said):
    with pytest.raises(ElmanError) as caught:
        look(gru)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert isinstance(caught.value, NameProblem | TimeProblem | ShapeProblem)


@pytest.mark.parametrize(
    ("option", "value"), [("limit", 0), ("limit", 3), ("limit", "a"), ("width", 0), ("width", 1.5)]
)
def test_a_page_too_small_to_show_anything_is_refused(gru, option, value):
    with pytest.raises(elman.ElmanError, match=rf"E208\]: {option}={value!r}"):
        gru.to_text(**{option: value})


def test_no_names_are_no_choice(gru):
    with pytest.raises(elman.ElmanError, match="E445"):
        gru.only()

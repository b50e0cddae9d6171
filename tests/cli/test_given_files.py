"""Files of weights and of names: the commands and the sheets read them alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from elman import sheets
from elman.cell.given_files import check_finite, read_arrays, read_names, scalar
from elman.cli.array_files import write_arrays
from elman.errors import ElmanError, WeightProblem

ENDINGS = [".yaml", ".yml", ".json", ".npz", pytest.param(".safetensors", marks=pytest.mark.torch)]
SHEET = """\
equations: h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
weights: {}
inputs: {{x: [[1, 2]]}}
claims: {{'h[1]': .8005}}
"""
WEIGHTS = {"W": np.array([[0.4, 0.3]]), "U": np.array([[0.5]]), "b": np.array([0.1])}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    return path


def refused(path: Path) -> str:
    """What a reader of weights says, which a sheet says too, with its own line."""
    with pytest.raises(ElmanError) as alone:
        for name, value in read_arrays(path).items():
            check_finite(f"{name} in {path}", value)
    with pytest.raises(ElmanError) as in_a_sheet:
        sheets.load(written("a.sheet.yaml", SHEET.format(path)))
    assert in_a_sheet.value.code == alone.value.code
    assert in_a_sheet.value.headline == f"a.sheet.yaml: {alone.value.headline}"
    assert in_a_sheet.value.where is not None
    return str(alone.value)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sheet_reads_every_format(ending):
    write_arrays(Path(f"w{ending}"), WEIGHTS, "weights")
    assert sheets.load(written("a.sheet.yaml", SHEET.format(f"w{ending}"))).check()


@pytest.mark.parametrize(
    ("word", "number"),
    [("010", 10), ("+2", 2), ("-.5", -0.5), ("1e-3", 0.001), ("5.", 5), ("0x10", 16), ("1_0", 10)],
)
def test_a_number_is_the_same_in_a_sheet_and_in_a_file_of_weights(word, number):
    found = read_arrays(written("w.yaml", f"b: {word}"))
    assert found == {"b": number}
    text = f"equations: h[t] = b * x[t]\nweights: {{b: {word}}}\ninputs: {{x: [1]}}"
    assert sheets.load(written("a.sheet.yaml", text)).trace().values["h"].item() == number


@pytest.mark.parametrize("word", ["no", "'0.5'", '"010"', "1,5", "2026-01-01", "=", "1:2:x"])
def test_a_text_is_no_number(word):
    assert isinstance(scalar(yaml.compose(word, Loader=yaml.SafeLoader)), str)
    assert "[E606]" in refused(written("w.yaml", f"W: {word}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n\t"W": 1,\n\t"W": 2\n}', "names W twice, on line 2 and line 3"),
        ('{"W": "0.5"}', "something other than numbers: W"),
        ('{"W": true}', "something other than numbers: W"),
        ('{"W": [[1], []]}', "something other than numbers: W"),
        ("[1]", "must name its arrays"),
        ('{"W": [1, NaN]}', "W in w.json is nan at entry 2"),
        ('{"W": [[1, 2], [-Infinity]]}', "W in w.json is -inf at row 2, column 1"),
        ('{"W": ' + "[" * 100_000, "nested too deep"),
        ('{"W": 1,}', "is not JSON: line 1"),
    ],
)
def test_json_that_is_refused(text, said):
    assert said in refused(written("w.json", text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must name its arrays"),
        ("- 1", "must name its arrays"),
        ("W: 1\nU: 2\nW: 3", "names W twice, on line 1 and line 3"),
        ("W: {a: 1}", "something other than numbers: W"),
        ("W:", "something other than numbers: W"),
        ("W: &a [*a]", "nested too deep"),
        ("W: " + "[" * 5000, "nested too deep"),
        ("W: [1, .nan]", "W in w.yaml is nan at entry 2"),
        ("W: 1e999", "W in w.yaml is inf"),
        ("W: [1", "is not YAML: line 1"),
        ("W: \x00", "is not YAML"),
    ],
)
def test_yaml_that_is_refused(text, said):
    assert said in refused(written("w.yaml", text))


def test_a_mark_at_the_beginning_is_no_part_of_a_name():
    assert read_arrays(written("w.yaml", "\ufeffW: 1")) == {"W": 1}
    assert read_arrays(written("w.json", '\ufeff{"W": 1}')) == {"W": 1}
    assert read_names(written("words.txt", "\ufeffI\nlove\n\n")) == ["I", "love"]


def test_arrays_that_are_no_numbers_are_for_the_cell_to_refuse():
    np.savez("w.npz", W=np.array([1j, 2]), U=np.array(["a"]), b=np.array([True]))
    for name, value in read_arrays(Path("w.npz")).items():
        check_finite(name, value)
    with pytest.raises(ElmanError, match=r"E50[45]"):
        sheets.load(written("a.sheet.yaml", SHEET.format("w.npz"))).check()


def test_entries_of_a_matrix_that_are_not_finite_are_named():
    with pytest.raises(WeightProblem, match="W is nan at row 1, column 2"):
        check_finite("W", np.array([[1.0, np.nan]]))


@pytest.mark.parametrize("text", ["I\n\nlove\n", "I\nlove\nI\n"])
def test_a_sheet_refuses_names_that_a_command_refuses(text):
    path = written("words.txt", text)
    with pytest.raises(ElmanError, match="E443") as alone:
        read_names(path)
    head = "equations: y[t] = softmax(W @ x[t])\nweights: {W: [[1, 0], [0, 1]]}\n"
    page = head + "inputs: {x: [I]}\nnames: words.txt\n"
    with pytest.raises(ElmanError, match="E443") as in_a_sheet:
        sheets.load(written("a.sheet.yaml", page)).trace()
    assert alone.value.headline in in_a_sheet.value.headline
    assert in_a_sheet.value.where is not None

"""The gallery: every sheet has the verdicts that its page deserves, and every .txt is true."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from elman import sheets
from tests.lectures.worked import EXAMPLES as WORKED

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "lectures"
LONGEST_SCRIPT = 60


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = loaded(FOLDER / "run.py")
make_lectures = loaded(ROOT / "docs" / "make_lectures.py")
EXAMPLES = gallery.examples()
SHEETS = [path for path in EXAMPLES if path.suffix == ".yaml"]
SCRIPTS = [path for path in EXAMPLES if path.suffix == ".py"]

# What the notes print and is not simply right. Every other claim is right, or rightly rounded.
SLIPS = {
    "rnn": {"h[2]": "wrong"},
    "lstm": {"i[1]": "cut off", "h[1]": "rounded on the way"},
    "gru": {"ĥ[1]": "wrong"},
    "next_word": {
        "W_y @ h[1]": "wrong",
        "exp(.01737)": "wrong",
        "exp(.03783 + .1)": "cut off",
        "y[1]": "follows",
        "word of y[1]": "wrong",
    },
    "arithmetic": {"2.1 - .001": "wrong", "exp(.01737)": "wrong"},
}


def name_of(path: Path) -> str:
    return path.name.partition(".")[0]


@pytest.mark.parametrize("path", SHEETS, ids=name_of)
def test_verdicts(path):
    report = sheets.load(path).check()
    slips = SLIPS.get(name_of(path), {})
    found = {judged.key: judged.verdict for judged in report.claims}
    assert found, f"{path.name} claims nothing"
    assert {key: found[key] for key in slips} == slips
    assert {v for key, v in found.items() if key not in slips} <= {"right", "rounded"}
    assert bool(report) == ("wrong" not in slips.values())


def test_all_five_sums_of_the_next_word_are_wrong():
    report = sheets.load(FOLDER / "next_word.sheet.yaml").check()
    sums = next(judged for judged in report.claims if judged.key == "W_y @ h[1]")
    assert [entry.verdict for entry in sums.entries] == ["wrong"] * 5


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_prints_what_is_kept(path):
    if not gallery.can_run(path):
        pytest.skip("needs torch")
    kept = gallery.golden(path).read_text("utf-8")
    assert gallery.printed(path) == kept, (
        "look at it, then: python examples/lectures/run.py --write"
    )


def test_every_example_has_its_place_on_the_page():
    listed = [name for chapter in make_lectures.CHAPTERS for name in chapter.names]
    assert sorted(listed) == sorted(name_of(path) for path in EXAMPLES)


def test_every_kept_text_belongs_to_an_example():
    assert sorted(FOLDER.glob("*.txt")) == sorted(gallery.golden(path) for path in EXAMPLES)


def test_the_page_is_up_to_date():
    kept = (ROOT / "docs" / "lectures.md").read_text("utf-8")
    assert kept == make_lectures.page(), "run `make docs`"


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_a_script_can_be_read_at_once(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_SCRIPT


@pytest.mark.parametrize("path", SHEETS, ids=name_of)
def test_every_question_has_an_answer(path):
    sheet = sheets.load(path)
    assert len(sheet.questions) == len(sheet.answers)


NUMBERS = {  # of the notes, or worked by hand
    "lstm.sheet": ["= 0.076  unrounded 0.07696"],
    "gru_conventions": ["0.5850", "0.5957", "0.6474", "0.6659"],
    "lstm_scalar_backward": ["0.2564 0.6398 0.8707", "3.4827", "0.1338 0.1139 0.2618"],
    "dinner": ["sunny  [1 0 0] [1 2 1]  burger", "rain   [1 2 1] [0 0 1]  burger"],
    "what_tanh_is_for": ["98415.0000     1968.3000    -9841.5000"],  # 3**9 times the vector
    "vanishing": ["1.82e-12", "7.37e+06"],  # 0.5**39 and 1.5**39
    "encoder_decoder": ["blue house: casa azul", "green car: coche verde"],
    "gradient_descent": ["0.800499  0.039801", "0.961085"],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_that_must_be_shown(name):
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    assert [number for number in NUMBERS[name] if number not in text] == []


SHEET_OF = {  # the worked examples of the notes, and where the gallery has them
    "1 rnn": "rnn",
    "1 exercise": "rnn_exercise",
    "2 read-out": "rnn_read_out",
    "3 lstm": "lstm",
    "3 exercise": "lstm_exercise",
    "3 with gammas": "lstm_gamma",
    "4 gru": "gru",
    "4 gru, z takes": "gru_take_new",
    "4 exercise": "gru_exercise",
    "4 exercise, z takes": "gru_take_new_exercise",
    "4 with gammas": "gru_gamma",
    "5 next word": "next_word",
}


@pytest.mark.parametrize("example", WORKED, ids=str)
def test_every_number_of_the_notes_is_printed(example):
    numbers = np.concatenate([np.ravel(values) for values in example.printed.values()])
    text = (FOLDER / f"{SHEET_OF[example.name]}.sheet.txt").read_text("utf-8")
    printed = {float(found) for found in re.findall(r"-?\d*\.?\d+", text)}
    assert [number for number in numbers.tolist() if number not in printed] == []


def test_a_new_print_is_found_and_an_exit_code_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gallery, "HERE", tmp_path)
    (tmp_path / "one.py").write_text("print('new')\nraise SystemExit(3)\n", "utf-8")
    gallery.main([])
    assert capsys.readouterr().out == "one.py prints something new\n"
    gallery.main(["--write"])
    assert (tmp_path / "one.txt").read_text("utf-8") == "$ python one.py\nnew\n(exit code 3)\n"
    gallery.main([])
    assert capsys.readouterr().out == ""


def test_an_unknown_example_is_told_of():
    with pytest.raises(SystemExit, match="there is no example rnm; there are arithmetic, "):
        gallery.main(["rnm"])

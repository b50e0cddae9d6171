"""`elman trace`, as a person meets it: what is shown, in which format, and on which numbers."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import elman as package
from elman.cli import main
from tests.trace.examples import LSTM_WEIGHTS, NEXT_WORD, NEXT_WORD_WEIGHTS

RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n"
WEIGHTS = "W: [[0.4, 0.3]]\nU: 0.5\nb: 0.1\n"
X = "1,2;1.5,2.5"
SHEET = """\
title: Exercise 1
equations: h[t] = tanh(W @ x[t] + U @ h[t-1] + b)
weights: {W: [[.4, .3]], U: .5, b: .1}
inputs: {x: [[1, 2], [1.5, 2.5]]}
digits: 3
questions: ["Why is h[2] larger than h[1]?"]
answers: ["The input is larger, and the past adds to it."]
"""


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def trace(capsys, monkeypatch, tmp_path):
    """Run `elman trace` in this process, in a folder with a cell, its weights and a sheet."""
    monkeypatch.chdir(tmp_path)
    Path("rnn.cell").write_text(RNN)
    Path("w.yaml").write_text(WEIGHTS)
    Path("lstm.yaml").write_text(yaml.safe_dump(LSTM_WEIGHTS))
    Path("next.cell").write_text(NEXT_WORD)
    Path("next.yaml").write_text(yaml.safe_dump(NEXT_WORD_WEIGHTS))
    Path("words.txt").write_text("I\nlove\ndeep\nlearning\n_\n")
    Path("e.sheet.yaml").write_text(SHEET)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["elman", "trace", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        if isinstance(code, str):  # as the interpreter does
            code, err = 1, err + code + "\n"
        return Answer(code or 0, out, err)

    return run


GIVEN = ("rnn.cell", "--weights", "w.yaml", "--x", X)
WORDS = ("next.cell", "--weights", "next.yaml", "--names", "words.txt")


# ---- which steps, which lines, how many digits ----


def test_steps_are_chosen(trace):
    whole = trace(*GIVEN).out
    first, second = whole.rstrip("\n").split("\n\n")
    assert trace(*GIVEN, "--steps", "2").out == second + "\n"
    assert trace(*GIVEN, "--steps", "1").out == first + "\n"
    assert trace(*GIVEN, "--steps", "2-").out == second + "\n"
    assert trace(*GIVEN, "--steps", "1-2").out == whole == trace(*GIVEN, "--steps", " 1- ").out


def test_steps_of_a_cell_that_no_input_counts_are_run(trace):
    Path("f.cell").write_text("h: scalar\nh[0] = 1\nh[t] = h[t-1] + h[t-2]\n")
    assert trace("f.cell", "--steps", 5).out.count("step ") == 6  # and before step 1
    some = trace("f.cell", "--steps", "4-5").out
    assert re.findall(r"^step (\d)", some, re.MULTILINE) == ["4", "5"]
    assert "h[5] = h[4] + h[3]\n       = 5 + 3" in some


@pytest.mark.parametrize("text", ["one", "1-2-3", "-2", "1,2", "", "1:2", "2.5"])
def test_steps_that_are_none(trace, text):
    answer = trace(*GIVEN, f"--steps={text}")
    assert answer.code == 2 and "is not like 2, 1-3 or 2-" in answer.err


def test_only_some_equations(trace):
    out = trace("lstm", "--weights", "lstm.yaml", "--x", ".1,.2", "--only", "f, h").out
    assert re.findall(r"^  (\w+)\[1\] = \w+[(\[]", out, re.MULTILINE) == ["f", "h"]


def test_digits(trace):
    assert "= 0.80050" in trace(*GIVEN, "--digits", 5).out
    assert "= 1" in trace(*GIVEN, "--digits", 0).out
    lstm = ("lstm", "--weights", "lstm.yaml", "--x", ".1,.2")
    assert trace(*lstm, "--significant", 3).out.endswith("= 0.0770\n")
    assert trace(*lstm, "--digits", 3).out.endswith("= 0.077\n")
    assert trace(*lstm, "--digits", 3, "--significant", 3).code == 2
    assert trace(*lstm, "--digits", 18).code == trace(*lstm, "--significant", 0).code == 2


def test_long_vectors_are_elided_as_asked_for(trace):
    Path("l.cell").write_text("h[t] = 0.5 * x[t]\n")
    x = ",".join(map(str, range(10)))
    assert "(0, 1, 2, ..., 9; 10 values)" in trace("l.cell", "--x", x).out
    assert "(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)" in trace("l.cell", "--x", x, "--limit", 10).out
    assert trace("l.cell", "--x", x, "--limit", 3).code == 2


def test_the_lectures_number_rounded_on_the_way(trace):
    """E3: the notes print .076, the exact value is 0.076958."""
    lstm = ("lstm", "--weights", "lstm.yaml", "--x", ".1,.2")
    out = trace(*lstm, "--round-as-you-go", "--digits", 3).out
    assert "= 0.076  unrounded 0.07696, 0.001 off" in out
    assert out.endswith(
        "every value rounded to 3 decimals\n  h[1] = 0.076, unrounded 0.07696: 0.001 off\n"
    )
    cut = trace(*lstm, "--cut-as-you-go", "--digits", 4).out
    assert "0.5914  unrounded 0.591459" in cut and "every value cut off after 4 decimals" in cut
    assert "3 significant digits" in trace(*lstm, "--round-as-you-go", "--significant", 3).out


# ---- names ----


def test_words_in_and_words_out(trace):
    out = trace(*WORDS, "--x", "I;love;deep", "--digits", 6).out
    for read, chosen in [("I", "deep"), ("love", "learning"), ("deep", "love")]:
        assert f'0)  "{read}"\n' in out and f', "{chosen}"\n' in out
    assert 'largest: 0.235582, "deep"' in out
    assert out == trace(*WORDS, "--x", "1,0,0,0,0;0,1,0,0,0;0,0,1,0,0", "--digits", 6).out


def test_names_of_one_stream_alone(trace):
    out = trace(*WORDS[:-1], "y=words.txt", "--x", "1,0,0,0,0").out
    assert '"I"' not in out and '"deep"' in out
    several = trace(*WORDS[:3], "--names", "x=words.txt", "--names", "y=words.txt", "--x", "I")
    assert '"I"' in several.out and '"deep"' in several.out
    assert trace(*WORDS[:3], "--names", "words.txt", "--names", "y=words.txt", "--x", "I").code == 2


def test_a_file_of_names_with_a_mark_and_other_letters(trace):
    Path("words.txt").write_bytes("\ufeffIch\nmöchte\n愛\nΓ\n_\n\n".encode())
    assert '"möchte"' in trace(*WORDS, "--x", "Ich;möchte").out
    Path("words.txt").write_bytes(b"\xff\xfe")
    assert "E604" in trace(*WORDS, "--x", "I").err


# ---- backwards ----


def test_a_loss_and_a_step_of_learning(trace):
    out = trace(*GIVEN, "--target", "h=;1", "--loss", "squared_error", "--lr", 1).out
    cell = package.Cell(RNN)
    data = {"x": [[1, 2], [1.5, 2.5]]}, {"W": [0.4, 0.3], "U": 0.5, "b": 0.1}
    h = cell.run(*data)["h"]
    found = cell.gradients(*data, cotangents={"h": [[0], 2 * (h[1] - 1)]})
    assert "step 2, backwards" in out and "E = E[2]" in out and "E[1]" not in out
    assert f"= {0.1 - found['b'].item():.4f}" in out, "b after the step"
    assert f"= {((h[1] - 1) ** 2).item():.4f}" in out


def test_cotangents(trace):
    out = trace(*GIVEN, "--cotangents", "h=0;1").out
    assert "d_h[2] = 1" in out and "d_U = " in out and "loss" not in out


def test_a_class_as_target_by_its_word_or_its_number(trace):
    words = ("--loss", "cross_entropy", "--x", "I;love")
    out = trace(*WORDS, *words, "--target", "y=love;deep").out
    assert out == trace(*WORDS, *words, "--target", "y=1;2").out
    assert out == trace(*WORDS, *words, "--target", "y=0,1,0,0,0;0,0,1,0,0").out
    losses = -np.log([0.170749, 0.180284])
    assert f"{losses.sum():.4f}" in out
    assert "E[1] = " not in trace(*WORDS, *words, "--target", "y=;deep").out.split("step 2\n")[0]


def test_a_part_of_the_backward_pass(trace):
    out = trace(*GIVEN, "--target", "h=0;1", "--steps", "2", "--only", "h,U").out
    assert "step 2, backwards" in out and "step 1" not in out
    assert "d_U[2] = " in out and "d_W" not in out


def test_a_loss_without_a_target(trace):
    answer = trace(*GIVEN, "--loss", "squared_error")
    assert answer.code == 2 and "--target" in answer.err


# ---- formats and files ----

BEGIN = {
    "txt": "step 1\n",
    "md": "#",
    "tex": "",
    "html": "<!DOCTYPE html>",
    "csv": "step,pass,name,part,index,value\n",
    "json": "{",
}
FORMATS = {"txt": "text", "md": "markdown", "tex": "latex", "html": "html"} | {
    each: each for each in ("csv", "json")
}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_format_is_said_by_the_ending_or_by_its_name(trace, ending):
    printed = trace(*GIVEN, "--format", FORMATS[ending])
    assert printed.code == 0
    answer = trace(*GIVEN, "-o", f"page.{ending}")
    assert (answer.code, answer.out) == (0, "")
    page = Path(f"page.{ending}").read_text("utf-8")
    assert page.rstrip("\n") == printed.out.rstrip("\n")
    assert page.startswith(BEGIN[ending])
    assert page.endswith("\n") and not page.endswith("\n\n")
    upper = trace(*GIVEN, "-o", f"PAGE.{ending.upper()}")
    assert upper.code == 0 and Path(f"PAGE.{ending.upper()}").read_text("utf-8") == page


def test_a_format_that_is_named_wins_over_an_ending(trace):
    trace(*GIVEN, "-o", "page.log", "--format", "text")
    assert Path("page.log").read_text().startswith("step 1\n")


def test_values_are_exact_and_of_the_chosen_lines(trace):
    data = json.loads(trace(*GIVEN, "--json").out)
    assert data == json.loads(trace(*GIVEN, "--format", "json", "--digits", 1).out)
    exact = np.tanh(0.4 + 0.6 + 0.1)
    assert data["steps"][0]["lines"][-1]["value"] == [exact]
    rows = list(csv.DictReader(io.StringIO(trace(*GIVEN, "--format", "csv").out)))
    assert float([r for r in rows if r["name"] == "h[1]" and not r["part"]][-1]["value"]) == exact
    some = json.loads(trace(*GIVEN, "--json", "--steps", 2).out)
    assert [step["step"] for step in some["steps"]] == [2]
    assert trace(*GIVEN, "--json", "--format", "html").code == 2
    assert trace(*GIVEN, "--json", "--format", "json").code == 0


def test_a_file_is_written_whole_or_not_at_all(trace, monkeypatch):
    Path("page.html").write_text("old")
    assert trace(*GIVEN[:-1], "1,2;3", "-o", "page.html").code == 2
    assert trace(*GIVEN, "--only", "q", "-o", "page.html").code == 1
    assert Path("page.html").read_text() == "old"
    assert trace(*GIVEN, "-o", "page.html").code == 0
    assert sorted(p.name for p in Path().iterdir() if "page" in p.name) == ["page.html"]


def test_where_a_folder_is_in_the_way_nothing_is_written(trace):
    Path("page.solution.tex").mkdir()
    before = sorted(Path().iterdir())
    for words in (("-o", "page.solution.tex"), ("--blank", "-o", "page.tex")):
        answer = trace(*GIVEN, *words)
        assert (answer.code, answer.out) == (1, "") and "E602" in answer.err
        assert sorted(Path().iterdir()) == before


def test_what_cannot_be_put_in_place_leaves_nothing(trace, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    before = sorted(Path().iterdir())
    monkeypatch.setattr(Path, "replace", refuse)
    assert "E603" in trace(*GIVEN, "-o", "page.html").err
    assert sorted(Path().iterdir()) == before


def test_the_width_is_kept(trace):
    lstm = ("lstm", "--seed", 1, "--size", "hidden=3")
    for width in (60, 80, 160):
        lines = trace(*lstm, "--width", width).out.splitlines()
        assert max(map(len, lines)) <= width
    assert len(trace(*lstm, "--width", 160).out) < len(trace(*lstm, "--width", 60).out)


def shown_on_a_terminal(*words, **environment):
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "elman.cli", "trace", *map(str, words)]
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "90"} | environment
    process = subprocess.Popen(command, stdout=theirs, env=env, stdin=subprocess.DEVNULL)
    os.close(theirs)
    found = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        found += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return found.decode().replace("\r\n", "\n")


def test_colours_on_a_terminal_and_nowhere_else(trace):
    plain = trace(*GIVEN).out
    assert "\x1b[" not in plain
    seen = shown_on_a_terminal(*GIVEN)
    assert "\x1b[" in seen
    assert re.sub(r"\x1b\[[0-9;]*m", "", seen) == plain
    assert shown_on_a_terminal(*GIVEN, NO_COLOR="1") == plain
    assert shown_on_a_terminal(*GIVEN, "--no-color") == plain
    assert "\x1b[" in trace(*GIVEN, "--color").out


# ---- new numbers, blank pages ----


def test_friendly_numbers_are_printed_at_the_top_and_can_be_given_again(trace):
    out = trace("gru", "--seed", 5).out
    assert out == trace("gru", "--seed", 5).out != trace("gru", "--seed", 6).out
    top, *steps = out.rstrip("\n").split("\n\n")
    assert top.startswith("given\n  W_z = [[")
    given = dict(re.findall(r"^  (\w+(?:\[\d\])?) = (.+)$", top, re.MULTILINE))
    weights = {name: yaml.safe_load(v.replace("(", "[").replace(")", "]"))
               for name, v in given.items() if "[" not in name}  # fmt: skip
    Path("again.yaml").write_text(yaml.safe_dump(weights))
    x = ";".join(given[f"x[{k}]"].strip("()").replace(" ", "") for k in (1, 2))
    again = trace("gru", "--weights", "again.yaml", "--x", x).out
    assert again.rstrip("\n") == "\n\n".join(steps)


def test_what_is_given_stays_and_when_all_is_given_all_is_new(trace):
    out = trace("rnn.cell", "--weights", "w.yaml", "--seed", 1).out
    assert "  W = [[0.4, 0.3]]\n  U = 0.5\n  b = 0.1\n" in out
    assert "  x[1] = (1, 2)\n  x[2] = (1.5, 2.5)" in trace("rnn.cell", "--x", X, "--seed", 1).out
    new = trace(*GIVEN, "--seed", 1).out
    assert "W = [[0.4, 0.3]]" not in new and "W = [[" in new and "step 2" in new
    assert "W = [[0.4, 0.3]]" not in trace(*GIVEN, "--seed", 1, "--blank").out


def test_sizes_of_what_is_drawn(trace):
    assert "U = -0." in (out := trace("rnn.cell", "--seed", 3, "--size", "hidden=1").out) or (
        "U = 0." in out
    )
    assert trace("rnn.cell", "--seed", 3, "--size", "hidden=two").code == 2
    assert "E207" in trace("rnn.cell", "--seed", 3, "--size", "hiden=2").err


def test_as_many_steps_are_drawn_as_are_to_be_shown(trace):
    out = trace("rnn.cell", "--seed", 3, "--steps", "2-4").out
    assert "  x[4] = (" in out and "\nstep 4\n" in out and "x[5]" not in out
    assert "\nstep 1\n" not in out
    one = trace("rnn.cell", "--seed", 3, "--steps", "1").out
    assert one.split("step 1")[1].strip() in trace("rnn.cell", "--seed", 3).out
    assert "E441" in trace(*GIVEN, "--seed", 3, "--steps", "4").err, "x counts them"


def test_words_are_drawn_from_the_names(trace):
    out = trace("next.cell", "--names", "words.txt", "--seed", 2).out
    assert re.search(r'x\[1\] = \([01](, [01]){4}\)  "(I|love|deep|learning|_)"', out)
    assert re.search(r'largest: 0\.\d+, "(I|love|deep|learning|_)"', out)


def test_a_blank_page_and_its_solution(trace):
    out = trace(*GIVEN, "--blank").out
    exercise, solution = out.split("\n\nsolution\n\n")
    assert "  W = [[0.4, 0.3]]\n" in exercise and "h[1] = tanh(W @ x[1] + U @ h[0] + b)" in exercise
    assert "0.8005" not in exercise and "___" in exercise
    assert "0.8005" in solution and "___" not in solution


@pytest.mark.parametrize("ending", ["txt", "md", "tex", "html"])
def test_a_blank_page_in_a_file_has_its_solution_beside_it(trace, ending):
    assert trace(*GIVEN, "--blank", "-o", f"sheet.{ending}").code == 0
    assert "0.8005" not in Path(f"sheet.{ending}").read_text("utf-8")
    assert "0.8005" in Path(f"sheet.solution.{ending}").read_text("utf-8")


def test_what_cannot_be_blank(trace):
    assert "a blank page has none" in trace(*GIVEN, "--blank", "--json").err
    answer = trace(*GIVEN, "--blank", "--format", "html")
    assert answer.code == 2 and "sheet.html" in answer.err


# ---- sheets ----


def test_a_sheet_is_traced_with_its_digits_and_questions(trace):
    out = trace("e.sheet.yaml").out
    assert out.startswith("Exercise 1\n\nquestions\n  1. Why is h[2] larger than h[1]?\n")
    assert "= 0.952\n" in out
    assert out.endswith("answers\n  1. The input is larger, and the past adds to it.\n")
    assert "= 0.95177\n" in trace("e.sheet.yaml", "--digits", 5).out
    assert "step 1" not in trace("e.sheet.yaml", "--steps", 2).out


def test_a_blank_sheet_has_the_questions_and_not_the_answers(trace):
    trace("e.sheet.yaml", "--blank", "-o", "sheet.txt")
    exercise = Path("sheet.txt").read_text()
    assert "1. Why is" in exercise and "past adds" not in exercise and "  U = 0.5" in exercise
    assert "past adds" in Path("sheet.solution.txt").read_text()


def test_a_sheet_on_other_numbers(trace):
    out = trace("e.sheet.yaml", "--seed", 1).out
    assert out.startswith("Exercise 1\n\ngiven\n  W = [[")
    assert "W = [[0.4, 0.3]]" not in out and "step 2" in out
    assert "Why is" not in out, "what was asked may not be so any more"


@pytest.mark.parametrize(
    "more", [("--weights", "w.yaml"), ("--x", X), ("--state", "h=1"), ("--target", "h=1;1")]
)
def test_a_sheet_says_its_own_numbers(trace, more):
    answer = trace("e.sheet.yaml", *more)
    assert answer.code == 2 and "says its own numbers" in " ".join(answer.err.split())


def test_weights_as_json(trace):
    out = trace(*GIVEN).out
    Path("w.json").write_text('{\n\t"W": [[0.4, 0.3]],\n\t"U": 0.5, "b": 1e-1\n}\n')
    assert trace("rnn.cell", "--weights", "w.json", "--x", X).out == out
    Path("w.json").write_text('{"W": [[0.4, 0.3]], "U": 0.5, "b": 0.1, "U": 1}')
    assert "names U twice" in trace("rnn.cell", "--weights", "w.json", "--x", X).err
    Path("w.json").write_text('{"W": [[0.4, 0.3],}')
    assert "w.json is not JSON: line 1" in trace("rnn.cell", "--weights", "w.json", "--x", X).err


def test_weights_in_the_place_of_the_cell(trace):
    answer = trace("w.yaml", "--x", X)
    assert answer.code == 1 and "E621" in answer.err and "'W'" in answer.err


def test_words_without_names(trace):
    answer = trace("next.cell", "--weights", "next.yaml", "--x", "I;love")
    assert answer.code == 2 and "--names FILE" in " ".join(answer.err.split())
    assert "--names" not in trace(*GIVEN[:-1], "1;;2").err


def test_a_sheet_of_arithmetic_has_nothing_to_trace(trace):
    Path("a.sheet.yaml").write_text("claims: {2 + 2: 4}\n")
    assert "E624" in trace("a.sheet.yaml").err
    assert "E624" in trace("a.sheet.yaml", "--seed", 1).err


# ---- words ----


def test_help_keeps_its_brackets(trace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = trace("--help").out
    assert "[t]" in out and ".sheet.yaml" in out and ".tex" in out


@pytest.mark.parametrize(
    "words",
    [
        ("--state", "h"),
        ("--input", "x"),
        ("--input", "x=1,2", "--x", "1,2"),
        ("--target", "h"),
        ("--x", "1,two"),
        ("--x", "1,2;3"),
        ("--x", ""),
        ("--size", "hidden"),
    ],
)
def test_options_that_are_misspelt_exit_with_2(trace, words):
    answer = trace("rnn.cell", "--weights", "w.yaml", *words)
    assert answer.code == 2 and answer.out == ""


def test_a_sheet_does_not_ignore_an_option_that_says_nothing_much(trace):
    for option in (["--lr", "0"], ["--x", ""]):
        answer = trace("e.sheet.yaml", *option)
        assert answer.code == 2 and "says its own numbers" in " ".join(answer.err.split())

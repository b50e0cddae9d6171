"""The command line, as a person meets it: in a process of its own where that matters."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from elman.cli import main
from elman.tasks.settings import LanguageModelSettings
from tests.tasks.small import OPTIONS, losses, start, write_text

SMALL = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]


class Answer:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def elman(capsys, monkeypatch):
    """Run the command in this process, where torch is loaded already."""

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["elman", *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        if isinstance(code, str):  # as the interpreter does
            code, err = 1, err + code + "\n"
        assert isinstance(code, int | None)
        return Answer(code or 0, out, err)

    return run


def time_of_children() -> float:
    """Processor seconds: what an idle machine would take, however busy this one is."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def process(*words: object, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "elman.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize("words", [["--help"], ["train", "lm", "--help"], ["show", "--help"]])
def test_help_is_quick_and_imports_nothing_heavy(words):
    times = []
    for _ in range(3):
        before = time_of_children()
        answer = process(*words)
        times.append(time_of_children() - before)
        assert answer.returncode == 0
        assert "Usage" in answer.stdout
    assert min(times) < 0.5
    code = (
        "import sys; sys.argv = ['elman', *sys.argv[1:]]\n"
        "from elman.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'safetensors', 'yaml') if m in sys.modules])"
    )
    check = [sys.executable, "-c", code, *words]
    answer = subprocess.run(check, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'elman'\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from elman.cli import main; main()", "BackendProblem [E804]: torch is not installed"),
        ("from elman.nn import LSTM", "elman.nn needs torch"),
    ],
)
def test_without_torch_what_needs_it_says_how_to_have_it(tmp_path, code, said):
    command = [sys.executable, "-c", WITHOUT_TORCH + code, "train", "lm", "a.txt", "-o", tmp_path]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert 'pip install "elman[torch]"' in answer.stderr.splitlines()[-1]


def test_help_tells_the_true_defaults(elman, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    text = elman("train", "lm", "--help").out
    told = dict(re.findall(r"--([a-z-]+) .*\(default: ([\w.]+)", text))
    fields = LanguageModelSettings.model_fields
    for option, value in told.items():
        if option in ("cell", "minutes", "validate-every"):
            continue
        default = fields[option.replace("-", "_")].default
        assert value == str(default) or float(value) == default, option
    named = {option.replace("-", "_") for option in re.findall(r"--([a-z-]+)", text)}
    assert fields.keys() - {"sizes"} <= named


def test_usage_errors_are_code_two(elman):
    assert elman("trian").code == 2
    assert elman("train", "lm").code == 2
    assert elman("train", "lm", "-o", "x").code == 2
    assert elman("evaluate").code == 2
    assert elman("generate", "x", "--length", "-1").code == 2


@pytest.mark.torch
def test_train_evaluate_generate(elman, tmp_path):
    text, run = write_text(tmp_path), tmp_path / "run"
    answer = elman("train", "lm", text, "--cell", "gru", "-o", run, *SMALL)
    assert answer.code == 0, answer.err
    assert "step 24/24" in answer.out
    assert "-gram Kneser-Ney" in answer.out
    assert "best validation" in answer.out
    assert "\x1b" not in answer.out
    answer = elman("evaluate", run, text, "--json")
    figures = json.loads(answer.out)
    assert figures.keys() == {"nats_per_char", "bits_per_char", "perplexity", "characters"}
    assert figures["characters"] == 599
    assert "nats_per_char" in elman("evaluate", run, text).out
    words = ["generate", run, "--prompt", "the ", "--length", 30, "--seed", 3, "--temperature", 0.8]
    first, second = elman(*words), elman(*words)
    assert first.code == 0
    assert first.out == second.out
    assert first.out.startswith("the ") and len(first.out) == 4 + 30 + 1
    assert elman("generate", run / "best", "--length", 5, "--top-k", 2).code == 0


@pytest.mark.torch
def test_validation_is_what_evaluate_says(elman, tmp_path):
    text, run = write_text(tmp_path), tmp_path / "run"
    start(tmp_path)
    (tmp_path / "last.txt").write_text(text.read_text("utf-8")[-60:], encoding="utf-8")
    figures = json.loads(elman("evaluate", run, tmp_path / "last.txt", "--json").out)
    best = min(float(row[3]) for row in losses(run)[1:])
    assert figures["nats_per_char"] == pytest.approx(best, rel=1e-6)


@pytest.mark.torch
def test_a_cell_from_a_file(elman, tmp_path):
    text = write_text(tmp_path)
    (tmp_path / "my.cell").write_text("# mine\nh[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n")
    words = ["train", "lm", text, "--cell", tmp_path / "my.cell", "-o", tmp_path / "run"]
    assert elman(*words, *SMALL, "--steps", 2).code == 0
    config = json.loads((tmp_path / "run" / "best" / "config.json").read_text())
    assert "tanh(W @ x[t] + U @ h[t-1] + b)" in config["equations"]


@pytest.mark.torch
def test_a_further_size(elman, tmp_path):
    text = write_text(tmp_path)
    words = ["train", "lm", text, "--cell", "lstmp", *SMALL, "--steps=2", "-o", tmp_path / "run"]
    assert elman(*words, "--size", "cell=6").code == 0
    assert elman(*words, "--overwrite", "--size", "cell").code == 2
    assert elman("evaluate", tmp_path / "run", text).code == 0


@pytest.mark.torch
def test_what_is_wrong_is_named_in_one_message(elman, tmp_path):
    text, run = write_text(tmp_path), tmp_path / "run"
    (tmp_path / "empty.txt").touch()
    (tmp_path / "bad.cell").write_text("h[t] = tahn(W @ x[t]\n")
    (tmp_path / "none.cell").touch()
    (tmp_path / "my.cell").write_bytes(b"\xff")
    (tmp_path / "sum.cell").write_text("h[t] = x[t] + tanh(U @ h[t-1])\n")
    (tmp_path / "jordan.cell").write_text("h[t] = tanh(W @ x[t] + U @ y[t-1])\ny[t] = V @ h[t]\n")
    start(tmp_path)
    new = ["--steps=1", "-o", tmp_path / "new"]
    faults = {
        "[E601]": ["train", "lm", tmp_path / "txt.text", *new],
        "[E701]": ["train", "lm", tmp_path / "empty.txt", *new],
        "[E602]": ["evaluate", run, tmp_path],
        "there is no model folder": ["evaluate", tmp_path / "none", text],
        "Did you mean 'gru'": ["train", "lm", text, "--cell", "grru", *new],
        "there is no file": ["train", "lm", text, "--cell", "no.cell", *new],
        "bad.cell": ["train", "lm", text, "--cell", tmp_path / "bad.cell", *new],
        "already holds a run": ["train", "lm", text, "-o", run],
        "there is no run": ["train", "lm", text, "--resume", *new],
        "hidden_size": ["train", "lm", "--resume", "--hidden-size", 9, "-o", run],
        "'Q'": ["generate", run, "--prompt", "Q"],
        "my.cell is not UTF-8": ["show", tmp_path / "my.cell"],
        "none.cell: the text is empty": ["show", tmp_path / "none.cell"],
        "--embedding-size 8": ["train", "lm", text, "--cell", tmp_path / "sum.cell", *SMALL, *new],
        "--size h=N": ["train", "lm", text, "--cell", tmp_path / "jordan.cell", *new],
        "minutes": ["train", "lm", text, "--minutes", 1, *new],
    }
    for named, words in faults.items():
        answer = elman(*words)
        assert answer.code == 1, (named, answer.out, answer.err)
        assert named in answer.err
        assert "Traceback" not in answer.err
        assert answer.out == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.torch
def test_json_prints_json_only_even_when_it_fails(elman, tmp_path):
    answer = elman("evaluate", tmp_path / "none", tmp_path / "t", "--json")
    assert (answer.code, answer.out) == (1, "")


@pytest.mark.torch
def test_control_c_saves_and_says_how_to_go_on(tmp_path):
    text, run = write_text(tmp_path), tmp_path / "run"
    options = [word for word in SMALL if "steps=" not in word or "warmup" in word]
    command = ["train", "lm", str(text), "--cell=gru", "--steps=100000", "-o", str(run), *options]
    training = subprocess.Popen(
        [sys.executable, "-m", "elman.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in training.stdout or []:
        if line.startswith("step 12/"):
            break
    training.send_signal(signal.SIGINT)
    _, error = training.communicate(timeout=30)
    assert training.returncode == 130, error
    assert f"go on with: elman train lm --resume -o {run}" in error
    assert "Traceback" not in error


def test_cells(elman):
    lines = elman("cells").out.splitlines()
    assert any(line.startswith("gru ") for line in lines)
    assert "title" in json.loads(elman("cells", "--json").out)["gru"]


def test_show(elman):
    assert "z[t] = sigmoid(W_z @ x[t]" in elman("show", "gru").out
    assert elman("show", "gru", "--after", "schedule").code == 0
    answer = elman("show", "gru", "--after", "scedule")
    assert answer.code == 1
    assert "Did you mean 'schedule'?" in answer.err
    assert elman("show", "gru", "--code", "c").code == 0
    assert "There is c." in elman("show", "gru", "--code", "fortran").err
    assert elman("show", "gru", "--code", "c", "--after", "schedule").code == 2
    assert r"z_t &= \sigma(W_z x_t" in elman("show", "gru", "--latex").out
    assert "zₜ = σ(W_z xₜ" in elman("show", "gru", "--text").out
    assert elman("show", "gru", "--latex", "--text").code == 2
    assert "b_z  forget bias\n" in elman("show", "gru", "--roles").out
    assert elman("show", "gru", "--roles", "--text").code == 2


def test_trace(elman, tmp_path):
    """Worked example 1 of the lectures: h = 0.800499, 0.951769."""
    (tmp_path / "rnn.cell").write_text("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n")
    (tmp_path / "w.yaml").write_text("W: [[0.4, 0.3]]\nU: 0.5\nb: 0.1\n")
    words = ["trace", tmp_path / "rnn.cell", "--weights", tmp_path / "w.yaml", "--x", "1,2;1.5,2.5"]
    text = elman(*words).out
    assert "0.8005" in text and "0.9518" in text
    assert "0.800499" in elman(*words, "--digits", 6).out
    assert elman(*words[:-1], "1,2;3").code == 2
    assert elman(*words[:-1], "1,two").code == 2
    (tmp_path / "w.yaml").write_text("W: [[4e-1, 3.e-1]]\nU: .5e0\nb: 1e-1\n")
    assert elman(*words).out == text
    assert elman(*words, "--state", "h").code == 2
    assert elman(*words, "--state", "h=0.25").out != text


def test_trace_of_what_no_input_counts_and_of_what_is_drawn(elman, tmp_path):
    path = tmp_path / "fibonacci.cell"
    path.write_text("h: scalar\nh[0] = 1\nh[t] = h[t-1] + h[t-2]\n")
    assert (
        "h[5] = h[4] + h[3]\n       = 5 + 3\n       = 8" in elman("trace", path, "--steps", 5).out
    )
    answer = elman("trace", path)
    assert answer.code == 1 and "Say how many: --steps 5." in answer.err
    path.write_text("m: bernoulli(0.5)\nv: per sequence\nh[t] = m[t] * x[t] + v\n")
    words = ["trace", path, "--x", "1;1;1;1;1;1;1;1", "--input", "v=2"]
    assert "h[8] = m[8] * x[8] + v\n       = 0.5*1 + 2\n" in elman(*words).out
    drawn = elman(*words, "--seed", 3).out
    assert drawn == elman(*words, "--seed", 3).out != elman(*words, "--seed", 4).out
    assert {f"m[{k}] = {b}" in drawn for k in range(1, 9) for b in (0, 1)} == {True, False}
    assert elman(*words, "--seed", -1).code == 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("W: [1, 2", "is not YAML: line"),
        ("just words", "must name its arrays"),
        ("W: [[1, x]]", "W"),
        ("W: true", "other than numbers: W"),
        (None, "there is no file"),
    ],
)
def test_weights_that_are_none(elman, tmp_path, text, named):
    path = tmp_path / "w.yaml"
    if text is not None:
        path.write_text(text)
    answer = elman("trace", "rnn", "--weights", path, "--x", "1,2")
    assert answer.code == 1
    assert named in answer.err


def test_doctor(elman):
    answer = elman("doctor")
    assert answer.code == 0
    assert re.search(r"^numpy +\d", answer.out, re.MULTILINE)


def test_a_reader_that_leaves_is_no_traceback():
    command = f"{sys.executable} -m elman.cli cells | head -n 1"
    answer = subprocess.run(
        command, shell=True, capture_output=True, text=True, check=False, env=os.environ
    )
    assert "Traceback" not in answer.stderr


def test_a_file_that_cannot_be_written_is_named(elman, tmp_path):
    text = write_text(tmp_path)
    answer = elman("train", "lm", text, "--cell", "gru", *SMALL, "-o", Path("/proc/none/run"))
    assert answer.code == 1
    assert "/proc/none" in answer.err

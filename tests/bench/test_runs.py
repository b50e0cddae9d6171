"""A suite: what it holds, how it is taken up again; and the command for one's own cell."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from elman.bench import run as runs
from elman.bench import suite as suites
from elman.bench.machine import machine
from elman.bench.results import Results
from elman.cli import main
from tests.bench.near import NearCrew, small_case

pytestmark = pytest.mark.torch


@pytest.fixture
def near(monkeypatch):
    """Peers run in this process, and no matrix products are measured."""
    monkeypatch.setattr(runs, "Crew", NearCrew)
    monkeypatch.setattr(runs, "libraries", list)


def test_the_whole_suite_is_what_was_promised():
    suite = suites.full(2)
    layers = [case for case in suite.cases if case.cell in suites.LAYERS]
    assert len(layers) == 3 * 2 * 9
    assert {(c.batch, c.input_size, c.hidden_size) for c in layers} == {
        s[1:] for s in suites.SHAPES
    }
    variants = [case for case in suite.cases if case.cell not in suites.LAYERS]
    assert len(variants) == 12 * 8 and {case.task for case in variants} == {"training"}
    assert len({case.key for case in suite.cases}) == len(suite.cases)
    lstmp = next(c for c in variants if c.cell == "lstmp" and c.batch == 64)
    assert lstmp.sizes["cell"] == 512 and lstmp.hidden_size == 256


def test_a_highway_of_two_layers():
    assert suites.named("rhn_2").parameters.count("R_n_3") == 0
    assert {"R_n_1", "R_n_2"} <= set(suites.named("rhn_2").parameters)


def test_the_quick_suite_is_quick():
    suite = suites.quick(2)
    assert suite.minutes(120.0) <= 3 and "torch.compile" not in suite.peers
    assert suites.full(2).minutes(120.0) > 60


def small_suite():
    cases = tuple(small_case("rnn", "inference", (steps, 1, 3, 4)) for steps in (2, 3))
    return suites.Suite(cases, ("torch eager",), rounds=3, seconds=0.1)


def test_a_run_that_stopped_is_taken_up(near, tmp_path):
    suite = small_suite()
    first = runs.run(replace(suite, cases=suite.cases[:1]), 1)
    runs.write_results(first, tmp_path)
    begun = runs.read_results(tmp_path / "results.json", 1)
    said: list[str] = []
    saved: list[Results] = []
    whole = runs.run(suite, 1, begun=begun, say=said.append, save=saved.append)
    assert [row.case.key for row in whole.rows] == [case.key for case in suite.cases]
    assert whole.rows[0].elman == begun.rows[0].elman, "what was measured stays"
    assert len(said) == 1 and said[0].startswith("[1/1] rnn inference 1, 3, 4; T=3")
    assert len(saved) == 1
    runs.write_results(whole, tmp_path)
    runs.write_pictures(whole, tmp_path)
    assert "| 1, 3, 4; T=2 | torch eager |" in (tmp_path / "results.md").read_text("utf-8")
    assert "def step(" in (tmp_path / "loops" / "rnn_jax.py").read_text("utf-8")


def command(monkeypatch, capsys, *words: object) -> tuple[object, str, str]:
    monkeypatch.setattr(sys, "argv", ["elman", "bench", *map(str, words)])
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    out, err = capsys.readouterr()
    return code, out, err


SMALL = ["--input", 3, "--hidden", 4, "--batch", 2, "--steps", 3, "--threads", 1, "--seconds", 0.1]


def test_the_command_prints_a_table(near, monkeypatch, capsys, tmp_path):
    (tmp_path / "my.cell").write_text("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)\n", "utf-8")
    words = [tmp_path / "my.cell", *SMALL, "--peers", "eager,torch.nn", "-o", tmp_path / "out"]
    code, out, err = command(monkeypatch, capsys, *words)
    assert code in (0, None)
    assert out.count("my, ") == 2 and "my, training: T=3, B=2, I=3, H=4, float32, 1 threads" in out
    assert "torch.nn has no such cell" in out and "minutes" in err
    assert (tmp_path / "out" / "results.md").exists()


def test_the_command_prints_json_and_nothing_else(near, monkeypatch, capsys):
    words = ["rnn", *SMALL, "--peers", "torch eager", "--task", "training", "--json"]
    code, out, _ = command(monkeypatch, capsys, *words)
    found = json.loads(out)
    assert code in (0, None) and len(found["rows"]) == 1
    assert found["rows"][0]["case"]["task"] == "training"
    assert [f["peer"] for f in found["rows"][0]["figures"]] == ["elman", "torch eager"]


def test_the_command_says_what_is_not_installed(near, monkeypatch, capsys):
    from elman.bench.peers import PEERS

    monkeypatch.setitem(PEERS, "JAX scan", replace(PEERS["JAX scan"], needs=("jaxx",)))
    words = ["rnn", *SMALL, "--peers", "jax", "--task", "inference"]
    code, out, err = command(monkeypatch, capsys, *words)
    assert code in (0, None) and "jaxx not installed" in out
    assert 'not installed: jaxx. To measure against them too: pip install "elman[bench]"' in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--peers", "jaxx"], "there is no peer 'jaxx'"),
        (["--peers", "torch"], "there is no peer 'torch'"),
        (["--task", "train"], "'train' is not inference or training"),
        (["--dtype", "float16"], "'float16' is not float32 or float64"),
        (["--threads", "999"], "processors"),
        (["--size", "cell"], "--size"),
    ],
)
def test_a_wrong_option_is_named(words, told, monkeypatch, capsys):
    base = ["rnn", "--input", 3, "--hidden", 4, "--batch", 2]
    code, out, err = command(monkeypatch, capsys, *base, *words)
    assert code == 2 and not out
    assert told in " ".join(err.replace("│", " ").split())


def test_figures_of_another_machine_are_refused(tmp_path):
    here = Results({**machine(1), "processor": "an abacus"})
    runs.write_results(here, tmp_path)
    with pytest.raises(runs.FileProblem) as caught:
        runs.read_results(tmp_path / "results.json", 1)
    assert caught.value.code == "E642"

"""Tables, JSON and pictures: what is slower is marked, what has no figure is not left out."""

from __future__ import annotations

import json
import math

import pytest

from elman.bench import table
from elman.bench.case import Case
from elman.bench.figures import MARKS, write_figures
from elman.bench.peers import RIVALS
from elman.bench.results import Figure, Results, Row, geometric_means

MACHINE = {
    "processor": "a processor",
    "processors": 2,
    "threads": 2,
    "system": "a system",
    "python": "3",
    "compiler": "cc",
    "date": "2026-01-01",
    "packages": {"torch": "2"},
}


def case(cell: str = "rnn", hidden: int = 16, steps: int = 100, task: str = "inference") -> Case:
    return Case(cell, "h[t] = tanh(W @ x[t] + U @ h[t-1])", steps, 1, 8, hidden, task)


def figure(peer: str, ms: float) -> Figure:
    return Figure.of_seconds(peer, [ms / 1e3] * 3, first_seconds=0.5, peak_bytes=2_000_000)


def row(given: Case, **ms: float) -> Row:
    figures = [figure(peer.replace("_", " "), each) for peer, each in ms.items()]
    none = Figure("ONNX Runtime", "has | no\ntraining")
    return Row(given, (*figures, none), flops=4_000_000)


RESULTS = Results(
    MACHINE,
    (
        row(case(), elman=2.0, JAX_scan=1.0, torch_eager=8.0),
        row(case(hidden=32, steps=50), elman=2.0, JAX_scan=16.0, torch_eager=8.0),
        row(case("gru", task="training"), elman=1.0, torch_eager=3.0),
    ),
    {"float32": {"numpy": 10.0, "torch": 20.0}},
)


def test_medians_and_quartiles():
    found = Figure.of_seconds("elman", [0.001, 0.003, 0.002, 0.1])
    assert found.milliseconds == 2.5 and found.calls == 4
    assert found.quartiles == (1.25, 75.75)
    assert Figure.of_seconds("elman", [0.001]).quartiles == (1.0, 1.0)


def test_ratios_speeds_and_the_best():
    first, second, _ = RESULTS.rows
    assert first.best == first["JAX scan"] and first.ratio(first.best) == 0.5
    assert second.best == second["torch eager"] and second.ratio(second.best) == 4.0
    assert first.gflops(first.elman) == 2.0
    assert RESULTS.peak("float32") == 20.0 and math.isnan(RESULTS.peak("float64"))


def test_geometric_means_by_hand():
    found = {(mean.task, mean.cell): mean for mean in geometric_means(RESULTS.rows)}
    assert found["inference", "rnn"].ratio == pytest.approx(math.sqrt(0.5 * 4))
    assert found["inference", "rnn"].lowest == 0.5
    assert found["inference", "rnn"].lowest_at == "1, 8, 16"
    assert found["training", "gru"].ratio == pytest.approx(3.0)
    assert found["inference", "all"].shapes == 2


def test_the_json_comes_back_and_has_no_nan():
    text = json.dumps(RESULTS.to_json(), allow_nan=False)
    found = json.loads(text)
    assert Results.from_json(found).rows[0].figures[:3] == RESULTS.rows[0].figures[:3]
    assert Results.from_json(found).to_json() == RESULTS.to_json()
    jax = found["rows"][0]["figures"][1]
    assert jax["ratio"] == 0.5 and jax["gflops"] == 4.0 and jax["share_of_peak"] == 0.2
    assert {"peer", "milliseconds", "quartiles", "calls", "first_seconds", "peak_bytes"} <= set(jax)
    assert found["rows"][0]["figures"][3]["milliseconds"] is None
    assert found["geometric_means"][0]["cell"] == "rnn"


def test_the_table_marks_what_is_faster_and_says_why_there_is_no_figure():
    text = table.markdown(RESULTS)
    lines = [line for line in text.splitlines() if line.startswith("| 1, 8, 16")]
    jax = next(line for line in lines if "JAX scan" in line)
    assert "**0.50 ◄**" in jax and "10%" in jax
    eager = next(line for line in lines if "torch eager" in line)
    assert "4.00" in eager and "◄" not in eager
    assert "| has / no training |" in next(line for line in lines if "ONNX" in line)
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| 1, 8")}
    assert columns == {table.HEAD.count("|")}
    assert "1, 8, 32; T=50" in text


def test_a_ratio_just_below_one_is_not_printed_as_one():
    near = row(case(), elman=1.0, JAX_scan=0.9967)
    assert "**0.997 ◄**" in "\n".join(table.lines([near]))
    assert "0.99 ◄" not in "\n".join(table.lines([row(case(), elman=1.0, JAX_scan=1.0)]))


def test_a_terminal_has_the_fastest_first():
    lines = table.plain(RESULTS.rows[0], 20.0).splitlines()
    assert [line.split("  ")[0] for line in lines[2:6]] == [
        *("JAX scan", "elman", "torch eager", "ONNX Runtime")
    ]
    assert "◄ faster" in lines[2] and "◄" not in lines[3]
    assert lines[-1].endswith("Elman's share 10%")


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    written = write_figures(RESULTS, tmp_path)
    assert [path.name for path in written] == [
        *("inference.png", "inference.svg", "training.png", "training.svg")
    ]
    assert all(path.stat().st_size > 1000 for path in written)
    again = (tmp_path / "training.svg").read_bytes()
    write_figures(RESULTS, tmp_path)
    assert (tmp_path / "training.svg").read_bytes() == again


def test_every_rival_has_a_mark_of_its_own():
    assert set(MARKS) == set(RIVALS)
    assert len(set(MARKS.values())) == len(MARKS)

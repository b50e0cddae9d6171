"""Measuring: who is wrong gets no figure, nobody works beside another, all are asked in turn."""

from __future__ import annotations

import os
import time

import pytest

import elman
from elman.bench.crew import Crew, Gone, Worker
from elman.bench.measure import Measurer, Plan
from elman.bench.peers import ELMAN, FROZEN, PEERS, RECURRENT, STEPWISE, WHOLE
from elman.errors import BackendProblem, DataProblem
from tests.bench.near import NearCrew, small_case

pytestmark = pytest.mark.torch
SHORT = Plan(rounds=3, seconds=0.2, compile_seconds=5.0)


def off(found):
    """A result that is wrong in the last gradient."""
    *rest, last = found
    return {**{name: found[name] for name in rest}, last: found[last] * 1.01}


def test_a_row_has_everybody_in_order_with_medians_and_quartiles():
    with NearCrew() as crew:
        row = Measurer(crew, SHORT).row(
            small_case("rnn_torch", "training"), ["torch eager", "torch.nn", "ONNX Runtime"]
        )
    assert [f.peer for f in row.figures] == [
        *(ELMAN, RECURRENT, "torch.nn", "torch eager", "ONNX Runtime")
    ]
    for figure in row.figures[:4]:
        low, high = figure.quartiles
        assert 0 < low <= figure.milliseconds <= high and figure.calls >= 3
        assert figure.first_seconds > 0 and figure.error < 1e-12
    assert not row["ONNX Runtime"].has_run and row["ONNX Runtime"].why_not
    assert row.flops == 3 * 6 * 2 * (2 * (5 * 3 + 5 * 5 + 2 * 5))


def test_a_wrong_peer_has_no_figure_and_is_named():
    with NearCrew(changed={"torch_nn": off}) as crew:
        row = Measurer(crew, SHORT).row(small_case("rnn_torch", "training"), ["torch.nn"])
    figure = row["torch.nn"]
    assert not figure.has_run and figure.milliseconds != figure.milliseconds
    assert figure.why_not.startswith("wrong: d_") and figure.error > 1e-3
    assert "peers.torch_nn" in crew.dismissed
    assert row.best is None


@pytest.mark.parametrize("name", ["elman_", "elman_recurrent"])
def test_where_elman_is_wrong_nothing_is_measured(name):
    with NearCrew(changed={name: off}) as crew, pytest.raises(BackendProblem) as caught:
        Measurer(crew, SHORT).row(small_case("rnn_torch", "training"), ["torch.nn"])
    assert caught.value.code == "E820"


def test_a_peer_that_fails_says_how():
    def fails(found):
        raise RuntimeError("no such luck")

    with NearCrew(changed={"torch_loop": fails}) as crew:
        row = Measurer(crew, SHORT).row(small_case("rnn", "inference"), ["torch eager"])
    assert row["torch eager"].why_not == "failed: RuntimeError: no such luck"


def test_a_cell_that_gives_no_finite_numbers_is_refused():
    cell = elman.Cell("h[t] = log(-abs(W @ x[t]) - 1) + h[t-1]", "none")
    with NearCrew() as crew, pytest.raises(DataProblem) as caught:
        Measurer(crew, SHORT).row(small_case(cell, "inference"), [])
    assert caught.value.code == "E720"


class Slow(NearCrew):
    """Whoever compiles takes too long."""

    asked: list[str]

    def ask(self, module, most, **order):
        self.asked = [*getattr(self, "asked", []), module]
        if module == "peers.torch_whole":
            raise Gone(f"it took longer than {most:.0f} s")
        if module == "peers.torch_step":
            module = "peers.torch_loop"
        return super().ask(module, most, **order)


def test_one_compiled_step_stands_in_for_a_sequence_that_takes_too_long():
    with Slow() as crew:
        measurer = Measurer(crew, SHORT)
        row = measurer.row(small_case("rnn", "inference"), [WHOLE, STEPWISE])
        again = measurer.row(small_case("rnn", "inference", (5, 1, 3, 5)), [WHOLE, STEPWISE])
    assert row[WHOLE].why_not == "not compiled within 5 s"
    assert row[STEPWISE].has_run and row.best is row[STEPWISE]
    assert again[WHOLE].why_not.startswith("not compiled within 5 s at rnn inference T=6")
    assert crew.asked.count("peers.torch_whole") == 1


def test_where_the_sequence_compiles_no_step_is_measured(monkeypatch):
    class Quick(NearCrew):
        def ask(self, module, most, **order):
            return super().ask(module.replace("torch_whole", "torch_loop"), most, **order)

    with Quick() as crew:
        row = Measurer(crew, SHORT).row(small_case("rnn", "inference"), [WHOLE, STEPWISE])
    assert row[WHOLE].has_run and STEPWISE not in [f.peer for f in row.figures]


# ---- with processes ----


def test_peers_run_in_processes_that_end_with_the_crew():
    case = small_case("rnn", "inference", (100, 32, 64, 128))
    with Crew(1) as crew:
        row = Measurer(crew, SHORT).row(case, [])
        pids = {module: worker.process.pid for module, worker in crew.workers.items()}
        modules = {f"peers.{PEERS[name].module}" for name in (ELMAN, FROZEN)}
        assert set(pids) == {"peers.reference", *modules}
        assert os.getpid() not in pids.values()
        folder = crew.path
    output = 100 * 32 * 128 * 8
    assert row.elman.has_run
    assert row.elman.peak_bytes == 0 or output <= row.elman.peak_bytes < 8 * output
    assert not folder.exists()
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_dies_or_takes_too_long_is_gone():
    worker = Worker("peers.reference", 1, "")
    start = time.monotonic()
    with pytest.raises(Gone, match="took longer than 0 s"):
        worker.ask(0.0, do="forget")
    assert time.monotonic() - start < 5 and worker.process.poll() is not None
    with Crew(1) as crew:
        crew.ask("peers.reference", 10.0, do="forget")
        crew.workers["peers.reference"].process.kill()
        with pytest.raises(Gone, match=r"process ended|Broken pipe"):
            crew.ask("peers.reference", 10.0, do="forget")
        assert crew.ask("peers.reference", 10.0, do="forget") == {}, "a new one answers"

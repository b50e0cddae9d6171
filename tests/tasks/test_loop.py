"""The training loop: an interrupted and resumed training is the unbroken one, bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

import elman
from elman.errors import DataProblem, FileProblem, WeightProblem
from elman.tasks import lm, lm_training
from elman.tasks.lm_training import LanguageModelTask
from elman.tasks.loop import Training
from elman.tasks.progress import Silent
from elman.tasks.tensor_file import read_tensors, write_tensors
from tests.tasks.small import OPTIONS, losses, resume, start, write_text

pytestmark = pytest.mark.torch


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    start(folder)
    return folder / "run"


def same(run: Path, other: Path) -> None:
    """Losses, weights, optimiser, carried state and random generator are equal to the last bit."""
    assert losses(run) == losses(other)
    for name in ("checkpoint.safetensors", "best/model.safetensors", "last/model.safetensors"):
        (found, words), (expected, other_words) = (read_tensors(r / name) for r in (run, other))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found), name
        words.pop("seconds", None), other_words.pop("seconds", None)
        assert words == other_words


def test_a_run_folder_is_whole(unbroken):
    assert sorted(path.name for path in unbroken.iterdir()) == [
        "best",
        "checkpoint.safetensors",
        "config.yaml",
        "env.json",
        "last",
        "metrics.csv",
    ]
    rows = losses(unbroken)
    assert [row[0] for row in rows] == ["step", "6", "12", "18", "24"]
    assert float(rows[-1][3]) < float(rows[1][3])  # it learns


def test_one_seed_one_training(unbroken, tmp_path):
    start(tmp_path)
    same(tmp_path / "run", unbroken)
    start(tmp_path, "other", seed=6)
    assert losses(tmp_path / "other") != losses(unbroken)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("schedule", ["cosine", "plateau", "constant"])
def test_stopped_and_resumed_is_unbroken(tmp_path, monkeypatch, cell, schedule):
    start(tmp_path, "unbroken", cell=cell, schedule=schedule)
    for step in (1, 7, 12, 23):
        with monkeypatch.context() as patch:
            _signal_at(patch, step, signal.SIGINT)
            stopped = start(tmp_path, f"run{step}", cell=cell, schedule=schedule)
        assert (stopped.outcome.ended, stopped.outcome.step) == ("interrupted", step)
        resumed = resume(tmp_path / f"run{step}")
        assert (resumed.outcome.ended, resumed.outcome.step) == ("steps", 24)
        same(tmp_path / f"run{step}", tmp_path / "unbroken")


def _signal_at(patch, step: int, number: signal.Signals) -> None:
    loss = LanguageModelTask.loss

    def with_signal(self, now, carried):
        if now == step - 1:
            os.kill(os.getpid(), number)
        return loss(self, now, carried)

    patch.setattr(LanguageModelTask, "loss", with_signal)


def test_sigterm_saves_too(tmp_path, monkeypatch, unbroken):
    with monkeypatch.context() as patch:
        _signal_at(patch, 5, signal.SIGTERM)
        assert start(tmp_path).outcome.ended == "interrupted"
    resume(tmp_path / "run")
    same(tmp_path / "run", unbroken)


def test_the_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    start(tmp_path, steps=2)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_may_train(tmp_path, unbroken):
    thread = threading.Thread(target=start, args=[tmp_path])
    thread.start()
    thread.join()
    same(tmp_path / "run", unbroken)


@pytest.mark.parametrize("each", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_change_of_a_file(tmp_path, monkeypatch, unbroken, each):
    """Every file comes to its place by a rename or a row: die just before and just after each.

    Each third of these moments is before one change and after the next.
    """
    moments = _count_moments(tmp_path / "count", monkeypatch)
    assert moments > 20
    for moment in range(0, moments, each):
        folder = tmp_path / str(moment)
        folder.mkdir()
        with monkeypatch.context() as patch:
            _kill_at(patch, moment)
            with pytest.raises(Killed):
                start(folder, checkpoint_seconds=0.0 if moment % 2 else 60.0)
        if (folder / "run").exists():
            resume(folder / "run")
        else:  # it died before the first checkpoint was in its place: nothing was begun
            start(folder)
        same(folder / "run", unbroken)


def _count_moments(folder: Path, monkeypatch) -> int:
    folder.mkdir()
    with monkeypatch.context() as patch:
        count = _kill_at(patch, None)
        start(folder)
    return count[0]


def _kill_at(patch, moment: int | None) -> list[int]:
    count = [0]
    replace, add = Path.replace, lm_training.RunFolder.add_metrics

    def around(change):
        def changed(*args):
            for act in (lambda: None, lambda: change(*args)):
                act()
                if count[0] == moment:
                    raise Killed
                count[0] += 1

        return changed

    patch.setattr(Path, "replace", around(replace))
    patch.setattr(lm_training.RunFolder, "add_metrics", around(add))
    return count


def test_rows_after_the_checkpoint_are_trained_again(tmp_path, monkeypatch, unbroken):
    with monkeypatch.context() as patch:
        _signal_at(patch, 13, signal.SIGINT)
        start(tmp_path)
    metrics = tmp_path / "run" / "metrics.csv"
    metrics.write_text(metrics.read_text() + "18,1.0,9.0,9.0,0.1,1.0\n24,2.0,9")  # cut by a kill
    resume(tmp_path / "run")
    same(tmp_path / "run", unbroken)


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_kill_nine(tmp_path, kills):
    """A real process, really killed, again and again, until it gets to its end."""
    text, run = write_text(tmp_path), tmp_path / "run"
    options = [f"--{k.replace('_', '-')}={v}" for k, v in OPTIONS.items()]
    begin = ["train", "lm", str(text), "--cell=gru", "--checkpoint-seconds=0", *options]
    unbroken = _elman(*begin, "-o", str(tmp_path / "unbroken"))  # compiled as all of these are
    chance = random.Random(kills)
    for _ in range(kills):
        words = ["train", "lm", "--resume"] if run.exists() else begin
        process = _elman(*words, "-o", str(run))
        while process.poll() is None and not run.exists():
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2) if words is begin else chance.uniform(2.0, 4.0))
        process.kill()
        process.communicate()
    assert run.exists()
    last = _elman("train", "lm", "--resume", "-o", str(run))
    assert last.wait() == 0, last.communicate()
    last.communicate()
    assert unbroken.wait() == 0, unbroken.communicate()
    unbroken.communicate()
    assert losses(run) == losses(tmp_path / "unbroken")


def _elman(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "elman.cli", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_minutes_become_steps_once(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _signal_at(patch, 30, signal.SIGINT)
        patch.setattr("elman.tasks.loop.MEASURED_STEPS", 2)
        measure = Training._measure
        patch.setattr(Training, "_measure", lambda *given: (measure(*given), (0.02, 0.05))[1])
        stopped = start(tmp_path, steps=None, validate_every=None, minutes=0.1)
    assert stopped.outcome.ended == "interrupted"
    planned = read_tensors(tmp_path / "run" / "checkpoint.safetensors")[1]["total_steps"]
    assert planned >= 30
    assert resume(tmp_path / "run").outcome.step == planned
    start(tmp_path, "again", steps=planned, validate_every=None)  # the same, told in steps
    rows = [losses(tmp_path / name)[-1] for name in ("run", "again")]
    assert rows[0][3:] == rows[1][3:]  # the measured steps have left no mark


def test_epochs_become_steps(tmp_path):
    assert start(tmp_path, steps=None, epochs=1.5, validate_every=None).outcome.step == 38


def test_patience_ends_a_training(tmp_path):
    outcome = start(tmp_path, steps=400, learning_rate=1.0, patience=2, validate_every=3).outcome
    assert outcome.ended == "patience"
    assert outcome.step < 400
    assert resume(tmp_path / "run").outcome == outcome


def test_a_finished_run_stays_as_it_is(unbroken):
    before = (unbroken / "metrics.csv").read_text()
    assert resume(unbroken).outcome.ended == "steps"
    assert (unbroken / "metrics.csv").read_text() == before


def test_a_diverging_run_says_so(tmp_path):
    with pytest.raises(DataProblem, match="the training diverged") as caught:
        start(tmp_path, learning_rate=1e30, warmup_steps=0, clip=1e30)
    assert caught.value.code == "E706"
    assert lm.load(tmp_path / "run")


def test_a_run_is_not_overwritten_unasked(tmp_path):
    start(tmp_path, steps=1)
    with pytest.raises(FileProblem) as caught:
        start(tmp_path, steps=1)
    assert caught.value.code == "E610"
    assert "--resume" in str(caught.value) and "--overwrite" in str(caught.value)
    text, cell = write_text(tmp_path), elman.cells["lstm"]
    options = {**OPTIONS, "steps": 2}
    lm_training.start(
        text, cell, tmp_path / "run", options=options, overwrite=True, display=Silent()
    )
    assert lm.load(tmp_path / "run").config.cell == "lstm"


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    text, cell = write_text(tmp_path), elman.cells["gru"]
    for overwrite in (False, True):
        with pytest.raises(FileProblem, match="other things in it") as caught:
            lm_training.start(
                text, cell, tmp_path / "run", options=OPTIONS, overwrite=overwrite, display=Silent()
            )
        assert caught.value.code == "E612"
    assert (tmp_path / "run" / "thesis.tex").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "text.txt"]


def test_a_fault_in_the_text_leaves_no_folder(tmp_path):
    (tmp_path / "text").write_text("aaaa")
    with pytest.raises(DataProblem, match="one distinct character"):
        lm_training.start(tmp_path / "text", elman.cells["gru"], tmp_path / "run", display=Silent())
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_one_training_at_a_time(tmp_path):
    start(tmp_path, steps=1)
    run = lm_training.RunFolder(tmp_path / "run")
    with run.locked(), pytest.raises(FileProblem, match="another training is at work"):
        resume(run.path)
    resume(run.path)


def fault(run: Path, **more) -> str:
    with pytest.raises((FileProblem, DataProblem)) as caught:
        lm_training.resume(run, display=Silent(), **more)
    return str(caught.value)


def test_what_does_not_fit_a_resumed_run_is_named(tmp_path):
    start(tmp_path, steps=1)
    run = tmp_path / "run"
    assert "there is no run to resume" in fault(tmp_path / "none")
    assert "hidden_size" in fault(run, options={"hidden_size": 9})
    assert "cell" in fault(run, cell=elman.cells["lstm"])
    lm_training.resume(run, options={"hidden_size": 8}, cell=elman.cells["gru"], display=Silent())
    (tmp_path / "text.txt").write_text("another text, " * 50)
    assert "is not the text that this run began with" in fault(run)
    (tmp_path / "text.txt").unlink()
    assert "[E601]" in fault(run)


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("config.yaml", "{", "config.yaml is not YAML"),
        ("config.yaml", "task: lm\n", "config.yaml does not hold what it should"),
        ("checkpoint.safetensors", "", "checkpoint.safetensors is damaged"),
        ("checkpoint.safetensors", None, "lacks checkpoint.safetensors"),
    ],
)
def test_a_damaged_run_is_named(tmp_path, file, text, named):
    start(tmp_path, steps=1)
    path = tmp_path / "run" / file
    path.unlink() if text is None else path.write_text(text)
    assert named in fault(tmp_path / "run")


def test_equations_that_the_run_does_not_train_are_named(tmp_path):
    start(tmp_path, steps=1)
    path = tmp_path / "run" / "config.yaml"
    text = path.read_text("utf-8")
    assert "tanh(" in text
    path.write_text(text.replace("tanh(", "relu("), "utf-8")
    assert "[E608]" in fault(tmp_path / "run")
    path.write_text(text.replace("tanh(", "tahn("), "utf-8")
    message = fault(tmp_path / "run")
    assert "[E609]" in message and "config.yaml" in message and "tahn" in message


def test_a_checkpoint_without_its_generator_is_named(tmp_path):
    start(tmp_path, steps=1)
    path = tmp_path / "run" / "checkpoint.safetensors"
    tensors, words = read_tensors(path)
    del tensors["random"]
    write_tensors(path, tensors, words)
    with pytest.raises(WeightProblem, match=r"checkpoint.safetensors .*: random"):
        resume(tmp_path / "run")


def test_metrics_that_are_no_text_are_begun_again(tmp_path):
    start(tmp_path, steps=1)
    (tmp_path / "run" / "metrics.csv").write_bytes(b"\xff\xfe")
    assert resume(tmp_path / "run").outcome.ended == "steps"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"minutes": 1, "epochs": 2}, "give one of minutes, epochs and steps"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hiden_size": 4}, "hiden_size"),
        ({"dropout": 1.5}, "dropout"),
        ({"schedule": "spiral"}, "schedule"),
        ({"epochs": float("inf")}, "epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": 2**63}, "seed"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path, options, named):
    with pytest.raises(DataProblem) as caught:
        lm_training.start(
            write_text(tmp_path), elman.cells["gru"], tmp_path / "run", options=options
        )
    assert caught.value.code == "E705"
    assert named in str(caught.value)

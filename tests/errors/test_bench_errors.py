"""What is said of a benchmark that cannot be: each file in `bench/` is one message."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import elman
from elman.errors import ElmanError

FOLDER = Path(__file__).parent / "bench"
pytest.importorskip("torch", reason="torch is not installed")
pytestmark = pytest.mark.torch

from elman.bench import run as runs  # noqa: E402 - after torch is known to be there
from elman.bench.crew import Gone  # noqa: E402
from elman.bench.measure import Measurer, Plan  # noqa: E402
from elman.bench.results import Results  # noqa: E402
from elman.cli import main  # noqa: E402
from tests.bench.near import NearCrew, small_case  # noqa: E402
from tests.errors.golden import assert_golden  # noqa: E402

SHAPE = ["--input", "4", "--hidden", "8", "--batch", "2"]


def command(*words: str) -> Callable[[], None]:
    def run() -> None:
        sys.argv = ["elman", "bench", *words]
        main()

    return run


def resumed(content: object) -> Callable[[], None]:
    def run() -> None:
        path = Path("results.json")
        if content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        runs.read_results(path, 1)

    return run


RNN = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)"


def measured(text: str, module: str = "", change: object = None) -> Callable[[], None]:
    def run() -> None:
        changed = {module: change} if module else {}
        with NearCrew(changed=changed) as crew:  # type: ignore[arg-type]
            Measurer(crew, Plan(3, 0.1)).row(small_case(elman.Cell(text, "mine"), "inference"), [])

    return run


def wrong(found):
    return {name: np.round(array, 1) for name, array in found.items()}


class Mortal(NearCrew):
    """A crew in which Elman's process dies."""

    def ask(self, module, most, **order):
        if module == "peers.elman_":
            raise Gone("its process ended with -9")
        return super().ask(module, most, **order)


def died() -> None:
    with Mortal() as crew:
        Measurer(crew, Plan(3, 0.1)).row(small_case(elman.Cell(RNN, "mine"), "inference"), [])


MISTAKES = {
    "E640_no_file": resumed(None),
    "E641_no_json": resumed("T, B, I, H\n"),
    "E641_no_rows": resumed({"machine": {}}),
    "E642_another_machine": resumed(Results({"processor": "an abacus"}).to_json()),
    "E720_no_numbers": measured("h[t] = log(-abs(W @ x[t]) - 1) + h[t-1]"),
    "E820_wrong": measured(RNN, "elman_", wrong),
    "E821_died": died,
    "E206_size_not_said": command("multiplicative_lstm", *SHAPE),
    "E203_one_size": command("rg_lru", *SHAPE),
    "E410_no_cell": command("lsmt", *SHAPE),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message_is_the_golden_one(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    with pytest.raises((SystemExit, ElmanError)) as caught:
        MISTAKES[name]()
    error = caught.value
    got = f"{error.code if isinstance(error, SystemExit) else error}\n"
    assert capsys.readouterr().out == ""
    assert_golden(FOLDER / f"{name}.txt", got)
    assert f"[{name[:4]}]" in got.splitlines()[0]


def test_every_message_has_its_mistake():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(MISTAKES)

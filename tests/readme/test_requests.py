"""Every request is answered: its script runs, or the table says why there is none."""

from __future__ import annotations

import functools
import re
import runpy
import sys
import time
import timeit
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from tests.one_thread import one_thread  # noqa: E402, F401

# torch.func makes the rules of its forward mode with what torch has deprecated
pytestmark = [
    pytest.mark.torch,
    pytest.mark.c,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
]
FOLDER = Path(__file__).parents[2] / "examples" / "requests"
SCRIPTS = sorted(FOLDER.glob("*.py"))
REQUESTS, LONGEST = range(1, 35), 45
HEAVY = {12, 31, 34}  # compiles; starts processes; takes 5 GB
ROW = re.compile(r"\| (\d+) \| (.+?) \| (.+?) \|")
UNANSWERED = {23, 24, 25, 28}  # ONNX, TensorRT and JAX


def number(path):
    return int(path.name[:2])


def table():
    """What stands in the last column, by the number of the request."""
    page = (FOLDER / "README.md").read_text("utf-8")
    return {int(row[1]): row[3] for row in ROW.finditer(page)}


CASES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if number(path) in HEAVY else [])
    for path in SCRIPTS
]


def taken(run, number):
    begun = time.perf_counter()
    run()
    return (time.perf_counter() - begun) * number


@pytest.mark.parametrize("path", CASES)
def test_a_script_shows_its_answer(path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(path)])
    monkeypatch.setattr(timeit, "timeit", functools.cache(taken))  # times are for readers
    with torch.random.fork_rng():
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as reason:  # too little memory
            pytest.skip(str(reason))
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_names_its_threads(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    said = text.split('"""')[1]
    named = re.search(r"_(\d{2,})_", path.name[2:])
    assert named is None or f"#{named[1]}" in said


def test_every_request_has_its_script_or_its_reason():
    assert list(table()) == list(REQUESTS)
    linked = {n: re.findall(r"\]\((\w+\.py)\)", cell) for n, cell in table().items()}
    assert {n for n, files in linked.items() if not files} == UNANSWERED
    assert sorted(file for files in linked.values() for file in files) == [
        path.name for path in SCRIPTS
    ]
    assert all(file.startswith(f"{n:02}_") for n, files in linked.items() for file in files)

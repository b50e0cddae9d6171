"""Random texts into both readers: a cell or an ElmanError, soon, and nothing else ever.

`make fuzz` reads 100,000 of them; here are a short row, what once went wrong, and the judge's own
test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from elman import Cell
from elman.errors import LONGEST_LINE, ElmanError
from tests.fuzz.judge import READERS, judge
from tests.fuzz.texts import random_text

ROOT = Path(__file__).parents[2]
COUNT = 1000


def test_a_short_row_of_random_texts(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "--processes", "1", "--keep", str(tmp_path)]
    command += ["--count", str(COUNT)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    kept = "\n".join(path.read_text("utf-8") for path in sorted(tmp_path.glob("*.said")))
    assert run.returncode == 0, f"{run.stdout}{run.stderr}\n{kept}"


def test_a_text_has_a_number():
    assert random_text(3, 17) == random_text(3, 17)
    assert len({random_text(3, number) for number in range(20)}) == 20


# ---- what once took more than a second, or recursed ----


def row(line: str, count: int) -> str:
    return "\n".join(line.format(k, k + 1) for k in range(count))


def summed(term: str, count: int) -> str:
    return "h[t] = " + " + ".join(term.format(k) for k in range(count))


ONCE = {
    "names to compare with one another": summed("x{0}[t]", 3000),
    "biases of one sum": summed("b{0}", 3000) + " + x[t]",
    "kinds found from the last line to the first": row("a{0}[t] = W{0} @ a{1}[t-1] + b{0}", 1200)
    + "\na1200[t] = x[t]\nh[t] = a0[t]",
    "joined again and again": "a0[t] = x[t]\n"
    + row("a{1}[t] = [a{0}[t], x[t]]", 990)
    + "\nh[t] = a990[t]",
    "two that are joined alike": "a0[t] = x[t]\nb0[t] = x[t]\n"
    + row("a{1}[t] = [a{0}[t], x[t]]\nb{1}[t] = [b{0}[t], x[t]]", 900)
    + "\nh[t] = a900[t] + b900[t]",
    "numbers joined": "x: 3\na0[t] = x[t]\n"
    + row("a{1}[t] = [a{0}[t], x[t]]", 1900)
    + "\nh[t] = a1900[t]",
    "a long circle of parts": row("a{0}[t] = [a{1}[t-1], x[t]]", 1500)
    + "\na1500[t] = a1[t]\nh[t] = a1[t]",
    "one name, thousands of times": "h[t] = " + "gamma * x[t] + gama * " * 1500 + "x[t]",
    "doubled": "a0[t] = x[t]\n" + row("a{1}[t] = [a{0}[t], a{0}[t-1]]", 60) + "\nh[t] = a60[t]",
    "doubled, then unlike": "h: 3\na0[t] = h[t-1]\ny: 7\n"
    + row("a{1}[t] = [a{0}[t], a{0}[t-1], x[t]]", 60)
    + "\nh[t] = y[t] * a60[t]",
}


@pytest.mark.parametrize("name", ONCE)
def test_what_once_took_long(name):
    answer = judge(Cell, ONCE[name])
    assert not answer.finding, answer


LONG_NAMES = {
    "h[t] = {}(x[t])": "python",
    "a: {}(x = x[t])": "python",
    "return {}": "python",
    r"\begin{{{}}} h_t = x_t": "latex",
    r"h_t = \frac{{x_t}}{{{}}} \foo": "latex",
}


@pytest.mark.parametrize("text", LONG_NAMES)
def test_a_message_about_a_very_long_name_can_be_read(text):
    with pytest.raises(ElmanError) as caught:
        READERS[LONG_NAMES[text]](text.format("a" * 10_000))
    assert max(map(len, str(caught.value).splitlines())) <= LONGEST_LINE


@pytest.mark.parametrize("text", ["h[t] = U [h[t", "h[t] = U [h[", "h[t] = x[t] (", "h[t] = 2 ("])
def test_a_bracket_that_the_text_ends_in(text):
    with pytest.raises(ElmanError):
        Cell(text)


@pytest.mark.parametrize("text", ["h[t] = [1, n] * x[t]", "h[t] = x[t] - [n, 0.5]"])
def test_a_number_in_a_list_is_one_value(text):
    assert Cell(text).shapes(n=3) == {"n": (3,), "x": (4,), "h": (4,)}
    with pytest.raises(ElmanError, match="at once"):
        Cell(text).shapes(n=3, input=3)


# ---- the judge ----

WATCHED = """
from types import SimpleNamespace
from tests.fuzz.judge import guard, judge

def deep(text): return deep(text)
def long(text):
    while True: pass
def wide(text): return SimpleNamespace(warnings=[b"x" * (1 << 30)])
def wrong(text): return {}[text]
def open_to_all(text): return SimpleNamespace(warnings=[eval(text)])
def starting(text): return SimpleNamespace(warnings=[__import__("os").system("true")])
def ending(text): raise SystemExit
def good(text): return SimpleNamespace(warnings=())

guard()
for reader in (deep, long, wide, wrong, open_to_all, starting, ending, good):
    answer = judge(reader, "1")
    print(reader.__name__, answer.kind, bool(answer.finding))
"""
JUDGED = """
deep RecursionError True
long slow True
wide MemoryError True
wrong KeyError True
open_to_all evaluated True
starting evaluated True
ending SystemExit True
good read False
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere addresses are not limited")
def test_every_fall_is_found():
    command = [sys.executable, "-c", WATCHED]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout.strip() == JUDGED.strip(), run.stderr

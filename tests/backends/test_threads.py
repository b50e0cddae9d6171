"""Threads of a call: whose they are, one crew for all libraries, several callers, and forks.

Each test is a program of its own, which would hang if a child waited for its parent's threads.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.c

HEAD = """
import os, sys, threading, time
import numpy as np
import elman
from elman.backends import c_run

CELL = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])", "threads")
RANDOM = np.random.default_rng(0)
GIVEN = {"x": RANDOM.normal(size=(50, 64, 64)).astype("float32")}
WEIGHTS = {n: RANDOM.normal(size=(96, k)).astype("float32") / 10 for n, k in (("W", 64), ("U", 96))}

def numbers(threads, cell=CELL, **more):
    c_run.thread_count = lambda: threads
    return cell.run(GIVEN, WEIGHTS, backend="c", **more)["h"]

def tasks():
    return len(os.listdir("/proc/self/task"))

def in_child(work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    assert os.waitpid(child, 0)[1] == 0

alone = numbers(1)
def is_right(threads=2):
    return np.array_equal(numbers(threads), alone)
"""
WITH_TORCH = "import torch\ntorch.set_num_threads(2)\n"


def said(script: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_bits_do_not_depend_on_the_threads():
    assert said(HEAD + "print(all(is_right(k) for k in (1, 2, 3, 5)))") == ["True"]


def test_without_openmp_all_libraries_share_one_crew():
    script = """
assert "torch" not in sys.modules
before = tasks()
assert is_right(2)
print(tasks() - before)
other = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1]) / 2", "others")
numbers(2, other)
numbers(2, dtype="float64")
print(tasks() - before)
end = time.monotonic() + 10
while tasks() - before < 3 and time.monotonic() < end:  # calls run alone while others compute here
    assert is_right(4)
    numbers(4, other)
print(tasks() - before)
"""
    assert said(HEAD + script) == ["1", "1", "3"]


@pytest.mark.torch
def test_beside_torch_its_threads_do_the_work():
    script = """
x = torch.randn(1000, 1000)
(x @ x).sum(), torch.nn.functional.relu(x).sum()
before = tasks()
assert is_right(2)
print(tasks() - before)
"""
    assert said(WITH_TORCH + HEAD + script) == ["0"]


@pytest.mark.parametrize("head", ["", pytest.param(WITH_TORCH, marks=pytest.mark.torch)])
def test_a_fork_after_a_call_on_two_threads(head):
    script = """
assert is_right()
def child():
    before = tasks()
    return is_right() and is_right() and tasks() - before == 1
in_child(child)
assert is_right()
in_child(lambda: in_child(child) or is_right())
"""
    assert said(head + HEAD + script) == []


@pytest.mark.torch
def test_a_library_that_a_child_loads_first():
    """The parent's OpenMP was used by torch alone, which only Python knows."""
    script = """
x = torch.randn(1000, 1000)
torch.nn.functional.relu(x).sum()
other = elman.Cell("h[t] = tanh(W @ x[t] + U @ h[t-1])", "first in a child")
in_child(lambda: np.array_equal(numbers(2, other), numbers(1, other)))
"""
    assert said(WITH_TORCH + HEAD.replace("alone = numbers(1)", "") + script) == []


def test_several_threads_call_at_once():
    script = """
wrong = []
def work():
    for _ in range(30):
        wrong.extend([1] * (not is_right()))
callers = [threading.Thread(target=work) for _ in range(3)]
[caller.start() for caller in callers], [caller.join() for caller in callers]
print(len(wrong))
"""
    assert said(HEAD + script) == ["0"]


LAYER = """
import torch
import elman
torch.set_num_threads(2)
torch.manual_seed(0)
layer = elman.nn.Recurrent("h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", 64, 96)
x = torch.randn(50, 64, 64)
with torch.no_grad():
    expected = layer(x)[0]
"""


@pytest.mark.torch
def test_workers_of_a_data_loader_call_a_layer():
    script = """
class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, k):
        with torch.no_grad():
            return layer(x)[0]
layer(x)[0].sum().backward()
loader = torch.utils.data.DataLoader(Rows(), 2, num_workers=2, multiprocessing_context="fork")
print(all(torch.equal(y[0], expected) for y in loader))
"""
    assert said(LAYER + script) == ["True"]


@pytest.mark.torch
def test_two_threads_train_one_layer():
    script = """
import threading
def gradient():
    layer = elman.nn.Recurrent(source, 64, 96)
    layer.load_state_dict(weights)
    y, _ = shared(x)
    return torch.autograd.grad(y.sum(), list(shared.parameters()))
source, weights, shared = "h[t] = tanh(W @ x[t] + U @ h[t-1] + b)", layer.state_dict(), layer
expected, wrong = gradient(), []
def work():
    for _ in range(20):
        wrong.extend(not torch.equal(a, b) for a, b in zip(gradient(), expected))
callers = [threading.Thread(target=work) for _ in range(2)]
[caller.start() for caller in callers], [caller.join() for caller in callers]
print(len(wrong), sum(wrong))
"""
    assert said(LAYER + script) == ["120 0"]

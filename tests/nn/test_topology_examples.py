"""The examples of topologies learn what they are to learn."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

pytestmark = [pytest.mark.torch, pytest.mark.c]
EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # its dataclass looks there for the names of its types
    spec.loader.exec_module(module)
    return module


def test_short_sequences_are_reversed():
    reversal = example("reversal")
    torch.manual_seed(0)
    model = reversal.network()
    reversal.train(model, 250, length=4)
    assert reversal.test(model, 200, length=4).exact > 0.9


@pytest.mark.slow
def test_twenty_symbols_are_reversed_exactly():
    reversal = example("reversal")
    torch.manual_seed(0)
    model = reversal.network()
    reversal.train(model, reversal.STEPS)
    result = reversal.test(model)
    assert result.exact >= 0.99
    looked = result.weights[:20].argmax(-1)
    back = torch.arange(19, -1, -1)[:, None]
    assert (looked == back).double().mean() > 0.5


@pytest.mark.slow
def test_the_adding_problem_is_learned():
    assert example("adding_problem").train().loss < 0.01


@pytest.mark.slow
def test_the_copying_memory_is_learned():
    assert example("copying_memory").train().exact > 0.9

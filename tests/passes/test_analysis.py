"""What is said of a cell before it runs, against what its runs show."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest

import elman
from elman.errors import CellWarning
from elman.passes.counts import Count
from tests.backends.language_cells import CELLS

SIZE, POINTS = 3, 30
SPREADS = (1.0, 0.3, 2.0)
LEAST = {"heads": 2}


@pytest.fixture(scope="module", params=[*elman.cells, *CELLS])
def cell(request):
    if request.param in elman.cells:
        return elman.cells[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CellWarning)
        return elman.Cell(CELLS[request.param], request.param)


class Stepper:
    """One step of a cell from many states at once, every other number fixed."""

    def __init__(self, cell: elman.Cell, seed: int) -> None:
        self.cell = cell
        self.sizes = {
            name: LEAST.get(name, SIZE)
            for name in cell.typed.aliases.values()
            if name.isidentifier()
        }
        self.shapes = cell.shapes(**self.sizes)
        self.chance = np.random.default_rng(seed)
        spread, least = SPREADS[seed % len(SPREADS)], 0.1 if seed % 2 else None
        self.draw = functools.partial(self.numbers, spread, least)
        self.weights = {name: self.draw(size=self.shapes[name]) for name in cell.parameters}
        over = cell.typed.over
        self.inputs = {}
        for name in cell.inputs:
            lead = {"tb": (1, 1), "t": (1,), "b": (1,)}[over[name]]
            self.inputs[name] = self.draw(size=(*lead, *self.shapes[name]))
        self.state = {key: self.draw(size=self.shape(key)) for key in cell.states}
        self.state |= {key: np.array(3.0) for key in ("t",) if key in cell.states}

    def numbers(self, spread: float, least: float | None, size: tuple[int, ...]) -> np.ndarray:
        """Of both signs, or all above `least`, where roots and logarithms exist."""
        found = self.chance.normal(0, spread, size)
        return found if least is None else least + np.abs(found)

    def shape(self, key: str) -> tuple[int, ...]:
        return self.shapes[key.partition("[")[0]]

    def __call__(self, states: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        rows = len(states)
        given = {key: np.stack([state[key] for state in states]) for key in self.cell.states}
        inputs = {}
        for name, a in self.inputs.items():
            over = self.cell.typed.over[name]
            inputs[name] = np.repeat(a, rows, axis=over.index("b")) if "b" in over else a
        with np.errstate(all="ignore"):
            run = self.cell.run(
                inputs,
                self.weights,
                given,
                sizes=self.sizes,
                steps=None if any("t" in self.cell.typed.over[n] for n in inputs) else 1,
                backend="numpy",
            )
        return [{key: a[k] for key, a in run.final.items()} for k in range(rows)]

    def is_linear(self, group: Sequence[str]) -> bool:
        """Whether second differences along the states are zero."""
        way = {key: self.chance.normal(size=self.shape(key)) for key in group}
        states = [
            self.state | {key: self.state[key] + k * way[key] for key in group} for k in (0, 1, 2)
        ]
        a, b, c = self(states)
        return all(
            np.allclose(a[key] - 2 * b[key] + c[key], 0, atol=1e-9 * (1 + np.abs(b[key]).max()))
            for key in group
        )

    def is_diagonal(self, group: Sequence[str]) -> bool:
        """Whether a change of one entry changes nothing but entries of its place."""
        places = [(key, at) for key in group for at in np.ndindex(self.shape(key))]
        states = [self.state]
        for key, at in places:
            array = np.array(self.state[key])
            array[at] += self.chance.normal(0, 4)
            states.append(self.state | {key: array})
        start, *ends = self(states)
        for (key, at), end in zip(places, ends, strict=True):
            for other in group:
                moved = np.array(np.abs(end[other] - start[other]) > 1e-12)
                if self.shape(other) == self.shape(key):
                    moved[at] = False
                if moved.any():
                    return False
        return True


def measured(cell: elman.Cell, group: Sequence[str], what: str) -> bool:
    """Whether it holds at every point tried."""
    return all(getattr(Stepper(cell, seed), what)(group) for seed in range(POINTS))


def test_linear_and_diagonal_are_as_measured(cell):
    found = cell.analyse()
    every = [key for loop in found.loops for key in loop]
    assert found.linear == measured(cell, every, "is_linear")
    assert found.diagonal == measured(cell, every, "is_diagonal")


def test_each_loop_is_as_measured(cell):
    found = cell.analyse()
    for loop in found.loops:
        assert (loop[0] in found.linear_states) == measured(cell, loop, "is_linear"), loop
        assert (loop[0] in found.diagonal_states) == measured(cell, loop, "is_diagonal"), loop


def test_parameters_are_those_of_the_shapes(cell):
    sizes = {name: k for k, name in enumerate(dict.fromkeys(cell.typed.aliases.values()), 2)}
    sizes = {name: k for name, k in sizes.items() if name.isidentifier()}
    shapes = cell.shapes(**sizes)
    assert cell.analyse().parameters(**sizes) == sum(
        math.prod(shapes[name]) for name in cell.parameters
    )


FLOPS = {  # counted by hand: (products of pairs of sizes, elementwise work on hidden)
    "rnn": "2 * hidden * input + 2 * hidden**2 + 3 * hidden",
    "lstm": "8 * hidden * input + 8 * hidden**2 + 17 * hidden",
    "gru": "2 * (3 * hidden * input + 3 * hidden**2 + 7 * hidden)",
    "indrnn": "2 * (hidden * input + 2 * hidden)",
}


@pytest.mark.parametrize("name", FLOPS)
def test_work_is_as_counted_by_hand(name):
    assert str(elman.cells[name].analyse().flops) == FLOPS[name]


PHASES = {
    "rnn": 1,
    "lstm": 1,
    "lstm_peephole": 1,
    "gru_reset_after": 1,
    "indrnn": 1,
    "min_gru": 1,
    "minimal_rnn": 1,  # its second product is of the input alone
    "rnn_read_out": 1,  # the read-out can wait
    "gru": 2,
    "mgu": 2,
    "lem": 2,
    "lstmp": 2,
    "jordan": 2,  # the read-out is fed back
    "rhn": 3,
    "mogrifier_lstm": 6,
}


@pytest.mark.parametrize("name", PHASES)
def test_phases(name):
    assert elman.cells[name].analyse().phases == PHASES[name]


def test_what_else_is_said():
    assert set(elman.cells["gru_d"].analyse().side_inputs) == {"m", "delta"}
    assert elman.cells["narx_rnn"].analyse().delays == {"h": 4}
    assert elman.cells["zoneout_lstm"].analyse().random == ("d_c", "d_h")
    assert elman.cells["esn"].analyse().frozen(hidden=2, input=3, y=1) == 12
    assert elman.cells["lstm"].analyse().loops == (("h", "c"),)
    assert elman.cells["mlstm"].analyse().linear_states == ("C", "n")


def test_counts_say_themselves():
    assert str(Count()) == "0"
    assert str(Count.of((), 5)) == "5"
    assert str(Count.of(["a", "a+2"], 3)) == "3 * (a**2 + 2 * a)"
    for a, b in itertools.product((1, 4), (2, 3)):
        count = Count.of(["a+b", "b"]) + Count.of(["3"])
        assert count(a=a, b=b) == (a + b) * b + 3
